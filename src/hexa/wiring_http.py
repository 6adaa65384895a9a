"""The HTTP port of the agent: what stands behind its paths. Loaded where `http.address` is set."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import trio

from hexa.adapters.http.app import Parts, make_app
from hexa.adapters.http.auth import Door, Judge
from hexa.adapters.http.config import Files
from hexa.adapters.http.server import check, serve
from hexa.app.core import Core
from hexa.app.store import Store
from hexa.config import Config
from hexa.ports.journal import Journal
from hexa.ports.kube import Kube
from hexa.settings import HttpSettings


async def check_http(settings: HttpSettings) -> None:
    """Raise `Refused` now where the port could not be served later."""
    await check(address=settings.address, files=_files(settings), insecure=settings.insecure)


async def serve_http(
    config: Config,
    *,
    core: Core,
    kube: Kube,
    journal: Journal,
    ready: Callable[[], bool],
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the port until cancelled; reports its address."""
    settings = config.http
    judge = Judge(kube, places=partial(places, core.store), tell=partial(_unjudged, journal))
    parts = Parts(door=Door(judge, anonymous_read=settings.anonymous_read), ready=ready)
    await serve(
        make_app(parts),
        address=settings.address,
        files=_files(settings),
        insecure=settings.insecure,
        task_status=task_status,
    )


def places(store: Store) -> set[str]:
    """Namespaces that have machines or groups."""
    return {key.namespace for cache in (store.machines, store.groups) for key in cache.objects}


def _unjudged(journal: Journal, why: str) -> None:
    journal.log("the API server was asked who an HTTP client is and what it may do, and does not say", error=why)


def _files(settings: HttpSettings) -> Files | None:
    tls = settings.tls
    return Files(certificate=Path(tls.certificate), key=Path(tls.key)) if tls.certificate else None
