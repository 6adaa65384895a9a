"""What a Prometheus would have scraped of a world in memory, each minute, and what promtool makes of rules over it.

The figures are those that hexa's own metrics tell, and those that kube-state-metrics tells of Kubernetes nodes. What promtool
answers is not judged here.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import trio

from hexa.app.metrics.table import BY_NAME
from hexa.domain.resources.core import NODES, KubeNode
from hexa.ports.metrics import Histogram
from hexa.testing.world import World

WHAT: Final = "alertname, machine, group, certificate, tariff, node"
FIRING: Final = f"max by ({WHAT}) (ALERTS{{alertstate='firing', alertname=~'NAMES'}})"


class Recorder:
    """Scrapes the world from now on."""

    def __init__(self, world: World) -> None:
        self.minute = 0
        self.autoscaler = True
        """Whether Cluster Autoscaler calls."""
        self._more: Final[dict[str, float]] = {}
        """Series of what a world in memory does not have."""
        self._world, self._start = world, world.now
        self._seen: Final[dict[str, dict[int, float]]] = {}

    def __repr__(self) -> str:
        return f"<Recorder {self.minute} minutes, {len(self._seen)} series>"

    def ends(self, metric: str, label: str, name: str, *, hours: float) -> None:
        """From now on the metric says that something ends so many hours from now."""
        assert BY_NAME[metric].labels == (label,)
        self._more[named(metric, {label: name})] = self._world.now.timestamp() + hours * 3600

    async def until(self, minute: int) -> None:
        """Scrape each minute until this one has come."""
        while self.minute < minute:
            for name, value in self._now():
                self._seen.setdefault(name, {})[self.minute] = value
            self.minute += 1
            await trio.sleep(60)

    def _now(self) -> Iterator[tuple[str, float]]:
        life = self._world.agent.life
        if life is not None and life.metrics is not None:
            if self.autoscaler:
                life.metrics.calls.answered("Refresh", 0.001)
            for family in life.metrics.families():
                for values, figure in family.samples:
                    if not isinstance(figure, Histogram):
                        yield named(family.name, dict(zip(family.labels, values, strict=True))), figure
            yield from self._more.items()
        for stored in self._world.site.api.find(NODES):
            node = stored.decoded(NODES)
            if isinstance(node, KubeNode):
                yield from of_node(node)

    def tests(self, told: Mapping[int, Sequence[str]], *, names: str) -> dict[str, Any]:
        """Promtool's tests of which alerts fire in which minute."""
        series = [{"series": name, "values": " ".join(self._values(found))} for name, found in self._seen.items()]
        return {"start_timestamp": int(self._start.timestamp()), **expected(series, told, names=names)}

    def _values(self, found: Mapping[int, float]) -> Iterator[str]:
        """In promtool's words: what is not scraped any more is stale, as Prometheus would have it."""
        before = False
        for minute in range(self.minute):
            there = minute in found
            yield repr(found[minute]) if there else "stale" if before else "_"
            before = there


def expected(series: list[dict[str, str]], told: Mapping[int, Sequence[str]], *, names: str) -> dict[str, Any]:
    """A group of promtool's tests over series of one sample a minute: which of the alerts of these names fire in which minute,
    each as `ALERT` or `ALERT of LABEL VALUE`."""
    expr = FIRING.replace("NAMES", names)
    asked = [
        {"expr": expr, "eval_time": f"{minute}m", "exp_samples": [sample(each) for each in alerts]}
        for minute, alerts in told.items()
    ]
    return {"interval": "1m", "input_series": series, "promql_expr_test": asked}


def of_node(node: KubeNode) -> Iterator[tuple[str, float]]:
    """What kube-state-metrics tells of a Kubernetes node, as far as the rules of kubernetes-mixin look at it."""
    name = {"node": node.metadata.name}
    ready = next((each.status for each in node.status.conditions if each.type == "Ready"), "Unknown")
    for status in ("true", "false", "unknown"):
        labels = {**name, "condition": "Ready", "status": status}
        yield named("kube_node_status_condition", labels), float(ready.lower() == status)
    yield named("kube_node_spec_unschedulable", name), float(node.spec.unschedulable)
    for taint in node.spec.taints:
        labels = {**name, "key": taint.key, "value": taint.value or "", "effect": taint.effect}
        yield named("kube_node_spec_taint", labels), 1.0


def named(name: str, labels: Mapping[str, str]) -> str:
    """A series as Prometheus writes it."""
    return name + "{" + ", ".join(f"{key}={json.dumps(value)}" for key, value in labels.items()) + "}"


def sample(alert: str) -> dict[str, Any]:
    """An alert that fires: `HexaMachineLost of machine box-1`."""
    name, _, what = alert.partition(" of ")
    label, _, value = what.partition(" ")
    return {"labels": named("", {"alertname": name, **({label: value} if what else {})}), "value": 1}


def judge(promtool: Path, folder: Path, rules: Path, *tests: dict[str, Any]) -> str:
    """What promtool says of the tests; empty: all of them hold."""
    file = folder / "tests.json"  # JSON is YAML
    file.write_text(json.dumps({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": list(tests)}))
    answer = subprocess.run([str(promtool), "test", "rules", str(file)], capture_output=True, text=True, check=False)
    return "" if answer.returncode == 0 else answer.stdout + answer.stderr
