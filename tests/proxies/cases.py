"""The checks: each returns what it found, by proxy."""

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
from certificates import CALLER, ENVOY
from enterprisemanager.v1 import replica_session_service_pb2 as pb
from enterprisemanager.v1 import replica_session_service_pb2_grpc as rpc
from load import HISTORY, RUNNING, SESSION, ask, reason
from parts import eventually, expect
from replay import Replay
from setup import NOTICED, Setup
from steady import SERVICE_CONFIG, WITH_HEALTH, Load, channel

RATE = float(os.environ.get("PROXIES_RATE", "20"))
SECONDS = float(os.environ.get("PROXIES_SECONDS", "8"))
# The callers of a load: without retries, with the service config of the examples, and with health checking as well.
CLIENTS = {"bare": None, "example": SERVICE_CONFIG, "health": WITH_HEALTH}
CHOSEN = os.environ.get("PROXIES_CLIENTS", "bare,example,health").split(",")
# How long the silent watches last, longer than Envoy's usual limit of 15 s, and how many there are through each proxy: half of them Watch, half WatchSessions.
WATCH_SECONDS = float(os.environ.get("PROXIES_WATCH_SECONDS", "17"))
WATCHES = 8
# The job of the session that runs: while it does, nothing else happens to its sessions.
OF_ONE_JOB = pb.ReplicaSessionFilter(job_name="Replication Job 1")
# For the simulator: the session that runs goes on, without progress while the watches last.
NEVER_ENDS = "--run-length=10000h"

OTHER_CALLER = "spiffe://cluster.local/ns/reports/sa/weekly"
# What another caller might send to be taken for the one that may call.
FORGED = [
    (),
    (("x-forwarded-client-cert", f"URI={CALLER}"),),
    (("x-forwarded-client-cert", f"By={ENVOY};URI={CALLER}"), ("x-forwarded-client-cert", f"URI={CALLER}")),
    (("l5d-client-id", CALLER),),
]

# Proxies that cannot tell the gateway who calls.
NAMES_NOBODY = {"nginx", "haproxy"}

# Proxies without a limit of the silence of a watch.
UNLIMITED = {"caddy"}

# Calls that each proxy may lose when a replica is killed, since it cannot send them once more: deploy/README.md.
NOT_SENT_TWICE = {"nginx"}


@asynccontextmanager
async def _replay(setup: Setup):
    """A server with prescribed failures in the place of both gateways."""
    replay = Replay(setup.gateway_tls)
    for gateway in setup.gateways:
        await setup.kill(gateway)
    await replay.start()
    try:
        yield replay
    finally:
        await replay.stop()
        for gateway in setup.gateways:
            await gateway.start()
        await setup.settle()


async def every_error_passes_with_its_details(setup: Setup) -> dict[str, str]:
    """In headers and in trailers, byte for byte, with the longest request id."""
    async with _replay(setup) as replay:
        found = await asyncio.gather(*(_errors(setup, proxy, replay) for proxy in setup.proxies))
    return {proxy.name: each for proxy, each in zip(setup.proxies, found)}


async def _errors(setup: Setup, proxy, replay: Replay) -> str:
    request = pb.GetReplicaSessionRequest(id=SESSION)
    async with channel(setup.caller_tls, proxy.port) as own:
        stub = rpc.ReplicaSessionServiceStub(own)
        for number, row in enumerate(replay.rows):
            for where in "headers", "trailers":
                what = f"{proxy.name}, {row.reason} in {where}"
                metadata = [("x-row", str(number)), ("x-in", where), ("x-request-id", f"{number:0128}")]
                error = await _failure(stub.Get(request, timeout=20, metadata=metadata), row.reason)
                expect(error.code() == row.code, f"{what}: {error.code()}: {error.details()}")
                trailers = dict(error.trailing_metadata())
                expect(trailers.get("grpc-status-details-bin") == row.status, f"{what}: details are {trailers}")
                expect(trailers.get("grpc-retry-pushback-ms") == "-1", f"{what}: no pushback in {trailers}")
                expect(trailers.get("x-request-id") == f"{number:0128}", f"{what}: no request id in {trailers}")
    return f"{len(replay.rows)} of {len(replay.rows)}"


async def _failure(call, otherwise: str) -> grpc.aio.AioRpcError:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError(f"no failure: {otherwise}")


