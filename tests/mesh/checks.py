"""The checks of three gateways behind Envoy."""

import asyncio
import contextlib
import os
import re
import secrets
import signal

import grpc
from enterprisemanager.v1 import replica_session_service_pb2 as pb
from enterprisemanager.v1 import replica_session_service_pb2_grpc as rpc
from google.protobuf import message_factory

from callers import envoy_says_who_calls_and_nobody_else_can
from certificates import ENVOY, GATEWAY, issued, served
from deadlines import calls_that_time_out_count_as_deadlines
from json_calls import curl_calls_in_json
from load import HISTORY, RUNNING, SESSION, ask, channel, reason
from parts import ENVOY_PORT, GATEWAY_PORT, Failed, eventually, expect, get
from recorder import ADDRESS, Recorder
from shares import a_caller_is_not_slowed_down_by_one_with_2000_calls_in_flight

# How many times the faults under load are repeated.
ROUNDS = int(os.environ.get("MESH_ROUNDS", "1"))

CLUSTERS = ("gateway", "gateway_by_session")


def none_failed(load) -> None:
    expect(load.answered > 100, f"only {load.answered} calls were answered: too little load")
    expect(not load.failed, f"{load.failed} failed, {load.answered} answered")


def told(load) -> str:
    return f"{load.answered} answered, 0 failed, the slowest in {load.slowest:.1f} s"


def retried(mesh) -> int:
    return sum(mesh.envoy.stat("upstream_rq_retry", cluster) for cluster in CLUSTERS)


async def refused(tls, *codes, target=None) -> grpc.aio.AioRpcError:
    """Makes a call with the certificate in `tls` and expects one of `codes`."""
    async with channel(tls, **({"target": target} if target else {})) as own:
        try:
            await ask(rpc.ReplicaSessionServiceStub(own), SESSION, timeout=5)
        except grpc.aio.AioRpcError as error:
            expect(error.code() in codes, f"refused with {error.code()}: {error.details()}")
            return error
    raise Failed(f"a caller with the certificate in {tls} was not refused")


async def calls_without_a_fault_are_not_retried(mesh):
    before = retried(mesh)
    async with mesh.load() as load:
        await asyncio.sleep(3)
    none_failed(load)
    expect(retried(mesh) == before, "calls were retried without a fault")
    for gateway in mesh.gateways:
        handled = re.search(r'handled_total\{.*method="Get",grpc_code="OK"\} (\d+)', gateway.get("/metrics"))
        expect(handled and int(handled[1]) > 10, f"{gateway.address} got almost no calls")
    return told(load)


async def a_killed_replica_fails_no_call(mesh):
    async with mesh.load() as load:
        for gateway in mesh.gateways * ROUNDS:
            await asyncio.sleep(1)
            gateway.send(signal.SIGKILL)
            await gateway.ended()
            await asyncio.sleep(2)
            await gateway.start()
            await mesh.all_healthy()
    none_failed(load)
    return f"kill -9 {3 * ROUNDS} times, {told(load)}"


async def a_replica_that_hangs_fails_no_call(mesh):
    async with mesh.load() as load:
        for gateway in (mesh.gateways * ROUNDS)[:ROUNDS]:
            await asyncio.sleep(1)
            gateway.send(signal.SIGSTOP)
            await asyncio.sleep(6)
            gateway.send(signal.SIGCONT)
            await mesh.all_healthy()
            await asyncio.sleep(1)
    none_failed(load)
    return f"stopped for 6 s, {ROUNDS} times, {told(load)}"


async def a_rolling_restart_fails_and_retries_no_call(mesh):
    before = retried(mesh)
    async with mesh.load() as load:
        for gateway in mesh.gateways * ROUNDS:
            await gateway.restart()
            await mesh.all_healthy()
    none_failed(load)
    again = retried(mesh) - before
    expect(again == 0, f"{again} calls were retried")
    return f"{3 * ROUNDS} restarts, 0 retried, {told(load)}"


