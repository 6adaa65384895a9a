"""Wishes that hexa writes by itself, a machine that is seen for the first time, and identities that are taken over."""

from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import (
    OFF,
    ON,
    T0,
    at,
    kube_node,
    machine,
    observed,
    rack,
    standing,
    view,
    wanting,
    wish,
)

from hexa.domain.decide.decision import Looked, Rest, Save, Want
from hexa.domain.decide.first_sight import first_sight
from hexa.domain.decide.identity_change import take_over
from hexa.domain.decide.observed import Read, Unread
from hexa.domain.decide.wishes import corrected, written_down
from hexa.domain.group.sizing import Member
from hexa.domain.machine.identity import NameFacts
from hexa.domain.machine.lifecycle import Event, Phase
from hexa.domain.machine.marks import hold_back
from hexa.domain.machine.reason import Reason
from hexa.domain.machine.wish import recorded_wish
from hexa.domain.machine_view import MachineView
from hexa.domain.names import CORDON_ANNOTATION, OFF_FINALIZER
from hexa.domain.news import Severity, What
from hexa.domain.policy.policy import OnUnexpectedPower
from hexa.domain.policy.problem import Problem
from hexa.domain.resources.identity import Identity
from hexa.domain.resources.v1alpha1 import Asker, Hold, JobRecord, Lookup, Node, Paused
from hexa.domain.rules.dependencies import Need, Ties

BROKEN = (Problem("spec", "broken", "mend it", reason="Broken"),)
RACK = Lookup("site", "rack")


def told(decision: Any) -> list[tuple[str, Severity, str]]:
    """What is told with it."""
    return [(news.what, news.severity, news.by) for news in decision.news]


def wanted(decision: Any) -> Want:
    """The decision, which is to store a wish."""
    assert isinstance(decision, Want)
    return decision


def saved(decision: Any) -> Save:
    """The decision, which is to store a status."""
    assert isinstance(decision, Save)
    return decision


# --- wishes --------------------------------------------------------------------------------------------------


def test_what_a_person_asked_for_is_written_down_once() -> None:
    """An edit of spec.powerState becomes a wish with its time, and is told; what is recorded is not written again."""
    of = view(machine(power_state="off"))
    found = wanted(written_down(of, observed(30)))
    assert (found.wish.power, found.wish.by, found.wish.since) == (OFF, Asker.USER, at(30))
    assert told(found) == [(What.WISH_CHANGED, Severity.NORMAL, "user")]
    assert found.news[0].why == "wanted off by user: PowerStateChanged"
    stored = wanting(of.node, found.wish)
    assert written_down(view(stored), observed(40, recorded=recorded_wish(stored))) is None
    assert written_down(view(machine()), observed(30)) is None


def test_a_request_on_the_group_is_spread_without_another_word() -> None:
    """It was told when it was stored."""
    asked = wanting(machine(), wish(ON, Asker.CLUSTER_AUTOSCALER))
    assert written_down(view(asked), observed(30)) == Want(recorded_wish(asked) or wish(OFF))


def found_on(*, now: float = 30, **more: Any) -> Want | None:
    """What is made of a machine that a person wants off, and that somebody switched on."""
    of = view(wanting(standing(Phase.OFF, spec=more.pop("spec", {})), wish(OFF)), **{"group": rack(), **more})
    return corrected(of, observed(now), Event.POWER_SEEN)


def test_power_that_somebody_else_switched_on_is_a_wish_under_the_groups_lock() -> None:
    """Whoever counts the machines of the group counts this one; a warning says what is made of it."""
    found = wanted(found_on())
    assert (found.wish.power, found.lock, found.beside) == (ON, RACK, {})
    assert told(found) == [(What.FOUND_ON, Severity.WARNING, "recovery")]
    assert wanted(found_on(group=None)).lock is None


