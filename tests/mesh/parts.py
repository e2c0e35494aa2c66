"""The processes of the mesh: Enterprise Manager's simulator, gateways, Envoy."""

import asyncio
import json
import os
import re
import shutil
import signal
import urllib.request
from pathlib import Path

import yaml

import certificates

PROGRAM = os.environ["GATEWAY_PROGRAM"]
WORK = Path(os.environ["MESH_WORK"])
ENVOY_PORT, GATEWAY_PORT, ADMIN_PORT = 50050, 50051, 9464
REPLICAS = ["127.0.0.11", "127.0.0.12", "127.0.0.13"]


class Failed(Exception):
    """A check failed."""


def expect(holds: object, otherwise: str) -> None:
    if not holds:
        raise Failed(otherwise)


async def eventually(holds, otherwise: str, within: float = 15.0) -> None:
    """Waits until `holds()` is true."""
    end = asyncio.get_running_loop().time() + within
    while not holds():
        expect(asyncio.get_running_loop().time() < end, f"not within {within} s: {otherwise}")
        await asyncio.sleep(0.05)


class Process:
    """A process with its output in a file."""

    def __init__(self, name: str) -> None:
        self.log_path = WORK / "logs" / f"{name}.log"
        self.process: asyncio.subprocess.Process | None = None

    async def run(self, *command: str, env: dict[str, str] | None = None) -> None:
        self.log_path.parent.mkdir(exist_ok=True)
        with self.log_path.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *command, stdout=log, stderr=log, env=env or {}
            )

    def log(self) -> str:
        return self.log_path.read_text() if self.log_path.exists() else ""

    def stop_for_good(self) -> None:
        """Kills the process, if it is still running."""
        if self.process and self.process.returncode is None:
            self.process.kill()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self, within: float = 30.0) -> int:
        return await asyncio.wait_for(self.process.wait(), within)


class Simulator(Process):
    """Enterprise Manager."""

    URL = "http://127.0.0.1:9398"

    def __init__(self) -> None:
        super().__init__("simulator")

    async def start(self, *faults: str) -> None:
        self.log_path.unlink(missing_ok=True)
        options = [f"--fault={fault}" for fault in faults]
        await self.run(PROGRAM, "simulate", "--history=200", *options)
        await eventually(lambda: "Ctrl-C ends" in self.log(), "the simulator starts")

    async def stop(self) -> int:
        """Stops the simulator. Returns how many reads of sessions it has received."""
        self.send(signal.SIGTERM)
        await self.ended()
        return int(re.search(r"Session reads +(\d+)", self.log())[1])


class Gateway(Process):
    """One replica."""

    def __init__(self, address: str, tls: Path) -> None:
        super().__init__(f"gateway-{address}")
        self.address, self.tls = address, tls
        self.settings: dict[str, str | None] = {}

    async def start(self) -> None:
        env = {
            "GATEWAY_LISTEN": f"{self.address}:{GATEWAY_PORT}",
            "GATEWAY_ADMIN_LISTEN": f"{self.address}:{ADMIN_PORT}",
            "GATEWAY_EM_URL": Simulator.URL,
            "GATEWAY_EM_ALLOW_PLAINTEXT": "true",
            "GATEWAY_EM_USERNAME": r"TECH\gateway",
            "GATEWAY_EM_PASSWORD": "simulated",
            "GATEWAY_TLS_CERT_FILE": str(self.tls / "tls.crt"),
            "GATEWAY_TLS_KEY_FILE": str(self.tls / "tls.key"),
            "GATEWAY_CLIENT_CA_FILE": str(self.tls / "ca.crt"),
            "GATEWAY_CALLER_IDENTITY": "xfcc",
            "GATEWAY_TRUSTED_PROXIES": certificates.ENVOY,
            "GATEWAY_ALLOW_CALLER": certificates.CALLERS,
            "GATEWAY_LOG_FORMAT": "json",
            **self.settings,
        }
        env = {name: value for name, value in env.items() if value is not None}
        await self.run(PROGRAM, "serve", env=env)
        await eventually(self.is_ready, f"{self.address} is ready")

    def is_ready(self) -> bool:
        try:
            return self.get("/readyz") is not None
        except OSError:
            return False

    def get(self, path: str) -> str:
        """The admin listener's answer."""
        return get(f"http://{self.address}:{ADMIN_PORT}{path}")

    async def restart(self) -> None:
        """Stops the replica as Kubernetes does, and starts it again."""
        self.send(signal.SIGTERM)
        code = await self.ended()
        expect(code == 0, f"{self.address} ended with {code}")
        await self.start()

    def resident_kib(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Envoy(Process):
    """The proxy, with a copy of the files of deploy/envoy."""

    def __init__(self) -> None:
        super().__init__("envoy")
        self.folder = WORK / "envoy"

    async def start(self, authority: certificates.Authority, changes: dict[str, str] = {}) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        # The only differences from deploy/envoy: the folder, and these changes.
        for file in Path("deploy/envoy").glob("*.yaml"):
            text = file.read_text()
            for before, after in {"/etc/envoy": str(self.folder), **changes}.items():
                text = text.replace(before, after)
            (self.folder / file.name).write_text(text)
        authority.issue(certificates.ENVOY, self.folder / "tls")
        binary = str(WORK / "venv/bin/envoy")
        config = str(self.folder / "envoy.yaml")
        with (self.folder / "replica_session.pb").open("wb") as descriptors:
            await (await asyncio.create_subprocess_exec(PROGRAM, "descriptor", stdout=descriptors)).wait()
        with_json = (self.folder / "json.yaml").read_text()
        await self.run(
            *(binary, "--config-path", config, "--config-yaml", with_json, "--concurrency", "2"), env={"HOME": "/"}
        )
        await eventually(self.is_live, "Envoy is live", within=30)

    def is_live(self) -> bool:
        try:
            return "LIVE" in get("http://127.0.0.1:9901/ready")
        except OSError:
            return False

    def set_endpoints(self, endpoints: list[tuple[str, int]]) -> None:
        """Replaces the list of replicas."""
        path = self.folder / "endpoints.yaml"
        document = yaml.safe_load(path.read_text())
        document["resources"][0]["endpoints"][0]["lb_endpoints"] = [
            {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}
            for host, port in endpoints
        ]
        # Envoy reloads a list when the file is moved into place.
        new = path.with_suffix(".new")
        new.write_text(yaml.safe_dump(document))
        new.rename(path)

    def drain(self) -> None:
        """Makes Envoy drain its listeners."""
        url = "http://127.0.0.1:9901/drain_listeners?graceful"
        urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=5).close()

    def stat(self, name: str, cluster: str = "gateway") -> int:
        """One of the statistics of a cluster."""
        full = f"cluster.{cluster}.{name}"
        stats = json.loads(get(f"http://127.0.0.1:9901/stats?format=json&filter=^{full}$"))
        return sum(each["value"] for each in stats["stats"] if each.get("name") == full)

    def healthy(self, cluster: str = "gateway") -> int:
        return self.stat("membership_healthy", cluster)


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()
