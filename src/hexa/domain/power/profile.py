"""A machine with what its PowerProfile says filled in: parameters in texts, and the fields that the machine leaves to it.

Whoever decides sees a filled-in machine, whose `spec.profile` is empty; one whose profile can't be used keeps its own fields alone,
and `spec.profile` says so. It reads no other object.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct, structs

from hexa.domain.policy.problem import Problem
from hexa.domain.resources.v1alpha1 import Node, NodeSpec, PowerProfile, PowerProfileSpec
from hexa.domain.spelling import suggestion

PARAMETER: Final = re.compile(r"(?<!\$)\{([A-Za-z][A-Za-z0-9_-]*)\}")
"""Not ${name}, which a shell knows."""
MACHINE: Final = "machine"
"""Always the name of the Node."""
OUTLET: Final = "outlet"
"""What drivers put in themselves."""
JOINED: Final = frozenset({"power", "timeouts", "retries", "energy", "template"})
"""Fields that the machine overrides part by part; others as a whole."""
PROFILE_MISSING: Final = "ProfileMissing"
PROFILE_INCOMPLETE: Final = "ProfileIncomplete"
STAYS: Final = "until then the machine is neither woken nor switched off by it"


class FilledIn(Struct, frozen=True):
    """A machine, and what is wrong with its profile."""

    node: Node
    problems: tuple[Problem, ...] = ()


def filled_in(node: Node, profile: PowerProfile | None, *, absent: str = "") -> FilledIn:
    """The machine with its profile. `absent`: why there is none, where more is known than that."""
    name = node.spec.profile
    if not name:
        return FilledIn(node)
    if profile is None:
        text = absent or f"there is no PowerProfile {name} in namespace {node.metadata.namespace}"
        return FilledIn(node, (_problem("spec.profile", text, "create it, or correct the name", PROFILE_MISSING),))
    values = {**node.spec.parameters, MACHINE: node.metadata.name}
    told = msgspec.to_builtins(profile.spec)
    used = {name for text in _texts(told) for name in PARAMETER.findall(text)} - {OUTLET}
    if missing := sorted(used - values.keys()):
        return FilledIn(node, tuple(_left_open(name, each, node.spec.parameters) for each in missing))
    spec = msgspec.convert(_put_in(told, values), PowerProfileSpec)
    switches = spec.power or spec.startup_pod_spec or spec.shutdown_pod_spec
    unused = sorted(node.spec.parameters.keys() - (used - {MACHINE})) if switches else ()
    problems = tuple(_unused(name, each, used) for each in unused)
    return FilledIn(structs.replace(node, spec=_joined(node.spec, spec)), problems)


def needs_profile(node: Node) -> bool:
    """Whether the machine has a profile that can't be used: what it says by itself is not all that there is of it."""
    return bool(node.spec.profile)


def _joined(own: NodeSpec, told: PowerProfileSpec) -> NodeSpec:
    changes: dict[str, Any] = {"profile": "", "parameters": {}}
    for field in told.__struct_fields__:
        mine, its, default = (getattr(each, field) for each in (own, told, _DEFAULTS))
        if its == default:
            continue
        if mine == default:
            changes[field] = its
        elif field in JOINED:
            changes[field] = msgspec.convert({**msgspec.to_builtins(its), **msgspec.to_builtins(mine)}, type(its))
    return structs.replace(own, **changes)


_DEFAULTS: Final = NodeSpec()


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def _put_in(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return PARAMETER.sub(lambda found: values.get(found[1], found[0]), value)
    if isinstance(value, Mapping):
        return {key: _put_in(each, values) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_put_in(each, values) for each in value]
    return value


def _left_open(profile: str, name: str, given: Mapping[str, str]) -> Problem:
    close = suggestion(name, given)
    text = f"has no {name}, which PowerProfile {profile} needs" + (f" ({close} is there)" if close else "")
    return _problem("spec.parameters", text, f"add {name}, or correct the profile", PROFILE_INCOMPLETE)


def _problem(field: str, text: str, remedy: str, reason: str) -> Problem:
    return Problem(field, text, f"{remedy}; {STAYS}", severity="warning", reason=reason)


def _unused(profile: str, name: str, used: Iterable[str]) -> Problem:
    if name in (MACHINE, OUTLET):
        text = f"{name} is always hexa's own, and what is written here has no effect"
    else:
        text = f"{name} stands nowhere in PowerProfile {profile}"
    close = suggestion(name, [each for each in used if each != MACHINE])
    remedy = f"did you mean {close}?" if close else "remove it"
    return Problem(f"spec.parameters.{name}", text, remedy, severity="warning", reason="UnusedParameter")
