"""The programs that follow sessions, while their gateways stop, are killed and hang: the examples, and the command."""

import asyncio
import re
import signal
import sys
from collections import Counter
from pathlib import Path

import grpc
from enterprisemanager.v1 import replica_session_service_pb2 as pb
from enterprisemanager.v1 import replica_session_service_pb2_grpc as rpc
from google.protobuf import any_pb2
from google.rpc import status_pb2
from google.rpc.error_details_pb2 import ErrorInfo
from load import HISTORY
from parts import GATEWAY_PORT, PROGRAM, Gateway, expect
from setup import SETTINGS, Setup
from watchers import EXAMPLES, Watcher

PROGRAMS = {
    "python": [sys.executable, str(EXAMPLES / "python/follow_sessions.py")],
    "connect": ["node", str(EXAMPLES / "connect/build/follow-sessions.js")],
    "follow": [PROGRAM, "follow"],
}
# How many sessions run at first, and how long after one another they end, in seconds: longer than everything takes that
# happens to the gateways, also on a busy machine.
SESSIONS, APART = 60, 5
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
        # What has ended by now, except what had ended before a program began.
        ended = {session for each in followers for session in each.ids("ended")}
        await all_("misses an end", lambda each: ended & set(each.ids("appeared")) <= set(each.ids("ended")))
        for each in followers:
            ends = Counter(each.ids("ended"))
            where = f"{each.program} behind {each.behind}"
            expect(ends.keys() <= set(each.ids("appeared")), f"{where} tells of other ends: {each.lines}")
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


class Forgetful(rpc.ReplicaSessionServiceServicer):
    """A gateway that does not know what has ended since the token, or at first; and whose watches break off."""

    def __init__(self) -> None:
        self.tokens: list[str] = []

    async def WatchSessions(self, request, context):
        self.tokens.append(request.resume_token)
        first = pb.WatchSessionsResponse(resume_token="one")
        first.missed.end_time.end_time.FromSeconds(1_800_000_000)
        first.missed.end_time.start_time.FromSeconds(1_799_990_000)
        first.heartbeat_interval.FromSeconds(25)
        yield first
        second = pb.WatchSessionsResponse(resume_token="two")
        second.current.read_time.FromSeconds(1_800_000_001)
        yield second
        # It keeps the token that came last, and not what has none.
        yield pb.WatchSessionsResponse(heartbeat=pb.WatchHeartbeat())
        await context.abort(grpc.StatusCode.INTERNAL, "broken off")

    async def List(self, request, context):
        ended = request.filter.end_time
        if (ended.start_time.seconds, ended.end_time.seconds) != (1_799_990_000, 1_800_000_000):
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"another time is asked for: {ended}")
        number = int(request.page_token or 0)
        session = pb.ReplicaSession(id=HISTORY[number], state=pb.ReplicaSession.STATE_STOPPED)
        return pb.ListReplicaSessionsResponse(replica_sessions=[session], next_page_token="" if number else "1")

    async def start(self, tls: Path) -> None:
        self.server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        rpc.add_ReplicaSessionServiceServicer_to_server(self, self.server)
        read = lambda name: (tls / name).read_bytes()
        credentials = grpc.ssl_server_credentials([(read("tls.key"), read("tls.crt"))], read("ca.crt"), True)
        self.server.add_secure_port(f"127.0.0.1:{GATEWAY_PORT}", credentials)
        await self.server.start()


async def followers_say_what_they_may_have_missed(setup: Setup) -> dict[str, str]:
    """Whenever the gateway cannot know what has ended, the examples list what has, and the command says how to."""
    says = {}
    for program, command in PROGRAMS.items():
        gateway, follower = Forgetful(), Follower(program, command, "nothing", GATEWAY_PORT)
        await gateway.start(setup.gateway_tls)
        try:
            await follower.start(setup.caller_tls)
            await follower.until("does not come back", lambda _: len(gateway.tokens) > 1)
            expect(gateway.tokens[:2] == ["", "two"], f"{program} sends the tokens {gateway.tokens}")
            await follower.says("missed" if program != "follow" else "may be missing")
            told, wanted = follower.ids("listed"), [] if program == "follow" else HISTORY[:2]
            expect(told[:2] == wanted, f"{program} lists {told}: {follower.lines}")
            says[program] = "lists it" if wanted else "says so"
        finally:
            if follower.process.returncode is None:
                follower.process.kill()
            await gateway.server.stop(0)
    return says



