"""A server in place of a gateway that records what Envoy sends."""

import asyncio
from pathlib import Path

import grpc
from enterprisemanager.v1 import replica_session_service_pb2 as pb
from enterprisemanager.v1 import replica_session_service_pb2_grpc as rpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from parts import GATEWAY_PORT

ADDRESS = "127.0.0.21"
SERVICE = "enterprisemanager.v1.ReplicaSessionService"


class Recorder(rpc.ReplicaSessionServiceServicer):
    """Refuses the next `refusals` calls, `refuses_after` seconds after each arrives, and answers the
    others. Records all of them."""

    def __init__(self, tls: Path) -> None:
        self.tls = tls
        self.refusals = 0
        self.refuses_after = 0.0
        self.metadata: list[dict[str, str]] = []
        self.seconds_left: list[float] = []

    async def Get(self, request, context):
        await self._called(context)
        session = pb.ReplicaSession(id=request.id)
        return pb.GetReplicaSessionResponse(replica_session=session)

    async def List(self, request, context):
        await self._called(context)
        return pb.ListReplicaSessionsResponse()

    async def ListTasks(self, request, context):
        await self._called(context)
        return pb.ListReplicaTaskSessionsResponse()

    async def ListTaskSessions(self, request, context):
        await self._called(context)
        return pb.ListTaskSessionsResponse()

    async def Watch(self, request, context):
        await self._called(context)
        session = pb.ReplicaSession(id=request.id)
        yield pb.WatchReplicaSessionResponse(snapshot=pb.ReplicaSessionSnapshot(replica_session=session))

    async def WatchSessions(self, request, context):
        await self._called(context)
        yield pb.WatchSessionsResponse(current=pb.ReplicaSessionsCurrent())

    async def _called(self, context) -> None:
        self.metadata.append(dict(context.invocation_metadata()))
        self.seconds_left.append(context.time_remaining())
        if self.refusals:
            self.refusals -= 1
            await asyncio.sleep(self.refuses_after)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "told to refuse")

    async def start(self, address: str = ADDRESS) -> "Recorder":
        self.server = grpc.aio.server()
        rpc.add_ReplicaSessionServiceServicer_to_server(self, self.server)
        checks = health.aio.HealthServicer()
        await checks.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(checks, self.server)
        read = lambda name: (self.tls / name).read_bytes()
        pairs = [(read("tls.key"), read("tls.crt"))]
        credentials = grpc.ssl_server_credentials(pairs, read("ca.crt"), True)
        self.server.add_secure_port(f"{address}:{GATEWAY_PORT}", credentials)
        await self.server.start()
        return self

    async def stop(self) -> None:
        await self.server.stop(0)
