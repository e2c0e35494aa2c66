"""Commands in the documents: executed as they stand there, so that they stay true."""

import os
import re
import subprocess

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def blocks(path, heading=""):
    """The `sh` blocks of a document, or of its part under this heading."""
    text = open(os.path.join(ROOT, path)).read()
    if heading:
        level = heading.split(" ")[0]
        text = text.split(f"\n{heading}\n", 1)[1]
        text = re.split(rf"^#{{1,{len(level)}}} ", text, maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def execute(script, folder, timeout, environment=None):
    """Runs a script to its end: (exit code, all that it printed). Ends it and its children in time."""
    process = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=os.path.join(ROOT, folder), env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        printed, _ = process.communicate(timeout=timeout)
        return process.returncode, printed
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        printed, _ = process.communicate()
        return 124, f"{printed}\nended after {timeout} s"

