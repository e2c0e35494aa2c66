"""Executes commands from the documentation exactly as written, so that they stay correct."""

import os
import re
import subprocess

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def blocks(path, language="sh"):
    """The code blocks of a document in this language."""
    text = open(os.path.join(ROOT, path)).read()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def execute(script, folder, timeout, environment=None):
    """Runs a script; returns its exit code and output. Kills it and its children after the timeout."""
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

