"""Who decides: what stands in the spec, what was recorded, who holds, what safety forbids, and what hexa corrects itself."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from tests.domain.builders import OFF, ON, T0, at, machine, read, status, wish

from hexa.domain.machine.lifecycle import Event, Phase
from hexa.domain.machine.reason import Reason, Veto
from hexa.domain.machine.wish import (
    base_wish,
    corrected_wish,
    effective_wish,
    forgotten_wish,
    gitops_manager,
    held,
    paused,
    powerstate_manager,
    recorded_wish,
    unexpected,
    wish_patch,
)
from hexa.domain.names import WISH_ANNOTATION
from hexa.domain.policy.policy import Policy
from hexa.domain.policy.schedules import Setter
from hexa.domain.resources.core import ManagedFields
from hexa.domain.resources.v1alpha1 import (
    Asker,
    Hold,
    Node,
    NodeStatus,
    OnUnexpectedPower,
    Paused,
    Power,
    Reading,
    WishRecord,
)
from hexa.domain.rules.acted import acted_power
from hexa.domain.rules.judge import SAFETY
from hexa.domain.rules.own import off_vetoes, on_vetoes

POLICY = Policy(namespace="site", name="rack")
NOW = at(100)
ALL_HELD_OFF = structs.replace(POLICY, hold=Hold(power="off", reason="holiday"))


def recorded(node: Node, record: WishRecord) -> Node:
    """The machine after the patch that records the wish."""
    return applied(node, wish_patch(node, record))


def applied(node: Node, patch: dict[str, Any]) -> Node:
    """The machine after a merge patch."""
    annotations = {**node.metadata.annotations, **patch["metadata"]["annotations"]}
    spec = patch.get("spec", {})
    changed = structs.replace(node.spec, power_state=spec["powerState"]) if spec else node.spec
    return structs.replace(node, metadata=structs.replace(node.metadata, annotations=annotations), spec=changed)


def edited(node: Node, power: Any) -> Node:
    """The machine after somebody set spec.powerState."""
    return structs.replace(node, spec=structs.replace(node.spec, power_state=power))


def owned(node: Node, manager: str, fields: dict[str, Any] | None = None) -> Node:
    """The machine when `manager` applied spec.powerState."""
    owner = ManagedFields(manager=manager, operation="Apply", fields_v1=fields or {"f:spec": {"f:powerState": {}}})
    return structs.replace(node, metadata=structs.replace(node.metadata, managed_fields=(owner,)))


def annotated(node: Node, text: str) -> Node:
    """The machine with that text as its record."""
    return structs.replace(node, metadata=structs.replace(node.metadata, annotations={WISH_ANNOTATION: text}))


# --- what stands beneath a hold -----------------------------------------------------------------------------


def test_machine_of_which_nothing_was_asked_has_no_wish() -> None:
    """No powerState and no record: as found."""
    assert base_wish(machine(), now=NOW) is None
    assert effective_wish(machine(), POLICY, now=NOW) is None


@pytest.mark.parametrize(("spelling", "power"), [("on", ON), (True, ON), ("off", OFF), (False, OFF)])
def test_power_state_alone_is_a_users_wish(spelling: Any, power: Power) -> None:
    """spec.powerState in any spelling of YAML, with nothing recorded, was set by a person, and just now."""
    found = base_wish(machine(power_state=spelling), now=NOW)
    assert found == WishRecord(power=power, by=Asker.USER, reason="PowerStateChanged", since=NOW, spec=power.value)


@pytest.mark.parametrize("by", [Asker.CLUSTER_AUTOSCALER, Asker.RECOVERY, Asker.USER])
def test_recorded_wish_stands_while_the_spec_says_what_it_said(by: Asker) -> None:
    """Who asked, why and since when are what was recorded, however often it is looked at."""
    node = recorded(machine(power_state="on"), wish(OFF, by))
    assert node.spec.power_state == "off"
    found = base_wish(node, now=NOW)
    assert found is not None
    assert (found.power, found.by, found.since) == (OFF, by, T0)


@pytest.mark.parametrize("spelling", ["on", True])
def test_edit_after_the_record_is_the_users(spelling: Any) -> None:
    """Where spec and record disagree somebody else changed the value: the last change wins."""
    node = edited(recorded(machine(power_state="on"), wish(OFF, Asker.CLUSTER_AUTOSCALER)), spelling)
    found = base_wish(node, now=NOW)
    assert found is not None
    assert (found.power, found.by, found.since) == (ON, Asker.USER, NOW)


def test_last_change_wins_between_cluster_autoscaler_and_user() -> None:
    """A person's off, then Cluster Autoscaler's on, then a person's off again: each takes the place of the one before."""
    node = recorded(machine(power_state="off"), wish(ON, Asker.CLUSTER_AUTOSCALER))
    assert base_wish(node, now=NOW) == recorded_wish(node)
    node = edited(node, "off")
    assert getattr(base_wish(node, now=NOW), "by", None) is Asker.USER


