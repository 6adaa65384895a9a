"""Counts what happens: a subscriber of the news, and a place for what others count. What it keeps is of groups that are there."""

from typing import Any, Final

from hexa.app.metrics.scene import named
from hexa.app.metrics.table import BY_NAME, GROUP, ROWS
from hexa.app.store import Store
from hexa.domain.news import News
from hexa.domain.resources.v1alpha1 import Group, Lookup
from hexa.ports.metrics import Histogram, Labels

COUNTED: Final = tuple(row for row in ROWS if row.counts is not None)
MEASURED: Final = tuple(row for row in ROWS if row.measures is not None)


class Tally:
    """What was counted since the start, by metric and labels."""

    def __init__(self) -> None:
        self.sums: Final[dict[str, dict[Labels, float]]] = {}
        self.histograms: Final[dict[str, dict[Labels, Histogram]]] = {}
        self._store: Store | None = None

    def follow(self, store: Store) -> None:
        """Count for the groups of this snapshot from now on."""
        self._store = store
        store.groups.subscribe(self._group_changed)

    def told(self, news: News) -> None:
        """A subscriber of the news."""
        if (store := self._store) is None:
            return
        for row in COUNTED:
            if row.counts is not None and (labels := row.counts(news, store)) is not None:
                self.add(row.name, labels)
        for row in MEASURED:
            if row.measures is not None and (found := row.measures(news, store)) is not None:
                self.observe(row.name, *found)

    def add(self, name: str, labels: Labels = ()) -> None:
        """One more."""
        sums = self.sums.setdefault(name, {})
        sums[labels] = sums.get(labels, 0.0) + 1

    def observe(self, name: str, labels: Labels, value: float) -> None:
        """One more that was so large."""
        histograms = self.histograms.setdefault(name, {})
        known = histograms.get(labels)
        if known is None:
            known = histograms[labels] = Histogram(BY_NAME[name].buckets)
        known.observe(value)

    def _group_changed(self, key: Lookup, old: Group | None, new: Group | None) -> None:
        """Of a group that is gone nothing is kept."""
        if new is not None:
            return
        for name, sums in self.sums.items():
            _forget(name, sums, key)
        for name, histograms in self.histograms.items():
            _forget(name, histograms, key)


def _forget(name: str, kept: dict[Labels, Any], group: Lookup) -> None:
    if BY_NAME[name].labels[: len(GROUP)] == GROUP:
        for labels in [each for each in kept if each[: len(GROUP)] == named(group)]:
            del kept[labels]
