"""Every rule of hexa, a row each. A new rule is its module beside this one, and a row.

The order of the rows is the order in which vetoes are told: the first stands in `Blocked`, in the annotation of the Kubernetes
node and in a refusal to Cluster Autoscaler. `judge` folds the rows; nobody else lists rules. What rules do (the spare of a hedge,
the cut of a power cycle, the taint) is done in `decide` and by the controllers of groups; here stands what they say, and when they
end.
"""

from typing import Final

from hexa.domain.machine.arrival import NOT_SET_UP
from hexa.domain.machine.identity import IDENTITY_CHANGED
from hexa.domain.machine.lifecycle import phase_of
from hexa.domain.machine.reason import Reason
from hexa.domain.machine.wish import recorded_wish
from hexa.domain.news import Severity, What
from hexa.domain.rules import (
    battery,
    blackouts,
    blocker,
    circuits,
    control_plane,
    cool_off,
    cycles,
    dependencies,
    draining,
    health,
    hedge,
    hold,
    hosts,
    maintenance,
    modes,
    name_in_doubt,
    out_of_service,
    pace,
    pause,
    power_cycle,
    power_unavailable,
    proof,
    quarantine,
    safe_hands,
    setting_up,
    shortest_times,
    spares,
)
from hexa.domain.rules.notice import when_begun
from hexa.domain.rules.rule import Rank, Rule
from hexa.domain.rules.subject import Alone, Among

ALONE: Final[tuple[Rule[Alone], ...]] = (
    Rule(
        name="control plane",
        what="A control-plane member stays on, unless spec.allowControlPlane.",
        reason=Reason.CONTROL_PLANE,
        rank=Rank.SAFETY,
        off=control_plane.off,
    ),
    Rule(
        name="hosts control",
        what="A machine stays on while hexa, Cluster Autoscaler or the only API server runs on it.",
        reason=Reason.HOSTS_CONTROL,
        rank=Rank.SAFETY,
        off=hosts.control,
    ),
    Rule(
        name="hosts storage",
        what="A machine stays on while it holds data for others, unless spec.storage is ignore.",
        reason=Reason.HOSTS_STORAGE,
        rank=Rank.SAFETY,
        off=hosts.storage,
    ),
    Rule(
        name="no way off",
        what="What nothing can switch off is not asked to go.",
        reason=Reason.POWER_OFF_UNAVAILABLE,
        rank=Rank.SAFETY,
        off=power_unavailable.off,
    ),
    Rule(
        name="no way on",
        what="What nothing can wake is not chosen.",
        reason=Reason.POWER_ON_UNAVAILABLE,
        on=power_unavailable.on,
    ),
    Rule(
        name="power button",
        what="A power button is not pressed twice without news in between.",
        reason=Reason.BUTTON_PRESSED,
        on=power_unavailable.button,
    ),
    Rule(
        name="cool-off",
        what="After a drain that was given up a machine is left alone for a time.",
        reason=Reason.COOLING_OFF,
        rank=Rank.DELAYS,
        off=cool_off.off,
        ends=cool_off.ends,
        looked=False,
        remedy="mend what blocked the drain: hexa drain-check {name}",
    ),
    Rule(
        name="minOnTime",
        what="A machine that came up stays up for a time; a person's off passes.",
        reason=Reason.MIN_ON_TIME,
        rank=Rank.STAYS,
        off=shortest_times.off,
        ends=lambda machine, now: (shortest_times.up_until(machine),),
        remedy="hexa off {machine} passes it",
    ),
    Rule(
        name="blackouts",
        what="In weekly windows no program switches a machine off; a person's off passes.",
        reason=Reason.BLACKOUT,
        rank=Rank.STAYS,
        off=blackouts.off,
        ends=blackouts.ends,
        remedy="hexa off {machine} passes it",
    ),
    Rule(
        name="maxCyclesPerDay",
        what="After so many offs within a day a machine stays on until the first of them is a day old; a person's off passes.",
        reason=Reason.MAX_CYCLES,
        rank=Rank.STAYS,
        off=cycles.off,
        ends=lambda machine, now: (cycles.stays_until(machine),),
        remedy="hexa off {machine} passes it, or raise spec.maxCyclesPerDay",
    ),
    Rule(
        name="minOffTime",
        what="A machine that went dark a short time ago is the last to be woken.",
        reason=Reason.MIN_OFF_TIME,
        last=shortest_times.last,
        ends=lambda machine, now: (shortest_times.dark_until(machine),),
        looked=False,
    ),
    Rule(
        name="battery",
        what="While the UPS is on battery no program wakes a machine; by its charge they go off, and only while it is heard.",
        reason=Reason.ON_BATTERY,
        rank=Rank.STAYS,
        off=battery.off,
        on=battery.on,
        says_of_group=lambda scene: battery.says_of_group(scene.policy.battery),
        remedy="hexa on {machine} wakes it all the same",
    ),
    Rule(
        name="hold",
        what="A person's word over a machine or a group: held on it does not go, held off it is not woken.",
        reason=Reason.HOLD,
        off=hold.off,
        on=hold.on,
        ends=hold.ends,
        remedy="hexa auto {name}",
    ),
    Rule(
        name="mode",
        what="A group may want all its machines on (AlwaysOn), or off (AlwaysOff); a person's hold passes.",
        reason=Reason.MODE,
        off=modes.off,
        on=modes.on,
        remedy="set spec.mode: Auto on the Group",
    ),
    Rule(
        name="observe",
        what="Of a group that only observes no machine is switched, by nobody's word.",
        reason=Reason.OBSERVE,
        off=modes.observe,
        on=modes.observe,
        remedy="set spec.mode: Auto on the Group",
    ),
    Rule(
        name="pause",
        what="A paused machine is only watched.",
        reason=Reason.PAUSED,
        off=pause.veto,
        on=pause.veto,
        ends=pause.ends,
        remedy="hexa resume {name}",
    ),
    Rule(
        name="name in doubt",
        what="A machine stays on while nobody knows which of two Kubernetes nodes is its own.",
        reason=Reason.NAME_TAKEN,
        off=name_in_doubt.off,
        says=name_in_doubt.says,
        tells=when_begun(IDENTITY_CHANGED),
        remedy="correct spec.kubernetesNodeName, of this machine or of the other",
    ),
    Rule(
        name="adoption",
        what="What somebody else switched on is kept on for a time (spec.onUnexpectedPower: Adopt).",
        ends=lambda machine, now: (wish.until,) if (wish := recorded_wish(machine.node)) is not None else (),
    ),
    Rule(
        name="quarantine",
        what="What failed to start is left alone, longer after each failure in a row, and sooner if it is seen to work.",
        ends=quarantine.ends,
        looked=False,
    ),
)
"""Rules that look at one machine alone."""

