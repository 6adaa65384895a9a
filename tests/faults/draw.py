"""Draws a run from a seed. What is drawn is what users have: policies, machines, load, people, and everything that goes wrong."""

from random import Random
from typing import Any

from msgspec import structs

from tests.faults.circuits import draw_circuits
from tests.faults.devices import draw_devices
from tests.faults.odd import draw_odd
from tests.faults.profiles import draw_profiles
from tests.faults.script import Act, Box, Load, Script
from tests.faults.whole_site import draw_site, draw_ups

HOUR = 3600.0


def draw(seed: int, *, depends: bool = False, odd: bool = True) -> Script:
    """The run of this seed: always the same one. With `depends` machines need others to be up first; `odd`: see there."""
    dice = Random(f"hexa {seed}")
    groups = {name: _group(dice) for name in ("rack", "shelf")[: dice.choices((1, 2), (4, 1))[0]]}
    if seed % 4 == 0:  # no throw of the dice: the runs of other seeds stay what they are
        groups = {name: {**spec, "quarantineProbe": "Wake"} for name, spec in groups.items()}
    if seed % 3 == 1:
        groups = {name: spec | _rules(Random(f"rules {name} {seed}")) for name, spec in groups.items()}
    groups = _guarded(seed, groups)
    if seed % 5 == 1:
        groups = {name: spec | _schedules(Random(f"schedules {name} {seed}")) for name, spec in groups.items()}
    boxes = tuple(_box(dice, number, dice.choice(list(groups))) for number in range(1, dice.randint(1, 6) + 1))
    if seed % 5 == 1:
        groups, boxes = _ordered(Random(f"order {seed}"), groups, boxes)
    if seed % 5 == 0:
        boxes, groups = _accounts(Random(f"account {seed}"), boxes, groups)
    loads = tuple(_load(dice, number) for number in range(1, dice.randint(0, 3) + 1))
    others, pinned = Random(f"blockers {seed}"), tuple[Load, ...]()
    if seed % 5 == 2:
        groups = {name: spec | _for_pods(others) for name, spec in groups.items()}
        pinned = _pinned(others, boxes)
    hurts = dice.choice((0.25, 0.5, 1.0, 2.0)) * HOUR
    acts = [_act(dice, hurts, groups, boxes, loads) for _ in range(dice.randint(1, 14))]
    acts += [_scaled(others, load, hurts) for load in pinned]
    acts += draw_site(seed, hurts)
    more, groups = draw_ups(seed, hurts, groups)
    acts += more
    if odd:
        acts += draw_odd(seed, hurts, groups, boxes)
        more, boxes = draw_devices(seed, hurts, boxes)
        acts += more
    if seed % 5 == 0:
        groups, more = _modes(Random(f"modes {seed}"), hurts, groups)
        acts += more
    if seed % 5 == 1:
        more, boxes = draw_profiles(seed, hurts, boxes)
        acts += more
    (groups, boxes, circuits), more = draw_circuits(seed, hurts, (groups, boxes, {}))
    acts += more
    return Script(
        seed=seed,
        groups=groups,
        boxes=_depending(Random(f"depends {seed}"), boxes) if depends else boxes,
        loads=(*loads, *pinned),
        acts=tuple(sorted(acts, key=lambda act: act.at)),
        circuits=circuits,
        hurts=hurts,
    )


def _some(dice: Random, chances: dict[str, tuple[float, Any]]) -> dict[str, Any]:
    """Each field with its chance; a field that is not drawn keeps its default."""
    found = {}
    for name, (chance, values) in chances.items():
        if dice.random() < chance:
            found[name] = dice.choice(values)
    return found


REMEDIES = (
    {"powerCycle": True, "after": "2m"},
    {"powerCycle": True, "maxUnhealthy": 3},
    {"powerCycle": True, "maxUnhealthy": "60%", "outOfService": True},
    {"outOfService": True},
)


