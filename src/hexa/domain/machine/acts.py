"""Whether a duty of the phase may be done now: another wake, the cut of a power cycle, the removal of the Kubernetes node."""

from hexa.domain.machine.dues import cycle_due, leave_due, sighted, silence_due, wake_due
from hexa.domain.machine.facts import LONG_AGO, Facts, View
from hexa.domain.machine.lifecycle import COMING
from hexa.domain.machine.trust import believed
from hexa.domain.policy.limits import Limits
from hexa.domain.resources.v1alpha1 import NodeStatus, Power, Reading


def may_cycle(facts: Facts) -> bool:
    """Whether the Job that cuts the power of a machine in a cycle may be made. What led to the cycle is looked at again: hexa may
    have been away since, and the machine may have come back."""
    on = facts.reading is not None and facts.reading.power is Reading.ON
    silent = not facts.node_ready and facts.now >= cycle_due(facts)
    wanted = facts.wish is Power.ON and facts.may_wake and facts.power_cycle_after is not None
    return not facts.blind and not facts.paused and wanted and on and silent


def wake_again(status: NodeStatus, facts: Facts, *, limits: Limits, job_running: bool) -> bool:
    """Whether another wake is due: still wanted, no sign of life since the boot began, attempts left, the last Job over."""
    view = View(status, facts, limits)
    if (
        facts.wish is not Power.ON
        or facts.paused
        or job_running
        or status.wakes >= limits.attempts
        or not facts.may_wake
    ):
        return False
    if view.fresh or view.power is Reading.ON:
        return False
    return facts.now >= max(wake_due(status, limits=limits, crowded=facts.crowded), sighted(status, facts))


def silent(status: NodeStatus, facts: Facts, *, limits: Limits) -> bool:
    """Whether the machine was woken and gives no sign of life: from the end of the first wake interval until there is one."""
    view = View(status, facts, limits)
    if view.phase not in COMING or view.fresh or view.power is Reading.ON or not limits.hedge:
        return False
    due = silence_due(status, facts, limits=limits)
    return status.silent or (due is not None and not facts.paused and facts.now >= due)


def may_leave(status: NodeStatus, facts: Facts, *, shutdown_done: bool) -> bool:
    """The proof that LEAVE needs: a reading Off that is believed (`trust`), or our own shutdown Job done, no reading On, and no
    sign of life for two lease periods. A running kubelet never registers a deleted node again."""
    if facts.blind or facts.paused:
        return False
    reading = facts.reading
    if reading is not None and reading.power is Reading.OFF:
        return believed(reading, facts.life, ordered=shutdown_done, now=facts.now) is Reading.OFF
    since = status.since or LONG_AGO
    if reading is not None and reading.power is Reading.ON and reading.at is not None and reading.at > since:
        return False  # it contradicts what the Job and the silence say
    return shutdown_done and facts.now >= leave_due(facts)
