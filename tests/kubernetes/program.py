"""Runs the program as a pod would: with the pod's arguments and settings, on its ports."""

import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from certificates import HOST, Authority
from common import expect, port_of

SERVICE = "enterprisemanager.v1.ReplicaSessionService"
# A GetReplicaSessionRequest with the `id` of a session that is over, and the same with a `max_age` of zero.
SESSION = b"\x0a\x24" + b"04f694ad-664c-4603-a747-00edecae4f17"
NOW = SESSION + b"\x1a\x00"
STARTS_WITHIN = 20.0


class Program:
    """The gateway with the settings of a pod, and the simulator at Enterprise Manager's address.

    Differences from the pod: the files of Secrets are in `folder`, Enterprise Manager is on loopback and
    speaks plaintext, its account is the simulator's, and traces go to a collector that never answers.
    """

    def __init__(
        self, program: Path, container: dict, pod: dict, settings: dict, collector: int, folder: Path
    ) -> None:
        self.tls = None
        self.collector = socket.create_server(("127.0.0.1", collector))
        self.collector.settimeout(STARTS_WITHIN)
        self._write_secrets(container, pod, settings, folder)
        self.simulator = subprocess.Popen([program, "simulate"], stdout=subprocess.PIPE, text=True)
        for line in self.simulator.stdout:
            if "Ctrl-C ends" in line:
                break
        given = {
            name: f"{folder}{value}" if value.startswith("/run/secrets/") else value
            for name, value in settings.items()
        }
        given["GATEWAY_EM_URL"] = f"http://127.0.0.1:{port_of(settings['GATEWAY_EM_URL'])}"
        given |= {"GATEWAY_EM_ALLOW_PLAINTEXT": "true", "GATEWAY_EM_USERNAME": r"TECH\gateway"}
        given |= {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector}", "OTEL_BSP_SCHEDULE_DELAY": "100"}
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen([program, *container["args"]], env=given, stderr=log)
        end = time.monotonic() + STARTS_WITHIN
        while '"message":"serving"' not in self.log.read_text():
            in_time = time.monotonic() < end and self.process.poll() is None
            expect(in_time, f"the program does not start: {self.log.read_text()}")
            time.sleep(0.05)

    def _write_secrets(self, container: dict, pod: dict, settings: dict, folder: Path) -> None:
        secrets = {each["name"]: each["secret"]["secretName"] for each in pod["volumes"] if "secret" in each}
        for mount in container["volumeMounts"]:
            place = Path(f"{folder}{mount['mountPath']}")
            place.mkdir(parents=True)
            if secrets[mount["name"]].endswith("-tls"):
                mesh = Authority("the cluster")
                mesh.issue("spiffe://cluster.local/ns/replica-session-gateway/sa/replica-session-gateway", place)
                caller = settings["GATEWAY_ALLOW_CALLER"].split(",")[0].replace("*", "nightly")
                self.tls = mesh.issue(caller, folder / "caller")
            else:
                (place / "password").write_text("simulated")
                (place / "page-token-key").write_bytes(os.urandom(32))

    def listening(self) -> set[int]:
        """The TCP ports that the process listens on, whatever its settings say."""
        own = set()
        for each in Path(f"/proc/{self.process.pid}/fd").iterdir():
            if found := re.match(r"socket:\[(\d+)\]", os.readlink(each)):
                own.add(found[1])
        ports = set()
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/{self.process.pid}/net/{table}").read_text().splitlines()[1:]:
                _, address, _, state, *rest = line.split()
                if state == "0A" and rest[5] in own:
                    ports.add(int(address.rsplit(":", 1)[1], 16))
        return ports

    def http(self, port: int, path: str) -> tuple[int, str]:
        """Status and body of a GET; status 0 if nothing answers HTTP."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, ""
        except (OSError, HTTPException):
            return 0, ""

    def channel(self, port: int) -> grpc.Channel:
        """A connection of a caller that may call."""
        options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
        if not self.tls:
            return grpc.insecure_channel(f"127.0.0.1:{port}", options)
        files = [(self.tls / name).read_bytes() for name in ("ca.crt", "tls.key", "tls.crt")]
        options.append(("grpc.ssl_target_name_override", HOST))
        return grpc.secure_channel(f"127.0.0.1:{port}", grpc.ssl_channel_credentials(*files), options)

    def answers(self, port: int) -> bool:
        """Whether a caller gets its session there."""
        with self.channel(port) as channel:
            try:
                return get(channel)(SESSION, timeout=10) != b""
            except grpc.RpcError:
                return False

    def sends_traces(self) -> bool:
        """Whether the program connects to the collector with HTTP/2, which OTLP over gRPC needs."""
        try:
            connection, _ = self.collector.accept()
            connection.settimeout(STARTS_WITHIN)
            return connection.recv(14) == b"PRI * HTTP/2.0"
        except TimeoutError:
            return False

    def methods(self, port: int) -> dict[str, bool]:
        """The paths of all methods, from the program's reflection, and whether each is a stream."""
        with self.channel(port) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            service = DescriptorPool(database).FindServiceByName(SERVICE)
            return {f"/{SERVICE}/{each.name}": each.server_streaming for each in service.methods}

    def stop_for_good(self) -> None:
        """Kills the processes that are still running."""
        for process in (self.process, self.simulator):
            process.kill()
            process.wait()

    def begin_a_call_that_hangs(self, channel: grpc.Channel) -> grpc.Future:
        """Starts a call that Enterprise Manager accepts and never answers."""
        self.simulator.send_signal(signal.SIGSTOP)
        return get(channel).future(NOW, timeout=60)


def get(channel: grpc.Channel):
    return channel.unary_unary(f"/{SERVICE}/Get")


def accepts(port: int, host: str = "127.0.0.1") -> bool:
    """Whether the port accepts new connections."""
    try:
        socket.create_connection((host, port), timeout=2).close()
        return True
    except OSError:
        return False
