"""Asks a gateway for everything that the .NET program has written, and compares it with the objects there.

A value is read unchanged, or changed by a rule that is named here and that .NET's own reader obeys too, or the
document is refused with a reason. Anything else is an error.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import grpc
from enterprisemanager.v1 import replica_session_service_pb2 as pb
from enterprisemanager.v1 import replica_session_service_pb2_grpc as rpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from comparison import Comparison
from findings import CLOSED, UNCHANGED, Findings

PROGRAM = os.environ["GATEWAY_PROGRAM"]
PASSWORD = "päss:wörd"
FRESH = Duration()


def details(error):
    """The reason of a status."""
    for key, value in error.trailing_metadata() or []:
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return info.reason
    return ""


class Gateway:
    """The program under test, with a log."""

    def __init__(self, em, folder):
        ports = [free_port() for _ in range(2)]
        self.log_path = folder / "gateway.log"
        options = [
            f"--em-url=http://127.0.0.1:{em}", "--em-allow-plaintext", r"--em-username=TECH\gateway",
            f"--listen=127.0.0.1:{ports[0]}", f"--admin-listen=127.0.0.1:{ports[1]}", "--lame-duck=0s",
            "--reuse-unfinished=0s", "--reuse-finished=0s",
        ]  # fmt: skip
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "serve", *options], stderr=log, stdout=log,
                env={"GATEWAY_EM_PASSWORD": PASSWORD}, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        channel = grpc.insecure_channel(
            f"127.0.0.1:{ports[0]}",
            [("grpc.max_receive_message_length", 64 << 20), ("grpc.enable_retries", 0)],
        )
        grpc.channel_ready_future(channel).result(timeout=20)
        self.stub = rpc.ReplicaSessionServiceStub(channel)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def call(gateway, case):
    """What the gateway gives for a case: sessions or tasks."""
    stub, id = gateway.stub, case["Id"]
    if case["Kind"] == "tasks":
        request = pb.ListReplicaTaskSessionsRequest(session_id=id, max_age=FRESH)
        return list(stub.ListTasks(request, timeout=20).replica_task_sessions)
    if case["Kind"] == "page":
        rows, token = [], ""
        for _ in range(20):
            request = pb.ListReplicaSessionsRequest(page_size=20, page_token=token, max_age=FRESH)
            request.filter.job_id = id
            answer = stub.List(request, timeout=20)
            rows.extend(answer.replica_sessions)
            token = answer.next_page_token
            if not token:
                return rows
        raise AssertionError("the list does not end")
    view = pb.REPLICA_SESSION_VIEW_REFERENCE if case["Kind"] == "reference" else pb.REPLICA_SESSION_VIEW_ENTITY
    return [stub.Get(pb.GetReplicaSessionRequest(id=id, view=view, max_age=FRESH), timeout=20).replica_session]


def rows_of(kind, document):
    """The sessions or tasks in a document."""
    if document is None:
        return []
    if kind == "tasks":
        return document["Items"]
    if kind == "page":
        return document["Entities"]["ReplicaJobSessions"]
    return [document]


# What a whole `Error` document is for the caller.
STATUSES = {
    403: "PERMISSION_DENIED EM_ACCESS_DENIED", 404: "NOT_FOUND SESSION_NOT_FOUND",
    400: "INTERNAL EM_REQUEST_REFUSED", 501: "UNIMPLEMENTED EM_NOT_IMPLEMENTED",
}  # fmt: skip
FAILED = "INTERNAL EM_INTERNAL_ERROR"
LOST = "UNAVAILABLE EM_UNAVAILABLE"
NOT_EM = "UNAVAILABLE NOT_ENTERPRISE_MANAGER"
MALFORMED, TRUNCATED, NO_FIELDS = (f"INTERNAL EM_BAD_RESPONSE_{why}" for why in ("MALFORMED", "TRUNCATED", "NO_FIELDS"))
NOT_UTF_8 = {"XmlWriter in Latin 1", "XmlWriter in UTF-16", "Serialize(StringWriter)"}


def refusal_of(case):
    """The refusals that are right; none if the document is to be read."""
    writer, threw, status = case["Writer"], case["Written"]["Threw"], case["Status"]
    if case["Kind"] == "error":
        if status == 200:
            return {MALFORMED, TRUNCATED} if writer in NOT_UTF_8 else {TRUNCATED} if threw else {STATUSES[404]}
        if writer in NOT_UTF_8 or threw:
            # The body says nothing, the status has to do. A 404 without an `Error` document is nobody's in particular.
            return {NOT_EM if status == 404 else STATUSES.get(status, FAILED)}
        return {STATUSES[404] if "unknown id" in case["Value"] else STATUSES.get(status, FAILED)}
    if writer in NOT_UTF_8:
        return {MALFORMED, TRUNCATED}
    if case["Value"] == "all but the identity null":
        return {NO_FIELDS}
    return {TRUNCATED} if is_cut(case) else set()


def is_cut(case):
    """Whether each answer breaks off."""
    return bool(case["Written"]["Threw"]) or case["Broken"] > 1


def ask(gateway, case):
    """The gateway's answer, or its refusal."""
    try:
        return call(gateway, case), None
    except grpc.RpcError as error:
        return None, error


