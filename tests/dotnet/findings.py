"""What can become of a value, and what has become of all of them."""

import base64
from collections import Counter, defaultdict

UNCHANGED = "read unchanged"

LINE_ENDS = "changed by XML 1.0, 2.11: CR and CR LF in a text are read as LF"
BLANKS = "changed by XML 1.0, 3.3.3: tab, LF and CR in an attribute are read as blanks"
NEW_LINES = "changed by .NET: XmlWriter writes CR, LF and CR LF in a text as its new line"
SURROGATE = "changed by .NET: XmlDictionaryWriter writes a lone surrogate as U+FFFD"
QUESTION = "changed by .NET: XmlTextWriter in ASCII writes ? for what ASCII lacks"
TRIMMED = "changed by the gateway: identifiers, addresses, states and results without the white space around them"
NEVER = "changed by the gateway: an end before 1980 means that the run is not over"
AS_TEXT = "changed by the gateway: a time beyond protobuf's calendar is in `unmapped`, as text"
EARLY = "changed by the gateway: a task that is not completed has no result; EM's word is in `unmapped`"
BLANK_UNKNOWN = "changed by the gateway: an unknown element without a text is not in `unmapped`"
# The one loss that is known: nothing in these documents says that they are not whole.
CLOSED = "LOST BY .NET: a writer that is disposed after an exception closes all elements, so rows or fields are missing"
WRONG = "LOST OR WRONG"


class Findings:
    """What has become of the values."""

    def __init__(self):
        self.outcomes = defaultdict(lambda: defaultdict(Counter))  # [kind, value][outcome][writer]
        self.failures = []
        self.log = ""  # the gateway's

    def add(self, case, outcome):
        self.outcomes[case["Kind"], case["Value"]][outcome][case["Writer"]] += 1

    def fail(self, case, what, expected, got):
        self.add(case, WRONG)
        body = base64.b64decode(case["Written"]["Body"])
        log = [line for line in self.log.splitlines() if case["Id"] in line]
        self.failures.append(
            f"{case['Kind']} {case['Value']!r} by {case['Writer']}: {what}\n"
            f"  expected {expected!r}\n  got      {got!r}\n  log      {log[-1:]}\n  document {body[:1500]!r}"
        )

    def report(self):
        """Each value once, together with those of which the same has become."""
        alike = defaultdict(list)
        for (kind, value), outcomes in self.outcomes.items():
            became = [(outcome, tuple(writers)) for outcome, writers in outcomes.items() if outcome != UNCHANGED]
            alike[kind, tuple(sorted(became))].append(value)
        for (kind, became), values in alike.items():
            print(f"{kind}: {'; '.join(values)}")
            for outcome, writers in became:
                print(f"    {outcome}: {', '.join(writers) if len(writers) < 13 else f'{len(writers)} writers'}")
            if any(UNCHANGED in self.outcomes[kind, value] for value in values):
                print(f"    {UNCHANGED}" + (": all else" if became else ""))
        total = Counter()
        for outcomes in self.outcomes.values():
            for outcome, writers in outcomes.items():
                total[outcome] += sum(writers.values())
        print()
        for outcome, count in total.most_common():
            print(f"{count:7} {outcome}")
        for failure in self.failures[:20]:
            print("\nFAILED", failure)
