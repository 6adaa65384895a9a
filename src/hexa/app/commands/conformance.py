"""`hexa power test`: one machine's own power wiring, tried out by the agent that runs.

It writes nothing but the machine's hold. Whatever ends it, the hold ends too, but for a failure: then the machine stays held as it
was last seen, until somebody has looked at it. What each stage waits for is judged in `domain.people.conformance`.
"""

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

import trio
from msgspec import Struct, structs

from hexa.app.commands.conformance_plan import Objected, Part, Plan, prepare
from hexa.app.commands.shared.snapshot import take
from hexa.domain.errors import Conflict, HexaError, NotFound, Unavailable
from hexa.domain.machine.identity import kube_name
from hexa.domain.machine.marks import released
from hexa.domain.machine.wish import paused
from hexa.domain.people.conformance import (
    HELD,
    MARK,
    NOTICE,
    Course,
    Failed,
    Look,
    Passed,
    Stage,
    failure_reason,
    is_left_over,
    is_up,
    judge,
    last_seen,
    late,
    noted,
    under_way,
)
from hexa.domain.policy.values import active_hold, power_of
from hexa.domain.resources.core import NODES, KubeNode
from hexa.domain.resources.v1alpha1 import MACHINES, Hold, Lookup, Node, Power
from hexa.ports.clock import Clock
from hexa.ports.kube import Kube, Patch, Selector

LOOK: Final = 1.0
TRIES: Final = 8
LAST_WORD: Final = 10.0
"""Seconds that the write of the hold may take at the end, whatever has ended the test."""
SKEW: Final = timedelta(minutes=5)
"""How much later than the test's own limits its hold ends: the agent has a clock of its own, and an API server may be away."""


