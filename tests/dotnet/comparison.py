"""Compares what the gateway gives with what the .NET program had, and says by which rule it differs."""

import base64
import datetime
import re

from findings import (
    AS_TEXT, BLANK_UNKNOWN, BLANKS, EARLY, LINE_ENDS, NEVER, NEW_LINES, QUESTION, SURROGATE, TRIMMED, UNCHANGED,
)  # fmt: skip

WHITE = " \t\r\n"
TICKS_1970 = 621_355_968_000_000_000
# Where the gateway's calendar ends: 26 hours before the year 10000, so that every zone can show it.
TICKS_END = TICKS_1970 + 253_402_207_201 * 10**7
TICKS_1980 = TICKS_1970 + 315_532_800 * 10**7


class Comparison:
    """One resource of one case: as the .NET program had it, as .NET reads it, and as the gateway gave it."""

    def __init__(self, findings, case, written, read):
        self.findings, self.case, self.written, self.read = findings, case, written, read or {}
        self.raw_cr = b"\r" in base64.b64decode(case["Written"]["Body"])
        self.unmapped = {}

    def judge(self, name, written, got, rules=(), read=None, unread=False):
        """`rules`: what the value may become, and why; .NET's own reader has to agree, unless `unread`."""
        if got == written:
            return self.findings.add(self.case, UNCHANGED)
        for value, rule in rules:
            if got == value and (unread or read == got):
                return self.findings.add(self.case, rule)
        self.findings.fail(self.case, name, written, f"{got!r}; .NET itself reads {read!r}")

    def texts(self, written, is_attribute):
        """What a text may become: first what the writer makes of it, then what XML does."""
        now, rules = written, []
        if "ASCII" in self.case["Writer"] and "XmlTextWriter" in self.case["Writer"]:
            now = re.sub(r"[^\0-\x7f]", "?", re.sub("[\U00010000-\U0010ffff]", "??", now))
            rules.append((now, QUESTION))
        if self.case["Writer"] == "XmlDictionaryWriter":
            now = re.sub("[\ud800-\udfff]", "\ufffd", now)
            rules.append((now, SURROGATE))
        lines = re.sub("\r\n?", "\n", now)
        if is_attribute:
            # Written as references they stay; XmlTextWriter leaves the tab as it is, other settings all three.
            rules.append((now.replace("\t", " "), BLANKS))
            rules.append((re.sub("[\t\n]", " ", lines), BLANKS))
        else:
            rules.append((lines, LINE_ENDS if self.raw_cr else NEW_LINES))
            if "indented" in self.case["Writer"]:
                rules.append((lines, NEW_LINES))
        return rules

    def text(self, name, got, is_attribute=False):
        self.given_text(name, self.written[name], self.read.get(name), got, is_attribute)

    def given_text(self, name, written, read, got, is_attribute):
        if written is None:
            # Many fields of the contract have no presence: there, null is the empty text.
            return self.judge(name, None, got or None)
        rules = self.texts(written, is_attribute)
        if name.endswith("Href"):
            rules += [(value.strip(WHITE), TRIMMED) for value in [written, *(value for value, _ in rules)]]
            read = read and (got if read.strip(WHITE) == got else read)
        self.judge(name, written, got, rules, read)

    def identifier(self, name, got):
        written = self.written[name]
        self.judge(name, written, got or None, [((written or "").strip(WHITE), TRIMMED)], unread=True)

    def number(self, name, message, field):
        self.judge(name, self.written[name], present(message, field))

    def time(self, name, message, field):
        written = self.written[name]
        got = None
        if message.HasField(field):
            stamp = getattr(message, field)
            got = TICKS_1970 + stamp.seconds * 10**7 + stamp.nanos // 100
        if written is None or self.written.get(name + "Specified") is False:
            return self.judge(name, None, got)
        ticks = ticks_of(written["text"])
        if name == "EndTimeUTC" and ticks < TICKS_1980 and got is None and not message.unmapped.get(name):
            return self.findings.add(self.case, NEVER)
        if got is None and message.unmapped.get(name) == written["text"] and not 0 <= ticks < TICKS_END:
            self.unmapped[name] = written["text"]
            return self.findings.add(self.case, AS_TEXT)
        self.judge(name, written["ticks"], got)

    def word(self, name, message, field, known):
        """A state or a result: a number of the contract, or a text."""
        written, got = self.written[name], getattr(message, field)
        stripped = (written or "").strip(WHITE)
        if stripped in known or not stripped:
            number = known.get(stripped, 0)
            expected = number if written in (stripped, None) else written
            return self.judge(name, expected, got, [(number, TRIMMED)], unread=True)
        self.unmapped[name] = written
        self.text(name, message.unmapped.get(name) if got == 0 else got)

    def resource(self, got):
        for name, field in {"Href": "href", "Type": "type", "Name": "name"}.items():
            self.text(name, getattr(got, field), is_attribute=True)
        self.identifier("UID", got.uid)
        written, read = self.written["Links"] or [], self.read.get("Links") or []
        if len(written) != len(got.links):
            return self.findings.fail(self.case, "links", len(written), len(got.links))
        for number, (link, answer) in enumerate(zip(written, got.links)):
            for name in ("Href", "Type", "Name", "Rel"):
                own = read[number][name] if number < len(read) else None
                self.given_text(f"Link {name}", link[name], own, getattr(answer, name.lower()), True)
        up = next((link.name for link in got.links if link.rel == "Up"), None)
        self.judge("backup_server", up, got.backup_server.name if got.HasField("backup_server") else None)

    def rest(self, got):
        """That nothing is in `unmapped` that was not looked for there."""
        surplus = {key: value for key, value in got.unmapped.items() if key not in self.unmapped}
        if surplus:
            self.findings.fail(self.case, "unmapped", {}, surplus)

    def session(self, got):
        self.resource(got)
        self.identifier("JobUid", got.job_uid)
        self.text("JobName", got.job_name)
        self.text("JobType", got.job_type)
        self.time("CreationTimeUTC", got, "create_time")
        self.time("EndTimeUTC", got, "end_time")
        self.word("State", got, "state", {"Stopped": 6, "Working": 2})
        self.word("Result", got, "result", {"None": 1, "Success": 2, "Failed": 4})
        self.number("Progress", got, "progress_percent")
        self.number("IsRetry", got, "is_retry")
        self.text("FailureMessage", present(got, "failure_message"))
        self.unmapped["New"] = new = self.written["New"]
        if new is not None and not new.strip(WHITE) and "New" not in got.unmapped:
            self.findings.add(self.case, BLANK_UNKNOWN)
        else:
            self.text("New", got.unmapped.get("New"))
        self.rest(got)

    def task(self, got):
        self.resource(got)
        self.identifier("JobSessionUid", got.session_uid)
        self.identifier("VmUid", got.vm_uid)
        self.text("VmDisplayName", got.vm_name, is_attribute=True)
        self.time("CreationTimeUTC", got, "create_time")
        self.time("EndTimeUTC", got, "end_time")
        self.word("State", got, "state", {"InProgress": 2, "Completed": 3})
        if self.written["State"] == "Completed":
            self.word("Result", got, "result", {"Failed": 4})
        else:
            self.unmapped["Result"] = early = got.unmapped.get("Result")
            self.judge("Result", self.written["Result"], early)
            self.judge("result", 1, got.result)
            if early:
                self.findings.add(self.case, EARLY)
        self.text("Reason", present(got, "reason"))
        self.number("TotalSize", got, "total_size_bytes")
        self.rest(got)


def present(message, field):
    """The field's value, None if it is not set."""
    return getattr(message, field) if message.HasField(field) else None


def ticks_of(text):
    """The moment of an XML Schema dateTime, in units of 100 ns since year 1, by this program's own arithmetic."""
    pattern = r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,7}))?(Z|[+-]\d\d:\d\d)?"
    year, month, day, *clock, fraction, zone = re.fullmatch(pattern, text).groups()
    days = datetime.date(int(year), int(month), int(day)).toordinal() - 1
    seconds = ((days * 24 + int(clock[0])) * 60 + int(clock[1])) * 60 + int(clock[2])
    if zone and zone != "Z":
        sign = -1 if zone[0] == "+" else 1
        seconds += sign * (int(zone[1:3]) * 60 + int(zone[4:6])) * 60
    return seconds * 10**7 + int((fraction or "").ljust(7, "0"))
