"""What to make of a failed call: its parts, what to do about it, and when to try again."""

import random
import time

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status


# errors: begin
def explain(error):
    lines = [f"code     {error.code().name}", f"message  {error.details()}"]
    for detail in details(error):
        info, retry, bad = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            lines.append(f"reason   {info.reason}")
        elif detail.Unpack(retry):
            lines.append(f"retry    after {retry.retry_delay.ToTimedelta().total_seconds():g} s")
        elif detail.Unpack(bad):
            lines += [f"field    {v.field} {v.description}" for v in bad.field_violations]
    return "\n".join(lines)


def details(error):
    """The details of a status that the gateway created; none if a proxy or the library created it."""
    try:
        status = rpc_status.from_call(error)
    except ValueError:  # the deadline passed here while the gateway's status, which has another code, arrived
        status = None
    return status.details if status else []
# errors: end


# reasons: begin
def reason(error):
    """The gateway's machine-readable reason; empty if a proxy or the library created the error."""
    for detail in details(error):
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
        case grpc.StatusCode.UNAVAILABLE, "":
            return "check the gateway's address, and whether it runs"
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.RESOURCE_EXHAUSTED, _:
            return "try again later"
        case grpc.StatusCode.DEADLINE_EXCEEDED, _:
            return "try again later, with a longer deadline, if this is the gateway's address: Enterprise Manager is slow or busy"
        case _:  # also reasons that this program does not know yet
            return "report it to the gateway's operator"
# reasons: end


# patience: begin
def patiently(call, request, timeout, patience):
    """Makes a call, and makes it again while the gateway says that this may help, after the delay that it asks for.

    For programs that can wait, such as queue workers. `timeout` is for each attempt, and `patience` for all of
    them together, in seconds: the last error is raised when the next attempt would begin later than that.
    """
    end = time.monotonic() + patience
    while True:
        try:
            return call(request, timeout=timeout)
        except grpc.RpcError as error:
            delay = retry_delay(error)
            # At random up to half as long again, so that all who wait do not come back in the same instant.
            delay = delay and delay * random.uniform(1, 1.5)
            if delay is None or time.monotonic() + delay > end:
                raise
            time.sleep(delay)


def retry_delay(error):
    """After how many seconds another attempt may succeed; None if the gateway does not say so."""
    for detail in details(error):
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(retry):
            return retry.retry_delay.ToTimedelta().total_seconds()
    return None
# patience: end
