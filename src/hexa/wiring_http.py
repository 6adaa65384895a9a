"""The HTTP port of the agent: what stands behind its paths. Loaded where `http.address` is set."""

from collections.abc import Awaitable, Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import trio

from hexa import DISTRIBUTION
from hexa.adapters.http.api import Api
from hexa.adapters.http.app import Parts, make_app
from hexa.adapters.http.auth import Door, Judge
from hexa.adapters.http.config import Files
from hexa.adapters.http.page import page_routes
from hexa.adapters.http.server import check, serve
from hexa.app.certificates import Certificates
from hexa.app.core import Core
from hexa.app.metrics.metrics import Metrics
from hexa.app.questions.history import Remembered
from hexa.app.questions.live import Live
from hexa.app.questions.orders import HoldOrders
from hexa.app.questions.overview import NOTHING, Beside
from hexa.app.store import Store
from hexa.app.tariffs import Tariffs
from hexa.config import Config
from hexa.ports.journal import Journal
from hexa.ports.kube import Kube
from hexa.settings import HttpSettings


async def check_http(settings: HttpSettings) -> None:
    """Raise `Refused` now where the port could not be served later."""
    await check(address=settings.address, files=_files(settings), insecure=settings.insecure)


def make_metrics(*, tariffs: Tariffs, certificates: Certificates) -> Metrics:
    """What counts, before the core is opened; the page and the API ask it too."""
    return Metrics(version=version(DISTRIBUTION), tariffs=tariffs, certificates=certificates.ends)


async def serve_http(
    config: Config,
    *,
    core: Core,
    kube: Kube,
    journal: Journal,
    ready: Callable[[], bool],
    tariffs: Tariffs,
    certificates: Certificates,
    metrics: Metrics,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the port until cancelled; reports its address."""
    settings = config.http
    judge = Judge(kube, places=partial(places, core.store), tell=partial(_unjudged, journal))
    door = Door(judge, anonymous_read=settings.anonymous_read)
    beside = Beside(
        version=version(DISTRIBUTION),
        watts=core.readings.watts if core.readings is not None else NOTHING.watts,
        tariffs=tariffs,
        certificates=lambda: certificates.ends,
        called=metrics.calls.ago,
    )
    api = open_api(core=core, kube=kube, journal=journal, beside=beside) if settings.api else None
    parts = Parts(
        door=door,
        ready=ready,
        open=(*api.open(), *(page_routes() if settings.page else ())) if api is not None else (),
        guarded=api.guarded() if api is not None else (),
        metrics=_exposition(metrics) if settings.metrics else None,
    )
    await serve(
        make_app(parts),
        address=settings.address,
        files=_files(settings),
        insecure=settings.insecure,
        on_certificate=certificates.loaded("http"),
        task_status=task_status,
    )


def open_api(*, core: Core, kube: Kube, journal: Journal, beside: Beside) -> Api:
    """The API over a core at work."""
    remembered = Remembered(core.store.clock.now)
    core.news.subscribe(remembered.told)
    live = Live(core.store, core.views, kube, beside=beside, past=remembered.past)
    return Api(live, HoldOrders(kube, lambda: live.snapshot, journal))


def _exposition(metrics: Metrics) -> Callable[[str], Awaitable[tuple[bytes, str]]]:
    from hexa.adapters.metrics.adapter import Exposition  # and prometheus_client

    return Exposition(metrics)


def places(store: Store) -> set[str]:
    """Namespaces that have machines or groups."""
    caches = store.machines, store.groups
    return {key.namespace for cache in caches for key in (*cache.objects, *cache.malformed)}


def _unjudged(journal: Journal, why: str) -> None:
    journal.log("the API server was asked who an HTTP client is and what it may do, and does not say", error=why)


def _files(settings: HttpSettings) -> Files | None:
    tls = settings.tls
    return Files(certificate=Path(tls.certificate), key=Path(tls.key)) if tls.certificate else None
