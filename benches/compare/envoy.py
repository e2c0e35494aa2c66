"""Compares the gateway with Envoy's reverse transcoder on this machine, in alternating rounds.

Both translate the same call: Envoy from JSON, the gateway from XML; nginx answers over TLS as
Enterprise Manager would, h2load calls. What counts is the ratio of CPU time per call.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

import grpc_tools.protoc
import google.api.annotations_pb2 as annotations

from parts import GATEWAY, ROOT, cpu_seconds, free_port, message, question, wait_for

HERE = pathlib.Path(__file__).parent
ID = "0bcf5a1e-866c-4b40-8bc3-ce64753b9a6b"
ENTITY = ROOT / "tests/fixtures/enterprise-manager/session-entity-published.xml"


def as_json(text):
    """The entity as Enterprise Manager spells it in JSON."""
    root = ET.fromstring(text)
    name = lambda element: element.tag.rpartition("}")[2]  # noqa: E731
    fields = {name(child): child.text for child in root if len(child) == 0}
    fields["Progress"] = int(fields["Progress"])
    fields["IsRetry"] = fields["IsRetry"] == "true"
    links = [dict(link.attrib) for child in root if name(child) == "Links" for link in child]
    return json.dumps({**root.attrib, "Links": links, **fields})


def fill(template, values):
    text = (HERE / template).read_text()
    for mark, value in values.items():
        text = text.replace(f"@{mark}@", str(value))
    return text


def load(target, in_flight, calls):
    connections = {1: 1, 64: 8}.get(in_flight, 1)
    before = cpu_seconds(target["pid"])
    out = subprocess.run(
        ["timeout", "-k", "1", "60", "h2load", "-t1", f"-c{connections}", f"-m{in_flight // connections}",
         f"-n{calls}", "-d", target["body"], "-H", "content-type: application/grpc", "-H", "te: trailers",
         f"http://127.0.0.1:{target['port']}{target['path']}"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    used = cpu_seconds(target["pid"]) - before
    rate = re.search(r"([\d.]+) req/s", out)
    data = re.search(r"\((\d+)\) data", out)
    # A failed call is an HTTP 200 without a message.
    if not rate or f"{calls} succeeded" not in out or int(data[1]) < calls * 500:
        sys.exit(f"error: {target['name']} did not answer every call:\n{out}")
    return 1e6 * used / calls, float(rate[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=20000, help="a round, with 64 in flight; a quarter with 1")
    parser.add_argument("--gateway-options", default="--em-concurrency 64")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        started = []

        def start(*command, **environment):
            started.append(subprocess.Popen(command, env={**os.environ, **environment},
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            return started[-1].pid

        try:
            compare(folder, start, options)
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait()


def compare(folder, start, options):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-addext",
         "basicConstraints=critical,CA:false", "-keyout", f"{folder}/upstream.key", "-out", f"{folder}/upstream.pem"],
        check=True, stderr=subprocess.DEVNULL)
    protos = pathlib.Path(annotations.__file__).parent.parent.parent
    well_known = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    if grpc_tools.protoc.main(["protoc", f"-I{HERE}", f"-I{protos}", f"-I{well_known}", "--include_imports",
                               f"--descriptor_set_out={folder}/descriptors", "reverse.proto"]) != 0:
        sys.exit("error: reverse.proto cannot be compiled")

    xml, as_text = ENTITY.read_text(), lambda text: text.replace("'", "\\'").replace("$", "")
    ports = {name: free_port() for name in ("XML", "JSON", "gateway", "envoy")}
    nginx = fill("nginx.conf.in", {"DIR": folder, "XML": ports["XML"], "JSON": ports["JSON"],
                                   "ENTITY_XML": as_text(xml), "ENTITY_JSON": as_text(as_json(xml))})
    pathlib.Path(f"{folder}/nginx.conf").write_text(nginx)
    start("nginx", "-c", f"{folder}/nginx.conf")
    wait_for(ports["XML"])

    for name in ("gateway", "envoy"):
        body = message(question(ID, fresh=name == "gateway"))
        pathlib.Path(f"{folder}/{name}").write_bytes(body)
    envoy = pathlib.Path(__import__("envoy").__file__).parent / "_bin/envoy"
    pathlib.Path(f"{folder}/envoy.yaml").write_text(fill("envoy.yaml.in", {
        "PORT": ports["envoy"], "UPSTREAM": ports["JSON"], "DESCRIPTORS": f"{folder}/descriptors",
        "CA": f"{folder}/upstream.pem"}))
    pin = subprocess.run([GATEWAY, "em-certificate", f"https://localhost:{ports['XML']}"], check=True, text=True,
                         stdout=subprocess.PIPE).stdout
    pin = re.search(r"--em-pin-sha256 (\S+)", pin)[1]
    targets = [
        {"name": "gateway", "path": "/enterprisemanager.v1.ReplicaSessionService/Get",
         "pid": start(GATEWAY, "serve", "--listen", f"127.0.0.1:{ports['gateway']}", "--admin-listen", "127.0.0.1:0",
                      "--em-url", f"https://localhost:{ports['XML']}", "--em-username", "user", "--em-pin-sha256", pin,
                      *options.gateway_options.split(), GATEWAY_EM_PASSWORD="measured")},
        {"name": "envoy", "path": "/compare.v1.ReplicaSessions/Get",
         "pid": start(str(envoy), "-c", f"{folder}/envoy.yaml", "--concurrency", str(os.cpu_count()),
                      "--disable-hot-restart", "-l", "error")},
    ]
    for target in targets:
        target |= {"port": ports[target["name"]], "body": f"{folder}/{target['name']}"}
        wait_for(target["port"])

    print(f"{'in flight':>9}  {'CPU per call, gateway : Envoy':>30}  {'calls per second':>16}")
    for in_flight in (1, 64):
        calls = options.calls if in_flight > 1 else options.calls // 4
        for target in targets:
            load(target, in_flight, calls // 4)
        cpu, rate = [], []
        for number in range(options.rounds):
            # Alternate, because the machine's speed drifts.
            order = targets if number % 2 == 0 else targets[::-1]
            results = {target["name"]: load(target, in_flight, calls) for target in order}
            cpu.append(results["gateway"][0] / results["envoy"][0])
            rate.append(results["gateway"][1] / results["envoy"][1])
        print(f"{in_flight:>9}  {statistics.median(cpu):>30.2f}  {statistics.median(rate):>16.2f}")


if __name__ == "__main__":
    main()