async def an_intruder_is_refused_by_envoy_and_by_the_gateway(mesh):
    unavailable = grpc.StatusCode.UNAVAILABLE
    # Another identity, and another authority: no handshake with Envoy.
    await refused(mesh.intruder_tls, unavailable)
    await refused(mesh.stranger_tls, unavailable)
    handshakes = "listener.callers.ssl.fail_verify_"
    text = get(f"http://127.0.0.1:9901/stats?filter={handshakes}")
    for why in ("san", "error"):
        expect(re.search(rf"{handshakes}{why}: [1-9]", text), f"Envoy did not refuse by {why}: {text}")
    # Directly to the gateway, bypassing Envoy.
    direct = f"{mesh.gateways[0].address}:{GATEWAY_PORT}"
    error = await refused(mesh.intruder_tls, grpc.StatusCode.PERMISSION_DENIED, target=direct)
    expect(reason(error) == "CALLER_NOT_ALLOWED", f"the reason is {reason(error)}")
    await refused(mesh.stranger_tls, unavailable, target=direct)
    return "wrong identity and wrong authority, at Envoy and at the gateway"


@contextlib.asynccontextmanager
async def recorder(mesh):
    """Replaces all replicas by a recorder."""
    server = await Recorder(mesh.gateway_tls).start()
    try:
        mesh.envoy.set_endpoints([(ADDRESS, GATEWAY_PORT)])
        only_one = lambda: mesh.envoy.stat("membership_total") == mesh.envoy.healthy() == 1
        await eventually(only_one, "only the recorder is in rotation")
        yield server
    finally:
        await mesh.restore()
        await server.stop()


async def request_id_and_trace_context_pass_through(mesh):
    # Two callers with different values, so that generated or remembered values cannot pass for
    # theirs.
    for number in (1, 2):
        trace = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
        metadata = [("x-request-id", f"asked-by-nightly-{number}"), ("traceparent", trace), ("tracestate", f"a={number}")]
        async with recorder(mesh) as server, channel(mesh.caller_tls) as own:
            await ask(rpc.ReplicaSessionServiceStub(own), SESSION, metadata=metadata)
        expect(len(server.metadata) == 1, f"one call arrived {len(server.metadata)} times")
        for name, value in metadata:
            arrived = server.metadata[0].get(name)
            expect(arrived == value, f"{name} arrived as {arrived}, but {value} was sent")
    # The gateway's answer contains the caller's request id, or a generated one if the caller sent
    # none.
    async with channel(mesh.caller_tls) as own:
        stub = rpc.ReplicaSessionServiceStub(own)
        told = await answered_request_id(stub, "asked-by-nightly-3")
        expect(told == "asked-by-nightly-3", f"the answer's request id is {told}")
        made = await answered_request_id(stub, None)
        expect(made and made != told, f"without a request id the answer has {made}")
    return "request id, traceparent and tracestate exactly as they were sent, twice; the request id comes back"


async def answered_request_id(stub, sent: str | None) -> str | None:
    """The request id in the metadata of an answer."""
    metadata = [("x-request-id", sent)] if sent else []
    call = stub.Get(pb.GetReplicaSessionRequest(id=SESSION), timeout=10, metadata=metadata)
    await call
    return dict(await call.initial_metadata()).get("x-request-id")


async def a_deadline_shrinks_on_its_way(mesh):
    given, later = 5.0, 0.3
    async with recorder(mesh) as server, channel(mesh.caller_tls) as own:
        server.refusals, server.refuses_after = 1, later
        await ask(rpc.ReplicaSessionServiceStub(own), SESSION, timeout=given)
    first, second = server.seconds_left
    # If Envoy passed the deadline on unchanged, both tries would get 5 s. If it counts the time, the second
    # try gets less, by the duration of the first one, in the milliseconds of a grpc-timeout.
    expect(given - 1 < first <= given, f"of {given} s the first try got {first:.3f} s")
    expect(first - second > later - 0.05, f"the second try was given {second:.3f} s after {first:.3f} s")
    return f"of {given} s the first try got {first:.3f} s, the second, {later} s later, {second:.3f} s"


async def a_call_is_tried_again_and_a_watch_is_not(mesh):
    async with recorder(mesh) as server, channel(mesh.caller_tls) as own:
        stub = rpc.ReplicaSessionServiceStub(own)
        methods = pb.DESCRIPTOR.services_by_name["ReplicaSessionService"].methods
        for method in methods:
            server.metadata.clear()
            server.refusals = 1
            call = getattr(stub, method.name)(message_factory.GetMessageClass(method.input_type)(), timeout=5)
            try:
                await (call.read() if method.server_streaming else call)
                answered = True
            except grpc.aio.AioRpcError as error:
                expect(error.code() == grpc.StatusCode.UNAVAILABLE, f"{method.name} ended with {error.code()}")
                answered = False
            arrived, expected = len(server.metadata), 1 if method.server_streaming else 2
            expect(arrived == expected, f"{method.name} was refused once and arrived {arrived} times")
            expect(answered != method.server_streaming, f"{method.name} was answered: {answered}")
    return f"refused once: a call arrives twice, a watch once, of all {len(methods)} methods"


