"""What is stored of a machine and told of it, which steps it takes, and when it is looked at again."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import (
    JOB,
    OFF,
    ON,
    T0,
    at,
    facts,
    kube_node,
    observed,
    pod,
    rack,
    read,
    settled,
    standing,
    view,
    wanting,
    wish,
)

from hexa.domain.decide.observed import CheckSeen, Read, Unread
from hexa.domain.decide.rest import rest
from hexa.domain.decide.saved import about, completed, findings, save
from hexa.domain.decide.steps import step_news, take_step
from hexa.domain.machine.lifecycle import Event, Phase
from hexa.domain.machine_view import MachineView
from hexa.domain.news import Change, News, Severity, What
from hexa.domain.pods.drain import Plan
from hexa.domain.policy.policy import PowerCycleRules
from hexa.domain.policy.problem import Problem
from hexa.domain.resources.boot import FirstWake
from hexa.domain.resources.health import CheckOutcome, NodeHealth
from hexa.domain.resources.v1alpha1 import HistoryEntry, Hold, Identity, JobRecord, Lookup, PowerReading, Reading
from hexa.domain.rules.dependencies import Need, Ties
from hexa.domain.rules.health_checks import Run
from hexa.domain.rules.power_cycle import Site

KEY = Lookup("site", "m1")
SEEN = observed(30, read=Read(unclaimed=()))
DONE = JobRecord(name="off-2", action="shutdown", attempt=2, outcome="done")
BROKEN = Problem("spec", "broken", "mend it", reason="Broken")


def types(found: Any) -> set[str]:
    """The conditions among these findings."""
    return {each.type for each in found}


# --- what is stored ------------------------------------------------------------------------------------------


def test_nothing_new_is_not_written() -> None:
    """A status is stored only where something of it differs, with its lock and its news."""
    of = settled(view(standing(Phase.OFF)), SEEN)
    assert save(of, SEEN, of.node.status) is None
    told = about(of, What.STARTUP_JOB, "made")
    found = save(of, SEEN, structs.replace(of.node.status, wakes=1), news=(told,), lock=KEY, renewed=True)
    assert found is not None
    assert (found.status.wakes, found.news, found.lock, found.renewed) == (1, (told,), KEY, True)
    plain = save(of, SEEN, structs.replace(of.node.status, wakes=1))
    assert plain is not None
    assert (plain.news, plain.lock, plain.renewed) == ((), None, False)


def test_all_that_follows_from_a_status_is_stored_with_it() -> None:
    """Wish, reading, health, check and identity, as they are seen now, for the generation that was judged."""
    node = wanting(standing(Phase.READY, spec={"healthcheck_pod_spec": JOB}), wish(ON))
    node = structs.replace(node, metadata=structs.replace(node.metadata, generation=7))
    run = Run(began=at(10), ended=at(12), outcome=CheckOutcome.PASSED)
    seen = structs.replace(SEEN, reading=read(Reading.ON, 29), check=CheckSeen(name="c", run=run))
    found = completed(view(node, kube=kube_node("m1", ready=True)), seen, node.status)
    assert found.wish is not None
    assert (found.wish.power, found.reading.power, found.power_state, found.observed_generation) == (
        ON,
        Reading.ON,
        "on",
        7,
    )
    assert (found.health, found.check and found.check.outcome) == (NodeHealth.HEALTHY, CheckOutcome.PASSED)
    assert found.identity.kubernetes_node == "m1"


def test_an_off_that_is_not_proven_is_not_stored() -> None:
    """A single sample changes nothing of the reading that people see."""
    before = PowerReading(power=Reading.ON, source="pdu", at=at(-60))
    of = view(standing(Phase.READY, reading=before), kube=kube_node("m1", ready=True))
    seen = structs.replace(SEEN, reading=read(Reading.OFF, 29, first=29))
    assert completed(of, seen, of.node.status).reading.power is Reading.ON


def test_what_spoke_for_the_kubelet_is_stored_with_the_first_wake() -> None:
    """So that another renewal after a restart is a sign of life; what was stored once stays."""
    of = view(standing(Phase.OFF), kube=kube_node("m1", uid="u1"))
    seen = structs.replace(SEEN, renewal="r1")
    woken = structs.replace(of.node.status, phase="PoweringOn", first_wake=FirstWake(at=at(30)))
    first = completed(of, seen, woken).first_wake
    assert first == FirstWake(at=at(30), lease="r1", node="u1")
    later = view(standing(Phase.POWERING_ON, first_wake=FirstWake(at=T0)))
    assert completed(later, seen, later.node.status).first_wake == FirstWake(at=T0)


def test_what_a_person_should_know_comes_from_the_machine_and_its_group() -> None:
    """Problems of both, what forbids an off or a wake, and what rules say."""
    broken = structs.replace(rack(), problems=(BROKEN,))
    assert "Invalid" in types(findings(view(standing(Phase.OFF), group=broken), SEEN, standing(Phase.OFF).status))
    own = view(standing(Phase.OFF), problems=(structs.replace(BROKEN, severity="warning", reason="Odd"),))
    assert "Odd" in types(findings(own, SEEN, own.node.status))
    warned = structs.replace(rack(), problems=(structs.replace(BROKEN, severity="warning", reason="Odd"),))
    assert "Odd" not in types(findings(view(standing(Phase.OFF), group=warned), SEEN, standing(Phase.OFF).status))
    held = view(standing(Phase.READY, spec={"hold": Hold(power="on", reason="a fair")}))
    assert held.off_vetoes(at(30))[0].reason in types(findings(held, SEEN, held.node.status))
    deaf = view(standing(Phase.OFF, spec={"startup_pod_spec": None}))
    assert deaf.on_vetoes(at(30))[0].reason in types(findings(deaf, SEEN, deaf.node.status))


def test_nodes_that_may_be_the_machines_are_named_where_it_failed() -> None:
    """Who looks for the machine finds its other name in the condition."""
    came = (HistoryEntry(at=T0, action="PoweringOn"),)
    of = view(standing(Phase.START_FAILED, wakes=3, history=came))
    seen = observed(30, read=Read(unclaimed=(kube_node("m1-ec24", created=20, ready=True),)))
    failed = next(each for each in findings(of, seen, of.node.status) if each.type == "Failed")
    assert "m1-ec24" in failed.message


def test_nodes_of_other_names_matter_where_a_machine_may_go_off() -> None:
    """They are read there, and nowhere else; what is found is told."""
    for phase in (Phase.DRAINING, Phase.POWERING_OFF, Phase.STOP_FAILED, Phase.LOST):
        of = view(standing(phase))
        with pytest.raises(Unread):
            findings(of, observed(30), of.node.status)
        known = observed(30, read=Read(unclaimed=(kube_node("m1-ec24", created=20, ready=True),)))
        assert any("m1-ec24" in each.message for each in findings(of, known, of.node.status))
    ready = view(standing(Phase.READY), kube=kube_node("m1", ready=False))
    assert findings(ready, observed(30), ready.node.status)


def test_a_condition_that_begins_is_told_as_a_warning() -> None:
    """A contradiction of its proofs, say: once, when it begins, before the news of the step."""
    of = settled(view(standing(Phase.READY), kube=kube_node("m1", ready=True)), SEEN)
    seen = structs.replace(SEEN, heard=at(20), heard_until=at(60), reading=read(Reading.OFF, 29, first=10))
    step = about(of, What.RETURNED, "it is back")
    found = save(of, seen, of.node.status, news=(step,))
    assert found is not None
    assert found.news[0].severity is Severity.WARNING
    assert found.news[-1] == step
    assert len(found.news) == 2
    after = structs.replace(of, node=structs.replace(of.node, status=found.status))
    again = save(after, seen, structs.replace(found.status, wakes=1))
    assert again is not None
    assert again.news == ()


def test_news_says_of_whom() -> None:
    """The machine's key and uid, who asked, and how bad it is."""
    node = standing(Phase.OFF)
    node = structs.replace(node, metadata=structs.replace(node.metadata, uid="u"))
    plain = about(view(node), What.OFF, "why")
    assert plain == News(of=KEY, uid="u", what=What.OFF, why="why", severity=Severity.NORMAL, by="")
    told = about(view(node), What.OFF, "why", severity=Severity.WARNING, by="user")
    assert (told.severity, told.by) == (Severity.WARNING, "user")