def _group(dice: Random) -> dict[str, Any]:
    spec = {"maxNodeProvisionTime": dice.choice(("2m", "3m", "5m"))}
    spec |= _some(
        dice,
        {
            "minSize": (0.3, (1, 1, 2)),
            "maxSize": (0.5, (1, 2, 3, 4)),
            "nodeLeavePolicy": (0.5, ("Delete", "Keep")),
            "wakeProof": (0.7, ("Require", "Warn", "Ignore", "Ignore")),
            "onUnexpectedPower": (0.6, ("Adopt", "Correct", "Ignore")),
            "remediation": (0.2, REMEDIES),
            "exerciseEvery": (0.2, ("1h", "2h")),
            "scaleDownUnneededTime": (0.8, ("1m", "2m", "5m")),
        },
    )
    if spec.get("maxSize", 9) < spec.get("minSize", 0):
        del spec["minSize"]
    drain = _some(dice, {"force": (0.15, (True,)), "gracePeriod": (0.2, ("10s",)), "allowBare": (0.3, (True,))})
    timeouts = _some(
        dice,
        {
            "drain": (0.5, ("30s", "1m", "5m")),
            "powerOff": (0.3, ("1m", "2m")),
            "lost": (0.3, ("30s", "1m", "5m")),
            "settle": (0.2, ("1s", "1m")),
            "offConfirm": (0.2, ("10s", "60s")),
        },
    )
    retries = {"maxBackoff": "5m"} | _some(
        dice,
        {
            "attempts": (0.3, (1, 2, 5)),
            "backoff": (0.3, ("10s", "2m")),
            "wakeInterval": (0.2, ("10s", "30s")),
            "hedge": (0.2, (True,)),
        },
    )
    return spec | {"drain": drain, "timeouts": timeouts, "retries": retries}


BLACKOUTS = (
    {"from": "00:20", "to": "00:50"},
    {"days": ["Mon"], "from": "01:30", "to": "04:00", "zone": "Europe/Berlin"},
    {"from": "23:00", "to": "00:15", "zone": "UTC"},
    {"days": ["Mon", "Tue"], "from": "05:30", "to": "06:10", "zone": "Asia/Kolkata"},
)
"""A run begins on a Monday at midnight in UTC."""


def _rules(dice: Random) -> dict[str, Any]:
    """Rules that the first runs did not have."""
    found = _some(dice, {"minOnTime": (0.5, ("2m", "10m", "40m")), "minOffTime": (0.5, ("2m", "20m"))})
    blackouts = dice.sample(BLACKOUTS, dice.choice((0, 1, 1, 2)))
    return found | ({"blackouts": blackouts} if blackouts else {})


MODES = ("AlwaysOn", "AlwaysOff", "Observe")


def _modes(dice: Random, hurts: float, groups: dict[str, Any]) -> tuple[dict[str, Any], list[Act]]:
    """Some groups begin in a mode; one to four times somebody changes one, for a time or for good."""
    begun = {
        name: spec | ({"mode": dice.choice(MODES)} if dice.random() < 0.3 else {}) for name, spec in groups.items()
    }
    times = [round(dice.uniform(0, hurts * 0.9), 1) for _ in range(dice.randint(1, 4))]
    changes = [
        Act(at=at, what="mode", of=dice.choice(list(groups)), value=dice.choice((*MODES, "Auto")), duration=until)
        for at in times
        for until in (dice.choice((*SPANS, 1800.0, None)),)
    ]
    return begun, changes


SCHEDULES: tuple[dict[str, Any], ...] = (
    {"from": "00:10", "to": "00:40", "minSize": 2},
    {"from": "00:25", "to": "01:20", "zone": "UTC", "minSize": 0, "maxSize": 0, "reason": "night"},
    {"days": ["Mon"], "from": "02:00", "to": "02:30", "zone": "Europe/Berlin", "maxSize": 1},
    {"days": ["Mon"], "from": "06:15", "to": "08:00", "zone": "Asia/Kolkata", "minSize": 1, "maxSize": 3},
    {"from": "00:05", "to": "04:00", "except": ["2026-01-05"], "minSize": 3},
    {"days": ["Sun"], "from": "23:00", "to": "00:30", "minSize": 1},
    {"from": "00:50", "to": "00:55", "minSize": 0, "maxSize": 0},
    {"zone": "Nowhere", "minSize": 1, "maxSize": 0},
    {"from": "00:20", "to": "00:45", "mode": "AlwaysOff"},
    {"from": "00:15", "to": "00:55", "spares": 1},
    {"from": "00:35", "to": "01:30", "spares": "40%", "maxSize": 2},
    {"days": ["Mon"], "from": "01:45", "to": "02:10", "zone": "Europe/Berlin", "mode": "AlwaysOn"},
)


