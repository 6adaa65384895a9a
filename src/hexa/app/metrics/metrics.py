"""The metrics of an agent: made before its core, which it watches from then on; read whenever somebody asks."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from hexa.app.core import Core
from hexa.app.metrics.calls import CountedCalls
from hexa.app.metrics.scene import Around, Scene
from hexa.app.metrics.table import ROWS, Row
from hexa.app.metrics.tally import Tally
from hexa.app.metrics.watched import WatchedKube
from hexa.app.tariffs import Tariffs
from hexa.domain.resources.v1alpha1 import Node
from hexa.ports.kube import Kube
from hexa.ports.metrics import Family, Histogram, Kind, Labels

NOTIFICATIONS: Final = "hexa_notifications_total"
CALLS: Final = "hexa_rpc_duration_seconds"
CALL_ERRORS: Final = "hexa_rpc_errors_total"


class Metrics:
    """Implements `ports.metrics.Metered`."""

    def __init__(
        self, *, version: str, tariffs: Tariffs | None = None, certificates: Mapping[str, float] | None = None
    ) -> None:
        """`certificates`: when those end that hexa serves with, in seconds since 1970."""
        self.calls: Final = CountedCalls()
        """Told by the gRPC service."""
        self._tally: Final = Tally()
        self._tally.histograms[CALLS] = self.calls.durations
        self._shared: Final[dict[str, Mapping[Labels, float]]] = {CALL_ERRORS: self.calls.errors}
        self._version, self._tariffs = version, tariffs or Tariffs()
        self._certificates = certificates if certificates is not None else {}
        self._kube: WatchedKube | None = None
        self._core: Core | None = None

    def watched(self, kube: Kube) -> Kube:
        """The API server for the core."""
        self._kube = WatchedKube(kube, self._tally.add)
        return self._kube

    def follow(self, core: Core) -> None:
        """Count what happens there from now on."""
        self._core = core
        self._tally.follow(core.store)
        core.news.subscribe(self._tally.told)

    def notified(self, counts: Mapping[Any, float]) -> None:
        """Notifications are counted there, by receiver and outcome."""
        self._shared[NOTIFICATIONS] = counts

    def families(self) -> Iterator[Family]:
        """Everything as it is now; nothing before there is a core."""
        if self._core is None:
            return
        scene = self._scene(self._core)
        for row in ROWS:
            yield Family(
                name=row.name,
                kind=row.kind,
                meaning=row.meaning,
                labels=row.labels,
                samples=self._samples(row, scene),
            )

    def _scene(self, core: Core) -> Scene:
        around = Around(
            version=self._version,
            tariffs=self._tariffs,
            watts=core.readings.watts if core.readings is not None else _unmeasured,
            lags=self._kube.lags if self._kube is not None else dict,
            called=self.calls.ago,
            certificates=self._certificates,
        )
        return Scene(core.store, core.views, now=core.store.clock.now(), around=around)

    def _samples(self, row: Row, scene: Scene) -> Iterable[tuple[Labels, float | Histogram]]:
        if row.read is not None:
            return row.read(scene)
        if row.kind is Kind.HISTOGRAM:
            return sorted(self._tally.histograms.get(row.name, {}).items(), key=_labels)
        zeros = dict.fromkeys(row.zeros(scene) if row.zeros is not None else (), 0.0)
        counted = self._shared.get(row.name) or self._tally.sums.get(row.name, {})
        return sorted({**zeros, **counted}.items(), key=_labels)


def _labels(sample: tuple[Labels, object]) -> Labels:
    return sample[0]


def _unmeasured(_: Node) -> float | None:
    return None
