"""`hexa tariff` brings prices into hexa's form and draws a day."""

import json
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from hexa.cli.app import app

CONFIG = """
tariffs:
  night:
    price: 0.30
    zone: Europe/Berlin
    windows: [{from: "22:00", to: "06:00", price: -0.05}]
"""


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    result = CliRunner().invoke(app, ["tariff", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_import_writes_what_show_draws(tmp_path: Path) -> None:
    """From a supplier's answer to a picture of the day."""
    fetched, kept = tmp_path / "agile.json", tmp_path / "prices.csv"
    results = [
        {"value_inc_vat": 10 + n, "valid_from": f"2026-11-30T{n:02}:00:00Z", "valid_to": f"2026-11-30T{n:02}:30:00Z"}
        for n in range(24)
    ]
    fetched.write_text(json.dumps({"results": results}))
    code, out, err = run("import", "octopus", str(fetched), "--output", str(kept))
    assert (code, out) == (0, "")
    assert "no price from 2026-11-30T00:30:00+00:00 to 2026-11-30T01:00:00+00:00" in err
    assert kept.read_text().startswith(
        "# unit: GBP/kWh\nstart,end,value\n2026-11-30T00:00:00+00:00,2026-11-30T00:30:00+00:00,0.1\n"
    )
    code, out, _ = run("show", "--prices", str(kept), "--day", "2026-11-30")
    assert code == 0
    assert out.splitlines()[0] == "2026-11-30 UTC, GBP for a kilowatt-hour, with charges and tax"
    assert "lowest 0.1000 from 00:00, highest 0.3300 from 23:00" in out
    assert "no price is known for these hours" in out


def test_import_keeps_the_prices_of_before(tmp_path: Path) -> None:
    """Prices of one day after the other end up in one file; earlier ones that are not there keep nobody from the new ones."""
    fetched, kept = tmp_path / "fetched.csv", tmp_path / "prices.csv"
    for day, price in ((29, 0.1), (30, 0.2)):
        row = f"2026-11-{day}T00:00:00Z,2026-11-{day}T12:00:00Z,{price}"
        fetched.write_text(f"# unit: EUR/kWh\nstart,end,value\n{row}\n")
        code, _, err = run("import", "csv", str(fetched), "--keep", str(kept), "--output", str(kept))
        assert (code, "nothing of it is kept" in err) == (0, day == 29)
    assert [line.rpartition(",")[2] for line in kept.read_text().splitlines()] == [
        "# unit: EUR/kWh",
        "value",
        "0.1",
        "0.2",
    ]


def test_show_draws_the_day_of_the_tariffs_zone(tmp_path: Path) -> None:
    """All 25 hours of the day on which clocks go back; a negative price has a minus."""
    config = tmp_path / "hexa.yaml"
    config.write_text(CONFIG)
    code, out, _ = run("show", "night", "--config", str(config), "--day", "2026-10-25")
    lines = out.splitlines()
    assert code == 0
    assert [line[:5] for line in lines[2:6]] == ["01:00", "02:00", "02:00", "03:00"]
    assert len(lines) == 1 + 25 + 1
    assert "-█" in lines[1]
    assert lines[-1].startswith("lowest -0.0500 from 00:00, highest 0.3000 from 06:00")


def test_today_is_that_of_the_zone(tmp_path: Path) -> None:
    """Of two zones that are 26 hours apart one has another date than UTC, whenever it is."""
    config = tmp_path / "hexa.yaml"
    config.write_text(CONFIG)
    zones = ("Pacific/Kiritimati", "Etc/GMT+12")
    days = [run("show", "--config", str(config), "--zone", zone)[1].split()[0] for zone in zones]
    assert days == [datetime.now(ZoneInfo(zone)).date().isoformat() for zone in zones]
    assert days[0] != days[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("import", "entsoe", "FILE"), "'entsoe' is no form of prices: write csv, nordpool or octopus"),
        (("import", "csv", "FILE"), "its header has no start"),
        (("import", "nordpool", "FILE"), "is no JSON"),
        (("import", "csv", "nowhere.csv"), "nowhere.csv: No such file or directory"),
        (("show",), "name the configuration by --config or HEXA_CONFIG, or prices by --prices"),
        (("show", "nigth", "--config", "FILE"), "tariffs.nigth: no such tariff; it has night"),
        (("show", "--config", "FILE", "--day", "tomorrow"), "--day: 'tomorrow' is no date"),
        (
            ("show", "--config", "FILE", "--day", "9999-12-31"),
            "--day: 9999-12-31 is too far away: write a year from 1970",
        ),
        (
            ("show", "--config", "FILE", "--day", "2011-12-30", "--zone", "Pacific/Apia"),
            "--day: 2011-12-30 was left out in Pacific/Apia: write another day",
        ),
        (("show", "--config", "FILE", "--zone", "Mars"), "--zone: 'Mars' is no time zone that is known here"),
    ],
)
def test_what_cannot_be_used_ends_with_2_and_the_remedy(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    """One line, no traceback."""
    file = tmp_path / "file.yaml"
    file.write_text(CONFIG)
    code, out, err = run(*(str(file) if each == "FILE" else each for each in arguments))
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1
