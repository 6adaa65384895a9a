"""Who decides: the wish for a machine, from hold, annotation and spec.powerState, and how a new wish is written.

Rank: safety > hold > a UPS on battery > what the group wants of all its machines > Cluster Autoscaler and plain edits of
spec.powerState, the last change winning between these two; hexa's own wishes (`recovery`) rank with them. Safety is vetoes: they
come from `rules`, and what is acted on under them is in `rules.acted`.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import structs

from hexa.domain.machine.lifecycle import TRANSITIONS, Event, Phase, phase_of
from hexa.domain.machine.reason import Reason, until_text
from hexa.domain.names import WISH_ANNOTATION
from hexa.domain.policy.policy import Policy
from hexa.domain.policy.schedules import Setter
from hexa.domain.policy.values import active_hold, power_of
from hexa.domain.resources.bounds import bounded
from hexa.domain.resources.core import UNREADABLE, ManagedFields
from hexa.domain.resources.group_values import Mode
from hexa.domain.resources.v1alpha1 import (
    Asker,
    Hold,
    Node,
    OnUnexpectedPower,
    OwnedMetadata,
    Paused,
    Power,
    WishRecord,
)

GITOPS_MANAGERS: Final = (
    "kustomize-controller",
    "argocd-controller",
    "argocd-application-controller",
    "helm-controller",
    "flux",
)
"""Field managers of GitOps tools: a field that one of them owns is never written by us. Matched by prefix for flux."""
BY_HAND: Final = ("kubectl", "hexa")
"""Beginnings of field managers that apply on a person's word, or ours. Whatever else applies server-side does so again and again:
other GitOps tools, and tools that keep infrastructure as it is written."""


def powerstate_manager(node: Node) -> str:
    """The GitOps manager that owns spec.powerState; empty if none does."""
    return gitops_manager(node.metadata, "powerState")


def gitops_manager(metadata: OwnedMetadata, field: str = "") -> str:
    """The GitOps manager that owns the field of the spec (none named: anything of the spec); empty if none does."""
    for entry in metadata.managed_fields:
        owned = entry.fields_v1.get("f:spec", {})
        if _keeps_applying(entry) and (f"f:{field}" in owned if field else owned):
            return entry.manager
    return ""


def _keeps_applying(entry: ManagedFields) -> bool:
    if entry.manager.startswith(GITOPS_MANAGERS):
        return True
    return entry.operation == "Apply" and bool(entry.manager) and not entry.manager.startswith(BY_HAND)


def recorded_wish(node: Node) -> WishRecord | None:
    """The wish in the annotation; an unreadable one counts as absent."""
    text = node.metadata.annotations.get(WISH_ANNOTATION)
    return _decoded(text) if text else None


@lru_cache(maxsize=4096)
def _decoded(text: str) -> WishRecord | None:
    """Every question about a machine begins with its wish; the text of most never changes."""
    try:
        return bounded(msgspec.json.decode(text, type=WishRecord))
    except UNREADABLE:
        return None


def base_wish(node: Node, *, now: datetime) -> WishRecord | None:
    """The wish beneath any hold: the recorded one, unless somebody changed spec.powerState since.

    None: nobody ever asked for anything, and the machine stays as found.
    """
    recorded = recorded_wish(node)
    spec = spec_power(node)
    if spec is None or (recorded is not None and _spec_then(recorded) == spec):
        return recorded
    return WishRecord(power=spec, by=Asker.USER, reason=Reason.POWER_STATE_CHANGED, since=now, spec=spec.value)


def spec_power(node: Node) -> Power | None:
    """What spec.powerState says; None where it is absent."""
    return None if node.spec.power_state is None else power_of(node.spec.power_state)


def _spec_then(recorded: WishRecord) -> Power:
    return Power(recorded.spec) if recorded.spec else recorded.power


def standing_wish(node: Node, policy: Policy, *, now: datetime) -> WishRecord | None:
    """The wish beneath any hold, as it stands now: a schedule's ends with its window, and is hexa's own then."""
    wish = base_wish(node, now=now)
    if wish is None or wish.by is not Asker.SCHEDULE:
        return wish
    return wish if sets_wish(wish, policy) is not None else structs.replace(wish, by=Asker.RECOVERY)


def sets_wish(wish: WishRecord, policy: Policy) -> Setter | None:
    """The schedule behind a wish; None: none holds that would ask for it."""
    if wish.by is not Asker.SCHEDULE:
        return None
    size = "min_size" if wish.power is Power.ON else "max_size"
    return policy.by.get(_VALUES.get(wish.reason, size))


_VALUES: Final[Mapping[str, str]] = {Reason.MODE: "mode", Reason.SPARE: "spares"}
"""Reasons of wishes that no size of the group asks for: which of its values does."""


def held(node: Node, policy: Policy, *, now: datetime) -> Hold | None:
    """The hold that stands over the machine: its own, else its group's."""
    return active_hold(node.spec.hold, now=now) or active_hold(policy.hold, now=now)


