"""Gets one replica job session: python get_session.py ID [reference]"""

import argparse
import os
import sys
from pathlib import Path

import grpc
from errors import explain, patiently

sys.path.append(str(Path(__file__).parent / "generated"))
from enterprisemanager.v1 import replica_session_service_pb2 as pb
from enterprisemanager.v1 import replica_session_service_pb2_grpc as rpc

SERVICE_CONFIG = Path(__file__).parent.parent / "service-config.json"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("id")
    parser.add_argument("view", nargs="?", choices=["entity", "reference"], default="entity")
    options = parser.parse_args()
    view = pb.ReplicaSessionView.Value(f"REPLICA_SESSION_VIEW_{options.view.upper()}")
    request = pb.GetReplicaSessionRequest(id=options.id, view=view)
    with connect() as channel:
        gateway = rpc.ReplicaSessionServiceStub(channel)
        try:
            answer = patiently(gateway.Get, request, seconds("DEADLINE", 5), seconds("PATIENCE", 0))
        except grpc.RpcError as error:
            sys.exit(explain(error))
    session = answer.replica_session
    print("type    ", session.type)
    print("name    ", session.name)
    print("state   ", pb.ReplicaSession.State.Name(session.state))
    print("result  ", pb.ReplicaSession.Result.Name(session.result))


def connect():
    """One channel serves a whole process, from all threads. It retries as the service config says."""
    address = os.getenv("GATEWAY_ADDRESS", "127.0.0.1:50051")
    options = [
        ("grpc.service_config", SERVICE_CONFIG.read_text()),
        # Asks whether the connection is alive if nothing has come back for 30 s, and waits 10 s for the answer.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.http2.ping_timeout_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    if "TLS_CA_FILE" not in os.environ:
        return grpc.insecure_channel(address, options)
    ca, key, cert = (read(name) for name in ("TLS_CA_FILE", "TLS_KEY_FILE", "TLS_CERT_FILE"))
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(ca, key, cert), options)


def seconds(variable, otherwise):
    return float(os.getenv(f"{variable}_SECONDS", otherwise))


def read(variable):
    path = os.getenv(variable)
    return Path(path).read_bytes() if path else None


if __name__ == "__main__":
    main()
