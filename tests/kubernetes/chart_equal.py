"""Compares the Helm chart with the overlays."""

import sys
from pathlib import Path

import yaml

from chart_objects import NAME, container, one, settings, variables
from common import expect

# What only Helm adds. The chart selects by the instance as well, since there may be two in one namespace.
OF_HELM = {
    "app.kubernetes.io/instance": NAME,
    "app.kubernetes.io/version": None,
    "app.kubernetes.io/managed-by": "Helm",
    "helm.sh/chart": None,
}
# Lists whose order has no meaning, by the name of the field.
UNORDERED = {"env", "volumes", "volumeMounts"}


def same_as_the_overlay(objects: list, overlay: Path) -> None:
    of_overlay = [each for each in yaml.safe_load_all(overlay.read_text()) if each]
    own, other = normal(objects), normal(of_overlay)
    expect(own.keys() == other.keys(), f"{overlay}: only one has {sorted(own.keys() ^ other.keys())}")
    for key, each in own.items():
        for path, one, two in differences(each, other[key], ""):
            sys.exit(f"error: {overlay}, {key}: {path} is {one!r} in the chart and {two!r} in the overlay")


def normal(objects: list) -> dict:
    """The objects by kind and name, without what Helm and kustomize have to do differently."""
    pod, own, config_map = one(objects, "Deployment")["spec"]["template"], container(objects), settings(objects)
    expect(own["envFrom"] == [{"configMapRef": {"name": config_map["metadata"]["name"]}}], "the pod has other settings")
    # Where a setting stands makes no difference: in the ConfigMap or in the pod.
    del own["envFrom"]
    together = variables(objects)
    expect(len(together) == len(own["env"]) + len(config_map["data"]), "a setting stands twice")
    own["env"] = [{"name": name, "value": value} for name, value in together.items()]
    # A changed setting replaces the pods: in the overlays, since the ConfigMap has another name.
    notes = pod["metadata"].get("annotations", {})
    notes.pop("checksum/settings", None)
    if not notes:
        pod["metadata"].pop("annotations", None)
    return {(e["kind"], e["metadata"]["name"]): without_helm(e) for e in objects if e["kind"] != "ConfigMap"}


def without_helm(part: object, field: str = "") -> object:
    if isinstance(part, dict):
        for name, value in OF_HELM.items():
            expect(name not in part or value in (None, part[name]), f"{name} is {part.get(name)!r}")
        return {name: without_helm(value, name) for name, value in part.items() if name not in OF_HELM}
    if isinstance(part, list):
        parts = [without_helm(each) for each in part]
        return sorted(parts, key=lambda each: each["name"]) if field in UNORDERED else parts
    return part


def differences(one: object, other: object, path: str):
    if isinstance(one, dict) and isinstance(other, dict):
        for name in one.keys() | other.keys():
            yield from differences(one.get(name), other.get(name), f"{path}.{name}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (first, second) in enumerate(zip(one, other)):
            yield from differences(first, second, f"{path}[{number}]")
    elif one != other:
        yield path, one, other
