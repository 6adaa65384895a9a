"""What follows from a machine's view and what is observed of it: the facts of the lifecycle table, the reading as it is told, the
signs of its health, and what stands against a power cycle."""

from datetime import datetime
from typing import Final

from msgspec import structs

from hexa.domain.decide.observed import Observed
from hexa.domain.machine.boot import NONE, answered, crowded
from hexa.domain.machine.dues import wake_due
from hexa.domain.machine.facts import Facts
from hexa.domain.machine.identity import acts_on_old
from hexa.domain.machine.lifecycle import COMING, ILL, Phase, phase_of
from hexa.domain.machine.power_job import Outcome, current, shut_down
from hexa.domain.machine.trust import Life, Sample, Told, told
from hexa.domain.machine.unclaimed_nodes import last_up, namesakes, newcomers, possible_nodes, waited_since
from hexa.domain.machine.wish import paused
from hexa.domain.machine_view import MachineView
from hexa.domain.pods.drain import WAKES_AGAIN, Plan
from hexa.domain.resources.health import CheckRecord
from hexa.domain.resources.v1alpha1 import Asker, NodeStatus, Power, Reading
from hexa.domain.rules.health import Signs
from hexa.domain.rules.health_checks import check_of, recorded
from hexa.domain.rules.maintenance import hands_off
from hexa.domain.rules.power_cycle import NOT_ASKED, CycleCase, Verdict, verdict

SILENT: Final = Life()


def facts_of(machine: MachineView, observed: Observed, *, plan: bool) -> Facts:
    """The facts of the lifecycle table. `plan`: whether the pods count, and were read."""
    status, now = machine.node.status, observed.now
    record, life = current(status), life_of(machine, observed)
    return Facts(
        now=now,
        watching_since=observed.sight,
        wish=machine.acted_wish(now),
        lease_period=observed.lease_period,
        node_exists=machine.node_exists,
        node_ready=machine.node_ready,
        heard=life.heard,
        heard_until=life.until,
        reading=reading_of(machine, observed),
        job_done=record is not None and record.outcome == Outcome.DONE,
        job_begun=record is not None or observed.stops,
        pods=observed.plan.left if plan else None,
        force=machine.policy.drain.force and not (plan and must_not_force(machine, observed.plan)),
        paused=inert(machine, now),
        crowded=_crowded(machine, observed),
        may_wake=machine.may_wake(now),
        blind_seconds=observed.blind_seconds,
        skipped=observed.skipped,
        power_cycle_after=verdict_of(machine, observed).after,
    )


def must_not_force(machine: MachineView, plan: Plan) -> bool:
    """Whether no deadline may force the machine off: nobody knows what runs on it, or that would come back at once."""
    return plan.undecided or wakes_again(machine, plan)


def wakes_again(machine: MachineView, plan: Plan) -> bool:
    """Whether pods that are evicted would wake the machine again at once (spec.wakeForPinned): no deadline forces that."""
    return machine.policy.wake_for_pinned and any(blocker.reason in WAKES_AGAIN for blocker in plan.blockers)


def inert(machine: MachineView, now: datetime) -> bool:
    """Only watched: paused, maintained by somebody, or not valid."""
    return not machine.valid or paused(machine.node, now=now) is not None or hands_off(machine.kube)


def with_status(machine: MachineView, status: NodeStatus) -> MachineView:
    """The machine as it will be once the status is saved."""
    return structs.replace(machine, node=structs.replace(machine.node, status=status))


def marks_of(machine: MachineView, observed: Observed) -> dict[str, str]:
    """What speaks for the kubelet now."""
    node = machine.kube.metadata.uid if machine.kube is not None else "" if machine.node_exists else NONE
    return {"lease": observed.renewal, "node": node}


def life_of(machine: MachineView, observed: Observed) -> Life:
    """The last sign of life that we saw. One that came while we were away counts from when we began to watch."""
    if observed.heard is not None:
        return Life(heard=observed.heard, until=observed.heard_until)
    since = observed.hearing_since
    if since is None or not answered(machine.node.status, **marks_of(machine, observed)):
        return SILENT
    return Life(heard=since, until=since + observed.lease_period)


def alive(observed: Observed) -> bool:
    """A change of its Lease was seen less than a lease period ago."""
    return observed.heard_until is not None and observed.now < observed.heard_until


