"""What the fields of a group mean: defaults, units, overrides, and a problem with field and remedy for each bad value."""

import string
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from tests.domain.builders import at, machine

from hexa.domain.policy.limits import Limits, machine_limits, slowest_boot
from hexa.domain.policy.policy import DrainRules, Options, Policy, policy_of
from hexa.domain.policy.problem import Problem, usable
from hexa.domain.policy.values import active_hold, is_on, power_of
from hexa.domain.resources.core import Metadata
from hexa.domain.resources.v1alpha1 import (
    Group,
    GroupSpec,
    Hold,
    LeavePolicy,
    NodeSpec,
    NodeStatus,
    Power,
    Timeouts,
)


def group(**spec: Any) -> Group:
    """A group with that spec, written as in YAML (camelCase)."""
    return Group(metadata=Metadata(name="rack", namespace="site"), spec=msgspec.convert(spec, GroupSpec))


def seconds(span: timedelta) -> float:
    """A duration in seconds."""
    return span.total_seconds()


def sole(spec: dict[str, Any]) -> Problem:
    """The one problem of a group."""
    (problem,) = policy_of(group(**spec))[1]
    return problem


# --- defaults -------------------------------------------------------------------------------------------------


def test_group_that_says_nothing_has_the_documented_policy() -> None:
    """An empty spec is valid and means the documented defaults."""
    policy, problems = policy_of(group())
    assert problems == ()
    assert policy == Policy(namespace="site", name="rack")
    assert (policy.min_size, policy.max_size, policy.leave, policy.hold) == (0, None, LeavePolicy.DELETE, None)
    assert policy.drain == DrainRules(force=False, grace=None, empty_dir=False, pinned=False, bare=False)
    assert policy.options == Options()
    assert (policy.price_per_kwh, policy.currency, policy.allow_control_plane) == (0.0, "EUR", False)


@pytest.mark.parametrize(
    ("provision", "interval", "boot", "power_on"), [(None, 90, 540, 270), ("15m", 90, 540, 270), ("2m", 12, 72, 36)]
)
def test_limits_follow_the_one_number_that_users_know(
    provision: str | None, interval: float, boot: float, power_on: float
) -> None:
    """maxNodeProvisionTime gives the boot, the boot the wake interval, and the attempts the limit of the wake."""
    policy, problems = policy_of(group(maxNodeProvisionTime=provision) if provision else group())
    limits = policy.limits
    assert problems == ()
    assert (seconds(limits.wake_interval), seconds(limits.boot), seconds(limits.power_on)) == (interval, boot, power_on)
    assert limits.attempts == 3


def test_other_limits_have_their_own_defaults() -> None:
    """What does not follow from the provision time is a fixed number."""
    for provision in ("15m", "2m"):
        limits = policy_of(group(maxNodeProvisionTime=provision))[0].limits
        fixed = (limits.settle, limits.drain, limits.power_off, limits.off_confirm, limits.lost)
        assert tuple(map(seconds, fixed)) == (15, 600, 300, 20, 120)
        assert (seconds(limits.backoff), seconds(limits.max_backoff)) == (60, 3600)


def test_limits_without_a_group_are_those_of_an_empty_one() -> None:
    """A machine without a group, and `Limits()` for who embeds this, have the same numbers."""
    assert machine_limits(machine(), None) == (Limits(), ())
    assert policy_of(group())[0].limits == Limits()


def test_retries_shape_the_limits() -> None:
    """More attempts and other intervals move the limit of the wake along, unless that is given itself."""
    limits = policy_of(group(retries={"attempts": 5, "wakeInterval": "10s"}))[0].limits
    assert (limits.attempts, seconds(limits.wake_interval), seconds(limits.power_on)) == (5, 10, 50)
    limits = policy_of(group(timeouts={"boot": "3m", "powerOn": "1m"}))[0].limits
    assert (seconds(limits.boot), seconds(limits.wake_interval), seconds(limits.power_on)) == (180, 30, 60)