# --- steps ---------------------------------------------------------------------------------------------------


def stepped(of: MachineView, event: Event, *, plan: Plan | None = None, **seen: Any) -> Any:
    """The write of a step."""
    return take_step(of, structs.replace(SEEN, **seen), event, plan=plan)


@pytest.mark.parametrize(
    ("phase", "event", "severity"),
    [
        (Phase.OFF, Event.WANTED, Severity.NORMAL),
        (Phase.BOOTING, Event.OVERDUE, Severity.WARNING),
        (Phase.POWERING_OFF, Event.OVERDUE, Severity.WARNING),
        (Phase.READY, Event.NODE_LOST, Severity.WARNING),
        (Phase.POWERING_OFF, Event.POWER_GONE, Severity.NORMAL),
    ],
)
def test_a_step_is_stored_and_told(phase: Phase, event: Event, severity: Severity) -> None:
    """From which phase to which and why; a failure is a warning. A step of one machine needs no lock."""
    of = view(standing(phase), group=rack())
    found = stepped(of, event)
    told = found.news[-1]
    assert (told.what, told.severity) == (What(found.status.phase), severity)
    assert told.why.startswith(f"{phase} -> {found.status.phase}: {event}")
    assert told.change == Change(str(phase), found.status.phase, str(event))
    assert (found.lock, found.status.since) == (None, at(30))