AMONG: Final[tuple[Rule[Among], ...]] = (
    Rule(
        name="SafeHands",
        what="While the site itself is in doubt nothing is switched off, whoever asks.",
        reason=Reason.SAFE_HANDS,
        rank=Rank.SAFETY,
        off=lambda machine, now: machine.safe_hands.vetoes if machine.safe_hands is not None else (),
        says_of_group=lambda scene: safe_hands.says_of_group(scene.safe_hands),
        remedy="it ends by itself once the site is calm; hexa doctor says what is the matter",
    ),
    Rule(
        name="maintenance",
        what="A machine that somebody maintains, by a condition of its Kubernetes node, is only watched; in doubt it stays on.",
        reason=Reason.MAINTENANCE,
        rank=Rank.SAFETY,
        off=maintenance.against_off,
        on=maintenance.against_wake,
        awaits=maintenance.awaits,
        tells=when_begun(Reason.MAINTENANCE, severity=Severity.NORMAL),
        remedy="whoever maintains it takes the condition back; by hand: docs/kube-conditions.md",
    ),
    Rule(
        name="planned maintenance",
        what="A machine whose maintenance is planned rests first, and no program wakes it.",
        reason=Reason.MAINTENANCE_PLANNED,
        on=maintenance.planned,
        remedy="hexa on {machine} wakes it all the same",
    ),
    Rule(
        name="needed by",
        what="A machine stays on while another one that depends on it is on, or wanted on.",
        reason=Reason.NEEDED,
        rank=Rank.SAFETY,
        off=lambda machine, now: (
            dependencies.rest_vetoes(machine.ties, machine.wish(now)) if machine.ties.needs else ()
        ),
        ends=lambda machine, now: (dependencies.idle_from(machine.ties),) if machine.ties.needs else (),
        due=lambda machine, facts: (
            dependencies.room_look(machine.ties, recorded_wish(machine.node), now=facts.now)
            if machine.ties.needs
            else None
        ),
    ),
    Rule(
        name="waits for",
        what="A machine is woken once those that it depends on are Ready, and not chosen while they cannot come.",
        reason=Reason.DEPENDS_ON,
        on=lambda machine, now: dependencies.wake_vetoes(machine.ties, machine.wish(now)) if machine.ties.waits else (),
        waits=lambda machine: dependencies.waits_for(machine.ties),
        says=lambda scene: dependencies.waiting(
            scene.machine.ties, wish=scene.machine.wish(scene.now), phase=phase_of(scene.status)
        ),
        why=dependencies.why,
    ),
    Rule(
        name="circuits",
        what="No wake takes a circuit, or a group, above its maxWatts, whoever asks for it.",
        reason=Reason.CIRCUIT_FULL,
        on=circuits.on,
        later=circuits.over,
        again=circuits.over,
        says=circuits.says,
        awaits=circuits.awaits,
        tells=when_begun(Reason.CIRCUIT_FULL, what=What.CIRCUIT_FULL),
        remedy="rest another machine of the circuit, or raise its maxWatts",
    ),
    Rule(
        name="inrush spacing",
        what="The wakes of one circuit begin apart, those that repeat one included.",
        reason=Reason.INRUSH_SPACING,
        later=circuits.later,
        again=circuits.later,
        says=circuits.waits,
        ends=circuits.ends,
        tells=when_begun(Reason.INRUSH_SPACING, what=What.WAITS_ITS_TURN, severity=Severity.NORMAL),
    ),
    Rule(
        name="wake proof",
        what="Of the machines that hexa has not shown to wake, one of a group may be off; a person's off passes.",
        reason=Reason.WAKE_PROOF,
        rank=Rank.STAYS,
        off=lambda machine, now: proof.proof_vetoes(machine.node, machine.policy, machine.waits_for, now=now),
        ends=lambda machine, now: (proof.proof_ends(machine.node.status, machine.policy),) if machine.group else (),
        says_of_group=lambda scene: proof.says_of_group(scene.holder, scene.members, scene.policy),
        remedy="wake once what is off (hexa on), set spec.exerciseEvery on the group, or spec.wakeProof: Warn",
    ),
    Rule(
        name="spares",
        what="So many idle machines are kept on for pods to come, and no pods are moved onto them; a person's off passes.",
        reason=Reason.SPARE,
        rank=Rank.STAYS,
        off=spares.off,
        ends=lambda machine, now: (spares.settled_at(machine),),
        remedy="lower spec.spares; hexa off {machine} passes it",
    ),
    Rule(
        name="maxDraining",
        what="So many machines of a group go down at once; a person's off passes, and counts.",
        reason=Reason.MAX_DRAINING,
        rank=Rank.STAYS,
        off=draining.off,
        grants=draining.grants,
        remedy="wait, or raise spec.maxDraining; hexa off {machine} passes it",
    ),
    Rule(
        name="rateLimit",
        what="So many machines of a group are woken, and switched off, within a span; the others wait, but a person's off passes.",
        reason=Reason.RATE_LIMIT,
        rank=Rank.STAYS,
        off=pace.off,
        later=pace.later,
        grants=pace.grants,
        ends=pace.ends,
        says=pace.says,
        remedy="wait, or raise spec.rateLimit; hexa off {machine} passes it",
    ),
    Rule(
        name="hedge",
        what="Beside a silent machine a spare is woken; until the silent one comes nobody counts on it.",
        says=hedge.says,
        why=hedge.why,
    ),
    Rule(
        name="power cycle",
        what="The power of a machine that is wanted on, reads On and is silent is cycled (spec.remediation).",
        says=lambda scene: power_cycle.told(scene.cycle_case) if scene.cycle_case is not None else (),
        says_of_group=lambda scene: power_cycle.says_of_group(scene.machines),
        tells=power_cycle.tells,
        awaits=power_cycle.awaits,
    ),
    Rule(
        name="out of service",
        what="On two proofs that a machine is off its pods and volumes are let go (spec.remediation.outOfService).",
        says=out_of_service.says,
        due=out_of_service.next_proof,
    ),
    Rule(
        name="arrival",
        what="A node that became Ready has a minute to lose the taints of not being Ready.",
        ends=setting_up.arrival_ends,
        looked=False,
    ),
    Rule(
        name="set-up",
        what="A Ready node that others still set up is hidden from Cluster Autoscaler for a time.",
        ends=setting_up.ends,
        says=setting_up.says,
        tells=when_begun(NOT_SET_UP, what=What.NOT_SET_UP),
        awaits=setting_up.awaits,
    ),
    Rule(
        name="blocker",
        what="Which rule keeps a machine on that is up, told where the group asks for it.",
        says=blocker.says,
        tells=blocker.tells,
    ),
    Rule(
        name="health checks",
        what="How a machine is, by its sensor, kubelet, wakes and health check, is always said, and acted on by nobody.",
        says=lambda scene: health.standing(scene.signs, scene.machine.policy, now=scene.now),
        tells=health.tells,
    ),
)
"""Rules that look at several machines, or at what becomes of one among others: those are given as values (`Claim`, `Ties`)."""

RULES: Final[tuple[Rule[Alone] | Rule[Among], ...]] = (*ALONE, *AMONG)