def test_removed_power_state_leaves_the_wish_as_it_was() -> None:
    """Taking the field away asks for nothing new."""
    node = edited(recorded(machine(power_state="on"), wish(OFF, Asker.CLUSTER_AUTOSCALER)), None)
    assert base_wish(node, now=NOW) == recorded_wish(node)


@pytest.mark.parametrize(
    "text", ["", "off", "{", "[]", '{"power": "maybe", "by": "user"}', '{"power": "off"}', '{"power": "off", "by": 3}']
)
def test_unreadable_record_counts_as_absent(text: str) -> None:
    """A record that somebody broke is not guessed at: what the spec says is the wish, and without that there is none."""
    assert base_wish(annotated(machine(), text), now=NOW) is None
    found = base_wish(annotated(machine(power_state="on"), text), now=NOW)
    assert found is not None
    assert (found.power, found.by) == (ON, Asker.USER)


def test_record_of_an_older_version_without_spec_is_understood() -> None:
    """A record that does not say what the spec said then stands for a spec of the same value."""
    text = '{"power": "off", "by": "cluster-autoscaler"}'
    assert getattr(base_wish(annotated(machine(power_state="off"), text), now=NOW), "by", None) is not Asker.USER
    assert getattr(base_wish(annotated(machine(power_state="on"), text), now=NOW), "by", None) is Asker.USER


# --- writing a wish -------------------------------------------------------------------------------------------

askers = st.sampled_from(Asker)
powers = st.sampled_from(Power)
records = st.builds(WishRecord, power=powers, by=askers, reason=st.text(max_size=8), since=st.just(T0))


@given(record=records, before=st.sampled_from([None, "on", "off", True, False]), manager=st.sampled_from(["", "flux"]))
def test_written_wish_reads_back(record: WishRecord, before: Any, manager: str) -> None:
    """One patch records a wish, and what is read afterwards is that wish, whoever owns the field."""
    node = (
        owned(machine(power_state=before), manager) if manager and before is not None else machine(power_state=before)
    )
    found = base_wish(recorded(node, record), now=NOW)
    assert found is not None
    assert structs.replace(found, spec="") == record


def test_wish_and_spec_are_one_patch() -> None:
    """The annotation and spec.powerState change together, and the spec only where it differs."""
    patch = wish_patch(machine(power_state="on"), wish(OFF, Asker.CLUSTER_AUTOSCALER))
    assert patch["spec"] == {"powerState": "off"}
    text = json.loads(patch["metadata"]["annotations"][WISH_ANNOTATION])
    assert text == {
        "power": "off",
        "by": "cluster-autoscaler",
        "reason": "Test",
        "since": "2026-03-02T08:00:00Z",
        "spec": "off",
        "until": None,
        "then": None,
        "replaces": "",
        "neededBy": "",
        "makeRoom": False,
        "makesRoomFor": "",
    }
    assert "spec" not in wish_patch(machine(power_state=True), wish(ON, Asker.CLUSTER_AUTOSCALER))


def test_adopting_a_machine_does_not_write_a_field_that_nobody_wrote() -> None:
    """What hexa found is recorded beside the spec: an absent powerState stays absent until somebody asks."""
    node = recorded(machine(), wish(ON, Asker.RECOVERY))
    assert node.spec.power_state is None
    assert getattr(base_wish(node, now=NOW), "power", None) is ON
    assert recorded(node, wish(OFF, Asker.CLUSTER_AUTOSCALER)).spec.power_state == "off"


