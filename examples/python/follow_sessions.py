"""Tells of every run that begins, changes or ends, until Ctrl-C: python follow_sessions.py [JOB_NAME]"""

import random
import sys
import time
from datetime import datetime, timedelta, timezone

import grpc
from errors import explain, reason, retry_delay
from get_session import connect, pb, rpc, seconds
from watch_session import alive, is_lasting

DEADLINE = seconds("DEADLINE", 20)
State, Result, Kind = pb.ReplicaSession.State, pb.ReplicaSession.Result, pb.ReplicaSessionChange.Kind
DAY = timedelta(days=1)


def main():
    request = pb.WatchSessionsRequest()
    if len(sys.argv) > 1:
        request.filter.job_name = sys.argv[1]
    with connect() as channel:
        try:
            follow(rpc.ReplicaSessionServiceStub(channel), request)
        except KeyboardInterrupt:
            pass


def follow(gateway, request):
    """Goes on where it was cut off, for ever, by the last token. A program that is to outlast itself stores that."""
    pause, current, is_refused = 1, datetime.now(timezone.utc), False
    while True:
        delay = 0
        try:
            if is_refused:  # Enterprise Manager may have learned of an end hours late
                list_ended(gateway, request.filter, current - DAY, datetime.now(timezone.utc))
                is_refused = False
            for event in alive(gateway.WatchSessions(request)):  # without a deadline: this has no end
                tell(gateway, request.filter, event)
                if event.WhichOneof("event") == "current":
                    current = event.current.read_time.ToDatetime(timezone.utc)
                # Only once the event has been dealt with: until then, it would come again.
                request.resume_token = event.resume_token or request.resume_token
                pause = 1
            why = "ENDED"
        except grpc.RpcError as error:
            if reason(error) == "INVALID_RESUME_TOKEN" and request.resume_token:
                print("missed   the gateway does not take the token; beginning anew, after what has ended:", flush=True)
                request.resume_token, is_refused = "", True
                continue
            if is_lasting(error):
                sys.exit(explain(error))
            why, delay = f"{error.code().name} {error.details()}", retry_delay(error) or 0
        except TimeoutError as error:
            why = f"SILENT {error}"
        print("again   ", why, file=sys.stderr, flush=True)
        time.sleep(max(delay, pause) * random.uniform(1, 2))
        pause = min(2 * pause, 30)


def tell(gateway, followed, event):
    match event.WhichOneof("event"):
        case "change":
            # A session that was over when it was first seen has appeared and ended.
            kind = Kind.Name(event.change.kinds[-1]).removeprefix("KIND_").lower()
            print_session(kind, event.change.replica_session)
        case "current":
            print("current ", event.current.read_time.ToJsonString(), flush=True)
        case "outage":
            print("outage  ", event.outage.reason, flush=True)
        case "missed":
            ended = event.missed.end_time
            before = ended.end_time.ToDatetime(timezone.utc)
            since = ended.start_time.ToDatetime(timezone.utc) if ended.HasField("start_time") else before - DAY
            print("missed   the gateway does not know which of these have been told:", flush=True)
            list_ended(gateway, followed, since, before)
        case _:  # a heartbeat, or an event that this program does not know yet
            pass


def list_ended(gateway, followed, since, before):
    """The sessions that ended in this time, some of which may have been told."""
    request = pb.ListReplicaSessionsRequest(page_size=1000, filter=followed)
    request.filter.end_time.start_time.FromDatetime(since)
    request.filter.end_time.end_time.FromDatetime(before)
    while True:
        page = gateway.List(request, timeout=DEADLINE)
        for session in page.replica_sessions:
            print_session("listed", session)
        request.page_token = page.next_page_token
        if not request.page_token:
            return


def print_session(what, session):
    is_over = session.state == State.STATE_STOPPED
    how = Result.Name(session.result) if is_over else f"{State.Name(session.state)} {session.progress_percent} %"
    print(f"{what:8} {session.id} {how} {session.name}", flush=True)


if __name__ == "__main__":
    main()