TOLD, LISTED, LATER, RUNS = HISTORY[:4]


class Rekeyed(Forgetful):
    """A gateway that has another key after its first watch. Meanwhile one session has ended, of which both the watch that
    begins anew and the list tell."""

    def __init__(self) -> None:
        super().__init__()
        self.is_current = False
        self.listed = asyncio.Event()

    async def WatchSessions(self, request, context):
        self.tokens.append(request.resume_token)
        if len(self.tokens) == 1:
            yield change(RUNS, "old")
            yield change(TOLD, "old", is_over=True)
            yield current("old")
            await context.abort(grpc.StatusCode.INTERNAL, "broken off")
        if request.resume_token == "old":
            info = any_pb2.Any()
            info.Pack(ErrorInfo(reason="INVALID_RESUME_TOKEN", domain="replicasession.gateway"))
            code = grpc.StatusCode.INVALID_ARGUMENT
            status = status_pb2.Status(code=code.value[0], message="another key", details=[info])
            trailers = (("grpc-status-details-bin", status.SerializeToString()),)
            await context.abort(code, status.message, trailers)
        yield change(RUNS, "new")
        self.is_current = True
        yield current("new")
        await asyncio.wait_for(self.listed.wait(), 5)
        yield change(LISTED, "new", is_over=True)
        yield change(LATER, "new", is_over=True)
        await context.abort(grpc.StatusCode.INTERNAL, "broken off")

    async def List(self, request, context):
        if not self.is_current:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "what ends between the list and the watch is lost")
        sessions = [pb.ReplicaSession(id=each, state=pb.ReplicaSession.STATE_STOPPED) for each in (LISTED, TOLD)]
        self.listed.set()
        return pb.ListReplicaSessionsResponse(replica_sessions=sessions)


def change(session: str, token: str, is_over: bool = False) -> pb.WatchSessionsResponse:
    event = pb.WatchSessionsResponse(resume_token=token)
    event.heartbeat_interval.FromSeconds(25)
    event.change.read_time.FromSeconds(1_800_000_000)
    state = pb.ReplicaSession.STATE_STOPPED if is_over else pb.ReplicaSession.STATE_WORKING
    event.change.replica_session.CopyFrom(pb.ReplicaSession(id=session, state=state))
    kinds = [pb.ReplicaSessionChange.KIND_APPEARED, *([pb.ReplicaSessionChange.KIND_ENDED] if is_over else [])]
    event.change.kinds.extend(kinds)
    return event


def current(token: str) -> pb.WatchSessionsResponse:
    event = pb.WatchSessionsResponse(resume_token=token)
    event.current.read_time.FromSeconds(1_800_000_001)
    return event


async def followers_lose_no_end_with_a_token_that_is_refused(setup: Setup) -> dict[str, str]:
    """They begin anew, list what has ended only then, and tell each end once."""
    says = {}
    for program, command in PROGRAMS.items():
        gateway, follower = Rekeyed(), Follower(program, command, "nothing", GATEWAY_PORT)
        if program == "follow":  # it does not list, but says how to
            gateway.listed.set()
        await gateway.start(setup.gateway_tls)
        try:
            await follower.start(setup.caller_tls)
            await follower.until("misses an end", lambda each: LATER in each.ids("ended"))
            told = Counter(follower.ids("ended") + follower.ids("listed"))
            expect(told == Counter([TOLD, LISTED, LATER]), f"{program} tells {told}: {follower.lines}")
            says[program] = f"{len(follower.ids('listed'))} listed"
        finally:
            if follower.process.returncode is None:
                follower.process.kill()
            await gateway.server.stop(0)
    return says


ALL = [
    followers_are_told_each_end_once,
    followers_say_what_they_may_have_missed,
    followers_lose_no_end_with_a_token_that_is_refused,
]
