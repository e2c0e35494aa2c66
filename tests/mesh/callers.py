"""Checks of who calls: through Envoy, which tells the gateway, and past it."""

import json
import re

import grpc
from enterprisemanager.v1 import replica_session_service_pb2_grpc as rpc

from certificates import CALLER, HOST
from json_calls import UNKNOWN, curl
from load import SESSION, ask, channel, reason
from parts import GATEWAY_PORT, expect

XFCC = "x-forwarded-client-cert"
# What somebody sends who wants to pass for the caller, or for somebody in its place.
FORGED = [
    f"URI={CALLER}",
    f'By=spiffe://a;Hash=0a;URI={CALLER},By="',
    f'URI={CALLER};Subject="',
    '",;=',
]


async def outcome(tls, target=None, session=SESSION, metadata=()) -> str:
    """How a call ends: its code, and the gateway's reason."""
    async with channel(tls, **({"target": target} if target else {})) as own:
        try:
            await ask(rpc.ReplicaSessionServiceStub(own), session, timeout=5, metadata=metadata)
            return "OK"
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name} {reason(error)}".strip()


def counted(mesh, what: str) -> int:
    name = rf'^gateway_caller_headers_total{{outcome="{what}"}} (\d+)$'
    return sum(int(re.search(name, each.get("/metrics"), re.M)[1]) for each in mesh.gateways)


def named(mesh) -> list[str | None]:
    """The callers in the log lines about failed calls. Those that follow the first one have a line together."""
    lines = [line for each in mesh.gateways for line in each.log().splitlines() if '"SESSION_NOT_FOUND"' in line]
    return [json.loads(line).get("caller") for line in lines]


async def envoy_says_who_calls_and_nobody_else_can(mesh):
    used, unreadable, before = counted(mesh, "used"), counted(mesh, "unreadable"), len(named(mesh))
    # Through Envoy a caller is who its certificate says, whatever it sends.
    for forged in [None, *FORGED]:
        metadata = [(XFCC, forged)] if forged else []
        ended = await outcome(mesh.caller_tls, session=UNKNOWN, metadata=metadata)
        expect(ended == "NOT_FOUND SESSION_NOT_FOUND", f"through Envoy with {forged}: {ended}")
    status, text = await curl(mesh.caller_tls, "Get", json.dumps({"id": UNKNOWN}), "--header", f"{XFCC}: {FORGED[1]}")
    expect(status == 404, f"in JSON: {status} {text}")
    callers = named(mesh)
    expect(len(callers) > before and set(callers) == {f"{CALLER} {HOST}"}, f"the log names {callers}")
    expect(counted(mesh, "used") == used + 6, "a header from Envoy was not believed")
    expect(counted(mesh, "unreadable") == unreadable, "a header from Envoy was not readable")

    # Past Envoy: whoever is not allowed cannot pass for somebody who is.
    direct, untrusted = f"{mesh.gateways[0].address}:{GATEWAY_PORT}", counted(mesh, "untrusted")
    for forged in FORGED:
        ended = await outcome(mesh.intruder_tls, direct, metadata=[(XFCC, forged)])
        expect(ended == "PERMISSION_DENIED CALLER_NOT_ALLOWED", f"past Envoy with {forged}: {ended}")
    expect(counted(mesh, "untrusted") == untrusted + len(FORGED), "a forged header was not counted")
    # A caller that is allowed is so by its own certificate.
    ended = await outcome(mesh.caller_tls, direct, metadata=[(XFCC, "URI=spiffe://cluster.local/ns/reports/sa/other")])
    expect(ended == "OK", f"a caller past Envoy: {ended}")
    # Envoy's own certificate names no caller.
    ended = await outcome(mesh.envoy.folder / "tls", direct)
    expect(ended == "PERMISSION_DENIED CALLER_NOT_ALLOWED", f"Envoy without a header: {ended}")
    return f"{len(FORGED)} forged headers, through Envoy and past it"