# --- GitOps ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "manager",
    [
        "kustomize-controller",
        "argocd-controller",
        "argocd-application-controller",
        "helm-controller",
        "fluxcd",
        "fleetagent",
        "Terraform",
    ],
)
def test_gitops_manager_that_applied_the_field_is_recognised(manager: str) -> None:
    """Owners of spec.powerState among the GitOps tools are known by name, others by that they apply server-side."""
    assert powerstate_manager(owned(machine(power_state="on"), manager)) == manager


def test_who_does_not_own_the_field_manages_nothing() -> None:
    """kubectl, hexa itself, and a GitOps tool that applies other fields only, leave the field to us."""
    assert powerstate_manager(machine(power_state="on")) == ""
    for manager in ("kubectl-client-side-apply", "kubectl", "hexa", ""):
        assert powerstate_manager(owned(machine(power_state="on"), manager)) == ""
    written = owned(machine(power_state="on"), "some-dashboard")
    entry = structs.replace(written.metadata.managed_fields[0], operation="Update")
    by_hand = structs.replace(written, metadata=structs.replace(written.metadata, managed_fields=(entry,)))
    assert powerstate_manager(by_hand) == ""
    other: dict[str, Any] = {"f:spec": {"f:pricing": {}}, "f:status": {"f:powerState": {}}}
    assert powerstate_manager(owned(machine(power_state="on"), "kustomize-controller", other)) == ""
    assert gitops_manager(owned(machine(), "kustomize-controller", other).metadata) == "kustomize-controller"
    labels: dict[str, Any] = {"f:metadata": {"f:labels": {}}}
    assert powerstate_manager(owned(machine(power_state="on"), "kustomize-controller", labels)) == ""


def test_forced_re_apply_of_gitops_makes_no_new_wish() -> None:
    """Git says on and is applied every 10 s while Cluster Autoscaler wants off: off it stays, and the field is not touched."""
    node = owned(machine(power_state="on"), "kustomize-controller")
    patch = wish_patch(node, wish(OFF, Asker.CLUSTER_AUTOSCALER))
    assert "spec" not in patch
    node = applied(node, patch)
    for seconds in range(0, 600, 10):
        node = owned(edited(node, "on" if seconds % 20 else True), "kustomize-controller")
        assert base_wish(node, now=at(seconds)) == recorded_wish(node)
        assert getattr(base_wish(node, now=at(seconds)), "power", None) is OFF


def test_change_of_value_in_git_is_a_new_wish() -> None:
    """The value in Git counts when it changes, in either direction."""
    node = recorded(owned(machine(power_state="on"), "fluxcd"), wish(OFF, Asker.CLUSTER_AUTOSCALER))
    node = recorded(node, wish(ON, Asker.CLUSTER_AUTOSCALER))
    found = base_wish(edited(node, "off"), now=NOW)
    assert found is not None
    assert (found.power, found.by) == (OFF, Asker.USER)
    again = base_wish(edited(recorded(edited(node, "off"), found), "on"), now=NOW)
    assert again is not None
    assert (again.power, again.by) == (ON, Asker.USER)


# --- holds ----------------------------------------------------------------------------------------------------


def test_hold_beats_every_wish() -> None:
    """A person's hold stands over Cluster Autoscaler, user and recovery; beneath it the wish is kept."""
    for by in (Asker.CLUSTER_AUTOSCALER, Asker.USER, Asker.RECOVERY):
        node = recorded(machine(hold=Hold(power=False, reason="new fans")), wish(ON, by))
        found = effective_wish(node, POLICY, now=NOW)
        assert found is not None
        assert (found.power, found.by) == (OFF, Asker.HOLD)
        assert base_wish(node, now=NOW) == recorded_wish(node)


def test_only_a_hold_that_says_off_makes_room() -> None:
    """makeRoom wakes another machine for the pods of one that goes off; a machine that stays on keeps its pods."""
    for power, asked, found in (("off", True, True), ("off", False, False), ("on", True, False)):
        wanted = effective_wish(machine(hold=Hold(power=power, make_room=asked)), POLICY, now=NOW)
        assert wanted is not None
        assert wanted.make_room is found