async def nobody_can_pose_as_another_caller(setup: Setup) -> dict[str, str]:
    """The gateway admits one caller, by the name that the proxy tells. Returns whether the proxy tells it."""
    await setup.restart({"GATEWAY_ALLOW_CALLER": CALLER})
    found = {}
    for proxy in setup.proxies:
        for metadata in FORGED:
            async with channel(setup.other_tls, proxy.port) as own:
                call = ask(rpc.ReplicaSessionServiceStub(own), SESSION, metadata=metadata)
                error = await _failure(call, f"{proxy.name} passes on {metadata}")
                expect(reason(error) == "CALLER_NOT_ALLOWED", f"{proxy.name}, {metadata}: {error.details()}")
        async with channel(setup.caller_tls, proxy.port) as own:
            try:
                await ask(rpc.ReplicaSessionServiceStub(own), SESSION)
                found[proxy.name] = "named"
            except grpc.aio.AioRpcError as error:
                expect(reason(error) == "CALLER_NOT_ALLOWED", f"{proxy.name}: {error.details()}")
                found[proxy.name] = "not named"
        expected = "not named" if proxy.name in NAMES_NOBODY else "named"
        expect(found[proxy.name] == expected, f"{proxy.name}: the caller is {found[proxy.name]}")
    await setup.restart({})
    return found


async def a_page_of_a_thousand_sessions_passes(setup: Setup) -> dict[str, str]:
    request = pb.ListReplicaSessionsRequest(page_size=1000)
    found = {}
    for proxy in setup.proxies:
        async with channel(setup.caller_tls, proxy.port) as own:
            page = await rpc.ReplicaSessionServiceStub(own).List(request, timeout=30)
        expect(len({each.id for each in page.replica_sessions}) == 1000, f"{proxy.name}: {len(page.replica_sessions)}")
        found[proxy.name] = f"{page.ByteSize() / 1e6:.1f} MB"
    return found


async def a_caller_that_leaves_ends_the_request_to_enterprise_manager(setup: Setup) -> dict[str, str]:
    """By cancelling, by its deadline, and by dying."""
    await setup.simulator.restart()
    await setup.settle()
    await setup.simulator.restart("--fault=silence")
    found = {}
    for proxy in setup.proxies:
        async with channel(setup.caller_tls, proxy.port) as own:
            stub = rpc.ReplicaSessionServiceStub(own)
            cancelled = asyncio.ensure_future(ask(stub, SESSION, timeout=60))
            await _in_flight(setup, 1, f"{proxy.name}: the call arrives")
            cancelled.cancel()
            await _in_flight(setup, 0, f"{proxy.name}: a cancelled call ends")

            error = await _failure(ask(stub, SESSION, timeout=1), "a silent Enterprise Manager answers")
            expect(error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, f"{proxy.name}: {error.code()}")
            await _in_flight(setup, 0, f"{proxy.name}: a late call ends")

        dying = await asyncio.create_subprocess_exec(
            sys.executable, "-c", DIES, str(setup.caller_tls), str(proxy.port), env=dict(os.environ)
        )
        await _in_flight(setup, 1, f"{proxy.name}: the other program's call arrives")
        dying.kill()
        await dying.wait()
        await _in_flight(setup, 0, f"{proxy.name}: the call of a killed program ends")
        found[proxy.name] = "yes"
    await setup.simulator.restart()
    await setup.settle()
    return found


DIES = """
import asyncio, sys
sys.path.append("tests/proxies")
from pathlib import Path
from enterprisemanager.v1 import replica_session_service_pb2_grpc as rpc
from load import SESSION, ask
from steady import channel

async def main():
    async with channel(Path(sys.argv[1]), int(sys.argv[2])) as own:
        await ask(rpc.ReplicaSessionServiceStub(own), SESSION, timeout=60)

asyncio.run(main())
"""


async def _in_flight(setup: Setup, number: int, otherwise: str) -> None:
    """Waits until so many requests to Enterprise Manager are under way."""
    await _counted(setup, "gateway_em_requests_in_flight", number, otherwise)


async def _counted(setup: Setup, metric: str, number: int, otherwise: str) -> None:
    """Waits until this metric of both gateways together has this value."""
    await eventually(lambda: setup.metric(metric) == number, otherwise, within=5)