def test_every_timeout_and_retry_is_read() -> None:
    """No field of the schema is forgotten."""
    timeouts = {"settle": "1s", "powerOn": "2s", "boot": "3s", "drain": "4s", "powerOff": "5s", "offConfirm": "6s"}
    retries = {"attempts": 8, "wakeInterval": "9s", "backoff": "10s", "maxBackoff": "11s"}
    limits = policy_of(group(timeouts={**timeouts, "lost": "7s"}, retries=retries))[0].limits
    read = [limits.settle, limits.power_on, limits.boot, limits.drain, limits.power_off, limits.off_confirm]
    read += [limits.lost, timedelta(seconds=limits.attempts), limits.wake_interval, limits.backoff, limits.max_backoff]
    assert list(map(seconds, read)) == list(range(1, 12))


# --- a machine's own words --------------------------------------------------------------------------------------


def override(group_spec: dict[str, Any], **own: Any) -> tuple[Limits, tuple[Problem, ...]]:
    """The limits of a machine with fields of its own in a group."""
    spec = msgspec.convert(own, NodeSpec)
    return machine_limits(machine(timeouts=spec.timeouts, retries=spec.retries), group(**group_spec))


def test_machines_fields_stand_over_its_groups_one_by_one() -> None:
    """A slow machine gets a longer boot, and keeps everything else that its group says."""
    limits, problems = override({"timeouts": {"boot": "2m", "drain": "1m"}}, timeouts={"boot": "6m"})
    assert problems == ()
    assert (seconds(limits.boot), seconds(limits.drain), seconds(limits.wake_interval)) == (360, 60, 60)
    limits, _ = override({"retries": {"attempts": 2}}, retries={"wakeInterval": "5s"})
    assert (limits.attempts, seconds(limits.power_on)) == (2, 10)
    assert override({"retries": {"attempts": 2}}, retries={"attempts": 7})[0].attempts == 7


def test_machine_without_words_of_its_own_has_its_groups_limits() -> None:
    """What the group derives is what the machine gets."""
    spec = {"maxNodeProvisionTime": "2m", "timeouts": {"lost": "9s"}}
    assert override(spec) == (policy_of(group(**spec))[0].limits, ())


def test_only_its_own_mistakes_are_told_on_a_machine() -> None:
    """A group's bad value is told on the group, and not on each of its machines."""
    assert override({"timeouts": {"boot": "soon"}})[1] == ()
    assert override({"timeouts": {"boot": "soon"}}, timeouts={"lost": "9s"})[1] == ()
    (problem,) = override({}, timeouts={"lost": "later"})[1]
    assert problem.field == "spec.timeouts.lost"
    (problem,) = machine_limits(machine(timeouts=msgspec.convert({"lost": "x"}, type(machine().spec.timeouts))), None)[
        1
    ]
    assert problem.field == "spec.timeouts.lost"


# --- options, thresholds ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "share"),
    [
        (0, 0),
        (0.5, 0.5),
        ("0.5", 0.5),
        (1, 1),
        ("1", 1),
        (50, 0.5),
        ("50", 0.5),
        (100, 1),
        ("65.5", 0.655),
        (1.5, 0.015),
    ],
)
def test_threshold_above_one_is_percent(written: Any, share: float) -> None:
    """0.5, "0.5", 50 and "50" mean the same half."""
    for field in ("scaleDownUtilizationThreshold", "scaleDownGpuUtilizationThreshold"):
        policy, problems = policy_of(group(**{field: written}))
        assert problems == ()
        found = policy.options
        read = found.scale_down_utilization_threshold
        assert (
            read if field == "scaleDownUtilizationThreshold" else found.scale_down_gpu_utilization_threshold
        ) == share


def test_options_are_told_in_seconds_and_silence_stays_silence() -> None:
    """What the group says is converted, and what it leaves out is left to Cluster Autoscaler."""
    found = policy_of(
        group(
            scaleDownUnneededTime="1h30m",
            scaleDownUnreadyTime="90s",
            maxNodeProvisionTime="2m",
            zeroOrMaxNodeScaling=False,
            ignoreDaemonSetsUtilization=True,
        )
    )[0].options
    assert found == Options(
        scale_down_unneeded_time=5400.0,
        scale_down_unready_time=90.0,
        max_node_provision_time=120.0,
        zero_or_max_node_scaling=False,
        ignore_daemon_sets_utilization=True,
    )


