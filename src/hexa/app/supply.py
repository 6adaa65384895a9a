"""Asks the UPS again and again, and tells views what that means for groups: `hexa.domain.rules.battery` judges.

Whatever the other side does costs one question that is given up: no answer is the answer Unknown. It switches nothing.
"""

from typing import Final

import trio
from msgspec import Struct

from hexa.app.store import Store
from hexa.app.views.views import Views
from hexa.domain.errors import HexaError
from hexa.domain.machine_view import membership_of
from hexa.domain.policy.battery import OnBattery, Threshold
from hexa.domain.power.ups import UpsReading, unknown
from hexa.domain.resources.v1alpha1 import Lookup, NodeStatus
from hexa.domain.rules.battery import Battery, Rules, begun, judged, of_group
from hexa.ports.clock import Clock
from hexa.ports.ups import Ups

ANSWER: Final = 5.0
"""Seconds that the UPS has to answer."""
TRIES: Final = 2
"""Questions in a row without a clear answer until it counts as not heard: one may be lost."""


class Fed(Struct, frozen=True):
    """A UPS, by which rules its answers are judged, and how often it is asked."""

    ups: Ups
    rules: Rules = Rules()
    every: float = 15.0
    """Seconds between two questions."""


class UpsWatch:
    """One UPS, which feeds all machines."""

    def __init__(self, fed: Fed, *, store: Store, views: Views, clock: Clock) -> None:
        self._ups, self._rules, self._every = fed.ups, fed.rules, fed.every
        self._store, self._views, self._clock = store, views, clock
        self._missed = 0
        self._known = Battery(since=clock.now())
        self._means: dict[Lookup, OnBattery] | None = None

    def __repr__(self) -> str:
        return f"<UpsWatch of {self._ups!r}, {self._missed} answers missed>"

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Ask until cancelled. It is started once the first question was answered or given up: a wake would come too soon."""
        self._known = begun(self._statuses(), now=self._clock.now())
        self._tell()
        await self._hear()
        task_status.started()
        while True:
            await trio.sleep(self._every)
            await self._hear()

    async def _hear(self) -> None:
        reading = await self._read()
        if reading is not None:
            self._known = judged(
                self._known, reading, rules=self._rules, groups=self._thresholds(), now=self._clock.now()
            )
            self._tell()

    def _tell(self) -> None:
        """What is the same for every group is no news. A group that comes later hears what is known then."""
        found = ((key, self._of(key)) for key in self._store.groups.objects)
        means = {key: stands for key, stands in found if stands is not None}
        if means != self._means:
            self._means = means
            self._views.on_battery = self._of

    def _of(self, group: Lookup) -> OnBattery | None:
        return of_group(self._known, group)

    def _thresholds(self) -> dict[Lookup, Threshold | None]:
        return {group.key: group.policy.on_battery for group in self._views.groups()}

    async def _read(self) -> UpsReading | None:
        """What it says; None: one question went unanswered, and the next may not."""
        reading = await self._ask()
        self._missed = self._missed + 1 if reading.trouble else 0
        return None if 0 < self._missed < TRIES else reading

    async def _ask(self) -> UpsReading:
        try:
            with trio.fail_after(ANSWER):
                return await self._ups.read()
        except trio.TooSlowError:
            return unknown(f"the UPS did not answer within {ANSWER:g} s")
        except HexaError as error:
            return unknown(str(error))

    def _statuses(self) -> dict[Lookup, list[NodeStatus]]:
        found: dict[Lookup, list[NodeStatus]] = {}
        for node in self._store.machines.objects.values():
            if (group := membership_of(node)) is not None:
                found.setdefault(group, []).append(node.status)
        return found