def _schedules(dice: Random) -> dict[str, Any]:
    """Some of them, in any order: they overlap, and contradict each other and the group."""
    return {"schedules": dice.sample(SCHEDULES, dice.choice((1, 1, 2, 3)))}


ORDER = ("reliability", "energy", "boot", "wear", "cost", "index")


def _ordered(dice: Random, groups: dict[str, Any], boxes: tuple[Box, ...]) -> tuple[dict[str, Any], tuple[Box, ...]]:
    """Groups with an order, and machines that differ in what it compares; of some not all is known."""
    cost = {"pricePerKWh": 0.3, "currency": "EUR"}
    groups = {
        name: spec | {"order": dice.sample(ORDER, dice.randint(1, len(ORDER))), "cost": cost}
        for name, spec in groups.items()
    }
    fields = {
        "index": (0.5, (0, 1, 1, 7)),
        "energy": (0.7, ({"maxWatts": 60}, {"maxWatts": "90.5", "idleWatts": 20}, {"idleWatts": 40})),
        "pricing": (0.4, ({"hourlyRate": 0.02}, {"hourlyRate": "0.1"})),
    }
    return groups, tuple(structs.replace(box, more=box.more | _some(dice, fields)) for box in boxes)


def _for_pods(dice: Random) -> dict[str, Any]:
    """What a group does for pods that Cluster Autoscaler can't help, and whether it tells what keeps its machines on."""
    chances = {"wakeForPinned": (0.8, (True,)), "learnShape": (0.3, (True,)), "reportBlockers": (0.6, (True,))}
    return _some(dice, chances)


def _pinned(dice: Random, boxes: tuple[Box, ...]) -> tuple[Load, ...]:
    """Pods that name a machine: one or two loads; some that no machine has the room for."""
    names = [dice.choice(boxes).name for _ in range(dice.choice((1, 1, 2)))]
    return tuple(
        Load(name=f"pinned-{number}", replicas=dice.randint(0, 2), cpu=dice.choice(("500m", "2", "9")), pinned=name)
        for number, name in enumerate(names, 1)
    )


def _scaled(dice: Random, load: Load, hurts: float) -> Act:
    at = round(dice.uniform(0, hurts * 0.9), 1)
    return Act(at=at, what="scale", of=load.name, value=dice.randint(0, 3), duration=dice.choice((30.0, 300.0, 1200.0)))


ENERGY = (
    {"energy": {"idleWatts": 60, "offWatts": 2, "bootWattHours": 5}},
    {"energy": {"idleWatts": "15.5", "maxWatts": 40}},
    {"energy": {"maxWatts": 200}},
    {"pricing": {"monthlyRate": 9}},
)


def _accounts(
    dice: Random, boxes: tuple[Box, ...], groups: dict[str, dict[str, Any]]
) -> tuple[tuple[Box, ...], dict[str, dict[str, Any]]]:
    """Machines that say what they draw, and groups that say what it costs."""
    costs = ({}, {"cost": {"pricePerKWh": "0.31"}}, {"cost": {"pricePerKWh": 0.2, "currency": "CHF", "tariff": "gone"}})
    boxes = tuple(structs.replace(box, more=box.more | dice.choice(({}, *ENERGY))) for box in boxes)
    return boxes, {name: spec | dice.choice(costs) for name, spec in groups.items()}


RATES = (
    {"wakes": 1, "per": "2m"},
    {"wakes": 2, "rests": 1, "per": "5m"},
    {"rests": 2, "per": "3m"},
    {"wakes": 1, "rests": 1, "per": "1m"},
)


SPARES = (1, 1, 2, "20%", "60%")


def _guarded(seed: int, groups: dict[str, Any]) -> dict[str, Any]:
    """Bounds of switching, for one seed of five."""
    if seed % 5 != 2:
        return groups
    return {name: spec | _guards(Random(f"guards {name} {seed}")) for name, spec in groups.items()}


def _guards(dice: Random) -> dict[str, Any]:
    return _some(
        dice,
        {
            "maxCyclesPerDay": (0.4, (1, 2, 3)),
            "maxDraining": (0.5, (1, 1, 2)),
            "rateLimit": (0.6, RATES),
            "spares": (0.3, SPARES),
        },
    )


