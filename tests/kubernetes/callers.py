"""Checks whom the running program takes for the caller, behind the sidecar of each mesh."""

import re
import socket
import threading
from pathlib import Path

import grpc

from common import expect
from program import Program, get

# `tests/kubernetes/run` gives these addresses to the loopback interface.
POD, POD_V6, ELSEWHERE = "10.9.8.7", "fd00::7", "10.9.8.8"
# The `id` of no session: the first failed call has a line in the log.
UNKNOWN = b"\x0a\x24" + b"b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f0ff"

ISTIO = "spiffe://cluster.local/ns/reports/sa/nightly"
LINKERD = "nightly.reports.serviceaccount.identity.linkerd.cluster.local"
# The header that each mesh's proxy sends, and from which address to which.
SIDECARS = {
    "istio": (
        "x-forwarded-client-cert",
        f'URI=spiffe://forged,By=spiffe://cluster.local/ns/a/sa/b;Hash=0a;Subject="";URI={ISTIO}',
        ISTIO,
        [("127.0.0.6", POD), ("::6", POD_V6)],
    ),
    "linkerd": ("l5d-client-id", LINKERD, LINKERD, [(POD, POD), (POD_V6, POD_V6)]),
}


def check_callers(mesh: str, port: int, admin: int, program: Program) -> None:
    if mesh not in SIDECARS:
        return
    name, header, caller, ways = SIDECARS[mesh]
    if not Path("/proc/net/if_inet6").exists():
        ways = [way for way in ways if ":" not in way[0]]
    for number, (source, target) in enumerate(ways, 1):
        call(source, target, port, name, header)
        expect(counted(program, admin, "used") == number, f"the program does not believe {name} from {source}")
    # The calls that follow the first failed one have a line together.
    named = set(re.findall(r'"caller":"([^"]*)"', program.log.read_text()))
    expect(named == {caller}, f"the log names {named} and not {caller}")
    call(ELSEWHERE, POD, port, name, header)
    expect(counted(program, admin, "untrusted") == 1, f"the program believes {name} from another pod")
    expect(counted(program, admin, "used") == len(ways), f"the program believes {name} from another pod")


def call(source: str, target: str, port: int, name: str, header: str) -> None:
    """Makes a call that fails, from one address to another."""
    with socket.create_server(("127.0.0.1", 0)) as entrance:
        threading.Thread(target=relay, args=(entrance, source, (target, port)), daemon=True).start()
        with grpc.insecure_channel(f"127.0.0.1:{entrance.getsockname()[1]}") as channel:
            try:
                get(channel)(UNKNOWN, timeout=10, metadata=[(name, header)])
            except grpc.RpcError as error:
                expect(error.code() == grpc.StatusCode.NOT_FOUND, f"a call from {source} ended with {error.code()}")


def relay(entrance: socket.socket, source: str, target: tuple) -> None:
    """Passes on one connection, from another address: gRPC's clients cannot choose theirs."""
    own, _ = entrance.accept()
    other = socket.create_connection(target, timeout=10, source_address=(source, 0))
    for one, two in ((own, other), (other, own)):
        threading.Thread(target=copy, args=(one, two), daemon=True).start()


def copy(one: socket.socket, two: socket.socket) -> None:
    try:
        while data := one.recv(65536):
            two.sendall(data)
        two.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def counted(program: Program, admin: int, outcome: str) -> int:
    _, text = program.http(admin, "/metrics")
    return int(re.search(rf'^gateway_caller_headers_total{{outcome="{outcome}"}} (\d+)$', text, re.M)[1])
