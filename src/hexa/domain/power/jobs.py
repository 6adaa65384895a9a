"""The pod of the Job that switches a machine, from `spec.power`. It reads no Secret, it only knows their names."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import structs

from hexa.domain.duration import parse_duration
from hexa.domain.policy.limits import Limits
from hexa.domain.policy.problem import Problem
from hexa.domain.power.roles import FIELDS, drivers, roles, settings
from hexa.domain.power.ways import Direction, lacks, own_pod
from hexa.domain.resources.power_spec import POWER_DRIVERS, PowerSpec
from hexa.domain.resources.v1alpha1 import EnvVar, Node, PowerPodSpec, VolumeMount

SECRETS: Final = "/etc/hexa/power"
"""Where Secrets are mounted in power Jobs, a folder each."""

SOFT_TIMEOUT: Final = 120.0
"""Seconds, where spec.power does not say (hexa.domain.resources.power_spec)."""

SOFT_IN_VAIN: Final = "10s"
"""How long a system that hangs is given for an orderly shutdown."""

SPARE: Final = 20.0
"""Seconds of a Job's deadline that are left for its pod to start and to say how it ended."""

LEAST: Final = 10.0
"""Seconds that a power reading is waited for at least."""
_CHANGED_ON_THE_WAY: Final = re.compile(r"[$\x7f-\uffff]")


def pod_for(node: Node, direction: Direction, *, image: str, limits: Limits, cut: bool = False) -> PowerPodSpec | None:
    """The pod of the Job that switches the machine: its own, else `hexa power` of `image`. None: there is no way. `cut`: its system
    hangs, and power may be cut whatever `hard` says."""
    own = own_pod(node, direction)
    if own is not None or node.spec.power is None or lacks(node, direction, image_known=bool(image)):
        return own
    power = structs.replace(node.spec.power, hard=True, soft_timeout=SOFT_IN_VAIN) if cut else node.spec.power
    part = part_for(power, direction)
    within, soft = _patience(part, direction, limits)
    if soft is not None:
        part = structs.replace(part, soft_timeout=soft)
    return PowerPodSpec(
        image=image,
        args=("power", direction, "--within", within),
        env=(
            EnvVar(name="HEXA_MACHINE", value=node.metadata.name),
            EnvVar(name="HEXA_POWER", value=environment_text(part)),
            EnvVar(name="HEXA_SECRETS", value=SECRETS),
        ),
        volumes=tuple(
            VolumeMount(name=f"secret-{index}", mount_path=f"{SECRETS}/{name}", secret_name=name)
            for index, name in enumerate(secret_names(part))
        ),
        host_network=direction == "on" and "wakeOnLan" in (part.turn_on, part.turn_on_else),
    )


def environment_text(spec: PowerSpec) -> str:
    """The spec as JSON that reaches a container as it is, whoever reads it there as JSON or YAML: Kubernetes reduces $$ and expands
    $(NAME) in values of the environment, and YAML takes no escape of half a character, and some characters only as an escape."""
    text = json.dumps(msgspec.to_builtins(spec), sort_keys=True, ensure_ascii=False)
    return _CHANGED_ON_THE_WAY.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def part_for(spec: PowerSpec, direction: Direction) -> PowerSpec:
    """What a Job of this direction needs of the spec and no more. A Job that wakes never sees the key that shuts down, nor does it
    take whoever answers at the address of the machine's SSH server for the machine."""
    found = roles(spec)
    if isinstance(found, Problem):
        return spec
    on = direction == "on"
    sense = None if on and found.sense == "ssh" else found.sense
    needed = {found.on, found.on_else, sense} if on else {found.off, found.cut if spec.hard else None, sense}
    others = {FIELDS.get(name, name): None for name in POWER_DRIVERS if name not in needed}
    return structs.replace(
        spec,
        **others,
        turn_on=found.on if on else None,
        turn_on_else=found.on_else if on else None,
        turn_off=None if on else spec.turn_off,
        sense=sense,
    )


def _patience(spec: PowerSpec, direction: Direction, limits: Limits) -> tuple[str, str | None]:
    """How long the Job waits for the reading that proves it, and of these for an orderly shutdown: within the phase's limit, and
    on: so that a lost wake is sent again within its interval."""
    if direction == "on":
        ways = 2 if spec.turn_on_else is None else 3  # each has as long, and the pod has its part
        return _seconds(
            min(limits.wake_interval.total_seconds() / ways, limits.power_on.total_seconds() / (ways - 1) - SPARE)
        ), None
    whole = limits.power_off.total_seconds() - SPARE
    if not spec.hard:
        return _seconds(whole), None
    soft = min(soft_seconds(spec), whole - LEAST)
    return _seconds(whole - soft), _seconds(soft)


def _seconds(value: float) -> str:
    return f"{max(LEAST, value):.0f}s"


def soft_seconds(spec: PowerSpec) -> float:
    """How long an orderly shutdown may take before power is cut."""
    try:
        return parse_duration(spec.soft_timeout).total_seconds() if spec.soft_timeout else SOFT_TIMEOUT
    except ValueError:
        return SOFT_TIMEOUT  # told as what it is


def secret_names(spec: PowerSpec) -> tuple[str, ...]:
    """The Secrets that the drivers of the spec name."""
    return tuple(dict.fromkeys(name for _, name in named_secrets(spec)))


def named_secrets(spec: PowerSpec) -> Iterator[tuple[str, str]]:
    """Field and name of each Secret."""
    for driver in drivers(spec):
        given: Any = settings(spec, driver)
        if name := getattr(given, "secret_name", ""):
            yield f"{driver}.secretName", name
        if name := getattr(getattr(given, "tls", None), "ca_secret_name", ""):
            yield f"{driver}.tls.caSecretName", name
        if driver == "plugin" and isinstance(name := given.settings.get("secretName"), str):
            yield f"{driver}.settings.secretName", name
