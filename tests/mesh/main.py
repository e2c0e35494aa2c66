"""Sets up three gateways behind Envoy, runs the checks, and prints the results."""

import asyncio
import shutil
import signal
import sys
import time
import traceback

import checks
import measure
from certificates import CALLER, GATEWAY, INTRUDER, OTHER_CALLER, Authority
from load import Load
from parts import GATEWAY_PORT, REPLICAS, WORK, Envoy, Failed, Gateway, Process, Simulator, eventually, expect


class Mesh:
    """Everything that runs, and the certificates."""

    def __init__(self) -> None:
        for folder in ("logs", "tls"):
            shutil.rmtree(WORK / folder, ignore_errors=True)
        self.authority = Authority("the mesh")
        self.gateway_tls = self.authority.issue(GATEWAY, WORK / "tls/gateway")
        self.caller_tls = self.authority.issue(CALLER, WORK / "tls/caller")
        self.other_caller_tls = self.authority.issue(OTHER_CALLER, WORK / "tls/other-caller")
        self.intruder_tls = self.authority.issue(INTRUDER, WORK / "tls/intruder")
        self.stranger_tls = Authority("somebody else").issue(CALLER, WORK / "tls/stranger")
        # The stranger trusts the mesh, so that the server refuses the connection, and not the
        # stranger.
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
        """Restores the usual replicas."""
        self.envoy.set_endpoints([(each.address, GATEWAY_PORT) for each in self.gateways])
        await self.all_healthy()

    def processes(self) -> list[Process]:
        """All processes of the mesh, whether started or not."""
        return [*self.gateways, self.simulator, self.envoy]

    def load(self, **options) -> Load:
        return Load(self.caller_tls, **options)


async def run(names: list[str]) -> bool:
    """Runs the checks; returns whether all passed. Prints each result, and a summary in the last
    line."""
    if unknown := [name for name in names if name != "--measure" and name not in BY_NAME]:
        print(f"FAILED  no check is called {unknown[0]}; there are {' '.join(BY_NAME)}")
        return False
    mesh = Mesh()
    # Treats SIGTERM like any other failure, so that all started processes end.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    passed, what = 0, "setting up"
    try:
        await mesh.start()
        if names == ["--measure"]:
            await measure.all_figures(mesh)
            return True
        for check in [BY_NAME[name] for name in names] or checks.ALL:
            begun, what = time.monotonic(), check.__name__
            told = await check(mesh)
            print(f"ok      {what} ({time.monotonic() - begun:.0f} s): {told}", flush=True)
            passed += 1
        what = "the logs"
        for process in mesh.processes():
            expect("panicked" not in process.log(), f"{process.log_path} contains a panic")
        print(f"{passed} checks passed, none failed")
        return True
    except asyncio.CancelledError:
        print(f"FAILED  {what}: the time limit passed, or a signal ended the run")
    except Failed as failure:
        print(f"FAILED  {what}: {failure}")
    except Exception as failure:  # report any failure, and end the processes
        print(f"FAILED  {what}: {failure!r}\n{traceback.format_exc()}")
    finally:
        for process in mesh.processes():
            process.stop_for_good()
    for process in mesh.processes():
        print(f"--- {process.log_path}\n{process.log()[-2000:]}")
    print(f"{passed} checks passed, {what} failed, and the remaining checks did not run", flush=True)
    return False


BY_NAME = {check.__name__: check for check in checks.ALL}
sys.exit(0 if asyncio.run(run(sys.argv[1:])) else 1)
