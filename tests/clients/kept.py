"""Reads twenty times with one session of requests. A connection may end between two requests: then it connects again."""

import sys
import warnings

import requests

warnings.simplefilter("ignore")
url = sys.argv[1]
session = requests.Session()
# As its users set it: idle connections that the server has closed are no error.
session.mount("https://", requests.adapters.HTTPAdapter(max_retries=3))
logon = session.post(f"{url}/api/sessionMngr/?v=latest", auth=("gateway", "simulated"), verify=False)
logon.raise_for_status()
token = {"X-RestSvcSessionId": logon.headers["X-RestSvcSessionId"]}
for _ in range(20):
    answer = session.get(f"{url}/api/replicaSessions", headers=token, verify=False)
    answer.raise_for_status()
    assert answer.text.endswith("</EntityReferences>")
