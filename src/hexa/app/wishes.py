"""The all-or-nothing transaction: wishes for several machines of a group are one write, stored when it returns.

One machine is asked on itself; several are asked by one request on the Group, which each machine's own task then writes down
(`domain.group.asked`). Who calls holds the group's lock. Cut off at any point, the write is stored as a whole or not at all.
"""

from collections.abc import Callable, Sequence
from typing import Final

import trio
from msgspec import structs

from hexa.app.each import for_each
from hexa.app.saving import Writer
from hexa.app.store import Store
from hexa.app.views.stand_in import is_stand_in
from hexa.app.views.views import Views
from hexa.domain.errors import Conflict, NotFound
from hexa.domain.group.asked import request_of, with_request
from hexa.domain.group.sizing import may_be_woken
from hexa.domain.machine.wish import base_wish, recorded_wish
from hexa.domain.machine_view import MachineView
from hexa.domain.resources.v1alpha1 import Group, Lookup, Power, Request, WishRecord
from hexa.ports.clock import Clock
from hexa.ports.kube import Kube

WRITES_AT_ONCE: Final = 16
PAUSES: Final = (0.02, 0.04, 0.08)
"""Seconds after conflicts, until another machine is asked."""
GROUP_PAUSES: Final = (0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56)
"""Seconds after conflicts about the Group, for which there is no other: until the watch brings the newer state."""

Wish = Callable[[Lookup], WishRecord]
"""What is wished of each machine."""


class Wishes:
    """Stores what Cluster Autoscaler, or a group's limits, want of machines."""

    def __init__(self, *, store: Store, views: Views, kube: Kube, clock: Clock) -> None:
        self._store, self._views, self._clock = store, views, clock
        self._writer = Writer(kube, store)

    async def ask(self, group: Lookup, keys: Sequence[Lookup], wish: Wish, *, count: int) -> tuple[Lookup, ...] | None:
        """Store the wish for `count` of the machines, the first ones first; who was asked. None: not so many could be, and none
        was. One that others are at is passed over. Raises what the write raised: it may have been stored all the same."""
        if not count:
            return ()
        if count == 1:
            one = await self._ask_one(keys, wish)
            return None if one is None else (one,)
        tried = ""
        for pause in (*GROUP_PAUSES, 0.0):
            found = self._group(group)
            if (version := found.metadata.resource_version) != tried:
                tried = version
                able = [key for key in keys if self._able(key, wish(key))][:count]
                if len(able) < count:
                    return None
                try:
                    return tuple(able) if await self._ask_all(found, able, wish) else None
                except Conflict as error:
                    if isinstance(error, NotFound):
                        raise
            await trio.sleep(pause)
        raise Conflict(f"{group}: its status is written by somebody else all the time")

    async def record(self, view: MachineView) -> WishRecord | None:
        """Write down on the machine what is wanted of it and not written there: somebody changed spec.powerState, or a request on
        its group asks. What was written; None: nothing."""
        stored, wish = self._store.machines.objects.get(view.key), base_wish(view.node, now=self._clock.now())
        if stored is None or wish is None or wish == recorded_wish(stored):
            return None
        await self._writer.wish(view.node, wish)
        return wish

    def _group(self, key: Lookup) -> Group:
        found = self._store.groups.objects.get(key)
        if found is None:
            raise NotFound(f"{key} is gone")
        return found

    def _able(self, key: Lookup, wish: WishRecord) -> bool:
        view = self._views.machine(key)
        if view is None or is_stand_in(view):
            return False
        return wish.power is Power.OFF or may_be_woken(view.member(self._clock.now()))

    async def _ask_all(self, group: Group, keys: Sequence[Lookup], wish: Wish) -> bool:
        requests = group.status.requests
        for new in self._requests(keys, wish):
            requests = with_request(requests, new)
        stored = await self._writer.group_status(group, structs.replace(group.status, requests=requests))
        if stored.status.requests == requests:
            return True
        return await self._ask_each(keys, wish)  # the CRD is older than we are and has no room for requests

    def _requests(self, keys: Sequence[Lookup], wish: Wish) -> list[Request]:
        wishes = {wish(key): None for key in keys}
        machines = self._store.machines.objects
        return [request_of(each, [machines[key] for key in keys if wish(key) == each]) for each in wishes]

    async def _ask_each(self, keys: Sequence[Lookup], wish: Wish) -> bool:
        asked: list[Lookup] = []

        async def one(key: Lookup) -> None:
            if await self._ask_one([key], wish) is not None:
                asked.append(key)

        await for_each(one, keys, at_once=WRITES_AT_ONCE)
        return len(asked) == len(keys)

    async def _ask_one(self, keys: Sequence[Lookup], wish: Wish) -> Lookup | None:
        """Ask the first machine that can be had; which one it was."""
        for key in keys:
            for pause in PAUSES:
                if (view := self._views.machine(key)) is None or not self._able(key, wish(key)):
                    break
                try:
                    await self._writer.wish(view.node, wish(key))
                except Conflict as error:
                    if isinstance(error, NotFound):
                        break
                    await trio.sleep(pause)  # the watch brings the newer state
                else:
                    return key
        return None
