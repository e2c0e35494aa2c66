"""Draws a dashboard in Grafana's format as SVG, from what a Prometheus answers to the queries of its panels.

It knows the types of panels, units and mappings of examples/exporter/dashboard.json, and raises an error for others.
"""

import json
import math
import re
import time
import urllib.parse
import urllib.request
from xml.sax.saxutils import escape

COLUMN, ROW, GAP = 50, 38, 8
COLORS = ["#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#b877d9", "#5794f2", "#ffa6b0", "#37872d", "#fade2a"]
NAMED = {"green": "#73bf69", "red": "#f2495c", "orange": "#ff9830", "purple": "#b877d9"}
TEXT, FAINT = "#d8d9da", "#8e8e99"


class Prometheus:
    def __init__(self, address):
        self.address = address

    def get(self, path, **parameters):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def now(self, query):
        """[(labels, value)]"""
        return [(each["metric"], float(each["value"][1])) for each in self.get("query", query=query)["result"]]

    def lately(self, query, seconds):
        """[(labels, [(time, value)])]"""
        end = time.time()
        parameters = {"query": query, "start": end - seconds, "end": end, "step": seconds / 200}
        found = self.get("query_range", **parameters)["result"]
        return [(each["metric"], [(float(t), float(v)) for t, v in each["values"]]) for each in found]


def draw(dashboard, prometheus, seconds):
    """The picture, and the titles of the panels without data."""
    parts, empty = [], []
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        box = [place["x"] * COLUMN, place["y"] * ROW + 44, place["w"] * COLUMN - GAP, place["h"] * ROW - GAP]
        parts.append(rectangle(*box, "#181b1f") + text(box[0] + 10, box[1] + 20, panel["title"], TEXT, 13, "600"))
        draw_panel = {"stat": stat, "table": table, "timeseries": lines}[panel["type"]]
        body = draw_panel(panel, prometheus, seconds, *box)
        parts.append(body)
        if not body:
            empty.append(panel["title"])
    width = 24 * COLUMN - GAP
    height = max(each["gridPos"]["y"] + each["gridPos"]["h"] for each in dashboard["panels"]) * ROW + 44
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-8 0 {width + 16} {height}" font-family="sans-serif">\n'
        + rectangle(-8, 0, width + 16, height, "#111217") + text(0, 28, dashboard["title"], TEXT, 18, "600")
        + "".join(parts) + "</svg>\n"
    ), empty  # fmt: skip


def expression(target):
    return target["expr"].replace("$job", ".*").replace("$__rate_interval", "1m")


def stat(panel, prometheus, _, x, y, width, height):
    found = prometheus.now(expression(panel["targets"][0]))
    if not found:
        return ""
    defaults = panel["fieldConfig"]["defaults"]
    value, color = found[0][1], NAMED["green"]
    for step in defaults.get("thresholds", {}).get("steps", []):
        if step["value"] is None or value >= step["value"]:
            color = NAMED[step["color"]]
    shown = unit(value, defaults["unit"])
    return text(x + width / 2, y + height / 2 + 24, shown, color, 38, "600", "middle")


def table(panel, prometheus, _, x, y, width, height):
    rows = {}
    for target in panel["targets"]:
        for labels, value in prometheus.now(expression(target)):
            rows.setdefault(tuple(sorted(labels.items())), {})[f"Value #{target['refId']}"] = value
    [organize] = [each["options"] for each in panel["transformations"] if each["id"] == "organize"]
    columns = sorted(organize["indexByName"], key=organize["indexByName"].get)
    override = {
        each["matcher"]["options"]: {part["id"]: part["value"] for part in each["properties"]}
        for each in panel["fieldConfig"]["overrides"]
    }
    shown = [x + 10 + (width - 20) * number / len(columns) for number in range(len(columns))]
    names = [organize["renameByName"].get(name) or override[name]["displayName"] for name in columns]
    svg = "".join(text(at, y + 44, name, "#6e9fff", 12) for at, name in zip(shown, names))
    most = int((height - 56) // 20)
    [by] = panel["options"]["sortBy"]
    by = next(name for name in columns if override.get(name, {}).get("displayName") == by["displayName"])
    # From high to low; what has no value comes last.
    rows = sorted(rows.items(), key=lambda row: (-row[1].get(by, -1), row[0]))
    for number, (labels, values) in enumerate(rows[:most]):
        for at, name in zip(shown, columns):
            value, color = ({**dict(labels), **values}).get(name, ""), TEXT
            for mapping in override.get(name, {}).get("mappings", []):
                if value != "":
                    mapped = mapping["options"][f"{value:.0f}"]
                    value, color = mapped["text"], NAMED[mapped["color"]]
            if isinstance(value, float):
                value = unit(value, override[name]["unit"])
            svg += text(at, y + 66 + 20 * number, value, color, 12)
    return svg if rows else ""


def lines(panel, prometheus, seconds, x, y, width, height):
    series = []
    for target in panel["targets"]:
        for labels, points in prometheus.lately(expression(target), seconds):
            name = re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), target["legendFormat"])
            series.append((name, points))
    if not series:
        return ""
    left, right, top = x + 62, x + width - 12, y + 32
    # The legend needs as many lines as the names take.
    places, at, line = [], left, 0
    for name, _ in sorted(series):
        needed = 24 + 6.2 * len(name)
        if at > left and at + needed > right:
            at, line = left, line + 1
        places.append((at, line))
        at += needed
    bottom = y + height - 44 - 17 * line
    end = time.time()
    highest = max(value for _, points in series for _, value in points) or 1
    svg = ""
    for part in range(5):
        at = bottom - (bottom - top) * part / 4
        svg += f'<path d="M{left} {at:.1f}H{right}" stroke="#2c3235"/>'
        svg += text(left - 6, at + 4, unit(highest * part / 4, panel["fieldConfig"]["defaults"]["unit"]), FAINT, 11, anchor="end")
        when = time.strftime("%H:%M:%S", time.gmtime(end - seconds * (4 - part) / 4))
        anchor = {0: "start", 4: "end"}.get(part, "middle")
        svg += text(left + (right - left) * part / 4, bottom + 16, when, FAINT, 11, anchor=anchor)
    for number, (name, points) in enumerate(sorted(series)):
        color = COLORS[number % len(COLORS)]
        path, before = "", -math.inf
        for when, value in points:
            if right - (end - when) / seconds * (right - left) < left:
                continue
            move = "M" if when - before > seconds / 50 else "L"
            path += f"{move}{right - (end - when) / seconds * (right - left):.1f} {bottom - value / highest * (bottom - top):.1f}"
            before = when
        svg += f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.5"/>'
        at, line = places[number]
        svg += rectangle(at, bottom + 28 + 17 * line, 12, 4, color) + text(at + 17, bottom + 34 + 17 * line, name, TEXT, 11)
    return svg


def unit(value, of):
    if of == "s":
        for length, name in (86400, "d"), (3600, "h"), (60, "min"):
            if value >= length:
                return f"{value / length:.1f} {name}"
        return f"{value:.0f} s"
    if of != "short":
        raise ValueError(f"unknown unit {of}")
    return f"{value:.3g}"


def rectangle(x, y, width, height, color):
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="2" fill="{color}"/>\n'


def text(x, y, content, color, size, weight="400", anchor="start"):
    printable = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in str(content))
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" fill="{color}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}">{escape(printable)}</text>\n'
    )