def test_a_machine_that_is_lost_is_told_with_what_happened() -> None:
    """What is known of the outage stands beside the step; other steps have nothing of it."""
    lost = stepped(view(standing(Phase.READY)), Event.NODE_LOST).news[-1].why
    assert lost.startswith("Ready -> Lost: NodeLost; ")
    assert stepped(view(standing(Phase.OFF)), Event.WANTED).news[-1].why == "Off -> PoweringOn: Wanted"


def test_a_drain_that_is_given_up_names_what_was_left() -> None:
    """The pods that did not go, unless something blocked it before; a drain that was not looked at names nothing."""
    of = view(standing(Phase.DRAINING))
    slow = pod("web", termination_grace_period_seconds=3600)
    left = stepped(of, Event.OVERDUE, plan=Plan(leaving=(slow,)))
    assert "apps/web" in left.status.blocker
    blocked = view(standing(Phase.DRAINING, blocker="a budget"))
    assert stepped(blocked, Event.OVERDUE, plan=Plan(leaving=(slow,))).status.blocker == "a budget"
    assert stepped(of, Event.OVERDUE).status.blocker == ""
    assert stepped(of, Event.WANTED, plan=Plan(leaving=(slow,))).status.blocker == ""
    stopped = view(standing(Phase.POWERING_OFF))
    assert stepped(stopped, Event.OVERDUE, plan=Plan(leaving=(slow,))).status.blocker == ""


def test_power_is_cycled_under_the_lock_of_the_group() -> None:
    """One machine at a time; that the power is cut is told first, as a warning. A machine without a group needs no lock."""
    of = view(wanting(standing(Phase.LOST), wish(ON)), group=rack(power_cycle=PowerCycleRules()))
    known = Read(unclaimed=(), members=(of.member(at(30)),), site=Site(heard=3, lost=0))
    found = stepped(of, Event.POWER_CYCLE, read=known)
    assert found.lock == Lookup("site", "rack")
    told = [(news.what, news.severity) for news in found.news]
    assert told[-2:] == [(What.POWER_CYCLE, Severity.WARNING), (What.POWERING_OFF, Severity.NORMAL)]
    assert stepped(view(standing(Phase.LOST)), Event.POWER_CYCLE).lock is None


