"""Tells of every run that begins, changes or ends, until Ctrl-C: python follow_sessions.py [JOB_NAME]"""

import argparse
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job_name", nargs="?", default="")
    request = pb.WatchSessionsRequest()
    request.filter.job_name = parser.parse_args().job_name
    with connect() as channel:
        try:
            Follower(rpc.ReplicaSessionServiceStub(channel), request).follow()
        except KeyboardInterrupt:
            pass


class Follower:
    """Goes on where it was cut off, for ever, by the last token. A program that is to outlast itself stores that."""

    def __init__(self, gateway, request):
        self.gateway, self.request = gateway, request
        # Until when everything has been told, and since when ends are missing, if the gateway has refused the token.
        self.current, self.missed_since = datetime.now(timezone.utc), None
        # When each end was told, by the session's id.
        self.told = {}

    def follow(self):
        pause = 1
        while True:
            delay = 0
            try:
                for event in alive(self.gateway.WatchSessions(self.request)):  # without a deadline: this has no end
                    self.tell(event)
                    # Only once the event has been dealt with: until then, it would come again.
                    self.request.resume_token = event.resume_token or self.request.resume_token
                    pause = 1
                why = "ENDED"
            except grpc.RpcError as error:
                if reason(error) == "INVALID_RESUME_TOKEN" and self.request.resume_token:
                    print("missed   the gateway does not take the token; beginning anew, then listing ends", flush=True)
                    self.request.resume_token = ""
                    # Enterprise Manager may have learned of an end hours late.
                    self.missed_since = self.missed_since or self.current - DAY
                    continue
                if is_lasting(error):
                    sys.exit(explain(error))
                why, delay = f"{error.code().name} {error.details()}", retry_delay(error) or 0
            except TimeoutError as error:
                why = f"SILENT {error}"
            print("again   ", why, file=sys.stderr, flush=True)
            time.sleep(max(delay, pause) * random.uniform(1, 2))
            pause = min(2 * pause, 30)

    def tell(self, event):
        match event.WhichOneof("event"):
            case "change":
                # A session that was over when it was first seen has appeared and ended.
                kind = Kind.Name(event.change.kinds[-1]).removeprefix("KIND_").lower()
                if kind != "ended" or self.is_news(event.change.replica_session):
                    print_session(kind, event.change.replica_session)
                self.forget()
            case "current":
                self.current = event.current.read_time.ToDatetime(timezone.utc)
                print("current ", event.current.read_time.ToJsonString(), flush=True)
                if self.missed_since:
                    # Not earlier: only what ends from here on is told by a watch that has begun anew.
                    self.list_ended(self.missed_since)
                    self.missed_since = None
            case "outage":
                print("outage  ", event.outage.reason, flush=True)
            case "missed":
                ended = event.missed.end_time
                before = ended.end_time.ToDatetime(timezone.utc)
                since = ended.start_time.ToDatetime(timezone.utc) if ended.HasField("start_time") else before - DAY
                print("missed   the gateway does not know which ends have been told; listing them", flush=True)
                self.list_ended(since, before)
            case _:  # a heartbeat, or an event that this program does not know yet
                pass

    def list_ended(self, since, before=None):
        """Tells the sessions that ended in this time, except those that have been told."""
        request = pb.ListReplicaSessionsRequest(page_size=1000, filter=self.request.filter)
        request.filter.end_time.start_time.FromDatetime(since)
        if before:
            request.filter.end_time.end_time.FromDatetime(before)
        while True:
            page = self.gateway.List(request, timeout=DEADLINE)
            for session in filter(self.is_news, page.replica_sessions):
                print_session("listed", session)
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    def is_news(self, session):
        """Whether this end has not been told; from now on it has."""
        is_news = session.id not in self.told
        self.told[session.id] = time.time()
        return is_news

    def forget(self):
        """The ends that were told longer ago than any list here goes back."""
        oldest = time.time() - 2 * DAY.total_seconds()
        self.told = {session: at for session, at in self.told.items() if at > oldest}


def print_session(what, session):
    is_over = session.state == State.STATE_STOPPED
    how = Result.Name(session.result) if is_over else f"{State.Name(session.state)} {session.progress_percent} %"
    print(f"{what:8} {session.id} {how} {session.name}", flush=True)


if __name__ == "__main__":
    main()
