"""Measures the figures of docs/scaling.md. Run it on an otherwise idle machine, with a release
build."""

import asyncio
import os
import re
import shutil
import socket
import statistics
import struct
import subprocess
import time
from pathlib import Path

import grpc
from enterprisemanager.v1 import replica_session_service_pb2 as pb
from enterprisemanager.v1 import replica_session_service_pb2_grpc as rpc

from certificates import tls_context
from load import HISTORY, NOW, RUNNING, SESSION, ask, channel
from parts import GATEWAY_PORT, PROGRAM, WORK, Gateway, expect

PLAINTEXT = [f"GATEWAY_{name}" for name in ("TLS_CERT_FILE", "TLS_KEY_FILE", "CLIENT_CA_FILE", "ALLOW_CALLER")]
PLAINTEXT += ["GATEWAY_CALLER_IDENTITY", "GATEWAY_TRUSTED_PROXIES"]
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


# How many times the cost of a call is measured; the median counts.
TIMES = 3


async def all_figures(mesh) -> None:
    conditions()
    await one_replica(mesh)
    await sharing(mesh)
    await adding_replicas(mesh)
    await memory(mesh)
    print(f"load average at the end: {os.getloadavg()[0]:.1f}")


def conditions() -> None:
    """Prints the conditions of the measurement."""
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    version = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True)
    print(f"{version.stdout.strip()} at {PROGRAM}, {Path(PROGRAM).stat().st_size / 1e6:.1f} MB")
    print(f"{os.cpu_count()} cores of {model and model[1]}, load average {os.getloadavg()[0]:.1f}", flush=True)


async def afresh(mesh, *faults: str) -> None:
    """Restarts replicas and simulator, so that they have no kept answers and all counters are
    zero."""
    await mesh.simulator.stop()
    await asyncio.gather(*(each.restart() for each in mesh.gateways))
    await mesh.simulator.start(*faults)
    await mesh.all_healthy()


async def sharing(mesh) -> None:
    """Reads from Enterprise Manager for 1,000 calls, 64 in flight, over three replicas."""
    for gateway in mesh.gateways:
        gateway.settings["GATEWAY_LAME_DUCK"] = "1500ms"
    print("reads from Enterprise Manager for 1,000 calls, three replicas")
    hundred = HISTORY[:100]
    for what, sessions, fresh, rate, faults in (
        ("one session that is over", [SESSION], False, None, ()),
        ("one session that runs, over 20 s", [RUNNING], False, 50, ()),
        ("one session, max_age 0, EM takes 100 ms", [SESSION], True, None, ("latency=100ms",)),
        ("100 sessions that are over, 10 times each", hundred, False, None, ()),
    ):
        for by_session in (False, True):
            await afresh(mesh, *faults)
            took = await questions(mesh, 1000, sessions, fresh, by_session, rate)
            reads = await mesh.simulator.stop()
            await mesh.simulator.start()
            how = "by session" if by_session else "in turn"
            print(f"  {what}, {how}: {reads} reads in {took:.1f} s", flush=True)


async def questions(mesh, count, sessions, fresh, by_session, rate=None, in_flight=64) -> float:
    """Makes `count` calls, about each session in turn. Returns how long that took."""
    limit = asyncio.Semaphore(in_flight)
    channels = [channel(mesh.caller_tls) for _ in range(4)]
    stubs = [rpc.ReplicaSessionServiceStub(each) for each in channels]
    await asyncio.gather(*(each.channel_ready() for each in channels))

    async def one(number: int) -> None:
        async with limit:
            stub, session = stubs[number % len(stubs)], sessions[number % len(sessions)]
            await ask(stub, session, fresh=fresh, by_session=by_session, timeout=30)

    begun = time.monotonic()
    tasks = []
    for number in range(count):
        if rate:
            await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))
        tasks.append(asyncio.create_task(one(number)))
    await asyncio.gather(*tasks)
    took = time.monotonic() - begun
    for each in channels:
        await each.close()
    return took


async def adding_replicas(mesh) -> None:
    """Calls per second by number of replicas, if all ask Enterprise Manager, which takes 100 ms."""
    print("calls per second, EM takes 100 ms, 8 requests at a time for each replica")
    for number in (1, 2, 3):
        await afresh(mesh, "latency=100ms")
        mesh.envoy.set_endpoints([(each.address, GATEWAY_PORT) for each in mesh.gateways[:number]])
        while mesh.envoy.stat("membership_total") != number:
            await asyncio.sleep(0.05)
        count = 400 * number
        took = await questions(mesh, count, HISTORY, True, False)
        print(f"  {number} replicas: {count / took:.0f}", flush=True)
        await mesh.restore()


def plaintext(mesh, address: str, **settings: str) -> Gateway:
    """A replica without TLS, as behind a sidecar."""
    gateway = Gateway(address, mesh.gateway_tls)
    gateway.settings = {name: None for name in PLAINTEXT} | settings
    return gateway


