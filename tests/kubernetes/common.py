"""Helpers for all checks."""

import re
import sys


def expect(holds: object, otherwise: str) -> None:
    if not holds:
        sys.exit(f"error: {otherwise}")


def only(found):
    """The only item; there must be exactly one."""
    all_of_it = list(found)
    expect(len(all_of_it) == 1, f"exactly one item has to match, but these do: {all_of_it}")
    return all_of_it[0]


def seconds(text: str) -> float:
    units = {"ms": 0.001, "s": 1, "m": 60}
    number, unit = re.fullmatch(r"(\d+)(ms|s|m)", text).groups()
    return int(number) * units[unit]


def port_of(address: str) -> int:
    return int(address.rsplit(":", 1)[1])


class Help:
    """The variables in `serve --help`, and their defaults."""

    def __init__(self, text: str) -> None:
        self.known = set(re.findall(r"\[env: (GATEWAY_[A-Z0-9_]+)=", text))
        self.defaults = dict(re.findall(r"\[env: (GATEWAY_[A-Z0-9_]+)=[^\]]*\]\s+\[default:\s+([^\]]+)\]", text))
        expect(self.known and self.defaults, "the program names no variables")
