"""Holds the chart's values, their schema, the table in its README and the program's options equal.

With UPDATE_DOCS=1 it writes the table, and the schema's sentences about the program's settings.
"""

import json
import os
import re
import subprocess
from pathlib import Path

import yaml

from common import expect

BEGIN, END = "<!-- values: begin, by UPDATE_DOCS=1 tests/kubernetes/run -->\n", "<!-- values: end -->\n"


def check_documents(chart: Path, program: Path) -> None:
    path, readme = chart / "values.schema.json", chart / "README.md"
    schema = json.loads(path.read_text())
    helped = subprocess.run([program, "serve", "--help"], capture_output=True, text=True, check=True).stdout
    said = path.read_text()
    for name, setting in schema["properties"]["settings"]["properties"].items():
        sentence = sentence_about(name, helped)
        own = setting["description"]
        setting["description"] = own if own.startswith(sentence) else sentence
    defaults = yaml.safe_load((chart / "values.yaml").read_text())
    written = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    text = readme.read_text()
    expect(text.count(BEGIN) == text.count(END) == 1, f"{readme} has no place for the values")
    before, rest = text.split(BEGIN)
    page = before + BEGIN + table(schema, defaults) + END + rest.split(END)[1]
    if os.environ.get("UPDATE_DOCS"):
        path.write_text(written)
        readme.write_text(page)
        said, text = written, page
    expect(said == written, f"{path} differs from the program's options: run UPDATE_DOCS=1 tests/kubernetes/run")
    expect(text == page, f"{readme} differs from the schema: run UPDATE_DOCS=1 tests/kubernetes/run")
    check_shape(schema, defaults, "")


def sentence_about(name: str, helped: str) -> str:
    """What `--help` says first about the option that a setting is called after."""
    option = re.sub(r"[A-Z]", lambda letter: "-" + letter[0].lower(), name)
    found = re.search(rf"^      --{option}(?: <[^>]+>)?\n((?:          .+\n)+)", helped, re.M)
    expect(found, f"the program has no option --{option}, as settings.{name} has it")
    text = " ".join(line.strip() for line in found[1].splitlines())
    text = re.sub(r" *\[(default|required)[^]]*\]", "", text)
    return f"`--{option}`: {text}."


def check_shape(schema: dict, defaults: dict, where: str) -> None:
    """Each value has a sentence; each default is in the schema, and each value but the program's settings and
    `global` has a default."""
    expect(schema.get("additionalProperties") is False, f"{where or 'the schema'} lets unknown values pass")
    properties = schema["properties"]
    unknown = defaults.keys() - properties.keys()
    expect(not unknown, f"values.yaml has {where}{unknown}, which the schema does not know")
    for name, each in properties.items():
        path = f"{where}{name}"
        expect(each.get("description", "").endswith("."), f"the schema has no sentence about {path}")
        expect(name in defaults or where == "settings." or path == "global", f"{path} has no default")
        if "properties" in each:
            check_shape(each, defaults[name], f"{path}.")


def table(schema: dict, defaults: dict) -> str:
    lines = ["| value | default | meaning |\n", "| --- | --- | --- |\n"]
    for path, each, default in leaves(schema, defaults, ""):
        shown = "" if default in ("", None, [], {}) else f"`{json.dumps(default).strip(chr(34))}`"
        lines.append(f"| `{path}` | {shown} | {each['description']} |\n".replace("|  |", "| |"))
    return "".join(lines)


def leaves(schema: dict, defaults: dict, where: str):
    for name, each in schema["properties"].items():
        default = (defaults or {}).get(name)
        if "properties" in each:
            yield from leaves(each, default, f"{where}{name}.")
        elif f"{where}{name}" != "global":
            yield f"{where}{name}", each, default
