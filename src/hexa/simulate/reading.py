"""From a scenario file to a scenario: every mistake is told with file, line, field and remedy. It plays nothing."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import structs

from hexa.adapters.memory.site.faults import FaultKind
from hexa.domain.errors import HexaError
from hexa.domain.money.written_tariff import source_of, tariff_of
from hexa.domain.names import API_VERSION, MEMBERSHIP_LABEL
from hexa.domain.policy.circuits import circuit_problems, circuits_of
from hexa.domain.policy.problem import Problem
from hexa.domain.resources.core import Malformed, decode
from hexa.domain.resources.group_values import Cost
from hexa.domain.resources.schema import schema_of
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Group, Node
from hexa.domain.spelling import suggestion
from hexa.domain.written.object import written_problems
from hexa.domain.written.shape import Path, field_path, misfits
from hexa.domain.written.validation import group_problems, machine_problems
from hexa.simulate.fit import misfitting_pods
from hexa.simulate.limits import Placed, fault_times, name_problems, row_problems, time_problems
from hexa.simulate.scenario import AGENT_KILLED, Scenario, machine_names
from hexa.yaml import Document, YamlError, read_document


class ScenarioError(HexaError):
    """A scenario that cannot be played; the message names file, line, field and remedy, a line for each mistake."""


def read_scenario(text: str, *, source: str) -> Scenario:
    """The scenario of a YAML text. Raises `ScenarioError` with every mistake that was found."""
    try:
        document = read_document(text, source=source)
    except YamlError as error:
        raise ScenarioError(str(error)) from error
    if document is None:
        raise ScenarioError(f"{source}: it is empty; see examples/scenarios/ for what a scenario looks like")
    problems = list(_misfits(document))
    if not problems:
        try:
            scenario = msgspec.convert(_cleaned(document.value), Scenario)
        except msgspec.ValidationError as error:
            raise ScenarioError(f"{source}:1: {error}; see docs/scenarios.md for the fields") from error
        problems = list(_contradictions(scenario))
        if not problems:
            return scenario
    raise ScenarioError("\n".join(_told(document, path, problem) for path, problem in problems))


SCHEMA: Final = schema_of(Scenario)


def _misfits(document: Document) -> Iterator[Placed]:
    if not isinstance(document.value, dict):
        yield (), Problem("", "is no mapping", "write `title:`, `start:`, `duration:` and `machines:`")
        return
    for problem in misfits(document.value, SCHEMA):
        if problem.severity == "error":
            yield _path_of(document, problem.field), problem


def _path_of(document: Document, field_name: str) -> Path:
    return next((path for path in document.lines if field_path(path) == field_name), ())


def _cleaned(value: Any) -> Any:
    """Keys without a value are left out."""
    if isinstance(value, list):
        return [_cleaned(each) for each in value]
    if isinstance(value, dict):
        return {key: _cleaned(each) for key, each in value.items() if each is not None}
    return value


def _told(document: Document, path: Path, problem: Problem) -> str:
    where = f"{document.source}:{document.line(path)}"
    name = problem.field or field_path(path)
    return f"{where}: {name + ': ' if name else ''}{problem.text}; {problem.remedy}"


def _contradictions(scenario: Scenario) -> Iterator[Placed]:
    names: set[str] = set()
    for index, manifest in enumerate(scenario.groups):
        yield from _group(manifest, ("groups", index), names)
    yield from _machines(scenario, names)
    yield from _circuits(scenario)
    yield from _tariffs(scenario)
    yield from _currencies(scenario)
    yield from name_problems(scenario)
    yield from row_problems(scenario)
    yield from time_problems(scenario)
    yield from _faults(scenario)
    yield from misfitting_pods(scenario)


def _group(manifest: dict[str, Any], path: Path, names: set[str]) -> Iterator[Placed]:
    problems = list(written_problems({"apiVersion": API_VERSION, **manifest, "kind": GROUPS.name}))
    if manifest.get("kind", GROUPS.name) != GROUPS.name:
        problems.append(Problem("kind", f"is {manifest['kind']}", f"write {GROUPS.name}, or leave it out"))
    names |= _name_of(manifest) - names if problems else set()
    decoded = decode(GROUPS, manifest)
    if not problems and isinstance(decoded, Malformed):
        problems = [Problem("", decoded.problem, "see docs for the fields of a Group")]
    if isinstance(decoded, Group):
        problems = problems or list(group_problems(decoded))
        if decoded.metadata.name in names and not problems:
            problems.append(Problem("metadata.name", f"{decoded.metadata.name} stands twice", "rename one"))
        names.add(decoded.metadata.name)
    for problem in problems:
        if problem.severity == "error":
            below = tuple(part for part in problem.field.split(".") if part)
            name = f"{field_path(path)}.{problem.field}".rstrip(".")
            yield (*path, *below), Problem(name, problem.text, problem.remedy)


def _name_of(manifest: dict[str, Any]) -> set[str]:
    """The name of a group that has mistakes: its machines are not to blame."""
    metadata = manifest.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return {name} if isinstance(name, str) else set()


def _machines(scenario: Scenario, groups: set[str]) -> Iterator[Placed]:
    seen: set[str] = set()
    for index, machines in enumerate(scenario.machines):
        path: Path = ("machines", index)
        if machines.group and machines.group not in groups:
            close = suggestion(machines.group, groups)
            remedy = f"did you mean {close}?" if close else "declare it under groups"
            yield (*path, "group"), Problem(f"machines[{index}].group", f"there is no group {machines.group}", remedy)
        if twice := seen & set(machine_names(machines)):
            text = f"{min(twice)} stands twice"
            yield (*path, "name"), Problem(f"machines[{index}].name", text, "rename one of them")
        seen |= set(machine_names(machines))
        manifest = {"apiVersion": API_VERSION, "kind": MACHINES.name, "metadata": {"name": machines.name}}
        manifest["metadata"]["labels"] = {MEMBERSHIP_LABEL: machines.group}  # type: ignore[index]
        for problem in _spec_problems({**manifest, "spec": machines.spec}):
            if problem.field.startswith("spec") and problem.severity == "error":
                below = tuple(part for part in problem.field.split(".") if part)
                yield (*path, *below), Problem(f"machines[{index}].{problem.field}", problem.text, problem.remedy)


def _spec_problems(manifest: dict[str, Any]) -> Iterator[Problem]:
    problems = list(written_problems(manifest))
    yield from problems
    node = decode(MACHINES, manifest)
    if not problems and isinstance(node, Node):
        yield from machine_problems(node, None)


def _circuits(scenario: Scenario) -> Iterator[Placed]:
    try:
        known = circuits_of(scenario.circuits)
    except ValueError as error:
        text, _, remedy = str(error).partition("; ")
        yield ("circuits",), Problem("circuits", text, remedy)
        return
    for index, machines in enumerate(scenario.machines):
        node = decode(MACHINES, {"metadata": {"name": machines.name}, "spec": machines.spec})
        for problem in circuit_problems(node, known) if isinstance(node, Node) else ():
            yield (
                ("machines", index, "spec", "circuit"),
                structs.replace(problem, field=f"machines[{index}].spec.circuit"),
            )


def _tariffs(scenario: Scenario) -> Iterator[Placed]:
    for name, written in scenario.tariffs.items():
        if source := source_of(written):
            text = "a scenario reads no other file"
            yield ("tariffs", name), Problem(f"tariffs.{name}.{source}", text, "write its price or its windows")
            continue
        for problem in tariff_of(name, written)[1]:
            if problem.severity == "error":
                yield ("tariffs", name), problem
    for index, manifest in enumerate(scenario.groups):
        group = decode(GROUPS, manifest)
        if isinstance(group, Group) and group.spec.cost.tariff and group.spec.cost.tariff not in scenario.tariffs:
            where, known = f"groups[{index}].spec.cost.tariff", ", ".join(scenario.tariffs) or "none"
            text = f"there is no tariff {group.spec.cost.tariff} (there are: {known})"
            yield ("groups", index, "spec", "cost", "tariff"), Problem(where, text, "declare it under tariffs")


def _currencies(scenario: Scenario) -> Iterator[Placed]:
    """A report sums the money of all groups up."""
    first = ""
    for index, manifest in enumerate(scenario.groups):
        group = decode(GROUPS, manifest)
        if not isinstance(group, Group) or group.spec.cost == Cost():
            continue
        tariff = scenario.tariffs.get(group.spec.cost.tariff)
        currency = tariff.currency if tariff is not None else group.spec.cost.currency
        first = first or currency
        if currency != first:
            text = f"its prices are in {currency}, and those of a group before it in {first}"
            path: Path = ("groups", index, "spec", "cost")
            yield (
                path,
                Problem(f"groups[{index}].spec.cost", text, "write all prices in one currency: a report sums them up"),
            )


def _faults(scenario: Scenario) -> Iterator[Placed]:
    kinds = [*(kind.value for kind in FaultKind), AGENT_KILLED]
    known = {name for machines in scenario.machines for name in machine_names(machines)}
    for index, fault in enumerate(scenario.faults):
        path: Path = ("faults", index)
        if fault.kind not in kinds:
            close = suggestion(fault.kind, kinds)
            remedy = f"did you mean {close}?" if close else f"write one of {', '.join(kinds)}"
            yield (*path, "kind"), Problem(f"faults[{index}].kind", f"{fault.kind} is not known", remedy)
        if fault.machine and fault.machine not in known:
            close = suggestion(fault.machine, known)
            remedy = f"did you mean {close}?" if close else "machines are called NAME-1, NAME-2 and so on"
            yield (*path, "machine"), Problem(f"faults[{index}].machine", f"there is no {fault.machine}", remedy)
        yield from fault_times(fault, path, scenario)
