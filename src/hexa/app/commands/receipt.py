"""What `hexa receipt` shows: what machines of groups that observe, or did, could have saved, and what would have kept them on."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from msgspec import Struct

from hexa.app.commands.shared.snapshot import NotThere, Snapshot
from hexa.domain.group_view import GroupView
from hexa.domain.machine_view import MachineView
from hexa.domain.money.receipt import group_receipt
from hexa.domain.resources.receipt import GroupReceipt, KeptOn, Receipt, Saving
from hexa.domain.resources.v1alpha1 import Lookup


class Line(Struct, frozen=True, kw_only=True, rename="camel"):
    """One machine, or all of a group: `machine` is empty then."""

    group: str
    machine: str = ""
    since: datetime | None = None
    until: datetime | None = None
    off_hours: float = 0.0
    offs: int = 0
    kwh: float = 0.0
    money: float = 0.0
    currency: str = ""
    kept: tuple[KeptOn, ...] = ()


class Receipts(Struct, frozen=True, kw_only=True, rename="camel"):
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    """What the figures leave out, for people."""


def receipts(snapshot: Snapshot, names: Sequence[str], *, namespace: str | None) -> Receipts:
    """Of the groups that are named; nothing named: of all. Raises `NotThere`."""
    keys = list(snapshot.group_keys)
    if names:
        keys = [key for name in names for key in snapshot.pick(name, namespace=namespace, machines=False).groups]
    lines, notes = list[Line](), list[str]()
    for key in dict.fromkeys(keys):
        if (group := snapshot.group(key)) is None:
            notes.append(f"{key} does not decode: hexa why {key}")
            continue
        machines = snapshot.views.members(key)
        lines += _lines(group, machines)
        notes += _notes(group, machines)
    if names and not lines:
        raise NotThere("no machine of it has a receipt: set spec.mode: Observe on the Group, and wait an hour")
    return Receipts(lines=tuple(lines), notes=tuple(notes))


def _lines(group: GroupView, machines: Sequence[MachineView]) -> Iterator[Line]:
    found = [(machine.key, receipt) for machine in machines if (receipt := machine.node.status.receipt) is not None]
    yield from (_line(str(group.key), receipt, receipt.saving, key) for key, receipt in found)
    total = group_receipt((receipt for _, receipt in found), currency=group.policy.currency)
    if total is not None:
        yield _line(str(group.key), total, total.saving)


def _line(group: str, receipt: Receipt | GroupReceipt, saving: Saving, machine: Lookup | None = None) -> Line:
    return Line(
        group=group,
        machine=machine.name if machine is not None else "",
        since=receipt.since,
        until=receipt.until,
        off_hours=round(saving.off_seconds / 3600, 2),
        offs=saving.offs,
        kwh=round(saving.kwh, 3),
        money=round(saving.money, 4),
        currency=saving.currency,
        kept=saving.kept,
    )


def _notes(group: GroupView, machines: Sequence[MachineView]) -> Iterator[str]:
    found = [machine for machine in machines if machine.node.status.receipt is not None]
    if unweighed := [machine.key.name for machine in found if not machine.rates.idle_watts]:
        yield f"{group.key}: no energy is known of {', '.join(unweighed)}: set spec.energy.idleWatts and offWatts"
    if any(machine.rates.idle_watts for machine in found) and not (group.policy.price_per_kwh or group.policy.tariff):
        yield f"{group.key}: energy has no price: set spec.cost.pricePerKWh or tariff"
    if unproven := [machine.key.name for machine in found if machine.policy.max_size != 0 and _unproven(machine)]:
        names = ", ".join(unproven)
        yield f"{group.key}: hexa has not shown that it can wake {names}: of these one at a time goes off at first (spec.wakeProof)"


def _unproven(machine: MachineView) -> bool:
    return machine.node.status.wake_proven_at is None
