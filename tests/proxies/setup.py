"""What runs: Enterprise Manager's simulator, two gateways, the proxies."""

import asyncio
import re
import signal
from dataclasses import dataclass
from pathlib import Path

from certificates import Authority
from enterprisemanager.v1 import replica_session_service_pb2_grpc as rpc
from load import SESSION, ask
from parts import PROGRAM, Gateway, Process, Simulator, eventually
from proxies import SILENCE, start_all
from steady import channel

import grpc

# As long as the slowest of the proxies needs to notice that a replica is there again, which those that replace
# replicas one by one have to wait as well (minReadySeconds): nginx, with fail_timeout.
NOTICED = 2.5


# nginx and HAProxy cannot tell who calls, so that nobody could call through them otherwise.
SETTINGS = {"GATEWAY_ALLOW_CALLER": None}


class EnterpriseManager(Simulator):
    """The simulator, with these options."""

    async def start(self, *options: str) -> None:
        self.log_path.unlink(missing_ok=True)
        await self.run(PROGRAM, "simulate", "--sessions=1200", *options)
        await eventually(lambda: "Ctrl-C ends" in self.log(), "the simulator starts")

    async def restart(self, *options: str) -> None:
        await self.stop()
        await self.start(*options)


@dataclass
class Setup:
    gateway_tls: Path
    caller_tls: Path
    other_tls: Path
    authority: Authority
    simulator: EnterpriseManager
    gateways: list[Gateway]
    proxies: list

    async def start(self) -> None:
        for gateway in self.gateways:
            gateway.settings = SETTINGS
        await self.simulator.start()
        await asyncio.gather(*(each.start() for each in self.gateways))
        await start_all(self.proxies, self.authority)
        await self.settle()

    async def restart_proxies(self, silence: str = SILENCE) -> None:
        """Starts the proxies anew, with this limit of the silence of a watch."""
        for proxy in self.proxies:
            proxy.send(signal.SIGTERM)
            await proxy.ended()
        await start_all(self.proxies, self.authority, silence)
        await self.settle()

    async def restart(self, settings: dict[str, str]) -> None:
        """Starts the gateways anew, with these settings in addition to the usual ones."""
        await asyncio.gather(*(self._restart(each, settings) for each in self.gateways))
        await self.settle()

    async def _restart(self, gateway: Gateway, settings: dict[str, str]) -> None:
        await self.kill(gateway)
        gateway.settings = SETTINGS | settings
        await gateway.start()

    async def kill(self, gateway: Gateway) -> None:
        gateway.send(signal.SIGKILL)
        await gateway.ended()

    async def settle(self) -> None:
        """Waits until a gateway answers through each proxy, and until they all have noticed both."""
        await asyncio.gather(*(self._answers(proxy) for proxy in self.proxies))
        await asyncio.sleep(NOTICED)

    async def _answers(self, proxy) -> None:
        end = asyncio.get_running_loop().time() + 15
        async with channel(self.caller_tls, proxy.port) as own:
            while True:
                try:
                    await ask(rpc.ReplicaSessionServiceStub(own), SESSION)
                    return
                except grpc.aio.AioRpcError as error:
                    if error.code() is grpc.StatusCode.PERMISSION_DENIED:
                        return
                    if asyncio.get_running_loop().time() > end:
                        raise RuntimeError(f"nothing answers behind {proxy.name}: {error.details()}") from error
                    await asyncio.sleep(0.1)

    def metric(self, name: str) -> int:
        """The value of the metric that matches, of both gateways together."""
        line = re.compile(rf"^{name} (\d+)", re.MULTILINE)
        return sum(int(line.search(gateway.get("/metrics"))[1]) for gateway in self.gateways)

    def processes(self) -> list[Process]:
        """All processes, whether started or not."""
        return [*self.gateways, self.simulator, *self.proxies]
