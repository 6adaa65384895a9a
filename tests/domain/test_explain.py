"""Why machines are as they are: every phase says what it waits for and until when, every obstacle its rule and remedy."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import LIMITS, OFF, ON, T0, at, facts, kube_node, machine, status, wish

from hexa.domain.group.sizing import Member
from hexa.domain.group.watts import Place
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Reason, Veto
from hexa.domain.machine.wish import effective_wish, wish_patch
from hexa.domain.names import OFF_FORBIDDEN_ANNOTATION, RELEASED_ANNOTATION, SCALE_DOWN_DISABLED
from hexa.domain.policy.circuits import Circuit
from hexa.domain.policy.policy import Policy
from hexa.domain.policy.problem import Problem
from hexa.domain.resources.core import Condition, KubeNode, KubeNodeSpec, Taint
from hexa.domain.resources.v1alpha1 import Asker, Hold, JobRecord, Lookup, Node, Paused, Power, PowerReading, Reading
from hexa.domain.rules.acted import acted_power
from hexa.domain.rules.own import off_vetoes, on_vetoes
from hexa.domain.words.demands import demands
from hexa.domain.words.explain import obstacle, stale, summary
from hexa.domain.words.kept import kept_from_waking, kept_on, of_veto
from hexa.domain.words.known import Known
from hexa.domain.words.waits import waits

KEY = Lookup("site", "m1")
NOW = 60.0
CILIUM = "node.cilium.io/agent-not-ready"


def asked(node: Node, power: Power, by: Asker = Asker.CLUSTER_AUTOSCALER) -> Node:
    """The node with a recorded wish since T0."""
    notes = wish_patch(node, wish(power, by))["metadata"]["annotations"]
    spec = structs.replace(node.spec, power_state=power.value)
    return structs.replace(node, metadata=structs.replace(node.metadata, annotations=notes), spec=spec)


def known(
    node: Node,
    *,
    policy: Policy = Policy(),  # noqa: B008
    kube: KubeNode | None = None,
    hosts: tuple[str, ...] = (),
    problems: tuple[Problem, ...] = (),
    now: float = NOW,
) -> Known:
    """Everything around a machine, judged as the agent judges it."""
    vetoes = tuple(off_vetoes(node, policy, hosts=hosts, control_plane=False, now=at(now)))
    wakes = tuple(on_vetoes(node, policy, now=at(now)))
    cool = node.status.cool_until
    member = Member(
        key=KEY,
        phase=Phase(node.status.phase) if node.status.phase else Phase.UNKNOWN,
        wish=effective_wish(node, policy, now=at(now)),
        off_vetoes=vetoes,
        on_vetoes=wakes,
        cooling=cool is not None and cool > at(now),
    )
    acted = acted_power(node, policy, vetoes=vetoes, now=at(now))
    return Known(
        key=KEY,
        node=node,
        group=Lookup("site", "rack"),
        policy=policy,
        limits=LIMITS,
        member=member,
        others=[member],
        acted=acted,
        problems=problems,
        valid=not problems,
        facts=facts(now, wish=acted, node_exists=kube is not None, may_wake=not wakes),
        kube=kube,
    )


def in_phase(phase: Phase, power: Power, **changes: Any) -> Node:
    """A machine in a phase since T0, of which Cluster Autoscaler wants something."""
    node = structs.replace(machine(), status=status(phase, **changes))
    return asked(node, power)


@pytest.mark.parametrize(
    ("key", "seconds", "hidden"), [(CILIUM, 299, True), (CILIUM, 301, False), ("example.com/x", 1, False)]
)
def test_a_node_that_is_being_set_up_is_waited_for(key: str, seconds: float, hidden: bool) -> None:
    """A Ready machine that Cluster Autoscaler is not shown yet says why, and until when."""
    node = in_phase(Phase.READY, ON)
    kube = kube_node(spec=KubeNodeSpec(taints=(Taint(key=key, effect="NoSchedule"),)))
    found = [wait for wait in waits(known(node, kube=kube, now=seconds)) if f"the taint {key} stands" in wait.text]
    assert [wait.until for wait in found] == ([at(300)] if hidden else [])


TO_BE_CYCLED = {
    "conditions": (Condition(type="Remediation", status="True", reason="Waiting", message="its power is cycled"),)
}
STORM = {"conditions": (Condition(type="Remediation", status="False", reason="Storm", message="3 are ill"),)}
COOL = {"cool_until": at(300.0), "failures": 2}


@pytest.mark.parametrize(
    ("node", "text", "until"),
    [
        (in_phase(Phase.UNKNOWN, ON, wakes=1), "a sign of life or a power reading", T0),
        (in_phase(Phase.OFF, OFF), "a wish for on", None),
        (in_phase(Phase.OFF, ON), "hexa to send the first wake", None),
        (in_phase(Phase.POWERING_ON, ON, wakes=1, woken_at=T0), "wake 2 of 3 is sent", T0 + LIMITS.wake_interval),
        (in_phase(Phase.POWERING_ON, ON, wakes=3), "a sign of power; without one it has failed", T0 + LIMITS.power_on),
        (in_phase(Phase.BOOTING, ON, wakes=3), "a Ready Kubernetes node", T0 + LIMITS.boot),
        (in_phase(Phase.READY, OFF), "hexa to begin the drain", None),
        (in_phase(Phase.READY, OFF, **COOL), "then it is drained again", at(300.0)),
        (in_phase(Phase.DRAINING, OFF), "else the drain is given up", T0 + LIMITS.drain),
        (in_phase(Phase.POWERING_OFF, OFF), "the machine to go dark", T0 + LIMITS.power_off),
        (in_phase(Phase.START_FAILED, ON, **COOL), "then it is looked at anew", at(300.0)),
        (in_phase(Phase.STOP_FAILED, OFF, **COOL), "then it is drained and switched off again", at(300.0)),
        (in_phase(Phase.LOST, ON), "else it is woken", T0 + LIMITS.lost),
        (in_phase(Phase.LOST, OFF), "its kubelet, or a person", None),
        (in_phase(Phase.LOST, ON, **TO_BE_CYCLED), "a sign of life; else its power is cycled", None),
        (in_phase(Phase.START_FAILED, ON, **TO_BE_CYCLED), "a sign of life; else its power is cycled", None),
        (in_phase(Phase.LOST, ON, **STORM), "its power is not cycled, by Storm: 3 are ill", None),
        (machine(), "hexa to see it for the first time", None),
    ],
)
def test_every_phase_says_what_it_waits_for(node: Node, text: str, until: Any) -> None:
    """And until when, by the same limits that the agent acts by."""
    first = waits(known(node))[0]
    assert text in first.text
    assert first.until == until


def test_a_machine_that_hangs_with_power_waits_for_its_cycle_alone() -> None:
    """While it reads On no wake would help; where its power is not read, or not cycled, the wake stays what comes."""
    hangs = {"reading": PowerReading(power=Reading.ON, source="pdu", at=T0)}
    assert len(waits(known(in_phase(Phase.LOST, ON, **TO_BE_CYCLED, **hangs)))) == 1
    assert len(waits(known(in_phase(Phase.LOST, ON, **TO_BE_CYCLED)))) == 2
    assert "else it is woken" in waits(known(in_phase(Phase.LOST, ON, **hangs)))[0].text


def test_steady_machines_wait_for_nothing() -> None:
    """A machine that is on and wanted on just runs."""
    assert waits(known(in_phase(Phase.READY, ON))) == []


def test_a_machine_in_quarantine_waits_for_its_quiet_wake() -> None:
    """Until it is due; from then on for its turn, which no time tells and which is no sign of an agent that is away."""
    off = known(in_phase(Phase.OFF, OFF))
    policy = structs.replace(off.policy, probes_wake=True)
    for due, until in ((at(3600.0), at(3600.0)), (at(-3600.0), None)):
        member = structs.replace(off.member, probe_due=due)
        probed = structs.replace(off, policy=policy, member=member)
        assert [(wait.text[:12], wait.until) for wait in waits(probed)] == [
            ("a wish for o", None),
            ("a quiet wake", until),
        ]
    assert len(waits(off)) == 1


def test_a_released_machine_says_so_and_how_to_take_it_back() -> None:
    """Whatever is wanted of it, hexa does nothing to it, and that is not taken for an agent that is away."""
    node = in_phase(Phase.READY, OFF)
    notes = {**node.metadata.annotations, RELEASED_ANNOTATION: "2026-01-01T00:00:00Z"}
    given_up = known(structs.replace(node, metadata=structs.replace(node.metadata, annotations=notes)))
    stands = obstacle(given_up)
    assert stands is not None
    assert stands.rule == "Released"
    assert f"kubectl annotate hn m1 -n site {RELEASED_ANNOTATION}-" in stands.remedy
    assert "it was released" in summary(given_up)
    assert (waits(given_up), stale(given_up)) == ([], "")


def test_jobs_are_named() -> None:
    """What the power Job waits for is told while the phase works with it."""
    job = JobRecord(name="m1-startup-1", action="startup", attempt=1, message="waits for an image")
    told = waits(known(in_phase(Phase.POWERING_ON, ON, wakes=3, attempt=1, job=job)))
    assert told[-1].text == "startup Job site/m1-startup-1, running: waits for an image"


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("power", [ON, OFF])
def test_every_phase_has_a_sentence(phase: Phase, power: Power) -> None:
    """The summary names the machine, what it is, and who wants what."""
    told = summary(known(in_phase(phase, power)))
    assert told.startswith("m1 ")
    assert f"cluster-autoscaler wants it {power}" in told


def test_holds_decide_and_what_is_beneath_is_shown() -> None:
    """A person's word over the group, with its end and reason, and the wish that comes back after it."""
    hold = Hold(power="off", until=at(3600.0), reason="move")
    top, beneath = demands(known(in_phase(Phase.READY, ON), policy=Policy(hold=hold)))
    assert (top.power, top.by, top.object) == (OFF, Asker.HOLD, "Group site/rack spec.hold")
    assert (top.until, top.reason) == (at(3600.0), "move")
    assert (beneath.power, beneath.by, beneath.since) == (ON, Asker.CLUSTER_AUTOSCALER, T0)


