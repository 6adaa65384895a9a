"""Documents -> problems with their place in the files. It judges nothing itself: that is done in the domain."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import chain
from typing import Any, Final

from msgspec import Struct, structs

from hexa.domain.policy.conventions import UNREAD, Conventions
from hexa.domain.policy.problem import Problem
from hexa.domain.power.profile import needs_profile
from hexa.domain.resources.core import Malformed, decode
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, PROFILES, Group, Lookup, Node, PowerProfile
from hexa.domain.written.object import KINDS, is_ours, written_problems
from hexa.domain.written.secrets_needed import lacking, needs
from hexa.domain.written.shape import Path, field_path
from hexa.domain.written.validation import (
    Subject,
    configured_problems,
    filled,
    group_problems,
    machine_problems,
    membership,
    profile_problems,
    site_problems,
)
from hexa.yaml import Document, YamlError

NONE: Final[Mapping[Lookup, Collection[str]]] = {}


class Place(Struct, frozen=True, order=True):
    file: str
    line: int


class Located(Struct, frozen=True):
    """A problem, the object that has it, and where that stands. A file that cannot be read has no object."""

    place: Place
    subject: Subject | None
    problem: Problem


class Written(Struct, frozen=True):
    """An object of ours in a document."""

    value: Mapping[str, Any]
    document: Document
    path: Path
    """Where it is in the document: lists have many."""
    subject: Subject

    def place(self, field: str = "") -> Place:
        """Where the field stands, or the nearest there is around it."""
        lines = {field_path(path[len(self.path) :]): line for path, line in self._lines()}
        while field and field not in lines:
            field = _LAST_PART.sub("", field)
        return Place(self.document.source, lines[field])

    def _lines(self) -> Iterator[tuple[Path, int]]:
        size = len(self.path)
        return ((path, line) for path, line in self.document.lines.items() if path[:size] == self.path)


_LAST_PART: Final = re.compile(r'(\.?[A-Za-z_]\w*|\[\d+\]|\["[^"]*"\]|.)$', re.ASCII)


def written_objects(documents: Iterable[Document], *, namespace: str) -> Iterator[Written]:
    """Every object of ours; those that name no namespace are in `namespace`."""
    for document in documents:
        for path, value in _objects(document.value, ()):
            if is_ours(value):
                yield Written(value, document, path, _subject(value, namespace))


def _objects(value: Any, path: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    if not isinstance(value, dict):
        return
    items = value["items"] or [] if "items" in value else None
    if str(value.get("kind", "")).endswith("List") and isinstance(items, list):
        for index, item in enumerate(items):
            yield from _objects(_item_of(value, item), (*path, "items", index))
    else:
        yield path, value


def _item_of(whole: Mapping[str, Any], item: Any) -> Any:
    """An item of a list such as GroupList, which need not repeat its kind: kubectl takes that of the list."""
    kind = str(whole["kind"]).removesuffix("List")
    if not kind or not isinstance(item, dict) or item.get("kind") or item.get("apiVersion"):
        return item
    return {"apiVersion": whole.get("apiVersion"), "kind": kind, **item}


def written_secrets(documents: Iterable[Document], *, namespace: str) -> dict[Lookup, frozenset[str]]:
    """The Secrets, each with its keys that hold something. Their values are not looked at: they may be encrypted."""
    found: dict[Lookup, frozenset[str]] = {}
    for document in documents:
        for _, value in _objects(document.value, ()):
            if (value.get("apiVersion"), value.get("kind")) == ("v1", "Secret"):
                subject = _subject(value, namespace)
                key = Lookup(subject.namespace, subject.name)
                found[key] = found.get(key, frozenset()) | _keys(value)
    return found


def _keys(secret: Mapping[str, Any]) -> frozenset[str]:
    parts = [part for part in (secret.get("data"), secret.get("stringData")) if isinstance(part, dict)]
    return frozenset(key for part in parts for key, value in part.items() if value not in (None, ""))


def no_objects(documents: Iterable[Document]) -> list[Located]:
    """A problem for each list of objects of ours that is no Kubernetes List: kubectl takes none of it."""
    lists = (each for each in documents if isinstance(each.value, list))
    remedy = "separate the objects by ---, or write kind: List with them as items"
    problem = Problem("", "is a list of objects, which kubectl does not take", remedy, reason="WrongType")
    found = (each for each in lists if any(isinstance(item, dict) and is_ours(item) for item in each.value))
    return [Located(Place(each.source, each.line()), None, problem) for each in found]


def _subject(value: Mapping[str, Any], namespace: str) -> Subject:
    metadata = value.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    kind = value.get("kind")
    return Subject(
        kind if isinstance(kind, str) and kind else "object",
        str(metadata.get("namespace") or namespace),
        str(metadata.get("name") or "(without a name)"),
    )


def check(
    objects: Iterable[Written],
    *,
    now: datetime,
    conventions: Conventions = UNREAD,
    secrets: Mapping[Lookup, Collection[str]] = NONE,
) -> list[Located]:
    """Everything that is wrong with the objects, each by itself and all together, in the order of the files. `conventions`: those
    of the agent's configuration, where that is known; `secrets`: those beside the objects, with their keys."""
    site = _Site(now, conventions, secrets)
    for written in objects:
        site.add(written)
    site.judge()
    return sorted(site.located, key=lambda each: (each.place, each.problem.field))


