"""The check of deploy/envoy/json.yaml: calls in JSON, made by curl."""

import asyncio
import json
import signal

import certificates
from load import RUNNING, SESSION
from parts import eventually, expect

PORT = 50052
SERVICE = "enterprisemanager.v1.ReplicaSessionService"
UNKNOWN = "00000000-0000-4000-8000-000000000000"


async def curl(tls, method: str, body: str, *options: str) -> tuple[int, str]:
    """The HTTP status (0 if there is none) and the body of the answer."""
    url = f"https://{certificates.HOST}:{PORT}/{SERVICE}/{method}"
    process = await asyncio.create_subprocess_exec(
        *("curl", "--silent", "--max-time", "10", "--resolve", f"{certificates.HOST}:{PORT}:127.0.0.1"),
        *("--cacert", str(tls / "ca.crt"), "--cert", str(tls / "tls.crt"), "--key", str(tls / "tls.key")),
        *("--header", "content-type: application/json", "--data", body, "--write-out", r"\n%{http_code}"),
        *(*options, url),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    text, _, status = output.decode().rpartition("\n")
    return int(status), text


async def expect_envoys_own(tls, method: str, body: str, code: int, grpc_code: int, *options: str) -> None:
    """Expects that Envoy answers a call itself, and that its body has the form of the gateway's errors."""
    form = "--write-out", r"\n%{content_type}\n%{http_code}"
    status, text = await curl(tls, method, body, *options, *form)
    answer, _, content_type = text.rpartition("\n")
    error = json.loads(answer)
    seen = f"{method} {body}: {status} {text}"
    expect((status, error["code"], content_type.strip()) == (code, grpc_code, "application/json"), seen)
    expect(error["message"] and "details" not in error, seen)


async def results(tls, body: str) -> set[str]:
    """The results of the sessions that a List finds."""
    status, text = await curl(tls, "List", body)
    expect(status == 200, f"List {body}: {status} {text}")
    return {each.get("result", "") for each in json.loads(text).get("replicaSessions", [])}


async def curl_calls_in_json(mesh):
    tls = mesh.caller_tls
    status, text = await curl(tls, "Get", json.dumps({"id": SESSION, "maxAge": "0s"}))
    session = json.loads(text)["replicaSession"]
    expect(status == 200, f"Get: {status} {text}")
    expect((session["id"], session["result"]) == (SESSION, "RESULT_SUCCESS"), f"Get: {text}")

    status, text = await curl(tls, "List", json.dumps({"pageSize": 2, "filter": {"states": ["STATE_WORKING"]}}))
    found = json.loads(text)
    expect(status == 200 and found["replicaSessions"], f"List: {status} {text}")
    expect(all(each["state"] == "STATE_WORKING" for each in found["replicaSessions"]), f"List: {text}")

    for body, code, grpc_code, reason in [
        ({"id": UNKNOWN}, 404, 5, "SESSION_NOT_FOUND"),
        ({"id": "fs02"}, 400, 3, "INVALID_ID"),
    ]:
        status, text = await curl(tls, "Get", json.dumps(body))
        error = json.loads(text)
        expect((status, error["code"]) == (code, grpc_code), f"{body}: {status} {text}")
        info = [each for each in error["details"] if each["@type"].endswith("google.rpc.ErrorInfo")]
        expect([each["reason"] for each in info] == [reason], f"{body}: {text}")

    # Some of what the contract does not have is refused by Envoy itself, before it has the whole request. Over HTTP/2 it
    # then resets the stream, and some versions of curl lose the answer.
    for method, body, code, grpc_code in [
        ("Get", "{", 400, 3),
        ("Get", '{"id": {}}', 400, 3),
        ("List", '{"filter": {"results": ["RESULT_NONE_SUCH"]}}', 400, 3),
        ("GetAll", "{}", 404, 12),
    ]:
        await expect_envoys_own(tls, method, body, code, grpc_code, "--http1.1")

    # But a field that the contract does not have is ignored, as the README warns.
    failed = json.dumps({"filter": {"results": ["RESULT_FAILED"]}})
    expect(len(await results(tls, failed.replace("results", "result"))) > 1, "a misspelt field counts")
    expect(await results(tls, failed) == {"RESULT_FAILED"}, "a filter by result finds others")
    answers = [await curl(tls, "Get", json.dumps({"id": SESSION, "noSuchField": 1}))]
    expect(answers[0][0] == 200, f"a field that is not there: {answers}")

    # A watch of a finished run is one event, one of a running one goes on: each is a line.
    status, text = await curl(tls, "Watch", json.dumps({"id": SESSION}))
    events = [json.loads(line) for line in text.splitlines()]
    expect(status == 200 and len(events) == 1, f"Watch: {status} {text}")
    expect(events[0]["snapshot"]["replicaSession"]["state"] == "STATE_STOPPED", f"Watch: {text}")
    _, text = await curl(tls, "Watch", json.dumps({"id": RUNNING}), "--no-buffer", "--max-time", "2")
    first = json.loads(text.splitlines()[0])
    expect(first["snapshot"]["replicaSession"]["id"] == RUNNING, f"Watch: {text}")

    status, text = await curl(tls, "ListTaskSessions", json.dumps({"filter": {"vmNames": ["fs02"]}}))
    tasks = json.loads(text).get("replicaTaskSessions", [])
    expect(status == 200 and tasks, f"ListTaskSessions: {status} {text}")
    expect({each["vmName"] for each in tasks} == {"fs02"}, f"ListTaskSessions: {text}")

    # A watch of sessions has no end: those that run, and then that this is all.
    request = {"filter": {"states": ["STATE_WORKING"]}}
    _, text = await curl(tls, "WatchSessions", json.dumps(request), "--no-buffer", "--max-time", "3")
    events = [json.loads(line) for line in text.splitlines()]
    expect(events[0]["change"]["replicaSession"]["id"] == RUNNING, f"WatchSessions: {text}")
    expect(any("current" in each for each in events), f"WatchSessions: {text}")

    # Frozen replicas, and none.
    for gateway in mesh.gateways:
        gateway.send(signal.SIGSTOP)
    await expect_envoys_own(tls, "Get", json.dumps({"id": SESSION}), 504, 4, "--header", "grpc-timeout: 300m")
    for gateway in mesh.gateways:
        gateway.send(signal.SIGCONT)
    mesh.envoy.set_endpoints([])
    await eventually(lambda: mesh.envoy.stat("membership_total") == 0, "Envoy has no replica")
    # Before it has the whole request, as above.
    await expect_envoys_own(tls, "Get", json.dumps({"id": SESSION}), 503, 14, "--http1.1")
    await mesh.restore()

    # The same certificates as for gRPC.
    status, _ = await curl(mesh.intruder_tls, "Get", json.dumps({"id": SESSION}))
    expect(status == 0, f"an intruder got {status}")
    return "Get, List, ListTaskSessions, Watch, WatchSessions, errors with their details"
