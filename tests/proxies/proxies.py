"""The proxies, each with a copy of its configuration in deploy/. All run at the same time, at ports of their own."""

import asyncio
import os
import shutil
import socket
from pathlib import Path

import certificates
from parts import WORK, Envoy, Process, eventually


# How long each proxy lets a watch be silent: two heartbeats, and more. Caddy has no limit.
SILENCE = "65s"


class Proxy(Process):
    """A proxy whose configuration is one file."""

    # The port of all configurations in deploy/.
    USUAL_PORT = 50050

    def __init__(self, name: str, port: int, file: str, *command: str) -> None:
        super().__init__(name)
        self.name, self.port, self.file, self.command = name, port, file, command
        self.folder = WORK / name

    async def start(self, authority: certificates.Authority, silence: str = SILENCE) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        # The only differences: folders, port, and how long a watch may be silent.
        text = Path(f"deploy/{self.name}/{self.file}").read_text()
        text = text.replace(f"/etc/{self.name}", str(self.folder)).replace("/var/log/nginx", str(self.folder))
        text = text.replace(SILENCE, silence)
        (self.folder / self.file).write_text(text.replace(str(self.USUAL_PORT), str(self.port)))
        tls = authority.issue(certificates.ENVOY, self.folder / "tls")
        (tls / "tls.pem").write_bytes((tls / "tls.crt").read_bytes() + (tls / "tls.key").read_bytes())
        (self.folder / "check.bin").write_bytes(bytes(5))
        environment = {"HOME": str(self.folder), "PATH": os.environ["PATH"]}
        await self.run(*self.command, str(self.folder / self.file), env=environment)
        await eventually(self.listens, f"{self.name} listens")

    def listens(self) -> bool:
        if self.process.returncode is not None:
            raise RuntimeError(f"{self.name} has ended:\n{self.log()}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class EnvoyProxy(Envoy):
    """Envoy, whose files the mesh test copies as well."""

    name, port = "envoy", Proxy.USUAL_PORT

    async def start(self, authority: certificates.Authority, silence: str = SILENCE) -> None:
        await super().start(authority, {SILENCE: silence})
        await eventually(lambda: self.healthy() >= 2, "Envoy finds both replicas healthy")


def all_proxies() -> list:
    nginx = ["nginx", "-e", "stderr", "-g", f"daemon off; pid {WORK}/nginx.pid; user root;", "-c"]
    haproxy = ["haproxy", "-f"]
    caddy = [str(WORK / "venv/bin/caddy"), "run", "--adapter", "caddyfile", "--config"]
    return [
        Proxy("nginx", 50062, "nginx.conf", *nginx),
        Proxy("haproxy", 50063, "haproxy.cfg", *haproxy),
        Proxy("caddy", 50064, "Caddyfile", *caddy),
        EnvoyProxy(),
    ]


async def start_all(proxies: list, authority: certificates.Authority, silence: str = SILENCE) -> None:
    await asyncio.gather(*(proxy.start(authority, silence) for proxy in proxies))