def reading_of(machine: MachineView, observed: Observed) -> Sample | None:
    """The reading that counts: that of an address which was named after the power-off began says nothing of it."""
    reading = observed.reading
    return structs.replace(reading, power=Reading.UNKNOWN) if reading and acts_on_old(machine.node) else reading


def told_reading(machine: MachineView, observed: Observed) -> Told:
    """The reading as far as it is believed, and what contradicts it."""
    status = machine.node.status
    expected = observed.sight if machine.kube is not None else None
    heard = Life(heard=observed.heard, until=observed.heard_until, expected_from=expected)
    return told(
        reading_of(machine, observed), heard, ordered=shut_down(status), before=status.reading, now=observed.now
    )


def signs_of(machine: MachineView, observed: Observed, status: NodeStatus, *, read: Told | None = None) -> Signs:
    """What its health is judged by, in this status."""
    read = read or told_reading(machine, observed)
    declares = machine.node.spec.healthcheck_pod_spec is not None
    return Signs(
        status=status,
        kube_name=machine.kube_name,
        ready=machine.kubelet_says,
        node_exists=machine.node_exists,
        alive=alive(observed),
        reading=read.reading,
        contradiction=read.contradiction,
        trouble=observed.sensor_trouble,
        check=check_record(machine, observed, status) if declares else None,
        check_trouble=observed.check.trouble if observed.check is not None else "",
        possible_nodes=possible_nodes_of(machine, observed, status),
    )


def check_record(machine: MachineView, observed: Observed, status: NodeStatus) -> CheckRecord | None:
    """What the status tells of its health check; None: it has none, and no CronJob of one."""
    seen = observed.check
    if seen is None:
        return None
    if machine.observing or check_of(machine.node, kubernetes_node=machine.kube_name) is None:
        return None if seen.gone or status.check is None else CheckRecord(name=status.check.name)
    return recorded(status, name=seen.name, run=seen.run)


def possible_nodes_of(machine: MachineView, observed: Observed, status: NodeStatus) -> tuple[str, ...]:
    """Kubernetes nodes that may be this machine's under another name."""
    since = None if machine.kube is not None else waited_since(status)
    return () if since is None else possible_nodes(observed.unclaimed, machine.kube_name, since=since)


def namesakes_of(machine: MachineView, observed: Observed, *, silent: bool = False) -> tuple[str, ...]:
    """Kubernetes nodes that may be the machine's, while its own is not Ready: its kubelet may have joined under another name. A
    person who wants it off has been told of those whose name is nothing like its own; a program has not. `silent`: those that are
    not Ready any more too: that is no proof that nothing runs there."""
    if machine.node_ready:
        return ()
    status, wish = machine.node.status, machine.wish(observed.now)
    silent_since = last_up(status) if silent else None
    found = namesakes(observed.unclaimed, machine.kube_name, since=status.last_startup_time, silent_since=silent_since)
    if found or (wish is not None and wish.power is Power.OFF and wish.by in (Asker.USER, Asker.HOLD)):
        return found
    within = machine.limits.power_on + machine.limits.boot
    return newcomers(observed.unclaimed, status, within=within, silent=silent)


def verdict_of(machine: MachineView, observed: Observed) -> Verdict:
    """Whether the machine's power may be cycled."""
    case = cycle_case_of(machine, observed)
    return NOT_ASKED if case is None else verdict(case)


def cycle_case_of(machine: MachineView, observed: Observed) -> CycleCase | None:
    """The machine and all that is known around it; None: nobody asks for a power cycle."""
    cycling = machine.phase is Phase.POWERING_OFF and machine.node.status.remediation.cycling
    if machine.group is None or machine.policy.power_cycle is None or not (machine.phase in ILL or cycling):
        return None
    return CycleCase(
        node=machine.node,
        policy=machine.policy,
        limits=machine.limits,
        member=machine.member(observed.now),
        others=observed.members,
        holder=machine.waits_for,
        sensed=observed.reading is not None,
        control_plane=machine.control_plane,
        site=observed.site,
        namesakes=namesakes_of(machine, observed),
        now=observed.now,
    )


def _crowded(machine: MachineView, observed: Observed) -> bool:
    """Asked only where it makes a difference."""
    status, limits, now = machine.node.status, machine.limits, observed.now
    if phase_of(status) not in COMING or machine.group is None or limits.wake_interval == limits.patient_interval:
        return False
    if now < wake_due(status, limits=limits) or now >= wake_due(status, limits=limits, crowded=True):
        return False
    return crowded(status, observed.woken, limits=limits)
