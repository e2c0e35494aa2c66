"""Checks the compose files, and runs the services together. Usage: check.py WORK PROGRAM."""

import json
import os
import re
import subprocess
import sys
import urllib.parse
from pathlib import Path

import yaml

from grafana import check_grafana
from services import COMPOSE, Service, expect, fetch, image_environment, within

WORK, PROGRAM = Path(sys.argv[1]), sys.argv[2]
OWN = {"GATEWAY_EM_URL": "https://em.example:9398", "GATEWAY_EM_USERNAME": r"DOMAIN\gateway", "EM_PASSWORD_FILE": "/pw"}


def main() -> None:
    config = compose("compose.yaml")
    check_files(config)
    check_own(config)
    of_image = image_environment()
    services = {}
    for name, each in config["services"].items():
        command = PROGRAM if "build" in each else name
        services[name] = Service(name, each, command, WORK)
        for secret in each.get("secrets", []):
            services[name].place(secret["target"], config["secrets"][secret["source"]]["file"])
    simulator, gateway, prometheus = (services[name] for name in ("simulator", "gateway", "prometheus"))
    started = [simulator, gateway, prometheus]
    try:
        for each in started:
            each.start(of_image if each.command == PROGRAM else {})
        health = of_image_check()
        within(20, lambda: gateway.is_running() and gateway.run(health, of_image).returncode == 0, "no health")
        commands = check_commands(services["client"], of_image)
        check_prometheus(prometheus)
        panels = check_grafana(services["grafana"], Path(prometheus.here("/etc/prometheus/prometheus.yml")))
        for each in reversed(started):
            each.is_running()
            each.stop()
    finally:
        for each in started:
            if each.process and each.process.poll() is None:
                each.process.kill()
    print(f"compose: the services work together; {commands} commands of the README, {panels} panels", flush=True)


def compose(*files: str, environment: dict | None = None) -> dict:
    """What docker compose makes of the files."""
    done = docker_compose(*files, environment=environment or {})
    expect(done.returncode == 0, f"docker compose refuses {files}: {done.stderr}")
    expect("warn" not in done.stderr.lower(), f"docker compose warns of {files}: {done.stderr}")
    return json.loads(done.stdout)


def docker_compose(*files: str, environment: dict) -> subprocess.CompletedProcess:
    chosen = [word for file in files for word in ("--file", COMPOSE / file)]
    command = [WORK / "venv/bin/docker-compose", *chosen, "--profile", "client", "config", "--format", "json"]
    given = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(command, env=given, capture_output=True, text=True, timeout=30)


def check_files(config: dict) -> None:
    expect(config["services"].keys() == {"simulator", "gateway", "client", "prometheus", "grafana"}, "other services")
    features = re.search(r"^\[features\]\n((?:.+\n)+)", Path("Cargo.toml").read_text(), re.M)[1]
    dockerfile = Path("Dockerfile").read_text()
    helped = subprocess.run([PROGRAM, "serve", "--help"], capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"\[env: (GATEWAY_[A-Z0-9_]+)=", helped))
    for name, each in config["services"].items():
        for port in each.get("ports", []):
            expect(port.get("host_ip") == "127.0.0.1", f"{name} is open to other machines: {port}")
            expect(port["published"] == str(port["target"]), f"{name} has another port outside: {port}")
        if "build" not in each:
            expect(re.search(r":v?\d+\.\d+\.\d+$", each["image"]), f"{each['image']} has no version")
            continue
        arguments = each["build"]["args"]
        feature = arguments["FEATURES"]
        expect(re.search(rf"^{feature} = ", features, re.M), f"the program has no feature {feature}")
        for argument in arguments:
            expect(re.search(rf"^ARG {argument}=", dockerfile, re.M), f"the Dockerfile has no argument {argument}")
        expect(each["read_only"] and each["cap_drop"] == ["ALL"], f"{name} may more than it needs")
        of_serve = {name for name in each.get("environment") or {} if name != "GATEWAY_SERVER"}
        expect(of_serve <= known, f"the program does not know {of_serve - known}")
    shipped = yaml.safe_load(Path("deploy/prometheus/prometheus.yml").read_text())
    own = yaml.safe_load((COMPOSE / "prometheus.yml").read_text())
    expect(own["rule_files"] == shipped["rule_files"], "Prometheus reads other rules than deploy/prometheus")
    jobs = [[job["job_name"] for job in each["scrape_configs"]] for each in (own, shipped)]
    expect(jobs[0] == jobs[1], f"the jobs differ: {jobs}")


