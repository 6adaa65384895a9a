"""What was decoded stays within bounds that every later calculation can bear."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from hexa.domain.duration import LONGEST
from hexa.domain.machine.wish import recorded_wish
from hexa.domain.names import WISH_ANNOTATION
from hexa.domain.resources.bounds import EARLIEST, LATEST, bounded, bounded_time
from hexa.domain.resources.core import LEASES, Lease, Malformed, decode
from hexa.domain.resources.v1alpha1 import MACHINES, Node, OwnedMetadata

GO_CAN_HOLD = timedelta(microseconds=LONGEST // 1000)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("2026-01-05T00:10:00Z", "2026-01-05T00:10:00+00:00"),
        ("2026-01-05T00:10:00", "2026-01-05T00:10:00+00:00"),
        ("2026-01-05T02:10:00+02:00", "2026-01-05T00:10:00+00:00"),
        ("0001-01-01T00:00:00+14:00", str(EARLIEST.isoformat())),
        ("9999-12-31T23:59:59-14:00", str(LATEST.isoformat())),
    ],
)
def test_failure_51_any_time_can_be_calculated_with(written: str, kept: str) -> None:
    """Years 1 and 9999, and a time without a zone, are as good as any other: far past, far future, UTC."""
    found = bounded_time(datetime.fromisoformat(written))
    assert found.isoformat() == kept
    assert found - GO_CAN_HOLD < found < found + GO_CAN_HOLD
    assert found.astimezone(UTC) == found


def test_numbers_beyond_all_reason_become_large_ones() -> None:
    """A status that claims boots of years, or a pause of ages, breaks no calculation of times."""
    status = {"stoodStill": 1e300, "bootSeconds": [1.5, -1e99], "attempt": 10**30, "phase": "Ready"}
    found = decode(MACHINES, {"metadata": {"name": "a"}, "status": status})
    assert isinstance(found, Node)
    for seconds in (found.status.stood_still, *found.status.boot_seconds, found.status.attempt):
        assert EARLIEST < datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=abs(seconds)) < LATEST


def test_what_is_within_bounds_is_not_copied() -> None:
    """Keeping bounds costs a look at each time and number, and no new object."""
    lease = msgspec.convert({"spec": {"renewTime": "2026-01-05T00:10:00Z", "leaseDurationSeconds": 40}}, Lease)
    assert bounded(lease) is lease


def test_what_cannot_be_read_is_malformed() -> None:
    """A leap second, a list where a map belongs, a depth without end: known by name, with the reason."""
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    for spec in ({"renewTime": "2026-06-30T23:59:60Z"}, [], {"renewTime": deep}):
        found = decode(LEASES, {"metadata": {"name": "n"}, "spec": spec})
        assert isinstance(found, Malformed)
        assert found.metadata.name == "n"
    while isinstance(deep, list):  # else its end is as deep as its beginning
        deep = deep.pop()


def test_failure_51_a_wish_without_a_zone_is_a_wish() -> None:
    """The annotation that a person wrote by hand, without the zone in its times, counts as UTC."""
    text = '{"power": "on", "by": "user", "since": "0001-01-01T00:00:00Z", "until": "2026-01-05T00:10:00"}'
    wish = recorded_wish(Node(metadata=OwnedMetadata(name="a", annotations={WISH_ANNOTATION: text})))
    assert wish is not None
    assert (wish.until, wish.since) == (datetime(2026, 1, 5, 0, 10, tzinfo=UTC), EARLIEST)