def test_a_machine_that_is_back_after_failures_is_told() -> None:
    """Only when it comes up, and only if its starts had failed before."""
    failed = view(standing(Phase.BOOTING, failures=2, wakes=1, woken_at=T0))
    back = stepped(failed, Event.NODE_READY)
    assert [news.what for news in back.news[-2:]] == [What.READY, What.RETURNED]
    first = stepped(view(standing(Phase.BOOTING, wakes=1, woken_at=T0)), Event.NODE_READY)
    assert [news.what for news in first.news] == [What.READY]
    again = step_news(failed, SEEN, standing(Phase.START_FAILED).status, Event.OVERDUE)
    assert [news.what for news in again] == [What.START_FAILED]


# --- rest ----------------------------------------------------------------------------------------------------

SECOND = timedelta(seconds=1)
NEEDED = Ties(needs=(Need(Lookup("site", "m2"), wanted=True, on=False),))
RENAMED = {"identity": Identity(kubernetes_node="old")}


def looked_at(of: MachineView, now: float = 30, **more: Any) -> float | None:
    """Seconds after which the machine is looked at again; None: only news can change anything."""
    waits, pods = more.pop("waits", ()), more.pop("pods_read", False)
    until = rest(of, observed(now), facts(now, **more), waits=waits, looks_at_pods=pods).until
    return None if until is None else (until - at(now)).total_seconds()


@pytest.mark.parametrize(
    ("of", "more", "seconds"),
    [
        (view(standing(Phase.OFF)), {}, None),
        (view(standing(Phase.OFF)), {"waits": (5 * SECOND, SECOND)}, 1),
        (view(standing(Phase.LOST, since=at(-900))), {"pods_read": True}, 15),
        (view(standing(Phase.READY)), {"pods_read": True}, None),
        (view(standing(Phase.OFF), ties=NEEDED), {}, 15),
        (view(wanting(standing(Phase.OFF), wish(ON)), ties=NEEDED), {}, None),
        (view(standing(Phase.OFF, **RENAMED)), {}, 15),
        (view(standing(Phase.BOOTING)), {"reading": (Reading.ON, 20)}, 2),
        (view(standing(Phase.STOP_FAILED)), {"reading": (Reading.ON, 20)}, 15),
        (view(standing(Phase.READY)), {"reading": (Reading.ON, 20)}, None),
        (view(standing(Phase.DRAINING)), {"wish": OFF}, 570),
        (view(standing(Phase.POWERING_OFF)), {}, 270),
    ],
)
def test_a_machine_is_looked_at_again_when_time_alone_may_change_something(of: Any, more: Any, seconds: Any) -> None:
    """At the deadline of its phase, or sooner where something is read, waited for, or hoped for."""
    assert looked_at(of, **more) == seconds


def test_what_is_over_is_not_waited_for() -> None:
    """A moment of the past, or of now, is no reason to look again at once for ever."""
    hold = view(standing(Phase.OFF, spec={"hold": Hold(power="off", until=at(60))}))
    assert looked_at(hold, 30) == 30
    assert looked_at(hold, 60) is None


def test_a_late_lease_is_told_apart_from_time() -> None:
    """A machine that serves is looked at for its kubelet only when a renewal is really late."""
    of = view(standing(Phase.READY), kube=kube_node("m1", ready=True))
    found = rest(of, observed(30), facts(30, node_exists=True, node_ready=True, heard=20), waits=())
    assert (found.until, found.lease) == (None, at(60))
    assert rest(view(standing(Phase.OFF)), observed(30), facts(30), waits=()).lease is None
