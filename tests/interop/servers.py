"""Gateways for the clients to call, and the simulator: each is a process that always ends with the tests."""

import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.request

STARTS_WITHIN = 30


def wait_until(holds, log, within=STARTS_WITHIN):
    """Waits until `holds()` is true."""
    end = time.monotonic() + within
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError(f"waited for {within} s:\n{log.read_text()}")
        time.sleep(0.02)


class Server:
    """The program with these arguments, on a free port unless they say otherwise."""

    def __init__(self, program, folder, name, *arguments):
        self.log = folder / f"{name}.log"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")}
        command = [program, *arguments]
        if not any(argument.startswith("--listen=") for argument in arguments):
            command.append("--listen=127.0.0.1:0")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment
            )

    def wait_for(self, pattern):
        """Waits until the output matches, and returns the match."""
        end = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < end and self.process.poll() is None:
            if found := re.search(pattern, self.log.read_text(), re.MULTILINE):
                return found
            time.sleep(0.05)
        raise RuntimeError(f"no {pattern!r} in the output:\n{self.log.read_text()}")

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


class Simulator(Server):
    """`simulate`, and its address."""

    def __init__(self, program, folder, *arguments):
        super().__init__(program, folder, "simulator", "simulate", *arguments)
        self.url = self.wait_for(r"^Simulator +(\S+)")[1]


class Gateway(Server):
    """A gateway, and the addresses that it listens on."""

    def __init__(self, program, folder, name, *arguments):
        super().__init__(program, folder, name, *arguments, "--admin-listen=127.0.0.1:0")

    def handled(self, code=r"\w+"):
        """How many calls of the session service have ended with this code, from the metrics."""
        return self.count(
            rf'grpc_server_handled_total\{{.*ReplicaSessionService".*grpc_code="{code}"\}} (\d+)'
        )

    def arrived(self):
        """How many calls of the session service have arrived."""
        return self.count(r'grpc_server_started_total\{.*ReplicaSessionService".*\} (\d+)')

    def count(self, pattern):
        """The sum of the metrics that match."""
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return sum(int(found[1]) for found in map(re.compile(pattern).match, lines) if found)

    def wait_until(self, holds):
        wait_until(holds, self.log)


class Demo(Gateway):
    """`demo`."""

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
        password = folder / f"password-{name}"
        password.write_text("simulated")
        super().__init__(
            program, folder, name, "serve",
            f"--em-url={simulator}", "--em-allow-plaintext", r"--em-username=TECH\gateway",
            f"--em-password-file={password}", *arguments,
        )  # fmt: skip

    def started(self):
        found = self.wait_for(r"\baddress=(\S+) admin_address=(\S+)")
        self.address, self.admin = found[1], found[2]
        return self


class Balancer:
    """An address that forwards each new connection to `target`, as a Service of Kubernetes does."""

    def __init__(self, target):
        self.target = target

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        # Ends `accept` as well, which closing alone would not.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                host, port = self.target.rsplit(":", 1)
                far = socket.create_connection((host, int(port)), timeout=5)
            except OSError:  # nobody is there
                near.close()
                continue
            far.settimeout(None)
            for source, sink in (near, far), (far, near):
                threading.Thread(target=forward, args=(source, sink), daemon=True).start()


def forward(source, sink):
    """Copies until one side closes, then closes both."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for each in source, sink:
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
