"""Makes room for the pods of a machine that a person wants off: another machine is woken, and the drain goes on once it is there.

What was asked for stands in `spec.hold.makeRoom`, and who was woken for whom in the wish: a restart goes on from both. Whom to
wake is decided by `hexa.domain.make_room`.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from hexa.app.locks import GroupLocks
from hexa.app.news import Newsroom
from hexa.app.saving import Writer
from hexa.app.store import Store
from hexa.app.views.views import Views
from hexa.domain.decide.saved import about
from hexa.domain.group.make_room import Offer, choose, coming, full, nobody, offers
from hexa.domain.group_view import GroupView
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.marks import released
from hexa.domain.machine.reason import Reason
from hexa.domain.machine.wish import recorded_wish
from hexa.domain.machine_view import MachineView
from hexa.domain.news import What
from hexa.domain.resources.core import Pod
from hexa.domain.resources.v1alpha1 import Asker, Lookup, Power, WishRecord
from hexa.ports.clock import Clock


class RoomMaker:
    """Wakes machines for pods that fit nowhere else."""

    def __init__(
        self, *, store: Store, views: Views, writer: Writer, locks: GroupLocks, clock: Clock, news: Newsroom
    ) -> None:
        self._store, self._views, self._writer, self._news = store, views, writer, news
        self._locks, self._clock = locks, clock

    async def make(self, view: MachineView, pods: Sequence[Pod]) -> str:
        """Wake whom the pods of the machine need, once; what is being done, or why nothing is. May be repeated at any time."""
        mine = list(self._woken_for(view.key))
        if on_its_way := [key.name for key in mine if self._comes(key)]:
            return f"{', '.join(on_its_way)} is woken to make room"
        choice = choose(pods, offered(self._views, view, now=self._clock.now()))
        if sum(map(self._is_up, mine)) >= len(pods) or not choice.wake:  # as many came, and their room was not enough
            return nobody(pods, full_groups(self._views, view, now=self._clock.now()))
        woken = [key.name for key in choice.wake if await self._wake(view, key)]
        return f"{', '.join(woken)} is woken to make room" if woken else "a machine that makes room is being looked for"

    def _woken_for(self, key: Lookup) -> Iterator[Lookup]:
        for other, node in self._store.machines.objects.items():
            wish = recorded_wish(node)
            if wish is not None and wish.power is Power.ON and wish.makes_room_for == str(key):
                yield other

    def _comes(self, key: Lookup) -> bool:
        machine = self._views.machine(key)
        return machine is not None and coming(machine.member(self._clock.now()), now=self._clock.now())

    def _is_up(self, key: Lookup) -> bool:
        machine = self._views.machine(key)
        return machine is not None and machine.phase is Phase.READY

    async def _wake(self, view: MachineView, key: Lookup) -> bool:
        """Under the lock of its group, where it is judged again: Cluster Autoscaler may just have been given it."""
        machine = self._views.machine(key)
        if machine is None or machine.group is None:
            return False
        async with self._locks.of(machine.group.key):
            now = self._clock.now()
            machine = self._views.machine(key)
            if machine is None or key not in {offer.key for offer in offered(self._views, view, now=now)}:
                return False
            wish = WishRecord(
                power=Power.ON, by=Asker.RECOVERY, reason=Reason.MAKES_ROOM, since=now, makes_room_for=str(view.key)
            )
            await self._writer.wish(machine.node, wish)
            text = f"wanted on: pods of {view.key.name}, which shall be off, fit nowhere else"
            self._news.tell(about(machine, What.MAKES_ROOM, text, by=Asker.RECOVERY))
            return True


def offered(views: Views, leaving: MachineView, *, now: datetime) -> list[Offer]:
    """Machines that may be woken for the pods of another: those of its own group first."""
    found: list[Offer] = []
    for view in groups_around(views, leaving):
        shapes = {m.key: m.shape for m in views.members(view.key) if m.shape is not None and m.key != leaving.key}
        found += offers(view.policy, views.judged(view.key, now), shapes)
    return found


def full_groups(views: Views, leaving: MachineView, *, now: datetime) -> list[str]:
    """Groups that have a machine to wake, and whose maxSize forbids it."""
    around = groups_around(views, leaving)
    return [str(view.key) for view in around if full(view.policy, views.judged(view.key, now))]


def groups_around(views: Views, leaving: MachineView) -> list[GroupView]:
    """Groups that may lend a machine, its own first."""
    able = [view for view in views.groups() if view.valid and not released(view.group.metadata)]
    own = leaving.group.key if leaving.group is not None else None
    return sorted(able, key=lambda view: view.key != own)
