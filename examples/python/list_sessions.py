"""Lists the failed runs of a job in the last week, with reasons: python list_sessions.py JOB_NAME [PAGE_SIZE]"""

import argparse
import datetime
import sys

import grpc
from errors import advice, explain, patiently
from get_session import connect, pb, rpc, seconds

DEADLINE, PATIENCE = seconds("DEADLINE", 20), seconds("PATIENCE", 0)
RESULT = pb.ReplicaSession.Result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job_name")
    parser.add_argument("page_size", nargs="?", type=int, default=50)
    options = parser.parse_args()
    with connect() as channel:
        gateway = rpc.ReplicaSessionServiceStub(channel)
        try:
            for session in failed_runs(gateway, options.job_name, options.page_size):
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
        page = patiently(gateway.List, request, DEADLINE, PATIENCE)
        print("page    ", len(page.replica_sessions))
        yield from page.replica_sessions
        # The token is valid only for this request: no other field may change.
        request.page_token = page.next_page_token
        if not request.page_token:
            return


def tell_tasks(gateway, session):
    # All tasks, one for each virtual machine. Beyond 1,000 tasks, there is a next page here too.
    request = pb.ListReplicaTaskSessionsRequest(session_id=session.id)
    for task in patiently(gateway.ListTasks, request, DEADLINE, PATIENCE).replica_task_sessions:
        print("task    ", task.vm_name, RESULT.Name(task.result))
    # With the id of a session, one call returns both the session and why it failed.
    request = pb.GetReplicaSessionRequest(id=session.id, include_failed_tasks=True)
    for task in patiently(gateway.Get, request, DEADLINE, PATIENCE).failed_tasks:
        print("trouble ", task.vm_name, task.reason)


if __name__ == "__main__":
    main()
