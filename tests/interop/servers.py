"""Gateways for the clients to call: each is a process that always ends with the tests."""

import os
import re
import signal
import subprocess
import time
import urllib.request

STARTS_WITHIN = 30


class Gateway:
    """The program with these arguments, and the addresses that it listens on."""

    def __init__(self, program, folder, name, *arguments):
        self.log = folder / f"{name}.log"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [program, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment
            )

    def wait_for(self, pattern):
        """Waits until the output matches, and returns the match."""
        end = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < end and self.process.poll() is None:
            if found := re.search(pattern, self.log.read_text(), re.MULTILINE):
                return found
            time.sleep(0.05)
        raise RuntimeError(f"no {pattern!r} in the output:\n{self.log.read_text()}")

    def handled(self, code=r"\w+"):
        """How many calls of the session service have ended with this code, from the metrics."""
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        line = re.compile(
            rf'grpc_server_handled_total\{{.*ReplicaSessionService".*grpc_code="{code}"\}} (\d+)'
        )
        return sum(int(found[1]) for found in map(line.match, lines) if found)

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Demo(Gateway):
    """`demo`, on ports that it chooses."""

    def __init__(self, program, folder, name, *arguments):
        super().__init__(program, folder, name, "demo", *arguments)

    def started(self):
        """Waits until `demo` has made its own first call, which faults may affect."""
        self.address = self.wait_for(r"^Gateway +https?://(\S+)")[1]
        self.admin = self.wait_for(r"^Probes +http://([^/]+)")[1]
        self.simulator = self.wait_for(r"^Simulator +(\S+)")[1]
        self.wait_for(r"^Ctrl-C ends")
        return self


class Serve(Gateway):
    """`serve`, in front of a demonstration's simulator."""

    def __init__(self, program, folder, name, simulator, *arguments):
        # The account that `demo` prints.
        password = folder / "password"
        password.write_text("simulated")
        super().__init__(
            program, folder, name, "serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0",
            f"--em-url={simulator}", "--em-allow-plaintext", r"--em-username=TECH\gateway",
            f"--em-password-file={password}", *arguments,
        )  # fmt: skip

    def started(self):
        found = self.wait_for(r"\baddress=(\S+) admin_address=(\S+)")
        self.address, self.admin = found[1], found[2]
        return self
