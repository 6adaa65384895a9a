"""What one object's data raises stays with that object: in the snapshot, in views, in answers to Cluster Autoscaler, in loops."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
from tests.app.rig import OFF, RECOVERY, SPACE, Rig, key, open_rig
from tests.app.rig import wish as wish_of
from trio.testing import MockClock

from hexa.app.cloud import provider
from hexa.app.commands import get, why
from hexa.app.commands.shared.snapshot import Snapshot
from hexa.app.contained import BreachReporter
from hexa.app.fence import CONTAINED, Fence
from hexa.app.views import groups, machines, proofs
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.wish import wish_patch
from hexa.domain.machine_view import MachineView
from hexa.domain.money.rates import rates_of
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Group, Node
from hexa.domain.rules.proof import claim_of
from hexa.ports.cloud import Done, ExternalNode
from hexa.ports.journal import Severity
from hexa.ports.kube import Patch
from hexa.testing.world import group, machine, open_world

Breaks = Callable[[Node], bool]


def break_views(monkeypatch: pytest.MonkeyPatch, breaks: Breaks) -> None:
    """Views of such machines can't be put together."""

    def rates(node: Node, **more: Any) -> Any:
        if breaks(node):
            raise OverflowError(f"{node.metadata.name} is beyond all bounds")
        return rates_of(node, **more)

    monkeypatch.setattr(machines, "rates_of", rates)


def named_bad(node: Node) -> bool:
    """The machine of that name."""
    return node.metadata.name == "bad"


def site(rig: Rig) -> None:
    """A group of three that are off, and one that is on."""
    rig.group(minSize=1)
    for name in ("bad", "box-1", "box-2"):
        rig.machine(name)
    rig.machine("up", Phase.READY, welcomed=True)
    rig.kube_node("up")


