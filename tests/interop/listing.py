"""Checks the programs of examples/ that list sessions: pages, filters, tasks, and reasons."""

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


class Lister:
    """A client's program that lists sessions, run with the command of its README."""

    def __init__(self, language, advises):
        self.language, self.advises = language, advises
        command = next(block for block in blocks(f"examples/{language}/README.md") if JOB in block)
        self.command = command.strip().removesuffix(f"'{JOB}'")

    def run(self, gateway, job_name, page_size=""):
        """Exit code, all lines as (word, rest), and the whole output."""
        environment = {"GATEWAY_ADDRESS": gateway.address, "JOB_NAME": job_name, "DEADLINE_SECONDS": "3"}
        script = f'{self.command} "$JOB_NAME" {page_size}'
        code, printed = execute(script, f"examples/{self.language}", 30, environment)
        lines = re.findall(r"^([a-z]+) +(\S.*)$", printed, re.MULTILINE)
        return code, lines, f"exit code {code}\n{printed}"

    def error(self, gateway, job_name, expected):
        """The problem with how the program reports an error, if any."""
        code, lines, printed = self.run(gateway, job_name)
        told = dict(lines)
        told["code"] = told.get("code", "").replace("_", "").upper()
        message = told.pop("message", "")
        if not message:
            return f"no message\n{printed}"
        if "retry" in told:  # 5.0
            told["retry"] = told["retry"].replace(".0 ", " ")
        wanted = {name: text for name, text in expected.items() if name != "advice" or self.advises}
        return "" if code and told == wanted else f"expected {wanted}, got {told}\n{printed}"


def cases(lister, gateways):
    """The columns of the table: name, and problem if any."""
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