def test_drain_and_cost_settings_are_read() -> None:
    """The group's word on drains and money arrives in numbers."""
    policy, problems = policy_of(
        group(
            drain={
                "force": True,
                "gracePeriod": "1m30s",
                "deleteEmptyDir": True,
                "allowPinned": True,
                "allowBare": True,
            },
            cost={"currency": "CHF", "pricePerKWh": "0.27"},
            nodeLeavePolicy="Keep",
            allowControlPlane=True,
            nodeSelector={"rack": "b"},
            minSize=1,
            maxSize=4,
        )
    )
    assert problems == ()
    assert policy.drain == DrainRules(force=True, grace=90, empty_dir=True, pinned=True, bare=True)
    assert (policy.price_per_kwh, policy.currency, policy.leave) == (0.27, "CHF", LeavePolicy.KEEP)
    assert (policy.labels, policy.min_size, policy.max_size, policy.allow_control_plane) == ({"rack": "b"}, 1, 4, True)


# --- problems ---------------------------------------------------------------------------------------------------------

DURATIONS = [
    *(("timeouts", name) for name in ("settle", "powerOn", "boot", "drain", "powerOff", "offConfirm", "lost")),
    *(("retries", name) for name in ("wakeInterval", "backoff", "maxBackoff")),
    ("drain", "gracePeriod"),
    *((name,) for name in ("scaleDownUnneededTime", "scaleDownUnreadyTime", "maxNodeProvisionTime")),
]