def test_nobody_asked() -> None:
    """A machine without any wish stays as it was found, and the sentence says so."""
    node = machine(phase=Phase.READY)
    assert demands(known(node)) == []
    assert "stays as found" in summary(known(node))


def test_a_plain_edit_is_a_wish_by_user() -> None:
    """spec.powerState that differs from the record stands in the spec, and its begin is not known."""
    node = in_phase(Phase.READY, ON)
    edited = structs.replace(node, spec=structs.replace(node.spec, power_state="off"))
    (top,) = demands(known(edited))
    assert (top.power, top.by, top.object, top.since) == (OFF, Asker.USER, "Node site/m1 spec.powerState", None)


@pytest.mark.parametrize(
    ("made", "rule"),
    [
        (known(in_phase(Phase.READY, OFF), hosts=("ca/ca-0",)), "HostsControl"),
        (known(in_phase(Phase.READY, OFF, cool_until=at(300.0), blocker="web")), "CoolingOff"),
        (known(in_phase(Phase.DRAINING, OFF, blocker="apps/web: PDB")), "DrainBlocked"),
        (
            known(asked(structs.replace(machine(startup_pod_spec=None), status=status(Phase.OFF)), ON)),
            "PowerOnUnavailable",
        ),
        (known(asked(structs.replace(machine(paused=Paused()), status=status(Phase.OFF)), ON)), "Paused"),
        (known(asked(structs.replace(machine(paused=Paused()), status=status(Phase.OFF)), OFF)), ""),
        (known(in_phase(Phase.LOST, OFF)), "LostWithPods"),
        (known(in_phase(Phase.START_FAILED, ON)), "StartFailed"),
        (known(in_phase(Phase.OFF, ON), problems=(Problem("spec.x", "is wrong", "mend it", reason="Bad"),)), "Bad"),
        (known(in_phase(Phase.READY, ON), hosts=("ca/ca-0",)), ""),
    ],
)
def test_what_stands_against_a_wish(made: Known, rule: str) -> None:
    """The one rule that matters most; none where the machine is what is wanted."""
    stands = obstacle(made)
    assert (stands.rule if stands else "") == rule