async def a_rolling_restart_fails_no_call(setup: Setup) -> dict[str, str]:
    async def fault() -> None:
        for gateway in setup.gateways:
            await asyncio.sleep(SECONDS / 4)
            await gateway.restart()
            await asyncio.sleep(NOTICED)

    return await _under_load(setup, fault)


async def calls_in_flight_are_answered_when_all_replicas_stop(setup: Setup) -> dict[str, str]:
    """Fifty at a time on one connection, which get their answers in the same instant, the last before the connection
    is closed."""
    count, found = 50, {}
    await setup.simulator.restart("--fault=latency=1500ms")
    await setup.restart({"GATEWAY_LAME_DUCK": "0s"})
    for proxy, session in zip(setup.proxies, HISTORY):
        async with channel(setup.caller_tls, proxy.port) as own:
            stub = rpc.ReplicaSessionServiceStub(own)
            calls = [asyncio.ensure_future(ask(stub, session, fresh=False)) for _ in range(count)]
            await _counted(setup, "gateway_calls_in_flight", count, f"{proxy.name}: {count} calls arrive")
            for gateway in setup.gateways:
                gateway.send(signal.SIGTERM)
            answers = await asyncio.gather(*calls, return_exceptions=True)
        lost = [each for each in answers if isinstance(each, grpc.aio.AioRpcError)]
        expect(not lost, f"{proxy.name}: {len(lost)} of {count} lost: {lost[:1]}")
        found[proxy.name] = f"{len(lost)} of {count}"
        for gateway in setup.gateways:
            expect(await gateway.ended() == 0, f"{gateway.address} did not end with 0")
            await gateway.start()
        await setup.settle()
    await setup.simulator.restart()
    await setup.restart({})
    return found


async def a_killed_replica_fails_no_call(setup: Setup) -> dict[str, str]:
    async def fault() -> None:
        for gateway in setup.gateways:
            await asyncio.sleep(SECONDS / 4)
            await setup.kill(gateway)
            await asyncio.sleep(1)
            await gateway.start()
            await asyncio.sleep(NOTICED)

    return await _under_load(setup, fault, allowed=NOT_SENT_TWICE)


async def connections_that_end_by_age_fail_no_call(setup: Setup) -> dict[str, str]:
    await setup.restart({"GATEWAY_MAX_CONNECTION_AGE": "1s"})

    async def nothing() -> None:
        await asyncio.sleep(SECONDS)

    found = await _under_load(setup, nothing)
    await setup.restart({})
    return found


async def _under_load(setup: Setup, fault, allowed: set = frozenset()) -> dict[str, str]:
    """Injects the fault while calls go through each proxy, from each kind of client. Returns how many of each have failed.
    Those in `allowed` may lose a few calls that nobody repeats."""
    async with AsyncExitStack() as stack:
        loads = {
            (proxy.name, client): await stack.enter_async_context(
                Load(setup.caller_tls, proxy.port, RATE, CLIENTS[client])
            )
            for proxy in setup.proxies
            for client in CHOSEN
        }
        begun = asyncio.get_running_loop().time()
        await fault()
        await asyncio.sleep(begun + SECONDS - asyncio.get_running_loop().time())
    for (name, client), load in loads.items():
        few = load.made * 0.02 if name in allowed and client == "bare" else 0
        expect(load.failed <= few, f"{name}, {client}: {load.failed} of {load.made} failed: {load.failures()}")
        expect(load.made > RATE * SECONDS * 0.8, f"{name}, {client}: only {load.made} calls: too little load")
    return {
        proxy.name: ", ".join(f"{loads[proxy.name, client].failed} of {loads[proxy.name, client].made}" for client in CHOSEN)
        for proxy in setup.proxies
    }


async def silent_watches_stay_open(setup: Setup) -> dict[str, str]:
    """Several watches of a session that does not change, and of the sessions that match a filter."""
    await setup.simulator.restart(NEVER_ENDS)
    await setup.restart({})
    found = {}
    for name, ends in (await _watched(setup, WATCH_SECONDS)).items():
        expect(ends == [None] * WATCHES, f"{name}: {ends}")
        found[name] = f"{WATCHES} of {WATCHES} for {WATCH_SECONDS:.0f} s"
    await setup.simulator.restart()
    await setup.settle()
    return found


