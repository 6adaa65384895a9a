"""What a boot is known by: the sign of life that began it, and the silence of a system that still boots."""

import pytest
from tests.domain.builders import LIMITS, OFF, ON, at, facts, status

from hexa.domain.lifecycle import Event, Phase, step
from hexa.domain.resources.v1alpha1 import NodeStatus, Reading
from hexa.domain.sensing import RENEWAL_MISSED, next_due, sense


def noticed(before: Phase) -> NodeStatus:
    """A machine that came to `before` at T0, and to Booting by a sign of power a minute later."""
    off = step(status(Phase.UNKNOWN), Event.OVERDUE, now=at(0), limits=LIMITS)
    found = off if before is Phase.OFF else step(off, Event.WANTED, now=at(0), limits=LIMITS)
    return step(found, Event.POWER_SEEN, now=at(60), limits=LIMITS)


@pytest.mark.parametrize("before", [Phase.OFF, Phase.POWERING_ON])
def test_the_sign_of_life_that_began_a_boot_belongs_to_it(before: Phase) -> None:
    """A node that turns Ready after the beat by which its boot was noticed is Ready at once: nobody waits for another beat."""
    began = noticed(before)
    assert sense(began, facts(63, heard=60, node_exists=True, node_ready=True), limits=LIMITS) is Event.NODE_READY
    assert sense(began, facts(63, heard=-5, node_exists=True, node_ready=True), limits=LIMITS) is None


def test_a_beat_from_before_the_wake_is_of_no_boot() -> None:
    """After a wake Job the Ready node of the boot before does not count, however young its last beat is."""
    woken = step(
        step(status(Phase.OFF), Event.WANTED, now=at(0), limits=LIMITS), Event.STARTED, now=at(2), limits=LIMITS
    )
    assert sense(woken, facts(5, wish=ON, heard=-10, node_exists=True, node_ready=True), limits=LIMITS) is None


def test_a_living_node_is_looked_at_again_for_its_next_beat() -> None:
    """A phase that waits for a sign of life of its own looks again when the next beat must have come."""
    stuck = status(Phase.BOOTING, woken_at=at(0))
    known = facts(3, wish=ON, heard=-2, until=10_000, node_exists=True, node_ready=True)
    assert next_due(stuck, known, limits=LIMITS) == at(-2) + RENEWAL_MISSED


def test_a_drain_waits_for_a_system_that_still_boots() -> None:
    """A wake that is taken back ends in a power-off only when the machine has come up, or can't be coming up any more: what boots
    cannot be shut down in order, and neither its silence nor its missing node is a loss."""
    woken = step(status(Phase.OFF), Event.WANTED, now=at(0), limits=LIMITS)
    drained = step(woken, Event.UNWANTED, now=at(10), limits=LIMITS)
    for now, heard, expected in (
        (20, None, None),
        (LIMITS.boot.total_seconds() - 1, None, None),
        (LIMITS.boot.total_seconds(), None, Event.EMPTY),
        (60, 59.0, Event.EMPTY),
    ):
        assert sense(drained, facts(now, wish=OFF, pods=0, heard=heard), limits=LIMITS) is expected
    assert next_due(drained, facts(20, wish=OFF, pods=0), limits=LIMITS) == at(0) + LIMITS.boot


def test_a_drain_does_not_wait_for_a_machine_that_is_read_as_off() -> None:
    """Where a sensor reads Off, a wake that is taken back is over at once."""
    woken = step(status(Phase.OFF), Event.WANTED, now=at(0), limits=LIMITS)
    drained = step(woken, Event.UNWANTED, now=at(10), limits=LIMITS)
    assert sense(drained, facts(12, wish=OFF, pods=0, reading=(Reading.OFF, 12)), limits=LIMITS) is Event.POWER_GONE
