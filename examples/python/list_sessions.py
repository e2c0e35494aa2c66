"""Lists the failed runs of a job in the last week, with reasons: python list_sessions.py JOB_NAME [PAGE_SIZE]"""

import datetime
import os
import sys

import grpc
from get_session import connect, explain, pb, rpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

DEADLINE = float(os.getenv("DEADLINE_SECONDS", "20"))
RESULT = pb.ReplicaSession.Result


def main():
    page_size = int(sys.argv[2]) if len(sys.argv) > 2 else 50
    with connect() as channel:
        gateway = rpc.ReplicaSessionServiceStub(channel)
        try:
            for session in failed_runs(gateway, sys.argv[1], page_size):
                print("failed  ", session.id, session.name)
                tell_tasks(gateway, session)
        except grpc.RpcError as error:
            sys.exit(f"{explain(error)}\nadvice   {advice(error)}")


def failed_runs(gateway, job_name, page_size):
    """The sessions of all pages, the latest first; each page is requested when it is needed."""
    request = pb.ListReplicaSessionsRequest(page_size=page_size)
    request.filter.job_name = job_name
    request.filter.results.append(RESULT.RESULT_FAILED)
    week = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=7)
    request.filter.create_time.start_time.FromDatetime(week)
    while True:
        page = gateway.List(request, timeout=DEADLINE)
        print("page    ", len(page.replica_sessions))
        yield from page.replica_sessions
        # The token is valid only for this request: no other field may change.
        request.page_token = page.next_page_token
        if not request.page_token:
            return


def tell_tasks(gateway, session):
    # All tasks, one for each virtual machine. Beyond 1,000 tasks, there is a next page here too.
    tasks = gateway.ListTasks(pb.ListReplicaTaskSessionsRequest(session_id=session.id), timeout=DEADLINE)
    for task in tasks.replica_task_sessions:
        print("task    ", task.vm_name, RESULT.Name(task.result))
    # With the id of a session, one call returns both the session and why it failed.
    request = pb.GetReplicaSessionRequest(id=session.id, include_failed_tasks=True)
    for task in gateway.Get(request, timeout=DEADLINE).failed_tasks:
        print("trouble ", task.vm_name, task.reason)


# reasons: begin
def reason(error):
    """The gateway's machine-readable reason; empty if a proxy or the library created the error."""
    status = rpc_status.from_call(error)
    for detail in status.details if status else []:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == "replicasession.gateway":
            return info.reason
    return ""


def advice(error):
    match error.code(), reason(error):
        case _, "INVALID_FILTER" | "INVALID_ID":
            return "correct your input"
        case _, "EM_ACCESS_DENIED" | "EM_CREDENTIALS_REJECTED" | "EM_UNTRUSTED_CERTIFICATE":
            return "ask the gateway's operator to correct its setup"
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.RESOURCE_EXHAUSTED, _:
            return "try again later"
        case _:  # also reasons that this program does not know yet
            return "report it to the gateway's operator"
# reasons: end


if __name__ == "__main__":
    main()
