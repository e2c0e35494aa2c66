"""The check that calls which time out at their callers count as deadlines."""

import asyncio
import contextlib
import itertools
import json
import os
import re
import shutil

import grpc
from enterprisemanager.v1 import replica_session_service_pb2_grpc as rpc

import certificates
from load import HISTORY, ask, channel
from parts import ENVOY_PORT, WORK, Failed, eventually, expect

CALLS = 252
AT_ONCE = 36


def handled(mesh, code: str) -> int:
    name = rf'handled_total\{{.*method="Get",grpc_code="{code}"\}} (\d+)'
    return sum(int(re.search(name, each.get("/metrics"))[1]) for each in mesh.gateways)


async def times_out(stub, session: str, timeout: float | None, metadata=()) -> None:
    try:
        await ask(stub, session, timeout=timeout, metadata=metadata)
        raise Failed("a call was answered although Enterprise Manager is silent")
    except grpc.aio.AioRpcError as error:
        # The caller's library, Envoy and the gateway watch the deadline, and any of them may be first.
        expect(error.code() is grpc.StatusCode.DEADLINE_EXCEEDED, f"{error.code()}: {error.details()}")


async def with_grpcio(mesh) -> None:
    # Shorter and longer than Envoy's timeout per try, after which it asks another replica as well.
    timeouts = itertools.cycle([0.5, 1.03, 1.6, 2.55])
    async with contextlib.AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(channel(mesh.caller_tls)) for _ in range(4)]
        stubs = itertools.cycle([rpc.ReplicaSessionServiceStub(each) for each in channels])
        # With the deadline in a header of its own, the caller's library does not watch it, so Envoy is first.
        for header in "700m", "2500m":
            await times_out(next(stubs), HISTORY[0], None, [("grpc-timeout", header)])
        for first in range(0, CALLS, AT_ONCE):
            calls = range(first, first + AT_ONCE)
            await asyncio.gather(*(times_out(next(stubs), HISTORY[each % 200], next(timeouts)) for each in calls))


async def with_grpc_js(mesh) -> None:
    node = await asyncio.create_subprocess_exec(
        *(shutil.which("node"), "tests/mesh/times_out.js", str(mesh.caller_tls)),
        *(f"127.0.0.1:{ENVOY_PORT}", certificates.HOST, str(CALLS)),
        stdout=asyncio.subprocess.PIPE,
        env={"NODE_PATH": str(WORK / "node/node_modules"), "PATH": os.environ["PATH"]},
    )
    try:
        output, _ = await asyncio.wait_for(node.communicate(), 60)
    finally:
        if node.returncode is None:
            node.kill()
    expect(node.returncode == 0, f"node ended with {node.returncode}")
    codes = json.loads(output)
    expect(codes == {"DEADLINE_EXCEEDED": CALLS}, f"with grpc-js the calls ended with {codes}")


async def calls_that_time_out_count_as_deadlines(mesh):
    await mesh.simulator.stop()
    await mesh.simulator.start("silence")
    told = []
    for library, time_out in ("grpcio", with_grpcio), ("grpc-js", with_grpc_js):
        late, cancelled = handled(mesh, "DeadlineExceeded"), handled(mesh, "Canceled")
        await time_out(mesh)
        counted = lambda: (handled(mesh, "DeadlineExceeded") - late, handled(mesh, "Canceled") - cancelled)
        # A few may be later than any tolerance allows for, on a machine that is busy with other things.
        enough = lambda: counted()[0] >= 0.95 * CALLS
        await eventually(enough, f"{counted()} of {CALLS} calls of {library} count as deadlines and as cancelled")
        counts = counted()
        expect(counts[1] <= 0.05 * CALLS, f"{counts[1]} of {CALLS} calls of {library} count as cancelled")
        told.append(f"of {library} {counts[0]} count as deadlines and {counts[1]} as cancelled")
    await mesh.simulator.stop()
    await mesh.simulator.start()
    return f"{CALLS} calls per library timed out at their caller: {'; '.join(told)}"
