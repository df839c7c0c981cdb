#!/usr/bin/env python3
"""Writes the dashboards: `dashboards.py` makes dashboards/*.json, `dashboards.py --check` says whether they are up to date.

What a panel asks is in the files of `panels/`; here is what Grafana wants said around it (classic JSON, schema 42).
"""

import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

PROMETHEUS = {"type": "prometheus", "uid": "xagent-prometheus"}
LOKI = {"type": "loki", "uid": "xagent-loki"}
POSTGRES = {"type": "grafana-postgresql-datasource", "uid": "xagent-postgres"}
MIXED = {"type": "datasource", "uid": "-- Mixed --"}
JAEGER = {"type": "jaeger", "uid": "xagent-jaeger"}

LEGEND = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
TOOLTIP = {"mode": "multi", "sort": "desc"}
REDUCE = {"calcs": ["lastNotNull"], "fields": "", "values": False}


def url_link(title, url):
    """A link of a value, or of a dashboard."""
    return {"title": title, "type": "link", "icon": "", "tooltip": "", "url": url, "tags": [], "asDropdown": False,
            "targetBlank": False, "includeVars": False, "keepTime": False}


TO_LOGS = url_link("Logs of that time", "/d/xagent-logs?${__url_time_range}")
TRACE = url_link("Trace and logs", "/d/xagent-logs?var-trace=${__value.raw}&${__url_time_range}")


# ---- queries ----

def prom(expr, legend="", instant=False):
    """PromQL."""
    return {"datasource": PROMETHEUS, "expr": expr, "legendFormat": legend or "__auto", "instant": instant,
            "range": not instant}


def logql(expr, legend="", instant=False):
    """LogQL."""
    return {"datasource": LOKI, "expr": expr, "legendFormat": legend, "queryType": "instant" if instant else "range"}


def sql(text, series=False):
    """SQL on the query tables; a series has a column `time`."""
    return {"datasource": POSTGRES, "editorMode": "code", "format": "time_series" if series else "table",
            "rawQuery": True, "rawSql": re.sub(r"\s+", " ", text).strip()}


# ---- panels ----

def panel(kind, title, targets, options, size, about="", unit=None, custom=None, **defaults):
    """A panel of any kind. `size` is width (of 24) and height."""
    for letter, target in zip("ABCDEFGH", targets):
        target["refId"] = letter
    field = {key: value for key, value in {"unit": unit, "custom": custom, **defaults}.items() if value is not None}
    made = {"type": kind, "title": title, "targets": targets, "options": options, "size": size,
            "fieldConfig": {"defaults": field, "overrides": []}}
    if targets:
        asked = [target["datasource"] for target in targets]
        made["datasource"] = asked[0] if all(one == asked[0] for one in asked) else MIXED
    if about:
        made["description"] = about
    return made


def graph(title, *targets, size=(12, 8), stacked=False, **more):
    """Values over time. From a point of it, the logs of that time."""
    custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 15, "showPoints": "never"}
    if stacked:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    options = {"legend": LEGEND, "tooltip": TOOLTIP}
    return panel("timeseries", title, list(targets), options, size, custom=custom, links=[TO_LOGS], **more)


def stat(title, *targets, size=(4, 4), must_be_zero=False, **more):
    """The latest value, large."""
    options = {"graphMode": "none", "colorMode": "value", "justifyMode": "auto", "textMode": "auto", "wideLayout": True,
               "showPercentChange": False, "percentChangeColorMode": "standard", "orientation": "auto",
               "reduceOptions": REDUCE}
    if must_be_zero:
        options["colorMode"] = "background"
        steps = [{"color": "green", "value": None}, {"color": "red", "value": 1}]
        more["thresholds"] = {"mode": "absolute", "steps": steps}
    return panel("stat", title, list(targets), options, size, **more)


