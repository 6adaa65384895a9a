"""Whatever value stands in a field of a Group or a Node: hexa tells what is wrong, and raises nothing."""

from collections import Counter
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any

import pytest
from trio.testing import MockClock

from hexa.adapters.memory.clock import START
from hexa.cli.shared.checking import check, written_objects
from hexa.domain.machine.identity import fingerprint
from hexa.domain.power.profile import filled_in
from hexa.domain.resources.core import decode
from hexa.domain.resources.v1alpha1 import MACHINES, POWER_DRIVERS, PROFILES, Node, PowerProfile
from hexa.domain.written.validation import machine_problems
from tests.fuzz.odd import Odd, Path, group, machine, odd_values, places, profile, with_odd
from tests.fuzz.pipeline import Pipeline, document, open_pipeline

PHASES = ("Ready", "PoweringOn", "PoweringOff", "Off", "Booting", "Draining", "StartFailed", "Lost", "StopFailed", "")
GROUP = "Group"
Case = tuple[str, Path, Any]
"""The driver of spec.power that the machine is switched by, or "Group"; where the odd value stands, and what it is."""
PARTS = 6
"""So many parts are the odd values dealt out to."""


def cases(*, each: bool) -> Iterator[Case]:
    """Each place of each kind of machine and of a group, with `each` of its odd values, or with one: another at each place."""
    turns: Counter[int] = Counter()
    for kind in ("", *POWER_DRIVERS, GROUP):
        for path, value in places(group() if kind == GROUP else machine(power=kind)):
            if kind in POWER_DRIVERS and path[:2] != ("spec", "power"):
                continue
            odd = odd_values(value)
            turn = turns[id(odd)]
            turns[id(odd)] += 1
            for found in odd if each else odd[turn % len(odd) :][:1]:
                yield kind, path, found


async def sweep(pipeline: Pipeline, found: Iterable[Case]) -> None:
    """Each of them by itself; machines in every phase, with their Kubernetes node and without."""
    for number, (kind, path, odd) in enumerate(found):
        if kind == GROUP:
            await pipeline.group(with_odd(group(), (path, odd)), f"Group {path} = {odd!r:.60}")
            continue
        phase = PHASES[number % len(PHASES)]
        obj = with_odd(machine(power=kind, phase=phase), (path, odd))
        await pipeline.machine(obj, f"{phase} {kind} {path} = {odd!r:.60}", kube=number % 3 != 0)


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


def test_every_odd_value_is_met_at_every_place_or_at_one() -> None:
    """The quick sweep leaves out no place and no odd value."""
    everything, quick = list(cases(each=True)), list(cases(each=False))
    assert {case[:2] for case in quick} == {case[:2] for case in everything}
    assert len(quick) == len({case[:2] for case in quick})
    assert {repr(odd) for *_, odd in quick} == {repr(odd) for *_, odd in everything}


@pytest.mark.parametrize("part", range(2))
async def test_failure_51_no_odd_value_raises_anything(part: int, autojump_clock: MockClock) -> None:
    """One odd value at a time, at each place: it goes through validation, every answer and every loop, and Jobs are built of it."""
    async with open_pipeline() as pipeline:
        await sweep(pipeline, list(cases(each=False))[part::2])
        assert pipeline.failures == []
        done = set(pipeline.rig.journal.reasons())
        assert {"StartupJob", "ShutdownJob", "DoesNotDecode", "Invalid"} <= done  # else it went nowhere


def test_no_odd_value_of_a_profile_raises_anything() -> None:
    """One odd value at a time, at each place of a profile: it is validated, and filled into a machine that is judged with it."""
    spec = {"profile": "odd", "parameters": {"host": "rack-1"}}
    node = {**profile(), "kind": "Node", "metadata": {"name": "rack-1", "namespace": "d"}, "spec": spec}
    for turn, (path, value) in enumerate(places(profile())):
        odd = odd_values(value)
        obj = with_odd(profile(), (path, odd[turn % len(odd)]))
        found = check(written_objects([document(obj), document(node)], namespace="d"), now=START)
        assert "Contained" not in [each.problem.reason for each in found], (path, found)
        decoded, of = decode(PROFILES, obj), decode(MACHINES, node)
        assert isinstance(of, Node)
        filled = filled_in(of, decoded if isinstance(decoded, PowerProfile) else None).node
        list(machine_problems(filled, None))
        fingerprint(filled)


@pytest.mark.long
@pytest.mark.parametrize("quarter", range(4))
@pytest.mark.parametrize("part", range(4))
async def test_two_thirds_of_all_odd_values_raise_nothing(part: int, quarter: int, autojump_clock: MockClock) -> None:
    """The same with four of each six odd values, at each place; in quarters, which two processes share better."""
    async with open_pipeline() as pipeline:
        await sweep(pipeline, list(cases(each=True))[part::PARTS][quarter::4])
        assert pipeline.failures == []


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
async def test_no_pair_of_odd_values_raises_anything(seed: int, autojump_clock: MockClock) -> None:
    """Two odd values in one object, which may hide what one of them alone would show."""
    async with open_pipeline() as pipeline:
        await sweep_pairs(pipeline, seed=seed, pairs=150)
        assert pipeline.failures == []
