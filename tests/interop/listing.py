"""Checks the programs of examples/ that list sessions and tasks: pages, filters, and reasons."""

import re

from documents import blocks, execute

# The job in the demonstration that recently failed twice, and whose second retry succeeded.
JOB = "Fileserver02 Replication"
FAILED = ["b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f00a", "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f009"]
TASKS = [["fs02 RESULT_FAILED"], ["fs02 RESULT_FAILED", "fs03 RESULT_WARNING"]]
NO_DISK = 'fs02 Error: Cannot open disk "[DS-07] fs02/fs02.vmdk" & no further hosts are available.'
TROUBLE = [[NO_DISK], [NO_DISK, "fs03 Changed block tracking could not be used; the whole disk was read."]]
# Another job, and texts that would select more sessions if they became part of the filter
# expression.
OF_NO_AVAIL = ["Replication Job 1", 'x" or Result=="Failed', "x' or Result==\"Failed", JOB.lower() + "%"]
WRONG_NAME = {
    "code": "INVALIDARGUMENT", "reason": "INVALID_FILTER",
    "field": "filter.job_name must not have control characters, which Enterprise Manager's filter cannot express",
    "advice": "correct your input",
}  # fmt: skip
DOWN = {"code": "UNAVAILABLE", "reason": "EM_UNAVAILABLE", "retry": "after 5 s", "advice": "try again later"}


# The machine of that job whose disk could not be opened until the last retry, and the result of its tasks in the order
# of the answer.
MACHINE = "fs02"
OF_MACHINE = ["RESULT_SUCCESS", "RESULT_FAILED", "RESULT_FAILED"]
WRONG_MACHINE = {
    "code": "INVALIDARGUMENT", "reason": "INVALID_FILTER",
    "field": "filter.vm_names[0] must not be empty: leave it out instead",
    "advice": "correct your input",
}  # fmt: skip


class Lister:
    """A client's program that lists what belongs to a name, run with the command of its README."""

    def __init__(self, language, advises, argument):
        self.language, self.advises = language, advises
        command = next(block for block in blocks(f"examples/{language}/README.md") if block.endswith(f"{argument}\n"))
        self.command = command.strip().removesuffix(argument)

    def run(self, gateway, name, page_size=""):
        """Exit code, all lines as (word, rest), and the whole output."""
        environment = {"GATEWAY_ADDRESS": gateway.address, "NAME": name, "DEADLINE_SECONDS": "3"}
        script = f'{self.command} "$NAME" {page_size}'
        code, printed = execute(script, f"examples/{self.language}", 30, environment)
        lines = re.findall(r"^([a-z]+) +(\S.*)$", printed, re.MULTILINE)
        return code, lines, f"exit code {code}\n{printed}"

    def error(self, gateway, name, expected):
        """The problem with how the program reports an error, if any."""
        code, lines, printed = self.run(gateway, name)
        told = dict(lines)
        told["code"] = told.get("code", "").replace("_", "").upper()
        message = told.pop("message", "")
        if not message:
            return f"no message\n{printed}"
        if "retry" in told:  # 5.0
            told["retry"] = told["retry"].replace(".0 ", " ")
        wanted = {name: text for name, text in expected.items() if name != "advice" or self.advises}
        return "" if code and told == wanted else f"expected {wanted}, got {told}\n{printed}"


def cases(language, advises, gateways):
    """The columns of the table: name, and problem if any."""
    lister = Lister(language, advises, f"'{JOB}'")
    plain = gateways["plain"]
    code, lines, printed = lister.run(plain, JOB, 1)
    yield "list", differs(code, [rest.split()[0] for word, rest in lines if word == "failed"], FAILED, printed)
    # One page per session, and perhaps an empty one at the end.
    pages = [rest for word, rest in lines if word == "page"]
    yield "pages", "" if pages in (["1", "1"], ["1", "1", "0"]) else f"pages of {pages}\n{printed}"
    yield "tasks", differs(code, by_session(lines, "task"), TASKS, printed)
    yield "reasons", differs(code, by_session(lines, "trouble"), TROUBLE, printed)
    code, lines, printed = lister.run(plain, JOB)
    yield "one page", differs(code, [rest for word, rest in lines if word == "page"], ["2"], printed)
    problem = ""
    for name in OF_NO_AVAIL:
        code, lines, printed = lister.run(plain, name)
        problem += differs(code, lines, [("page", "0")], printed)
    yield "filter", problem
    yield "wrong filter", lister.error(plain, "a\nb", WRONG_NAME)
    yield "unavailable", lister.error(gateways["down"], JOB, DOWN)


    lister = Lister(language, advises, MACHINE)
    for case, page_size, pages in ("machine", "", ["3"]), ("its pages", 1, ["1", "1", "1"]):
        code, lines, printed = lister.run(plain, MACHINE, page_size)
        told = [rest.split(maxsplit=2)[1:] for word, rest in lines if word == "task"]
        problem = differs(code, told, [[result, JOB] for result in OF_MACHINE], printed)
        if [rest for word, rest in lines if word == "page" and rest != "0"] != pages:
            problem += f"expected pages of {pages}\n{printed}"
        if [rest for word, rest in lines if word == "trouble"] != 2 * [NO_DISK.removeprefix(f"{MACHINE} ")]:
            problem += f"not the reasons\n{printed}"
        if dict(lines).get("newest", "").split()[1:] != OF_MACHINE[:1]:
            problem += f"not how the machine stands\n{printed}"
        yield case, problem
    code, lines, printed = lister.run(plain, f"{MACHINE.upper()}%")
    yield "no machine", differs(code, lines, [("page", "0"), ("newest", "nothing is over")], printed)
    yield "wrong machine", lister.error(plain, "", WRONG_MACHINE)
    yield "machine unavailable", lister.error(gateways["down"], MACHINE, DOWN)


def differs(code, found, expected, printed):
    return "" if code == 0 and found == expected else f"expected {expected}, got {found}\n{printed}"


def by_session(lines, wanted):
    """The lines with this word, for each session."""
    found = []
    for word, rest in lines:
        if word == "failed":
            found.append([])
        elif word == wanted:
            found[-1].append(rest)
    return found
