"""Checks how meshes treat each method of the running program: their timeouts and retries."""

from pathlib import Path
from typing import NamedTuple

import yaml

from common import expect, only, seconds

# Seconds beyond the gateway's longest deadline, so that the gateway, and not the mesh, ends a late
# call.
BEYOND = 1
# Seconds of silence after which Envoy, and so Istio's sidecar, ends a stream unless its route says otherwise.
IDLE = 300
HEALTH_WATCH = "/grpc.health.v1.Health/Watch"
RETRIED = {"reset", "connect-failure", "refused-stream", "unavailable"}


class Route(NamedTuple):
    """How a mesh treats a call. A timeout of 0 s is no limit; without retries, there is no time per
    try. `idle` is the longest silence."""

    timeout: float
    retries: int = 0
    per_try: float = 0
    retry_on: frozenset = frozenset()
    idle: float = IDLE


def check_routes(objects: list, methods: dict[str, bool], longest: float, heartbeat: float) -> None:
    """Calls have a timeout and retries; streams have neither, and heartbeats in time for the limit of silence. Health that
    is watched through the mesh would be that of one replica: meshes that can answer themselves do."""
    kinds = {each["kind"] for each in objects}
    meshes = {"envoy": envoy_route}
    if "VirtualService" in kinds:
        meshes["istio"] = lambda path: istio_route(objects, path)
    if "GRPCRoute" in kinds:
        meshes["linkerd"] = lambda path: linkerd_route(objects, path)
    expect(any(methods.values()) and not all(methods.values()), f"{methods} has no stream, or nothing else")
    for mesh, route_of in meshes.items():
        for path, is_stream in methods.items():
            check_route(f"{mesh}, {path}", route_of(path), is_stream, longest, heartbeat)
    answered = {"envoy": envoy_routes(HEALTH_WATCH)[0].get("direct_response")}
    if "istio" in meshes:
        answered["istio"] = istio_match(objects, HEALTH_WATCH).get("directResponse")
    for mesh, answer in answered.items():
        # Which gRPC's clients take for UNIMPLEMENTED.
        expect(answer == {"status": 404}, f"{mesh} passes on {HEALTH_WATCH}: {answer}")


def check_route(what: str, route: Route, is_stream: bool, longest: float, heartbeat: float) -> None:
    if is_stream:
        expect(route == Route(timeout=0, idle=route.idle), f"{what}: a stream with a timeout or retries: {route}")
        # One heartbeat may be late.
        expect(route.idle >= 2 * heartbeat, f"{what}: cut after {route.idle} s, with heartbeats every {heartbeat} s")
        return
    expect(route.timeout == longest + BEYOND, f"{what}: a timeout of {route.timeout} s, but the gateway may take {longest} s")
    expect(route.retries == 2, f"{what}: {route.retries} retries")
    expect(0 < route.per_try * 2 < longest, f"{what}: {route.per_try} s for one try")
    expect(route.retry_on and route.retry_on <= RETRIED, f"{what}: retries on {set(route.retry_on)}")
    expect("unavailable" in route.retry_on, f"{what}: no retries on unavailable")


def istio_match(objects: list, path: str) -> dict:
    """The route that takes this path."""
    service = only(each for each in objects if each["kind"] == "VirtualService")["spec"]
    for route in service["http"]:
        if not route.get("match") or any(match.get("uri") == {"exact": path} for match in route["match"]):
            return route
    raise SystemExit(f"error: no route takes {path}")


def istio_route(objects: list, path: str) -> Route:
    route = istio_match(objects, path)
    retries = route["retries"]
    if not retries["attempts"]:
        return Route(seconds(route["timeout"]))
    return Route(
        seconds(route["timeout"]),
        retries["attempts"],
        seconds(retries["perTryTimeout"]),
        frozenset(retries["retryOn"].split(",")),
    )


def linkerd_route(objects: list, path: str) -> Route:
    """A route that names the method takes precedence over one that names none. Without a timeout, the
    caller's applies."""
    service, method = path.strip("/").split("/")
    named = {"type": "Exact", "service": service, "method": method}
    routes = [each for each in objects if each["kind"] == "GRPCRoute"]
    naming = [each for each in routes if matches(each, named)]
    route = only(naming or [each for each in routes if matches(each, None)])
    own = route["metadata"].get("annotations", {})
    # A route without annotations would inherit those of its Service.
    parent = route["spec"]["parentRefs"][0]["name"]
    services = {each["metadata"]["name"]: each["metadata"] for each in objects if each["kind"] == "Service"}
    inherited = services[parent].get("annotations", {})
    expect(not any("retry." in name or "timeout." in name for name in inherited), f"{inherited} is for all methods")
    timeout = seconds(own.get("timeout.linkerd.io/request", "0s"))
    if "retry.linkerd.io/grpc" not in own:
        return Route(timeout)
    return Route(
        timeout,
        int(own["retry.linkerd.io/limit"]),
        seconds(own["retry.linkerd.io/timeout"]),
        frozenset(own["retry.linkerd.io/grpc"].split(",")),
    )


def matches(route: dict, method: dict | None) -> bool:
    return any(
        method in [match.get("method") for match in rule.get("matches", [{}])] for rule in route["spec"]["rules"]
    )


def envoy_routes(path: str) -> list[dict]:
    """The routes that take this path: those for it alone come first, and decide. All others, with and without the header,
    have to be equal."""
    document = yaml.safe_load(Path("deploy/envoy/envoy.yaml").read_text())
    (chain,) = document["static_resources"]["listeners"][0]["filter_chains"]
    (host,) = chain["filters"][0]["typed_config"]["route_config"]["virtual_hosts"]
    expect("retry_policy" not in host, "retries for all routes of Envoy")
    routes = [each for each in host["routes"] if each["match"].get("path") == path]
    return routes or [each for each in host["routes"] if each["match"].get("prefix") == "/"]


def envoy_route(path: str) -> Route:
    return only({envoy_policy(each["route"]) for each in envoy_routes(path)})


def envoy_policy(route: dict) -> Route:
    policy = route.get("retry_policy")
    expect(route.get("max_grpc_timeout", "0s") == route["timeout"], "two different timeouts")
    idle = seconds(route["idle_timeout"]) if "idle_timeout" in route else IDLE
    if not policy:
        return Route(seconds(route["timeout"]), idle=idle)
    return Route(
        seconds(route["timeout"]),
        policy["num_retries"],
        seconds(policy["per_try_timeout"]),
        frozenset(policy["retry_on"].split(",")),
        idle,
    )
