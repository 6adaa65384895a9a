"""One look at a machine: its view, what is observed of it, what was read of it, and what `hexa.domain.decide` makes of them.

It remembers what was seen of machines, and carries nothing out.
"""

from datetime import timedelta

from msgspec import Struct, structs

from hexa.app.node.looks import Reader
from hexa.app.node.observing import Observer
from hexa.app.views.views import Views
from hexa.domain.decide.decision import Decision, Look, Looked, Save
from hexa.domain.decide.machine import decide, likely
from hexa.domain.decide.observed import NOTHING_READ, Observed, Read, outdated
from hexa.domain.machine_view import MachineView
from hexa.domain.resources.v1alpha1 import Lookup


class Known(Struct):
    """What was read and done since the machine was last written."""

    version: str = ""
    read: Read = NOTHING_READ

    def outdate(self) -> None:
        """Others were at work since."""
        self.read = outdated(self.read)

    def did(self, act: str) -> None:
        """That need not be done again now."""
        self.read = structs.replace(self.read, done=self.read.done | {act})

    def wrote_in_vain(self) -> bool:
        """The API server kept nothing of a status; whether that is the first time."""
        first, self.read = not self.read.in_vain, structs.replace(self.read, in_vain=True)
        return first


class Turn(Struct, frozen=True):
    """A machine, what is known of it, and what is to be done."""

    machine: MachineView
    observed: Observed
    decision: Decision


class Decider:
    """Asks what is to be done with machines."""

    def __init__(self, *, views: Views, observer: Observer, reader: Reader) -> None:
        self._views, self._observer, self._reader = views, observer, reader

    def turn(self, key: Lookup, known: Known) -> Turn | None:
        """What is to be done with the machine now; None: there is none, or it does not decode. What the snapshot shows is read
        for it at once. Raises what the machine's data raises."""
        machine = self._views.sound(key)
        if machine is None:
            return None
        if (version := machine.node.metadata.resource_version) != known.version:
            known.read = known.read if version == known.read.confirmed else NOTHING_READ
            known.version = version
        observed = self._observer.observe(machine, known.read)
        for at in likely(machine):
            observed = self._glance(at, machine, observed)
        decision = decide(machine, observed)
        while isinstance(decision, Look) and (glanced := self._glance(decision.at, machine, observed)) is not observed:
            observed = glanced
            decision = decide(machine, observed)
        known.read = observed.read
        return Turn(machine, observed, decision)

    def _glance(self, at: Looked, machine: MachineView, observed: Observed) -> Observed:
        """With what the snapshot shows; the very same where that must be asked for."""
        read = self._reader.glance(at, machine, observed)
        return observed if read is None else structs.replace(observed, read=read)

    async def look(self, at: Looked, turn: Turn) -> Read:
        """What was read so far, and this, from the API server."""
        return await self._reader.read(at, turn.machine, turn.observed)

    def saved(self, turn: Turn, save: Save) -> None:
        """A status was stored."""
        self._observer.saved(turn.machine, save)

    def forget(self, key: Lookup) -> None:
        """The machine is gone."""
        self._observer.forget(key)
        self._reader.forget(key)

    def clock_set(self, by: timedelta) -> None:
        """The clock was set."""
        self._observer.clock_set(by)