def test_hold_ends_at_its_time() -> None:
    """At `until` the wish beneath stands again; without `until` the hold stays."""
    node = recorded(machine(hold=Hold(power="on", until=at(200))), wish(OFF))
    assert getattr(effective_wish(node, POLICY, now=at(199.999)), "by", None) is Asker.HOLD
    assert effective_wish(node, POLICY, now=at(200)) == recorded_wish(node)
    endless = recorded(machine(hold=Hold(power="on")), wish(OFF))
    assert getattr(effective_wish(endless, POLICY, now=at(10**9)), "by", None) is Asker.HOLD


def test_machines_own_hold_stands_over_its_groups() -> None:
    """The nearer word counts; when it ends, the group's does."""
    node = machine(hold=Hold(power="on", until=at(200)))
    assert getattr(held(node, ALL_HELD_OFF, now=NOW), "power", None) == "on"
    assert getattr(held(node, ALL_HELD_OFF, now=at(200)), "reason", None) == "holiday"
    assert held(node, POLICY, now=at(200)) is None


def test_hold_is_as_old_as_it_is() -> None:
    """The time of a hold's wish does not move while the hold stands, and begins anew when it turns round."""
    node = machine(hold=Hold(power="on"))
    first = effective_wish(node, POLICY, now=at(1))
    node = structs.replace(node, status=NodeStatus(wish=first))
    assert getattr(effective_wish(node, POLICY, now=at(50)), "since", None) == at(1)
    turned = structs.replace(node, spec=structs.replace(node.spec, hold=Hold(power="off")))
    assert getattr(effective_wish(turned, POLICY, now=at(50)), "since", None) == at(50)


def test_pause_ends_at_its_time() -> None:
    """`until` is the first moment that is not paused any more."""
    node = machine(paused=Paused(reason="BIOS", until=at(200)))
    assert paused(node, now=at(199.999)) is not None
    assert paused(node, now=at(200)) is None
    assert paused(machine(paused=Paused()), now=at(10**9)) is not None
    assert paused(machine(), now=NOW) is None


# --- vetoes -----------------------------------------------------------------------------------------------------


def reasons(vetoes: Any) -> list[str]:
    """The vetoes' reasons; each has a message."""
    found = list(vetoes)
    assert all(veto.message for veto in found)
    return [veto.reason for veto in found]


def forbidding_off(
    node: Node,
    *,
    policy: Policy = POLICY,
    hosts: tuple[str, ...] = (),
    control: bool = False,
    storage: tuple[str, ...] = (),
) -> list[str]:
    """Reasons that forbid an off."""
    return reasons(off_vetoes(node, policy, hosts=hosts, control_plane=control, now=NOW, storage=storage))


def forbidding_on(node: Node, *, policy: Policy = POLICY) -> list[str]:
    """Reasons that forbid a wake."""
    return reasons(on_vetoes(node, policy, now=NOW))


def test_plain_machine_may_be_switched_both_ways() -> None:
    """Without a rule there is no veto."""
    assert forbidding_off(machine(phase=Phase.READY)) == []
    assert forbidding_on(machine(phase=Phase.OFF)) == []


def test_every_rule_that_forbids_an_off_is_named_safety_first() -> None:
    """All of them at once, in the order in which people are told."""
    node = machine(shutdown_pod_spec=None, hold=Hold(power="on"), paused=Paused())
    node = structs.replace(node, status=status(Phase.READY, cool_until=at(200), blocker="apps/db: budget db"))
    found = forbidding_off(node, hosts=("kube-system/hexa",), control=True, storage=("ceph/osd-1 runs on it (an OSD)",))
    safety = ["ControlPlane", "HostsControl", "HostsStorage", "PowerOffUnavailable"]
    assert found == [*safety, "CoolingOff", "Hold", "Paused"]
    elsewhere = {
        Reason.NEEDED,
        Reason.SAFE_HANDS,
        Reason.MAINTENANCE,
    }  # test_dependencies, test_safe_hands, test_maintenance
    assert {*safety} | elsewhere == SAFETY


