"""A proxy in front of Enterprise Manager that reloads its configuration: connections end while the gateway sends on them."""

import asyncio
import os
import signal
from collections import Counter

import grpc
from enterprisemanager.v1 import replica_session_service_pb2_grpc as rpc
from load import HISTORY, ask, reason
from parts import GATEWAY_PORT, WORK, Process, expect
from setup import Setup
from steady import channel

PORT = 9397
CONCURRENCY = 64
# As often as it takes for a request to be lost, and at least so many times.
RELOADS, MOST_RELOADS = 8, 60

NGINX = """
worker_processes 2;
error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off;
  upstream em { server 127.0.0.1:9398; keepalive 128; }
  server {
    listen 127.0.0.1:%d;
    keepalive_requests 1000000;
    location / {
      proxy_pass http://em;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
}
"""


async def reloads_in_front_of_enterprise_manager_fail_no_call(setup: Setup) -> dict[str, str]:
    """nginx closes all connections that carry no request at the moment. Calls go to a gateway directly, as many at a time
    as it has requests to Enterprise Manager."""
    config = WORK / "em_front.conf"
    config.write_text(NGINX % PORT)
    front = Process("em_front")
    flags = f"daemon off; pid {WORK}/em_front.pid; user root;"
    command = "nginx", "-e", "stderr", "-g", flags, "-c", str(config)
    await front.run(*command, env={"PATH": os.environ["PATH"]})
    try:
        await setup.restart(
            {
                "GATEWAY_EM_URL": f"http://127.0.0.1:{PORT}",
                "GATEWAY_EM_CONCURRENCY": str(CONCURRENCY),
                "GATEWAY_EM_BATCH": "1",
            }
        )
        failures, made, lost = await _under_reloads(setup, front)
    finally:
        front.stop_for_good()
    expect(lost, f"no request was lost in {MOST_RELOADS} reloads: too little load")
    expect(not failures, f"{failures.total()} of {made} failed: {failures}")
    await setup.restart({})
    return {"nothing": f"0 of {made}"}


async def _under_reloads(setup: Setup, front: Process) -> tuple[Counter, int, int]:
    """Returns the failures, how many calls there were, and how many requests to Enterprise Manager were lost."""
    failures, made, going = Counter(), 0, True

    async def call(stub, session: str) -> None:
        nonlocal made
        while going:
            made += 1
            try:
                await ask(stub, session)
            except grpc.aio.AioRpcError as error:
                failures[f"{error.code().name} {reason(error)} {error.details()}"] += 1

    def lost() -> int:
        return setup.metric(r'gateway_em_requests_total\{outcome="lost"\}')

    async with channel(setup.caller_tls, GATEWAY_PORT, host=setup.gateways[0].address) as own:
        stub = rpc.ReplicaSessionServiceStub(own)
        calls = [asyncio.create_task(call(stub, session)) for session in HISTORY[:CONCURRENCY]]
        for number in range(MOST_RELOADS):
            await asyncio.sleep(0.5)
            if number >= RELOADS and await asyncio.to_thread(lost):
                break
            front.send(signal.SIGHUP)
        going = False
        await asyncio.gather(*calls)
    return failures, made, await asyncio.to_thread(lost)


ALL = [reloads_in_front_of_enterprise_manager_fail_no_call]