def test_a_machine_that_is_only_watched_keeps_its_wish() -> None:
    """A pause, a problem or a hold: nothing is corrected."""
    assert found_on(problems=BROKEN) is None
    assert found_on(spec={"paused": Paused()}) is None
    assert found_on(spec={"hold": Hold(power="off")}) is None
    assert found_on(group=rack(hold=Hold(power="off"))) is None
    assert wanted(found_on(spec={"hold": Hold(power="off", until=at(30))}))


def test_the_groups_word_about_unexpected_power_counts() -> None:
    """Correct: it goes off again, by whoever wanted it off."""
    found = wanted(found_on(group=rack(on_unexpected_power=OnUnexpectedPower.CORRECT)))
    assert (found.wish.power, found.wish.by, found.wish.since) == (OFF, Asker.USER, at(30))


NEEDED = Ties(needs=(Need(Lookup("site", "m2"), wanted=True, on=False),))
UP = Member(key=Lookup("site", "m3"), phase=Phase.READY, wish=wish(ON), node_ready=True)


def needed(*members: Member, phase: Phase = Phase.OFF, event: Event | None = None, **more: Any) -> Want | None:
    """What is made of a machine that a program wants off and another depends on."""
    node = wanting(standing(phase), wish(OFF, Asker.CLUSTER_AUTOSCALER))
    of = view(node, **{"ties": NEEDED, "group": rack(max_size=1), **more})
    return corrected(of, observed(30, read=Read(members=members)), event)


def test_a_machine_that_another_needs_is_wanted_on_where_its_group_has_room() -> None:
    """For whom is told; a full group keeps it off, one without maxSize always has room."""
    found = wanted(needed())
    assert (found.wish.power, found.wish.needed_by, found.lock) == (ON, "m2", RACK)
    assert told(found) == [(What.NEEDED_BY, Severity.NORMAL, "recovery")]
    assert "m2" in found.news[0].why
    assert needed(UP) is None
    assert wanted(needed(UP, group=rack(max_size=2)))
    assert wanted(needed(UP, group=rack()))
    assert wanted(needed(UP, group=None))


def test_a_person_who_puts_a_machine_off_later_is_heard() -> None:
    """The off counts over needs of before, and a need of later over the off."""
    node = wanting(standing(Phase.OFF), wish(OFF, Asker.USER, since=at(10)))
    for since, on in ((0, False), (20, True)):
        of = view(node, ties=Ties(needs=(Need(Lookup("site", "m2"), wanted=True, on=False, since=at(since)),)))
        assert (corrected(of, observed(30), None) is not None) is on


def test_a_machine_that_was_woken_for_others_goes_off_once_nobody_needs_it() -> None:
    """Without a group some time after the last need has ended; one of a group is its autoscaler's."""
    node = wanting(standing(Phase.READY), wish(ON, Asker.RECOVERY, reason=Reason.NEEDED))
    over = Ties(needs=(Need(Lookup("site", "m2"), wanted=False, on=False, ended=at(-600)),))
    assert corrected(view(node, ties=over), observed(30), None) is None
    alone = structs.replace(node, metadata=structs.replace(node.metadata, labels={}))
    assert wanted(corrected(view(alone, ties=over), observed(0), None)).wish.power is OFF
    assert corrected(view(alone, ties=over), observed(-1), None) is None


def test_nobody_is_needed_before_it_is_known_or_as_it_goes_dark() -> None:
    """At first sight, and at the moment of its going off, a machine's own power counts."""
    assert needed(phase=Phase.UNKNOWN) is None
    assert needed(event=Event.POWER_GONE, phase=Phase.DRAINING) is None
    assert wanted(needed(event=Event.OVERDUE))


def test_room_is_counted_only_where_a_wish_needs_it() -> None:
    """A correction by power costs no look at all machines of the group; a late arrival does."""
    assert wanted(found_on(group=rack(max_size=0)))
    late = wanting(standing(Phase.READY), wish(OFF, Asker.RECOVERY, reason="Replaced"))
    of = view(late, group=rack(max_size=1))
    with pytest.raises(Unread) as unread:
        corrected(of, observed(30), None)
    assert unread.value.at is Looked.MEMBERS
    assert wanted(corrected(of, observed(30, read=Read(members=())), None)).wish.power is ON
    assert corrected(of, observed(30, read=Read(members=(UP,))), None) is None