def test_cooling_off_forbids_an_off_only_while_it_lasts_and_only_when_ready() -> None:
    """After a drain that was given up the machine is left alone until the cool-off ends."""
    node = machine()
    for phase, until, expected in [
        (Phase.READY, 200, ["CoolingOff"]),
        (Phase.READY, 100, []),
        (Phase.STOP_FAILED, 200, []),
    ]:
        cooling = structs.replace(node, status=status(phase, cool_until=at(until)))
        assert forbidding_off(cooling) == expected


def test_hold_forbids_the_opposite_only() -> None:
    """Held on: no off. Held off: no wake. Both may come from the group."""
    assert forbidding_off(machine(hold=Hold(power="on"))) == ["Hold"]
    assert forbidding_on(machine(hold=Hold(power="on"))) == []
    assert forbidding_off(machine(hold=Hold(power="off"))) == []
    assert forbidding_on(machine(), policy=ALL_HELD_OFF) == ["Hold"]


def test_machine_without_a_wake_job_is_not_chosen() -> None:
    """What has no startupPodSpec can't be woken, and a paused machine is not to be."""
    assert forbidding_on(machine(startup_pod_spec=None)) == ["PowerOnUnavailable"]
    assert forbidding_on(machine(paused=Paused())) == ["Paused"]


def test_veto_says_until_when_and_why() -> None:
    """People are told the end of a hold and its reason."""
    node = machine(hold=Hold(power="on", until=at(3600), reason="backup runs"))
    veto = next(iter(off_vetoes(node, POLICY, hosts=(), control_plane=False, now=NOW)))
    assert veto == Veto("Hold", "held on until 2026-03-02T09:00:00+00:00: backup runs", at(3600), "spec.hold")


@pytest.mark.parametrize(
    ("pause", "message"),
    [
        (Paused(), "paused"),
        (Paused(reason="BIOS"), "paused: BIOS"),
        (Paused(until=at(3600)), "paused until 2026-03-02T09:00:00+00:00"),
    ],
)
def test_a_pause_says_no_more_than_is_known_of_it(pause: Paused, message: str) -> None:
    """Its end and its reason, where it has them, for an off and for a wake alike."""
    node = machine(paused=pause)
    off = list(off_vetoes(node, POLICY, hosts=(), control_plane=False, now=NOW))
    assert off == list(on_vetoes(node, POLICY, now=NOW)) == [Veto("Paused", message, pause.until, "spec.paused")]


# --- what is acted on ---------------------------------------------------------------------------------------------


def acted(node: Node, *vetoed: str) -> Power | None:
    """What is acted on, under vetoes of these reasons."""
    return acted_power(node, POLICY, vetoes=[Veto(reason, "because") for reason in vetoed], now=NOW)


def standing(phase: Phase, record: WishRecord | None, **changes: Any) -> Node:
    """A machine in `phase` with a recorded wish."""
    node = machine(power_state=None if record is None else record.power.value)
    node = node if record is None else recorded(node, record)
    return structs.replace(node, status=status(phase, **changes))


@pytest.mark.parametrize("phase", Phase)
def test_wish_is_acted_on_as_it_is(phase: Phase) -> None:
    """Where no safety rule stands, what is wanted is what is acted on."""
    assert acted(standing(phase, wish(ON)), "Hold") is ON
    assert acted(standing(phase, wish(OFF)), "CoolingOff") is OFF
    assert acted(standing(phase, None)) is None


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("rule", sorted(SAFETY))
def test_off_that_safety_forbids_is_never_acted_on(phase: Phase, rule: str) -> None:
    """A machine that is up, or comes up, is kept; any other is left as it is."""
    found = acted(standing(phase, wish(OFF)), rule)
    up = {Phase.READY, Phase.DRAINING, Phase.POWERING_ON, Phase.BOOTING}
    assert found is (ON if phase in up else None)
    assert acted(standing(phase, wish(ON)), rule) is ON