class _Site:
    """The objects of all files."""

    def __init__(self, now: datetime, conventions: Conventions, secrets: Mapping[Lookup, Collection[str]]) -> None:
        self.now, self.conventions, self.secrets = now, conventions, secrets
        self.located: list[Located] = []
        self.written: dict[Subject, Written] = {}
        self.groups: dict[Lookup, Group] = {}
        self.machines: dict[Lookup, Node] = {}
        self.profiles: dict[Lookup, PowerProfile] = {}
        self.broken: set[Subject] = set()
        self.told: set[tuple[Subject, str]] = set()

    def add(self, written: Written) -> None:
        subject = written.subject
        first = self.written.setdefault(subject, written)
        if first is not written:
            place = first.place()
            text = f"stands in {place.file}, line {place.line} already"
            problem = Problem("metadata.name", text, "remove one of them", reason="Duplicate")
            self.located.append(Located(written.place(problem.field), subject, problem))
            return
        for problem in written_problems(written.value):
            self.report(written, problem)
        if subject.kind in KINDS:
            self.decode(written)

    def decode(self, written: Written) -> None:
        """What does not decode takes part by its name and label alone, so that others are not blamed for it."""
        kind, metadata = KINDS[written.subject.kind], _metadata(written)
        decoded = decode(kind, {**_without_empty(written.value), "metadata": metadata, "status": {}})
        if isinstance(decoded, Malformed):
            self.broken.add(written.subject)
            decoded = decode(kind, {"metadata": metadata, "spec": _least_spec(written.value)})
        key = Lookup(written.subject.namespace, written.subject.name)
        if isinstance(decoded, Group):
            self.groups[key] = decoded
        elif isinstance(decoded, Node):
            self.machines[key] = decoded
        elif isinstance(decoded, PowerProfile) and written.subject not in self.broken:
            self.profiles[key] = decoded

    def judge(self) -> None:
        """Judge what decodes, then all together."""
        for key, group in self.groups.items():
            wrong = chain(group_problems(group, now=self.now), configured_problems(group, self.conventions))
            self.report_all(Subject(GROUPS.name, key.namespace, key.name), wrong)
        for key, profile in self.profiles.items():
            self.report_all(Subject(PROFILES.name, key.namespace, key.name), profile_problems(profile))
        self.fill_in()
        for key, machine in self.machines.items():
            group_of = membership(machine)
            known = self.groups.get(group_of) if group_of else None
            wrong = chain(
                machine_problems(machine, known, now=self.now),
                configured_problems(machine, self.conventions),
                self.secret_problems(machine),
            )
            self.report_all(Subject(MACHINES.name, key.namespace, key.name), wrong)
        groups, machines = list(self.groups.values()), list(self.machines.values())
        for found in site_problems(groups, machines, complete=bool(groups)):
            self.report(self.written[found.subject], found.problem)

    def secret_problems(self, machine: Node) -> Iterator[Problem]:
        """Keys that its Secrets lack, of those that are there: others may be made elsewhere."""
        for need in needs(machine):
            keys = self.secrets.get(Lookup(machine.metadata.namespace, need.name))
            problem = lacking(need, keys) if keys is not None else None
            if problem is not None:
                yield structs.replace(problem, severity="warning")

    def fill_in(self) -> None:
        """Put their profiles into the machines. Where the files have none, those of the cluster may be meant."""
        known = bool(self.profiles) or any(subject.kind == PROFILES.name for subject in self.broken)
        whole = [each for each in self.machines.values() if self.profile_of(each) not in self.broken]
        for each in filled(whole, self.profiles, complete=known):
            metadata = each.node.metadata
            self.machines[Lookup(metadata.namespace, metadata.name)] = each.node
            wrong = [structs.replace(p, severity="error") if needs_profile(each.node) else p for p in each.problems]
            self.report_all(Subject(MACHINES.name, metadata.namespace, metadata.name), wrong)

    @staticmethod
    def profile_of(machine: Node) -> Subject:
        """The profile that the machine names; one that does not decode is told as that alone."""
        return Subject(PROFILES.name, machine.metadata.namespace, machine.spec.profile)

    def report_all(self, subject: Subject, problems: Iterable[Problem]) -> None:
        if subject in self.broken:
            return
        written = self.written[subject]
        try:
            for problem in problems:
                self.report(written, problem)
        except Exception as error:  # one object that nobody foresaw keeps no other from being judged
            text = f"cannot be judged: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
            self.report(written, Problem("", text, "look for an odd value in it, and report this", reason="Contained"))

    def report(self, written: Written, problem: Problem) -> None:
        """Tell it, unless the same field of the same object was blamed before: the first says it best."""
        told = (written.subject, problem.field)
        if told not in self.told:
            self.told.add(told)
            self.located.append(Located(written.place(problem.field), written.subject, problem))


def _without_empty(value: Any) -> Any:
    """Keys without a value are dropped, as the API server does."""
    if isinstance(value, list):
        return [_without_empty(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _without_empty(inner) for key, inner in value.items() if inner is not None}


def _metadata(written: Written) -> dict[str, Any]:
    raw = written.value.get("metadata")
    labels = raw.get("labels") if isinstance(raw, dict) else None
    texts = {key: str(value) for key, value in labels.items()} if isinstance(labels, dict) else {}
    return {"namespace": written.subject.namespace, "name": written.subject.name, "labels": texts}


def _least_spec(value: Mapping[str, Any]) -> dict[str, str]:
    spec = value.get("spec")
    name = spec.get("kubernetesNodeName") if isinstance(spec, dict) else None
    return {"kubernetesNodeName": name} if isinstance(name, str) else {}


def unreadable(error: YamlError) -> Located:
    """A file that is no YAML."""
    problem = Problem("", error.text, "correct the YAML", reason="Unreadable")
    return Located(Place(error.source, error.line), None, problem)
