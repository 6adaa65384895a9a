"""Decisions are values: what was known of a machine is recorded as JSON, and the same is decided of it elsewhere, later."""

import subprocess
import sys
from itertools import count
from pathlib import Path

import msgspec
import pytest
from tests.domain.decide.replay import recorded
from tests.faults.draw import draw
from tests.faults.play import play

from hexa.app.node import deciding
from hexa.domain.decide.decision import Decision
from hexa.domain.decide.observed import Observed
from hexa.domain.machine_view import MachineView

ENOUGH = 1_000
FIRST = 910_000
KINDS = {"Look", "Save", "Want", "Edit", "Start", "EndJobs", "Welcome", "OnNode", "Rest"}


@pytest.mark.long
def test_a_thousand_recorded_decisions_are_decided_again_in_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever keeps what hexa knew of a machine can find out, in a new process, what it decided."""
    lines: list[bytes] = []
    decide = deciding.decide

    def kept(machine: MachineView, observed: Observed) -> Decision:
        lines.append(recorded(machine, observed))
        return decide(machine, observed)

    monkeypatch.setattr(deciding, "decide", kept)
    for seed in count(FIRST):
        if len(lines) >= ENOUGH:
            break
        assert play(draw(seed, depends=seed % 2 == 0)).broken == ()
    file = tmp_path / "decisions"
    file.write_bytes(b"\n".join(lines))
    command = [sys.executable, "-m", "tests.domain.decide.replay", str(file)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert answer.split("\n") == [str(len(lines)), ""]
    assert {msgspec.json.decode(line.split(b"\t")[2])["type"] for line in lines} >= KINDS