def booting(record: WishRecord, **changes: Any) -> Power | None:
    """What is acted on for a machine that was found booting at T0, and that a sensor reads On."""
    return acted(standing(Phase.BOOTING, record, **{"wakes": 0, "reading": read(Reading.ON, 0), **changes}))


@pytest.mark.parametrize("by", [Asker.RECOVERY, Asker.CLUSTER_AUTOSCALER])
def test_boot_that_we_found_is_not_cut_by_an_older_wish_of_a_program(by: Asker) -> None:
    """A machine that failed to start, was replaced and is seen booting may be updating its firmware: it is left to come up."""
    before = wish(OFF, by, since=at(-60))
    assert booting(before) is None
    assert booting(before, failures=2) is None
    assert acted(standing(Phase.READY, before, reading=read(Reading.ON, 0))) is OFF


def test_boot_that_never_ends_is_not_waited_for_for_ever() -> None:
    """After as many failures in a row as wakes are tried, a machine that nobody wants rests, joined or not."""
    assert booting(wish(OFF, Asker.RECOVERY, since=at(-60)), failures=3) is OFF


@pytest.mark.parametrize("reading", [Reading.UNKNOWN, Reading.OFF])
def test_living_kubelet_is_no_firmware_update(reading: Reading) -> None:
    """Where no sensor reads On, the boot is known by a living kubelet, and nothing stands against switching it off."""
    assert booting(wish(OFF, Asker.RECOVERY, since=at(-60)), reading=read(reading, 0)) is OFF


def test_boot_is_cut_by_whoever_asks_for_it_now() -> None:
    """A person's off, one that is newer than the boot, and one that takes back our own wake, are acted on."""
    assert booting(wish(OFF, Asker.USER, since=at(-60))) is OFF
    assert booting(wish(OFF, Asker.CLUSTER_AUTOSCALER, since=at(50))) is OFF
    assert booting(wish(OFF, Asker.CLUSTER_AUTOSCALER, since=at(-60)), wakes=1) is OFF


# --- corrections ----------------------------------------------------------------------------------------------------


def correction(
    node: Node, event: Event | None = None, *, is_held: bool = False, room: bool = True
) -> tuple[Power, str] | None:
    """What hexa itself sets, and why."""
    found = corrected_wish(node, event, held=is_held, room=room, now=NOW)
    if found is None:
        return None
    assert (found.by, found.since) == (Asker.RECOVERY, NOW)
    return found.power, found.reason


@pytest.mark.parametrize("phase", Phase)
def test_machine_is_adopted_as_it_is_found(phase: Phase) -> None:
    """At first sight nothing is switched: on stays on, off stays off, and what is not clear is not decided."""
    expected = {
        Phase.READY: (ON, "Adopted"),
        Phase.BOOTING: (ON, "Adopted"),
        Phase.OFF: (OFF, "Adopted"),
    }
    assert correction(standing(phase, None)) == expected.get(phase)


@pytest.mark.parametrize(("event", "power"), [(Event.NODE_READY, ON), (Event.POWER_SEEN, ON), (Event.OVERDUE, OFF)])
def test_machine_is_adopted_before_its_first_phase_is_stored(event: Event, power: Power) -> None:
    """What it is taken for is written first, and taken anew as long as no phase is stored: it may have been switched since."""
    fresh = machine()
    assert correction(fresh, event) == (power, "Adopted")
    assert correction(fresh) is None
    for before in (ON, OFF):
        record = structs.replace(wish(before, Asker.RECOVERY), reason="Adopted")
        stale = structs.replace(standing(Phase.OFF, record), status=NodeStatus())
        assert correction(stale, event) == (None if before is power else (power, "Adopted"))
        stored = structs.replace(stale, status=NodeStatus(phase="Unknown"))
        assert correction(stored, event) is None


