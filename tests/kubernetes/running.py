"""Checks every port and path of an overlay against the running program."""

import re
import signal
import time
from pathlib import Path

import grpc

from common import Help, expect, only, port_of, seconds
from probes import asked
from program import SESSION, Program, accepts, get

# Ports that are not the gateway's: DNS, and those of the proxies, from Istio's and Linkerd's
# documentation.
NAMES = 53
MESH_IN = {"istio": set(), "linkerd": {4143}, "plain": set()}
MESH_OUT = {"istio": {15012}, "linkerd": {8080, 8086, 8090}, "plain": set()}


def check_ports(
    mesh: str, objects: list, container: dict, settings: dict, collector: int, says: Help, program: Program
) -> dict:
    """Checks the ports, and who may connect to them. Returns the ports by name."""
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for name, variable in (("grpc", "GATEWAY_LISTEN"), ("admin", "GATEWAY_ADMIN_LISTEN")):
        expect(ports[name] == port_of(says.defaults[variable]), f"{name} is not the program's default port")
    listening = program.listening()
    expect(set(ports.values()) == listening, f"the pod has {ports}, the program listens on {listening}")
    if (interfaces := Path("/proc/net/if_inet6")).exists() and interfaces.read_text():
        expect(all(accepts(port, "::1") for port in listening), "the program does not listen over IPv6")
    # Each port serves what its name says.
    expect(program.answers(ports["grpc"]), "the gRPC port returns no session")
    expect(program.http(ports["admin"], "/metrics")[0] == 200, "no metrics on the admin port")

    policy = only(each for each in objects if each["kind"] == "NetworkPolicy")["spec"]
    entered = {ports.get(port["port"], port["port"]) for rule in policy["ingress"] for port in rule["ports"]}
    expect(entered == listening | MESH_IN[mesh], f"the policy allows connections to {entered}, but the program listens on {listening}")
    blocks = [to["ipBlock"]["cidr"] for rule in policy["egress"] for to in rule["to"] if "ipBlock" in to]
    expect(("0.0.0.0/0" in blocks) == ("::/0" in blocks), f"the policy allows only one family: {blocks}")
    left = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    em = port_of(settings["GATEWAY_EM_URL"])
    needed = {NAMES, collector, em} | MESH_OUT[mesh]
    expect(left == needed, f"the policy allows connections from the pod to {left}, but it needs {needed}")
    # The session above came from the simulator on Enterprise Manager's usual port; the program sends traces
    # of that call.
    expect(program.sends_traces(), "the program sends no traces to the configured collector")
    return ports | {"Enterprise Manager": em}