def effective_wish(node: Node, policy: Policy, *, now: datetime) -> WishRecord | None:
    """What is wanted now: a hold, else what the group wants of all its machines, else what stands beneath. Nothing, where the group
    only observes: a hold is not acted on there either."""
    if policy.mode is Mode.OBSERVE:
        return None
    base, hold = standing_wish(node, policy, now=now), held(node, policy, now=now)
    if hold is not None:
        power = power_of(hold.power)
        wish = WishRecord(power=power, by=Asker.HOLD, reason=Reason.HOLD, since=now)
        return _over(base, node, structs.replace(wish, make_room=hold.make_room and power is Power.OFF))
    if (stands := policy.battery) is not None and stands.ordered and _wants_on(base, policy):
        wish = WishRecord(power=Power.OFF, by=Asker.UPS, reason=Reason.ON_BATTERY, since=stands.since)
        return _over(base, node, wish)
    if policy.wanted is not None:
        return _over(base, node, WishRecord(power=policy.wanted, by=policy.wanted_by, reason=Reason.MODE, since=now))
    return base


def _wants_on(base: WishRecord | None, policy: Policy) -> bool:
    """Whether the machine is to be on, or stays as it is found, beneath any hold."""
    return policy.wanted is Power.ON if policy.wanted is not None else base is None or base.power is Power.ON


def _over(base: WishRecord | None, node: Node, wish: WishRecord) -> WishRecord:
    """A wish above the one that is written down: since when it stands, the status tells."""
    previous, spec = node.status.wish, base.spec if base else ""
    same = previous is not None and (previous.by, previous.power) == (wish.by, wish.power)
    return structs.replace(wish, spec=spec, since=previous.since if same and previous is not None else wish.since)


def overrules(wish: WishRecord | None) -> bool:
    """Whether it is above what Cluster Autoscaler, hexa and edits of spec.powerState want."""
    return wish is not None and (wish.by in (Asker.HOLD, Asker.UPS) or wish.reason == Reason.MODE)


def paused(node: Node, *, now: datetime) -> Paused | None:
    """The pause while it stands."""
    pause = node.spec.paused
    if pause is None or (pause.until is not None and pause.until <= now):
        return None
    return pause


def wish_patch(node: Node, wish: WishRecord) -> dict[str, Any]:
    """The merge patch that records `wish`: the annotation, and spec.powerState with it unless a GitOps manager owns that."""
    writes_spec = not powerstate_manager(node) and not (node.spec.power_state is None and wish.by in OURS)
    spec = spec_power(node)
    kept = wish.power if writes_spec else spec
    record = structs.replace(wish, spec=kept.value if kept else "")
    patch: dict[str, Any] = {"metadata": {"annotations": _annotation(record)}}
    if writes_spec and spec is not wish.power:
        patch["spec"] = {"powerState": wish.power.value}
    return patch


