"""Checks one rendered overlay against the schemas and against the program."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

import running
from callers import check_callers
from common import Help, expect, only, seconds
from probes import check_probes
from program import Program
from routes import check_routes
from schemas import check_schema

# Time for the logoff and for the last spans, 2 s each.
LAST = 4.0


def main() -> None:
    rendered, program = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
    mesh = rendered.stem
    objects = [each for each in yaml.safe_load_all(rendered.read_text()) if each]
    for each in objects:
        check_schema(each)
    kinds = {each["kind"]: each for each in objects}
    deployment = kinds["Deployment"]["spec"]
    pod = deployment["template"]["spec"]
    container = only(c for c in pod["containers"] if c["name"] == "gateway")
    settings = environment(container, kinds["ConfigMap"])
    shown = subprocess.run([program, "serve", "--help"], capture_output=True, text=True, check=True)
    says = Help(shown.stdout)

    # Traces are off by default: the address is in a comment.
    env = Path("deploy/kubernetes/base/gateway.env").read_text()
    collector = int(only(re.findall(r"^# OTEL_EXPORTER_OTLP_ENDPOINT=http://[^:]+:(\d+)$", env, re.M)))

    unknown = set(settings) - says.known
    expect(not unknown, f"the program does not know {sorted(unknown)}")
    check_image(settings)
    times = check_times(pod, settings)
    check_memory(container, settings, says)
    check_hardening(pod, container)
    check_selectors(kinds, deployment)
    with tempfile.TemporaryDirectory() as folder:
        started = Program(program, container, pod, settings, collector, Path(folder))
        try:
            ports = running.check_ports(mesh, objects, container, settings, collector, says, started)
            running.check_services(objects, deployment["template"]["metadata"]["labels"], ports, started)
            check_probes(container, ports, started)
            running.check_scaling(objects, pod, settings, ports, started)
            check_callers(mesh, ports["grpc"], ports["admin"], started)
            running.check_mesh(mesh, objects, deployment, ports, times)
            in_effect = says.defaults | settings
            longest, heartbeat = (seconds(in_effect[f"GATEWAY_{name}"]) for name in ("MAX_DEADLINE", "WATCH_HEARTBEAT"))
            check_routes(objects, started.methods(ports["grpc"]), longest, heartbeat)
            took = running.check_stop(pod, container, ports, started)
        finally:
            started.stop_for_good()
    print(f"{mesh}: {len(objects)} objects are valid and fit the program, which ended within {took:.0f} s", flush=True)


def environment(container: dict, config_map: dict) -> dict:
    only(
        source
        for source in container["envFrom"]
        if source["configMapRef"]["name"] == config_map["metadata"]["name"]
    )
    own = {each["name"]: each["value"] for each in container["env"]}
    return {**config_map["data"], **own}


def check_image(settings: dict) -> None:
    image = dict(re.findall(r"(GATEWAY_\w+)=(\S+)", Path("Dockerfile").read_text()))
    for name in ("GATEWAY_LISTEN", "GATEWAY_ADMIN_LISTEN"):
        expect(image[name] == settings[name], f"{name} in the image differs")


def check_times(pod: dict, settings: dict) -> tuple[float, float, float]:
    """Returns the lame-duck time, the time that the gateway needs to stop, and the pod's grace
    period."""
    lame_duck = seconds(settings["GATEWAY_LAME_DUCK"])
    needed = lame_duck + seconds(settings["GATEWAY_DRAIN_TIMEOUT"]) + LAST
    grace = pod["terminationGracePeriodSeconds"]
    expect(grace >= needed + 3, f"the grace of {grace} s is too short for {needed} s and a margin")
    container = only(c for c in pod["containers"] if c["name"] == "gateway")
    probe = container["readinessProbe"]
    noticed = probe["periodSeconds"] * probe["failureThreshold"]
    expect(lame_duck > noticed, "the lame duck is over before the probe has noticed")
    return lame_duck, needed, grace


def check_memory(container: dict, settings: dict, says: Help) -> None:
    def setting(name: str) -> int:
        return int((says.defaults | settings)[f"GATEWAY_{name}"].removesuffix("MiB"))

    # The costs in MiB, as measured in docs/scaling.md.
    needed = 25 + setting("REUSE_CAPACITY")
    needed += setting("MAX_CONNECTIONS") * 56 / 1024 + setting("MAX_IN_FLIGHT") * 19 / 1024
    limit = int(container["resources"]["limits"]["memory"].removesuffix("Mi"))
    expect(limit >= 1.5 * needed, f"{limit} MiB are too few for {needed:.0f} MiB and a margin")


def check_hardening(pod: dict, container: dict) -> None:
    own, all_of_it = container["securityContext"], pod["securityContext"]
    image_user = re.search(r"^USER (\d+):\d+$", Path("Dockerfile").read_text(), re.M)[1]
    expect(all_of_it["runAsUser"] == int(image_user), "the pod's user is not the image's")
    expect(
        all_of_it["runAsNonRoot"]
        and all_of_it["seccompProfile"] == {"type": "RuntimeDefault"}
        and own["readOnlyRootFilesystem"]
        and own["allowPrivilegeEscalation"] is False
        and own["capabilities"] == {"drop": ["ALL"]},
        "the pod does not comply with the restricted standard",
    )


def check_selectors(kinds: dict, deployment: dict) -> None:
    labels = deployment["template"]["metadata"]["labels"].items()
    name = {"app.kubernetes.io/name": "replica-session-gateway"}
    for selector in (
        deployment["selector"]["matchLabels"],
        kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        kinds["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ):
        expect(selector == name and selector.items() <= labels, f"{selector} selects other pods")
    caller = kinds["NetworkPolicy"]["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
    expect(caller == {"replica-session-gateway/caller": "true"}, "callers need another label as well")
    scaled = kinds["HorizontalPodAutoscaler"]["spec"]
    expect(scaled["scaleTargetRef"]["name"] == kinds["Deployment"]["metadata"]["name"], "the autoscaler scales something else")
    expect(scaled["minReplicas"] == 3 and "replicas" not in deployment, "something else than the autoscaler sets the number of replicas")


main()