def test_an_adopted_machine_is_held_back_where_its_node_will_leave() -> None:
    """The finalizer comes with the wish, in one write; adoptions are told to nobody."""
    node = standing(Phase.OFF)
    off = wanted(corrected(view(node, kube=kube_node("m1")), observed(30), None))
    assert (off.wish.power, off.beside, off.news) == (OFF, hold_back(node), ())
    assert wanted(corrected(view(node), observed(30), None)).beside == {}
    on = wanted(corrected(view(standing(Phase.READY), kube=kube_node("m1")), observed(30), None))
    assert (on.wish.power, on.beside) == (ON, {})
    held = structs.replace(node, metadata=structs.replace(node.metadata, finalizers=(OFF_FINALIZER,)))
    assert wanted(corrected(view(held, kube=kube_node("m1")), observed(30), None)).beside == {}


def test_other_corrections_are_told_as_changes() -> None:
    """A drain that was given up: the machine stays on, and who asks for that is said."""
    node = wanting(standing(Phase.READY, cool_until=at(900)), wish(OFF, Asker.CLUSTER_AUTOSCALER))
    found = wanted(corrected(view(node), observed(30), None))
    assert found.wish.power is ON
    assert told(found) == [(What.WISH_CHANGED, Severity.NORMAL, "recovery")]


# --- first sight -----------------------------------------------------------------------------------------------


def seen_first(of: MachineView, now: float = 100, **seen: Any) -> Any:
    """What is done with a machine that was seen for the first time at T0."""
    return first_sight(of, observed(now, **{"first_seen": T0, "read": Read(unclaimed=()), **seen}))


SERVES = kube_node("m1", uid="u1", ready=True)
HEARD: dict[str, Any] = {"heard": at(90), "heard_until": at(130)}


def test_a_machine_that_was_seen_before_is_no_first_sight() -> None:
    """Its stored phase counts."""
    assert seen_first(view(standing(Phase.UNKNOWN))) is None


def test_a_node_that_bears_the_machines_mark_is_its_own() -> None:
    """Whatever spec says; a name that is stored, or a node that is there, is not doubted."""
    found = saved(seen_first(view(machine()), marked_node="old"))
    assert (found.status.identity.kubernetes_node, found.status.phase) == ("old", "")
    for of in (
        view(
            structs.replace(machine(), status=structs.replace(machine().status, identity=Identity(kubernetes_node="k")))
        ),
        view(machine(), kube=SERVES),
    ):
        decision = seen_first(of, marked_node="old")
        assert not isinstance(decision, Save) or decision.status.identity.kubernetes_node != "old"


def test_what_was_asked_for_comes_first() -> None:
    """Before the machine is adopted as it is found."""
    found = wanted(seen_first(view(machine(power_state="off"), kube=SERVES), **HEARD))
    assert (found.wish.power, found.wish.by) == (OFF, Asker.USER)


def test_a_machine_that_serves_is_adopted_and_welcome_as_it_is() -> None:
    """The adoption before the phase; then one write, with the shape of its node."""
    of = view(machine(), kube=SERVES, group=None)
    want = wanted(seen_first(of, **HEARD))
    assert (want.wish.power, want.wish.reason) == (ON, "Adopted")
    of = view(wanting(machine(), want.wish), kube=SERVES)
    found = saved(seen_first(of, recorded=recorded_wish(of.node), **HEARD))
    assert (found.status.phase, found.status.welcomed, found.status.identity.kubernetes_node_uid) == (
        "Ready",
        True,
        "u1",
    )
    assert found.status.template is not None
    assert told(found) == [(What.READY, Severity.NORMAL, "")]
    cordoned = kube_node("m1", uid="u1", ready=True, annotations={CORDON_ANNOTATION: "yes"})
    of = view(of.node, kube=cordoned)
    closed = saved(seen_first(of, recorded=recorded_wish(of.node), **HEARD))
    assert (closed.status.phase, closed.status.welcomed) == ("Ready", False)


