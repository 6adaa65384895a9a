"""A group may want all its machines on, or off: above Cluster Autoscaler and spec.powerState, beneath a person's hold."""

from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import OFF, ON, at, machine, status, wanting, wish

from hexa.domain.group.sizing import cancellable, candidates, least_size, max_size, target, to_rest
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Reason
from hexa.domain.machine.wish import settled_wish
from hexa.domain.machine_view import MachineView
from hexa.domain.money.rates import Rates
from hexa.domain.policy.limits import Limits
from hexa.domain.policy.policy import Policy, policy_of
from hexa.domain.resources.group_values import Mode
from hexa.domain.resources.v1alpha1 import Asker, Group, GroupSpec, Hold, Lookup, OwnedMetadata, Power, WakeProof
from hexa.domain.rules.proof import Claim

NOW = at(100)
CA, US, ME = Asker.CLUSTER_AUTOSCALER, Asker.RECOVERY, Asker.USER


def view(mode: Mode, phase: Phase = Phase.READY, name: str = "m1", **known: Any) -> MachineView:
    """A machine of a group in that mode. `asked`: what is wanted of it beneath; `hold`: of the machine."""
    asked, policy = known.pop("asked", None), Policy(mode=mode, **known.pop("policy", {}))
    node = machine(name, **({"hold": known.pop("hold")} if "hold" in known else {}))
    node = structs.replace(wanting(node, asked) if asked else node, status=status(phase, **known.pop("status", {})))
    told = {"problems": (), "control_plane": False, "hosts": (), "shape": None, "kube": None, "group": None}
    key = Lookup("site", name)
    return MachineView(key=key, node=node, policy=policy, limits=Limits(), rates=Rates(), **{**told, **known})


@pytest.mark.parametrize(
    ("mode", "power", "barred"),
    [(Mode.ALWAYS_ON, Power.ON, "off"), (Mode.ALWAYS_OFF, Power.OFF, "on")],
)
def test_the_group_wants_the_same_of_all(mode: Mode, power: Power, barred: str) -> None:
    """Whatever Cluster Autoscaler, hexa or an edit of spec.powerState wants of a machine; and the opposite is refused."""
    policy, problems = policy_of(
        Group(metadata=OwnedMetadata(name="rack", namespace="site"), spec=GroupSpec(mode=mode))
    )
    assert (policy.mode, policy.wanted, problems) == (mode, power, ())
    for asked in (None, wish(ON, CA), wish(OFF, CA), wish(OFF, US), wish(ON, ME), wish(OFF, ME)):
        known = view(mode, asked=asked)
        found = known.wish(NOW)
        assert found is not None
        assert (found.power, found.by, found.reason) == (power, Asker.MODE, Reason.MODE)
        vetoes = {"off": known.off_vetoes(NOW), "on": known.on_vetoes(NOW)}
        assert [(veto.reason, veto.field, veto.of_group) for veto in vetoes.pop(barred)] == [
            ("Mode", "spec.mode", True)
        ]
        assert list(vetoes.values()) == [()]


@pytest.mark.parametrize("mode", [Mode.ALWAYS_ON, Mode.ALWAYS_OFF])
@pytest.mark.parametrize("power", [ON, OFF])
def test_a_hold_passes(mode: Mode, power: Power) -> None:
    """A person's word over a machine counts, in both directions, until it ends; and then the mode does."""
    known = view(mode, hold=Hold(power=power.value, until=at(200)))
    held = known.wish(NOW)
    assert held is not None
    assert (held.power, held.by) == (power, Asker.HOLD)
    assert {veto.reason for veto in (*known.off_vetoes(NOW), *known.on_vetoes(NOW))} == {"Hold"}
    after = known.wish(at(200))
    assert after is not None
    assert (after.power, after.by) == (known.policy.wanted, Asker.MODE)


def test_auto_forbids_nothing() -> None:
    """Where nobody sets a mode, each machine has its own wish."""
    known = view(Mode.AUTO, asked=wish(OFF, CA))
    found = known.wish(NOW)
    assert found is not None
    assert (found.power, found.by) == (OFF, CA)
    assert (known.off_vetoes(NOW), known.on_vetoes(NOW), Policy().mode) == ((), (), Mode.AUTO)


