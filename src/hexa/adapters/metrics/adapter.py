"""Metrics in Prometheus' text format, by prometheus_client and a registry of our own: nothing is registered for the whole process.

What is shown is read when somebody asks, and nothing of it is kept. prometheus_client takes 10 us for each sample, which for a
thousand machines would be too long beside Cluster Autoscaler's calls: families of ours are written by `wire`, to the same bytes.
"""

from collections.abc import Iterator

import trio
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hexa.adapters.metrics.wire import family_pieces, metric_of
from hexa.ports.metrics import Metered

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class Families(Collector):
    """What is metered, as prometheus_client collects it."""

    def __init__(self, metered: Metered) -> None:
        self._metered = metered

    def collect(self) -> Iterator[Metric]:
        return map(metric_of, self._metered.families())


def make_registry(metered: Metered) -> CollectorRegistry:
    """A registry with what is metered and with CPU, memory and files of the process, for whoever brings a server of their own."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Families(metered))
    ProcessCollector(registry=registry)
    return registry


class Exposition:
    """The answer to a scrape."""

    def __init__(self, metered: Metered) -> None:
        self._metered = metered
        self._process = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._process)

    async def __call__(self, accept: str = "") -> tuple[bytes, str]:
        """Body and content type, which is the text format whatever is asked for: every Prometheus reads it. Others run in
        between, so that a call waits for one piece of a family at most, however many machines and groups there are."""
        texts = list[str]()
        for family in self._metered.families():
            for text in family_pieces(family):
                texts.append(text)
                await trio.lowlevel.checkpoint()
        return "".join(texts).encode() + generate_latest(self._process), CONTENT_TYPE