def test_invalid_machines_are_only_watched() -> None:
    """That is what is waited for, and what keeps it from being woken."""
    made = known(in_phase(Phase.OFF, ON), problems=(Problem("spec.x", "is wrong", "mend it"),))
    assert "only watched" in waits(made)[0].text
    assert [reason.rule for reason in kept_from_waking(made)] == ["Invalid"]


def test_limits_of_the_group_keep_machines() -> None:
    """minSize keeps the last one on, and maxSize keeps the next one off."""
    on, off = known(in_phase(Phase.READY, ON), policy=Policy(min_size=1)), known(in_phase(Phase.OFF, OFF))
    assert [reason.rule for reason in kept_on(on)] == ["MinSize"]
    again = structs.replace(off.member, wish=on.member.wish, phase=Phase.BOOTING, failures=1)
    (reason,) = kept_on(structs.replace(on, others=[on.member, again]))
    assert reason.text == "the group has 1 machines on or coming and 1 for now only, and minSize is 1"
    full = structs.replace(off, policy=Policy(max_size=1), others=[on.member, off.member])
    assert [reason.rule for reason in kept_from_waking(full)] == ["MaxSize"]
    assert [reason.rule for reason in kept_from_waking(known(in_phase(Phase.OFF, OFF, **COOL)))] == ["CoolingOff"]