def test_since_when_it_is_wanted_is_kept() -> None:
    """What the mode wants stands since the status first said so, also after a restart."""
    known = view(Mode.ALWAYS_ON, status={"wish": wish(ON, Asker.MODE, since=at(7))})
    assert known.wish(NOW) == wish(ON, Asker.MODE, since=at(7), reason=Reason.MODE)
    turned = view(Mode.ALWAYS_OFF, status={"wish": wish(ON, Asker.MODE, since=at(7))}).wish(NOW)
    assert turned is not None
    assert turned.since == NOW


@pytest.mark.parametrize(
    ("mode", "phase", "beneath", "after"),
    [
        (Mode.ALWAYS_ON, Phase.READY, wish(OFF, CA), ON),
        (Mode.ALWAYS_OFF, Phase.OFF, wish(ON, CA), OFF),
        (Mode.ALWAYS_OFF, Phase.OFF, wish(ON, US), OFF),
        (Mode.ALWAYS_ON, Phase.BOOTING, wish(OFF, CA), None),
        (Mode.ALWAYS_OFF, Phase.DRAINING, wish(ON, CA), None),
        (Mode.ALWAYS_ON, Phase.READY, wish(ON, CA), None),
        (Mode.ALWAYS_ON, Phase.READY, wish(OFF, ME), None),
        (Mode.ALWAYS_OFF, Phase.OFF, wish(ON, ME), None),
        (Mode.ALWAYS_ON, Phase.READY, None, None),
        (Mode.AUTO, Phase.READY, wish(OFF, CA), None),
    ],
    ids=str,
)
def test_what_programs_asked_before_is_over(mode: Mode, phase: Phase, beneath: Any, after: Power | None) -> None:
    """When the mode ends, machines stay as they are until somebody asks; what a person wrote in spec.powerState counts again."""
    node = view(mode, phase, asked=beneath).node
    found = settled_wish(node, Policy(mode=mode), now=NOW)
    assert (found.power if found is not None else None) is after
    if found is not None:
        ended = view(Mode.AUTO, phase, asked=found).wish(NOW)
        assert ended is not None
        assert (ended.power, ended.by, ended.reason) == (after, US, Reason.ADOPTED)


def test_sizes_that_cluster_autoscaler_is_told() -> None:
    """AlwaysOn: all that can come, whatever maxSize says, and none fewer; AlwaysOff: what is held on."""
    policy = Policy(mode=Mode.ALWAYS_ON, min_size=0, max_size=1)
    phases = {"a": Phase.READY, "b": Phase.READY, "c": Phase.OFF, "d": Phase.BOOTING, "e": Phase.START_FAILED}
    members = [view(Mode.ALWAYS_ON, phase, name).member(NOW) for name, phase in phases.items()]
    assert (target(members), least_size(policy, members), max_size(policy, members)) == (4, 4, 4)
    assert (candidates(members), cancellable(members), to_rest(policy, members)) == ([], [], [])
    dark = Policy(mode=Mode.ALWAYS_OFF, min_size=2)
    members = [view(Mode.ALWAYS_OFF, phase, name).member(NOW) for name, phase in phases.items()]
    held = view(Mode.ALWAYS_OFF, Phase.OFF, "f", hold=Hold(power="on")).member(NOW)
    assert (target(members), max_size(dark, members), candidates(members)) == (0, 0, [])
    assert (target([*members, held]), max_size(dark, [*members, held])) == (1, 1)


def test_safety_is_above_it() -> None:
    """A machine that hexa itself runs on stays on in a group that is always off."""
    known = view(Mode.ALWAYS_OFF, hosts=("hexa",), asked=wish(ON, CA))
    assert known.acted_wish(NOW) is Power.ON
    assert view(Mode.ALWAYS_OFF, asked=wish(ON, CA)).acted_wish(NOW) is Power.OFF


def test_what_is_not_shown_to_wake_goes_by_a_persons_word_only() -> None:
    """spec.mode is a person's word, as a hold is; a window of a schedule is a program's, and waits for wake proof."""
    other = Claim(key=Lookup("site", "m2"), rank=0, since=at(0))
    by_hand = view(Mode.ALWAYS_OFF, policy={"wake_proof": WakeProof.REQUIRE}, waits_for=other)
    by_clock = structs.replace(by_hand, policy=structs.replace(by_hand.policy, wanted_by=Asker.SCHEDULE))
    assert by_hand.acted_wish(NOW) is Power.OFF
    assert by_clock.acted_wish(NOW) is None
