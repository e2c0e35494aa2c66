"""Callers: a real gRPC client without retries."""

import asyncio
import itertools
import random
from collections import Counter
from pathlib import Path

import grpc
from enterprisemanager.v1 import replica_session_service_pb2 as pb
from enterprisemanager.v1 import replica_session_service_pb2_grpc as rpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

import certificates
from parts import ENVOY_PORT

SESSION = "04f694ad-664c-4603-a747-00edecae4f17"
RUNNING = "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f002"
HISTORY = [f"5e550000-0000-4000-8000-{number:012x}" for number in range(1, 201)]
NOW = Duration()


def channel(tls: Path, target: str = f"127.0.0.1:{ENVOY_PORT}") -> grpc.aio.Channel:
    """A separate connection, with the certificate in the folder `tls`."""
    credentials = grpc.ssl_channel_credentials(
        (tls / "ca.crt").read_bytes(), (tls / "tls.key").read_bytes(), (tls / "tls.crt").read_bytes()
    )
    options = [
        ("grpc.enable_retries", 0),
        ("grpc.ssl_target_name_override", certificates.HOST),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    return grpc.aio.secure_channel(target, credentials, options)


async def ask(stub, session, fresh=True, timeout=10, by_session=False, metadata=()):
    """Gets a session; always from Enterprise Manager if `fresh`, balanced by session if
    `by_session`."""
    request = pb.GetReplicaSessionRequest(id=session, max_age=NOW if fresh else None)
    if by_session:
        metadata = (*metadata, ("x-session-id", session))
    return await stub.Get(request, timeout=timeout, metadata=metadata)


def reason(error: grpc.aio.AioRpcError) -> str:
    """The machine-readable reason of a status."""
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return info.reason
    return ""


class Load:
    """Callers that make one call after the other, until the block ends."""

    def __init__(self, tls: Path, callers: int = 16, connections: int = 4, pause: float = 0.04):
        self.tls, self.callers, self.connections, self.pause = tls, callers, connections, pause
        self.outcomes: Counter[str] = Counter()
        self.slowest = 0.0

    async def __aenter__(self) -> "Load":
        self.channels = [channel(self.tls) for _ in range(self.connections)]
        self.going = True
        channels = itertools.cycle(self.channels)
        self.tasks = [asyncio.create_task(self._caller(next(channels))) for _ in range(self.callers)]
        return self

    async def __aexit__(self, *_) -> None:
        self.going = False
        await asyncio.gather(*self.tasks)
        for each in self.channels:
            await each.close()

    async def _caller(self, own: grpc.aio.Channel) -> None:
        stub = rpc.ReplicaSessionServiceStub(own)
        clock = asyncio.get_running_loop().time
        while self.going:
            session = random.choice(HISTORY)
            begun = clock()
            try:
                # Half of the calls always ask Enterprise Manager; half are balanced by session.
                fresh, by_session = random.random() < 0.5, random.random() < 0.5
                answer = await ask(stub, session, fresh=fresh, by_session=by_session)
                right = answer.replica_session.id == session
                self.outcomes["OK" if right else "WRONG SESSION"] += 1
            except grpc.aio.AioRpcError as error:
                self.outcomes[f"{error.code().name} {reason(error)} {error.details()}"] += 1
            self.slowest = max(self.slowest, clock() - begun)
            await asyncio.sleep(self.pause * (0.5 + random.random()))

    @property
    def answered(self) -> int:
        return self.outcomes["OK"]

    @property
    def failed(self) -> dict[str, int]:
        return {outcome: count for outcome, count in self.outcomes.items() if outcome != "OK"}
