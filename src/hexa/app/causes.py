"""Which call or decision began what happens to a machine, so that one can be followed through the logs.

It is known in memory alone: what an earlier life of the agent began has no cause in this one.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct, structs

from hexa.domain.machine.lifecycle import Event, Phase
from hexa.domain.news import About, Change, News
from hexa.domain.resources.v1alpha1 import Lookup

RESTS: Final = frozenset({Phase.OFF, Phase.READY})
"""Where what was begun has ended."""
BY_WISH: Final = frozenset({Event.WANTED, Event.UNWANTED})


class Begun(Struct):
    """What was begun with a machine."""

    cause: str
    over: bool = False
    """The machine has come to rest: its next step has another cause."""


class Causes:
    """The cause of what happens to each machine at present."""

    def __init__(self) -> None:
        self._count = 0
        self._begun: Final[dict[Lookup, Begun]] = {}

    def next(self, name: str) -> str:
        """The id of one more call or decision, such as IncreaseSize-3: the third of all since the agent's start."""
        self._count += 1
        return f"{name}-{self._count}"

    def began(self, cause: str, machines: Iterable[Lookup]) -> None:
        """What happens to these machines from now on has this cause, until they rest."""
        for key in machines:
            self._begun[key] = Begun(cause)

    def forget(self, machine: Lookup) -> None:
        """The machine is gone."""
        self._begun.pop(machine, None)

    def named(self, *told: News) -> Iterator[News]:
        """The news with their cause, as far as it is known. What several machines are told at once is one decision."""
        decision = ""
        for news in told:
            if news.about is not About.NODE:
                yield news
                continue
            if news.by:  # somebody wants something else of it
                cause = decision = news.cause or decision or self.next(news.what)
                self.began(cause, [news.of])
            else:
                cause = news.cause or self._of(news.of, news.change)
            yield structs.replace(news, cause=cause) if cause else news

    def _of(self, machine: Lookup, change: Change | None) -> str:
        begun = self._begun.get(machine)
        if begun is None:
            return ""
        if change is not None:
            if change.was in RESTS and (begun.over or change.noticed not in BY_WISH):
                self.forget(machine)
                return ""
            begun.over = change.phase in RESTS
        return begun.cause
