"""Whatever value stands in a field of a Group or a Node: hexa tells what is wrong, and raises nothing."""

from itertools import count
from random import Random

import pytest
from trio.testing import MockClock

from hexa.domain.resources.v1alpha1 import POWER_DRIVERS
from tests.fuzz.odd import Odd, group, machine, odd_values, places, with_odd
from tests.fuzz.pipeline import Pipeline, open_pipeline

PHASES = ("Ready", "PoweringOn", "PoweringOff", "Off", "Booting", "Draining", "StartFailed", "Lost", "StopFailed", "")


STEP = 29
"""A prime: the values that are taken differ from place to place."""


async def sweep(pipeline: Pipeline, *, step: int, first: int = 0) -> None:
    """Each place of each kind of machine and of a group, with every `step`th of the odd values."""
    numbers = count(first)
    for power in ("", *POWER_DRIVERS):
        base = machine(power=power)
        for path, value in places(base):
            if power and path[:2] != ("spec", "power"):
                continue
            for odd in odd_values(value):
                number = next(numbers)
                if number % step == 0:
                    phase = PHASES[number // step % len(PHASES)]
                    obj = with_odd(machine(power=power, phase=phase), (path, odd))
                    await pipeline.machine(obj, f"{phase} {power} {path} = {odd!r:.60}", kube=number % 3 != 0)
    for path, value in places(group()):
        for odd in odd_values(value):
            if next(numbers) % step == 0:
                await pipeline.group(with_odd(group(), (path, odd)), f"Group {path} = {odd!r:.60}")


async def sweep_pairs(pipeline: Pipeline, *, seed: int, pairs: int) -> None:
    """So many machines and groups with two odd values each, drawn by the seed."""
    random = Random(seed)
    bases = [machine(power=power) for power in ("", *POWER_DRIVERS)]
    for _ in range(pairs):
        base = random.choice([*bases, bases[0], group()])
        odd: list[Odd] = [(path, random.choice(odd_values(value))) for path, value in random.sample(places(base), k=2)]
        about = ", ".join(f"{path} = {value!r:.60}" for path, value in odd)
        if base["kind"] == "Group":
            await pipeline.group(with_odd(base, *odd), f"Group {about}")
        else:
            base["status"]["phase"] = phase = random.choice(PHASES)
            await pipeline.machine(with_odd(base, *odd), f"{phase} {about}", kube=random.random() < 0.7)


async def test_failure_51_no_odd_value_raises_anything(autojump_clock: MockClock) -> None:
    """One odd value at a time, anywhere: it goes through validation, every answer and every loop, and Jobs are built of it."""
    async with open_pipeline() as pipeline:
        await sweep(pipeline, step=89)
        assert pipeline.failures == []
        done = set(pipeline.rig.journal.reasons())
        assert {"StartupJob", "ShutdownJob", "DoesNotDecode", "Invalid"} <= done  # else it went nowhere


@pytest.mark.long
@pytest.mark.parametrize("first", range(7))
async def test_a_fourth_of_all_odd_values_raises_nothing(first: int, autojump_clock: MockClock) -> None:
    """The same with seven of each 29 odd values."""
    async with open_pipeline() as pipeline:
        await sweep(pipeline, step=STEP, first=first)
        assert pipeline.failures == []


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
async def test_no_pair_of_odd_values_raises_anything(seed: int, autojump_clock: MockClock) -> None:
    """Two odd values in one object, which may hide what one of them alone would show."""
    async with open_pipeline() as pipeline:
        await sweep_pairs(pipeline, seed=seed, pairs=150)
        assert pipeline.failures == []
