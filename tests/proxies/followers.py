"""The programs that follow sessions, while their gateways stop, are killed and hang: the examples, and the command."""

import asyncio
import re
import signal
import sys
from collections import Counter

from parts import GATEWAY_PORT, PROGRAM, Gateway, expect
from setup import SETTINGS, Setup
from watchers import EXAMPLES, Watcher

PROGRAMS = {
    "python": [sys.executable, str(EXAMPLES / "python/follow_sessions.py")],
    "connect": ["node", str(EXAMPLES / "connect/build/follow-sessions.js")],
    "follow": [PROGRAM, "follow"],
}
# How many sessions run at first, and how long after one another they end, in seconds. The last ones end after everything
# that happens to the gateways.
SESSIONS, APART = 20, 5
PACE = {"GATEWAY_WATCH_INTERVAL": "1s", "GATEWAY_WATCH_INTERVAL_MAX": "1s", "GATEWAY_WATCH_HEARTBEAT": "1s"}


class Follower(Watcher):
    def ids(self, word: str) -> list[str]:
        """The sessions of which this is told."""
        line = re.compile(rf"\b{word}\b.* ([0-9a-f-]{{36}})\b")
        return [found[1] for found in map(line.search, self.lines) if found]

    def returns(self) -> int:
        """How often it has come back."""
        return sum("again" in line for line in self.lines)

    async def until(self, what: str, holds, within: float = 60) -> None:
        end = asyncio.get_running_loop().time() + within
        while not holds(self):
            expect(
                asyncio.get_running_loop().time() < end and not self.reading.done(),
                f"{self.program} behind {self.behind} {what}: {self.lines}",
            )
            await asyncio.sleep(0.05)


async def followers_are_told_each_end_once(setup: Setup) -> dict[str, str]:
    """Each program tells each end of a run exactly once, whatever happens to all replicas at once."""
    alone = Gateway("127.0.0.1", setup.gateway_tls)
    alone.settings = SETTINGS | PACE
    gateways = [*setup.gateways, alone]
    places = {"nothing": GATEWAY_PORT} | {proxy.name: proxy.port for proxy in setup.proxies}
    followers = [Follower(*program, *place) for place in places.items() for program in PROGRAMS.items()]
    await setup.simulator.restart(f"--running={SESSIONS}", f"--run-length={APART}s")
    await alone.start()
    await setup.restart(PACE)

    async def all_(what: str, holds) -> None:
        await asyncio.gather(*(each.until(what, holds) for each in followers))

    async def interrupted(begin, end) -> None:
        """Until all have noticed and another session has ended; and then until all go on."""
        before = {each: each.returns() for each in followers}
        await begin()
        await all_("does not notice", lambda each: each.returns() > before[each])
        told = max(len(each.ids("ended")) for each in followers)
        await asyncio.sleep(APART)
        await end()
        await all_("does not go on", lambda each: len(each.ids("ended")) > told)

    async def stop() -> None:
        for gateway in gateways:
            gateway.send(signal.SIGTERM)
        await asyncio.gather(*(gateway.ended() for gateway in gateways))

    async def kill() -> None:
        await asyncio.gather(*(setup.kill(gateway) for gateway in gateways))

    async def start() -> None:
        await asyncio.gather(*(gateway.start() for gateway in gateways))

    async def send(number: signal.Signals) -> None:
        for gateway in gateways:
            gateway.send(number)

    try:
        await asyncio.gather(*(each.start(setup.caller_tls) for each in followers))
        await all_("tells of no end", lambda each: each.ids("ended"))
        await interrupted(stop, start)
        await interrupted(kill, start)
        await interrupted(lambda: send(signal.SIGSTOP), lambda: send(signal.SIGCONT))
        await all_("does not tell all ends", lambda each: set(each.ids("appeared")) <= set(each.ids("ended")))
        for each in followers:
            ends = Counter(each.ids("ended"))
            where = f"{each.program} behind {each.behind}"
            expect(ends.keys() == set(each.ids("appeared")), f"{where} tells of other ends: {each.lines}")
            expect(set(ends.values()) == {1}, f"{where} tells twice: {each.lines}")
            expect(not any(" missed " in f" {line} " for line in each.lines), f"{where} misses something: {each.lines}")
    finally:
        alone.stop_for_good()
        for each in followers:
            if each.process.returncode is None:
                each.process.kill()
    await setup.simulator.restart()
    await setup.restart({})
    ends = {each: len(each.ids("ended")) for each in followers}
    return {
        place: ", ".join(f"{each.program} {count}" for each, count in ends.items() if each.behind == place)
        for place in places
    }


ALL = [followers_are_told_each_end_once]
