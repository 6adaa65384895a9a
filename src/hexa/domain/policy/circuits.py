"""Circuits: what several machines draw their power from, and how much of it they may draw together.

A circuit of the configuration is a breaker, whatever groups and namespaces its machines are of. A Group with maxWatts is one too,
of its own machines.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Final

from msgspec import Meta, Struct

from hexa.domain.duration import format_duration, parse_duration
from hexa.domain.policy.problem import Problem
from hexa.domain.resources.v1alpha1 import Node
from hexa.domain.resources.values import Duration
from hexa.domain.spelling import suggestion

MOST: Final = 1e9
"""Watts of a circuit; more are a slip of the pen."""
LONGEST: Final = timedelta(hours=1)
"""Between two wakes: with more nobody would wait for the second machine."""


class Circuit(Struct, frozen=True, kw_only=True):
    """What several machines draw their power from."""

    name: str
    """Of the configuration's circuit; of the Group, NAMESPACE/NAME."""
    watts: float
    """That all its machines may draw together."""
    spacing: timedelta = timedelta(0)
    """Two wakes begin at least so far apart."""
    of_group: bool = False

    @property
    def title(self) -> str:
        """For people."""
        return f"Group {self.name}" if self.of_group else f"circuit {self.name}"

    @property
    def field(self) -> str:
        """Where its watts are written."""
        return "spec.maxWatts" if self.of_group else f"circuits.{self.name}.maxWatts"


class WrittenCircuit(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A circuit as people write it in the configuration."""

    max_watts: Annotated[float, Meta(gt=0, le=MOST)]
    """That its machines may draw together."""
    inrush_spacing: Duration = "0s"
    """Two wakes of its machines begin at least so far apart."""


def circuits_of(written: Mapping[str, WrittenCircuit]) -> tuple[Circuit, ...]:
    """The circuits of the configuration. Raises `ValueError` with a sentence that names the field and the remedy."""
    return tuple(_circuit(name, each) for name, each in written.items())


def _circuit(name: str, written: WrittenCircuit) -> Circuit:
    where, watts = f"circuits.{name}", float(written.max_watts)
    if not name:
        raise ValueError("circuits: a circuit has an empty name; give it one, which machines name in spec.circuit")
    if not math.isfinite(watts):
        raise ValueError(f"{where}.maxWatts: {watts} is no number of watts; write what the breaker bears, such as 3000")
    try:
        spacing = parse_duration(written.inrush_spacing)
    except ValueError as error:
        raise ValueError(f"{where}.inrushSpacing: {error}; write a duration such as 10s") from error
    if spacing > LONGEST:
        raise ValueError(
            f"{where}.inrushSpacing: {written.inrush_spacing} is longer than {format_duration(LONGEST)}; write what power "
            "supplies need to settle, such as 10s"
        )
    return Circuit(name=name, watts=watts, spacing=spacing)


def circuit_problems(node: Node, known: Sequence[Circuit] | None) -> tuple[Problem, ...]:
    """What is wrong with the circuit that a machine names. `known`: those of the configuration; None: nobody knows them."""
    name = node.spec.circuit
    if not name or known is None or any(each.name == name for each in known):
        return ()
    names = [each.name for each in known]
    there = f"it has {', '.join(sorted(names))}" if names else "it has none"
    close = suggestion(name, names)
    remedy = f"did you mean {close}?" if close else "write one of them, or add it to circuits in the configuration"
    text = f"hexa's configuration has no circuit {name}; {there}"
    until = "until then the machine is woken without regard to any circuit"
    return (Problem("spec.circuit", text, f"{remedy}; {until}", severity="warning", reason="UnknownCircuit"),)


WATTS: Final = "spec.energy.maxWatts"


def watts_problem(circuit: Circuit, watts: float | None) -> Problem | None:
    """What is wrong with the watts of a machine that draws from the circuit. None of its own: it does not say."""
    if watts is None:
        text = f"the machine draws from {circuit.title} and does not say how much: it counts as the largest that is known there"
        return Problem(
            WATTS, text, "set it to what the machine draws at most", severity="warning", reason="WattsUnknown"
        )
    if watts <= circuit.watts:
        return None
    text = f"{watts:g} W are more than {circuit.title} bears ({circuit.watts:g} W): the machine is not woken"
    remedy = f"correct it, or {circuit.field}, or let the machine draw from another circuit"
    return Problem(WATTS, text, remedy, severity="warning", reason="CircuitTooSmall")
