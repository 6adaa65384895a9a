"""Tells people of news: subscribes, asks `domain.notify` what is worth telling, and hands it to couriers.

It stands beside the core and is in nobody's way: subscribers only note which object changed, and what a receiver does
costs that receiver's messages alone. While nothing happens it waits for the next moment at which something is due.
"""

import math
import traceback
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import trio
from msgspec import Struct

from hexa.app.store import Store
from hexa.app.views.views import Views
from hexa.domain.errors import HexaError, Refused, Unavailable
from hexa.domain.machine.lifecycle import on_its_way
from hexa.domain.machine_view import membership_of
from hexa.domain.news import About, News
from hexa.domain.notify.desk import Desk
from hexa.domain.notify.events import Trouble
from hexa.domain.notify.ledger import Ledger
from hexa.domain.notify.letter import Letter, trial
from hexa.domain.notify.receiver import Receiver
from hexa.domain.notify.standing import (
    autoscaler_looks,
    certificate_looks,
    of_autoscaler,
    of_certificate,
    of_group,
    of_machine,
    of_news,
    relevant,
)
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Group, Lookup, Node
from hexa.domain.rules.hold import expected, keeps_off
from hexa.ports.clock import Clock
from hexa.ports.journal import Journal
from hexa.ports.notify import Courier

TOGETHER: Final = 1.0
"""Seconds in which changes are waited for that belong together."""
PATIENCE: Final = 20.0
"""Seconds that one sending may take."""
AGAIN: Final = (5.0, 30.0, 120.0, 600.0)
"""Seconds until a message that was not taken is sent again; then it is given up."""
REST: Final = 60.0
"""Seconds until work that broke off is begun again."""
MOMENTS: Final = 1_000
"""News that wait to be looked at; what comes beyond is counted and dropped."""

SENT: Final = "sent"
RETRIED: Final = "retried"
FAILED: Final = "failed"
DROPPED: Final = "dropped"
OUTCOMES: Final = (SENT, RETRIED, FAILED, DROPPED)


Called = Callable[[], timedelta | None]


class Post(Struct, frozen=True):
    """A receiver, and who brings letters to it."""

    receiver: Receiver
    courier: Courier


