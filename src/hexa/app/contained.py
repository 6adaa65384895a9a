"""Tells people what is contained (`fence`): a log line with the traceback once for each failure, a Warning Event and a condition.

It switches nothing and decides nothing. The condition of an object that can be worked with again goes with its next status.
"""

from typing import Final

from msgspec import structs

from hexa.app.fence import CONTAINED, Breach, Subject, contained_problem
from hexa.app.news import Newsroom
from hexa.app.queue import KeyedQueue
from hexa.app.references import about_kind
from hexa.app.saving import Writer
from hexa.app.store import Store
from hexa.domain.errors import HexaError
from hexa.domain.news import News, Severity, What, Work, failure
from hexa.domain.resources.core import Condition
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Conditions
from hexa.ports.clock import Clock
from hexa.ports.kube import Kube

TYPE: Final = "Invalid"
REMEMBERED: Final = 1000
"""Failures that are not logged again."""


class BreachReporter:
    """Tells of what the store's fence contains."""

    def __init__(self, *, store: Store, kube: Kube, clock: Clock, news: Newsroom) -> None:
        self._store, self._clock, self._news = store, clock, news
        self._writer = Writer(kube, store)
        self._logged: dict[tuple[Subject, str], None] = {}
        self.queue: KeyedQueue[Subject] = KeyedQueue(self._mark, failed=self._failed, owner=self)
        store.fence.subscribe(self._changed)

    def broke(self, subject: Subject, error: Exception) -> None:
        """A condition could not be put together: what is contained stays contained all the same."""
        known = HexaError(f"{type(error).__name__}: {error}", reason=CONTAINED)
        self._failed(subject, known)

    def works(self, subject: Subject) -> None:
        """The condition stands."""

    def _failed(self, subject: Subject, error: HexaError) -> None:
        self._news.tell(failure(Work.CONDITION, subject.key, error, about=about_kind(subject.kind)))

    def _changed(self, subject: Subject) -> None:
        for breach in self._store.fence.breaches(subject.kind, subject.key):
            self._log(subject, breach)
            about, why = about_kind(subject.kind), str(contained_problem(breach))
            self._news.tell(News(of=subject.key, about=about, what=What.CONTAINED, why=why, severity=Severity.WARNING))
        if subject.kind in (MACHINES, GROUPS):
            self.queue.add(subject)

    def _log(self, subject: Subject, breach: Breach) -> None:
        if (subject, breach.text) in self._logged:
            return
        if len(self._logged) >= REMEMBERED:
            self._logged.pop(next(iter(self._logged)))
        self._logged[subject, breach.text] = None
        self._news.tell(
            News(
                of=subject.key,
                about=about_kind(subject.kind),
                what=What.CONTAINED,
                why=breach.text,
                severity=Severity.WARNING,
                failed=Work.OBJECT,
                trace=breach.trace,
                quiet=True,
            )
        )

    async def _mark(self, subject: Subject) -> None:
        """Write the condition of an object that is only watched: whoever writes its status otherwise can't work with it."""
        kind, key = subject.kind, subject.key
        breach = self._store.fence.blocked(kind, key)
        machine, group = self._store.machines.objects.get(key), self._store.groups.objects.get(key)
        if breach is None:
            return
        if kind is MACHINES and machine is not None:
            status = structs.replace(machine.status, conditions=self._with(machine.status.conditions, breach))
            await self._writer.status(machine, status)
        elif kind is GROUPS and group is not None:
            stands = structs.replace(group.status, conditions=self._with(group.status.conditions, breach))
            await self._writer.group_status(group, stands)

    def _with(self, old: Conditions, breach: Breach) -> Conditions:
        message = str(contained_problem(breach))
        same = next((each for each in old if each.type == TYPE and each.message == message), None)
        now = self._clock.now().replace(microsecond=0)
        new = Condition(type=TYPE, status="True", reason=CONTAINED, message=message, last_transition_time=now)
        return (*(each for each in old if each.type != TYPE), same or new)
