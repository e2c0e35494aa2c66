"""Sets up two gateways behind the proxies, runs the checks, and prints the results."""

import asyncio
import os
import shutil
import signal
import sys
import time
import traceback

import cases
import em_front
import followers
import watchers
from certificates import CALLER, GATEWAY, Authority
from parts import REPLICAS, WORK, Failed, Gateway, expect
from proxies import all_proxies
from setup import EnterpriseManager, Setup

CHECKS = [*cases.ALL, *em_front.ALL, *watchers.ALL, *followers.ALL]


async def run(names: list[str]) -> bool:
    """Runs the checks; returns whether all passed. Prints each result, a table, and a summary in the last line."""
    proxies = [each for each in all_proxies() if not names or each.name in names]
    if unknown := set(names) - {each.name for each in proxies}:
        print(f"FAILED  no proxy is called {unknown.pop()}")
        return False
    chosen = os.environ.get("PROXIES_CHECKS", "")
    checks = [check for check in CHECKS if not chosen or check.__name__ in chosen.split(",")]
    for folder in ("logs", "tls"):
        shutil.rmtree(WORK / folder, ignore_errors=True)
    authority = Authority("the company")
    gateway_tls = authority.issue(GATEWAY, WORK / "tls/gateway")
    setup = Setup(
        gateway_tls,
        authority.issue(CALLER, WORK / "tls/caller"),
        authority.issue(cases.OTHER_CALLER, WORK / "tls/other"),
        authority,
        EnterpriseManager(),
        [Gateway(address, gateway_tls) for address in REPLICAS[:2]],
        proxies,
    )
    # Treats SIGTERM like any other failure, so that all started processes end.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    passed, what, table = 0, "setting up", {}
    try:
        await setup.start()
        for check in checks:
            begun, what = time.monotonic(), check.__name__
            table[what] = await check(setup)
            seconds = time.monotonic() - begun
            told = ", ".join(f"{name}: {cell}" for name, cell in table[what].items())
            print(f"ok      {what} ({seconds:.0f} s): {told}", flush=True)
            passed += 1
        what = "the logs"
        for process in setup.processes():
            expect("panicked" not in process.log(), f"{process.log_path} contains a panic")
        print_table(table)
        print(f"{passed} checks passed, none failed")
        return True
    except asyncio.CancelledError:
        print(f"FAILED  {what}: the time limit passed, or a signal ended the run")
    except Failed as failure:
        print(f"FAILED  {what}: {failure}")
    except Exception as failure:  # report any failure, and end the processes
        print(f"FAILED  {what}: {failure!r}\n{traceback.format_exc()}")
    finally:
        for process in setup.processes():
            process.stop_for_good()
    for process in setup.processes():
        print(f"--- {process.log_path}\n{process.log()[-2000:]}")
    print(f"{passed} checks passed, {what} failed, and the remaining checks did not run", flush=True)
    return False


def print_table(table: dict[str, dict[str, str]]) -> None:
    """The results in the form of deploy/README.md."""
    columns = list(dict.fromkeys(name for row in table.values() for name in row))
    print("\n| |", " | ".join(columns), "|")
    print("| --- |", " | ".join("---" for _ in columns), "|")
    for name, row in table.items():
        print(f"| {name.replace('_', ' ')} |", " | ".join(row.get(column, "") for column in columns), "|")
    print()




sys.exit(0 if asyncio.run(run(sys.argv[1:])) else 1)
