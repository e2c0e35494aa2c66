"""A server in the gateway's place that fails with every row of docs/errors.md, as large as the gateway makes it."""

import asyncio
import re
from pathlib import Path
from typing import NamedTuple

import grpc
from enterprisemanager.v1 import replica_session_service_pb2_grpc as rpc
from google.protobuf.any_pb2 import Any
from google.rpc import error_details_pb2 as details
from google.rpc import status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from load import SESSION
from parts import ADMIN_PORT, GATEWAY_PORT, REPLICAS

SERVICE = "enterprisemanager.v1.ReplicaSessionService"
# Longer than any message of the gateway, and with what HTTP has to escape.
MESSAGE = "The gateway's sentence, with 100 % of what a header must not contain: é\n" + "and so on " * 15


class Row(NamedTuple):
    """A failure: code, reason, and the bytes of google.rpc.Status."""

    code: grpc.StatusCode
    reason: str
    status: bytes


def rows() -> list[Row]:
    """Every row of the table of reasons."""
    table = re.findall(r"^\| `(\w+)` \| ([A-Z_]+) \|.*\|(.*)\|$", Path("docs/errors.md").read_text(), re.MULTILINE)
    assert len(table) > 30, table
    return [row(reason, grpc.StatusCode[code], carries) for reason, code, carries in table]


def row(reason: str, code: grpc.StatusCode, carries: str) -> Row:
    metadata = {"id": SESSION, "item": SESSION, "field": "f" * 40}
    found = [details.ErrorInfo(reason=reason, domain="replicasession.gateway", metadata=metadata)]
    if "BadRequest" in carries:
        violation = details.BadRequest.FieldViolation(field="filter.job_name", description="d" * 200)
        found.append(details.BadRequest(field_violations=[violation]))
    if "RetryInfo" in carries:
        retry = details.RetryInfo()
        retry.retry_delay.FromMilliseconds(1500)
        found.append(retry)
    if "ResourceInfo" in carries:
        name = f"urn:veeam:ReplicaJobSession:{SESSION}"
        found.append(details.ResourceInfo(resource_type="ReplicaJobSession", resource_name=name, description=MESSAGE))
    status = status_pb2.Status(code=code.value[0], message=MESSAGE)
    for each in found:
        packed = Any()
        packed.Pack(each)
        status.details.append(packed)
    return Row(code, reason, status.SerializeToString())


class Replay(rpc.ReplicaSessionServiceServicer):
    """Fails with the row whose number is in the metadata: in the headers, as the gateway does for calls, or behind
    them, in trailers, as it does for watches. Without a number, as servers do that say nothing about retries."""

    def __init__(self, tls: Path) -> None:
        self.tls, self.rows, self.servers, self.tries = tls, rows(), [], 0

    async def Get(self, request, context):
        self.tries += 1
        asked = dict(context.invocation_metadata())
        if "x-row" not in asked:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "without a word about retries")
        row = self.rows[int(asked["x-row"])]
        own = (("x-request-id", asked["x-request-id"]),)
        if asked["x-in"] == "trailers":
            await context.send_initial_metadata(own)
        trailers = (("grpc-status-details-bin", row.status), ("grpc-retry-pushback-ms", "-1"), *own)
        await context.abort(row.code, MESSAGE, trailers)

    async def start(self) -> None:
        read = lambda name: (self.tls / name).read_bytes()
        credentials = grpc.ssl_server_credentials([(read("tls.key"), read("tls.crt"))], read("ca.crt"), True)
        for address in REPLICAS[:2]:
            server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
            rpc.add_ReplicaSessionServiceServicer_to_server(self, server)
            checks = health.aio.HealthServicer()
            for service in "", SERVICE:
                await checks.set(service, health_pb2.HealthCheckResponse.SERVING)
            health_pb2_grpc.add_HealthServicer_to_server(checks, server)
            server.add_secure_port(f"{address}:{GATEWAY_PORT}", credentials)
            await server.start()
            admin = await asyncio.start_server(ready, address, ADMIN_PORT)
            self.servers.append((server, admin))

    async def stop(self) -> None:
        for server, admin in self.servers:
            admin.close()
            await server.stop(0)


async def ready(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The answer of /readyz."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    await writer.drain()
    writer.close()