def test_a_machine_that_was_switched_off_before_is_swept_first() -> None:
    """Its status was lost but for that: what the power-off left behind is looked for as after each boot."""
    shut = structs.replace(machine(), status=structs.replace(machine().status, last_shutdown_time=at(-900)))
    of = view(wanting(shut, wish(ON)), kube=SERVES)
    found = saved(seen_first(of, recorded=recorded_wish(of.node), **HEARD))
    assert (found.status.phase, found.status.welcomed) == ("Ready", False)


SINCE_THEN: dict[str, Any] = {"born": T0, "seeing_since": T0, "hearing_since": T0}


def test_a_machine_of_which_nothing_is_known_costs_no_write() -> None:
    """Until it settles it is Unknown in our mind only; then it is off. One without a node is off at once."""
    deaf = kube_node("m1", ready=False)
    of = view(machine(), kube=deaf)
    assert seen_first(of, now=5, **SINCE_THEN) == Rest(at(15))
    for asked in (seen_first(of, now=60), seen_first(view(machine()), now=5, **SINCE_THEN)):
        assert (wanted(asked).wish.power, wanted(asked).wish.reason) == (OFF, "Adopted")
    of = view(wanting(machine(), wish(OFF, Asker.RECOVERY, reason="Adopted")), kube=deaf)
    assert saved(seen_first(of, now=60, recorded=recorded_wish(of.node))).status.phase == "Off"


def test_what_a_person_must_know_of_an_unknown_machine_is_stored() -> None:
    """A warning, say; and that a machine is only watched, and why."""
    deaf = kube_node("m1", ready=False)
    warned = view(machine(), kube=deaf, problems=(Problem("spec", "odd", "look", severity="warning", reason="Odd"),))
    found = saved(seen_first(warned, now=5, **SINCE_THEN))
    assert (found.status.phase, found.status.since) == ("Unknown", T0)
    for watched in (view(machine(), kube=deaf, problems=BROKEN), view(machine(paused=Paused()), kube=deaf)):
        assert saved(seen_first(watched, now=5, **SINCE_THEN)).status.phase == "Unknown"


# --- identities ------------------------------------------------------------------------------------------------

KNOWN = {"uid": "u", "kubernetes_node": "m1"}


def known(phase: Phase, *, identity: dict[str, Any] | None = None, spec: Any = None, **status: Any) -> Node:
    """A machine of uid u that is known as such."""
    node = standing(phase, spec=spec, identity=Identity(**{**KNOWN, "group": "rack", **(identity or {})}), **status)
    return structs.replace(node, metadata=structs.replace(node.metadata, uid="u"))


def taken(node: Node, *, now: float = 30, **more: Any) -> Save:
    """What is taken over of the machine; it is told as a warning."""
    known = {"read": Read(unclaimed=()), **{k: more.pop(k) for k in ("read", "hearing_since") if k in more}}
    found = saved(take_over(view(node, **more), observed(now, **known)))
    assert found.news[-1].severity is Severity.WARNING
    return found


def nothing_taken(node: Node, **more: Any) -> bool:
    """Whether nothing is taken over."""
    known = {"read": Read(unclaimed=()), **{k: more.pop(k) for k in ("read", "hearing_since") if k in more}}
    return take_over(view(node, **more), observed(30, **known)) is None


def test_a_status_of_a_resource_that_was_deleted_is_looked_at_anew() -> None:
    """Its phase and its Job are forgotten; the Kubernetes node that it had is kept in mind."""
    job = JobRecord(name="j", action="startup")
    node = known(Phase.READY, identity={"uid": "other", "kubernetes_node": "k"}, job=job, failures=2)
    found = taken(node)
    assert (found.status.phase, found.status.job, found.status.failures) == ("", None, 2)
    assert (found.status.identity.kubernetes_node, found.status.identity.uid) == ("k", "u")
    assert found.news[-1].what == What.STATUS_OF_ANOTHER