def written(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A spec with the value at that path."""
    return {path[0]: value} if len(path) == 1 else {path[0]: {path[1]: value}}


@pytest.mark.parametrize("path", DURATIONS, ids=".".join)
@pytest.mark.parametrize("value", ["soon", "10", "-5m", ""])
def test_bad_duration_names_its_field_and_a_remedy(path: tuple[str, ...], value: str) -> None:
    """Whatever duration can't be read: which field, what it says, how to write it; the default stands in for it."""
    spec = written(path, value)
    problem = sole(spec)
    assert problem.field == ".".join(("spec", *path))
    assert repr(value) in problem.text
    assert '"10m"' in problem.remedy
    assert (problem.severity, usable((problem,))) == ("error", False)
    assert policy_of(group(**spec))[0] == policy_of(group())[0]


@pytest.mark.parametrize("path", DURATIONS, ids=".".join)
def test_duration_of_zero_is_refused_where_no_machine_could_work_with_it(path: tuple[str, ...]) -> None:
    """A phase that may last no time at all, or a wake repeated without a pause, would only spin."""
    harmless = {"settle", "offConfirm", "lost", "backoff", "maxBackoff", "gracePeriod"}
    harmless |= {"scaleDownUnneededTime", "scaleDownUnreadyTime"}
    problems = policy_of(group(**written(path, "0s")))[1]
    if path[-1] in harmless:
        assert problems == ()
        return
    (problem,) = problems
    assert (problem.field, problem.severity) == (".".join(("spec", *path)), "error")
    assert "1s" in problem.remedy


@pytest.mark.parametrize("path", DURATIONS[:10], ids=".".join)
def test_limit_of_many_years_is_refused(path: tuple[str, ...]) -> None:
    """A limit beyond ten years is a slip of the pen, and would leave the calendar."""
    assert usable(policy_of(group(**written(path, "87600h")))[1])
    problem = sole(written(path, "87601h"))
    assert problem.field == ".".join(("spec", *path))
    assert "87600h" in problem.remedy


@pytest.mark.parametrize("value", ["abc", -0.1, "-1", 101, "100.5", "50%", "nan", "inf", "", "1_0", "1e1", 10**400])
def test_bad_threshold_names_its_field_and_a_remedy(value: Any) -> None:
    """No share of 1 and no percentage of 100 at most: told in words, and left to Cluster Autoscaler."""
    for field in ("scaleDownUtilizationThreshold", "scaleDownGpuUtilizationThreshold"):
        problem = sole({field: value})
        assert problem.field == f"spec.{field}"
        assert repr(value) in problem.text
        assert "percentage" in problem.remedy
        assert policy_of(group(**{field: value}))[0].options == Options()


@pytest.mark.parametrize("value", ["cheap", -0.01, "nan", "0,27"])
def test_bad_price_names_its_field_and_a_remedy(value: Any) -> None:
    """A price that is none counts as 0 and is told."""
    problem = sole({"cost": {"pricePerKWh": value}})
    assert problem.field == "spec.cost.pricePerKWh"
    assert repr(value) in problem.text
    assert "zero or more" in problem.remedy


def test_least_size_above_the_largest_is_refused() -> None:
    """minSize above maxSize can't be had."""
    problem = sole({"minSize": 3, "maxSize": 2})
    assert (problem.field, problem.reason, problem.severity) == ("spec.minSize", "MinAboveMax", "error")
    assert "raise maxSize" in problem.remedy
    assert policy_of(group(minSize=2, maxSize=2))[1] == ()
    assert policy_of(group(minSize=2))[1] == ()


def test_boot_that_outlasts_cluster_autoscalers_patience_is_warned_of() -> None:
    """powerOn and boot together beyond maxNodeProvisionTime: it works, but Cluster Autoscaler gives up earlier."""
    problem = sole({"maxNodeProvisionTime": "10m", "timeouts": {"boot": "9m"}})
    assert (problem.reason, problem.severity, usable((problem,))) == ("BootExceedsProvisionTime", "warning", True)
    exactly = {"maxNodeProvisionTime": "10m", "timeouts": {"boot": "9m", "powerOn": "1m"}}
    assert policy_of(group(**exactly))[1] == ()


def test_every_mistake_is_told_at_once() -> None:
    """Somebody who made three mistakes learns of three."""
    spec = {"scaleDownUnneededTime": "x", "timeouts": {"boot": "y"}, "scaleDownUtilizationThreshold": "z"}
    fields = {problem.field for problem in policy_of(group(**spec))[1]}
    assert fields == {"spec.scaleDownUnneededTime", "spec.timeouts.boot", "spec.scaleDownUtilizationThreshold"}


def test_mistake_of_one_field_is_told_once() -> None:
    """maxNodeProvisionTime is read for the limits and for Cluster Autoscaler, and told once."""
    assert len(policy_of(group(maxNodeProvisionTime="soon"))[1]) == 1


def test_problem_reads_as_a_sentence() -> None:
    """Field, what is wrong, and what to do."""
    assert str(sole({"minSize": 3, "maxSize": 2})) == (
        "spec.minSize: minSize 3 is above maxSize 2; lower minSize or raise maxSize"
    )


texts = st.text(string.printable, max_size=12) | st.sampled_from(["0", "0s", "1ns", "9" * 30 + "h", "1h" * 50])


@given(
    timeouts=st.dictionaries(st.sampled_from(["settle", "powerOn", "boot", "drain", "powerOff", "lost"]), texts),
    retries=st.dictionaries(st.sampled_from(["wakeInterval", "backoff", "maxBackoff"]), texts),
    attempts=st.integers(1, 100),
    provision=texts,
    threshold=texts | st.floats(allow_nan=True) | st.integers(),
)
def test_no_text_breaks_a_policy(
    timeouts: dict[str, str], retries: dict[str, str], attempts: int, provision: str, threshold: Any
) -> None:
    """Whatever is written: there is a policy whose limits are longer than nothing and fit the calendar."""
    spec = {"timeouts": timeouts, "retries": {**retries, "attempts": attempts}, "maxNodeProvisionTime": provision}
    policy, problems = policy_of(group(**spec, scaleDownUtilizationThreshold=threshold))
    limits = policy.limits
    working = (limits.power_on, limits.boot, limits.drain, limits.power_off, limits.wake_interval)
    assert min(working) > timedelta(0)
    assert at(0) + max(*working, limits.lost, limits.settle, limits.max_backoff) > at(0)
    assert all(problem.field.startswith("spec.") and problem.remedy for problem in problems)


# --- holds --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spelling", "power"), [("on", Power.ON), (True, Power.ON), ("off", Power.OFF), (False, Power.OFF)]
)
def test_on_and_off_in_every_spelling(spelling: Any, power: Power) -> None:
    """Strings, and the booleans that YAML makes of them."""
    assert power_of(spelling) is power
    assert is_on(spelling) == (power is Power.ON)


