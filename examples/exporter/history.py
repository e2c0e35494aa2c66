"""What is known of the runs of a job, and of a virtual machine in a job: read from the gateway, and put together."""

import math
import time
from dataclasses import dataclass, field, replace

from errors import patiently
from get_session import pb

DAY = 24 * 3600.0
SUCCESS, WARNING, FAILED, OTHER = range(4)
RESULT_CODES = {
    pb.ReplicaSession.RESULT_SUCCESS: SUCCESS,
    pb.ReplicaSession.RESULT_WARNING: WARNING,
    pb.ReplicaSession.RESULT_FAILED: FAILED,
}


@dataclass(frozen=True)
class Run:
    """A session, or a task in it. Times are seconds since 1970, by the backup server's clock."""

    started: float
    ended: float
    result: int


@dataclass
class History:
    """The runs of one job, or of one virtual machine in one job, however often each of them is read."""

    first_started: float
    last_started: float
    last: Run | None = None
    last_success: Run | None = None
    running_since: float | None = None

    def is_running(self, started):
        self._started(started)
        if (self.last is None or started > self.last.started) and started > (self.running_since or 0):
            self.running_since = started

    def is_over(self, run):
        self._started(run.started)
        if self.last is None or run.started >= self.last.started:
            self.last = run
        if run.result == SUCCESS and (self.last_success is None or run.ended >= self.last_success.ended):
            self.last_success = run
        # The run that went on when it was read before, or one after it.
        if self.running_since is not None and run.started >= self.running_since:
            self.running_since = None

    def _started(self, started):
        self.first_started = min(self.first_started, started)
        self.last_started = max(self.last_started, started)


@dataclass
class Replication:
    """All that is known. `jobs` has the keys (backup server, job), `machines` (backup server, job, machine)."""

    jobs: dict[tuple, History] = field(default_factory=dict)
    machines: dict[tuple, History] = field(default_factory=dict)
    # When the gateway received the oldest part of the last reading; None before there was one.
    read_at: float | None = None
    # Whether the page budget was too small for the last reading, which then lacks the oldest runs.
    is_truncated: bool = False


def read(gateway, known, options, counted):
    """A new reading on top of what is known, which stays as it is. Raises grpc.RpcError.

    The first reading goes back by the whole window. Later ones only go back as far as something may have changed:
    for Enterprise Manager may learn late of a run, and a run that went on may be over.
    """
    now = time.time()
    histories = [*known.jobs.values(), *known.machines.values()]
    start = now - options.window_days * DAY
    if known.read_at and not known.is_truncated:
        going_on = [history.running_since for history in histories if history.running_since]
        start = max(start, min([known.read_at - options.again_hours * 3600, *going_on]))
    new = Replication(copied(known.jobs), copied(known.machines))
    # Tasks first: then the sessions of all of them are among those that are read afterwards, also of new ones.
    tasks = []
    for page in pages(new, gateway.ListTaskSessions, pb.ListTaskSessionsRequest(), start, options, counted):
        tasks += page.replica_task_sessions
    names = {}
    # A task can be created long after its session.
    for page in pages(new, gateway.List, pb.ListReplicaSessionsRequest(), start - DAY, options, counted):
        for session in page.replica_sessions:
            names[session.uid] = key = (session.backup_server.name, session.job_name)
            add(new.jobs, key, session, pb.ReplicaSession.STATE_STOPPED)
    for task in tasks:
        job = names.get(task.session_uid) or (task.backup_server.name, job_name(task))
        add(new.machines, (*job, task.vm_name), task, pb.ReplicaTaskSession.STATE_COMPLETED)
    for histories in new.jobs, new.machines:
        for key, history in list(histories.items()):
            if history.last_started < now - options.window_days * DAY:
                del histories[key]
    return new


def pages(new, call, request, start, options, counted):
    """The pages from the newest one back to `start`, at most as many as the budget allows."""
    request.page_size = options.page_size
    request.filter.create_time.start_time.FromMicroseconds(int(start * 1e6))
    for _ in range(options.max_pages):
        # Waits as long as the gateway says if that may help, but not until the next reading.
        page = patiently(call, request, options.deadline, options.interval / 2)
        counted.inc()
        new.read_at = min(new.read_at or math.inf, seconds(page.read_time))
        yield page
        request.page_token = page.next_page_token
        if not request.page_token:
            return
    new.is_truncated = True


def copied(histories):
    return {key: replace(history) for key, history in histories.items()}


def add(histories, key, item, over):
    """Adds a session or a task to the history of its key."""
    started = seconds(item.create_time)
    history = histories.setdefault(key, History(started, started))
    if item.state != over:
        return history.is_running(started)
    ended = seconds(item.end_time) if item.HasField("end_time") else started
    history.is_over(Run(started, ended, RESULT_CODES.get(item.result, OTHER)))


def job_name(task):
    """The job of a task whose session was not read: the name of the session, in the link to it, begins with it."""
    for link in task.links:
        if link.rel == "Up" and link.type.startswith("ReplicaJobSession"):
            return link.name.rpartition("@")[0] or link.name
    return ""


def seconds(timestamp):
    return timestamp.seconds + timestamp.nanos / 1e9