async def new_certificates_are_taken_up_and_fail_no_call(mesh):
    places = [(mesh.envoy.folder / "tls", ENVOY, mesh.caller_tls, "127.0.0.1", ENVOY_PORT)]
    for gateway in mesh.gateways:
        places.append((mesh.gateway_tls, GATEWAY, mesh.envoy.folder / "tls", gateway.address, GATEWAY_PORT))
    before = retried(mesh)
    async with mesh.load() as load:
        await asyncio.sleep(1)
        for folder, identity in {folder: identity for folder, identity, *_ in places}.items():
            mesh.authority.issue(identity, folder)
        for folder, _, caller, address, port in places:
            is_new = lambda: served(caller, address, port) == issued(folder)
            await eventually(is_new, f"{address}:{port} presents its new certificate", within=30)
        # New connections, with the new certificates on both hops.
        async with mesh.load() as more:
            await asyncio.sleep(1)
        await asyncio.sleep(1)
    none_failed(load)
    expect(not more.failed, f"{more.failed} on new connections")
    expect(retried(mesh) == before, "calls were retried")
    return f"at Envoy and at three gateways, {told(load)}"


async def a_watch_outlasts_tries_and_moves_on_when_its_replica_leaves(mesh):
    async with channel(mesh.caller_tls) as own:
        stub = rpc.ReplicaSessionServiceStub(own)
        watch = stub.Watch(pb.WatchReplicaSessionRequest(id=RUNNING))
        first = await asyncio.wait_for(watch.read(), 5)
        expect(first.snapshot.replica_session.id == RUNNING, f"the first event is {first}")
        next_event = asyncio.create_task(watch.read())
        # Longer than the timeout per try of other calls.
        ended, _ = await asyncio.wait([next_event], timeout=4)
        expect(not ended, "the watch did not last")
        for gateway in mesh.gateways:
            await gateway.restart()
            await mesh.all_healthy()
        try:
            await asyncio.wait_for(next_event, 5)
            raise Failed("the watch continues although its replica has stopped")
        except grpc.aio.AioRpcError as error:
            expect(error.code() == grpc.StatusCode.UNAVAILABLE, f"the watch ended with {error.code()}")
            expect(reason(error) == "WATCH_INTERRUPTED", f"the watch ended with {error.details()}")
        again = await asyncio.wait_for(stub.Watch(pb.WatchReplicaSessionRequest(id=RUNNING)).read(), 5)
        expect(again.snapshot.replica_session.id == RUNNING, f"the first event is {again}")
    return "ended with WATCH_INTERRUPTED, and started again at another replica"


async def a_watch_of_sessions_outlasts_tries_and_goes_on_at_another_replica(mesh):
    request = pb.WatchSessionsRequest(filter=pb.ReplicaSessionFilter(states=[pb.ReplicaSession.State.STATE_WORKING]))
    seen = []
    async with channel(mesh.caller_tls) as own:
        stub = rpc.ReplicaSessionServiceStub(own)
        watch = stub.WatchSessions(request)

        async def follow() -> None:
            async for event in watch:
                request.resume_token = event.resume_token or request.resume_token
                seen.append(event)

        following = asyncio.create_task(follow())
        await eventually(lambda: seen and seen[-1].HasField("current"), "everything is told")
        expect(seen[0].change.replica_session.id == RUNNING, f"the first event is {seen[0]}")
        # Longer than the timeout per try of other calls.
        ended, _ = await asyncio.wait([following], timeout=4)
        expect(not ended, "the watch did not last")
        for gateway in mesh.gateways:
            await gateway.restart()
            await mesh.all_healthy()
        try:
            await asyncio.wait_for(following, 5)
            raise Failed("the watch continues although its replica has stopped")
        except grpc.aio.AioRpcError as error:
            expect(reason(error) == "WATCH_INTERRUPTED", f"the watch ended with {error.code()} {error.details()}")
        seen.clear()
        watch = stub.WatchSessions(request)
        following = asyncio.create_task(follow())
        await eventually(lambda: seen and seen[-1].HasField("current"), "everything is told again")
        following.cancel()
    kinds = {kind for event in seen for kind in event.change.kinds}
    expect(kinds <= {pb.ReplicaSessionChange.KIND_CHANGED}, f"what is known is told again: {seen}")
    expect(not any(event.HasField("missed") for event in seen), f"something is missed: {seen}")
    return "ended with WATCH_INTERRUPTED, and went on at another replica"


