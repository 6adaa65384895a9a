"""Puts notifications together: from the configuration to a notifier beside the core. Loaded where there are receivers."""

from collections.abc import Iterable
from datetime import datetime

import trio

from hexa.adapters.notify.adapter import courier_of
from hexa.app.clock import WatchedClock
from hexa.app.core import Core
from hexa.app.metrics.calls import CountedCalls
from hexa.app.notifier import Called, Notifier, Post
from hexa.domain.notify.written import WrittenReceiver, receivers_of
from hexa.domain.policy.problem import Problem
from hexa.ports.clock import Clock
from hexa.ports.journal import Journal


def posts_of(written: Iterable[WrittenReceiver], *, clock: Clock) -> tuple[tuple[Post, ...], tuple[Problem, ...]]:
    """The receivers that can be used with their couriers, and what is wrong with the others."""
    written = tuple(written)
    receivers, problems = receivers_of(written)
    by_name = {each.name: each for each in reversed(written)}
    return tuple(Post(each, courier_of(by_name[each.name], clock=clock)) for each in receivers), problems


def count_calls() -> CountedCalls:
    """What knows when Cluster Autoscaler called last, where metrics do not."""
    return CountedCalls()


async def start_notifier(
    written: Iterable[WrittenReceiver],
    core: Core,
    nursery: trio.Nursery,
    *,
    clock: Clock,
    journal: Journal,
    born: datetime,
    called: Called | None = None,
) -> Notifier | None:
    """One that tells people from now on, in the nursery; None: nobody can be told. What is wrong with receivers is logged.
    `born`: when this life began, before the core was opened; `called`: how long ago Cluster Autoscaler called last."""
    posts, problems = posts_of(written, clock=clock)
    for problem in problems:
        journal.log("notify", error=str(problem))
    if not posts:
        return None
    made = Notifier(
        posts, store=core.store, views=core.views, clock=core.store.clock, journal=journal, born=born, called=called
    )
    follow(made, core)
    await nursery.start(made.run)
    return made


def follow(notifier: Notifier, core: Core) -> None:
    """Let it hear what happens."""
    core.news.subscribe(notifier.hears)
    core.store.machines.subscribe(notifier.machine_changed)
    core.store.groups.subscribe(notifier.group_changed)
    if isinstance(core.store.clock, WatchedClock):
        core.store.clock.on_set(notifier.clock_set)
