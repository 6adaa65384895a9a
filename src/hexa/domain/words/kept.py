"""Which rules keep a machine on, or from being woken, with what to do about each."""

from datetime import datetime

from msgspec import Struct

from hexa.domain.group.sizing import counts, for_now, lasting, may_be_woken, target
from hexa.domain.machine.reason import Reason as Why
from hexa.domain.machine.reason import Veto
from hexa.domain.names import SCALE_DOWN_DISABLED
from hexa.domain.policy.schedules import FIELDS
from hexa.domain.rules.blocker import disabled_by_others
from hexa.domain.rules.circuits import full
from hexa.domain.rules.judge import REMEDIES
from hexa.domain.words.known import Known


class Reason(Struct, frozen=True, kw_only=True, rename="camel"):
    """A rule that keeps a machine where it is."""

    rule: str
    text: str
    object: str = ""
    since: datetime | None = None
    until: datetime | None = None
    remedy: str = ""


def kept_on(known: Known) -> list[Reason]:
    """Every rule that keeps the machine from being switched off, or Cluster Autoscaler from asking for it."""
    found = [of_veto(known, veto) for veto in known.member.off_vetoes]
    policy, all_on = known.policy, target(known.others)
    size = all_on if for_now(known.member) else lasting(known.others)
    if known.group is not None and counts(known.member) and size <= policy.min_size:
        others = f" and {all_on - size} for now only" if all_on > size else ""
        text = f"the group has {size} machines on or coming{others}, and minSize is {policy.min_size}"
        found.append(_of_size(known, "min_size", rule="MinSize", text=text, remedy="lower minSize"))
    if known.kube is not None and disabled_by_others(known.kube):
        text = f"somebody set {SCALE_DOWN_DISABLED}=true, so Cluster Autoscaler never asks for its off"
        name = known.kube.metadata.name
        remedy = f"kubectl annotate node {name} {SCALE_DOWN_DISABLED}-"
        found.append(Reason(rule="ScaleDownDisabled", text=text, object=f"Kubernetes node {name}", remedy=remedy))
    return found


def kept_from_waking(known: Known) -> list[Reason]:
    """Every rule that keeps the machine from being chosen to wake."""
    found = [
        of_veto(known, veto) for veto in (*known.member.on_vetoes, *known.member.put_off, *known.member.last_vetoes)
    ]
    if not known.member.wanted:  # else it is a veto
        found += [of_veto(known, veto) for veto in full(known.member.places)]
    status, policy = known.node.status, known.policy
    if known.member.cooling:
        text = f"left alone after {status.failures} failures in a row"
        found.append(Reason(rule=Why.COOLING_OFF, text=text, object=f"Node {known.key}", until=status.cool_until))
    if not known.valid:
        found.append(Reason(rule="Invalid", text="it has problems, see there", object=f"Node {known.key}"))
    size = target(known.others)
    if may_be_woken(known.member) and policy.max_size is not None and size >= policy.max_size:
        text = f"the group has {size} machines on or coming, and maxSize is {policy.max_size}"
        found.append(_of_size(known, "max_size", rule="MaxSize", text=text, remedy="raise maxSize"))
    return found


def _of_size(known: Known, value: str, *, rule: str, text: str, remedy: str) -> Reason:
    """A size of the group, with the schedule that sets it now."""
    setter = known.policy.by.get(value)
    if setter is None:
        return Reason(rule=rule, text=text, object=f"Group {known.group} spec.{FIELDS[value]}", remedy=remedy)
    where = f"Group {known.group} {setter.field}"
    return Reason(rule=rule, text=f"{text}{setter}", object=where, until=setter.end, remedy=f"{remedy} there")


def of_veto(known: Known, veto: Veto) -> Reason:
    """A veto, with the object that it stands in and what to do about it."""
    condition = next((c for c in known.node.status.conditions if c.type == veto.reason), None)
    place = "" if veto.of_site else f"Group {known.group}" if veto.of_group else f"Node {known.key}"
    name = f"--group {known.group}" if veto.of_group else str(known.key)
    return Reason(
        rule=veto.reason,
        text=veto.message,
        object=f"{place} {veto.field}".rstrip(),
        since=condition.last_transition_time if condition is not None else None,
        until=veto.until,
        remedy=REMEDIES.get(veto.reason, "").format(name=name, machine=known.key),
    )