async def one_replica(mesh) -> None:
    """CPU time per call, and from that the number of calls that one core can carry."""
    expect(shutil.which("h2load"), "h2load is needed: apt-get install nghttp2-client")
    for what, fresh, callers, in_flight, count in (
        ("every call asks EM", True, 1, 1, 4000),
        ("every call asks EM", True, 64, 1, 500),
        ("answers are reused", False, 1, 1, 4000),
        ("answers are reused", False, 1, 64, 40000),
    ):
        found = [await cost(mesh, fresh, callers, in_flight, count) for _ in range(TIMES)]
        used, rate = (statistics.median(each[column] for each in found) for column in (0, 1))
        lowest, highest = (bound(each[0] for each in found) for bound in (min, max))
        peak = max(each[2] for each in found)
        print(
            f"one replica, one worker, {what}, {callers * in_flight} in flight: {used * 1e6:.0f} µs CPU a call "
            f"({lowest * 1e6:.0f} to {highest * 1e6:.0f}), so {1 / used:.0f} calls/s for a core; "
            f"measured, with load and simulator on the same cores, {rate:.0f} calls/s; {peak:.0f} MiB",
            flush=True,
        )


async def cost(mesh, fresh: bool, callers: int, in_flight: int, count: int) -> tuple[float, float, float]:
    """CPU time per call in seconds, calls per second, memory in MiB."""
    await mesh.simulator.stop()
    await mesh.simulator.start()
    gateway = plaintext(mesh, "127.0.0.31", GATEWAY_WORKERS="1", GATEWAY_EM_CONCURRENCY="64")
    await gateway.start()
    before, clock = gateway.cpu_seconds(), time.monotonic()
    # Each asks about a different session; otherwise they would share their reads.
    await asyncio.gather(*(h2load(gateway, each, fresh, in_flight, count) for each in HISTORY[:callers]))
    used, took = gateway.cpu_seconds() - before, time.monotonic() - clock
    calls, peak = callers * count, gateway.resident_kib() / 1024
    handled = re.search(r'handled_total\{.*method="Get",grpc_code="OK"\} (\d+)', gateway.get("/metrics"))
    expect(int(handled[1]) == calls, f"only {handled[1]} of {calls} calls were answered OK")
    gateway.process.terminate()
    await gateway.ended()
    reads = await mesh.simulator.stop()
    await mesh.simulator.start()
    expect(reads >= calls if fresh else reads <= 2 * callers, f"{calls} calls took {reads} reads")
    return used / calls, calls / took, peak


async def h2load(gateway, session: str, fresh: bool, in_flight: int, count: int) -> None:
    """Generates load with little CPU time of its own."""
    request = pb.GetReplicaSessionRequest(id=session, max_age=NOW if fresh else None)
    message = request.SerializeToString()
    body = WORK / f"question-{session}"
    body.write_bytes(struct.pack(">BI", 0, len(message)) + message)
    command = ["h2load", "--requests", str(count), "--clients", str(min(in_flight, 4))]
    command += ["--max-concurrent-streams", str(max(1, in_flight // 4)), "--data", str(body)]
    command += ["--header", "content-type: application/grpc", "--header", "te: trailers"]
    url = f"http://{gateway.address}:{GATEWAY_PORT}/enterprisemanager.v1.ReplicaSessionService/Get"
    pipe = asyncio.subprocess.PIPE
    run = await asyncio.create_subprocess_exec(*command, url, stdout=pipe, stderr=pipe)
    told, errors = await run.communicate()
    body.unlink()
    expect(f"{count} succeeded" in told.decode(), f"{told} {errors}")


async def memory(mesh) -> None:
    """Memory of a replica for connections and calls."""
    for what, tls in (("plaintext", False), ("mutual TLS", True)):
        gateway = Gateway("127.0.0.32", mesh.gateway_tls) if tls else plaintext(mesh, "127.0.0.32")
        await gateway.start()
        empty = gateway.resident_kib()
        opened = [await asyncio.to_thread(connect, mesh, gateway, tls) for _ in range(1000)]
        await asyncio.sleep(1)
        each = (gateway.resident_kib() - empty) / len(opened)
        print(f"memory: {empty / 1024:.0f} MiB empty; {each:.1f} KiB for an idle connection ({what})", flush=True)
        for one in opened:
            one.close()
        gateway.process.kill()
        await gateway.ended()

    await mesh.simulator.stop()
    await mesh.simulator.start("latency=20s")
    gateway = plaintext(mesh, "127.0.0.33")
    await gateway.start()
    async with grpc.aio.insecure_channel(f"{gateway.address}:{GATEWAY_PORT}") as own:
        stub = rpc.ReplicaSessionServiceStub(own)
        empty = gateway.resident_kib()
        calls = [asyncio.create_task(ask(stub, HISTORY[n % 200], timeout=15)) for n in range(1000)]
        await asyncio.sleep(3)
        each = (gateway.resident_kib() - empty) / len(calls)
        print(f"memory: {each:.1f} KiB for a call in flight", flush=True)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    gateway.process.kill()
    await gateway.ended()
    await mesh.simulator.stop()
    await mesh.simulator.start()


def connect(mesh, gateway, tls: bool):
    """A connection that sends the preface and then nothing."""
    stream = socket.create_connection((gateway.address, GATEWAY_PORT))
    if tls:
        stream = tls_context(mesh.envoy.folder / "tls").wrap_socket(stream)
    stream.sendall(PREFACE)
    return stream