async def an_outage_is_told_and_takes_no_replica_away(mesh):
    await mesh.simulator.stop()
    unavailable = {}
    for _ in range(60):
        error = await refused(mesh.caller_tls, grpc.StatusCode.UNAVAILABLE)
        unavailable[reason(error)] = unavailable.get(reason(error), 0) + 1
        for cluster in CLUSTERS:
            expect(mesh.envoy.healthy(cluster) == 3, f"{cluster} has lost a replica")
    expect(set(unavailable) == {"EM_UNAVAILABLE"}, f"the reasons are {unavailable}")
    ejected = [mesh.envoy.stat("outlier_detection.ejections_active", cluster) for cluster in CLUSTERS]
    expect(ejected == [0, 0], f"ejected: {ejected}")
    await mesh.simulator.start()
    async with channel(mesh.caller_tls) as own:
        stub = rpc.ReplicaSessionServiceStub(own)
        # Each replica waits separately before it tries Enterprise Manager again, and no other replica is asked for it
        # meanwhile: until all have, which round robin shows.
        in_a_row = 0
        for _ in range(200):
            try:
                await ask(stub, SESSION)
                in_a_row += 1
            except grpc.aio.AioRpcError:
                in_a_row = 0
                await asyncio.sleep(0.1)
            if in_a_row == 10:
                break
    async with mesh.load() as load:
        await asyncio.sleep(2)
    none_failed(load)
    return f"60 calls got EM_UNAVAILABLE, three replicas in rotation; afterwards {told(load)}"


async def a_slow_enterprise_manager_fails_no_call(mesh):
    await mesh.simulator.stop()
    await mesh.simulator.start("latency=3s")
    async with channel(mesh.caller_tls) as own:
        stub = rpc.ReplicaSessionServiceStub(own)
        await asyncio.gather(*(ask(stub, session) for session in HISTORY[:6]))
    await mesh.simulator.stop()
    await mesh.simulator.start()
    return "all answered, although each answer took longer than Envoy's timeout per try"


async def equal_questions_meet_in_one_replica(mesh):
    def asked() -> list[int]:
        name = r'started_total\{.*method="Get"\} (\d+)'
        return [int(re.search(name, each.get("/metrics"))[1]) for each in mesh.gateways]

    before = asked()
    async with channel(mesh.caller_tls) as own:
        stub = rpc.ReplicaSessionServiceStub(own)
        for _ in range(30):
            await ask(stub, SESSION, fresh=False, by_session=True)
    grown = sorted(now - then for now, then in zip(asked(), before))
    expect(grown == [0, 0, 30], f"30 equal calls were distributed as {grown}")
    return "30 of 30"


async def envoy_drains_without_losing_a_call(mesh):
    await mesh.simulator.stop()
    await mesh.simulator.start("latency=1500ms")
    async with channel(mesh.caller_tls) as own:
        stub = rpc.ReplicaSessionServiceStub(own)
        calls = [asyncio.create_task(ask(stub, session)) for session in HISTORY[:10]]
        await asyncio.sleep(0.5)
        mesh.envoy.drain()
        await asyncio.gather(*calls)
    mesh.envoy.send(signal.SIGTERM)
    await mesh.envoy.ended()
    await mesh.envoy.start(mesh.authority)
    await mesh.all_healthy()
    return "10 calls in flight were answered"


ALL = [
    calls_without_a_fault_are_not_retried,
    equal_questions_meet_in_one_replica,
    request_id_and_trace_context_pass_through,
    curl_calls_in_json,
    a_deadline_shrinks_on_its_way,
    a_call_is_tried_again_and_a_watch_is_not,
    an_intruder_is_refused_by_envoy_and_by_the_gateway,
    envoy_says_who_calls_and_nobody_else_can,
    a_rolling_restart_fails_and_retries_no_call,
    a_killed_replica_fails_no_call,
    a_replica_that_hangs_fails_no_call,
    new_certificates_are_taken_up_and_fail_no_call,
    a_watch_outlasts_tries_and_moves_on_when_its_replica_leaves,
    a_watch_of_sessions_outlasts_tries_and_goes_on_at_another_replica,
    an_outage_is_told_and_takes_no_replica_away,
    a_slow_enterprise_manager_fails_no_call,
    calls_that_time_out_count_as_deadlines,
    a_caller_is_not_slowed_down_by_one_with_2000_calls_in_flight,
    envoy_drains_without_losing_a_call,
]
