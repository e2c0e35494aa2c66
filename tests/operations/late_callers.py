"""Calls a gateway twenty times a second with a deadline of half a second, until it is killed: late_callers.py ADDRESS

Most of these calls end at their deadline, which the library watches itself and resets the call.
"""

import asyncio
import sys

import grpc
from enterprisemanager.v1 import replica_session_service_pb2 as pb
from enterprisemanager.v1 import replica_session_service_pb2_grpc as rpc


async def call(gateway):
    request = pb.GetReplicaSessionRequest(id="04f694ad-664c-4603-a747-00edecae4f17")
    request.max_age.SetInParent()
    try:
        await gateway.Get(request, timeout=0.5)
    except grpc.RpcError:
        pass


async def main():
    async with grpc.aio.insecure_channel(sys.argv[1]) as channel:
        gateway = rpc.ReplicaSessionServiceStub(channel)
        calls = set()
        while True:
            calls.add(asyncio.create_task(call(gateway)))
            calls = {task for task in calls if not task.done()}
            await asyncio.sleep(0.05)


asyncio.run(main())