def test_a_circuit_without_watts_keeps_a_machine_from_being_chosen() -> None:
    """Nobody wants it on, and the person who asks why it is not woken is told what is short, and in whose field."""
    rack = Circuit(name="site/rack", watts=500, of_group=True)
    made = known(in_phase(Phase.OFF, OFF))
    full = structs.replace(made.member, places=(Place(circuit=rack, watts=300, needs=295, room=200),))
    (reason,) = kept_from_waking(structs.replace(made, member=full))
    assert (reason.rule, reason.object) == ("CircuitFull", "Group site/rack spec.maxWatts")
    assert reason.text == "Group site/rack bears 500 W, and fewer than the 295 W that this machine adds are left"


def test_somebody_else_s_annotation_is_told() -> None:
    """Cluster Autoscaler never asks for a node that somebody excepted; our own mark follows from the other rules."""
    foreign = kube_node(annotations={SCALE_DOWN_DISABLED: "true"})
    (reason,) = kept_on(known(in_phase(Phase.READY, ON), kube=foreign))
    assert reason.remedy == f"kubectl annotate node k1 {SCALE_DOWN_DISABLED}-"
    ours = kube_node(annotations={SCALE_DOWN_DISABLED: "true", OFF_FORBIDDEN_ANNOTATION: "Hold"})
    assert kept_on(known(in_phase(Phase.READY, ON), kube=ours)) == []


def test_remedies_name_the_object() -> None:
    """Letting go is a command that can be copied."""
    own = asked(structs.replace(machine(hold=Hold(power="on")), status=status(Phase.READY)), OFF)
    assert kept_on(known(own))[0].remedy == "hexa auto site/m1"
    (held,) = kept_on(known(in_phase(Phase.READY, OFF), policy=Policy(hold=Hold(power="on"))))
    assert held.remedy == "hexa auto --group site/rack"


def test_what_passes_the_shortest_time_of_a_group_is_an_off_of_the_machine_alone() -> None:
    """Where the Group sets minOnTime, `hexa why` names the command for this machine, not one that holds the whole group off."""
    veto = Veto(Reason.MIN_ON_TIME, "it came up a short time ago", at(600), "spec.minOnTime", of_group=True)
    told = of_veto(known(machine()), veto)
    assert told.remedy == "hexa off site/m1 passes it"
    assert told.object == "Group site/rack spec.minOnTime"


def test_a_status_that_no_agent_keeps_is_told() -> None:
    """No status, a spec that is not taken in, a wish that is not known, and a deadline long past."""
    assert stale(known(machine())) == "the object has no status"
    node = in_phase(Phase.DRAINING, OFF, wish=wish(OFF))
    assert stale(known(node)) == ""
    changed = structs.replace(node, metadata=structs.replace(node.metadata, generation=2))
    assert "last change of its spec" in stale(known(changed))
    assert "does not know" in stale(known(in_phase(Phase.DRAINING, OFF)))
    assert "its pods to leave" in stale(known(node, now=(LIMITS.drain + timedelta(minutes=2)).total_seconds()))
