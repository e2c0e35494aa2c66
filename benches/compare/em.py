"""What one Enterprise Manager (EM) carries through two builds of the gateway, measured in turns.

A stand-in for EM (`simulate`) takes the same time for each answer. Every build has a gateway and a
stand-in of its own. The column "ratio" is the first build's figure by the other's, as the median of the
rounds: with the same build twice, it shows how far chance goes.
"""

import argparse
import asyncio
import collections
import contextlib
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import grpc
import grpc_tools.protoc

from parts import GATEWAY, ROOT, cpu_seconds, free_port, message, question, wait_for

PROTO = "enterprisemanager/v1/replica_session_service.proto"
FIRST = "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f002"


def session_id(number):
    """The ids of the stand-in's running sessions."""
    return FIRST if number == 0 else f"5e550000-0000-4000-9000-{number:012x}"


def load_contract(folder):
    """The contract's messages and its client, generated."""
    well_known = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    out = [f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if grpc_tools.protoc.main(["protoc", f"-I{ROOT}/proto", f"-I{well_known}", *out, PROTO]) != 0:
        sys.exit("error: the contract cannot be compiled")
    sys.path.insert(0, folder)
    from enterprisemanager.v1 import replica_session_service_pb2 as messages
    from enterprisemanager.v1 import replica_session_service_pb2_grpc as services
    return messages, services


class Pair:
    """A gateway and the stand-in behind it, until the end of a `with`."""

    def __init__(self, binary, options, latency):
        em, self.port = free_port(), free_port()
        faults = [f"--fault={fault}" for fault in (f"latency={latency}", *options.fault)] if latency else []
        sessions = ["--running", str(max(options.callers, options.watches)), "--run-length", "24h"]
        self.em = subprocess.Popen(
            [GATEWAY, "simulate", "--listen", f"127.0.0.1:{em}", *sessions, *faults],
            stdout=subprocess.PIPE, text=True)
        self.gateway = None
        wait_for(em)
        self.gateway = subprocess.Popen(
            [binary, "serve", "--listen", f"127.0.0.1:{self.port}", "--admin-listen", "127.0.0.1:0",
             "--em-url", f"http://127.0.0.1:{em}", "--em-allow-plaintext", "--em-username", r"TECH\gateway",
             "--watch-interval", options.watch_interval, *options.gateway_options.split()],
            env={**os.environ, "GATEWAY_EM_PASSWORD": "simulated"}, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        wait_for(self.port)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Without a logoff, which would be one more request.
        for process in filter(None, (self.gateway, self.em)):
            process.kill()
            process.wait()

    def em_counts(self):
        """Ends both, and returns what the stand-in has counted."""
        self.gateway.kill()
        self.em.send_signal(signal.SIGINT)
        text = self.em.communicate(timeout=30)[0]
        return {name: int(count) for name, count in re.findall(r"^(\w[\w ]*?) {2,}(\d+)$", text, re.MULTILINE)}


class Client:
    """Eight connections to a gateway."""

    def __init__(self, contract, port):
        self.messages, services = contract
        # Without options of its own, each channel would share one connection.
        options = [("grpc.use_local_subchannel_pool", 1)]
        self.channels = [grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) for _ in range(8)]
        self.stubs = [services.ReplicaSessionServiceStub(channel) for channel in self.channels]

    async def get(self, number, fresh=True):
        """Asks for this session, and has EM asked if it has to be `fresh`. Returns how long that took; `None` if it
        failed."""
        request = self.messages.GetReplicaSessionRequest(id=session_id(number))
        if fresh:
            request.max_age.SetInParent()
        began = time.perf_counter()
        try:
            answer = await self.stubs[number % len(self.stubs)].Get(request, timeout=30)
        except grpc.aio.AioRpcError:
            return None
        assert answer.replica_session.id == session_id(number)
        return time.perf_counter() - began

    async def watch(self, number, seen):
        request = self.messages.WatchReplicaSessionRequest(id=session_id(number))
        try:
            async for event in self.stubs[number % len(self.stubs)].Watch(request):
                seen[event.WhichOneof("event")] += 1
        except grpc.aio.AioRpcError:
            seen["ended"] += 1

    async def follow(self, number, filters, seen):
        """Follows one of so many filters, on a connection that others who follow the same do not all share, and goes
        on with the token when that connection ends."""
        stub = self.stubs[number // filters % len(self.stubs)]
        request = self.messages.WatchSessionsRequest()
        # So that no two filters are the same.
        request.filter.create_time.start_time.seconds = number % filters
        while True:
            try:
                async for event in stub.WatchSessions(request):
                    request.resume_token = event.resume_token or request.resume_token
                    seen[event.WhichOneof("event")] += 1
            except grpc.aio.AioRpcError as error:
                seen["came back" if error.code() == grpc.StatusCode.UNAVAILABLE else "ended"] += 1
            await asyncio.sleep(1)

    async def close(self):
        for channel in self.channels:
            await channel.close()


async def many_callers(contract, port, options):
    client = Client(contract, port)
    await client.get(0)
    times, end = [], time.perf_counter() + options.seconds

    async def caller(number):
        while time.perf_counter() < end:
            times.append(await client.get(number))

    began = time.perf_counter()
    await asyncio.gather(*(caller(number) for number in range(options.callers)))
    took = time.perf_counter() - began
    await client.close()
    return times, took


async def many_watches(contract, port, options):
    client = Client(contract, port)
    seen = {"snapshot": 0, "outage": 0, "ended": 0}
    watches = [asyncio.create_task(client.watch(number, seen)) for number in range(options.watches)]
    await asyncio.sleep(options.watch_seconds)
    for watch in watches:
        watch.cancel()
    await asyncio.gather(*watches, return_exceptions=True)
    await client.close()
    return seen


async def many_followers(contract, port, options, count):
    client = Client(contract, port)
    seen = collections.Counter()
    followers = [asyncio.create_task(client.follow(number, options.filters, seen)) for number in range(count)]
    await asyncio.sleep(options.follow_seconds)
    for follower in followers:
        follower.cancel()
    await asyncio.gather(*followers, return_exceptions=True)
    await client.close()
    return seen


def measure_callers(contract, binary, options):
    with Pair(binary, options, options.latency) as pair:
        times, took = asyncio.run(many_callers(contract, pair.port, options))
        counts = pair.em_counts()
    good = sorted(taken for taken in times if taken is not None)
    if not good:
        sys.exit(f"error: {binary} answers no call")
    return {
        "sessions/s": len(good) / took,
        "p50, ms": 1e3 * good[len(good) // 2],
        "p99, ms": 1e3 * good[len(good) * 99 // 100],
        "EM requests per read": counts["Requests"] / len(good),
        "EM requests, most at once": counts["Most at once"],
        "failed calls": len(times) - len(good),
    }


def measure_watches(contract, binary, options):
    with Pair(binary, options, options.latency) as pair:
        seen = asyncio.run(many_watches(contract, pair.port, options))
        counts = pair.em_counts()
    return {
        "EM requests": counts["Requests"],
        "EM requests, most at once": counts["Most at once"],
        "snapshots": seen["snapshot"],
        "outages and ends": seen["outage"] + seen["ended"],
    }


def measure_followers(contract, binary, options):
    """One follower of each filter, and many; then the same with connections that end."""
    figures = {}
    for age in (None, options.connection_age):
        # All looks are as far apart, whatever changes.
        more = ["--watch-interval-max", options.watch_interval] + (["--max-connection-age", age] if age else [])
        changed = {"callers": 0, "watches": 2, "gateway_options": " ".join([options.gateway_options, *more])}
        for count in (options.filters, options.followers):
            with Pair(binary, argparse.Namespace(**{**vars(options), **changed}), options.latency) as pair:
                seen = asyncio.run(many_followers(contract, pair.port, options, count))
                counts = pair.em_counts()
            title = f"{count:,} followers" + (f", connections of {age}" if age else "")
            figures[f"{title}: EM requests"] = counts["Requests"]
            figures[f"{title}: went on with a token"] = seen["came back"]
            figures[f"{title}: told all, or went on"] = seen["current"]
            figures[f"{title}: outages and ends"] = seen["outage"] + seen["missed"] + seen["ended"]
    return figures


def one_caller(pair, calls, folder):
    """The CPU time per call of the gateway, and the median time of a call, in microseconds."""
    body, log = pathlib.Path(folder, "question"), pathlib.Path(folder, "times")
    body.write_bytes(message(question(FIRST, fresh=True)))
    log.unlink(missing_ok=True)
    before = cpu_seconds(pair.gateway.pid)
    out = subprocess.run(
        ["timeout", "-k", "1", "60", "h2load", "-t1", "-c1", "-m1", f"-n{calls}", "-d", body, f"--log-file={log}",
         "-H", "content-type: application/grpc", "-H", "te: trailers",
         f"http://127.0.0.1:{pair.port}/enterprisemanager.v1.ReplicaSessionService/Get"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    used = cpu_seconds(pair.gateway.pid) - before
    data = re.search(r"\((\d+)\) data", out)
    # A failed call is an HTTP 200 without a message.
    if f"{calls} succeeded" not in out or not data or int(data[1]) < calls * 500:
        sys.exit(f"error: the gateway did not answer every call:\n{out}")
    times = [int(line.split("\t")[2]) for line in log.read_text().splitlines()]
    return 1e6 * used / calls, statistics.median(times)


def one_caller_in_turns(binaries, options, folder):
    """Both builds run all the time, and each gets a twentieth of its calls in turn."""
    with contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(Pair(binary, options, None)) for binary in binaries]
        for pair in pairs:
            one_caller(pair, options.calls // 4, folder)
        taken = [[], []]
        for turn in range(20):
            for number in (0, 1) if turn % 2 == 0 else (1, 0):
                taken[number].append(one_caller(pairs[number], options.calls // 20, folder))
    return [{
        "CPU per call, µs": statistics.median(cpu for cpu, _ in turns),
        "p50, µs": statistics.median(p50 for _, p50 in turns),
    } for turns in taken]


def print_table(title, names, rounds):
    """The median of the rounds, and of their ratios."""
    print(f"\n{title:<58}" + "".join(f"{name:>12}" for name in (*names, "ratio")))
    for figure in rounds[0][0]:
        values = [[results[build][figure] for results in rounds] for build in (0, 1)]
        digits = 3 if "per read" in figure else 0
        ratios = [first / other for first, other in zip(*values) if other]
        ratio = f"{statistics.median(ratios):>12.3f}" if len(ratios) == len(rounds) else ""
        print(f"  {figure:<56}" + "".join(f"{statistics.median(all):>12,.{digits}f}" for all in values) + ratio,
              flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--other", type=pathlib.Path, metavar="BINARY", default=GATEWAY,
                        help="the build to compare with [the same one]")
    parser.add_argument("--latency", default="100ms", metavar="DURATION", help="time EM takes for each answer [100ms]")
    parser.add_argument("--fault", action="append", default=[], metavar="FAULT", help="another fault of `simulate`")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--callers", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=10, help="time that all callers ask, each round [10]")
    parser.add_argument("--watches", type=int, default=300)
    parser.add_argument("--watch-interval", default="5s", metavar="DURATION")
    parser.add_argument("--watch-seconds", type=float, default=12, help="time that all watch, each round [12]")
    parser.add_argument("--calls", type=int, default=20000, help="calls of one caller, each round [20000]")
    parser.add_argument("--filters", type=int, default=20)
    parser.add_argument("--followers", type=int, default=1000, help="of these filters [1000]")
    parser.add_argument("--follow-seconds", type=float, default=60, help="time that all follow, four times [60]")
    parser.add_argument("--connection-age", default="30s", metavar="DURATION", help="for half of these times [30s]")
    parser.add_argument("--gateway-options", default="")
    parser.add_argument("--only", choices=["callers", "watches", "one", "followers"],
                        help="a single measurement; followers are measured only if you name them")
    options = parser.parse_args()
    binaries = (GATEWAY, options.other.resolve())
    names = ("this build", "the other")

    with tempfile.TemporaryDirectory() as folder:
        contract = load_contract(folder)

        def in_turns(measure):
            def measured(number):
                order = (0, 1) if number % 2 == 0 else (1, 0)
                results = {build: measure(contract, binaries[build], options) for build in order}
                return [results[0], results[1]]
            return measured

        measurements = {
            "callers": (f"{options.callers} callers, each another session, EM takes {options.latency}",
                        in_turns(measure_callers)),
            "watches": (f"{options.watches} watches for {options.watch_seconds:g} s, EM takes {options.latency}",
                        in_turns(measure_watches)),
            "followers": (f"Followers of {options.filters} filters for {options.follow_seconds:g} s, "
                          f"EM takes {options.latency}", in_turns(measure_followers)),
            "one": ("One caller, EM takes no time", lambda _: one_caller_in_turns(binaries, options, folder)),
        }
        for name, (title, measure) in measurements.items():
            if options.only == name or options.only is None and name != "followers":
                print_table(title, names, [measure(number) for number in range(options.rounds)])


if __name__ == "__main__":
    main()
