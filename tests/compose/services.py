"""Runs the services of a compose file as processes, without containers."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

COMPOSE = Path("deploy/compose")


def expect(holds: object, otherwise: str) -> None:
    if not holds:
        sys.exit(f"error: {otherwise}")


def within(seconds: float, holds, otherwise: str):
    """Waits until something holds, and returns it."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        expect(time.monotonic() < end, f"{otherwise} within {seconds} s")
        time.sleep(0.1)
    return found


def fetch(url: str) -> str:
    """The body of the answer, or nothing if there is none."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return ""


class Service:
    """One service: its command line, settings and files, the latter below a folder in place of the container's root."""

    def __init__(self, name: str, config: dict, program: str, work: Path) -> None:
        self.name, self.config, self.process = name, config, None
        self.command = program
        self.root = work / "root" / name
        shutil.rmtree(self.root, ignore_errors=True)
        for each in config.get("volumes", []):
            self.place(each["target"], each["source"] if each["type"] == "bind" else None)
        self.log = work / f"{name}.log"

    def place(self, target: str, source: str | None) -> None:
        """Puts a file, or an empty folder, where the container has it."""
        place = Path(f"{self.root}{target}")
        place.parent.mkdir(parents=True, exist_ok=True)
        if source:
            expect(Path(source).is_file(), f"{self.name}: there is no {source}, and docker would create a folder")
            shutil.copy(source, place)
        else:
            place.mkdir()

    def environment(self, of_image: dict) -> dict:
        own = of_image | (self.config.get("environment") or {})
        return {name: self.here(value) for name, value in own.items()}

    def here(self, value: str) -> str:
        """A path below one of the service's mounts, as it is on this machine."""
        path = value.split("=", 1)[-1]
        is_mounted = path.startswith("/") and Path(f"{self.root}{path}").exists()
        return value.replace(path, f"{self.root}{path}") if is_mounted else value

    def start(self, of_image: dict) -> None:
        arguments = [self.here(each) for each in self.config["command"]]
        with self.log.open("w") as log:
            environment = {"PATH": os.environ["PATH"], **self.environment(of_image)}
            self.process = subprocess.Popen([self.command, *arguments], env=environment, stdout=log, stderr=log)

    def run(self, arguments: list, of_image: dict) -> subprocess.CompletedProcess:
        environment = self.environment(of_image)
        return subprocess.run([self.command, *arguments], env=environment, capture_output=True, text=True, timeout=30)

    def is_running(self) -> bool:
        expect(self.process.poll() is None, f"{self.name} has ended: {self.log.read_text()}")
        return True

    def stop(self) -> None:
        """Stops it as docker does, which kills it after the grace period."""
        grace = int(self.config.get("stop_grace_period", "10s").removesuffix("s"))
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=grace)
        except subprocess.TimeoutExpired:
            sys.exit(f"error: {self.name} does not end within {grace} s")
        expect(code == 0, f"{self.name} ended with {code}: {self.log.read_text()}")


def image_environment() -> dict:
    """What the Dockerfile sets."""
    text = Path("Dockerfile").read_text()
    block = re.search(r"^ENV (GATEWAY_(?:.|\\\n)+?)$(?<!\\)", text, re.M)[1]
    return dict(re.findall(r"(GATEWAY_\w+)=(\S+)", block))
