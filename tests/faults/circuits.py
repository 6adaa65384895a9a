"""Circuits in random runs: how they are drawn, and what must be so at each wake."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from random import Random
from typing import Any

import trio
from msgspec import structs

from hexa.domain.duration import parse_duration
from hexa.domain.machine.inrush import may_draw
from hexa.domain.resources.v1alpha1 import MACHINES, Node
from hexa.testing.world.builders import NAMESPACE
from tests.faults.acts import Stage
from tests.faults.script import Act, Box

Site = tuple[dict[str, Any], tuple[Box, ...], dict[str, Any]]


def draw_circuits(seed: int, hurts: float, site: Site) -> tuple[Site, list[Act]]:
    """One or two breakers, over all groups, and a ceiling for one of the groups; some machines don't say what they draw. There are
    six machines, and several are wanted on at once. In other runs nothing of it."""
    groups, boxes, _ = site
    if seed % 5 != 3:
        return site, []
    dice = Random(f"circuits {seed}")
    names = ("garage", "attic")[: dice.choice((1, 1, 1, 2))]
    spacing = dice.choice(("0s", "5s", "20s", "20s", "60s"))
    circuits = {name: {"maxWatts": dice.choice((250, 450, 650, 1000)), "inrushSpacing": spacing} for name in names}
    more = (structs.replace(dice.choice(boxes), name=f"box-{number}", on=False) for number in range(len(boxes) + 1, 7))
    boxes = tuple(_plugged(dice, box, names) for box in (*boxes, *more))
    if dice.random() < 0.3:
        group = dice.choice(list(groups))
        groups = {**groups, group: {**groups[group], "maxWatts": dice.choice((300, "500", 900))}}
    return (groups, boxes, circuits), [_burst(dice, hurts, groups) for _ in range(dice.randint(3, 8))]


def _plugged(dice: Random, box: Box, names: Sequence[str]) -> Box:
    watts = dice.choice((60.0, 100.0, 200.0, 200.0, 320.0, 0.0))
    return structs.replace(box, circuit=dice.choice((*names, *names, *names, "")), watts=watts)


def _burst(dice: Random, hurts: float, groups: dict[str, Any]) -> Act:
    """A person, or a call beside Cluster Autoscaler's, that wants several machines of a group on."""
    at, of = round(dice.uniform(0, hurts * 0.9), 1), dice.choice(list(groups))
    if dice.random() < 0.5:
        return Act(at=at, what="increase", of=of, count=dice.choice((1, 2, 2, 3)))
    return Act(at=at, what="holdGroup", of=of, value="on", duration=dice.choice((60.0, 300.0, 900.0)))


class Circuits:
    """Watches the wakes of one run. `say`: told of a rule that was broken, and how."""

    def __init__(self, stage: Stage, say: Callable[[str, str], None]) -> None:
        self._stage, self._say = stage, say
        self._last: dict[str, tuple[float, str]] = {}
        """Of each circuit the last machine that a Job was made to switch on, and when on Trio's clock."""

    def woken(self, name: str) -> None:
        """A startup Job of the machine was made: it takes no circuit and no group above its watts, and is as far from others of
        its circuit as that says, be it the first one or not. Two agents, and a state of etcd that was put back, know no better."""
        box = next(box for box in self._stage.script.boxes if box.name == name)
        if not self._stage.rivals and not self._stage.restores:
            self._watts(box)
        self._spacing(box)

    def _watts(self, box: Box) -> None:
        """Watts of a machine that came up by itself after the wake was decided could not be known."""
        decided = self._stage.world.node(box.name).status.woken_at
        for what, most, boxes in self._shared(box):
            largest = max((each.watts for each in boxes), default=0.0)
            drawn = sum(self._drawn(each, largest, decided) for each in boxes if each != box) + (box.watts or largest)
            if largest and drawn > most + 0.001:
                self._say("watts", f"{box.name}: a startup Job takes its {what} to {drawn:g} of {most:g} W")

    def _shared(self, box: Box) -> Iterator[tuple[str, float, Sequence[Box]]]:
        script = self._stage.script
        if (circuit := script.circuits.get(box.circuit)) is not None:
            yield "circuit", circuit["maxWatts"], [each for each in script.boxes if each.circuit == box.circuit]
        most = script.groups[box.group].get("maxWatts")
        if most is not None and not any(act.what == "moveGroup" for act in script.acts):
            yield "group", float(most), [each for each in script.boxes if each.group == box.group]

    def _drawn(self, box: Box, largest: float, decided: datetime | None) -> float:
        """What the machine counts with, by its stored status."""
        stored = self._stage.world.site.api.get(MACHINES, box.name, NAMESPACE)
        node = stored.decoded(MACHINES) if stored is not None else None
        if not isinstance(node, Node) or not may_draw(node.status):
            return 0.0
        since = node.status.since
        late = since is not None and decided is not None and since >= decided
        return 0.0 if late else box.watts or largest

    def _spacing(self, box: Box) -> None:
        script, now = self._stage.script, trio.current_time()
        if (circuit := script.circuits.get(box.circuit)) is None:
            return
        spacing = parse_duration(circuit["inrushSpacing"]).total_seconds()
        last, self._last[box.circuit] = self._last.get(box.circuit), (now, box.name)
        unsound = self._stage.rivals or self._stage.restores or any(act.what == "clockSet" for act in script.acts)
        if last is not None and last[1] != box.name and now - last[0] < spacing and not unsound:
            self._say("spacing", f"{box.name} is woken {now - last[0]:g} s after {last[1]}, not {spacing:g}")