def _box(dice: Random, number: int, group: str) -> Box:
    power = dice.choices(("", "bmc", "lan"), (6, 3, 1))[0]
    return Box(
        name=f"box-{number}",
        group=group,
        on=dice.random() < 0.4,
        sensor=not power and dice.random() < 0.4,
        power=power,
        cpu=dice.choice(("4", "4", "4", "8")),
        boot=dice.choice((8.0, 20.0, 45.0)),
        off=dice.choice((2.0, 5.0, 15.0)),
        powered=dice.choices(("", "on", "off"), (8, 1, 1))[0],
    )


def _depending(dice: Random, boxes: tuple[Box, ...]) -> tuple[Box, ...]:
    """Every second one needs one of those before it."""
    needs = [dice.sample(boxes[:number], min(number, 1)) if dice.random() < 0.5 else [] for number in range(len(boxes))]
    return tuple(
        structs.replace(box, depends=tuple(need.name for need in found))
        for box, found in zip(boxes, needs, strict=True)
    )


def _load(dice: Random, number: int) -> Load:
    return Load(
        name=f"load-{number}",
        replicas=dice.randint(0, 4),
        cpu=dice.choice(("500m", "1", "2", "3")),
        budget=dice.choices((None, 1, 2), (3, 1, 1))[0],
        undisturbed=dice.random() < 0.1,
    )


SPANS = (5.0, 30.0, 60.0, 120.0, 300.0, 600.0)
MACHINE_FAULTS = {
    "lostWake": 4,
    "dead": 3,
    "slowBoot": 3,
    "noJoin": 2,
    "hungShutdown": 3,
    "buttonOn": 2,
    "buttonOff": 2,
    "crash": 2,
    "reboot": 2,
    "powerLoss": 2,
    "partition": 3,
    "sensorBlind": 3,
    "sensorLies": 2,
    "stuckJob": 2,
    "failedJob": 2,
    "imageMissing": 1,
}
SITE_FAULTS = {"apiError": 3, "outage": 3, "compaction": 2, "unschedulable": 1}
AGENT_FAULTS = {"kill": 8, "rival": 2, "touch": 3}
PEOPLE = {
    "powerState": 6,
    "hold": 3,
    "holdGroup": 1,
    "pause": 3,
    "maxSize": 2,
    "minSize": 2,
    "cordon": 1,
    "release": 1,
    "deleteNode": 1,
}
LOADS = {"scale": 8, "job": 4, "bare": 1}
AUTOSCALER = {"restartAutoscaler": 2, "deleteTwice": 3, "increase": 2, "decrease": 1}
KINDS = MACHINE_FAULTS | SITE_FAULTS | AGENT_FAULTS | PEOPLE | LOADS | AUTOSCALER


def _act(dice: Random, hurts: float, groups: dict[str, Any], boxes: tuple[Box, ...], loads: tuple[Load, ...]) -> Act:
    what = dice.choices(list(KINDS), list(KINDS.values()))[0]
    of, value, count, duration = dice.choice(boxes).name, None, 1, None
    if what in MACHINE_FAULTS:
        count = dice.choices((1, 2, 5), (4, 2, 1))[0]
        duration = dice.choice(SPANS)
    elif what == "rival":
        of, value, duration = "", dice.choice((0.02, 0.1, 0.5)), dice.choice((1.0, 5.0, 15.0))
    elif what in SITE_FAULTS or what in AGENT_FAULTS:
        of = "" if what != "touch" else of
        count = dice.choices((1, 3, 8, 20), (3, 3, 2, 1))[0]
        duration = dice.choice(SPANS)
        value = dice.choice((None, dice.randint(1, 6))) if what == "kill" else None
    elif what in ("holdGroup", "maxSize", "minSize"):
        of = dice.choice(list(groups))
        value = dice.choice(("on", "off")) if what == "holdGroup" else dice.randint(0, 3)
        duration = dice.choice(SPANS)
    elif what in PEOPLE:
        value = dice.choice(("on", "off"))
        duration = dice.choice((*SPANS, None)) if what in ("hold", "pause") else dice.choice(SPANS)
    elif what in LOADS:
        of = dice.choice(loads).name if loads and what == "scale" else ""
        value = dice.randint(0, 6) if what == "scale" else dice.choice(("1", "2", "3"))
        duration = dice.choice((30.0, 300.0, 1200.0))
    else:
        count = dice.randint(1, 2)
        if what in ("increase", "decrease"):
            of = dice.choice(list(groups))
    at = round(dice.uniform(0, hurts * 0.9), dice.choice((0, 1, 3)))
    return Act(at=at, what=what, of=of, value=value, count=count, duration=duration)
