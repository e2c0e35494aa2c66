"""A caller with many calls in flight: a process of its own, so that it does not slow down who is measured.

    python flood.py FOLDER COUNT

FOLDER has its certificate. Ends when its standard input does; prints how its calls have ended.
"""

import asyncio
import random
import sys
from collections import Counter
from pathlib import Path

import grpc
from enterprisemanager.v1 import replica_session_service_pb2_grpc as rpc

from load import HISTORY, ask, channel, reason

CONNECTIONS = 4


async def main(tls: Path, count: int) -> None:
    stubs = [rpc.ReplicaSessionServiceStub(channel(tls)) for _ in range(CONNECTIONS)]
    outcomes: Counter[str] = Counter()

    async def again_and_again(stub) -> None:
        while True:
            try:
                await ask(stub, random.choice(HISTORY), timeout=30)
                outcomes["OK"] += 1
            except grpc.aio.AioRpcError as error:
                outcomes[f"{error.code().name} {reason(error)}"] += 1
                await asyncio.sleep(1)

    calls = [asyncio.create_task(again_and_again(stubs[number % CONNECTIONS])) for number in range(count)]
    await asyncio.to_thread(sys.stdin.read)
    for call in calls:
        call.cancel()
    print(dict(outcomes))


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
