"""Has a gateway do what gateways do all day, so that dist/profile learns which code that runs through: calls with each
answer from Enterprise Manager, kept answers, lists, batches, watches, and some failures.

Enterprise Manager is `simulate`, with TLS, and takes no time or, for batches, 20 ms for each answer.
"""

import asyncio
import collections
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import grpc

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benches/compare"))
from em import Client, load_contract  # noqa: E402
from parts import free_port, wait_for  # noqa: E402

SIMULATOR = ROOT / "target/debug/replica-session-gateway"
RUNNING = 300
UNKNOWN = "00000000-0000-4000-8000-000000000000"


class Gateway:
    """A gateway with a simulator behind it, until the end of a `with`. It writes what it has counted as it ends."""

    def __init__(self, program, *options, faults=()):
        em, self.port = free_port(), free_port()
        self.em = subprocess.Popen(
            [SIMULATOR, "simulate", "--tls", "--listen", f"127.0.0.1:{em}", "--running", str(RUNNING), "--sessions", "2000",
             "--run-length", "24h", *(f"--fault={fault}" for fault in faults)], stdout=subprocess.PIPE, text=True)
        pin = next(filter(None, (re.match(r"Pin +(\w+)", line) for line in self.em.stdout)))[1]
        wait_for(em)
        self.gateway = subprocess.Popen(
            [program, "serve", "--listen", f"127.0.0.1:{self.port}", "--admin-listen", "127.0.0.1:0",
             "--em-url", f"https://localhost:{em}", "--em-pin-sha256", pin, "--em-username", r"TECH\gateway", *options],
            env={**os.environ, "GATEWAY_EM_PASSWORD": "simulated"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.port)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.gateway.terminate()
        ended = self.gateway.wait(timeout=60)
        self.em.send_signal(signal.SIGINT)
        self.em.communicate(timeout=30)
        if ended != 0:
            sys.exit(f"error: the gateway ended with {ended}")


async def calls(client, callers, seconds, fresh=True):
    """So many callers ask for one session after the other."""
    end, count = time.perf_counter() + seconds, 0

    async def caller(number):
        nonlocal count
        while time.perf_counter() < end:
            if await client.get(number % RUNNING, fresh) is None:
                sys.exit("error: a call has failed")
            count += 1

    await asyncio.gather(*(caller(number) for number in range(callers)))
    print(f"{callers} callers: {count} calls", flush=True)


async def others(client):
    """Lists, tasks, an unknown session, and an invalid id."""
    messages, stub = client.messages, client.stubs[0]
    for _ in range(20):
        request = messages.ListReplicaSessionsRequest(page_size=100)
        sessions = await stub.List(request, timeout=30)
        first = sessions.replica_sessions[0].id
        await stub.ListTasks(messages.ListReplicaTaskSessionsRequest(session_id=first), timeout=30)
        await stub.ListTaskSessions(messages.ListTaskSessionsRequest(page_size=100), timeout=30)
        for wrong in (UNKNOWN, "no id"):
            try:
                await stub.Get(messages.GetReplicaSessionRequest(id=wrong), timeout=30)
                sys.exit(f"error: there is a session {wrong}")
            except grpc.aio.AioRpcError:
                pass


async def watches(client, seconds):
    """Each running session is watched, and all of them are followed."""
    seen = collections.Counter()
    tasks = [asyncio.create_task(client.watch(number, seen)) for number in range(RUNNING)]
    tasks += [asyncio.create_task(client.follow(number, 5, seen)) for number in range(20)]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(f"{RUNNING} watches and 20 followers: {dict(seen)}", flush=True)


async def quick(contract, port):
    client = Client(contract, port)
    await calls(client, 64, 10)
    await calls(client, 1, 5)
    await calls(client, 64, 2, fresh=False)
    await others(client)
    await client.close()


async def slow(contract, port):
    client = Client(contract, port)
    await calls(client, 256, 5)
    await watches(client, 10)
    await client.close()


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        contract = load_contract(folder)
        for options in ("--em-concurrency=64",), ():
            with Gateway(program, *options) as gateway:
                asyncio.run(quick(contract, gateway.port))
        with Gateway(program, "--watch-interval=2s", faults=["latency=20ms"]) as gateway:
            asyncio.run(slow(contract, gateway.port))


if __name__ == "__main__":
    main()
