"""Exports how replication goes, for each job and virtual machine, as metrics for Prometheus: python exporter.py --help"""

import argparse
import math
import signal
import sys
import time
from pathlib import Path

import grpc
from prometheus_client import REGISTRY, Counter, disable_created_metrics, start_http_server
from prometheus_client.core import GaugeMetricFamily

HERE = Path(__file__).resolve().parent
# The connection and the errors are those of the other Python examples.
sys.path += [str(HERE / "generated"), str(HERE.parent / "python")]
from errors import explain, reason
from get_session import connect, rpc
from history import Replication, read

disable_created_metrics()
PAGES = Counter("replica_exporter_pages", "Pages that the exporter has read from the gateway.")
FAILURES = Counter(
    "replica_exporter_failures", "Readings that have failed, by the gateway's reason or else gRPC's code.", ["reason"]
)

# Metrics of jobs and of machines: the end of the name, the help, and the value; None if there is none.
METRICS = [
    ("last_result", "How the last run that is over went: 0 success, 1 warning, 2 failed, 3 something else.",
     lambda history: history.last and history.last.result),
    ("last_end_timestamp_seconds", "When the last run that is over ended.",
     lambda history: history.last and history.last.ended),
    ("last_duration_seconds", "How long the last run that is over took.",
     lambda history: history.last and history.last.ended - history.last.started),
    ("last_success_timestamp_seconds", "When the last successful run ended. Absent if none is known.",
     lambda history: history.last_success and history.last_success.ended),
    ("first_start_timestamp_seconds", "When the first run that is known started.",
     lambda history: history.first_started),
    ("running_since_timestamp_seconds", "When the run that goes on started. Absent if none goes on.",
     lambda history: history.running_since),
]  # fmt: skip


class Exporter:
    """The last good reading, as metrics. Prometheus may ask at any time, also before there is one."""

    def __init__(self):
        self.known = Replication()
        self.is_up = False
        self.told = None

    def update(self, gateway, options):
        """Reads what has happened. If the gateway cannot be asked, what is known stays."""
        try:
            self.known = read(gateway, self.known, options, PAGES)
        except grpc.RpcError as error:
            self.is_up = False
            why = reason(error) or error.code().name
            FAILURES.labels(why).inc()
            self.tell(why, f"cannot read from the gateway, so the values stay as they are:\n{explain(error)}")
            return
        self.is_up = True
        if self.known.is_truncated:
            self.tell("truncated", "there are more runs than --max-pages allows to read: the oldest are missing")
        else:
            self.tell("up", f"has read {len(self.known.jobs)} jobs and {len(self.known.machines)} virtual machines in them")

    def tell(self, what, text):
        """Logs what is not the same as before."""
        if what != self.told:
            print(text, file=sys.stderr, flush=True)
        self.told = what

    def collect(self):
        known = self.known
        yield from families("replica_job", ["backup_server", "job_name"], known.jobs)
        yield from families("replica_vm", ["backup_server", "job_name", "vm"], known.machines)
        for name, text, value in (
            ("up", "Whether the last reading from the gateway succeeded.", self.is_up),
            ("last_reading_timestamp_seconds", "When the gateway received what the last good reading is made of.", known.read_at),
            ("truncated", "Whether the last reading was ended by the page budget, so that the oldest runs are missing.",
             known.is_truncated),
        ):  # fmt: skip
            family = GaugeMetricFamily(f"replica_exporter_{name}", text)
            if value is not None:
                family.add_metric([], value)
            yield family


def families(prefix, labels, histories):
    for name, text, value in METRICS:
        family = GaugeMetricFamily(f"{prefix}_{name}", text, labels=labels)
        for key, history in histories.items():
            if (number := value(history)) is not None:
                family.add_metric(key, number)
        yield family


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    exporter = Exporter()
    REGISTRY.register(exporter)
    host, port = options.listen
    try:
        server, _ = start_http_server(port, host)
    except OSError as error:
        sys.exit(f"error: cannot listen on {host} at port {port}: {error.strerror}")
    print(f"metrics at port {server.server_port} of {host}", file=sys.stderr, flush=True)
    with connect() as channel:
        gateway = rpc.ReplicaSessionServiceStub(channel)
        while True:
            began = time.monotonic()
            exporter.update(gateway, options)
            time.sleep(max(1, began + options.interval - time.monotonic()))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)

    def option(name, default, of, text):
        parser.add_argument(name, default=default, type=of, metavar=name[2:].upper().replace("-", "_"), help=text)

    option("--listen", "127.0.0.1:9465", address, "address of /metrics")
    option("--interval", 300, positive, "seconds between two readings")
    option("--window-days", 7, positive, "how far the first reading goes back; who has not run for longer is forgotten")
    option("--again-hours", 24, positive, "how far each later reading goes back, for runs that are known late")
    option("--page-size", 500, count, "sessions or tasks on a page")
    option("--max-pages", 20, count, "page budget: at most so many of sessions, and of tasks, in one reading")
    option("--deadline", 30, positive, "seconds for each page")
    return parser.parse_args()


def address(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def positive(text):
    number = float(text)
    if not 0 < number < math.inf:
        raise ValueError
    return number


def count(text):
    number = int(text)
    if not 1 <= number <= 1000:
        raise argparse.ArgumentTypeError("must be 1 to 1000")
    return number


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(0)