def forgotten_wish(node: Node, *, now: datetime) -> dict[str, str]:
    """The annotation of a machine that is given up: what was wanted of it is over. Taken back, it stays as it is found then, unless
    somebody has changed spec.powerState; `power` counts only where a hold stands in the way of that."""
    power, spec = Power.OFF if phase_of(node.status) is Phase.OFF else Power.ON, spec_power(node)
    record = WishRecord(
        power=power, by=Asker.RECOVERY, reason=Reason.ADOPTED, since=now, spec=spec.value if spec else ""
    )
    return _annotation(record)


def _annotation(record: WishRecord) -> dict[str, str]:
    return {WISH_ANNOTATION: json.dumps(msgspec.to_builtins(record), sort_keys=True)}


OURS: Final = frozenset({Asker.RECOVERY, Asker.SCHEDULE})
"""Who leaves spec.powerState alone where it is absent."""
PROGRAMS: Final = frozenset({Asker.CLUSTER_AUTOSCALER, Asker.RECOVERY, Asker.SCHEDULE, Asker.UPS})
"""Who asks for any machine of a group: their off is taken back where it can't be had. (A schedule's is asked for again.)"""

UP: Final = frozenset({Phase.READY, Phase.DRAINING, Phase.POWERING_ON, Phase.BOOTING})
"""Phases in which an off that safety forbids means: keep it."""

DEFAULT_POLICY: Final = Policy()
FOUND: Final = {Phase.READY: Power.ON, Phase.BOOTING: Power.ON, Phase.OFF: Power.OFF}
"""What adoption makes of a phase; the others do not tell yet."""
UNASKED: Final = frozenset({Reason.EXERCISE, Reason.PROBE})
"""Reasons of on wishes that nobody asked for: such a machine rests again when it is up and idle."""
WELCOME_LATE: Final = frozenset({Reason.REPLACED, Reason.GIVEN_UP})
"""Nobody wants the machine itself off: when it comes after all, it stays while the group has room."""
NOBODYS_OFF: Final = WELCOME_LATE | {Reason.ADOPTED}
"""Reasons of off wishes that nobody would miss: a machine that is on after all stays on."""
NOT_ASKED: Final = frozenset(
    {*UNASKED, Reason.FOUND_ON, Reason.NEEDED, Reason.MAKES_ROOM, Reason.MODE, Reason.PINNED_POD}
)
"""Reasons of on wishes of this very machine: nobody asked for a machine of its group, and no other would do."""
UNEXPECTED: Final = frozenset({Reason.FOUND_ON, Reason.FOUND_OFF, Reason.CORRECTED})
"""Reasons of what hexa makes of power that somebody else switched."""


def corrected_wish(
    node: Node, event: Event | None, *, held: bool, room: bool, now: datetime, policy: Policy = DEFAULT_POLICY
) -> WishRecord | None:
    """The wish that hexa itself sets (`recovery`), before `event` is acted on; None: the wish stands.

    - Somebody else switched the power: as the group's onUnexpectedPower says.
    - Never asked for anything, or not since its status was lost (a backup was restored): it stays as it is found.
    - A drain was given up: Cluster Autoscaler's off (and hexa's own) is taken back, so that the target rises again.
    - A late arrival whose place was taken, or that was given up, is kept while the group has room.
    """
    if held:
        return None
    phase, wish = phase_of(node.status), base_wish(node, now=now)
    if wish is None or (not node.status.phase and wish.by in PROGRAMS):
        power = _adopted(phase, event, wish)
        return None if power is None else _recovery(power, Reason.ADOPTED, now)
    found = _unexpected(phase, event, wish, policy, now)
    gone = event is Event.POWER_GONE  # it goes dark now: what its drain or its coming was about is over
    if found is not None or gone or wish.power is Power.ON or phase is not Phase.READY or wish.by not in PROGRAMS:
        return found
    until = node.status.cool_until
    if until is not None and until > now:
        return _recovery(Power.ON, Reason.DRAIN_GIVEN_UP, now)
    return _recovery(Power.ON, Reason.LATE_ARRIVAL, now) if wish.reason in WELCOME_LATE and room else None


