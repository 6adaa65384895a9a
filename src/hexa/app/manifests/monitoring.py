"""Alerts and dashboard as objects: a PrometheusRule of the Prometheus Operator, and a ConfigMap that Grafana's sidecar finds by its
label. Both are off until asked for; the same texts are in deploy/monitoring for sites without the two."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from hexa.app.manifests.alerts import RUNBOOKS, groups
from hexa.app.manifests.dashboard import dashboard
from hexa.app.manifests.options import HEXA, Object, Options, thing

PROMETHEUS: Final = "monitoring.coreos.com/v1"
ALERTS: Final = f"{HEXA}-alerts"
DASHBOARD: Final = f"{HEXA}-dashboard"
DASHBOARD_FILE: Final = "hexa.json"
SIDECAR: Final = ("grafana_dashboard", "1")
"""The label by which the sidecar of Grafana's chart finds dashboards, unless it is told another."""


def monitoring(options: Options) -> Iterator[Object]:
    """What the options ask for."""
    if options.alerts:
        spec = groups(options.runbooks or RUNBOOKS)
        yield thing(PROMETHEUS, "PrometheusRule", ALERTS, namespace=options.namespace, spec=spec)
    if options.dashboard:
        made = thing("v1", "ConfigMap", DASHBOARD, namespace=options.namespace, data={DASHBOARD_FILE: text()})
        made["metadata"]["labels"] |= dict((SIDECAR,))
        yield made


def text() -> str:
    """The dashboard as Grafana imports it."""
    return json.dumps(dashboard(), indent=1, sort_keys=True) + "\n"


def files(write: Callable[[Any], str]) -> dict[str, str]:
    """What deploy/monitoring has, for a Prometheus without the operator and a Grafana without the sidecar."""
    return {"rules.yaml": write(groups()), "dashboard.json": text()}
