"""A person's word: holds and pauses, written as minimal merge patches, each object answered by itself.

After each write it says what decides now and what stands against it, by the same functions that the agent acts by.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec import Struct

from hexa.app.commands.shared.foresight import foresee
from hexa.app.commands.shared.snapshot import NotThere, Snapshot
from hexa.domain.errors import HexaError
from hexa.domain.machine.reason import Reason
from hexa.domain.people.gitops import revert_warning
from hexa.domain.resources.core import Kind
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Lookup, OwnedMetadata, Power
from hexa.domain.words.demands import demands
from hexa.domain.words.explain import obstacle
from hexa.domain.words.known import Known
from hexa.ports.kube import Kube, Patch

UNAVAILABLE: Final = {Power.ON: Reason.POWER_ON_UNAVAILABLE, Power.OFF: Reason.POWER_OFF_UNAVAILABLE}


class Change(Struct, frozen=True, kw_only=True):
    """What shall stand in one field of the spec."""

    field: str
    """hold or paused."""
    value: dict[str, Any] | None
    """None: nothing any more. A key whose value is None is removed."""
    done: str
    """How it is said: "held on until ..."."""
    read: str = ""
    """The resourceVersion of the one object that is meant: it is written only where nobody has written it since."""
    looks_ahead: bool = True
    """Whether what a drain would meet is read and told: that lists pods of the whole cluster."""


class Answer(Struct, frozen=True, kw_only=True):
    """What became of it for one object."""

    subject: str
    text: str
    warnings: tuple[str, ...] = ()
    error: HexaError | None = None


async def write(
    kube: Kube,
    snapshot: Snapshot,
    change: Change,
    *,
    machines: Sequence[str],
    groups: Sequence[str],
    namespace: str | None,
) -> list[Answer]:
    """Write the change to each object that was named; one that fails stops no other."""
    named = [(kind, name) for kind, names in ((MACHINES, machines), (GROUPS, groups)) for name in dict.fromkeys(names)]
    return [await _one(kube, snapshot, change, kind, name, namespace) for kind, name in named]


async def _one(
    kube: Kube, snapshot: Snapshot, change: Change, kind: Kind[Any], name: str, namespace: str | None
) -> Answer:
    is_group = kind is GROUPS
    try:
        picked = snapshot.pick(name, namespace=namespace, machines=not is_group, groups=is_group)
        key = (picked.groups if is_group else picked.machines)[0]
        metadata = _metadata(snapshot, kind, key)
        patch = Patch({"spec": {change.field: change.value}}, resource_version=change.read)
        new = await kube.patch(kind, key.name, patch, namespace=key.namespace)
    except NotThere as error:
        return Answer(subject=name, text=str(error).removeprefix(f"{name}: "), error=error)
    except HexaError as error:
        return Answer(subject=name, text=str(error), error=error)
    (snapshot.store.groups if is_group else snapshot.store.machines).put(new)
    told = [
        *(f"{each.reason}: {each.text}; {each.remedy}" for each in snapshot.unseen(key.namespace)),
        *(_of_group(snapshot, key) if is_group else _of_machine(snapshot, key)),
        *(await _drains(kube, snapshot, kind, key) if change.looks_ahead else ()),
    ]
    reverted = revert_warning(metadata, change.field)
    text = f"{change.done}{_decides(snapshot, key) if not is_group else ''}"
    return Answer(subject=f"{kind.name} {key}", text=text, warnings=(*told, *([reverted] if reverted else [])))


def _metadata(snapshot: Snapshot, kind: Kind[Any], key: Lookup) -> OwnedMetadata:
    """The object as it was before the write: that makes us the owner of the field."""
    cache = snapshot.store.groups if kind is GROUPS else snapshot.store.machines
    found = cache.objects.get(key)
    return found.metadata if found is not None else OwnedMetadata()


def _decides(snapshot: Snapshot, key: Lookup) -> str:
    """What is wanted now, and by whom."""
    view = snapshot.views.machine(key)
    first = next(iter(demands(snapshot.known(view))), None) if view is not None else None
    return f"; {first.by} wants it {first.power} ({first.object})" if first else ""


def _of_machine(snapshot: Snapshot, key: Lookup) -> Iterator[str]:
    view = snapshot.views.machine(key)
    if view is not None:
        yield from hazards(snapshot.known(view))


def _of_group(snapshot: Snapshot, key: Lookup) -> Iterator[str]:
    for view in snapshot.views.members(key):
        known = snapshot.known(view)
        own = view.node.spec.hold
        if own is not None and (own.until is None or own.until > snapshot.now):
            yield f"{view.key.name} has a hold of its own, which counts: hexa auto {view.key}"
        for text in hazards(known):
            yield f"{view.key.name}: {text}"


async def _drains(kube: Kube, snapshot: Snapshot, kind: Kind[Any], key: Lookup) -> list[str]:
    """What the drains that begin now will meet."""
    if kind is GROUPS:
        views = snapshot.views.members(key)
        return [f"{view.key.name}: {text}" for view in views for text in await foresee(kube, snapshot, view)]
    one = snapshot.views.machine(key)
    return [] if one is None else await foresee(kube, snapshot, one)


def hazards(known: Known) -> Iterator[str]:
    """What stands against what is wanted of the machine, now or once it matters."""
    wish, stands = known.member.wish, obstacle(known)
    if stands is not None:
        remedy = f"; {stands.remedy}" if stands.remedy else ""
        blocked = "it will be Blocked by " if wish is not None and wish.power is Power.OFF else ""
        yield f"{blocked}{stands.rule}: {stands.text}{remedy}"
    if wish is None:
        yield from (
            f"{veto.reason}: {veto.message}" for veto in known.member.on_vetoes if veto.reason == Reason.OBSERVE
        )
    else:
        told = stands.rule if stands is not None else ""
        vetoes = known.member.off_vetoes if wish.power is Power.OFF else known.member.on_vetoes
        yield from (f"{v.reason}: {v.message}" for v in vetoes if v.reason == UNAVAILABLE[wish.power] != told)
