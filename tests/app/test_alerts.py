"""Alerts and dashboard, as they are written. What Prometheus makes of the rules, promtool says in tests/alerts."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from hexa.app.manifests.alerts import ALERTS, Alert, anchor, groups
from hexa.app.manifests.chart import chart
from hexa.app.manifests.dashboard import dashboard
from hexa.app.manifests.dashboard_autoscaler import AUTOSCALER_SERIES
from hexa.app.manifests.kustomize import tree
from hexa.app.manifests.monitoring import files
from hexa.app.manifests.options import Options, Overlay
from hexa.app.manifests.render import render
from hexa.app.metrics.table import BY_NAME
from hexa.domain.words.reasons import CONDITIONS
from hexa.yaml import read_documents, write_document

PAGE = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text()
NAMES = [f"{alert.name}-{alert.severity}" for alert in ALERTS]
EACH = pytest.mark.parametrize("alert", ALERTS, ids=NAMES)


def panels() -> list[dict[str, Any]]:
    """All panels, without the headings."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def series(text: str) -> set[str]:
    """Names of metrics in it, without what a histogram adds to them."""
    found = re.findall(r"\b(?:hexa|cluster_autoscaler)_[a-z_]+", text)
    return {re.sub(r"_(bucket|count|sum)$", "", name) if "duration" in name else name for name in found}


@EACH
def test_each_alert_has_its_part_of_the_docs(alert: Alert) -> None:
    """The runbook link leads to a heading that says what it means, what to look at and how to mend it; the table names it."""
    (part,) = (part for part in PAGE.split("\n## ") if part.startswith(f"{alert.name}\n"))
    assert [word for word in ("**Means.**", "**Look at.**", "**Mend.**") if word not in part] == []
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| [{alert.name}](#{anchor(alert)})"))
    assert alert.severity in row
    assert alert.lasts in row or alert.name == "HexaAutoscalerSilent"  # five minutes more are in its expression


@EACH
def test_each_alert_names_what_it_is_about(alert: Alert) -> None:
    """The summary has the labels that tell which machine, group, certificate or tariff, and the expression keeps them."""
    kept = {name for found in re.findall(r"^.*?by \(([a-z, ]+)\)", alert.expr) for name in found.split(", ")}
    told = {*re.findall(r"\$labels\.([a-z]+)", alert.summary)}
    assert kept & {"machine", "group", "certificate", "tariff"} <= told <= kept


def test_alerts_are_told_of_once() -> None:
    """No two alerts of one name have one severity, and each has a time that it must last."""
    assert len({(alert.name, alert.severity) for alert in ALERTS}) == len(ALERTS)
    assert all(re.fullmatch(r"[0-9]+[mh]", alert.lasts) for alert in ALERTS)


def test_panels_say_what_they_show() -> None:
    """Each has a unit, a description and a query; none covers another, and none is wider than the screen."""
    for panel in panels():
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert all(target["expr"] for target in panel["targets"])
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    numbers = [panel["id"] for panel in dashboard()["panels"]]
    assert len(set(numbers)) == len(numbers)
    places = [panel["gridPos"] for panel in dashboard()["panels"]]
    assert [(one, other) for one, other in combinations(places, 2) if overlap(one, other)] == []


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    """Whether two places have a cell in common."""
    across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
    return across and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]


def test_what_is_asked_for_is_told() -> None:
    """Every metric of hexa in an alert or a panel is one that it serves, by its name and labels; every metric that it serves is
    shown somewhere."""
    asked = [target["expr"] for panel in panels() for target in panel["targets"]] + [alert.expr for alert in ALERTS]
    names = {name for text in asked for name in series(text) if name.startswith("hexa_")}
    assert names == set(BY_NAME)
    for name, labels in (found for text in asked for found in re.findall(r"(hexa_[a-z_]+)\{([^}]*)\}", text)):
        known = BY_NAME[re.sub(r"_bucket$", "", name)].labels
        assert {*re.findall(r"([a-z]+)=", labels)} <= {*known}, (name, labels)


def test_what_is_waited_for_is_a_condition() -> None:
    """Conditions that alerts look at are among those that are told."""
    types = {
        name for alert in ALERTS for found in re.findall(r'type=~?"([^"]+)"', alert.expr) for name in found.split("|")
    }
    assert types <= CONDITIONS


def test_cluster_autoscalers_own_series_are_beside_hexas() -> None:
    """All that docs/alerts.md promises of Cluster Autoscaler is in the dashboard, and nothing else of it."""
    shown = {name for panel in panels() for target in panel["targets"] for name in series(target["expr"])}
    assert {name for name in shown if name.startswith("cluster_autoscaler_")} == AUTOSCALER_SERIES


def test_nothing_is_made_until_it_is_asked_for() -> None:
    """An installation without a Prometheus Operator or Grafana gets no object that needs them."""
    for overlay in Overlay:
        plain = render(Options(overlay=overlay))
        assert not [each for each in plain if each["kind"] == "PrometheusRule" or "alerts" in each["metadata"]["name"]]
        more = render(Options(overlay=overlay, alerts=True, dashboard=True, runbooks="https://x/y"))
        rule, board = [each for each in more if each not in plain]
        assert (rule["kind"], rule["spec"]) == ("PrometheusRule", groups("https://x/y"))
        assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert json.loads(board["data"]["hexa.json"]) == dashboard()


def links(spec: dict[str, Any]) -> Iterator[str]:
    """The runbook links of all rules."""
    return (rule["annotations"]["runbook_url"] for group in spec["groups"] for rule in group["rules"])


def test_chart_components_and_files_have_the_same() -> None:
    """The chart (as files, which Helm leaves alone), the components and deploy/monitoring hold one text."""
    made, plain, parts = chart(write_document), files(write_document), tree()
    assert made["files/rules.yaml"] == plain["rules.yaml"]
    assert made["files/dashboard.json"] == plain["dashboard.json"]
    assert [each["spec"] for each in parts["components/alerts/alerts.yaml"]] == [groups()]
    (board,) = parts["components/dashboard/dashboard.yaml"]
    assert board["data"]["hexa.json"] == plain["dashboard.json"]
    (read,) = read_documents(plain["rules.yaml"], source="rules.yaml")
    assert read.value == groups()
    assert all(link.startswith("docs/alerts.md#hexa") for link in links(read.value))
