"""Checks that each program in examples/ says how it is called when it is called in another way."""

import re

from documents import blocks, execute

# A program in a command of a README: what is in front of its arguments, and these.
PROGRAM = re.compile(r"^(.*\b(get|list|list.task|watch|follow).?sessions?(?:\.\w+)?)(?: .*)?$", re.IGNORECASE)


def wrong_arguments(language):
    """None where one is needed, too many, and a wrong second one. Returns the problem, if any."""
    lines = [block.splitlines()[-1] for block in blocks(f"examples/{language}/README.md")]
    programs = [found for found in map(PROGRAM.match, lines) if found]
    if not programs:
        return f"no program in the README: {lines}"
    for program, what in (found.groups() for found in programs):
        wrong = ["one two three"]
        if what.lower() != "follow":
            wrong.append("")
        if what.lower() not in ("follow", "watch"):
            wrong.append("one two")
        for arguments in wrong:
            # A port at which nothing listens: the program must not get that far.
            code, printed = execute(
                f"{program} {arguments}", f"examples/{language}", 30, {"GATEWAY_ADDRESS": "127.0.0.1:9"}
            )
            if code in (0, 124) or not re.search(r"^usage: ", printed, re.MULTILINE) or "Traceback" in printed:
                return f"{program} {arguments}: exit code {code}\n{printed}"
    return ""
