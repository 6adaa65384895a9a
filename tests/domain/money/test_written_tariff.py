"""What is wrong with a tariff names its field and the remedy, and the rest of it counts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from hexa.domain.money.tariff import Tariff
from hexa.domain.money.written_tariff import WrittenTariff, tariff_of

HOUR = timedelta(hours=1)


def read(**written: Any) -> tuple[Tariff, list[str]]:
    """The tariff, and what is said of it."""
    tariff, problems = tariff_of("home", msgspec.convert(written, WrittenTariff))
    return tariff, [str(problem) for problem in problems]


def test_windows_charges_and_tax_are_put_together() -> None:
    """A night rate with a grid charge by day, in the zone of the owner."""
    tariff, problems = read(
        price=0.3,
        zone="Europe/Berlin",
        windows=[{"from": "22:00", "to": "06:00", "price": 0.2}],
        charges=[{"price": 0.1}, {"days": ["Mon"], "from": "17:00", "to": "20:00", "price": 0.05}],
        tax=0.2,
    )
    assert problems == []
    monday = datetime(2026, 11, 29, 23, tzinfo=UTC)  # midnight in Berlin
    found = [tariff.mean(monday + hour * HOUR, monday + (hour + 1) * HOUR) for hour in (0, 12, 18, 23)]
    assert found == pytest.approx([0.36, 0.48, 0.54, 0.36])


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({"price": 1, "zone": "Europe/Berln"}, "tariffs.home.zone: 'Europe/Berln' is no time zone that is known here"),
        ({"price": 1, "windows": [{"price": 1, "from": "7"}]}, "tariffs.home.windows[0]: '7' is no time of day"),
        ({"price": 1, "charges": [{"price": 1, "days": ["Mo"]}]}, "tariffs.home.charges[0]: 'Mo' is no day"),
        ({"price": 1, "windows": [{"price": 1, "from": "07:00", "to": "07:00"}]}, "has no length"),
        (
            {
                "price": 1,
                "windows": [{"price": 1, "from": "22:00", "to": "06:00"}, {"price": 2, "from": "05:00", "to": "07:00"}],
            },
            "tariffs.home.windows: windows 0 and 1 both hold on Mon at 05:00; cut one of them: window 0 counts until then",
        ),
        (
            {"windows": [{"price": 1, "from": "06:00", "to": "22:00"}]},
            "tariffs.home.price: no window holds on Mon at 00:00, and there is no price beside them; set price",
        ),
        ({}, "tariffs.home.price: no window holds on Mon at 00:00"),
        (
            {"file": "x.csv", "price": 1},
            "tariffs.home.file: it has prices, and so have price and windows; leave one of them out",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_remedy(written: dict[str, Any], says: str) -> None:
    """Unknown zones, windows of no length, overlaps and gaps."""
    tariff, problems = read(**written)
    assert len(problems) == 1
    assert says in problems[0]
    assert tariff.mean(datetime(2026, 11, 30, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)) >= 0


@pytest.mark.parametrize(
    "written", [{"price": "dear"}, {"tax": 19}, {"prise": 1}, {"price": 1e6}, {"windows": [{"to": "06:00"}]}]
)
def test_a_tariff_of_another_shape_is_refused(written: dict[str, Any]) -> None:
    """Before the agent starts."""
    with pytest.raises(msgspec.ValidationError):
        read(**written)
