"""What befalls every machine at once, or all that hexa knows of the site. Drawn from a seed of its own."""

from random import Random
from typing import Final

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