def settled_wish(node: Node, policy: Policy, *, now: datetime) -> WishRecord | None:
    """While the group wants the same of all its machines: what a program asked for before is over once the machine is as it is
    wanted, so that it stays as it is when the group wants that no more. None: the wish beneath stands."""
    base = base_wish(node, now=now)
    if base is None or base.by not in PROGRAMS or base.power is policy.wanted:
        return None
    found = _SETTLED.get(phase_of(node.status))
    return _recovery(found, Reason.ADOPTED, now) if found is not None and found is policy.wanted else None


_SETTLED: Final = {Phase.READY: Power.ON, Phase.OFF: Power.OFF}


def _recovery(power: Power, reason: str, now: datetime) -> WishRecord:
    return WishRecord(power=power, by=Asker.RECOVERY, reason=reason, since=now)


def _unexpected(
    phase: Phase, event: Event | None, wish: WishRecord, policy: Policy, now: datetime
) -> WishRecord | None:
    """Power that somebody else switched, and an adoption that is over.

    A machine that goes dark is woken again by the table, for a button, a crash and mains that fail look alike, and pods wait.
    """
    then, does = _asks_again(wish), policy.on_unexpected_power
    if wish.power is Power.ON:
        if wish.until is not None and wish.until <= now:
            return structs.replace(_recovery(Power.OFF, Reason.ADOPTION_OVER, now), by=wish.then or Asker.RECOVERY)
        seen_off = phase in (Phase.READY, Phase.LOST) and event is Event.POWER_GONE
        return _recovery(Power.OFF, Reason.FOUND_OFF, now) if seen_off and does is OnUnexpectedPower.IGNORE else None
    if phase is not Phase.OFF or event is not Event.POWER_SEEN:
        return None
    on = _recovery(Power.ON, Reason.FOUND_ON, now)
    if wish.reason in NOBODYS_OFF or does is OnUnexpectedPower.IGNORE:
        return on
    if does is OnUnexpectedPower.ADOPT:
        return structs.replace(on, until=now + policy.adopted_for, then=then)
    return (
        None
        if wish.reason == Reason.CORRECTED
        else structs.replace(_recovery(Power.OFF, Reason.CORRECTED, now), by=then)
    )


def unexpected(wish: WishRecord) -> str:
    """What hexa makes of power that somebody else switched, for people."""
    match wish.reason:
        case Reason.FOUND_OFF:
            return "somebody else switched it off, or its power failed; left off"
        case Reason.CORRECTED:
            return f"somebody else switched it on, or its power came back; {wish.by} wants it off: drained and switched off"
        case _:
            return f"somebody else switched it on, or its power came back; kept on{until_text(wish.until)}"


def _asks_again(wish: WishRecord) -> Asker:
    """Who wants off again what was off by this wish: not Cluster Autoscaler, which judged the pods of another boot."""
    return Asker.RECOVERY if wish.by is Asker.CLUSTER_AUTOSCALER else wish.by


def _adopted(phase: Phase, event: Event | None, wish: WishRecord | None) -> Power | None:
    """As found. At first sight that is where the arrow out of Unknown leads, and it is adopted before the phase is stored: an
    adoption whose phase was never stored is taken anew, for the machine may have been switched since. What a program asked for
    before the status was lost spoke of other pods."""
    if phase is Phase.UNKNOWN and event is not None:
        phase = TRANSITIONS[phase].get(event, phase)
    power = FOUND.get(phase)
    return None if wish is not None and (wish.power, wish.reason) == (power, Reason.ADOPTED) else power
