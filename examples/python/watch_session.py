"""Follows one replica job session until its run is over: python watch_session.py ID"""

import random
import sys
import time

import grpc
from get_session import connect, explain, pb, rpc


def main():
    request = pb.WatchReplicaSessionRequest(id=sys.argv[1])
    with connect() as channel:
        while True:
            try:
                return watch(rpc.ReplicaSessionServiceStub(channel), request)
            except grpc.RpcError as error:
                # The gateway is stopping, or the connection has reached its maximum age: a new
                # watch misses nothing.
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    sys.exit(explain(error))
                time.sleep(random.uniform(1, 2))


def watch(gateway, request):
    for event in gateway.Watch(request):  # without a deadline: a run takes as long as it takes
        match event.WhichOneof("event"):
            case "snapshot":
                session = event.snapshot.replica_session
                state = pb.ReplicaSession.State.Name(session.state)
                print(f"watched  {state} {session.progress_percent} %", flush=True)
            case "outage":
                print("outage  ", event.outage.reason, flush=True)
    print("result  ", pb.ReplicaSession.Result.Name(session.result))


if __name__ == "__main__":
    main()
