"""What both comparisons need."""

import pathlib
import socket
import sys
import time

ROOT = pathlib.Path(__file__).parent.parent.parent
GATEWAY = ROOT / "target/release/replica-session-gateway"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port):
    for _ in range(400):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"error: nothing listens on port {port}")


def cpu_seconds(pid):
    """The CPU time of all threads, in nanoseconds where /proc/PID/stat has hundredths of a second."""
    tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def message(fields):
    """A gRPC message with its five bytes of head."""
    return bytes([0]) + len(fields).to_bytes(4, "big") + fields


def question(id, fresh):
    """The request for a session. Field 3, max_age, is empty and means: ask Enterprise Manager now."""
    return b"\x0a\x24" + id.encode() + (b"\x1a\x00" if fresh else b"")
