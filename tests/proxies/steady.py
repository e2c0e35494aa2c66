"""Callers at a fixed rate: a call that takes long delays no other."""

import asyncio
import json
import random
from collections import Counter
from pathlib import Path

import grpc
from enterprisemanager.v1 import replica_session_service_pb2_grpc as rpc
from load import HISTORY, ask, reason

import certificates

SERVICE_CONFIG = Path("examples/service-config.json").read_text()
# The same with health checking, which docs/clients.md advises against behind a proxy.
HEALTH = {"healthCheckConfig": {"serviceName": "enterprisemanager.v1.ReplicaSessionService"}}
WITH_HEALTH = json.dumps(json.loads(SERVICE_CONFIG) | HEALTH)
CONNECTIONS = 4


def channel(
    tls: Path, port: int, service_config: str | None = None, host: str = "127.0.0.1"
) -> grpc.aio.Channel:
    """A connection to the proxy, or the gateway, at this port; without a service config, without retries."""
    read = lambda name: (tls / name).read_bytes()
    credentials = grpc.ssl_channel_credentials(read("ca.crt"), read("tls.key"), read("tls.crt"))
    options = [
        ("grpc.ssl_target_name_override", certificates.HOST),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ]
    options.append(("grpc.service_config", service_config) if service_config else ("grpc.enable_retries", 0))
    return grpc.aio.secure_channel(f"{host}:{port}", credentials, options)


class Load:
    """`rate` calls per second through the proxy, until the block ends."""

    def __init__(self, tls: Path, port: int, rate: float, service_config: str | None = None) -> None:
        self.tls, self.port, self.rate, self.service_config = tls, port, rate, service_config
        self.outcomes: Counter[str] = Counter()
        self.calls: set[asyncio.Task] = set()

    async def __aenter__(self) -> "Load":
        self.channels = [channel(self.tls, self.port, self.service_config) for _ in range(CONNECTIONS)]
        self.stubs = [rpc.ReplicaSessionServiceStub(each) for each in self.channels]
        # The first calls, before any fault: connections and logons.
        for stub in self.stubs:
            await ask(stub, HISTORY[0])
        self.going = asyncio.create_task(self._go())
        return self

    async def __aexit__(self, *_) -> None:
        self.going.cancel()
        await asyncio.gather(*self.calls)
        for each in self.channels:
            await each.close()

    async def _go(self) -> None:
        clock = asyncio.get_running_loop().time
        begun, number = clock(), 0
        while True:
            number += 1
            await asyncio.sleep(begun + number / self.rate - clock())
            call = asyncio.create_task(self._call(self.stubs[number % CONNECTIONS]))
            self.calls.add(call)
            call.add_done_callback(self.calls.discard)

    async def _call(self, stub) -> None:
        session = random.choice(HISTORY)
        try:
            # Half of the calls always ask Enterprise Manager.
            answer = await ask(stub, session, fresh=random.random() < 0.5)
            right = answer.replica_session.id == session
            self.outcomes["OK" if right else "WRONG SESSION"] += 1
        except grpc.aio.AioRpcError as error:
            self.outcomes[f"{error.code().name} {reason(error)} {error.details()}"] += 1

    @property
    def made(self) -> int:
        return self.outcomes.total()

    @property
    def failed(self) -> int:
        return self.made - self.outcomes["OK"]

    def failures(self) -> str:
        return "; ".join(f"{count} x {what}" for what, count in self.outcomes.items() if what != "OK")