class Verdict(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    """The machine stays held."""
    REFUSED = "refused"
    """The agent may not do it; the hold is taken back."""
    NO_AGENT = "noAgent"
    """Nobody acted on the hold; it is taken back."""
    STOPPED = "stopped"
    """Somebody ended it, or took the machine over; or the API server refused a look."""


class Step(Struct, frozen=True, kw_only=True):
    """A stage that ended."""

    step: Stage
    seconds: float
    passed: bool
    text: str


class Tick(Struct, frozen=True):
    """A stage under way, for who looks on."""

    stage: Stage
    seconds: float
    limit: float
    text: str


class Result(Struct, frozen=True, kw_only=True):
    """How a test ended."""

    machine: str
    found: Power
    verdict: Verdict
    reason: str = ""
    """CamelCase; empty where it passed."""
    text: str = ""
    remedy: str = ""
    steps: tuple[Step, ...] = ()
    left: str = ""
    """How the machine stands now, and who decides over it."""
    undo: str = ""
    """The command that gives it back, where it stays held."""
    error: HexaError | None = None
    """What the API server said, where that has ended it."""


Told = Callable[[Step | Tick], None]


class End(Struct, frozen=True, kw_only=True):
    """By what a test ended."""

    verdict: Verdict
    reason: str = ""
    text: str = ""
    remedy: str = ""
    failed: Failed | None = None
    error: HexaError | None = None


PASSED: Final = End(verdict=Verdict.PASS)


async def conduct(
    kube: Kube,
    *,
    clock: Clock,
    key: Lookup,
    rest: timedelta,
    stopped: trio.Event,
    tell: Told = lambda _: None,
    by: str = "",
) -> Result | Objected:
    """Test the machine now, or say why not. `stopped` ends it at any moment; `by`: who tests, for the hold's reason."""
    snapshot = await take(kube, clock=clock, namespace=key.namespace)
    plan = await prepare(kube, snapshot, key.name, namespace=key.namespace, rest=rest)
    if isinstance(plan, Objected):
        return plan
    test = _Test(kube, plan, clock=clock, tell=tell, by=by)
    try:
        end = await test.run(stopped)
    except BaseException:  # a defect, or the caller's cancellation: the hold goes all the same
        await test.end(INTERRUPTED)
        raise
    left, undo = await test.end(end)
    return Result(
        machine=str(key),
        found=plan.found,
        verdict=end.verdict,
        reason=end.reason,
        text=end.text,
        remedy=end.remedy,
        steps=tuple(test.steps),
        left=left,
        undo=undo,
        error=end.error,
    )


class _TakenOver(Exception):
    """Somebody else decides over the machine now."""


class _Test:
    """One test of one machine."""

    def __init__(self, kube: Kube, plan: Plan, *, clock: Clock, tell: Told, by: str) -> None:
        now = clock.now()
        self.steps: list[Step] = []
        self._kube, self._plan, self._clock, self._tell = kube, plan, clock, tell
        self._until = (now + plan.longest + SKEW).replace(microsecond=0)
        self._reason = f"{MARK}{by and f' by {by}'}, begun {now:%Y-%m-%dT%H:%M:%SZ}"
        self._node = plan.node
        self._kube_node: KubeNode | None = None
        self._asked = self._held = False

    async def run(self, stopped: trio.Event) -> End:
        """All stages, until one fails or it is stopped."""
        end = INTERRUPTED

        async def stop(scope: trio.CancelScope) -> None:
            await stopped.wait()
            scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop, nursery.cancel_scope)
            end = await self._stages()
            nursery.cancel_scope.cancel()
        return end

    async def _stages(self) -> End:
        try:
            for part in self._plan.parts:
                await self._hold(part)
                ended = await self._stage(part)
                if ended is not None:
                    return ended
        except _TakenOver as taken:
            return End(verdict=Verdict.STOPPED, reason="TakenOver", text=str(taken))
        except HexaError as error:
            return End(verdict=Verdict.STOPPED, reason=error.reason, text=str(error), error=error)
        return PASSED

    async def _stage(self, part: Part) -> End | None:
        """How the test ends with this stage; None: it goes on."""
        course = Course(stage=part.stage, before=self._node, boot=self._plan.boot, rest=self._plan.rest)
        began, looks, up_since = trio.current_time(), 0, None
        while True:
            seen = await self._look()
            seconds = trio.current_time() - began
            look = Look(node=self._node, kube=self._kube_node, elapsed=timedelta(seconds=seconds))
            looks += seen
            up_since = None if not is_up(look) else seconds if up_since is None else up_since
            if up_since is not None:
                look = structs.replace(look, up=timedelta(seconds=seconds - up_since))
            found = judge(course, look) if seen else None
            unheard = looks * LOOK >= NOTICE.total_seconds() and not noted(self._node, HELD[part.stage])
            if found is None and unheard and not self.steps:
                return NO_AGENT
            if found is None and (unheard or look.elapsed >= part.limit + (timedelta(0) if seen else SKEW)):
                found = late(course, look)
            if found is not None:
                return self._ended(part.stage, seconds, found)
            text = under_way(self._node) if seen else AWAY
            self._tell(Tick(part.stage, seconds, part.limit.total_seconds(), text))
            await trio.sleep(LOOK)

    def _ended(self, stage: Stage, seconds: float, found: Passed | Failed) -> End | None:
        step = Step(step=stage, seconds=round(seconds, 1), passed=isinstance(found, Passed), text=found.text)
        self.steps.append(step)
        self._tell(step)
        if isinstance(found, Passed):
            return None
        verdict = Verdict.REFUSED if found.refused else Verdict.FAIL
        return End(verdict=verdict, reason=found.reason, text=found.text, remedy=found.remedy, failed=found)

    async def _look(self) -> bool:
        """See the machine as it is; whether the API server answers. Raises `_TakenOver` where the hold is not ours any more."""
        try:
            node = await _one(self._kube, self._plan.key)
            name = f"metadata.name={kube_name(node)}"
            nodes = (await self._kube.list(NODES, Selector(fields=name))).items
        except Unavailable:
            return False
        self._node = node
        self._kube_node = next((each for each in nodes if isinstance(each, KubeNode)), None)
        if taken := self._taken(node):
            raise _TakenOver(taken)
        return True

    def _taken(self, node: Node) -> str:
        """Who else decides over the machine now; empty: nobody."""
        hold, now = node.spec.hold, self._clock.now()
        if node.metadata.deletion_timestamp is not None or released(node.metadata):
            return "the machine is given up"
        if paused(node, now=now) is not None:
            return "it was paused meanwhile"
        if self._held and hold is None:
            return "its hold was taken away"
        if not self._ours(hold) and active_hold(hold, now=now) is not None:
            return (
                f"somebody else holds it {hold.power} now{f' ({hold.reason})' if hold.reason else ''}" if hold else ""
            )
        return ""

    def _ours(self, hold: Hold | None) -> bool:
        return hold is not None and (hold.reason == self._reason or (not self._held and is_left_over(hold)))

    async def _hold(self, part: Part) -> None:
        """Hold the machine to what the stage asks for. Where the API server is away in the midst of a test, it is waited for."""
        power, standing, began = HELD[part.stage], self._node.spec.hold, trio.current_time()
        if self._held and standing is not None and power_of(standing.power) is power:
            return
        while True:
            try:
                await self._write({"power": power.value, "reason": self._reason, "until": self._until.isoformat()})
            except Unavailable:
                seconds = trio.current_time() - began
                if not self._held or seconds >= SKEW.total_seconds():
                    raise
                self._tell(Tick(part.stage, seconds, part.limit.total_seconds(), AWAY))
                await trio.sleep(LOOK)
            else:
                self._held = True
                return

    async def _write(self, hold: dict[str, Any] | None) -> None:
        """Put the hold in the place of ours, or of none; or take ours away. Raises `_TakenOver` where it is not ours to do."""
        key = self._plan.key
        for _ in range(TRIES):
            node = await _one(self._kube, key)
            taken = self._taken(node)
            if taken if hold is not None else not self._ours(node.spec.hold):
                raise _TakenOver(taken or "its hold was taken away")
            patch = Patch({"spec": {"hold": hold}}, resource_version=node.metadata.resource_version)
            self._asked = True
            try:
                self._node = await self._kube.patch(MACHINES, key.name, patch, namespace=key.namespace)
            except NotFound:
                raise
            except Conflict:
                continue
            return
        raise Conflict(f"Node {key} is written by somebody else all the time; repeat the command")

    async def end(self, end: End) -> tuple[str, str]:
        """The hold goes, or stays where the machine has failed. How the machine is left, and how that is undone."""
        if not self._asked:
            return f"it {_is(self._node)}, and nothing was done", ""
        with trio.CancelScope(deadline=trio.current_time() + LAST_WORD, shield=True):
            try:
                return await (self._keep(end.failed) if end.verdict is Verdict.FAIL and end.failed else self._release())
            except _TakenOver as taken:
                return f"it {_is(self._node)}; {taken}, and the test has let go of it", ""
            except HexaError as error:
                return self._stands(str(error))
        return self._stands(f"no answer within {LAST_WORD:g} s")

    async def _release(self) -> tuple[str, str]:
        await self._write(None)
        return f"it {_is(self._node)}; its hold is taken back, and {self._plan.beneath}", ""

    async def _keep(self, failed: Failed) -> tuple[str, str]:
        power = last_seen(self._node, self._kube_node)
        await self._write({"power": power.value, "reason": failure_reason(failed), "until": None})
        return f"it {_is(self._node)}, and stays held {power} without an end", f"hexa auto {self._plan.key}"

    def _stands(self, why: str) -> tuple[str, str]:
        until = self._until.isoformat(timespec="seconds")
        text = f"it {_is(self._node)}; its hold could not be changed ({why}), and stands until {until}"
        return text, f"hexa auto {self._plan.key}"


AWAY: Final = "the API server does not answer"
INTERRUPTED: Final = End(verdict=Verdict.STOPPED, reason="Interrupted", text="interrupted")
NO_AGENT: Final = End(
    verdict=Verdict.NO_AGENT,
    reason="NoAgent",
    text=f"no hexa agent took note of its hold within {NOTICE.total_seconds():g} s",
    remedy="look whether hexa runs: hexa doctor",
)


def _is(node: Node) -> str:
    return under_way(node).removeprefix("it ")


async def _one(kube: Kube, key: Lookup) -> Node:
    """The machine, read fresh."""
    found = await kube.list(MACHINES, Selector(namespace=key.namespace, fields=f"metadata.name={key.name}"))
    node = next((each for each in found.items if isinstance(each, Node)), None)
    if node is None:
        raise NotFound(f"Node {key} is gone, or does not decode any more")
    return node