def check_own(config: dict) -> None:
    """With one's own Enterprise Manager there is no simulator and no plaintext, and whatever is missing is named."""
    own = compose("compose.yaml", "own.yaml", environment=OWN)
    services = own["services"]
    expect(services.keys() == config["services"].keys() - {"simulator"}, f"the services are {services.keys()}")
    gateway = services["gateway"]
    expect(gateway["environment"]["GATEWAY_EM_ALLOW_PLAINTEXT"] == "false", "the password could be sent in plaintext")
    expect(gateway["environment"]["GATEWAY_EM_URL"] == OWN["GATEWAY_EM_URL"], "another Enterprise Manager")
    expect(own["secrets"]["em-password"]["file"] == "/pw", "another password")
    for name in ("gateway", "client"):
        expect(services[name]["build"]["args"]["FEATURES"] == "", f"{name} has the simulator")
        expect(services[name]["image"] != config["services"][name]["image"], f"{name} would replace the other image")
    for name in OWN:
        missing = {key: value for key, value in OWN.items() if key != name}
        refused = docker_compose("compose.yaml", "own.yaml", environment=missing)
        expect(refused.returncode != 0 and f"{name} is missing a value" in refused.stderr, f"{name}: {refused.stderr}")


def of_image_check() -> list:
    """The arguments of the image's health check."""
    found = re.search(r'^HEALTHCHECK (?:.|\\\n)+?CMD (\[.+\])$', Path("Dockerfile").read_text(), re.M)
    return json.loads(found[1])[1:]


def check_commands(client: Service, of_image: dict) -> int:
    """Runs the client's command, and those of the README."""
    text = (COMPOSE / "README.md").read_text()
    commands = [line.split() for line in re.findall(r"^docker compose run --rm client ?(.*)$", text, re.M)]
    expect(len(commands) >= 2, "the README has no commands for the client")
    for arguments in commands:
        done = client.run(arguments or client.config["command"], of_image)
        expect(done.returncode == 0, f"{arguments} ends with {done.returncode}: {done.stderr}")
        expect(len(done.stdout.splitlines()) >= 2, f"{arguments} prints {done.stdout!r}")
    return len(commands)


def check_prometheus(prometheus: Service) -> None:
    config = prometheus.here("/etc/prometheus/prometheus.yml")
    done = subprocess.run(["promtool", "check", "config", config], capture_output=True, text=True, timeout=30)
    expect(done.returncode == 0, done.stdout + done.stderr)
    at = "http://prometheus:9090/api/v1"

    def is_scraped() -> bool:
        prometheus.is_running()
        targets = json.loads(fetch(f"{at}/targets") or '{"data": {"activeTargets": []}}')["data"]["activeTargets"]
        return bool(targets) and all(each["health"] == "up" for each in targets)

    within(30, is_scraped, "Prometheus does not scrape the gateway")
    counted = urllib.parse.quote('sum(grpc_server_handled_total{grpc_code="OK"})')

    def is_counted() -> bool:
        result = json.loads(fetch(f"{at}/query?query={counted}"))["data"]["result"]
        return bool(result) and float(result[0]["value"][1]) >= 2

    within(20, is_counted, "Prometheus does not see the client's calls")
    rules = [rule for group in json.loads(fetch(f"{at}/rules"))["data"]["groups"] for rule in group["rules"]]
    alerts = re.findall(r"^ +- alert: (\w+)$", Path("deploy/prometheus/rules.yml").read_text(), re.M)
    expect([each["name"] for each in rules] == alerts, "Prometheus has other alerts")
    for each in rules:
        expect(each["health"] != "err" and each["state"] == "inactive", f"the alert {each['name']} is {each}")


main()
