"""How a virtual machine was replicated in the last week: python list_task_sessions.py VM_NAME [PAGE_SIZE]"""

import argparse
import datetime
import sys

import grpc
from errors import advice, explain, patiently
from get_session import connect, pb, rpc, seconds

DEADLINE, PATIENCE = seconds("DEADLINE", 20), seconds("PATIENCE", 0)
State, Result = pb.ReplicaTaskSession.State, pb.ReplicaSession.Result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vm_name")
    parser.add_argument("page_size", nargs="?", type=int, default=50)
    options = parser.parse_args()
    newest = None
    with connect() as channel:
        gateway = rpc.ReplicaSessionServiceStub(channel)
        try:
            for page in pages(gateway, options.vm_name, options.page_size):
                print("page    ", len(page))
                names = job_names(gateway, page)
                for task in page:
                    print("task    ", told(task), names.get(task.session_uid, "unknown job"))
                    if task.reason:
                        print("trouble ", task.reason)
                    if task.state == State.STATE_COMPLETED:
                        newest = newest or task
        except grpc.RpcError as error:
            sys.exit(f"{explain(error)}\nadvice   {advice(error)}")
    # How the machine stands: a later task may have mended what an earlier one could not do.
    print("newest  ", told(newest) if newest else "nothing is over")


def pages(gateway, vm_name, page_size):
    """The tasks page by page, the newest first; each page is requested when it is needed."""
    request = pb.ListTaskSessionsRequest(page_size=page_size)
    request.filter.vm_names.append(vm_name)
    week = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=7)
    request.filter.create_time.start_time.FromDatetime(week)
    while True:
        page = patiently(gateway.ListTaskSessions, request, DEADLINE, PATIENCE)
        yield page.replica_task_sessions
        # The token is valid only for this request: no other field may change.
        request.page_token = page.next_page_token
        if not request.page_token:
            return


def job_names(gateway, tasks):
    """The names of the jobs by session. A task names only its session, so one more call reads all of these."""
    if not tasks:
        return {}
    request = pb.ListReplicaSessionsRequest()
    request.filter.session_ids.extend({task.session_uid for task in tasks})
    sessions = patiently(gateway.List, request, DEADLINE, PATIENCE).replica_sessions
    return {session.uid: session.job_name for session in sessions}


def told(task):
    return f"{task.create_time.ToJsonString()} {Result.Name(task.result)}"  # RESULT_NONE until it is over


if __name__ == "__main__":
    main()
