"""Public clients from PyPI, used as their documentation says. Runs in the environment that has them.

`public.py RELEASE URL USER PASSWORD` prints a line for each check, and fails if one does. Of release 13 these
clients read no answers: they were written for PascalCase keys, and 13 has camelCase, as with a real server.
"""

import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from veeam_easy_connect import VeeamEasyConnect
from veeam_em.manager import VeeamEm

warnings.simplefilter("ignore")
release, url, user, password = int(sys.argv[1]), *sys.argv[2:]
has_its_keys = release < 13


def check(name, holds, seen):
    print("ok" if holds else "FAILED", name, "" if holds else repr(seen))
    return holds


def veeam_em():
    em = VeeamEm(api_endpoint=url, ssl_verify=False)
    if not has_its_keys:
        # It looks for `Links` in the answer to its logon.
        try:
            em.get_token(user, password)
        except Exception as error:  # noqa: BLE001
            yield "veeam-em does not know the keys of release 13", "Could not generate token" in str(error), error
        return
    yield "veeam-em logs on", bool(em.get_token(user, password)), None
    yield "veeam-em knows who it is", em.whoami()["UserName"] == "TECH\\" + user.split("\\")[-1], em.whoami()
    sessions = em.get_logon_sessions()
    yield "veeam-em lists logon sessions", bool(sessions), sessions
    found = em.get_backup_task_sessions()
    yield "veeam-em queries what the simulator has none of", found == [], found
    query = {"type": "ReplicaJobSession", "format": "Entities", "pageSize": 100, "sortDesc": "CreationTime"}
    answer, count = em.request("/query", params=query), 0
    while True:  # As it does for tasks: by the links to the next page.
        count += len(answer["Entities"]["ReplicaJobSessions"]["ReplicaJobSessions"])
        following = [link["Href"] for link in answer["PagingInfo"]["Links"] if link["Rel"] == "Next"]
        if not following:
            break
        answer = em.request(following[0])
    yield "veeam-em follows the links between pages", count == 257, count


def veeam_easy_connect():
    client = VeeamEasyConnect(user, password, False).ent_man()
    client.update_port(str(urlsplit(url).port))
    client.login("localhost")
    yield "veeam-easy-connect logs on", bool(client.get_access_token()), None
    for path in ["replicaSessions?format=Entity", "backupSessions", "jobs"]:
        answer = client.get(path, full=False)
        yield f"veeam-easy-connect reads {path}", isinstance(answer, dict), answer


def veeam_exporter():
    """One pass over those of its metrics that come from lists; the simulator has no reports."""
    if not has_its_keys:
        # It looks for `SessionId` in the answer to its logon, and tries three times, 5 s apart.
        return
    with tempfile.TemporaryDirectory() as folder:
        config = {
            "veeams": [{
                "host": "localhost", "port": urlsplit(url).port, "user": user, "password": password,
                "verify_ssl": False, "keep_session": False,
            }],
            "logger": {"level": "info", "facility": f"{folder}/log"},
        }  # fmt: skip
        path = Path(folder, "config.yml")
        path.write_text(yaml.safe_dump(config))
        for metrics in ["backup_servers", "repositories", "backup_jobs_sessions"]:
            ran = subprocess.run(
                [Path(sys.executable).parent / "veeam_exporter", "-c", path, "-n", "-v",
                 "-o", f"conf/metrics/{metrics}_metrics.yml"],
                capture_output=True, text=True, timeout=60,
            )  # fmt: skip
            shown = ran.stdout + ran.stderr
            good = ran.returncode == 0 and "veeam_em_up 1.0" in shown and "level=ERROR" not in shown
            yield f"veeam-exporter collects {metrics}", good, shown[-600:]


results = [check(*result) for client in [veeam_em, veeam_easy_connect, veeam_exporter] for result in client()]
sys.exit(not all(results))
