"""Moments are written as the API server reads them."""

from datetime import UTC, datetime

import pytest

from hexa.domain.moment import moment_text


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 30, 18, 5, 9, 999_999, UTC), "2026-11-30T18:05:09Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z"),
        (datetime(999, 12, 31, tzinfo=UTC), "0999-12-31T00:00:00Z"),
        (datetime.max.replace(tzinfo=UTC), "9999-12-31T23:59:59Z"),
    ],
)
def test_every_year_has_four_digits(moment: datetime, text: str) -> None:
    """The API server refuses others, and with them the whole write."""
    assert moment_text(moment) == text
