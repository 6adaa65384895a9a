"""Random fault runs: whatever goes wrong at a site, what must be so is so. `./dev faults` plays as many as you like."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.draw import draw
from tests.faults.play import play
from tests.faults.script import Act, Box, Script, read
from tests.faults.shrink import shrink

BATCH = 25


def broken(seeds: range) -> list[str]:
    """What the runs of these seeds broke, and how to play them again."""
    outcomes = (play(draw(seed)) for seed in seeds)
    return [f"./dev faults --runs 1 --seed {o.seed}: {each}" for o in outcomes for each in o.broken]


def test_a_few_random_runs_break_no_rule() -> None:
    """Drawn sites with drawn faults: no work lost, no two Jobs at once, nothing switched off blind or against a person's word, and
    in the end each machine is where it is wanted or says why not."""
    assert broken(range(4)) == []


@pytest.mark.long
@pytest.mark.parametrize("batch", range(4))
def test_a_hundred_random_runs_break_no_rule(batch: int) -> None:
    """The same for a hundred of them."""
    assert broken(range(100 + batch * BATCH, 100 + (batch + 1) * BATCH)) == []


def test_a_run_is_the_same_again() -> None:
    """A seed draws the same run each time, a run that was written down is the one that was drawn, and it ends the same way."""
    assert read(draw(7).written()) == draw(7)
    one, two = play(draw(3)), play(read(draw(3).written()))
    assert (one.broken, one.jobs, one.pods, one.end) == (two.broken, two.jobs, two.pods, two.end)


@pytest.mark.long
def test_a_run_ends_the_same_way_in_every_process() -> None:
    """Down to each version and time at the API server, whatever order Python gives to sets."""
    code = "from tests.faults.draw import draw; from tests.faults.play import play\n"
    code += "print(play(draw(7062)).end)"  # several machines are asked for at once
    first, second = (
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    )
    assert len(first) > 64
    assert first == second


def test_no_size_is_asked_of_a_group_that_was_given_up() -> None:
    """`hexa release` on a group with more machines up than its maxSize, which goes back to it once the group is taken back."""
    acts = (Act(at=1, what="releaseGroup", of="rack", duration=300.0),)
    boxes = tuple(Box(name=f"box-{number}", group="rack", on=True) for number in (1, 2))
    assert play(Script(seed=1, groups={"rack": {"maxSize": 1}}, boxes=boxes, acts=acts, hurts=310)).broken == ()


def test_no_cordon_is_asked_of_a_node_that_nobody_names() -> None:
    """A machine whose kubelet joins under a name that its Node denies goes off once no pods are there; its node stays as it is."""
    acts = (
        Act(at=60, what="rename", of="box-1", duration=600.0),
        Act(at=70, what="powerState", of="box-1", value="on"),
        Act(at=100, what="powerState", of="box-1", value="off"),
    )
    groups, boxes = {"rack": {"maxNodeProvisionTime": "2m"}}, (Box(name="box-1", group="rack"),)
    outcome = play(Script(seed=1, groups=groups, boxes=boxes, acts=acts, hurts=310))
    assert (outcome.broken, outcome.jobs) == ((), 4)  # three wakes, for nobody hears it, and the shutdown


def test_a_machine_may_stay_off_while_what_it_depends_on_cannot_come() -> None:
    """Held off for ever: the other one is wanted on, stays off, and says so."""
    acts = (
        Act(at=5, what="powerState", of="box-2", value="on", duration=60.0),
        Act(at=20, what="hold", of="box-1", value="off"),
    )
    boxes = (Box(name="box-1", group="shelf", boot=45.0), Box(name="box-2", group="rack", depends=("box-1",)))
    groups: dict[str, dict[str, str]] = {"rack": {}, "shelf": {}}
    assert play(Script(seed=1, groups=groups, boxes=boxes, acts=acts, hurts=310)).broken == ()


def test_a_machine_on_its_way_may_be_woken_again_whatever_becomes_of_what_it_depends_on() -> None:
    """Its first wake is lost, and what it depends on is held off meanwhile: it is woken again all the same."""
    acts = (
        Act(at=1, what="lostWake", of="box-2", duration=60.0),
        Act(at=5, what="powerState", of="box-2", value="on", duration=1200.0),
        Act(at=32, what="hold", of="box-1", value="off", duration=300.0),
    )
    boxes = (Box(name="box-1", group="shelf"), Box(name="box-2", group="rack", depends=("box-1",)))
    groups = {"rack": {"retries": {"wakeInterval": "10s"}}, "shelf": {}}
    assert play(Script(seed=1, groups=groups, boxes=boxes, acts=acts, hurts=400)).broken == ()


def test_a_need_of_the_same_second_as_a_persons_off_is_met() -> None:
    """What depends on a machine that was declared off is wanted by minSize at once: one of the two does not wait for ever."""
    boxes = (
        Box(name="box-1", group="shelf", powered="off"),
        Box(name="box-2", group="rack", depends=("box-1",)),
    )
    groups: dict[str, dict[str, int]] = {"rack": {"minSize": 1}, "shelf": {}}
    assert play(Script(seed=1, groups=groups, boxes=boxes, acts=(), hurts=300)).broken == ()


def test_a_persons_cordon_that_comes_back_with_a_snapshot_is_that_persons() -> None:
    """etcd is put back to a time in which a person had cordoned the node: hexa leaves the cordon to that person."""
    acts = (
        Act(at=60, what="cordon", of="box-1", duration=200.0),
        Act(at=100, what="snapshot"),
        Act(at=400, what="restore", duration=10.0),
    )
    boxes = (Box(name="box-1", group="rack", on=True),)
    assert play(Script(seed=1, groups={"rack": {"minSize": 1}}, boxes=boxes, acts=acts, hurts=500)).broken == ()


def test_a_run_that_fails_is_told_and_shrunk() -> None:
    """A defect of hexa, or a crash, makes a failed run; what has nothing to do with it is left out of the script."""
    acts = (Act(at=5, what="scale", of="", value=1), Act(at=10, what="nonsense", of="box-1"), Act(at=20, what="outage"))
    boxes = tuple(Box(name=f"box-{number}", group="rack") for number in (1, 2))
    script = Script(seed=1, groups={"rack": {"drain": {"force": True}}}, boxes=boxes, acts=acts, hurts=30)
    outcome = play(script)
    assert outcome.rules == {"crash"}
    assert "KeyError: 'nonsense'" in str(outcome.broken[0])
    small = shrink(script, lambda candidate: "crash" in play(candidate).rules)
    assert [act.what for act in small.acts] == ["nonsense"]
    assert len(small.boxes) == 1 or small.boxes[0].name == "box-1"
    assert small.groups["rack"] in ({}, {"drain": {}})