@pytest.mark.parametrize(
    ("does", "by", "reason", "found"),
    [
        ("Adopt", Asker.USER, "Test", (ON, "FoundOn", Asker.RECOVERY, Asker.USER)),
        ("Adopt", Asker.CLUSTER_AUTOSCALER, "ScaleDown", (ON, "FoundOn", Asker.RECOVERY, Asker.RECOVERY)),
        ("Adopt", Asker.RECOVERY, "Adopted", (ON, "FoundOn", Asker.RECOVERY, None)),
        ("Adopt", Asker.RECOVERY, "Replaced", (ON, "FoundOn", Asker.RECOVERY, None)),
        ("Correct", Asker.RECOVERY, "Adopted", (ON, "FoundOn", Asker.RECOVERY, None)),
        ("Correct", Asker.USER, "Test", (OFF, "Corrected", Asker.USER, None)),
        ("Correct", Asker.CLUSTER_AUTOSCALER, "ScaleDown", (OFF, "Corrected", Asker.RECOVERY, None)),
        ("Correct", Asker.RECOVERY, "Corrected", None),
        ("Ignore", Asker.USER, "Test", (ON, "FoundOn", Asker.RECOVERY, None)),
    ],
)
def test_power_that_somebody_else_switched_on(does: str, by: Asker, reason: str, found: Any) -> None:
    """As the group says, and who wants it off afterwards: never Cluster Autoscaler, which judged the pods of another boot. What
    nobody wanted off itself stays on."""
    node = standing(Phase.OFF, wish(OFF, by, reason=reason))
    policy = Policy(on_unexpected_power=OnUnexpectedPower(does))
    made = corrected_wish(node, Event.POWER_SEEN, held=False, room=False, now=NOW, policy=policy)
    assert (made and (made.power, made.reason, made.by, made.then)) == found
    assert made is None or made.until == (None if made.then is None else NOW + policy.adopted_for)


@pytest.mark.parametrize("does", OnUnexpectedPower)
@pytest.mark.parametrize("phase", [Phase.READY, Phase.LOST, Phase.BOOTING, Phase.DRAINING])
@pytest.mark.parametrize("event", [None, Event.POWER_GONE, Event.NODE_LOST])
def test_power_that_somebody_else_switched_off(does: OnUnexpectedPower, phase: Phase, event: Event | None) -> None:
    """A machine that is wanted on is left off only where the group says Ignore, and only where it was up and its power is gone."""
    policy, node = Policy(on_unexpected_power=does), standing(phase, wish(ON))
    made = corrected_wish(node, event, held=False, room=True, now=NOW, policy=policy)
    left = does is OnUnexpectedPower.IGNORE and phase in (Phase.READY, Phase.LOST) and event is Event.POWER_GONE
    assert (made and (made.power, made.reason)) == ((OFF, "FoundOff") if left else None)


@pytest.mark.parametrize("power", ["on", "off", None])
@pytest.mark.parametrize("phase", [Phase.OFF, Phase.READY])
def test_a_machine_that_is_taken_back_keeps_no_old_wish(power: Any, phase: Phase) -> None:
    """Given up and taken back, it stays as it is found: what spec.powerState said before is no new word of a person."""
    node = structs.replace(machine(power_state=power), status=status(phase))
    found = base_wish(annotated(node, forgotten_wish(node, now=T0)[WISH_ANNOTATION]), now=NOW)
    assert found is not None
    assert (found.by, found.reason, found.spec) == (Asker.RECOVERY, "Adopted", power or "")


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (wish(OFF, reason="FoundOff"), "switched it off, or its power failed; left off"),
        (wish(OFF, reason="Corrected"), "its power came back; user wants it off: drained and switched off"),
        (wish(ON, reason="FoundOn"), "switched it on, or its power came back; kept on"),
        (wish(ON, reason="FoundOn", until=at(3600)), "kept on until 2026-03-02T09:00:00+00:00"),
    ],
)
def test_power_that_somebody_else_switched_is_told(record: WishRecord, told: str) -> None:
    """What happened, and what hexa makes of it."""
    assert unexpected(record).startswith("somebody else switched it ")
    assert unexpected(record).endswith(told)


def test_an_adoption_ends() -> None:
    """At its time the off stands again, by whom it was; before, and under a hold, nothing changes."""
    record = wish(ON, Asker.RECOVERY, reason="FoundOn", until=NOW, then=Asker.USER)
    node = standing(Phase.READY, record)
    over = corrected_wish(node, None, held=False, room=True, now=NOW)
    assert over is not None
    assert (over.power, over.by, over.until) == (OFF, Asker.USER, None)
    assert corrected_wish(node, None, held=False, room=True, now=NOW - timedelta(seconds=1)) is None
    assert corrected_wish(node, None, held=True, room=True, now=NOW) is None


