"""Keeps the autoscaler's view fed: list, watch, and list again where the watch is lost. It decides nothing."""

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Final

import trio

from hexa.domain.errors import Conflict, Unavailable
from hexa.domain.resources.core import BUDGETS, NODES, PODS, Kind
from hexa.ports.kube import Kube
from hexa.testing.autoscaler.view import ClusterView, usable

RETRY: Final = 1.0
KINDS: Final[tuple[Kind[Any], ...]] = (NODES, PODS, BUDGETS)


def watch_cluster(kube: Kube, view: ClusterView, nudge: Callable[[], None]) -> Iterator[Callable[..., Awaitable[None]]]:
    """One task a kind, for `nursery.start`: it reports started when the first list is in the view."""
    for kind in KINDS:
        yield partial(_follow, kube, kind, view, nudge)


async def _follow(
    kube: Kube,
    kind: Kind[Any],
    view: ClusterView,
    nudge: Callable[[], None],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    version, started = "", False
    while True:
        try:
            if not version:
                listing = await kube.list(kind)
                view.replace(kind.plural, usable(listing.items))
                version = listing.resource_version
                nudge()
            if not started:
                task_status.started()
                started = True
            version = await _read(kube, kind, view, nudge, version)
        except Conflict:  # the version is too old
            version = ""
        except Unavailable:
            version = ""
            await trio.sleep(RETRY)


async def _read(kube: Kube, kind: Kind[Any], view: ClusterView, nudge: Callable[[], None], version: str) -> str:
    """Until the server closes the stream; the version up to which everything was seen."""
    async with kube.watch(kind, since=version) as changes:
        async for change in changes:
            view.apply(change)
            version = change.resource_version
            nudge()
    return version