def table(title, target, size=(12, 8), traces=(), **more):
    """Rows. The columns `traces` hold trace ids, and lead to the trace."""
    made = panel("table", title, [target], {"frameIndex": 0, "showHeader": True}, size, **more)
    made["fieldConfig"]["overrides"] = [
        {"matcher": {"id": "byName", "options": column}, "properties": [{"id": "links", "value": [TRACE]}]}
        for column in traces]
    return made


def lines(title, expr, size=(24, 12), **more):
    """Log lines."""
    options = {"showLabels": False, "showCommonLabels": False, "showTime": True, "showLogContextToggle": False,
               "wrapLogMessage": True, "prettifyLogMessage": False, "enableLogDetails": True,
               "sortOrder": "Descending", "dedupStrategy": "none"}
    return panel("logs", title, [logql(expr)], options, size, **more)


def trace(title, size=(24, 12)):
    """The trace whose id is in the variable `trace`."""
    return panel("traces", title, [{"datasource": JAEGER, "query": "$trace"}], {}, size)


def text(content, size=(24, 3)):
    """Words."""
    return panel("text", "", [], {"mode": "markdown", "content": content}, size)


def placed(panels):
    """Puts panels into rows, left to right."""
    x = y = height = 0
    for number, made in enumerate(panels, start=1):
        width, tall = made.pop("size")
        if x + width > 24:
            x, y, height = 0, y + height, 0
        made["id"], made["gridPos"] = number, {"x": x, "y": y, "w": width, "h": tall}
        x, height = x + width, max(height, tall)
    return panels


# ---- dashboards ----

def switches():
    """When another policy bundle came into force, marked in every graph."""
    query = sql("""SELECT switched_at AS time, 'law switched by ' || switched_by || CASE WHEN rolled_back
                   THEN ' (rolled back)' ELSE '' END AS text, left(bundle, 19) AS tags
                   FROM views.switches WHERE $__timeFilter(switched_at) ORDER BY switched_at""")
    return {"name": "Policy switches", "datasource": POSTGRES, "enable": True, "iconColor": "purple",
            "target": {**query, "refId": "switches"}}


def agents():
    """The variable `agent`: those whose runs are recorded."""
    asked = "SELECT DISTINCT agent FROM views.runs ORDER BY agent"
    return {"type": "query", "name": "agent", "label": "Agent", "datasource": POSTGRES, "query": asked,
            "definition": asked, "refresh": 2, "sort": 1, "multi": True, "includeAll": True,
            "current": {"text": ["All"], "value": ["$__all"], "selected": True}}


def words(name, label):
    """A variable that one types."""
    return {"type": "textbox", "name": name, "label": label, "query": "",
            "current": {"text": "", "value": "", "selected": True}}


def dashboard(uid, title, about, panels, variables=(), since="now-6h"):
    """A whole dashboard."""
    link = {**url_link("X-Agent", None), "type": "dashboards", "tags": ["xagent"], "asDropdown": True, "keepTime": True}
    link["icon"] = "external link"
    del link["url"]
    return {"uid": uid, "title": title, "description": about, "tags": ["xagent"], "timezone": "utc", "editable": False,
            "graphTooltip": 1, "schemaVersion": 42, "refresh": "30s", "time": {"from": since, "to": "now"},
            "templating": {"list": list(variables)}, "annotations": {"list": [switches()]}, "links": [link],
            "panels": placed(panels)}


def main():
    """Writes or checks them all."""
    from panels import ALL

    stale = []
    for name, made in ALL().items():
        file, new = HERE / "dashboards" / f"{name}.json", json.dumps(made, indent=2, ensure_ascii=False) + "\n"
        if not file.exists() or file.read_text() != new:
            stale.append(file.name)
            if "--check" not in sys.argv:
                file.write_text(new)
    if stale and "--check" in sys.argv:
        sys.exit(f"not up to date: {', '.join(stale)}: run deploy/grafana/dashboards.py")


if __name__ == "__main__":
    # The panels import this module by its name.
    sys.modules["dashboards"] = sys.modules[__name__]
    main()