@pytest.mark.parametrize("by", [Asker.USER, Asker.CLUSTER_AUTOSCALER, Asker.RECOVERY])
def test_machine_that_somebody_switched_on_is_kept_on(by: Asker) -> None:
    """Found on while Off: kept on, before it is acted on; only for that event, and not against a hold."""
    node = standing(Phase.OFF, wish(OFF, by))
    assert correction(node, Event.POWER_SEEN) == (ON, "FoundOn")
    assert correction(node, Event.WANTED) is None
    assert correction(node) is None
    assert correction(node, Event.POWER_SEEN, is_held=True) is None


@pytest.mark.parametrize("by", Asker)
def test_given_up_drain_takes_back_only_the_wish_of_a_program(by: Asker) -> None:
    """Cluster Autoscaler's off, and hexa's own, are taken back, so that the target is true, and so are a schedule's and a UPS's,
    which are asked for again while its window holds, or mains are away; a person's stays."""
    node = standing(Phase.READY, wish(OFF, by), cool_until=at(200))
    programs = {Asker.CLUSTER_AUTOSCALER, Asker.RECOVERY, Asker.SCHEDULE, Asker.UPS}
    assert correction(node) == ((ON, "DrainGivenUp") if by in programs else None)
    over = standing(Phase.READY, wish(OFF, by), cool_until=at(100))
    assert correction(over) is None


def test_late_arrival_is_kept_while_there_is_room() -> None:
    """A machine whose place was taken is kept if the group has room for it, else it rests in the ordinary way."""
    node = standing(Phase.READY, wish(OFF, Asker.RECOVERY, reason=Reason.REPLACED))
    assert correction(node, room=True) == (ON, "LateArrival")
    assert correction(node, room=False) is None
    assert correction(standing(Phase.START_FAILED, wish(OFF, Asker.RECOVERY, reason=Reason.REPLACED))) is None
    assert correction(standing(Phase.READY, wish(OFF, Asker.RECOVERY, reason="MaxSize"))) is None


@given(
    phase=st.sampled_from(Phase),
    record=st.none() | records,
    event=st.none() | st.sampled_from(Event),
    room=st.booleans(),
    cool=st.sampled_from([None, 50, 200]),
)
def test_correction_is_made_once(phase: Phase, record: WishRecord | None, event: Event, room: bool, cool: Any) -> None:
    """A correction that was written is not written again: a loop that looks again goes on."""
    node = standing(phase, record, cool_until=None if cool is None else at(cool))
    for _ in range(3):
        found = corrected_wish(node, event, held=False, room=room, now=NOW)
        if found is None:
            return
        node = recorded(node, found)
    pytest.fail("corrected again and again")


@given(phase=st.sampled_from(Phase), record=records, event=st.none() | st.sampled_from(Event), room=st.booleans())
def test_correction_never_switches_off_what_was_asked_for(
    phase: Phase, record: WishRecord, event: Event | None, room: bool
) -> None:
    """hexa by itself never turns a wish for on into one for off."""
    found = corrected_wish(standing(phase, record), event, held=False, room=room, now=NOW)
    assert found is None or found.power is ON


def test_the_wish_of_a_schedule_ends_with_its_window() -> None:
    """While the window sets that size it is the schedule's, then hexa's own; nothing is written for that."""
    node, setter = standing(Phase.READY, wish(ON, Asker.SCHEDULE)), Setter("", "", "UTC", at(0), at(60))
    by = [
        found.by
        for set_ in ({"min_size": setter}, {"max_size": setter}, {})
        if (found := effective_wish(node, Policy(by=set_), now=at(0))) is not None
    ]
    assert by == [Asker.SCHEDULE, Asker.RECOVERY, Asker.RECOVERY]
    off = standing(Phase.READY, wish(OFF, Asker.SCHEDULE))
    found = effective_wish(off, Policy(by={"max_size": setter}), now=at(0))
    assert found is not None
    assert found.by is Asker.SCHEDULE
