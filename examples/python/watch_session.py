"""Follows one replica job session until its run is over: python watch_session.py ID"""

import argparse
import random
import sys
import threading
import time

import grpc
from errors import explain, reason
from get_session import connect, pb, rpc


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("id")
    request = pb.WatchReplicaSessionRequest(id=parser.parse_args().id)
    with connect() as channel:
        while True:
            try:
                return watch(rpc.ReplicaSessionServiceStub(channel), request)
            except grpc.RpcError as error:
                if is_lasting(error):
                    sys.exit(explain(error))
                why = f"{error.code().name} {error.details()}"
            except TimeoutError as error:
                why = f"SILENT {error}"
            # A new watch starts with the current state, so it misses nothing.
            print("again   ", why, file=sys.stderr, flush=True)
            time.sleep(random.uniform(1, 2))


def watch(gateway, request):
    for event in alive(gateway.Watch(request)):  # without a deadline: a run takes as long as it takes
        match event.WhichOneof("event"):
            case "snapshot":
                session = event.snapshot.replica_session
                state = pb.ReplicaSession.State.Name(session.state)
                print(f"watched  {state} {session.progress_percent} %", flush=True)
            case "outage":
                print("outage  ", event.outage.reason, flush=True)
            case _:  # a heartbeat, or an event that this program does not know yet
                pass
    print("result  ", pb.ReplicaSession.Result.Name(session.result))


# alive: begin
def alive(watch):
    """What the watch sends. Raises TimeoutError when it has been silent for so long that two heartbeats are missing."""
    patience = 65  # in seconds, until the first event
    while True:
        timer = threading.Timer(patience, watch.cancel)
        timer.start()
        try:
            event = next(watch, None)
        except grpc.RpcError:
            if watch.cancelled():
                raise TimeoutError(f"nothing heard for {patience:.0f} s") from None
            raise
        finally:
            timer.cancel()
        if event is None:
            return
        if event.HasField("heartbeat_interval"):  # in the first event
            # The margin is for the second heartbeat, which is due just then.
            patience = 2 * event.heartbeat_interval.ToTimedelta().total_seconds() + 5
        yield event
# alive: end


# again: begin
def is_lasting(error):
    """Whether the gateway itself says why another watch would not help. Without a reason of the gateway, the
    connection or a proxy has failed, and what stands between decides which code that has."""
    passing = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED
    return reason(error) != "" and error.code() not in passing
# again: end


if __name__ == "__main__":
    main()
