"""Renders the Helm chart with all its values, validates what comes of it, and starts the program with it."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from certificates import Authority
from chart_objects import CHART, NAME, annotations, container, environment, everything, one, settings, template, variables
from common import Help, expect
from schemas import check_schema

AUTHORITY = "enterpriseManager.pins=null,enterpriseManager.pinKey=,enterpriseManager.caKey=em.pem"
STARTS_WITHIN = 20.0


def check_everything(mesh: str, program: str, says: Help) -> None:
    """All values together give valid objects, which the program accepts."""
    for objects in (everything(mesh), everything(mesh, AUTHORITY)):
        for each in objects:
            check_schema(each)
            expect(each["metadata"]["labels"]["team"] == "reports", f"{each['kind']} lacks the labels of all objects")
            expect(each["metadata"]["namespace"] == NAME, f"{each['kind']} is in another namespace")
        unknown = {name for name in variables(objects) if name.startswith("GATEWAY_")} - says.known
        expect(not unknown, f"the program does not know {sorted(unknown)}")
        check_start(program, objects)
    pod = one(objects, "Deployment")["spec"]["template"]["spec"]
    expect("runAsUser" not in pod["securityContext"], "null does not remove a default")
    expect(container(objects)["image"].endswith("@sha256:" + "0123456789abcdef" * 4), "the digest is not the image's")
    check_monitoring(objects)


def check_start(program: str, objects: list) -> None:
    """The program starts with these settings, so it accepts every value; with other addresses, and files here."""
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority("the cluster")
        tls, secret = Path(f"{folder}/run/secrets/tls"), Path(f"{folder}/run/secrets/enterprise-manager")
        for each in (tls, secret):
            each.mkdir(parents=True)
        authority.issue("spiffe://mesh.example/ns/a/sa/b", tls)
        (secret / "em-password").write_text("simulated")
        (secret / "token-key").write_bytes(os.urandom(32))
        (secret / "pins.txt").write_text("ab" * 32)
        (secret / "em.pem").write_bytes((tls / "ca.crt").read_bytes())
        here = f"{folder}/run/secrets/"
        given = {name: value.replace("/run/secrets/", here) for name, value in variables(objects).items()}
        given |= {"GATEWAY_LISTEN": "127.0.0.1:0", "GATEWAY_ADMIN_LISTEN": "127.0.0.1:0"}
        log = Path(folder) / "log"
        with log.open("w") as output:
            started = subprocess.Popen([program, *container(objects)["args"]], env=given, stderr=output)
        try:
            end = time.monotonic() + STARTS_WITHIN
            while '"message":"serving"' not in log.read_text():
                in_time = time.monotonic() < end and started.poll() is None
                expect(in_time, f"the program does not start with all values: {log.read_text()}")
                time.sleep(0.05)
        finally:
            started.send_signal(signal.SIGKILL)
            started.wait()


def check_monitoring(objects: list) -> None:
    """Alerts and dashboard are those of deploy/, with links to the runbook of the values."""
    rules = Path("deploy/prometheus/rules.yml").read_text()
    by_label = r"\{\{ with \$externalLabels\.runbook \}\}.*?\{\{ end \}\}"
    linked = re.sub(by_label, "https://wiki.example/runbook.md", rules)
    expect(linked != rules and one(objects, "PrometheusRule")["spec"] == yaml.safe_load(linked), "other alerts")
    plain = template("--values", CHART / "examples/none.yaml", "--set", "prometheusRule.enabled=true")
    expect(one(plain, "PrometheusRule")["spec"] == yaml.safe_load(rules), "other alerts without a runbook")
    (dashboard,) = [e for e in objects if e["kind"] == "ConfigMap" and e is not settings(objects)]
    expect(dashboard["metadata"]["labels"]["show"] == "yes", "Grafana's sidecar does not find the dashboard")
    shipped = json.loads(Path("deploy/grafana/dashboard.json").read_text())
    expect(json.loads(*dashboard["data"].values()) == shipped, "another dashboard")


def check_that_every_setting_can_be_set(says: Help) -> None:
    """Nobody needs GATEWAY_ variables in extraEnv, which are refused."""
    objects = everything("none")
    can_be_set = variables(objects).keys() | variables(everything("none", AUTHORITY)).keys()
    expect(says.known <= can_be_set, f"no value sets {sorted(says.known - can_be_set)}")
    expect(variables(objects)["GATEWAY_MAX_WATCHES"] == "1000000", "large numbers are not written out")


def check_that_no_other_source_overrides_the_chart(says: Help) -> None:
    """A Secret of extraEnvFrom, whatever is in it, changes no variable that the chart sets, nor one from which other
    objects follow: the probes, the Service and the NetworkPolicy would no longer fit."""
    other = dict.fromkeys(says.known, "other")
    more = "extraEnvFrom[0].secretRef.name=more,settings.lameDuck=null,settings.drainTimeout=null"
    for mesh in ("none", "istio", "linkerd"):
        for objects in (everything(mesh), template("--values", CHART / f"examples/{mesh}.yaml", "--set", more)):
            for name, value in environment(objects, {"more": other}).items():
                expect(value == variables(objects).get(name, "other"), f"{mesh}: extraEnvFrom overrides {name}")
            followed = {"MAX_DEADLINE", "LAME_DUCK", "DRAIN_TIMEOUT", "LISTEN", "ADMIN_LISTEN", "EM_URL"}
            missing = {f"GATEWAY_{name}" for name in followed} - variables(objects).keys()
            expect(not missing, f"{mesh}: extraEnvFrom may set {sorted(missing)}")
        for name in ("GATEWAY_MAX_DEADLINE", "GATEWAY_LAME_DUCK", "GATEWAY_DRAIN_TIMEOUT"):
            expect(variables(objects)[name] == says.defaults[name], f"{name} is not the program's default")


def check_times_and_ports() -> None:
    """Times and ports that depend on other values, with the values of `everything.yaml`."""
    # Lame duck 7.5 s, drain 60 s, logoff and traces 4 s; longest deadline 90 s.
    istio, linkerd = everything("istio"), everything("linkerd")
    for objects in (istio, linkerd):
        pod = one(objects, "Deployment")["spec"]["template"]["spec"]
        expect(pod["terminationGracePeriodSeconds"] == 78, "the grace period does not follow from the times to stop")
        rules = one(objects, "NetworkPolicy")["spec"]["egress"]
        left = [port["port"] for rule in rules for port in rule.get("ports", [])]
        expect({9399, 14317} <= set(left), f"connections may leave to {left}")
    notes = annotations(istio)
    expect(notes["traffic.sidecar.istio.io/excludeOutboundPorts"] == "9399", f"{notes}")
    expect('MINIMUM_DRAIN_DURATION: "9s"' in notes["proxy.istio.io/config"], f"{notes}")
    expect(one(istio, "VirtualService")["spec"]["http"][2]["timeout"] == "91s", "the timeout of calls")
    expect(one(istio, "VirtualService")["spec"]["hosts"] == [f"sessions.{NAME}.svc.cluster.example"], "the host")
    allowed = one(istio, "AuthorizationPolicy")["spec"]["rules"][0]["from"][0]["source"]["principals"]
    ids = [f"mesh.example/ns/{each}" for each in ("reports/sa/nightly", "billing/sa/*")]
    expect(allowed == ["billing.example", *ids], allowed)
    notes = annotations(linkerd)
    expect(notes["config.linkerd.io/skip-outbound-ports"] == "9399", f"{notes}")
    expect(notes["config.alpha.linkerd.io/proxy-wait-before-exit-seconds"] == "73", f"{notes}")
    route = one([e for e in linkerd if e["metadata"]["name"].endswith("-calls")], "GRPCRoute")
    expect(route["metadata"]["annotations"]["timeout.linkerd.io/request"] == "91s", f"{route}")
    allowed = one(linkerd, "MeshTLSAuthentication")["spec"]["identities"]
    ids = [f"{each}.serviceaccount.identity.l5d.mesh.example" for each in ("nightly.reports", "*.billing")]
    expect(allowed == ["billing.example", *ids], allowed)


def check_pods_and_replicas() -> None:
    """What replaces pods, where they connect to, and how many there are."""
    # A changed setting replaces the pods; whatever else is changed does not.
    sums = {annotations(template("--values", CHART / "examples/none.yaml", *more))["checksum/settings"]
            for more in ([], ["--set", "serviceMonitor.enabled=false"], ["--set", "settings.workers=3"])}  # fmt: skip
    expect(len(sums) == 2, "the checksum does not follow the settings alone")
    # The default ports of an address without one.
    for url, port in {"https://em.example": 443, "http://em.example/path": 80, "https://[fd00::7]:9398": 9398}.items():
        only_url = f"enterpriseManager.url={url},enterpriseManager.allowPlaintext=true"
        policy = one(template("--values", CHART / "examples/none.yaml", "--set", only_url), "NetworkPolicy")["spec"]
        expect(policy["egress"][1]["ports"] == [{"port": port}], f"{url}: {policy['egress'][1]}")
    # Without the autoscaler the number of replicas stands in the Deployment.
    fixed = template("--values", CHART / "examples/none.yaml", "--set", "autoscaling.enabled=false,replicas=2")
    expect(one(fixed, "Deployment")["spec"]["replicas"] == 2, "the number of replicas")
    expect(all(each["kind"] != "HorizontalPodAutoscaler" for each in fixed), "there is an autoscaler")
