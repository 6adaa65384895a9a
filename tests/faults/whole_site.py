"""What befalls every machine at once, or all that hexa knows of the site. Drawn from a seed of its own."""

from random import Random
from typing import Any, Final

from hexa.adapters.memory.ports.ups import MemoryUps
from hexa.domain.errors import Refused, Unavailable
from hexa.domain.power.ups import unknown
from tests.faults.script import Act

ACTS: Final = {"powerLoss": 3, "partition": 3, "crash": 1, "outage": 2, "flaps": 2, "clockSet": 1}
SPANS: Final = (60.0, 180.0, 600.0, 1500.0)


def draw_site(seed: int, hurts: float) -> list[Act]:
    """One to three times, for a minute to half an hour."""
    dice, acts = Random(f"site {seed}"), list[Act]()
    for _ in range(dice.randint(1, 3) if seed % 5 == 4 else 0):
        what = dice.choices(list(ACTS), list(ACTS.values()))[0]
        at, lasts = round(dice.uniform(60, hurts * 0.9), 1), dice.choice(SPANS)
        if what == "flaps":
            acts += [Act(at=at + 20 * number, what="outage", duration=3.0) for number in range(dice.randint(3, 8))]
        else:
            acts.append(Act(at=at, what=what, duration=lasts * dice.choice((1, -1)) if what == "clockSet" else lasts))
    return acts


# --- a UPS ---

UPS: Final = "ups"
"""Act: the UPS is so (`value`) from now on."""
SILENCE: Final[dict[str, dict[str, Any]]] = {
    "hangs": {"hangs": True},
    "refuses": {"error": Refused("upsd says ACCESS-DENIED")},
    "stale": {"error": Unavailable("upsd says DATA-STALE")},
    "lies": {"answer": unknown("it says OL OB")},
}
ON_BATTERY: Final = {"charge": (0.5, (60, 70)), "runtime": (0.3, ("0s", "10m", "2h"))}
"""spec.onBattery of some groups."""


def draw_ups(seed: int, hurts: float, groups: dict[str, Any]) -> tuple[list[Act], dict[str, Any]]:
    """Mains fail and come back, the battery sinks and is charged, and the UPS may fall silent at any time."""
    if seed % 5 != 4:
        return [], groups
    dice = Random(f"ups {seed}")
    own = {
        name: {key: dice.choice(each) for key, (chance, each) in ON_BATTERY.items() if dice.random() < chance}
        for name in groups
    }
    groups = {name: spec | ({"onBattery": own[name]} if own[name] else {}) for name, spec in groups.items()}
    acts, at = [Act(at=0, what=UPS, value={"mains": True, "charge": 100})], 0.0
    while (at := at + dice.uniform(60, 900)) < hurts * 0.9:
        silent = dice.choice(("", "", *SILENCE))
        value = {"mains": dice.random() < 0.4, "charge": dice.choice((100, 75, 50, 35, 5)), "silent": silent}
        acts.append(Act(at=round(at, 1), what=UPS, value=value))
    return acts, groups


def put(ups: MemoryUps, value: dict[str, Any]) -> bool:
    """Let the UPS be so; whether it says clearly now that it is on battery."""
    ups.mains, ups.charge = value["mains"], float(value["charge"])
    ups.hangs, ups.error, ups.answer = False, None, None
    silent = value.get("silent", "")
    for name, each in SILENCE.get(silent, {}).items():
        setattr(ups, name, each)
    return not ups.mains and not silent
