"""Checks the probes, also those of load balancers that know nothing of the gateway's TLS."""

import re
import socket
import time

from common import expect
from program import Program, accepts

# The preface of HTTP/2 and an empty SETTINGS frame; the answer begins with the server's SETTINGS frame.
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
SETTINGS = 4


def check_probes(container: dict, ports: dict, program: Program) -> None:
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        expect(asked(container[name], ports, program) == 200, f"{name} is not answered")
    expect(speaks_http2(ports["admin"]), "the admin port does not speak HTTP/2")
    # Whether the port is open, as a load balancer's or a `tcpSocket` probe asks.
    before = metrics(program, ports)["gateway_connections_accepted_total"]
    for _ in range(3):
        expect(accepts(ports["grpc"]), "the gRPC port is closed")
    end = time.monotonic() + 10
    while (now := metrics(program, ports))["gateway_connections_accepted_total"] < before + 3 or now["gateway_connections"]:
        expect(time.monotonic() < end, f"the connections of probes are still open: {now}")
        time.sleep(0.05)
    refused = {name: count for name, count in now.items() if name.startswith("gateway_connections_refused_total")}
    expect(len(refused) > 3 and not any(refused.values()), f"probes count as refused callers: {refused}")


def asked(probe: dict, ports: dict, program: Program) -> int:
    port = probe["httpGet"]["port"]
    return program.http(ports.get(port, port), probe["httpGet"]["path"])[0]


def metrics(program: Program, ports: dict) -> dict[str, int]:
    """The metrics of connections, with their labels."""
    _, text = program.http(ports["admin"], "/metrics")
    return {name: int(value) for name, value in re.findall(r"^(gateway_connections\S*) (\d+)$", text, re.M)}


def speaks_http2(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(HTTP2)
        head = connection.recv(9, socket.MSG_WAITALL)
        return len(head) == 9 and head[3] == SETTINGS
