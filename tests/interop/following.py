"""Checks the programs of examples/ that follow sessions: their gateway is killed, and another replica goes on."""

import os
import re
import signal
import subprocess
import time
from collections import Counter
from contextlib import ExitStack

from documents import ROOT, blocks
from servers import Balancer, Serve, Simulator, wait_until

# How many sessions run, and how long after one another they end, in seconds. On a busy machine, some of them have ended
# before the program has started.
RUNNING, APART = 18, 4
# A language takes this long at most to start, and to come back: gRPC libraries wait between attempts to connect.
PATIENCE = 60


class Follower:
    """A program that follows, run with the command of its README, until it is stopped."""

    def __init__(self, language, address, folder):
        script = next(block for block in blocks(f"examples/{language}/README.md") if re.search("follow.sessions", block))
        self.log = folder / f"follower-{language}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                ["bash", "-c", script], stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                cwd=os.path.join(ROOT, "examples", language), env=os.environ | {"GATEWAY_ADDRESS": address},
            )  # fmt: skip

    def told(self, what):
        """What follows this word, in each line that begins with it."""
        return re.findall(rf"^{what} +(\S+)", self.log.read_text(), re.MULTILINE)

    def wait_until(self, holds):
        wait_until(lambda: self.process.poll() is not None or holds(), self.log, PATIENCE)
        if self.process.poll() is not None:
            raise RuntimeError(f"the program has ended:\n{self.log.read_text()}")

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def killed_under_a_follower(language, program, folder):
    """Each end is told once, although some come while nothing answers, and the gateway is another one afterwards: first
    one that goes on by the token, then one that does not know it. Returns the problem, if any."""
    with ExitStack() as stack:
        own = folder / f"following-{language}"
        own.mkdir()
        simulator = Simulator(program, own, f"--running={RUNNING}", f"--run-length={APART}s")
        stack.callback(simulator.stop)
        pace = "--watch-interval=1s", "--watch-interval-max=1s"
        key = own / "key"
        key.write_text("k" * 64)
        replicas = [
            Serve(program, own, "first", simulator.url, *pace),
            Serve(program, own, "second", simulator.url, *pace),
            Serve(program, own, "stranger", simulator.url, *pace, f"--page-token-key-file={key}"),
        ]
        for each in replicas:
            stack.callback(each.stop)
        first, second, stranger = [each.started() for each in replicas]
        service = stack.enter_context(Balancer(first.address))
        follower = Follower(language, service.address, own)
        stack.callback(follower.stop)

        follower.wait_until(lambda: follower.told("current"))
        seen = set(follower.told("appeared"))
        if len(seen) < RUNNING / 2:
            return f"not told of what runs: {follower.log.read_text()}"
        def killed_and_replaced(old, new):
            """Until the program tells of ends again, of which two come while nothing answers."""
            before = len(follower.told("again"))
            old.process.kill()
            follower.wait_until(lambda: len(follower.told("again")) > before)
            time.sleep(2 * APART)
            told = len(follower.told("ended"))
            service.target = new.address
            follower.wait_until(lambda: len(follower.told("ended")) > told)

        follower.wait_until(lambda: follower.told("ended"))
        killed_and_replaced(first, second)
        ends = Counter(follower.told("ended"))
        if not set(ends) <= seen or set(ends.values()) != {1} or follower.told("missed"):
            return f"not each end once: {follower.log.read_text()}"

        killed_and_replaced(second, stranger)
        if not follower.told("missed") or not seen & set(follower.told("listed")):
            return f"nothing is said of the token that is refused: {follower.log.read_text()}"
        # Listed is also what had ended before the program began.
        told = lambda: follower.told("ended") + follower.told("listed")
        follower.wait_until(lambda: seen <= set(told()))
        if set(Counter(told()).values()) != {1}:
            return f"not each end once, with those that are listed: {follower.log.read_text()}"
        return ""