@pytest.mark.parametrize(
    ("phase", "label", "before", "welcomed"),
    [(Phase.READY, "rack", "shelf", False), (Phase.OFF, "rack", "shelf", True), (Phase.READY, "rack", "", False)],
)
def test_a_machine_that_moved_lives_by_its_new_group(phase: Phase, label: str, before: str, welcomed: bool) -> None:
    """Its node is given the labels of the new group; both groups are named."""
    found = taken(known(phase, identity={"group": before}, welcomed=True))
    assert (found.status.identity.group, found.status.welcomed) == (label, welcomed)
    assert (found.news[-1].what, found.news[-1].why) == (
        What.GROUP_CHANGED,
        f"moved to group rack (before: {before or 'none'}): its rules count from now on",
    )
    alone = known(phase, identity={"group": "shelf"}, welcomed=False)
    alone = structs.replace(alone, metadata=structs.replace(alone.metadata, labels={}))
    assert (taken(alone).status.identity.group, taken(alone).status.welcomed) == ("", False)
    assert "to no group (before: shelf)" in taken(alone).news[-1].why


OTHER = {"power": "1:other"}


def test_another_way_to_switch_the_power_voids_what_was_shown_of_the_old_one() -> None:
    """The wake proof goes; a machine that is on its way is woken anew by what is named now."""
    off = taken(known(Phase.OFF, identity=OTHER, wake_proven_at=at(-5), wakes=0))
    assert off.status.wake_proven_at is None
    assert off.status.identity.power != "1:other"
    assert (off.status.wakes, off.status.since, off.news[-1].what) == (0, T0, What.POWER_CHANGED)
    coming = taken(known(Phase.BOOTING, identity=OTHER, wakes=3, attempt=4, woken_at=T0))
    assert (coming.status.wakes, coming.status.attempt, coming.status.woken_at, coming.status.since) == (
        1,
        5,
        at(30),
        at(30),
    )
    assert "woken anew" in coming.news[-1].why
    assert "woken anew" not in off.news[-1].why


def test_another_way_waits_for_the_job_that_uses_the_old_one() -> None:
    """And a machine that is only watched is not woken by it."""
    job = JobRecord(name="j", action="shutdown", attempt=2)
    assert nothing_taken(known(Phase.POWERING_OFF, identity=OTHER, job=job, attempt=2))
    assert nothing_taken(known(Phase.BOOTING, identity=OTHER), problems=BROKEN)
    assert taken(known(Phase.READY, identity=OTHER), problems=BROKEN)
    assert nothing_taken(known(Phase.OFF))


FREE = NameFacts(exists=False, silent=True, occupied=False, leaves=False, arrived=False, taken=False, stopping=False)


def named(**facts: Any) -> dict[str, Any]:
    """What was read of both names."""
    return {"read": Read(unclaimed=(), name=structs.replace(FREE, **facts))}


def test_a_new_name_is_taken_over_where_nothing_of_the_old_one_may_run() -> None:
    """Both names are told, and the uid of the old node is forgotten; blind, or while the old one is heard, it waits."""
    node = known(Phase.OFF, spec={"kubernetes_node_name": "new"}, identity={"kubernetes_node_uid": "u1"})
    found = taken(node, **named())
    assert (found.status.identity.kubernetes_node, found.status.identity.kubernetes_node_uid) == ("new", "")
    assert (found.news[-1].what, "new" in found.news[-1].why, "m1" in found.news[-1].why) == (
        What.NODE_RENAMED,
        True,
        True,
    )
    assert nothing_taken(node, **named(silent=False))
    assert nothing_taken(node, hearing_since=None, **named())
    assert nothing_taken(known(Phase.OFF), hearing_since=at(0))
    with pytest.raises(Unread) as unread:
        nothing_taken(node)
    assert unread.value.at is Looked.NAME
