"""The programs that watch, while their gateway is killed or hangs: the examples, and the command."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from load import RUNNING
from parts import GATEWAY_PORT, PROGRAM, WORK, Gateway, expect
from setup import SETTINGS, Setup

import certificates

EXAMPLES = WORK / "examples"
PROGRAMS = {
    "python": [sys.executable, str(EXAMPLES / "python/watch_session.py"), RUNNING],
    "connect": ["node", str(EXAMPLES / "connect/build/watch-session.js"), RUNNING],
    "watch": [PROGRAM, "watch", RUNNING],
}
# How long the run lasts that they watch, in seconds: longer than all of them take to start and to notice.
RUN = 40


class Watcher:
    """A program, behind a proxy or behind nothing."""

    def __init__(self, program: str, command: list[str], behind: str, port: int) -> None:
        self.program, self.command, self.behind, self.port = program, command, behind, port
        self.lines: list[str] = []

    async def start(self, tls: Path) -> None:
        address = f"{certificates.HOST}:{self.port}"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")} | {
            "GATEWAY_ADDRESS": address,
            "GATEWAY_SERVER": f"https://{address}",
        }
        for prefix in "TLS", "GATEWAY":
            for name, file in ("CA", "ca.crt"), ("CERT", "tls.crt"), ("KEY", "tls.key"):
                environment[f"{prefix}_{name}_FILE"] = str(tls / file)
        self.process = await asyncio.create_subprocess_exec(
            *self.command, env=environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for line in self.process.stdout:
            self.lines.append(line.decode().rstrip())

    async def says(self, *words: str, within: float = 30) -> str:
        """Waits for a line with one of these words."""
        end = asyncio.get_running_loop().time() + within
        while not (found := [line for line in self.lines if any(word in line for word in words)]):
            what = f"{self.program} behind {self.behind} does not say {words}: {self.lines}"
            expect(asyncio.get_running_loop().time() < end and not self.reading.done(), what)
            await asyncio.sleep(0.05)
        return found[0]


async def watches_go_on_when_the_gateway_is_killed(setup: Setup) -> dict[str, str]:
    """All replicas at once, without a word; then they are started again, and the run ends. Returns which code the
    libraries of the examples made of it."""

    async def begin(gateways: list[Gateway]) -> None:
        await asyncio.gather(*(setup.kill(gateway) for gateway in gateways))

    async def end(gateways: list[Gateway]) -> None:
        await asyncio.gather(*(gateway.start() for gateway in gateways))

    return await _interrupted(setup, begin, end)


async def watches_go_on_when_the_gateway_hangs(setup: Setup) -> dict[str, str]:
    """All replicas at once: their connections stay, and new ones are accepted, but nothing is said."""

    async def begin(gateways: list[Gateway]) -> None:
        for gateway in gateways:
            gateway.send(signal.SIGSTOP)

    async def end(gateways: list[Gateway]) -> None:
        for gateway in gateways:
            gateway.send(signal.SIGCONT)

    return await _interrupted(setup, begin, end, {"GATEWAY_WATCH_HEARTBEAT": "1s"})


async def _interrupted(setup: Setup, begin, end, settings: dict[str, str] = {}) -> dict[str, str]:
    """All programs watch, behind each proxy and behind nothing, while something happens to all gateways, until each of them
    says that it watches again. Returns why, as the examples print it."""
    pace = {"GATEWAY_WATCH_INTERVAL": "1s", "GATEWAY_WATCH_INTERVAL_MAX": "1s", **settings}
    alone = Gateway("127.0.0.1", setup.gateway_tls)
    alone.settings = SETTINGS | pace
    gateways = [*setup.gateways, alone]
    places = {"nothing": GATEWAY_PORT} | {proxy.name: proxy.port for proxy in setup.proxies}
    watchers = [Watcher(*program, *place) for place in places.items() for program in PROGRAMS.items()]
    await setup.simulator.restart(f"--run-length={RUN}s")
    await alone.start()
    await setup.restart(pace)
    try:
        await asyncio.gather(*(each.start(setup.caller_tls) for each in watchers))
        await asyncio.gather(*(each.says("watched", "working") for each in watchers))
        await begin(gateways)
        told = await asyncio.gather(*(each.says("again") for each in watchers))
        await end(gateways)
        for each in watchers:
            await each.says("RESULT_SUCCESS", "stopped: success", within=RUN + 30)
            code = await asyncio.wait_for(each.process.wait(), 10)
            expect(code == 0, f"{each.program} behind {each.behind} ended with {code}: {each.lines}")
    finally:
        alone.stop_for_good()
        for each in watchers:
            if each.process.returncode is None:
                each.process.kill()
    await setup.simulator.restart()
    await setup.restart({})
    codes = {each: line.split()[1] for each, line in zip(watchers, told) if each.program != "watch"}
    return {
        place: ", ".join(f"{each.program} {code}" for each, code in codes.items() if each.behind == place)
        for place in places
    }


ALL = [watches_go_on_when_the_gateway_is_killed, watches_go_on_when_the_gateway_hangs]
