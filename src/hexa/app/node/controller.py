"""One machine at a time: look at it, let the domain decide, carry the answer out, and ask again until it rests.

Level-triggered: it may be called at any time for any machine, and after a crash it goes on from what is stored. It knows no
transition and no rule: what is to be done, `hexa.domain.decide` says.
"""

from datetime import timedelta
from typing import Final

from hexa.app.locks import GroupLocks, held_at_once
from hexa.app.news import Newsroom
from hexa.app.node.acting import Actor
from hexa.app.node.deciding import Decider, Known, Turn
from hexa.app.node.lease_watch import LeaseWatch
from hexa.app.pace import Pace, contested
from hexa.app.queue import KeyedQueue
from hexa.app.saving import Writer
from hexa.app.store import Store
from hexa.app.turns import Turns
from hexa.domain.decide.decision import Decision, Edit, Look, OnNode, Rest, Save, Want
from hexa.domain.errors import Conflict, HexaError
from hexa.domain.news import News, Severity, What, Work, failure
from hexa.domain.resources.v1alpha1 import MACHINES, Lookup

STEPS_AT_ONCE: Final = 40
"""Decisions about one machine in a row; then others have their turn."""
KEPT_NOTHING: Final = 60.0
"""Seconds until a status is written again of which the API server kept nothing."""


class NodeController:
    """Keeps every machine on its way through the lifecycle table."""

    def __init__(
        self,
        *,
        store: Store,
        decider: Decider,
        actor: Actor,
        writer: Writer,
        news: Newsroom,
        locks: GroupLocks,
        lease_watch: LeaseWatch,
        turns: Turns,
    ) -> None:
        self._store, self._decider, self._actor, self._writer = store, decider, actor, writer
        self._news, self._locks, self._turns, self.lease_watch = news, locks, turns, lease_watch
        self.queue: KeyedQueue[Lookup] = KeyedQueue(
            self.reconcile, failed=self._failed, owner=store.fence.post(MACHINES, "machine", patience=2)
        )
        self._pace: Pace[tuple[Lookup, str]] = Pace()
        lease_watch.subscribe(self.queue.add)

    def clock_set(self, by: timedelta) -> None:
        """The clock was set."""
        self._decider.clock_set(by)

    def _failed(self, key: Lookup, error: HexaError) -> None:
        """Somebody else who writes the machine all the time is nothing that its owner could mend."""
        quiet = type(error) is Conflict
        self._news.tell(failure(Work.MACHINE, key, error, quiet=quiet))
        if quiet:
            self._store.doubt()

    async def reconcile(self, key: Lookup) -> None:
        """Bring the machine as far as it can come now, and come back when time alone may bring it further."""
        known = Known()
        for _ in range(STEPS_AT_ONCE):
            await self._turns.step()
            known.outdate()
            turn = self._decider.turn(key, known)
            if turn is None:
                await self._not_there(key)
                return
            if isinstance(turn.decision, Rest):
                self._rest(turn, turn.decision)
                return
            if (rests := self._put_off(turn)) > 0:
                self.queue.add(key, delay=rests)
                return
            if not await self._take(turn, known):
                self.queue.add(key, delay=KEPT_NOTHING)
                return
        self.queue.add(key)

    def _put_off(self, turn: Turn) -> float:
        """Seconds until the same may be written once more: somebody else has undone it each time."""
        key, written = turn.machine.key, _written(turn.decision)
        rests = self._pace.rests((key, written)) if written else 0.0
        if rests > 0 and self._pace.begins((key, written)):
            self._news.tell(contested(key, f"what hexa writes ({written})"))
        return rests

    async def _take(self, turn: Turn, known: Known) -> bool:
        """Carry the decision out; whether to go on. One that needs a lock for which others wait is taken anew under it: others may
        have been chosen meanwhile."""
        if (lock := _lock_of(turn.decision)) is None:
            return await self._carry_out(turn, known)
        if (held := held_at_once(self._locks.of(lock))) is not None:
            with held:  # nothing has changed since it was decided: nobody else was at work
                return await self._carry_out(turn, known)
        async with self._locks.of(lock):
            known.outdate()
            again = self._decider.turn(turn.machine.key, known)
            while again is not None and isinstance(again.decision, Look):
                await self._carry_out(again, known)
                again = self._decider.turn(turn.machine.key, known)
            if again is None or _lock_of(again.decision) not in (None, lock):
                return True
            return await self._carry_out(again, known)

    async def _carry_out(self, turn: Turn, known: Known) -> bool:
        machine, decision = turn.machine, turn.decision
        match decision:
            case Look(at):
                known.read = await self._decider.look(at, turn)
            case Save():
                return await self._save(turn, decision, known)
            case Want(wish, beside, news):
                await self._writer.wish(machine.node, wish, beside)
                self._news.tell(*news)
            case Edit(body, news):
                await self._writer.edit(machine.node, body)
                self._news.tell(*news)
                known.did("Edit")
            case Rest():
                self._rest(turn, decision)
            case _:
                known.read = await self._actor.act(decision, machine, turn.observed)
                known.outdate()
                self._news.tell(*(decision.news if isinstance(decision, OnNode) else ()))
        refused = known.read.plan is not turn.observed.read.plan  # a cordon that is not allowed; nothing was written
        if (written := _written(decision)) and not refused:
            self._pace.did((machine.key, written))
        return True

    async def _save(self, turn: Turn, decision: Save, known: Known) -> bool:
        if await self._writer.status(turn.machine.node, decision.status) is not turn.machine.node:
            self._decider.saved(turn, decision)
            self._news.tell(*decision.news)
            return True
        return known.wrote_in_vain()

    def _rest(self, turn: Turn, rest: Rest) -> None:
        key = turn.machine.key
        if not turn.observed.read.fetched:  # else news since then bring it back
            self.queue.looked(key)  # our own writes are news as well
        if rest.lease is not None:  # looked at when its lease is late, not each time that it could be
            self.lease_watch.watch(key, node=turn.machine.kube_name, until=rest.lease)
        if rest.until is not None:
            self.queue.add(key, delay=(rest.until - turn.observed.now).total_seconds())

    async def _not_there(self, key: Lookup) -> None:
        self._news.causes.forget(key)
        self._pace.forget(lambda paced: paced[0] == key)
        self._decider.forget(key)
        broken = self._store.machines.malformed.get(key)
        if broken is not None:
            self._news.tell(News(of=key, what=What.DOES_NOT_DECODE, why=broken.problem, severity=Severity.WARNING))
            await self._writer.malformed(MACHINES, key, broken)


def _lock_of(decision: Decision) -> Lookup | None:
    return decision.lock if isinstance(decision, (Save, Want)) else None


def _written(decision: Decision) -> str:
    """What the decision writes that somebody else may undo; empty: a step on the machine's way, which comes once."""
    match decision:
        case Want(wish):
            return f"wish {wish.power}: {wish.reason}"
        case Edit():
            return "metadata"
        case OnNode(touch):
            return f"Kubernetes node: {touch}"
        case _:
            return ""
