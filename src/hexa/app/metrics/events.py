"""Which news count as what: each function answers with the labels of one more, or with nothing."""

from collections.abc import Callable, Set
from datetime import datetime
from typing import Final

from hexa.app.metrics.scene import group_of
from hexa.app.store import Store
from hexa.domain.machine.lifecycle import FAILED, TRYING, Event, Phase
from hexa.domain.machine.reason import Reason
from hexa.domain.news import About, News, What, Work
from hexa.domain.resources.v1alpha1 import NodeStatus
from hexa.domain.words.reasons import bounded
from hexa.ports.metrics import Labels

Counts = Callable[[News, Store], Labels | None]
Measures = Callable[[News, Store], tuple[Labels, float] | None]

WORK_OF_MACHINES: Final = frozenset({Work.READING})
"""What fails at a machine, and not at the API server."""


def wakes(news: News, store: Store) -> Labels | None:
    """hexa begins to wake a machine."""
    return _place(news, store) if _enters(news, Phase.POWERING_ON) else None


def rests(news: News, store: Store) -> Labels | None:
    """A machine is off that hexa switched off."""
    return _place(news, store) if _enters(news, Phase.OFF, frozenset({Phase.POWERING_OFF, Phase.STOP_FAILED})) else None


def failures(news: News, store: Store) -> Labels | None:
    """A machine failed, its drain was given up, or its power could not be read."""
    change = news.change
    if news.about is not About.NODE:
        return None
    if news.failed in WORK_OF_MACHINES or (change is not None and change.phase in FAILED):
        return *_place(news, store), bounded(news.what)
    if change is not None and (change.was, change.noticed) == (Phase.DRAINING, Event.OVERDUE):
        return *_place(news, store), Reason.DRAIN_GIVEN_UP
    return None


def decisions(news: News, store: Store) -> Labels | None:
    """Somebody wants something else of a machine, or a call of Cluster Autoscaler was granted or refused."""
    of_call = news.about is About.GROUP and bool(news.cause) and news.what is not What.CHOSEN
    return (bounded(news.what),) if news.by or of_call else None


def boots(news: News, store: Store) -> tuple[Labels, float] | None:
    """From the first wake to Ready."""
    return _took(news, store, Phase.POWERING_ON, Phase.READY, through=TRYING)


def drains(news: News, store: Store) -> tuple[Labels, float] | None:
    """From the first eviction to the last pod."""
    return _took(news, store, Phase.DRAINING, Phase.POWERING_OFF)


def offs(news: News, store: Store) -> tuple[Labels, float] | None:
    """From the stop to no power."""
    return _took(news, store, Phase.POWERING_OFF, Phase.OFF, through=frozenset({Phase.STOP_FAILED}))


def _enters(news: News, phase: Phase, was: Set[str] | None = None) -> bool:
    change = news.change
    return (
        news.about is About.NODE and change is not None and change.phase == phase and (was is None or change.was in was)
    )


def _place(news: News, store: Store) -> Labels:
    return group_of(store, store.machines.objects.get(news.of))


def _took(
    news: News, store: Store, begin: Phase, end: Phase, *, through: Set[str] = frozenset()
) -> tuple[Labels, float] | None:
    """How long a machine was on its way, if this news are of its end."""
    node = store.machines.objects.get(news.of)
    if node is None or not _enters(news, end):
        return None
    began, ended = _way(node.status, begin, end, through)
    return (_place(news, store), max((ended - began).total_seconds(), 0.0)) if began and ended else None


def _way(status: NodeStatus, begin: Phase, end: Phase, through: Set[str]) -> tuple[datetime | None, datetime | None]:
    """When the last way from `begin` to `end` began and ended, as the history of the machine has it."""
    ended = None
    for entry in reversed(status.history):
        if ended is None:
            ended = entry.at if entry.action == end else None
        elif entry.action == begin:
            return entry.at, ended
        elif entry.action not in through:
            break
    return None, None
