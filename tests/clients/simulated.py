"""A simulated Enterprise Manager: a process of its own, ended whatever happens."""

import os
import re
import signal
import socket
import subprocess
import time

STARTS_WITHIN = 30


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Simulated:
    """`simulate` over TLS, with links to where it listens."""

    def __init__(self, program, folder, release, *arguments):
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self.log = folder / f"{self.port}.log"
        self.release = release
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [program, "simulate", "--tls", f"--listen=127.0.0.1:{self.port}",
                 f"--href-host=localhost:{self.port}", f"--release={release}", "--sessions=250", *arguments],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env={k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")},
            )  # fmt: skip
        end = time.monotonic() + STARTS_WITHIN
        while "Ctrl-C" not in self.log.read_text():
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError(f"the simulator does not start:\n{self.log.read_text()}")
            time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends it. Returns what it has counted, by name."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return {name: int(count) for name, count in re.findall(r"^(\w+(?: \w+)?) +(\d+)$", self.log.read_text(), re.M)}
