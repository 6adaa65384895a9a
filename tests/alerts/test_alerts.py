"""Alerts, judged by promtool over what the metrics of hexa tell in a scripted bad night, in a quiet one, and of nodes that rest."""

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import trio
from _pytest.capture import CaptureManager
from tests.alerts.mixin import rules
from tests.alerts.recorder import Recorder, expected, judge
from tests.e2e.lab.binaries import PROMTOOL, build
from tests.scenarios.bad_night import open_night
from trio.testing import MockClock

from hexa.adapters.metrics.adapter import Exposition
from hexa.app.manifests.dashboard import dashboard
from hexa.domain.machine.lifecycle import Phase
from hexa.testing.world import World, group, machine, open_world
from hexa.yaml import read_documents, write_document

ROOT: Final = Path(__file__).parents[2]
RULES: Final = ROOT / "deploy" / "monitoring" / "rules.yaml"
OURS: Final = "Hexa.*"
MIXIN: Final = "KubeNode.*"


@pytest.fixture(scope="session")
def promtool(pytestconfig: pytest.Config) -> Path:
    """promtool, built once for each version: some minutes the first time."""
    manager = pytestconfig.pluginmanager.getplugin("capturemanager")
    assert isinstance(manager, CaptureManager)
    with manager.global_and_fixture_disabled():
        return build(module=PROMTOOL) / "promtool"


