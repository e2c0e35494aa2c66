"""Renders the Helm chart, and finds things in what comes of it."""

import subprocess
import sys
from pathlib import Path

import yaml

from common import expect, only

HELM = sys.argv[1]
CHART = Path("deploy/helm")
EVERYTHING = Path("tests/kubernetes/everything.yaml")
NAME = "replica-session-gateway"


def helm(*arguments: object, fails: bool = False) -> str:
    """What helm prints on standard output or, if it has to fail, on standard error."""
    done = subprocess.run([HELM, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    expect((done.returncode != 0) == fails, f"helm {arguments} ends with {done.returncode}: {done.stderr}")
    return done.stderr if fails else done.stdout


def template(*arguments: object, name: str = NAME) -> list:
    shown = helm("template", name, CHART, "--namespace", NAME, *arguments)
    return [each for each in yaml.safe_load_all(shown) if each]


def everything(mesh: str, *more: str) -> list:
    """All values together, but for those that contradict the mesh."""
    choice = "callers.identity=xfcc" if mesh == "none" else "tls.enabled=false"
    return template("--values", EVERYTHING, "--set", ",".join([f"mesh={mesh}", choice, *more]))


def one(objects: list, kind: str) -> dict:
    return only(each for each in objects if each["kind"] == kind)


def settings(objects: list) -> dict:
    """The ConfigMap of the settings; another one may have the dashboard."""
    return only(e for e in objects if e["kind"] == "ConfigMap" and not e["metadata"]["name"].endswith("-dashboard"))


def container(objects: list) -> dict:
    pod = one(objects, "Deployment")["spec"]["template"]["spec"]
    return only(each for each in pod["containers"] if each["name"] == "gateway")


def environment(objects: list, sources: dict) -> dict:
    """The variables that Kubernetes gives the gateway, if these sources have what they name: of a variable in several
    sources the last one counts, and one in `env` before all of them."""
    sources = sources | {settings(objects)["metadata"]["name"]: settings(objects)["data"]}
    given = {}
    for each in container(objects)["envFrom"]:
        given |= sources[(each.get("configMapRef") or each["secretRef"])["name"]]
    return given | {each["name"]: each["value"] for each in container(objects)["env"]}


def annotations(objects: list) -> dict:
    return one(objects, "Deployment")["spec"]["template"]["metadata"]["annotations"]


def variables(objects: list) -> dict:
    return settings(objects)["data"] | {each["name"]: each["value"] for each in container(objects)["env"]}
