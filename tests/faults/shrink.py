"""Makes a script that fails smaller, as long as it breaks the same rule."""

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import structs

from tests.faults.script import Script

Fails = Callable[[Script], bool]


def shrink(script: Script, fails: Fails, *, runs: int = 300) -> Script:
    """Leave out one thing after the other while `fails` says that the rest still does; at most so many runs."""
    left = runs
    smaller = True
    while smaller and left > 0:
        smaller = False
        for candidate in _smaller(script):
            left -= 1
            if left < 0:
                break
            if fails(candidate):
                script, smaller = candidate, True
                break
    return script


def _smaller(script: Script) -> Iterator[Script]:
    for index in reversed(range(len(script.acts))):
        yield structs.replace(script, acts=_without(script.acts, index))
    for index in reversed(range(len(script.loads))):
        name = script.loads[index].name
        acts = tuple(act for act in script.acts if act.of != name)
        yield structs.replace(script, loads=_without(script.loads, index), acts=acts)
    for index in reversed(range(len(script.boxes))):
        name = script.boxes[index].name
        acts = tuple(act for act in script.acts if act.of != name)
        yield structs.replace(script, boxes=_without(script.boxes, index), acts=acts)
    for name in script.circuits:
        boxes = tuple(structs.replace(box, circuit="") if box.circuit == name else box for box in script.boxes)
        left = {key: each for key, each in script.circuits.items() if key != name}
        yield structs.replace(script, circuits=left, boxes=boxes)
    for name, spec in script.groups.items():
        if not any(name in (box.group, *(act.of for act in script.acts)) for box in script.boxes):
            yield structs.replace(script, groups={key: each for key, each in script.groups.items() if key != name})
        for smaller in _specs(spec):
            yield structs.replace(script, groups={**script.groups, name: smaller})


def _specs(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each with one field less."""
    for key, value in spec.items():
        yield {other: each for other, each in spec.items() if other != key}
        if isinstance(value, dict):
            for inner in value:
                yield {**spec, key: {other: each for other, each in value.items() if other != inner}}


def _without(items: tuple[Any, ...], index: int) -> tuple[Any, ...]:
    return items[:index] + items[index + 1 :]
