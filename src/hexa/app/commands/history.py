"""What `hexa history` shows of a machine."""

from datetime import datetime
from statistics import median

from msgspec import Struct

from hexa.app.commands.shared.snapshot import NotThere, Snapshot
from hexa.domain.resources.v1alpha1 import HistoryEntry, NodeStatus


class History(Struct, frozen=True, kw_only=True, rename="camel"):
    machine: str
    now: datetime
    summary: str
    entries: tuple[HistoryEntry, ...]
    """The newest last."""


def history_of(snapshot: Snapshot, name: str, *, namespace: str | None) -> History:
    """The last actions of a machine. Raises `NotThere`."""
    key = snapshot.pick(name, namespace=namespace, groups=False).machines[0]
    view = snapshot.views.machine(key)
    if view is None:
        raise NotThere(f"{name}: the machine does not decode; hexa why {key}")
    status = view.node.status
    return History(machine=str(key), now=snapshot.now, summary=_summary(status), entries=status.history)


def _summary(status: NodeStatus) -> str:
    energy, boots = status.energy, status.boot_seconds
    boot = f", the last {len(boots)} in {median(boots):.0f} s (median)" if boots else ""
    hours = f"{energy.on_seconds / 3600:.1f} h on, {energy.off_seconds / 3600:.1f} h off"
    counted = f"; {energy.summary}" if energy.summary else ""
    return f"since it was enrolled: {hours}, {energy.boots} boots{boot}, {status.failures} failures in a row{counted}"
