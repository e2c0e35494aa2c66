"""Checks the Helm chart: against the overlays, the schemas, the program, and wrong values.

Usage: chart.py HELM FOLDER PROGRAM. FOLDER has each overlay, rendered, as plain.yaml, istio.yaml and linkerd.yaml.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from chart_documents import check_documents
from chart_equal import normal, same_as_the_overlay
from chart_everything import (
    check_everything,
    check_pods_and_replicas,
    check_that_every_setting_can_be_set,
    check_that_no_other_source_overrides_the_chart,
    check_times_and_ports,
)
from chart_objects import CHART, EVERYTHING, NAME, helm, one, template
from common import Help, expect

FOLDER, PROGRAM = sys.argv[2:]
MESHES = {"none": "plain", "istio": "istio", "linkerd": "linkerd"}

# Wrong values, and what the message has to say.
WRONG = {
    "mesh=consul": "/mesh': value must be one of 'none', 'istio', 'linkerd'",
    "enterpriseManager.password=secret": "additional properties 'password' not allowed",
    "enterpriseManager.url=em.example:9398": "/enterpriseManager/url': 'em.example:9398' does not match",
    "enterpriseManager.url=": "enterpriseManager.url is required",
    "enterpriseManager.username=": "enterpriseManager.username is required",
    "enterpriseManager.url=http://em.example:9399": "set enterpriseManager.allowPlaintext",
    "enterpriseManager.pins[0]=12ab": "/enterpriseManager/pins/0': '12ab' does not match",
    f"enterpriseManager.caKey=ca.crt,enterpriseManager.pins[0]={'ab' * 32}": "enterpriseManager.caKey excludes",
    "image.repository=": "image.repository is required",
    "image.digest=latest": "/image/digest': 'latest' does not match",
    "tls.enabled=maybe": "/tls/enabled': value must be one of 'auto', true, false",
    "tls.enabled=true,mesh=istio": "tls.enabled has to be auto or false in a mesh",
    "tls.enabled=false": "without a mesh and without tls.clientCertificates, callers have no names",
    "tls.clientCertificates=false": "without a mesh and without tls.clientCertificates, callers have no names",
    "callers.any=true": "callers.any excludes",
    "callers.serviceAccounts=null": "who may call?",
    "callers.serviceAccounts[0].name=a/b": "/callers/serviceAccounts/0/name': 'a/b' does not match",
    "callers.trustedProxies[0]=loopback": "callers.trustedProxies needs callers.identity",
    "settings.emConcurency=4": "additional properties 'emConcurency' not allowed",
    "settings.lameDuck=5": "/settings/lameDuck': got number, want string",
    "settings.drainTimeout=20sec": "/settings/drainTimeout': '20sec' does not match",
    "settings.emBatch=151": "/settings/emBatch': maximum: got 151, want 150",
    "settings.workers=0": "/settings/workers': minimum: got 0, want 1",
    "settings.reuseCapacity=64MB": "/settings/reuseCapacity': '64MB' does not match",
    "autoscaling.minReplicas=13": "autoscaling.minReplicas is greater than autoscaling.maxReplicas",
    "networkPolicy.enterpriseManagerBlocks[0]=192.0.2.7": "/networkPolicy/enterpriseManagerBlocks/0': '192.0.2.7' does",
    "extraEnv[0].name=GATEWAY_LISTEN,extraEnv[0].value=x": "extraEnv must not set GATEWAY_LISTEN",
    "extraEnv[0].name=OTEL_BSP_MAX_QUEUE_SIZE,extraEnv[0].value=5": "/extraEnv/0/value': got number, want string",
    "extraArgs[0]=--lame-duck,extraArgs[1]=9s": "extraArgs must not have --lame-duck:",
    "extraArgs[0]=--drain-timeout=9s": "extraArgs must not have --drain-timeout:",
    "extraArgs[0]=--listen=127.0.0.1:50051": "extraArgs must not have --listen:",
    "image.repository=registry.example:5000/gateway:0.1.0": "image.repository has a tag or digest",
    f"image.repository=registry.example/gateway@sha256:{'ab' * 32}": "image.repository has a tag or digest",
    "callers.identity=xfcc": "callers.identity: xfcc without a mesh needs callers.trustedProxies",
    "callers.identity=l5d-client-id": "callers.identity: l5d-client-id without a mesh needs callers.trustedProxies",
    "callers.identity=xfcc,mesh=linkerd": "callers.identity has to be empty with mesh: linkerd",
    "callers.identity=certificate,mesh=linkerd": "callers.identity has to be empty with mesh: linkerd",
    "callers.identity=certificate,mesh=istio": "callers.identity has to be empty with mesh: istio",
    "callers.podLabels=null": "callers.podLabels has to have a label",
    "callers.podLabels.replica-session-gateway/caller=null": "/callers/podLabels': minProperties: got 0, want 1",
    "nameOverride=replica.sessions": "/nameOverride': 'replica.sessions' does not match",
    "fullnameOverride=replica.sessions": "/fullnameOverride': 'replica.sessions' does not match",
    "fullnameOverride=9sessions": "/fullnameOverride': '9sessions' does not match",
    "settings.watchHeartbeat=4m1s": "settings.watchHeartbeat: 4m1s is not from 1s to 4m",
    "settings.watchHeartbeat=999ms": "settings.watchHeartbeat: 999ms is not from 1s to 4m",
    "settings.maxDeadline=0s": "settings.maxDeadline is zero",
    "settings.watchIntervalMax=0m": "settings.watchIntervalMax is zero",
    "replicaCount=3": "additional properties 'replicaCount' not allowed",
}


def main() -> None:
    says = Help(subprocess.run([PROGRAM, "serve", "--help"], capture_output=True, text=True, check=True).stdout)
    check_documents(CHART, Path(PROGRAM))
    check_versions()
    check_lint()
    for mesh, overlay in MESHES.items():
        objects = template("--values", CHART / f"examples/{mesh}.yaml")
        same_as_the_overlay(objects, Path(FOLDER) / f"{overlay}.yaml")
        check_everything(mesh, PROGRAM, says)
    check_that_every_setting_can_be_set(says)
    check_that_no_other_source_overrides_the_chart(says)
    check_times_and_ports()
    check_pods_and_replicas()
    check_two_releases()
    check_as_a_dependency()
    for wrong, message in WRONG.items():
        shown = helm("template", NAME, CHART, "--values", CHART / "examples/none.yaml", "--set", wrong, fails=True)
        expect(message in shown, f"--set {wrong} ends with {shown!r}, which does not say {message!r}")
    shown = helm("template", "night.reports", CHART, "--values", CHART / "examples/none.yaml", fails=True)
    expect("no Service can be called night.reports-" in shown, f"a release with a dot in its name ends with {shown!r}")
    fine = "callers.identity=xfcc,extraContainers[0].name=envoy,settings.watchHeartbeat=4m,settings.reuseFinished=0s"
    template("--values", CHART / "examples/none.yaml", "--set", f"{fine},image.repository=[::1]:5000/gateway")
    print(f"chart: equal to {len(MESHES)} overlays; refuses {len(WRONG)} wrong values with a clear message", flush=True)


def check_versions() -> None:
    version = re.search(r'^version = "(.+)"$', Path("Cargo.toml").read_text(), re.M)[1]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    expect(chart["version"] == chart["appVersion"] == version, f"the chart's versions are not {version}")


def check_lint() -> None:
    helm("lint", "--strict", CHART)
    for each in [*(CHART / "examples").iterdir(), EVERYTHING]:
        shown = helm("lint", "--strict", CHART, "--values", each)
        expect("[WARNING]" not in shown and "[ERROR]" not in shown, f"{each}: {shown}")


def check_two_releases() -> None:
    """Two releases in one namespace have no object in common, and select their own pods only."""
    first, second = (template("--values", CHART / "examples/none.yaml", name=name) for name in ("day", "night"))
    names = [{(each["kind"], each["metadata"]["name"]) for each in objects} for objects in (first, second)]
    expect(not names[0] & names[1], f"both have {names[0] & names[1]}")
    labels = one(second, "Deployment")["spec"]["template"]["metadata"]["labels"]
    for each in first:
        selector = each["spec"].get("selector", {}) if each["kind"] == "Service" else None
        expect(selector is None or not selector.items() <= labels.items(), f"{each['kind']} selects another's pods")


def check_as_a_dependency() -> None:
    """Another chart can have this one as a dependency, with global values, which the schema lets pass."""
    with tempfile.TemporaryDirectory() as folder:
        parent = Path(folder) / "parent"
        (parent / "charts").mkdir(parents=True)
        helm("package", CHART, "--destination", parent / "charts")
        (parent / "Chart.yaml").write_text("apiVersion: v2\nname: parent\nversion: 1.0.0\n")
        own = yaml.safe_load((CHART / "examples/none.yaml").read_text())
        (parent / "values.yaml").write_text(yaml.safe_dump({"global": {"region": "north"}, NAME: own}))
        shown = helm("template", NAME, parent, "--namespace", NAME)
    objects = [each for each in yaml.safe_load_all(shown) if each]
    alone = template("--values", CHART / "examples/none.yaml")
    expect(normal(objects) == normal(alone), "as a dependency, the chart gives other objects")


main()