def test_promtool_takes_the_rules(promtool: Path) -> None:
    """`promtool check rules` finds nothing wrong, not even by its own taste (--lint=all)."""
    command = [str(promtool), "check", "rules", "--lint=all", "--lint-fatal", str(RULES)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


async def test_promtool_takes_the_metrics(promtool: Path, autojump_clock: MockClock) -> None:
    """`promtool check metrics` finds nothing wrong with what is scraped, nor with a name or a text in it."""
    async with site(machines=3, minSize=2) as (world, prometheus):
        await prometheus.until(5)
        assert world.agent.life is not None
        metrics = world.agent.life.metrics
        assert metrics is not None
        metrics.calls.refused("Refresh", 0.1, "UNAVAILABLE")
        body, _ = await Exposition(metrics)("")
    assert complaints(promtool, body) == (0, b"")


def complaints(promtool: Path, body: bytes) -> tuple[int, bytes]:
    """The exit code of `promtool check metrics`, and what it says."""
    answer = subprocess.run([str(promtool), "check", "metrics"], input=body, capture_output=True, check=False)
    return answer.returncode, answer.stdout + answer.stderr


def test_promtool_understands_every_query_of_the_dashboard(promtool: Path, tmp_path: Path) -> None:
    """With Grafana's variables filled in, each query of a panel is PromQL."""
    grafana = {"$__rate_interval": "5m", "$__range": "1d", "$namespace": ".*", "$group": ".*", "$machine": ".*"}
    queries = [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())]
    for name, value in grafana.items():
        queries = [query.replace(name, value) for query in queries]
    assert not [query for query in queries if "$" in query]
    recorded = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    file = tmp_path / "queries.yaml"
    file.write_text(write_document({"groups": [{"name": "dashboard", "rules": recorded}]}))
    answer = subprocess.run([str(promtool), "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def bmc(number: int) -> dict[str, Any]:
    """A machine that is switched and read by its BMC."""
    power = {"ipmi": {"address": f"bmc-{number}.lan", "secretName": "bmc"}}
    return {"startupPodSpec": None, "shutdownPodSpec": None, "power": power}


@asynccontextmanager
async def site(*, policy: str = "Delete", machines: int = 10, **spec: Any) -> AsyncIterator[tuple[World, Recorder]]:
    """A rack whose machines a person switches; nobody calls hexa but the test."""
    rack = group("rack", nodeLeavePolicy=policy, **spec)
    boxes = [
        machine(f"box-{number}", group="rack", boot_seconds=60.0, on=number == 1, spec=bmc(number))
        for number in range(1, machines + 1)
    ]
    async with open_world(groups=[rack], machines=boxes, autoscaler=None, agent=False) as world:
        world.agent.metered = True
        await world.start_agent()
        await world.until(lambda: set(world.phases().values()) <= {Phase.OFF, Phase.READY}, within=300)
        yield world, Recorder(world)


async def test_a_quiet_night_with_nine_of_ten_machines_off_is_silent(
    promtool: Path, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Machines go off and come back as they are wanted, one waits for another that needs it, one is held off by a person, one is
    paused, and the group is held off by a person and kept off at last, though its minSize is more: no alert fires in any minute."""
    async with site(minSize=1) as (world, prometheus):
        await prometheus.until(30)
        world.edit("box-2", {"powerState": "on", "dependsOn": ["box-1"]})
        world.edit("box-3", {"hold": {"power": "off", "reason": "new fan"}})
        world.edit("box-4", {"paused": True})
        await prometheus.until(60)
        assert world.phase("box-2") is Phase.READY
        world.edit("box-1", {"powerState": "off"})
        await prometheus.until(120)
        assert {"Blocked", "NeededBy"} <= {each.type for each in world.node("box-1").status.conditions}
        world.edit("box-2", {"powerState": "off"})
        await prometheus.until(300)
        world.edit_group("rack", {"minSize": 8, "hold": {"power": "off", "reason": "the electrician"}})
        await prometheus.until(340)
        world.edit_group("rack", {"minSize": 1, "hold": None, "mode": "AlwaysOff"})
        await prometheus.until(420)
        assert set(world.phases().values()) == {Phase.OFF}
    assert judge(promtool, tmp_path, RULES, prometheus.tests(dict.fromkeys(range(420), ()), names=OURS)) == ""


BAD_NIGHT: Final = (
    ("HexaMachineDoesNotWake of machine box-2", 20, 180),  # dead when it is wanted, from minute 10
    ("HexaDrainBlocked of machine box-1", 50, 120),  # a budget allows nothing, from 30; wanted on again at 98
    ("HexaTariffEnds of tariff spot", 60, 180),  # no new prices, from 40
    ("HexaBmcUnreachable of machine box-5", 60, 180),  # its sensor is blind, from 40
    ("HexaMachineStaysOn of machine box-4", 80, 110),  # it ignores its shutdown, from 60; wanted on again at 98
    ("HexaMachineQuarantined of machine box-2", 80, 180),
    ("HexaMachineLost of machine box-3", 90, 180),  # it hangs, from 80
    ("HexaCertificateEnds of certificate grpc", 110, 180),  # ten days are left, from 45
    ("HexaGroupBelowMinimum of group rack", 120, 180),  # minSize 5, from 98: three can be Ready
    ("HexaAutoscalerSilent", 140, 180),  # from 125
)
"""Each alert, from which minute to before which."""


async def test_a_bad_night_is_told_in_order(promtool: Path, tmp_path: Path, autojump_clock: MockClock) -> None:
    """Each thing that goes wrong is told by name once it has lasted, until it is over, and nothing else is: a machine that does not
    wake, a blocked drain, prices and a BMC, a machine that stays on, a crash, a certificate, too few machines, a silent Cluster
    Autoscaler."""
    async with site(minSize=1) as (world, prometheus):
        for number in range(6, 11):
            world.edit(f"box-{number}", {"hold": {"power": "off"}})
        world.add_pods(1, cpu="4")
        world.add_budget(minAvailable=1)
        await prometheus.until(10)
        world.inject({"kind": "dead", "machine": "box-2"})
        for number in range(2, 6):
            world.edit(f"box-{number}", {"powerState": "on"})
        await prometheus.until(30)
        world.edit("box-1", {"powerState": "off"})
        await prometheus.until(40)
        world.inject({"kind": "sensorBlind", "machine": "box-5"})
        prometheus.ends("hexa_tariff_prices_end_timestamp_seconds", "tariff", "spot", hours=5)
        await prometheus.until(45)
        prometheus.ends("hexa_certificate_expiry_timestamp_seconds", "certificate", "grpc", hours=240)
        await prometheus.until(60)
        world.inject({"kind": "hungShutdown", "machine": "box-4", "count": 99})
        world.edit("box-4", {"powerState": "off"})
        await prometheus.until(80)
        world.inject({"kind": "crash", "machine": "box-3"})
        await prometheus.until(98)
        world.edit_group("rack", {"minSize": 5})
        await prometheus.until(125)
        prometheus.autoscaler = False
        await prometheus.until(180)
    told = {minute: [alert for alert, begin, end in BAD_NIGHT if begin <= minute < end] for minute in range(0, 180, 10)}
    assert judge(promtool, tmp_path, RULES, prometheus.tests(told, names=OURS)) == ""


SHIPPED_NIGHT: Final = (
    ("HexaBmcUnreachable of machine rack-2", 40),
    ("HexaMachineDoesNotWake of machine db-2", 40),
    ("HexaGroupBelowMinimum of group db", 55),
    ("HexaAutoscalerSilent", 75),
    ("HexaMachineQuarantined of machine db-2", 95),
    ("HexaTariffEnds of tariff house", 95),
    ("HexaDrainBlocked of machine rack-1", 105),
    ("HexaDrainBlocked of machine rack-2", 105),
    ("HexaDrainBlocked of machine rack-3", 130),
    ("HexaCertificateEnds of certificate grpc", 130),
)
"""Each alert of examples/scenarios/bad-night.yaml and the hour after it, and the look at which it has come."""
LOOKS: Final = (5, 25, 40, 55, 75, 95, 105, 130, 150)


async def test_the_night_that_ships_is_told_in_order(promtool: Path, tmp_path: Path, autojump_clock: MockClock) -> None:
    """The alerts of docs/bad-night.md fire, each once its cause has lasted, and no other does."""
    async with open_night() as (night, passes):
        prometheus = Recorder(night.world)
        prometheus.autoscaler = False  # the night has its own calls
        async with trio.open_nursery() as nursery:
            nursery.start_soon(prometheus.until, 155)
            async for _ in passes():
                pass
    told = {minute: [alert for alert, begin in SHIPPED_NIGHT if begin <= minute] for minute in LOOKS}
    assert judge(promtool, tmp_path, RULES, prometheus.tests(told, names=OURS)) == ""


async def test_a_site_that_goes_dark_is_one_alert(promtool: Path, tmp_path: Path, autojump_clock: MockClock) -> None:
    """While most machines are out of sight at once, that is told, and not each of them; hexa that has ended is told too."""
    async with site(machines=4) as (world, prometheus):
        for number in (2, 3, 4):
            world.edit(f"box-{number}", {"powerState": "on"})
        await prometheus.until(10)
        world.inject(*({"kind": "partition", "machine": f"box-{number}", "duration": "10m"} for number in (1, 2, 3, 4)))
        await prometheus.until(40)
        world.kill_agent()
        await prometheus.until(60)
    told = {"HexaSafeHands": range(13, 22), "HexaAbsent": range(46, 60)}
    calm = (*range(10), *range(26, 44))
    each = {minute: [alert] for alert, minutes in told.items() for minute in minutes}
    assert judge(promtool, tmp_path, RULES, prometheus.tests({**each, **dict.fromkeys(calm, ())}, names=OURS)) == ""


BOX: Final = 'namespace="n", machine="box"'
RACK: Final = 'namespace="n", group="rack"'
DOUBT: Final = (f'hexa_group_condition{{{RACK}, type="SafeHands"}}', "1x120")
STOPS: Final = f'hexa_machine_phase{{{BOX}, phase="StopFailed"}}'
FEW: Final = ((f"hexa_group_ready{{{RACK}}}", "1x120"), (f"hexa_group_min_size{{{RACK}}}", "2x120"))


def held(count: int, *, of: int) -> tuple[tuple[str, str], ...]:
    """So many machines of the rack are held off by a person."""
    return ((f"hexa_group_held_off{{{RACK}}}", f"{count}x120"), (f"hexa_group_size{{{RACK}}}", f"{of}x120"))


CASES: Final[dict[str, tuple[tuple[tuple[str, str], ...], int, tuple[str, ...]]]] = {
    "a machine that was started by hand after its wake had failed is in no quarantine": (
        ((f"hexa_machine_wake_failed{{{BOX}}}", "1x120"), (f'hexa_machine_phase{{{BOX}, phase="Ready"}}', "1x120")),
        110,
        ("HexaMachineDoesNotWake of machine box",),
    ),
    "a machine that stays on is told of between its tries": (
        ((STOPS, "1x1 stale _x4 1x1 stale _x20"), (f'hexa_machine_phase{{{BOX}, phase="PoweringOff"}}', "_ _ 1x4")),
        10,
        ("HexaMachineStaysOn of machine box",),
    ),
    "a machine that went off in the end is not": (
        ((STOPS, "1x6 stale"), (f'hexa_machine_phase{{{BOX}, phase="Off"}}', "_x7 1x20")),
        8,
        (),
    ),
    "a group of which a person holds a machine off below its minSize": ((*FEW, *held(1, of=2)), 25, ()),
    "the same, and another machine of it fails": (
        (*FEW, *held(1, of=3)),
        25,
        ("HexaGroupBelowMinimum of group rack",),
    ),
    "a group that is held off as a whole": (
        ((f"hexa_group_ready{{{RACK}}}", "0x120"), FEW[1], *held(2, of=2)),
        25,
        (),
    ),
    "a group without enough machines": ((*FEW, *held(0, of=2)), 25, ("HexaGroupBelowMinimum of group rack",)),
    "the same of a hexa that tells no holds": (FEW, 25, ("HexaGroupBelowMinimum of group rack",)),
    "a group on battery": ((*FEW, (f'hexa_group_condition{{{RACK}, type="OnBattery"}}', "1x120")), 25, ()),
    "a power that is not read": (
        ((f"hexa_machine_power_known{{{BOX}}}", "0x120"),),
        20,
        ("HexaBmcUnreachable of machine box",),
    ),
    "the same at a site in doubt": (
        ((f"hexa_machine_power_known{{{BOX}}}", "0x120"), DOUBT),
        20,
        ("HexaSafeHands",),
    ),
    "an agent that nobody ever called": ((("hexa_build_info", "1x120"),), 110, ()),
}
"""Steady states: what is scraped each minute, when is looked, and what fires then."""


@pytest.mark.parametrize("case", CASES)
def test_what_is_told_in_a_steady_state(promtool: Path, tmp_path: Path, case: str) -> None:
    """Exceptions spare what they are meant for, and nothing else."""
    scraped, minute, told = CASES[case]
    series = [{"series": name, "values": values} for name, values in (("hexa_build_info", "1x120"), *scraped)]
    assert judge(promtool, tmp_path, RULES, expected(series, {minute: told}, names=OURS)) == ""


def test_a_certificate_becomes_critical(promtool: Path, tmp_path: Path) -> None:
    """With ten days left one alert tells of it, with one day left two: the second is critical."""
    alerts = 'count by (severity) (ALERTS{alertstate="firing", alertname="HexaCertificateEnds"})'
    for days, severities in ((20, ()), (10, ("warning",)), (1, ("critical", "warning"))):
        series = [
            {"series": 'hexa_certificate_expiry_timestamp_seconds{certificate="grpc"}', "values": f"{days * 86400}x120"}
        ]
        samples = [{"labels": f'{{severity="{severity}"}}', "value": 1} for severity in severities]
        asked = [{"expr": alerts, "eval_time": "90m", "exp_samples": samples}]
        assert (
            judge(promtool, tmp_path, RULES, {"interval": "1m", "input_series": series, "promql_expr_test": asked})
            == ""
        )


# --- kubernetes-mixin ---

NOT_READY: Final = "KubeNodeNotReady of node box-1"
UNREACHABLE: Final = "KubeNodeUnreachable of node box-1"
TOLD: Final[dict[tuple[str, str, bool], tuple[str, ...]]] = {
    ("Keep", "person", True): (UNREACHABLE,),
    ("Keep", "person", False): (NOT_READY, UNREACHABLE),
    ("Keep", "autoscaler", False): (NOT_READY,),
}
"""Of a machine that rests: by what becomes of its node, by who put it off, and whether the mixin spares cordoned nodes (since
1.0.0). docs/alerts.md says the same. Absent: nothing."""


async def one_rest(world: World, prometheus: Recorder, *, who: str) -> None:
    """A machine serves, is put off, stays off for two hours and comes back."""
    switch = {
        "person": (
            lambda: world.edit("box-1", {"powerState": "off"}),
            lambda: world.edit("box-1", {"powerState": "on"}),
        ),
        "autoscaler": (lambda: world.scale(0), lambda: world.scale(1)),
    }
    off, on = switch[who]
    world.add_pods(0, cpu="2")
    on()
    await world.until(lambda: world.phase("box-1") is Phase.READY, within=600)
    await prometheus.until(10)
    off()
    await prometheus.until(150)
    assert world.phase("box-1") is Phase.OFF
    on()
    await prometheus.until(180)
    assert world.phase("box-1") is Phase.READY


@pytest.mark.parametrize("policy", ["Delete", "Keep"])
@pytest.mark.parametrize("who", ["person", "autoscaler"])
async def test_what_kubernetes_mixin_tells_of_machines_that_rest(
    promtool: Path, tmp_path: Path, autojump_clock: MockClock, policy: str, who: str
) -> None:
    """Nothing where the node is deleted. Where it is kept, versions before 1.0.0 tell of all, and later ones of those that Cluster
    Autoscaler has not announced, by KubeNodeUnreachable alone; with the rule of the docs in its place they tell nothing."""
    rack = group("rack", nodeLeavePolicy=policy)
    box = machine("box-1", group="rack", boot_seconds=60.0)
    more: dict[str, Any] = {"autoscaler": None} if who == "person" else {}
    async with open_world(groups=[rack], machines=[box], **more) as world:
        prometheus = Recorder(world)
        await one_rest(world, prometheus, who=who)
    file = tmp_path / "mixin.yaml"
    for spares in (True, False):
        file.write_text(write_document(rules(spares_cordoned=spares)))
        told = TOLD.get((policy, who, spares), ())
        each = {5: (), 60: told, 140: told, 179: ()}
        assert judge(promtool, tmp_path, file, prometheus.tests(each, names=MIXIN)) == ""
    file.write_text(write_document(of_the_docs()))
    assert judge(promtool, tmp_path, file, prometheus.tests(dict.fromkeys(range(180), ()), names=MIXIN)) == ""


async def test_a_node_that_fails_is_told_by_all_of_them(
    promtool: Path, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """A machine that hangs is told by each version of the mixin, and by the rule of the docs: they are quiet for good reason."""
    async with site(machines=1) as (world, prometheus):
        await prometheus.until(10)
        world.inject({"kind": "crash", "machine": "box-1"})
        await prometheus.until(60)
    file = tmp_path / "mixin.yaml"
    written = [(rules(spares_cordoned=spares), (NOT_READY, UNREACHABLE)) for spares in (True, False)]
    for each, told in (*written, (of_the_docs(), (UNREACHABLE,))):
        file.write_text(write_document(each))
        assert judge(promtool, tmp_path, file, prometheus.tests({9: (), 50: told}, names=MIXIN)) == ""


def of_the_docs() -> dict[str, Any]:
    """The rule that docs/alerts.md has in place of KubeNodeUnreachable."""
    page = (ROOT / "docs" / "alerts.md").read_text()
    (block,) = (block for block in page.split("```yaml\n") if "kube_node_spec_unschedulable" in block)
    (read,) = read_documents(block.partition("```")[0], source="docs/alerts.md")
    return dict(read.value["spec"])
