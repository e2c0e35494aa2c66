"""The exporter as a process, and a gateway whose sessions a test chooses."""

import os
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parent.parent.parent
EXPORTER = ROOT / "examples/exporter"
sys.path += [str(EXPORTER / "generated"), str(ROOT / "tests/interop")]
from enterprisemanager.v1 import replica_session_service_pb2 as pb
from enterprisemanager.v1 import replica_session_service_pb2_grpc as rpc

WITHIN = 30
FAILURES = "replica_exporter_failures_total"
HOUR = 3600.0


class Exporter:
    """`exporter.py` with these options, against this gateway."""

    def __init__(self, folder, gateway, *options, **environment):
        self.log = folder / f"exporter-{time.monotonic_ns()}.log"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("GATEWAY_", "TLS_"))}
        command = [f"{EXPORTER}/.venv/bin/python", f"{EXPORTER}/exporter.py", "--listen=127.0.0.1:0", *options]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env=inherited | environment | {"GATEWAY_ADDRESS": gateway},
            )  # fmt: skip

    def __enter__(self):
        started = until(lambda: "metrics at port" in self.log.read_text())
        assert started, self.log.read_text()
        self.address = f"127.0.0.1:{self.log.read_text().split('metrics at port ')[1].split()[0]}"
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            # A supervisor that stops it, stops it at once.
            assert self.process.wait(timeout=5) == 0, self.log.read_text()
        finally:
            self.process.kill()
            self.process.wait()

    def text(self):
        with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=5) as answer:
            return answer.read().decode()

    def metrics(self):
        """{name: {labels: value}}, the labels in the order of their names."""
        found = {}
        for family in text_string_to_metric_families(self.text()):
            for sample in family.samples:
                labels = tuple(value for _, value in sorted(sample.labels.items()))
                found.setdefault(sample.name, {})[labels] = sample.value
        return found

    def value(self, name, *labels):
        return self.metrics().get(name, {}).get(labels)

    def reads(self):
        """Waits until a reading that begins now has succeeded."""
        before = time.time()
        done = until(lambda: (self.value("replica_exporter_last_reading_timestamp_seconds") or 0) > before + 0.1)
        assert done, self.log.read_text()
        return self.metrics()

    def reads_once(self):
        """Waits until the first reading has succeeded."""
        assert until(lambda: self.value("replica_exporter_up") == 1), self.log.read_text()
        return self.metrics()

    def fails(self):
        """Waits until a reading has failed."""
        # Before the first reading it is not up either.
        has_failed = until(lambda: (found := self.metrics())["replica_exporter_up"][()] == 0 and FAILURES in found)
        assert has_failed, self.log.read_text()
        return self.metrics()


def until(holds):
    """Waits until `holds()` is true; returns whether it is."""
    end = time.monotonic() + WITHIN
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


class Gateway(rpc.ReplicaSessionServiceServicer):
    """A gateway with the sessions and tasks that a test gives it."""

    def __init__(self):
        self.sessions, self.tasks, self.requests = [], [], []
        self.refusals = 0
        # Refuses a page of sessions that is not the first.
        self.refuses_second_page = False
        self.server = grpc.server(ThreadPoolExecutor(4))
        rpc.add_ReplicaSessionServiceServicer_to_server(self, self.server)
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.server.stop(0)

    def run(self, job, started, result=None, machines=(), server="vbr01", took=60.0):
        """Adds a session that started so many seconds ago, with tasks: {machine: result}. Without a result it goes on."""
        number = len(self.sessions) + len(self.tasks)
        session = pb.ReplicaSession(uid=f"urn:veeam:ReplicaJobSession:{number}", job_name=job)
        session.backup_server.name = server
        self.sessions.append(session)
        fill(session, started, result, took, pb.ReplicaSession.STATE_WORKING, pb.ReplicaSession.STATE_STOPPED)
        for vm, vm_result in dict(machines).items():
            task = pb.ReplicaTaskSession(session_uid=session.uid, vm_name=vm)
            task.backup_server.name = server
            task.links.add(rel="Up", type="ReplicaJobSessionReference", name=f"{job}@2026-11-28 20:00:00")
            states = pb.ReplicaTaskSession.STATE_IN_PROGRESS, pb.ReplicaTaskSession.STATE_COMPLETED
            fill(task, started, vm_result, took, *states)
            self.tasks.append(task)

    def List(self, request, context):
        page, token = self.page(self.sessions, request, context)
        answer = pb.ListReplicaSessionsResponse(replica_sessions=page, next_page_token=token)
        answer.read_time.GetCurrentTime()
        return answer

    def ListTaskSessions(self, request, context):
        page, token = self.page(self.tasks, request, context)
        answer = pb.ListTaskSessionsResponse(replica_task_sessions=page, next_page_token=token)
        answer.read_time.GetCurrentTime()
        return answer

    def page(self, items, request, context):
        self.requests.append((type(request).__name__, request.filter.create_time.start_time.ToDatetime().timestamp()))
        if self.refusals or (self.refuses_second_page and items is self.sessions and request.page_token):
            self.refusals = max(0, self.refusals - 1)
            refuse(context)
        start = request.filter.create_time.start_time.ToNanoseconds()
        matching = [item for item in items if item.create_time.ToNanoseconds() >= start]
        matching.sort(key=lambda item: item.create_time.ToNanoseconds(), reverse=True)
        begin = int(request.page_token or 0)
        end = begin + request.page_size
        return matching[begin:end], str(end) if end < len(matching) else ""


def fill(item, started, result, took, going_on, over):
    item.create_time.FromNanoseconds(int((time.time() - started) * 1e9))
    item.state = going_on if result is None else over
    if result is not None:
        item.end_time.FromNanoseconds(item.create_time.ToNanoseconds() + int(took * 1e9))
        item.result = pb.ReplicaSession.Result.Value(f"RESULT_{result}")


def refuse(context):
    """Fails a call as a gateway does whose Enterprise Manager is down."""
    status = status_pb2.Status(code=grpc.StatusCode.UNAVAILABLE.value[0], message="Enterprise Manager is down")
    info = error_details_pb2.ErrorInfo(reason="EM_UNAVAILABLE", domain="replicasession.gateway")
    retry = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=1))
    for detail in info, retry:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    refused = rpc_status.to_status(status)
    # The gateway's word to libraries that they are not to repeat the call by themselves.
    metadata = (*refused.trailing_metadata, ("grpc-retry-pushback-ms", "-1"))
    context.abort_with_status(refused._replace(trailing_metadata=metadata))