def test_hold_stands_until_its_end() -> None:
    """`until` is the first moment without the hold; without it the hold has no end."""
    hold = Hold(power="on", until=at(10))
    assert active_hold(hold, now=at(9.999)) is hold
    assert active_hold(hold, now=at(10)) is None
    assert active_hold(Hold(power="on"), now=at(10**9)) is not None
    assert active_hold(None, now=at(0)) is None


# --- what boots teach ---------------------------------------------------------------------------------


def taught(*boots: float, **group_spec: Any) -> Limits:
    """The limits of a machine that booted like this."""
    node = structs.replace(machine(), status=NodeStatus(boot_seconds=boots))
    return machine_limits(node, group(**group_spec))[0]


def test_three_boots_shorten_the_limits() -> None:
    """The slowest of the recent boots sets when a wake is sent again and when a boot is given up: a dead machine costs its group
    less. Fewer boots teach nothing, and the floors stand."""
    assert taught(40, 60) == taught() == Limits()
    limits = taught(40, 60, 44)
    assert limits.patient_interval == Limits().wake_interval
    assert (limits.wake_interval, limits.boot) == (timedelta(seconds=85), timedelta(seconds=2 * 85 + 90 + 30))
    assert limits.power_on == 3 * limits.wake_interval
    quick = taught(8, 8, 8)
    assert (quick.wake_interval, quick.boot) == (timedelta(seconds=30), timedelta(minutes=2))


def test_what_boots_teach_never_lengthens_a_limit_nor_overrides_a_person() -> None:
    """A slow machine keeps the defaults, which follow from maxNodeProvisionTime, but that it is not woken again before it can have
    answered; fields that are set stand."""
    slow = taught(400, 500, 450)
    longest = timedelta(minutes=15)
    wake = timedelta(seconds=400)
    assert slow == structs.replace(
        Limits(), wake_interval=wake, patient_interval=wake, power_on=longest - Limits().boot
    )
    assert taught(8, 8, 8, maxNodeProvisionTime="2m") == taught(maxNodeProvisionTime="2m")
    limits = taught(8, 8, 8, timeouts={"boot": "7m"}, retries={"wakeInterval": "50s"})
    assert (limits.boot, limits.wake_interval) == (timedelta(minutes=7), timedelta(seconds=50))
    own = machine(timeouts=Timeouts(boot="6m"))
    node = structs.replace(own, status=NodeStatus(boot_seconds=(8.0, 8.0, 8.0)))
    assert machine_limits(node, group())[0].boot == timedelta(minutes=6)


def test_one_slow_boot_in_twenty_is_forgotten() -> None:
    """It does not set the limits for all later boots."""
    assert slowest_boot([10.0] * 19 + [500.0]) == timedelta(seconds=10)
    assert slowest_boot([10.0, 500.0, 10.0]) == timedelta(seconds=500)


def test_failure_50_no_machine_is_woken_again_before_one_of_its_kind_can_have_answered() -> None:
    """While it has no boots of its own, the shortest of its group's stands in; what a person sets stands."""
    kind = (120.0, 200.0, 130.0)
    assert machine_limits(machine(), group(), kind=kind)[0].wake_interval == timedelta(seconds=120)
    assert machine_limits(machine(), group(), kind=(20.0,))[0] == Limits()
    own = structs.replace(machine(), status=NodeStatus(boot_seconds=(40.0,)))
    assert machine_limits(own, group(), kind=kind)[0] == Limits()
    told = machine_limits(machine(), group(retries={"wakeInterval": "50s"}), kind=kind)[0]
    assert told.wake_interval == timedelta(seconds=50)


@given(boots=st.lists(st.floats(1, 3600), min_size=1, max_size=10))
def test_failure_50_a_wake_interval_never_falls_below_the_shortest_boot_seen(boots: list[float]) -> None:
    """Whatever was seen, a second wake does not come before the machine can have answered the first."""
    limits = taught(*boots)
    assert limits.wake_interval >= timedelta(seconds=min(boots))
    assert limits.power_on + limits.boot <= timedelta(minutes=15)