async def test_failure_51_a_machine_that_breaks_views_breaks_no_answer(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that hexa cannot work with counts nowhere and is chosen for nothing; its group is answered for."""
    break_views(monkeypatch, named_bad)
    async with open_rig() as rig:
        site(rig)
        await rig.seen()
        assert [shown.max_size for shown in rig.cloud.groups()] == [3]
        assert rig.cloud.target_size("d/g") == 1
        assert rig.cloud.group_for_node("up", "") is not None
        assert rig.cloud.group_for_node("bad", "") is None
        assert await rig.cloud.increase_size("d/g", delta=2) == Done()
        assert rig.wanted() == {"box-1", "box-2", "up"}
        assert not isinstance(await rig.cloud.delete_nodes("d/g", nodes=[ExternalNode(name="bad")]), Done)
        view = rig.views.machine(key("bad"))
        assert view is not None
        assert not view.valid
        assert view.phase is Phase.OFF
        assert "OverflowError: bad is beyond all bounds" in str(view.problems[0])


async def test_failure_51_a_judgement_that_breaks_later_breaks_no_group(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a machine raises only when it is judged, because time has gone on, is contained as well."""
    async with open_rig() as rig:
        site(rig)
        await rig.seen()
        member = MachineView.member

        def judged(view: Any, now: Any) -> Any:
            if view.key.name == "bad" and view.shape is not None:
                raise OverflowError("date value out of range")
            return member(view, now)

        monkeypatch.setattr(MachineView, "member", judged)
        assert rig.cloud.target_size("d/g") == 1
        assert [shown.max_size for shown in rig.cloud.groups()] == [3]
        with pytest.raises(OverflowError):
            rig.views.sound(key("bad"))


async def test_failure_51_a_machine_that_breaks_when_its_group_changes_blocks_no_group(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The group goes on, and every other machine of it hears of the change; the machine comes back once its data are sound."""
    async with open_rig() as rig:
        site(rig)
        await rig.seen()
        changed, odd, heard = rig.views.proofs.changed, {key("bad")}, list[str]()

        def breaks(machine: Any) -> None:
            heard.append(machine.name)
            if machine in odd:
                raise ZeroDivisionError
            changed(machine)

        monkeypatch.setattr(rig.views.proofs, "changed", breaks)
        rig.api.patch(GROUPS, (SPACE, "g"), Patch({"spec": {"minSize": 2}}))
        await rig.seen()
        assert set(heard) == {"bad", "box-1", "box-2", "up"}
        assert [subject.key for subject in rig.store.fence.subjects] == [key("bad")]
        assert [shown.min_size for shown in rig.cloud.groups()] == [2]
        odd.clear()
        assert rig.views.sound(key("bad")) is not None
        assert rig.store.fence.subjects == ()


@pytest.mark.parametrize("where", ["heard", "read"])
async def test_failure_51_a_group_that_works_again_comes_back_though_nobody_changes_it(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """What broke about a group is tried again each minute: its machines are switched again, and its condition goes."""
    odd, policy = {"rack"}, groups.policy_of

    def breaks(group: Group) -> None:
        if group.metadata.name in odd:
            raise ZeroDivisionError

    async with open_world(groups=[group("rack")], machines=[machine("box-1", group="rack")], autoscaler=None) as world:
        await world.until(lambda: world.phase("box-1") is Phase.OFF, within=60)
        core = world.agent.life.core if world.agent.life is not None else None
        assert core is not None
        if where == "heard":
            core.store.groups.subscribe(lambda _, old, new: breaks(new) if new is not None else None)
        else:
            monkeypatch.setattr(groups, "policy_of", lambda each: (breaks(each), policy(each))[1])
        world.edit_group("rack", {"minSize": 1})
        await trio.sleep(300)
        assert (world.phase("box-1"), core.cloud.groups()) == (Phase.OFF, [])
        assert [each.reason for each in world.group("rack").status.conditions] == [CONTAINED]
        odd.clear()
        await world.until(lambda: world.phase("box-1") is Phase.READY, within=180)
        assert (world.group("rack").status.conditions, core.store.fence.subjects) == ((), ())


async def test_failure_51_a_machine_that_cannot_be_judged_is_needed_and_claims_as_before(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it depends on does not rest while it is on, and as long as it is off without wake proof no other such one follows."""
    wish, broken = MachineView.wish, set[str]()

    def asked(view: Any, now: Any) -> Any:
        if view.key.name in broken:
            raise OverflowError("date value out of range")
        return wish(view, now)

    def claimed(where: Any, node: Any, *rest: Any, **more: Any) -> Any:
        if where.name == "off" and broken:
            raise OverflowError("date value out of range")
        return claim_of(where, node, *rest, **more)

    monkeypatch.setattr(MachineView, "wish", asked)
    monkeypatch.setattr(proofs, "claim_of", claimed)
    async with open_rig() as rig:
        rig.group(wakeProof="Require")
        rig.machine("db", Phase.READY)
        rig.machine("web", Phase.READY, spec={"dependsOn": ["db"]})
        rig.machine("off", Phase.STOP_FAILED, wakeProvenAt=None)
        rig.machine("next", Phase.READY, wakeProvenAt=None)
        await rig.seen()

        def vetoes(name: str) -> set[str]:
            view = rig.views.sound(key(name))
            assert view is not None
            return {veto.reason for veto in view.off_vetoes(rig.clock.now())}

        assert (vetoes("db"), vetoes("next")) == ({"NeededBy"}, {"WakeProof"})
        broken.add("web")
        for name in ("web", "off"):
            rig.api.patch(MACHINES, (SPACE, name), Patch({"metadata": {"annotations": {"new": "1"}}}))
        await rig.seen()
        assert "NeededBy" in vetoes("db")
        rig.api.patch(MACHINES, (SPACE, "next"), Patch(wish_patch(rig.stored_machine("next"), wish_of(OFF, RECOVERY))))
        await rig.seen()
        assert "WakeProof" in vetoes("next")


async def test_failure_51_one_subscriber_that_breaks_keeps_no_other_from_hearing(autojump_clock: MockClock) -> None:
    """The watch goes on, every other subscriber hears of the object, and what works again is contained no longer."""
    async with open_rig() as rig:
        heard: list[str] = []
        odd = {"bad"}

        def breaks(where: Any, old: Any, new: Any) -> None:
            if where.name in odd:
                raise ZeroDivisionError

        rig.store.machines.subscribe(breaks)
        rig.store.machines.subscribe(lambda where, old, new: heard.append(where.name))
        site(rig)
        await rig.seen()
        assert set(heard) == {"bad", "box-1", "box-2", "up"}
        assert [subject.key for subject in rig.store.fence.subjects] == [key("bad")]
        view = rig.views.machine(key("bad"))
        assert view is not None
        assert not view.valid
        odd.clear()
        assert rig.views.sound(key("bad")) is not None
        assert rig.store.fence.subjects == ()
        odd.add("bad")
        rig.api.patch(MACHINES, (SPACE, "bad"), Patch({"spec": {"powerState": "on"}}))
        await rig.seen()
        assert rig.store.fence.subjects
        rig.api.delete(MACHINES, (SPACE, "bad"))
        await rig.seen()
        assert {subject.key for subject in rig.store.fence.subjects} <= {key("bad")}


async def test_failure_51_what_is_contained_is_told_once(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People find a Warning Event, a condition that names the failure, and one log line with the traceback."""
    break_views(monkeypatch, named_bad)
    async with open_rig() as rig:
        reporter = BreachReporter(store=rig.store, kube=rig.kube, clock=rig.clock, news=rig.news)
        async with trio.open_nursery() as nursery:
            await nursery.start(reporter.queue.run)
            site(rig)
            await rig.seen()
            for _ in range(5):
                rig.views.machine(key("bad"))
                await trio.sleep(60)
            nursery.cancel_scope.cancel()
        [line] = [line for line in rig.journal.lines if line.message == "contained"]
        assert "Traceback" in line.fields["traceback"]
        assert "rates" in line.fields["traceback"]
        [told] = [told for told in rig.journal.events if told.reason == CONTAINED]
        assert (told.about.name, told.severity) == ("bad", Severity.WARNING)
        [condition] = [each for each in rig.stored_machine("bad").status.conditions if each.type == "Invalid"]
        assert condition.reason == CONTAINED
        assert "beyond all bounds" in condition.message
        assert rig.stored_machine("bad").status.phase == "Off"


def test_what_cancels_or_ends_the_process_is_not_contained() -> None:
    """A fence holds back exceptions of an object's data; a cancellation and the end of the process pass."""
    post = Fence().post(MACHINES, "here")
    for error in (KeyboardInterrupt(), SystemExit(), BaseExceptionGroup("", [KeyboardInterrupt()])):
        with pytest.raises(type(error)), post.around(key("a")):
            raise error


def test_texts_of_failures_can_be_written_down() -> None:
    """Whatever stands in an exception, a log line and an Event can carry what is told of it."""
    fence = Fence()
    post = fence.post(MACHINES, "here")
    with post.around(key("a")):
        raise ValueError("\udcff" + "x" * 10_000)
    [breach] = fence.breaches(MACHINES, key("a"))
    breach.text.encode()
    breach.trace.encode()
    assert len(breach.text) < 500


def raises_for_bad(real: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, but for the machine `bad`."""

    def called(about: Any, *more: Any, **others: Any) -> Any:
        if about.key.name == "bad":
            raise OverflowError("beyond all bounds")
        return real(about, *more, **others)

    return called


async def test_failure_51_one_bad_machine_is_one_line(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`hexa get` and `hexa why` of a group show what cannot be told of one machine in its line, and the other lines as ever."""
    async with open_rig() as rig:
        site(rig)
        await rig.seen()
        monkeypatch.setattr(get, "obstacle", raises_for_bad(get.obstacle))
        monkeypatch.setattr(why, "obstacle", raises_for_bad(why.obstacle))
        snapshot = Snapshot(rig.store, rig.views, now=rig.clock.now(), notes=())
        lines, _ = get.chosen(snapshot, [], namespace=None, machines=True, groups=True)
        assert {line.name: line.phase for line in lines.machines} == dict.fromkeys(("box-1", "box-2"), "Off") | {
            "bad": "",
            "up": "Ready",
        }
        assert "beyond all bounds" in next(line.blocker for line in lines.machines if line.name == "bad")
        answer = why.explain_group(snapshot, key("g"))
        assert isinstance(answer, why.GroupAnswer)
        told = {member.machine: member.reason for member in answer.members}
        assert told["bad"] is not None
        assert told["bad"].rule == CONTAINED
        assert set(told) == {"bad", "box-1", "box-2", "up"}


async def test_failure_51_one_bad_machine_is_left_out_of_an_answer(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cluster Autoscaler is told of all other machines and groups, and people of the one that is left out."""
    async with open_rig() as rig:
        site(rig)
        rig.machine("bad-2", Phase.READY, welcomed=True)
        await rig.seen()
        assert len(list(rig.cloud.instances("d/g"))) == 2
        real = provider.instance

        def broken(view: Any, member: Any, **more: Any) -> Any:
            if view.key.name == "bad-2":
                raise OverflowError("beyond all bounds")
            return real(view, member, **more)

        monkeypatch.setattr(provider, "instance", broken)
        [shown] = rig.cloud.instances("d/g")
        assert shown.id.endswith("/up")
        view = rig.views.machine(key("bad-2"))
        assert view is not None
        assert view.valid
        assert [problem.severity for problem in view.problems if problem.reason == CONTAINED] == ["warning"]