async def heartbeats_outlive_the_limit_of_silence(setup: Setup) -> dict[str, str]:
    """Each proxy lets a watch be silent for 3 s instead of 65 s. Returns what becomes of watches that last three times as
    long with a heartbeat each second, and of those without."""
    await setup.simulator.restart(NEVER_ENDS)
    await setup.restart_proxies("3s")
    found = {}
    for heartbeat in "1s", "4m":
        await setup.restart({"GATEWAY_WATCH_HEARTBEAT": heartbeat})
        found[heartbeat] = await _watched(setup, 9)
    for name in found["1s"]:
        with_heartbeats, without = found["1s"][name], found["4m"][name]
        expect(with_heartbeats == [None] * WATCHES, f"{name}: {with_heartbeats}")
        expect(name in UNLIMITED or all(without), f"{name} has no limit of silence: {without}")
    await setup.restart_proxies()
    await setup.simulator.restart()
    await setup.restart({})
    return {name: "open, and without them too" if name in UNLIMITED else "open" for name in found["1s"]}


async def _watched(setup: Setup, seconds: float) -> dict[str, list]:
    """Four watches of each kind through each proxy for this time. Returns the errors that ended them, by proxy; None for
    those that were still open."""

    async def watch(stream):
        events = 0

        async def read() -> None:
            nonlocal events
            async for _ in stream:
                events += 1

        try:
            await asyncio.wait_for(read(), seconds)
        except asyncio.TimeoutError:
            return None if events else "no event"
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name} {reason(error)} {error.details()}"
        return "the run has ended"

    async with AsyncExitStack() as stack:
        watches = []
        for proxy in setup.proxies:
            own = await stack.enter_async_context(channel(setup.caller_tls, proxy.port))
            stub = rpc.ReplicaSessionServiceStub(own)
            for _ in range(WATCHES // 2):
                watches.append(watch(stub.Watch(pb.WatchReplicaSessionRequest(id=RUNNING))))
                watches.append(watch(stub.WatchSessions(pb.WatchSessionsRequest(filter=OF_ONE_JOB))))
        ends = await asyncio.gather(*watches)
    return {proxy.name: ends[WATCHES * n : WATCHES * (n + 1)] for n, proxy in enumerate(setup.proxies)}


async def layers_repeat_what_says_nothing_about_it(setup: Setup) -> dict[str, str]:
    """What the gateway's signals prevent: a client with the service config makes three attempts, Envoy three of each."""
    found = {}
    async with _replay(setup) as replay:
        for proxy in setup.proxies:
            async with channel(setup.caller_tls, proxy.port, SERVICE_CONFIG) as own:
                before = replay.tries
                await _failure(ask(rpc.ReplicaSessionServiceStub(own), SESSION), "it answers")
            found[proxy.name] = str(replay.tries - before)
            expect(found[proxy.name] == ("9" if proxy.name == "envoy" else "3"), f"{proxy.name}: {found}")
    return found


async def no_layer_repeats_a_call_when_enterprise_manager_fails(setup: Setup) -> dict[str, str]:
    """The gateway has retried: neither the proxy nor a client with the service config of the examples does so again."""

    started = lambda: setup.metric(r'grpc_server_started_total\{.*method="Get"\}')
    await setup.simulator.restart("--fault=503")
    found = {}
    for proxy in setup.proxies:
        async with channel(setup.caller_tls, proxy.port, SERVICE_CONFIG) as own:
            stub, before = rpc.ReplicaSessionServiceStub(own), started()
            for session in HISTORY[:5]:
                error = await _failure(ask(stub, session), "an Enterprise Manager that is down answers")
                expect(reason(error) == "EM_UNAVAILABLE", f"{proxy.name}: {error.code()} {error.details()}")
        tries = (started() - before) / 5
        expect(tries == 1, f"{proxy.name}: {tries} tries of each call")
        found[proxy.name] = "1"
    await setup.simulator.restart()
    await setup.settle()
    return found


ALL = [
    every_error_passes_with_its_details,
    nobody_can_pose_as_another_caller,
    a_page_of_a_thousand_sessions_passes,
    a_caller_that_leaves_ends_the_request_to_enterprise_manager,
    layers_repeat_what_says_nothing_about_it,
    no_layer_repeats_a_call_when_enterprise_manager_fails,
    silent_watches_stay_open,
    heartbeats_outlive_the_limit_of_silence,
    connections_that_end_by_age_fail_no_call,
    a_rolling_restart_fails_no_call,
    calls_in_flight_are_answered_when_all_replicas_stop,
    a_killed_replica_fails_no_call,
]
