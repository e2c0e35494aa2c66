"""Three gateways behind Envoy: sets them up, runs the checks, tells what came of them."""

import asyncio
import itertools
import shutil
import sys
import time

import checks
import measure
from certificates import CALLER, GATEWAY, INTRUDER, Authority
from load import Load
from parts import GATEWAY_PORT, REPLICAS, WORK, Envoy, Failed, Gateway, Simulator, eventually


class Mesh:
    """Everything that runs, and the certificates."""

    def __init__(self) -> None:
        for folder in ("logs", "tls"):
            shutil.rmtree(WORK / folder, ignore_errors=True)
        self.authority = Authority("the mesh")
        self.gateway_tls = self.authority.issue(GATEWAY, WORK / "tls/gateway")
        self.caller_tls = self.authority.issue(CALLER, WORK / "tls/caller")
        self.intruder_tls = self.authority.issue(INTRUDER, WORK / "tls/intruder")
        self.stranger_tls = Authority("somebody else").issue(CALLER, WORK / "tls/stranger")
        # Trusts the mesh, so that it is the server that refuses.
        shutil.copy(self.caller_tls / "ca.crt", self.stranger_tls / "ca.crt")
        self.simulator = Simulator()
        self.gateways = [Gateway(address, self.gateway_tls) for address in REPLICAS]
        self.envoy = Envoy()

    async def start(self) -> "Mesh":
        await self.simulator.start()
        await asyncio.gather(*(each.start() for each in self.gateways))
        await self.envoy.start(self.authority)
        await self.all_healthy()
        return self

    async def all_healthy(self) -> None:
        """Waits until Envoy has all replicas in rotation."""
        for cluster in ("gateway", "gateway_by_session"):
            await eventually(
                lambda: self.envoy.healthy(cluster) == len(self.gateways),
                f"all replicas are in rotation of {cluster}",
            )

    async def restore(self) -> None:
        """Puts the usual replicas back."""
        self.envoy.set_endpoints([(each.address, GATEWAY_PORT) for each in self.gateways])
        await self.all_healthy()

    def load(self, **options) -> Load:
        return Load(self.caller_tls, **options)


async def run(names: list[str]) -> int:
    mesh = await Mesh().start()
    if names == ["--measure"]:
        await measure.all_figures(mesh)
        return 0
    failures = 0
    for check in checks.ALL if not names else [getattr(checks, name) for name in names]:
        begun = time.monotonic()
        try:
            told = await check(mesh)
            print(f"ok      {check.__name__} ({time.monotonic() - begun:.0f} s): {told}", flush=True)
        except (Failed, asyncio.TimeoutError) as failure:
            failures += 1
            print(f"FAILED  {check.__name__}: {failure}", flush=True)
            break
    for process in itertools.chain(mesh.gateways, [mesh.simulator, mesh.envoy]):
        log = process.log()
        if failures or "panicked" in log:
            print(f"--- {process.log_path}\n{log[-2000:]}")
        failures += "panicked" in log
    return failures


sys.exit(asyncio.run(run(sys.argv[1:])))
