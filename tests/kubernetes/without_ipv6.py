"""The program on a node without IPv6, with the pod's addresses: it listens on IPv4, and says so."""

import ctypes
import os
import platform
import re
import socket
import struct
import subprocess
import sys
import urllib.request
from pathlib import Path

import yaml

from common import expect, only

SOCKET = {"x86_64": 41, "aarch64": 198}
NO_SUCH_FAMILY = 97
ADDRESSES = ("GATEWAY_LISTEN", "GATEWAY_ADMIN_LISTEN")


def main() -> None:
    if platform.machine() not in SOCKET:
        print(f"SKIPPED: a node without IPv6 cannot be imitated on {platform.machine()}", flush=True)
        return
    program, deployment = sys.argv[1], yaml.safe_load(Path("deploy/kubernetes/base/deployment.yaml").read_text())
    container = only(deployment["spec"]["template"]["spec"]["containers"])
    # Any free port in place of the usual one.
    given = {each["name"]: re.sub(r":\d+$", ":0", each["value"]) for each in container["env"] if each["name"] in ADDRESSES}
    expect(set(given.values()) == {"[::]:0"}, f"the pod listens on {given}")
    given |= {"GATEWAY_EM_URL": "http://127.0.0.1:9", "GATEWAY_EM_ALLOW_PLAINTEXT": "true"}
    given |= {"GATEWAY_EM_USERNAME": "nobody", "GATEWAY_EM_PASSWORD": "none", "GATEWAY_LAME_DUCK": "0s"}
    started = subprocess.Popen([program, "serve"], env=given, stderr=subprocess.PIPE, text=True, preexec_fn=forbid_ipv6)
    try:
        log = ""
        while not (found := re.search(r"address=(\S+) admin_address=(\S+)", re.sub(r"\x1b\[\d*m", "", log))):
            line = started.stderr.readline()
            expect(line, f"the program does not start: {log}")
            log += line
        expect(log.count("no IPv6 on this system") == 2, f"nothing says that there is no IPv6: {log}")
        expect(all(address.startswith("0.0.0.0:") for address in found.groups()), log)
        port = found[2].rsplit(":", 1)[1]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            expect(answer.status == 200, f"/readyz says {answer.status}")
        listen = {"GATEWAY_LISTEN": f"[::]:{found[1].rsplit(':', 1)[1]}"}
        health = {"env": listen, "preexec_fn": forbid_ipv6, "stdout": subprocess.DEVNULL, "timeout": 10}
        asked = subprocess.run([program, "health"], **health)
        expect(asked.returncode == 0, f"health ends with {asked.returncode}")
    finally:
        started.terminate()
        started.wait(timeout=20)
    print("without IPv6: the program listens on IPv4", flush=True)


def forbid_ipv6() -> None:
    """From now on this process cannot open a socket of IPv6, as on a kernel that has none (seccomp)."""

    def step(code: int, then: int, otherwise: int, value: int) -> bytes:
        return struct.pack("HBBI", code, then, otherwise, value)

    load, is_equal, end = 0x20, 0x15, 0x06
    steps = [
        step(load, 0, 0, 0),  # the number of the system call
        step(is_equal, 0, 3, SOCKET[platform.machine()]),
        step(load, 0, 0, 16),  # its first argument
        step(is_equal, 0, 1, socket.AF_INET6),
        step(end, 0, 0, 0x00050000 | NO_SUCH_FAMILY),
        step(end, 0, 0, 0x7FFF0000),
    ]
    code = ctypes.create_string_buffer(b"".join(steps))
    filter_ = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, filter_, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


main()
