"""The rules that look at one machine alone, for who has no view of it: tools that embed hexa, and commands that read one object."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec import Struct

from hexa.domain.machine.reason import Veto
from hexa.domain.policy.limits import Limits
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.v1alpha1 import Node
from hexa.domain.rules.table import ALONE


class Bare(Struct, frozen=True, kw_only=True):
    """A machine of which nothing is known but this."""

    node: Node
    policy: Policy
    limits: Limits = Limits()
    control_plane: bool = False
    hosts: tuple[str, ...] = ()
    storage: tuple[str, ...] = ()
    image_known: bool = True
    name_taken: bool = False


def off_vetoes(
    node: Node,
    policy: Policy,
    *,
    hosts: Iterable[str],
    control_plane: bool,
    now: datetime,
    image_known: bool = True,
    storage: Iterable[str] = (),
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Iterator[Veto]:
    """Every rule of its own that forbids switching the machine off, safety first. `hosts`: what runs on it that hexa depends on;
    `storage`: what holds data for others; `image_known`: whether the Jobs of spec.power have an image."""
    machine = Bare(
        node=node,
        policy=policy,
        limits=limits,
        control_plane=control_plane,
        hosts=tuple(hosts),
        storage=tuple(storage),
        image_known=image_known,
    )
    return (veto for rule in ALONE if rule.off is not None for veto in rule.off(machine, now))


def on_vetoes(node: Node, policy: Policy, *, now: datetime, image_known: bool = True) -> Iterator[Veto]:
    """Every rule of its own that keeps the machine from being chosen to wake."""
    machine = Bare(node=node, policy=policy, image_known=image_known)
    return (veto for rule in ALONE if rule.on is not None for veto in rule.on(machine, now))
