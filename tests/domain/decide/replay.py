"""Decides recorded pairs again: `python -m tests.domain.decide.replay FILE` prints how many there were, and those that differ.

A line of the file is the JSON of a machine's view, of what was observed of it, and of what was decided then, with tabs between.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from hexa.domain.decide.machine import decide
from hexa.domain.decide.observed import Observed
from hexa.domain.machine_view import MachineView

VIEWS = msgspec.json.Decoder(MachineView)
OBSERVED = msgspec.json.Decoder(Observed)


def recorded(machine: MachineView, observed: Observed) -> bytes:
    """A line."""
    return b"\t".join(map(msgspec.json.encode, (machine, observed, decide(machine, observed))))


def different(lines: list[bytes]) -> Iterator[str]:
    """What is decided otherwise than it was."""
    for number, line in enumerate(lines, 1):
        view, observed, before = line.split(b"\t")
        now = msgspec.json.encode(decide(VIEWS.decode(view), OBSERVED.decode(observed)))
        if now != before:
            yield f"{number}: {before.decode()} is now {now.decode()}"


if __name__ == "__main__":
    found = Path(sys.argv[1]).read_bytes().splitlines()
    print(len(found), *different(found), sep="\n")