def judge(findings, case, got, error):
    """Holds the answer to a case against what is right."""
    right = refusal_of(case)
    written, read = rows_of(case["Kind"], case["Document"]), rows_of(case["Kind"], case["Read"])
    # A document that looks whole although a property has thrown: the loss cannot be told, a refusal would be better.
    fails = [row for row in written if row.get("Fails")] if read else []
    if error:
        refusal, threw = f"{error.code().name} {details(error)}", case["Written"]["Threw"]
        if is_cut(case):
            # HttpListener closes the connection behind such an answer without saying so. The next one to use it is
            # asked again, unless so many have been that the budget is empty.
            right |= {LOST}
        if fails:
            right |= {MALFORMED, NO_FIELDS}
        if refusal not in right:
            return findings.fail(case, "refused", " or ".join(right) or UNCHANGED, f"{refusal}: {error.details()}")
        if " of " + case["Writer"] in error.details():
            return findings.fail(case, "EM's own text", "to stay in the log", error.details())
        return findings.add(case, f"refused: {refusal}" + (f" (the writer throws {threw})" if threw else ""))
    if right and not fails:
        return findings.fail(case, "not refused", right, [row.uid for row in got])
    read = {row["UID"].strip(): row for row in read}
    answers = {answer.uid: answer for answer in got}
    if fails:
        # The one that failed is not whole, and those behind it are missing.
        written = written[: written.index(fails[0])]
        findings.add(case, CLOSED)
        answers.pop(fails[0]["UID"], None)
    if sorted(answers) != sorted(row["UID"].strip() for row in written):
        return findings.fail(case, "rows", [row["UID"] for row in written], sorted(answers))
    for row in written:
        uid = row["UID"].strip()
        comparison = Comparison(findings, case, row, read.get(uid))
        {"tasks": comparison.task, "reference": comparison.resource}.get(case["Kind"], comparison.session)(answers[uid])


def fetch(em, path):
    """What the .NET program says of itself."""
    with urllib.request.urlopen(f"http://127.0.0.1:{em}{path}", timeout=60) as answer:
        return json.load(answer)


def run(em, gateway):
    """Asks for all cases; the findings."""
    findings = Findings()
    cases = fetch(em, "/cases")
    # A token that ends is everybody's, so these go alone. What is asked for again takes from a budget, which ten
    # good answers fill; what is never whole empties it, and comes last.
    single = [case for case in cases if case["Broken"] == 1 or case["Kind"] == "logon"]
    others = [case for case in cases if case not in single]
    others.sort(key=lambda case: (is_cut(case), bool(refusal_of(case))))
    single_left, share, answers = single, 15, []
    with ThreadPoolExecutor(4) as pool:
        while single_left or others:
            answers += [(case, ask(gateway, case)) for case in single_left[:1]]
            batch = others[:share] if single_left else others
            answers += zip(batch, pool.map(lambda case: ask(gateway, case), batch))
            single_left, others = single_left[1:], others[len(batch) :]
    findings.log = gateway.log()
    for case, (got, error) in answers:
        judge(findings, case, got, error)

    asked = fetch(em, "/asked")
    code = gateway.stop()
    after = fetch(em, "/asked")
    times = {each["Id"]: each["Asked"] for each in asked["Cases"]}
    for case in single:
        if case["Writer"] not in NOT_UTF_8 and times[case["Id"]] != 2:
            findings.fail(case, "asked", "twice", times[case["Id"]])
    log = gateway.log()
    for case in cases:
        # The reason is for the operator.
        own = {"Fault 500": "reason of ", "Error 500": "message of "}.get(case["Value"])
        if own and own + case["Writer"] not in log:
            findings.fail(case, "the log", own + case["Writer"], "not there")
    if code or after["Deleted"] != [after["LogonSession"]]:
        deleted, last = after["Deleted"], after["LogonSession"]
        findings.failures.append(f"the end: exit code {code}, logged off {deleted}, not {last}")
    print(f"{len(cases)} documents, {len(answers)} calls, {sum(times.values())} requests")
    return findings


def main():
    begun = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("error: ended by SIGTERM"))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        server = subprocess.Popen(
            ["mono", sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "TZ": "Europe/Berlin"},
        )  # fmt: skip
        stack.callback(server.wait)
        stack.callback(server.kill)
        em = int(server.stdout.readline())
        gateway = Gateway(em, Path(folder))
        stack.callback(gateway.process.wait)
        stack.callback(gateway.process.kill)
        findings = run(em, gateway)
    findings.report()
    print(f"\n{len(findings.failures)} failures; {time.monotonic() - begun:.0f} s")
    sys.exit(1 if findings.failures else 0)


main()
