"""Checks what Grafana is given: that it finds the files, and that the dashboard's queries have answers."""

import json
import re
import urllib.parse
from pathlib import Path

import yaml

from services import Service, expect, fetch, within

PROVISIONING = "/etc/grafana/provisioning"
# What Grafana puts in place of the dashboard's variables.
VARIABLES = {"$__rate_interval": "20s", "$__range": "1m", "$__interval": "15s", "$job": ".+", "${job}": ".+"}


def check_grafana(grafana: Service, prometheus: Path) -> int:
    """Returns the number of panels whose queries Prometheus has answered."""
    mounted = {each["target"] for each in grafana.config["volumes"]}
    source = check_source(provisioned(grafana, "datasources", mounted), prometheus)
    provider = provisioned(grafana, "dashboards", mounted)["providers"]
    expect(len(provider) == 1 and provider[0]["type"] == "file", f"the provider is {provider}")
    path = provider[0]["options"]["path"]
    dashboards = [each for each in mounted if each.startswith(path + "/") and each.endswith(".json")]
    expect(len(dashboards) == 1, f"the provider finds {dashboards}")
    home = grafana.config["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    expect(home == dashboards[0], f"the first page is {home}")
    return check_dashboard(json.loads(Path(f"{grafana.root}{home}").read_text()), source)


def provisioned(grafana: Service, kind: str, mounted: set) -> dict:
    files = [each for each in mounted if re.fullmatch(rf"{PROVISIONING}/{kind}/[^/]+\.yaml", each)]
    expect(len(files) == 1, f"Grafana finds {files} for its {kind}")
    document = yaml.safe_load(Path(f"{grafana.root}{files[0]}").read_text())
    key = {"datasources": "datasources", "dashboards": "providers"}[kind]
    expect(document.keys() == {"apiVersion", key} and document["apiVersion"] == 1, f"{files} has {document}")
    return document


def check_source(document: dict, prometheus: Path) -> dict:
    expect(len(document["datasources"]) == 1, "not one source of data")
    source = document["datasources"][0]
    expect(source["type"] == "prometheus" and source["access"] == "proxy" and source["isDefault"] is True, f"{source}")
    expect("success" in fetch(f"{source['url']}/api/v1/query?query=up"), f"{source['url']} is no Prometheus")
    interval = yaml.safe_load(prometheus.read_text())["global"]["scrape_interval"]
    expect(source["jsonData"] == {"timeInterval": interval}, f"{source}, but Prometheus scrapes every {interval}")
    return source


def check_dashboard(dashboard: dict, source: dict) -> int:
    wanted = [each for each in dashboard["templating"]["list"] if each["type"] == "datasource"]
    expect([each["query"] for each in wanted] == [source["type"]], f"the dashboard wants {wanted}")
    panels = {panel["title"]: [each["expr"] for each in panel.get("targets", [])] for panel in dashboard["panels"]}

    def have_data() -> bool:
        """Whether the calls of this test show; a rate needs two scrapes."""
        full = {title for title, queries in panels.items() if any(result(source, each) for each in queries)}
        return "Calls by method" in full and len(full) >= len(panels) / 2

    within(30, have_data, "too few panels have data")
    return len(panels)


def result(source: dict, query: str) -> list:
    """Prometheus' answer to a query of the dashboard."""
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    expect("$" not in query, f"this test does not know a variable of {query}")
    answer = fetch(f"{source['url']}/api/v1/query?query={urllib.parse.quote(query)}")
    expect('"status":"success"' in answer, f"Prometheus does not answer {query}")
    return json.loads(answer)["data"]["result"]