class Notifier:
    """Follows the snapshot and the news of one life of the agent."""

    def __init__(
        self,
        posts: Sequence[Post],
        *,
        store: Store,
        views: Views,
        clock: Clock,
        journal: Journal,
        born: datetime,
        called: Called | None = None,
    ) -> None:
        """`born`: when this life began, before the core was opened. `called`: how long ago Cluster Autoscaler called last; without
        it nobody watches that."""
        self.counts: Final[Counter[tuple[str, str]]] = Counter()
        """Messages by receiver and outcome (`OUTCOMES`), for metrics."""
        self._store, self._views, self._clock, self._journal = store, views, clock, journal
        self._born, self._called = born, called
        self._ledger: Final = Ledger(born)
        self._posts: Final = {post.receiver.name: post for post in posts}
        self._desks: Final = [Desk(post.receiver, born=born) for post in posts]
        self._calls: Final = {desk.receiver.name: trio.Event() for desk in self._desks}
        self._machines: Final[dict[Lookup, None]] = {}
        """Those that changed since the last look."""
        self._groups: Final[dict[Lookup, None]] = {}
        self._moments: Final = deque[News]()
        self._certificates: Final[dict[str, datetime]] = {}
        self._changed = trio.Event()
        self._first_look = True

    def __repr__(self) -> str:
        return f"<Notifier of {', '.join(self._posts)}>"

    # --- what happens -------------------------------------------------------------------------

    def hears(self, news: News) -> None:
        """A subscriber of the news."""
        if of_news(news) is None:
            return
        if len(self._moments) >= MOMENTS:
            self.counts.update((name, DROPPED) for name in self._posts)
            return
        self._moments.append(news)
        self._changed.set()

    def machine_changed(self, key: Lookup, old: Node | None, new: Node | None) -> None:
        """A subscriber of the snapshot's machines."""
        if relevant(old, new):
            self._machines[key] = None
            self._changed.set()

    def group_changed(self, key: Lookup, old: Group | None, new: Group | None) -> None:
        """A subscriber of the snapshot's groups."""
        self._groups[key] = None
        self._changed.set()

    def clock_set(self, by: timedelta) -> None:
        """The clock was set; negative: back."""
        self._ledger.moved(by)
        for desk in self._desks:
            desk.moved(by)
        self._changed.set()

    def certificate(self, name: str, ends: datetime) -> None:
        """A certificate that hexa serves with, known by that name, ends then."""
        self._certificates[name] = ends
        self._changed.set()

    # --- what is told -------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Tell until cancelled."""
        self._machines.update(dict.fromkeys(self._store.machines.objects))
        self._groups.update(dict.fromkeys(self._store.groups.objects))
        try:
            self._look()
        except Exception as error:
            self._broke_off(error)
        self._first_look = False
        task_status.started()
        async with trio.open_nursery() as nursery:
            for desk in self._desks:
                nursery.start_soon(self._kept, partial(self._serve, desk))
            await self._kept(self._follow)

    async def _kept(self, work: Callable[[], Awaitable[None]]) -> None:
        """Work until cancelled. What nobody foresaw is logged, and the agent goes on."""
        while True:
            try:
                await work()
            except Exception as error:
                self._broke_off(error)
            await trio.sleep(REST)

    def _broke_off(self, error: Exception) -> None:
        trace = "".join(traceback.format_exception(error))
        self._journal.log("notifications broke off", error=f"{type(error).__name__}: {error}", traceback=trace)

    async def _follow(self) -> None:
        while True:
            with trio.move_on_after(self._wait()):
                await self._changed.wait()
                await trio.sleep(TOGETHER)
            self._look()

    def _look(self) -> None:
        """Look at what changed, and give the desks what is due."""
        self._changed, now = trio.Event(), self._clock.now()
        for kind, keys, look in (
            (MACHINES, self._machines, self._look_at_machine),
            (GROUPS, self._groups, self._look_at_group),
        ):
            post = self._store.fence.post(kind, "notifications", blocks=False)
            changed = tuple(keys)
            keys.clear()
            for key in changed:
                with post.around(key):  # what one object raises harms that object alone
                    look(key, now)
                    post.works(key)
        for name, ends in self._certificates.items():
            found = of_certificate(name, ends, now=now, born=self._born)
            self._ledger.put(f"certificate {name}", found, now=now, first_look=True)  # no status has its time
        if self._called is not None:
            self._put("autoscaler", of_autoscaler(self._called()), now)
        while self._moments:
            news = self._moments.popleft()
            if (trouble := of_news(news, group=self._group_of(news))) is not None:
                self._ledger.happened(trouble, now=now)
        self._tell(now)

    def _look_at_machine(self, key: Lookup, now: datetime) -> None:
        node = self._store.machines.objects.get(key)
        self._put(f"machine {key}", of_machine(node) if node is not None else None, now)

    def _look_at_group(self, key: Lookup, now: datetime) -> None:
        group = self._store.groups.objects.get(key)
        self._put(f"group {key}", self._of_group(key, group) if group is not None else None, now)

    def _put(self, holder: str, troubles: Iterable[Trouble] | None, now: datetime) -> None:
        if troubles is None:
            self._ledger.forget(holder)
        else:
            self._ledger.put(holder, troubles, now=now, first_look=self._first_look)

    def _of_group(self, key: Lookup, group: Group) -> Iterable[Trouble]:
        view = self._views.group(key)
        kept = view is not None and view.valid and not view.released and not view.observes
        if view is None or not kept:
            return of_group(group)
        members, now = self._views.members(key), self._clock.now()
        coming = sum(on_its_way(each.node.status) for each in members)
        held_off = sum(keeps_off(each.node.spec.hold, each.policy.hold, now=now) for each in members)
        least = expected(view.policy.min_size, machines=len(members), held_off=held_off)
        return of_group(group, minimum=least, coming=coming)

    def _group_of(self, news: News) -> str:
        node = self._store.machines.objects.get(news.of) if news.about is About.NODE else None
        group = membership_of(node) if node is not None else None
        return group.name if group is not None else ""

    def _tell(self, now: datetime) -> None:
        told_before = self._ledger.standing() if self._first_look else []
        tellings = self._ledger.due(now)
        for desk in self._desks:
            desk.take_back(told_before, now=now)
            desk.take(tellings, now=now)
            self._calls[desk.receiver.name].set()

    def _wait(self) -> float:
        """Seconds until time alone may change what is told."""
        now = self._clock.now()
        looks = [self._ledger.looks(now), *(certificate_looks(ends, now=now) for ends in self._certificates.values())]
        looks += [now + autoscaler_looks(self._called())] if self._called is not None else []
        return min((max(0.0, (look - now).total_seconds()) for look in looks if look is not None), default=math.inf)

    # --- sending ------------------------------------------------------------------------------

    async def _serve(self, desk: Desk) -> None:
        """Send one receiver what it is to hear, until cancelled."""
        name, well = desk.receiver.name, True
        while True:
            self._calls[name] = trio.Event()
            todo, now = desk.next(self._clock.now()), self._clock.now()
            if isinstance(todo, Letter):
                well = await self._send(desk, todo, well=well)
                continue
            with trio.move_on_after((todo - now).total_seconds() if todo is not None else math.inf):
                await self._calls[name].wait()

    async def _send(self, desk: Desk, letter: Letter, *, well: bool) -> bool:
        """Send it, if need be a few times; whether it was taken. That a receiver fails is logged once, until it works again."""
        name, pauses = desk.receiver.name, iter(AGAIN)
        pause = next(pauses, None)
        while True:
            urgent = desk.urgent
            try:
                await deliver(self._posts[name].courier, letter)
            except HexaError as error:
                if pause is not None and not isinstance(error, Refused):
                    self.counts[name, RETRIED] += 1
                    pause = next(pauses, None) if await self._paused(desk, pause, urgent=urgent) else pause
                    continue
                self.counts[name, FAILED] += 1
                desk.lost += 1
                if well:
                    self._journal.log("notification not sent", receiver=name, reason=error.reason, error=str(error))
                return False
            self.counts[name, SENT] += 1
            desk.lost = 0
            if not well:
                self._journal.log("notifications are sent again", receiver=name)
            return True

    async def _paused(self, desk: Desk, seconds: float, *, urgent: int) -> bool:
        """Wait until a message may be sent again. False: something critical came, of which there were `urgent`, and does not wait
        for that."""
        with trio.move_on_after(seconds):
            while desk.urgent <= urgent:
                self._calls[desk.receiver.name] = trio.Event()
                await self._calls[desk.receiver.name].wait()
            return False
        return True


async def deliver(courier: Courier, letter: Letter) -> str:
    """Send it once, within `PATIENCE`. Raises `Unavailable`, `Refused`."""
    try:
        with trio.fail_after(PATIENCE):
            return await courier.deliver(letter)
    except trio.TooSlowError:
        raise Unavailable(f"no answer within {PATIENCE:g} s", reason="Silent") from None
    except HexaError:
        raise
    except Exception as error:  # a defect of a courier costs its letter; the text may have a secret
        raise Refused(f"{type(error).__name__}, which nobody foresaw: report it", reason="Unforeseen") from None


async def send_trial(post: Post, *, now: datetime) -> str:
    """Send a test at once, once; what came back. Raises `Unavailable`, `Refused`."""
    return await deliver(post.courier, trial(post.receiver, number=f"test-{now:%Y%m%dT%H%M%S%f}", now=now))
