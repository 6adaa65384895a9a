"""Makes room for the pods of a machine that a person wants off: another machine is woken, and the drain goes on once it is there.

What was asked for stands in `spec.hold.makeRoom`, and who was woken for whom in the wish: a restart goes on from both. Whom to
wake, and what is told, `hexa.domain.decide.room` says.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from msgspec import structs

from hexa.app.locks import GroupLocks
from hexa.app.news import Newsroom
from hexa.app.saving import Writer
from hexa.app.store import Store
from hexa.app.views.views import Views
from hexa.domain.decide.room import Lender, ReadLenders, RoomObserved, Tell, WakeForRoom, decide_room, lending
from hexa.domain.group.sizing import Member
from hexa.domain.machine.wish import recorded_wish
from hexa.domain.machine_view import MachineView
from hexa.domain.resources.core import Pod
from hexa.domain.resources.v1alpha1 import Lookup, Power
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
        now = self._clock.now()
        observed = RoomObserved(now=now, leaving=view, pods=tuple(pods), woken=tuple(self._woken_for(view.key, now)))
        while True:
            match decide_room(observed):
                case Tell(text):
                    return text
                case ReadLenders():
                    observed = self._with_lenders(observed)
                case WakeForRoom() as wake:
                    observed = await self._wake(observed, wake)

    async def _wake(self, observed: RoomObserved, wake: WakeForRoom) -> RoomObserved:
        """Wake whom the decision names when it is asked again under the lock."""
        observed = structs.replace(observed, chosen=(wake.key, *wake.then))
        async with self._locks.of(wake.lock):
            observed = self._with_lenders(observed)
            again = decide_room(observed)
            if not isinstance(again, WakeForRoom) or again.lock != wake.lock:
                return observed
            await self._writer.wish(self._store.machines.objects[again.key], again.wish)
            self._news.tell(again.news)
        return structs.replace(observed, chosen=again.then, asked=(*observed.asked, again.key.name))

    def _with_lenders(self, observed: RoomObserved) -> RoomObserved:
        now = self._clock.now()
        return structs.replace(observed, now=now, lenders=lenders(self._views, observed.leaving, now=now))

    def _woken_for(self, key: Lookup, now: datetime) -> Iterator[Member]:
        for other, node in self._store.machines.objects.items():
            wish = recorded_wish(node)
            mine = wish is not None and wish.power is Power.ON and wish.makes_room_for == str(key)
            if mine and (machine := self._views.machine(other)) is not None:
                yield machine.member(now)


def lenders(views: Views, leaving: MachineView, *, now: datetime) -> tuple[Lender, ...]:
    """Groups that may lend a machine for the pods of another, with their machines."""
    return tuple(
        Lender(group=group, machines=tuple(views.members(group.key)), members=views.judged(group.key, now))
        for group in lending(views.groups(), leaving)
    )
