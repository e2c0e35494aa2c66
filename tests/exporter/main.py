"""Checks the exporter against a gateway with the simulated Enterprise Manager, and against one whose sessions are made up.

main.py FOLDER [picture]; the script `run` beside it prepares everything.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import picture
from parts import EXPORTER, HOUR, Exporter, Gateway, until

from certificates import make_certificates
from servers import Serve

FOLDER = Path(sys.argv[1])
PROGRAM = os.environ["GATEWAY_PROGRAM"]
SUCCESS, WARNING, FAILED = 0, 1, 2
FAST = "--interval=0.2"
# What other people may call their jobs and machines.
HOSTILE = ['a"b\\c\nd', "{x=\"1\"} 2\n# TYPE evil counter", "$(reboot) {{ $x }}", "数据库 \U0001f4be", "\u202eevil\u2028", " "]


def the_values_are_those_of_enterprise_manager():
    with simulated("--sessions=30") as em, gateway_of(em) as gateway, Exporter(FOLDER, gateway.address) as exporter:
        found = exporter.reads_once()
        # By another way: the program's own client, its JSON, and no state.
        last, success, took = {}, {}, {}
        sessions = {each["uid"]: each["jobName"] for each in asked(gateway, "list")["replicaSessions"]}
        for task in reversed(asked(gateway, "tasks")["replicaTaskSessions"]):
            key = "enterprise01.tech.local", sessions[task["sessionUid"]], task["vmName"]
            if task["state"] == "STATE_COMPLETED":
                result = task["result"].removeprefix("RESULT_")
                last[key] = ["SUCCESS", "WARNING", "FAILED"].index(result)
                took[key] = seconds(task["endTime"]) - seconds(task["createTime"])
                success |= {key: seconds(task["endTime"])} if result == "SUCCESS" else {}
        assert len(last) >= 4 and last["enterprise01.tech.local", "Fileserver02 Replication", "fs03"] == WARNING, last
        assert found["replica_vm_last_result"] == last, found
        assert near(found["replica_vm_last_success_timestamp_seconds"], success), found
        assert near(found["replica_vm_last_duration_seconds"], took), found
        assert ("enterprise01.tech.local", "Replication Job 1") in found["replica_job_running_since_timestamp_seconds"]
        assert found["replica_job_last_result"]["enterprise01.tech.local", "SQL Replication"] == SUCCESS


def the_last_good_values_stay_while_the_gateway_cannot_be_asked():
    with simulated() as em, gateway_of(em) as gateway, Exporter(FOLDER, gateway.address, FAST) as exporter:
        before = exporter.reads()
        gateway.stop()
        after = exporter.fails()
        values = [name for name in before if name.startswith(("replica_vm", "replica_job"))]
        assert len(values) == 12 and all(before[name] == after[name] for name in values), (before, after)
        assert after["replica_exporter_failures_total"].keys() == {("UNAVAILABLE",)}, after
        age = "replica_exporter_last_reading_timestamp_seconds"
        assert before[age][()] <= after[age][()] < time.time() - 0.2
        # Not a line for each reading.
        assert until(lambda: exporter.value("replica_exporter_failures_total", "UNAVAILABLE") >= 3)
        assert exporter.log.read_text().count("cannot read from the gateway") == 1, exporter.log.read_text()
        with gateway_of(em, f"--listen={gateway.address}"):
            assert exporter.reads()["replica_exporter_up"][()] == 1


def an_exporter_without_a_gateway_says_so_and_starts_nevertheless():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with Exporter(FOLDER, f"127.0.0.1:{nobody.getsockname()[1]}", FAST) as exporter:
            found = exporter.fails()
            assert "replica_exporter_last_reading_timestamp_seconds" not in found, found
            assert not any(name.startswith("replica_vm") for name in found), found


def a_caller_with_an_allowed_certificate_reads_over_mutual_tls():
    certificates = make_certificates(FOLDER)
    with simulated() as em, gateway_of(em, *certificates.server_arguments) as gateway:
        with Exporter(FOLDER, gateway.address, FAST, **certificates("known")) as exporter:
            assert exporter.reads()["replica_vm_last_result"]
        with Exporter(FOLDER, gateway.address, FAST, **certificates("uninvited")) as exporter:
            reasons = exporter.fails()["replica_exporter_failures_total"]
            assert reasons.keys() == {("CALLER_NOT_ALLOWED",)}, reasons


def names_from_outside_are_labels_and_nothing_else():
    with Gateway() as gateway:
        for name in HOSTILE:
            gateway.run(name, HOUR, "FAILED", {name: "FAILED"}, server=name)
        with Exporter(FOLDER, gateway.address) as exporter:
            found = exporter.reads_once()
            assert found["replica_vm_last_result"] == {(name, name, name): FAILED for name in HOSTILE}, found
            checked = subprocess.run(["promtool", "check", "metrics"], input=exporter.text(), text=True, capture_output=True)
            assert checked.returncode == 0 and not checked.stdout, checked


def a_run_that_goes_on_is_followed_to_its_end():
    key = "vbr01", "Files"
    with Gateway() as gateway:
        gateway.run("Files", 40 * HOUR, "SUCCESS", {"fs02": "SUCCESS"})
        # Longer ago than the exporter looks back: it looks for the end of a run that goes on nevertheless.
        gateway.run("Files", 30 * HOUR, None, {"fs02": None})
        with Exporter(FOLDER, gateway.address, FAST) as exporter:
            found = exporter.reads()
            assert found["replica_job_last_result"][key] == SUCCESS
            since = found["replica_job_running_since_timestamp_seconds"][key]
            assert abs(time.time() - 30 * HOUR - since) < 60 and (*key, "fs02") in found["replica_vm_running_since_timestamp_seconds"]
            gateway.sessions.pop()
            gateway.tasks.pop()
            gateway.run("Files", 30 * HOUR, "FAILED", {"fs02": "FAILED"}, took=30 * HOUR)
            assert until(lambda: exporter.value("replica_vm_last_result", *key, "fs02") == FAILED)
            found = exporter.reads()
            assert "replica_job_running_since_timestamp_seconds" not in found, found
            success = found["replica_vm_last_success_timestamp_seconds"][(*key, "fs02")]
            assert abs(time.time() - 40 * HOUR + 60 - success) < 60


def only_what_may_have_changed_is_read_again_and_what_came_late_is_found():
    with Gateway() as gateway:
        gateway.run("Files", 100 * HOUR, "SUCCESS", {"old": "SUCCESS"})
        gateway.run("Files", 2 * HOUR, "FAILED", {"fs02": "FAILED"})
        with Exporter(FOLDER, gateway.address, FAST, "--window-days=5", "--again-hours=10") as exporter:
            exporter.reads()
            # Enterprise Manager learns late of an older run.
            gateway.run("Late", 9 * HOUR, "SUCCESS", {"late": "SUCCESS"})
            gateway.requests.clear()
            found = exporter.reads()
            assert found["replica_vm_last_result"][("vbr01", "Late", "late")] == SUCCESS
            assert found["replica_vm_last_result"][("vbr01", "Files", "old")] == SUCCESS
            ages = {name: (time.time() - start) / HOUR for name, start in gateway.requests}
            assert abs(ages["ListTaskSessionsRequest"] - 10) < 0.1, ages


def who_has_not_run_for_the_whole_window_is_forgotten():
    with Gateway() as gateway:
        gateway.run("Files", 24 * HOUR - 8, "SUCCESS", {"fs02": "SUCCESS"})
        with Exporter(FOLDER, gateway.address, FAST, "--window-days=1") as exporter:
            assert exporter.reads()["replica_vm_last_result"]
            assert until(lambda: "replica_vm_last_result" not in exporter.metrics())


def the_page_budget_bounds_a_reading_and_the_newest_runs_are_known():
    with Gateway() as gateway:
        for hour in range(1, 9):
            gateway.run("Files", hour * HOUR, "SUCCESS", {f"vm{hour}": "SUCCESS"})
        with Exporter(FOLDER, gateway.address, "--page-size=2", "--max-pages=2") as exporter:
            found = exporter.reads_once()
            assert len(gateway.requests) == 4 and found["replica_exporter_pages_total"][()] == 4, gateway.requests
            assert found["replica_exporter_truncated"][()] == 1
            assert {vm for _, _, vm in found["replica_vm_last_result"]} == {"vm1", "vm2", "vm3", "vm4"}
            assert "--max-pages" in exporter.log.read_text()
        with Exporter(FOLDER, gateway.address, "--page-size=2", "--max-pages=4") as exporter:
            found = exporter.reads_once()
            assert found["replica_exporter_truncated"][()] == 0 and len(found["replica_vm_last_result"]) == 8


def a_reading_that_fails_halfway_changes_nothing():
    with Gateway() as gateway:
        gateway.run("Old", 3 * HOUR, "SUCCESS", {"fs02": "SUCCESS"})
        gateway.run("Files", 2 * HOUR, None)
        with Exporter(FOLDER, gateway.address, FAST, "--page-size=1") as exporter:
            before = exporter.reads()
            gateway.refuses_second_page = True
            gateway.run("Files", HOUR, "FAILED", {"fs02": "FAILED"})
            after = exporter.fails()
            assert all(before[name] == after[name] for name in before if name.startswith(("replica_vm", "replica_job"))), after
            gateway.refuses_second_page = False
            assert exporter.reads()["replica_job_last_result"][("vbr01", "Files")] == FAILED


def the_job_of_a_task_is_its_sessions_or_else_in_the_link_to_it():
    with Gateway() as gateway:
        gateway.run("Files", HOUR, "SUCCESS", {"fs02": "SUCCESS"})
        # Some versions of Enterprise Manager have another link there.
        gateway.tasks[0].links[0].name = "something@else"
        gateway.run("Me@Mail", HOUR, "SUCCESS", {"mx01": "SUCCESS"})
        gateway.sessions.pop()
        gateway.run("Gone", HOUR, "SUCCESS", {"db01": "SUCCESS"})
        gateway.sessions.pop()
        del gateway.tasks[2].links[:]
        with Exporter(FOLDER, gateway.address) as exporter:
            machines = exporter.reads_once()["replica_vm_last_result"].keys()
            assert machines == {("vbr01", "Files", "fs02"), ("vbr01", "Me@Mail", "mx01"), ("vbr01", "", "db01")}, machines


def a_call_that_the_gateway_refuses_is_repeated_when_it_says():
    with Gateway() as gateway:
        gateway.run("Files", HOUR, "SUCCESS", {"fs02": "SUCCESS"})
        gateway.refusals = 1
        with Exporter(FOLDER, gateway.address, "--interval=60") as exporter:
            began = time.monotonic()
            found = exporter.reads_once()
            # The gateway asks for a second.
            assert found["replica_exporter_up"][()] == 1 and time.monotonic() - began > 0.5
            assert len(gateway.requests) == 3, gateway.requests
        gateway.refusals = 100
        with Exporter(FOLDER, gateway.address, FAST) as exporter:
            assert exporter.fails()["replica_exporter_failures_total"].keys() == {("EM_UNAVAILABLE",)}
            assert "Enterprise Manager is down" in exporter.log.read_text()


def a_real_prometheus_answers_the_dashboard_and_raises_the_alerts():
    dashboard = json.loads((EXPORTER / "dashboard.json").read_text())
    with Gateway() as gateway:
        gateway.run("Files", 30 * HOUR, "SUCCESS", {"fs02": "SUCCESS", "fs03": "WARNING"})
        gateway.run("Files", 2 * HOUR, "FAILED", {"fs02": "FAILED", "fs03": "SUCCESS"})
        gateway.run("Mail", HOUR, None, {"mx01": None})
        with Exporter(FOLDER, gateway.address, FAST) as exporter, prometheus(exporter) as server:
            title = dashboard["panels"][0]["title"]
            assert until(lambda: server.now("rate(replica_exporter_pages_total[1m])"))
            svg, empty = picture.draw(dashboard, server, 60)
            assert title in svg and not empty, f"panels without data: {empty}"
            outdated = server.now(dashboard["panels"][0]["targets"][0]["expr"].replace("$job", ".*"))
            assert [value for _, value in outdated] == [1], outdated

            def alerts():
                return {
                    (each["labels"]["alertname"], each["labels"].get("vm") or each["labels"].get("job_name"))
                    for each in server.get("alerts")["alerts"]
                }

            expected = {("NoSuccessfulReplica", "fs02"), ("ReplicationJobFailed", "Files")}
            assert until(lambda: alerts() == expected), alerts()
            # What the rules and the dashboard ask for exists, and nothing is misspelt.
            asked = (EXPORTER / "rules.yaml").read_text() + (EXPORTER / "dashboard.json").read_text()
            names = set(re.findall(r"\breplica_(?:vm|job|exporter)_\w+", asked))
            gateway.refusals = 100
            missing = names - exporter.fails().keys()
            assert len(names) > 9 and not missing, missing


def draw_picture():
    """The picture of the README: 25 minutes in which runs of a simulated Enterprise Manager end, the gateway is down for
    one, and the last success of a machine becomes older than a day."""
    dashboard = json.loads((EXPORTER / "dashboard.json").read_text())
    with simulated("--running=4", "--run-length=5m", "--sessions=40") as em, gateway_of(em) as gateway:
        with Exporter(FOLDER, gateway.address, "--interval=5") as exporter, prometheus(exporter) as server:
            time.sleep(1080)
            gateway.stop()
            time.sleep(60)
            with gateway_of(em, f"--listen={gateway.address}"):
                time.sleep(360)
            svg, empty = picture.draw(dashboard, server, 1500)
    assert not empty, empty
    (EXPORTER / "dashboard.svg").write_text(svg)


@contextmanager
def simulated(*arguments):
    """The address of a simulated Enterprise Manager."""
    command = [PROGRAM, "simulate", "--listen=127.0.0.1:0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield next(found[0] for line in process.stdout if (found := re.search(r"http://127[\d.:]+", line)))
        finally:
            process.terminate()


@contextmanager
def gateway_of(enterprise_manager, *arguments):
    gateway = Serve(PROGRAM, FOLDER, f"serve-{time.monotonic_ns()}", enterprise_manager, "--lame-duck=0s", *arguments)
    try:
        yield gateway.started()
    finally:
        gateway.stop()


@contextmanager
def prometheus(exporter):
    """A Prometheus that scrapes the exporter each second, with its rules."""
    folder = FOLDER / f"prometheus-{time.monotonic_ns()}"
    folder.mkdir()
    (folder / "prometheus.yml").write_text(json.dumps({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(EXPORTER / "rules.yaml")],
        "scrape_configs": [{"job_name": "replication", "static_configs": [{"targets": [exporter.address]}]}],
    }))  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    options = ["--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address={address}"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(["prometheus", *options], cwd=folder, stdout=log, stderr=log)
    server = picture.Prometheus(address)

    def is_scraping():
        try:
            return [value for _, value in server.now("up")] == [1]
        except OSError:
            return False

    try:
        assert until(is_scraping), (folder / "log").read_text()
        yield server
    finally:
        process.terminate()
        process.wait(timeout=30)


def asked(gateway, subcommand):
    """What the program's own client prints."""
    command = [PROGRAM, subcommand, f"--server=http://{gateway.address}", "--since=7d", "--all", "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, timeout=30).stdout)


def seconds(text):
    return datetime.fromisoformat(text).timestamp()


def near(some, others):
    return some.keys() == others.keys() and all(abs(some[key] - others[key]) < 0.01 for key in some)


CHECKS = [
    the_values_are_those_of_enterprise_manager,
    the_last_good_values_stay_while_the_gateway_cannot_be_asked,
    an_exporter_without_a_gateway_says_so_and_starts_nevertheless,
    a_caller_with_an_allowed_certificate_reads_over_mutual_tls,
    names_from_outside_are_labels_and_nothing_else,
    a_run_that_goes_on_is_followed_to_its_end,
    only_what_may_have_changed_is_read_again_and_what_came_late_is_found,
    who_has_not_run_for_the_whole_window_is_forgotten,
    the_page_budget_bounds_a_reading_and_the_newest_runs_are_known,
    a_reading_that_fails_halfway_changes_nothing,
    the_job_of_a_task_is_its_sessions_or_else_in_the_link_to_it,
    a_call_that_the_gateway_refuses_is_repeated_when_it_says,
    a_real_prometheus_answers_the_dashboard_and_raises_the_alerts,
]

if __name__ == "__main__":
    if sys.argv[2:] == ["picture"]:
        draw_picture()
    else:
        for check in CHECKS:
            began = time.monotonic()
            check()
            print(f"{check.__name__.replace('_', ' ')} ({time.monotonic() - began:.1f} s)", flush=True)
        print(f"All {len(CHECKS)} checks of the exporter have passed")
