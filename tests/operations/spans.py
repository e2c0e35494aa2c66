"""Checks that a collector's log contains the expected spans of one call.

Arguments: the log file, the trace id, the id of the caller's span.
"""

import re
import sys

path, trace, caller = sys.argv[1:]
spans = []
for line in open(path, encoding="utf-8"):
    line = line.strip().removeprefix("-> ")
    if re.fullmatch(r"Span #\d+", line):
        spans.append({})
    elif spans and ":" in line:
        name, value = line.split(":", 1)
        spans[-1].setdefault(name.strip(), value.strip())

spans = [span for span in spans if span["Trace ID"] == trace]
assert len(spans) == 2, f"{len(spans)} spans in trace {trace}: {spans}"
calls = [span for span in spans if span["Kind"] == "SPAN_KIND_SERVER"]
attempts = [span for span in spans if span["Kind"] == "SPAN_KIND_CLIENT"]
assert len(calls) == len(attempts) == 1, spans
(call,), (attempt,) = calls, attempts
expected = [
    (call, "Parent ID", caller),
    (call, "Name", "enterprisemanager.v1.ReplicaSessionService/Get"),
    (call, "rpc.system.name", "Str(grpc)"),
    (call, "rpc.response.status_code", "Str(OK)"),
    (attempt, "Parent ID", call["ID"]),
    (attempt, "Name", "GET /api/replicaSessions/{id}"),
    (attempt, "http.request.method", "Str(GET)"),
    (attempt, "http.response.status_code", "Int(200)"),
]
for span, name, value in expected:
    assert span.get(name) == value, f"{name} is {span.get(name)}, not {value}: {span}"
