"""The overview that page, API, metrics and notifications tell: the same figures as `hexa get`, null for what is not known."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import trio
from tests.cli.sites import NOW, Clock, cluster
from trio.testing import MockClock

from hexa.app.commands.get import chosen
from hexa.app.commands.report import By, report_of
from hexa.app.commands.shared.snapshot import Snapshot, take
from hexa.app.questions.overview import Beside, overview
from hexa.domain.resources.core import NODES, Condition, Malformed, decode
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Lookup
from hexa.domain.words.arrivals import Boot, arrival, coming
from hexa.domain.words.hands import maintained, short
from hexa.domain.words.overview import Grade, GroupState, MachineState, Overview

TODAY, BEFORE = "2026-11-24", "2026-10-31"


def ago(seconds: float) -> str:
    """As the API writes it."""
    return (NOW - timedelta(seconds=seconds)).isoformat()


def account(**more: Any) -> dict[str, Any]:
    """An account that is complete up to now: 10 kWh for 3 EUR, 2 EUR of them today."""
    days = {TODAY: {"kWh": 4.0, "money": 2.0, "saved": 1.5}, BEFORE: {"kWh": 6.0, "money": 1.0, "saved": 9.0}}
    sums = {"onSeconds": 7200.0, "offSeconds": 60.0, "kWh": 10.0, "money": 3.0, "saved": 10.5, "savedKWh": 2.0}
    return {"countedTo": ago(0), "energyTo": ago(0), "currency": "EUR", "days": days, **sums, **more}


DRAWS = {
    "energy": {"idleWatts": 50, "offWatts": 2},
    "startupPodSpec": {"image": "i"},
    "shutdownPodSpec": {"image": "i"},
}
SITE: list[tuple[Any, str, str, dict[str, Any], dict[str, Any]]] = [
    (GROUPS, "a", "rack", {"cost": {"pricePerKWh": 0.3}}, {"energy": account()}),
    (GROUPS, "b", "odd", {"minSize": "many"}, {}),
    (
        MACHINES,
        "a",
        "on",
        DRAWS,
        {"phase": "Ready", "powerState": "on", "since": ago(60), "energy": account(measuredKWh=10.0)},
    ),
    (MACHINES, "a", "off", DRAWS, {"phase": "Off", "powerState": "off", "energy": account(currency="EUR")}),
    (
        MACHINES,
        "a",
        "boots",
        {},
        {
            "phase": "Booting",
            "powerState": "on",
            "since": ago(10),
            "wakes": 1,
            "firstWake": {"at": ago(30)},
            "bootSeconds": [80.0, 100.0, 200.0],
        },
    ),
    (MACHINES, "b", "new", {}, {}),
    (MACHINES, "b", "broken", {"index": "x"}, {}),
    (
        MACHINES,
        "b",
        "failed",
        {},
        {
            "phase": "StartFailed",
            "conditions": [
                {"type": "Failed", "status": "True", "reason": "StartFailed", "message": "no Ready node"},
                {"type": "Hold", "status": "True", "reason": "Hold", "message": "held"},
                {"type": "Wakeable", "status": "False", "reason": "WakeFailed", "message": "the last wake failed"},
                {"type": "HealthCheck", "status": "True", "reason": "Passed", "message": "passes"},
            ],
        },
    ),
]


def site(now: datetime = NOW) -> Snapshot:
    """Machines in two namespaces."""
    kube = cluster()
    for kind, space, name, spec, status in SITE:
        labels = {"group": "rack"} if space == "a" else {}
        meta = {"name": name, "namespace": space, "labels": labels}
        kube.api.create(kind, {"metadata": meta, "spec": spec, "status": status}, keep_status=True)

    async def taken() -> Snapshot:
        return await take(kube, clock=Clock(now), namespace=None)

    return trio.run(taken, clock=MockClock(autojump_threshold=0))


def machine(found: Overview, name: str) -> MachineState:
    """The one of that name."""
    return next(each for each in found.machines if each.name == name)


def test_it_says_what_hexa_get_says() -> None:
    """Each machine and group has the same phase, wish, sizes and blocker as its line of `hexa get`."""
    snapshot = site()
    found, (lines, _) = overview(snapshot), chosen(snapshot, [], namespace=None, machines=True, groups=True)
    told = [(each.namespace, each.name, each.phase, each.wanted or "", each.blocker or "") for each in found.machines]
    assert told == [(each.namespace, each.name, each.phase, each.wish, each.blocker) for each in lines.machines]
    sizes = [
        (each.name, each.size, each.target, each.minimum, each.maximum, each.blocker or "") for each in found.groups
    ]
    assert sizes == [(g.name, g.size, g.target, g.minimum, g.maximum, g.blocker) for g in lines.groups]


def test_the_line_on_top_sums_up_what_is_known() -> None:
    """Machines on of all, watts by what machines declare, money today and saved this month."""
    found = overview(site()).summary
    assert (found.machines, found.on, found.watts) == (6, 2, 52.0)
    assert (found.money_today, found.saved_month, found.currency) == (4.0, 3.0, "EUR")


def test_what_is_not_known_is_null() -> None:
    """No watts, energy, money or time is made up: a machine that says nothing has none, and so has a site of such machines."""
    found = overview(site(), namespaces={"b"})
    new = machine(found, "new")
    assert (new.watts, new.energy.joules, new.energy.money, new.eta_seconds, new.ready_at, new.wanted) == (None,) * 6
    assert (found.summary.watts, found.summary.money_today, found.summary.currency) == (None, None, None)
    assert machine(overview(site()), "boots").watts is None


def test_energy_is_in_joules_and_says_whether_it_is_estimated() -> None:
    """A kilowatt-hour is 3.6 MJ; what a meter counted is no estimate; the month begins with its first day."""
    found = overview(site())
    on, off = machine(found, "on").energy, machine(found, "off").energy
    assert (on.joules, on.estimated, off.estimated) == (36e6, False, True)
    assert (on.today_joules, on.today_money, on.month_saved, on.saved_joules) == (14.4e6, 2.0, 1.5, 7.2e6)
    (reported,) = [each.sums for each in report_of(site(), by=By.TARIFF).lines]
    assert (found.groups[0].energy.money, found.groups[0].energy.saved_money) == (reported.money, reported.saved)


def test_a_meter_counts_before_what_is_declared() -> None:
    """Watts that were measured are shown, and said to be."""
    found = overview(site(), beside=Beside(watts=lambda node: 61.5 if node.metadata.name == "on" else None))
    assert [(machine(found, name).watts, machine(found, name).watts_measured) for name in ("on", "off")] == [
        (61.5, True),
        (2.0, False),
    ]
    assert found.groups[0].watts == 63.5


def test_one_number_says_when_a_machine_is_ready() -> None:
    """The sentence that pods are told, the moment and the seconds left come from one reckoning, from the first wake of the boot."""
    boots = machine(overview(site()), "boots")
    began = NOW - timedelta(seconds=30)
    assert boots.arrival == arrival(Boot(name="boots", since=began, boot_seconds=(80.0, 100.0, 200.0)))
    assert (boots.ready_at, boots.ready_by) == (began + timedelta(seconds=100), began + timedelta(seconds=200))
    assert (boots.eta_seconds, boots.boot_typical_seconds) == (70, 100.0)


def test_seconds_left_end_where_nobody_knows() -> None:
    """After the median the seconds run to the 95th percentile, and after that there are none; odd lengths of boots are none."""
    began = NOW - timedelta(seconds=30)
    comes = coming(began, (100.0, 200.0, 200.0))
    assert comes is not None
    left = [comes.seconds(began + timedelta(seconds=after)) for after in (0, 199.5, 200, 201)]
    assert left == [200, 1, 0, None]
    late = coming(began, (10.0, 20.0, 99.0))
    assert late is not None
    assert [late.seconds(began + timedelta(seconds=after)) for after in (20, 21, 100)] == [0, 78, None]
    assert coming(began, (1e300,)) is None
    assert coming(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), (1.0,)) is None


def ends_in(days: float) -> float:
    """Seconds since 1970."""
    return (NOW + timedelta(days=days)).timestamp()


def test_hands_are_what_needs_a_person() -> None:
    """Errors first; a hold or a check that passes needs nobody; what cannot be read does; certificates are told in time."""
    beside = Beside(
        certificates=lambda: {"grpc": ends_in(3), "http": ends_in(300)}, called=lambda: timedelta(minutes=9)
    )
    found = [(each.kind, each.name, each.reason, each.severity) for each in overview(site(), beside=beside).hands]
    assert found == [
        ("ClusterAutoscaler", "cluster-autoscaler", "AutoscalerSilent", Grade.ERROR),
        ("Node", "broken", "DoesNotDecode", Grade.ERROR),
        ("Node", "failed", "StartFailed", Grade.ERROR),
        ("Group", "odd", "DoesNotDecode", Grade.ERROR),
        ("Certificate", "grpc", "CertificateEnds", Grade.WARNING),
        ("Node", "failed", "WakeFailed", Grade.WARNING),
    ]


@pytest.mark.parametrize(
    ("ready", "held_off", "told"),
    [(1, 0, True), (1, 1, True), (1, 2, False), (0, 2, True), (0, 3, False), (2, 0, False)],
)
def test_machines_that_a_person_holds_off_are_not_missed(ready: int, held_off: int, told: bool) -> None:
    """Of three machines and a minSize of two: a group is short where one is missing that nobody holds off."""
    state = GroupState(namespace="a", name="rack", size=3, minimum=2, ready=ready)
    assert bool(list(short(state, (), coming=0, held_off=held_off))) is told


def test_maintenance_that_may_be_forgotten_needs_a_person() -> None:
    """Nobody switches a machine that somebody maintains: after a day that is said, by the condition's own time or, where it has
    none, by the machine's. Maintenance of today, of hexa's own word or of the future needs nobody."""

    def found(
        since: str | None, reason: str = "AdminRequested", *, type_: str = "MaintenanceInProgress", status: str = "True"
    ) -> list[str]:
        said = {"type": type_, "status": status, "reason": reason, "lastTransitionTime": since}
        kube = decode(NODES, {"metadata": {"name": "on"}, "status": {"conditions": [said]}})
        assert not isinstance(kube, Malformed)
        own = [Condition(type=type_, status="True", last_transition_time=NOW - timedelta(hours=50))]
        return [each.message for each in maintained(Lookup("a", "on"), kube, own, now=NOW)]

    assert found(ago(90_000))[0].startswith("it is being maintained, and switched by nobody, for 25h: if it is over")
    assert "for 50h" in found(None, type_="MaintenancePlanned")[0]
    assert found("0001-01-01T00:00:00Z")
    [doubt] = found(ago(90_000), status="Unknown")
    assert doubt.startswith(
        "nobody knows whether it is being maintained, and it is not switched off, for 25h: if it is over"
    )
    assert not [*found(ago(90_000), status="False"), *found(ago(90_000), type_="MaintenancePlanned", status="Unknown")]
    assert not [*found(ago(80_000)), *found("9999-12-31T00:00:00Z"), *found(ago(90_000), "HexaHold")]


def test_who_may_see_one_namespace_sees_nothing_of_another() -> None:
    """Machines, groups, hands and sums are those of the namespaces that were asked for."""
    found = msgspec.json.encode(
        overview(site(), namespaces={"a"}, beside=Beside(certificates=lambda: {"grpc": ends_in(0)}))
    )
    assert b'"broken"' not in found
    assert b'"odd"' not in found
    assert b"grpc" not in found
    assert overview(site(), namespaces={"a"}).summary.machines == 3


def test_one_object_that_cannot_be_told_of_harms_no_other() -> None:
    """What its data raises stands in its place, and it needs a hand."""
    snapshot = site()
    good = snapshot.known

    def known(view: Any) -> Any:
        if view.key.name == "on":
            raise ValueError("odd")
        return good(view)

    snapshot.known = known  # type: ignore[method-assign]
    found = overview(snapshot)
    assert "hexa cannot describe it: ValueError: odd" in machine(found, "on").why
    assert machine(found, "off").phase == "Off"
    assert [each.reason for each in found.hands if each.name == "on"] == ["Contained"]


def test_why_is_one_sentence() -> None:
    """Who wants what, and the rule that keeps the machine there."""
    assert machine(overview(site()), "on").why.startswith("on is on, and nobody ever asked for anything")
    assert machine(overview(site()), "new").why == "new was never seen by hexa"
