"""Follows one replica job session until its run is over: python watch_session.py ID"""

import random
import sys
import time

import grpc
from errors import explain, reason
from get_session import connect, pb, rpc


def main():
    request = pb.WatchReplicaSessionRequest(id=sys.argv[1])
    with connect() as channel:
        while True:
            try:
                return watch(rpc.ReplicaSessionServiceStub(channel), request)
            except grpc.RpcError as error:
                if is_lasting(error):
                    sys.exit(explain(error))
                # A new watch starts with the current state, so it misses nothing.
                print("again   ", error.code().name, error.details(), file=sys.stderr, flush=True)
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


# again: begin
def is_lasting(error):
    """Whether the gateway itself says why another watch would not help. Without a reason of the gateway, the
    connection or a proxy has failed, and what stands between decides which code that has."""
    passing = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED
    return reason(error) != "" and error.code() not in passing
# again: end


if __name__ == "__main__":
    main()
