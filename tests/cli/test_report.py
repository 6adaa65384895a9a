"""hexa report: the accounts of machines and groups as tables, JSON and CSV."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import Result
from tests.cli.sites import cluster, opens
from typer.testing import CliRunner

from hexa.cli.app import app
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES

TODAY = datetime.now(UTC).date()
DAYS = [(TODAY - timedelta(days=ago)).isoformat() for ago in (0, 1, 9)]
Report = Callable[..., Result]


def account(kwh: float, *, days: dict[str, float], **more: Any) -> dict[str, Any]:
    """An account as it stands in a status."""
    sums = {day: {"onSeconds": 3600.0, "kWh": each, "money": each / 2, "saved": each} for day, each in days.items()}
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()  # nothing is added to it
    begun = {"since": "2026-01-01T00:00:00Z", "countedTo": later, "energyTo": later}
    base = {"onSeconds": 7200.0, "offSeconds": 360.0, "kWh": kwh, "money": kwh / 2, "saved": kwh, "currency": "EUR"}
    return {**begun, **base, "days": sums, **more}


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> Report:
    """The command at a site of two machines that have an account, one that has none, and one of no group."""
    kube = cluster()
    spec = {"energy": {"idleWatts": 50}, "startupPodSpec": {"image": "i"}, "shutdownPodSpec": {"image": "i"}}

    def add(kind: Any, name: str, given: dict[str, Any], energy: dict[str, Any], **labels: str) -> None:
        metadata = {"name": name, "namespace": "homelab", "labels": labels}
        kube.api.create(kind, {"metadata": metadata, "spec": given, "status": {"energy": energy}}, keep_status=True)

    of = dict.fromkeys(DAYS, 1.0)
    add(GROUPS, "rack", {"cost": {"tariff": "house"}}, account(40.0, days=dict.fromkeys(DAYS, 2.0), savedKWh=4.0))
    add(MACHINES, "box-1", spec, account(10.0, days=of, measuredKWh=10.0), group="rack")
    add(MACHINES, "box-2", spec, account(20.0, days=of), group="rack")
    add(MACHINES, "box-3", {}, {"onSeconds": 5.0}, group="rack")
    add(MACHINES, "lone", spec, account(5.0, days={DAYS[0]: 5.0}, currency="CHF"))
    opens(monkeypatch, kube)
    return lambda *words: CliRunner().invoke(app, ["report", *words])


def test_each_machine_has_a_line_and_each_currency_a_total(report: Report) -> None:
    """What was measured is shown as it is, what was computed with a ~; machines without an account are named."""
    found = report()
    lines = [line.split() for line in found.stdout.splitlines()]
    assert [line[0] for line in lines[1:6]] == ["homelab/box-1", "homelab/box-2", "homelab/lone", "total", "total"]
    assert " 10.00 " in found.stdout
    assert " ~20.00 " in found.stdout
    assert "15.00 EUR" in found.stdout
    assert "2.50 CHF" in found.stdout
    assert "left out, because spec.energy and spec.pricing say nothing: homelab/box-3" in found.stderr


def test_days_are_those_of_groups_and_of_what_is_in_none(report: Report) -> None:
    """A group's own sum counts; --since leaves out what was before."""
    found = json.loads(report("--by", "day", "--since", "7d", "-o", "json").stdout)
    assert (found["by"], found["since"]) == ("day", (TODAY - timedelta(days=6)).isoformat())
    assert [(line["day"], line["currency"], line["kWh"]) for line in found["lines"]] == [
        (DAYS[1], "EUR", 2.0),
        (DAYS[0], "CHF", 5.0),
        (DAYS[0], "EUR", 2.0),
    ]
    assert found["leftOut"] == ["homelab/box-3"]


def test_tariffs_as_csv(report: Report) -> None:
    """A line for each tariff, with every figure, for spreadsheets."""
    rows = list(csv.DictReader(io.StringIO(report("--by", "tariff", "-o", "csv").stdout)))
    assert [(row["tariff"], row["kWh"], row["savedKWh"]) for row in rows] == [
        ("house", "40.0", "4.0"),
        ("none", "5.0", "0.0"),
    ]


def test_a_group_alone(report: Report) -> None:
    """Its machines and nothing else; a group that is not there is said so."""
    found = json.loads(report("--group", "rack", "-o", "json").stdout)
    assert [line["machine"] for line in found["lines"]] == ["homelab/box-1", "homelab/box-2"]
    assert found["totals"] == [dict(found["totals"][0], total="EUR", kWh=30.0)]
    assert "did you mean rack?" in report("--group", "rak").stderr


@pytest.mark.parametrize("since", ["yesterday", "0d", "2026-13-01", "2020-01-01", "400d", "9000-01-01"])
def test_a_day_that_accounts_do_not_have_is_refused(report: Report, since: str) -> None:
    """One that is no date, longer ago than days are kept, or yet to come."""
    found = report("--since", since)
    assert (found.exit_code, found.stdout) == (2, "")
    assert "--since: " in found.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--receipt", "--since", "7d"), "--receipt: it knows no --since; leave that out"),
        (("--blockers", "--by", "day"), "--blockers: it knows no --by; leave that out"),
        (("--blockers", "--receipt"), "--blockers and --receipt: write one of them"),
        (("--receipt", "-o", "csv"), "--receipt: write -o table or -o json"),
    ],
)
def test_what_has_no_effect_is_refused(report: Report, words: tuple[str, ...], says: str) -> None:
    """Nobody takes the receipt of a year for that of a week."""
    found = report(*words)
    assert (found.exit_code, found.stdout) == (2, "")
    assert says in found.stderr