def check_services(objects: list, pod_labels: dict, ports: dict, program: Program) -> None:
    speaks = {
        "grpc": program.answers,
        "kubernetes.io/h2c": program.answers,
        "http": lambda port: program.http(port, "/livez")[0] == 200,
    }
    services = [each for each in objects if each["kind"] == "Service"]
    for each in services:
        name = each["metadata"]["name"]
        expect(each["spec"]["selector"].items() <= pod_labels.items(), f"{name} selects other pods")
        for port in each["spec"]["ports"]:
            target = ports.get(port["targetPort"], port["targetPort"])
            # With a headless Service, callers connect to the pod's own port.
            expect(target == port["port"], f"{name}: {port} leads to {target}")
            expect(speaks[port["appProtocol"]](target), f"{name}: nothing speaks {port['appProtocol']} on {target}")
    for monitor in (each for each in objects if each["kind"] == "ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        service = only(each for each in services if wanted <= each["metadata"]["labels"].items())
        for endpoint in monitor["spec"]["endpoints"]:
            port = only(each for each in service["spec"]["ports"] if each["name"] == endpoint["port"])
            _, text = program.http(port["port"], endpoint.get("path", "/metrics"))
            expect("\ngrpc_server_handled_total{" in text, f"no metrics at {endpoint}")


def check_scaling(objects: list, pod: dict, settings: dict, ports: dict, program: Program) -> None:
    """The autoscaler's metrics exist, and so does each metric that the files here name."""
    _, text = program.http(ports["admin"], "/metrics")
    present = set(re.findall(r"^# TYPE (\w+) ", text, re.M))
    for metric in only(each for each in objects if each["kind"] == "HorizontalPodAutoscaler")["spec"]["metrics"]:
        if metric["type"] == "ContainerResource":
            resource = metric["containerResource"]
            only(each for each in pod["containers"] if each["name"] == resource["container"])
            expect(resource["name"] in ("cpu", "memory"), f"no resource is called {resource['name']}")
            most = 1000 * int(settings["GATEWAY_WORKERS"])
            goal = int(resource["target"]["averageValue"].removesuffix("m"))
            expect(resource["name"] != "cpu" or goal < most, f"{goal}m is more than the workers can use")
        else:
            name = metric.get(metric["type"].lower(), {}).get("metric", {}).get("name")
            expect(name in present, f"the program has no metric {name}")
    for document in Path("deploy/kubernetes").rglob("*.*"):
        named = set(re.findall(r"\bgateway_[a-z_]+", document.read_text()))
        expect(named <= present, f"{document} names {named - present}, which the program does not have")


def check_stop(pod: dict, container: dict, ports: dict, program: Program) -> float:
    """Stops a pod with a call in flight that never ends, and checks what kubelet and mesh observe."""
    with program.channel(ports["grpc"]) as channel:
        expect(get(channel)(SESSION, timeout=10), "no answer")
        hanging = program.begin_a_call_that_hangs(channel)
        while not re.search(r"^gateway_calls_in_flight 1$", program.http(ports["admin"], "/metrics")[1], re.M):
            expect(not hanging.done(), "the call ended too early")
            time.sleep(0.05)
        readiness, liveness = container["readinessProbe"], container["livenessProbe"]
        program.process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        # The slowest kubelet: it has probed just before, and removes the pod after this many failures.
        for _ in range(readiness["failureThreshold"]):
            time.sleep(readiness["periodSeconds"])
            expect(asked(readiness, ports, program) == 503, "a pod that drains is reported as ready")
            expect(asked(liveness, ports, program) == 200, "a pod that drains would be killed")
        # Only now do callers stop sending calls to the pod.
        expect(accepts(ports["grpc"]) and program.answers(ports["grpc"]), "the pod refuses calls while callers still send them")
        code = program.process.wait(timeout=pod["terminationGracePeriodSeconds"] - (time.monotonic() - begun))
        expect(code == 0, f"the program ended with {code}: {program.log.read_text()}")
        expect(hanging.code() == grpc.StatusCode.UNAVAILABLE, f"the call in flight ended with {hanging.code()}")
    return time.monotonic() - begun


def check_mesh(mesh: str, objects: list, deployment: dict, ports: dict, times: tuple) -> None:
    """Checks which ports bypass the sidecars, and how long the sidecars outlive the gateway."""
    annotations = deployment["template"]["metadata"].get("annotations", {})
    past = {"istio": ("traffic.sidecar.istio.io/exclude{}boundPorts", "In", "Out"),
            "linkerd": ("config.linkerd.io/skip-{}bound-ports", "in", "out")}.get(mesh)  # fmt: skip
    if not past:
        return
    name, inward, outward = past
    expect(annotations[name.format(inward)] == str(ports["admin"]), "other ports than the admin listener's bypass the mesh")
    expect(annotations[name.format(outward)] == str(ports["Enterprise Manager"]), "connections to EM do not bypass the mesh")
    lame_duck, in_all, grace = times
    if mesh == "istio":
        policy = only(each for each in objects if each["kind"] == "AuthorizationPolicy")["spec"]
        allowed = [each["operation"]["ports"] for rule in policy["rules"] for each in rule["to"]]
        expect(allowed == [[str(ports["grpc"])]], f"callers may call {allowed}")
        drain = re.search(r'MINIMUM_DRAIN_DURATION: "(\w+)"', annotations["proxy.istio.io/config"])[1]
        expect(lame_duck < seconds(drain) < grace, f"the sidecar ends after {drain}, but the lame duck takes {lame_duck} s")
        check_hosts(objects)
    else:
        waits = int(annotations["config.alpha.linkerd.io/proxy-wait-before-exit-seconds"])
        expect(in_all < waits < grace, f"the proxy waits {waits} s, but the gateway takes {in_all} s")
        server = only(each for each in objects if each["kind"] == "Server")["spec"]
        expect(ports.get(server["port"]) == ports["grpc"], f"{server['port']} is guarded")
        for route in (each["spec"] for each in objects if each["kind"] == "GRPCRoute"):
            for each in route["parentRefs"] + [each for rule in route["rules"] for each in rule["backendRefs"]]:
                expect(names_service(objects, each["name"], each["port"]), f"no Service has {each}")


def check_hosts(objects: list) -> None:
    """Istio's objects refer to the Service for callers."""
    rules = [each["spec"]["host"] for each in objects if each["kind"] == "DestinationRule"]
    for each in (each["spec"] for each in objects if each["kind"] == "VirtualService"):
        rules += each["hosts"] + [to["destination"]["host"] for route in each["http"] for to in route.get("route", [])]
    for host in rules:
        name, namespace = host.removesuffix(".svc.cluster.local").split(".")
        expect(names_service(objects, name, None, namespace), f"{host} is no Service")


def names_service(objects: list, name: str, port: int | None, namespace: str | None = None) -> bool:
    for each in (each for each in objects if each["kind"] == "Service"):
        own = each["metadata"]
        if own["name"] == name and namespace in (None, own["namespace"]):
            return port is None or port in [one["port"] for one in each["spec"]["ports"]]
    return False
