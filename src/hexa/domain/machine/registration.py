"""What a kubelet itself sets on its node when it registers (--node-labels, --register-with-taints), and what is given back beside
it.

A registration that says something new outranks what is remembered: what it sets stays, and what the last one set and this one does
not is gone. What people and programs had put there is given back; over a kubelet's label only if it registers the same as before.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from hexa.domain.names import REGISTERED_ANNOTATION
from hexa.domain.resources.core import KubeNode, Taint
from hexa.domain.resources.v1alpha1 import Registration, Shape


def registration_of(first: KubeNode) -> Registration:
    """`first`: the node as it was created."""
    taints = sorted({own_name(taint) for taint in first.spec.taints})
    return Registration(labels=dict(sorted(first.metadata.labels.items())), taints=tuple(taints))


def registration_text(registration: Registration) -> str:
    """As it stands in the annotation."""
    return msgspec.json.encode(registration).decode()


def registered(node: KubeNode) -> Registration | None:
    """What the annotation says; None where there is none, or none that decodes."""
    try:
        return msgspec.json.decode(node.metadata.annotations.get(REGISTERED_ANNOTATION, ""), type=Registration)
    except msgspec.MsgspecError:
        return None


def labels_back(seen: Shape, present: Mapping[str, str]) -> dict[str, str]:
    """Labels to give back: where the kubelet is as silent, or says the same, as at its last boot."""
    before = seen.registered.labels if seen.registered is not None else {}
    return {key: value for key, value in seen.labels.items() if present.get(key) == before.get(key)}


def taints_back(seen: Shape, present: Sequence[Taint]) -> Iterator[Taint]:
    """Taints to give back. Where it is not known what the kubelet had registered, a taint that it registers with another effect has
    taken the place of the old one."""
    names, keys = {own_name(taint) for taint in present}, {taint.key for taint in present}
    for taint in seen.taints:
        if own_name(taint) in names or (seen.registered is None and taint.key in keys):
            continue
        if seen.registered is None or own_name(taint) not in seen.registered.taints:
            yield taint


def own_name(taint: Taint) -> str:
    """KEY:EFFECT: there is one taint of each."""
    return f"{taint.key}:{taint.effect}"
