"""What reads a machine's power in the agent, and with which Secrets."""

from typing import Final

from msgspec import structs

from hexa.domain.policy.problem import Problem
from hexa.domain.power.jobs import secret_names
from hexa.domain.power.roles import FIELDS, ORDER, Ability, can, roles, tells
from hexa.domain.power.ways import own_pod
from hexa.domain.resources.power_spec import POWER_DRIVERS, DriverName, PowerSpec
from hexa.domain.resources.v1alpha1 import Node

READ_BY_AGENT: Final = frozenset({"ipmi", "redfish", "pdu", "http"})
"""Drivers that the agent reads power by. A script or a plugin runs in Jobs only, and silence over SSH proves nothing."""


def off_is_told_apart(node: Node) -> bool:
    """Whether what switches the machine off is another device than what reads its power, so that one that lies is found out. Of a
    pod of the machine's own nobody knows."""
    spec, sense = node.spec.power, sensor(node)
    if spec is None or sense is None or own_pod(node, "off") is not None or isinstance(found := roles(spec), Problem):
        return False
    return sense not in (found.off, found.cut if spec.hard else None)


def sensor(node: Node) -> DriverName | None:
    """The driver by which the agent reads the machine's power; None: it does not."""
    spec = node.spec.power
    if spec is None or isinstance(found := roles(spec), Problem):
        return None
    if spec.sense is not None or found.sense in READ_BY_AGENT:
        return found.sense if found.sense in READ_BY_AGENT else None
    soft = found.off is not None or node.spec.shutdown_pod_spec is not None
    for name in ORDER[Ability.SENSE]:
        if name in READ_BY_AGENT and can(spec, Ability.SENSE, name) and tells(spec, name, soft=soft):
            return name
    return None


def sensing_part(spec: PowerSpec, driver: DriverName) -> PowerSpec:
    """The driver alone."""
    others = {FIELDS.get(name, name): None for name in POWER_DRIVERS if name != driver}
    return structs.replace(spec, **others, turn_on=None, turn_on_else=None, turn_off=None, sense=driver)


def sensing_secrets(node: Node) -> tuple[str, ...]:
    """The Secrets that the agent reads the machine's power with."""
    driver = sensor(node)
    return secret_names(sensing_part(node.spec.power, driver)) if node.spec.power is not None and driver else ()
