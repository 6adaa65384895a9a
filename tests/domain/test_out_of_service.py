"""The out-of-service taint: what is proof enough, when it comes and when it goes, and that nothing of it is kept or left behind."""

from itertools import combinations
from typing import Any

import msgspec
import pytest
from tests.domain.builders import at, facts, kube_node, pod

from hexa.domain.group.template import shape_of
from hexa.domain.machine.facts import LEASE_PERIOD
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.marks import marked, unmarking
from hexa.domain.names import OUT_OF_SERVICE_ANNOTATION, OUT_OF_SERVICE_TAINT
from hexa.domain.power.sensor import off_is_told_apart
from hexa.domain.resources.core import AttachedVolume, KubeNode, KubeNodeSpec, KubeNodeStatus, Taint
from hexa.domain.resources.v1alpha1 import Node, Reading
from hexa.domain.rules.out_of_service import (
    AT_REST,
    FREED_WITHIN,
    PROOFS,
    Evidence,
    Proof,
    clear_patch,
    findings,
    freeing_until,
    left_standing,
    must_clear,
    proof_due,
    stuck,
    taint_patch,
    wants_look,
)

TWO_PERIODS = 2 * LEASE_PERIOD.total_seconds()
OFF: dict[str, Any] = {"reading": (Reading.OFF, 99), "node_exists": True}
OTHER = Taint(key="rack", value="a", effect="NoSchedule")
TAINT = Taint(key=OUT_OF_SERVICE_TAINT, value="nodeshutdown", effect="NoExecute")


def seen(now: float = 100, *, ordered: bool = False, apart: bool = True, **known: Any) -> Evidence:
    """What speaks for the machine's being off."""
    return Evidence(facts=facts(now, **{**OFF, **known}), ordered=ordered, apart=apart)


def node(*taints: Taint, ours: bool = False) -> KubeNode:
    """A node with these taints; `ours`: hexa has marked that of them that says out of service."""
    annotations = {OUT_OF_SERVICE_ANNOTATION: at(0).isoformat()} if ours else {}
    return kube_node(spec=KubeNodeSpec(taints=taints), annotations=annotations)


# --- the table of proofs ----------------------------------------------------------------------------------


def test_one_proof_is_never_enough() -> None:
    """Whatever is proof has a reading Off and something that fails for another reason; alone none is enough."""
    assert all(len(pair) >= 2 and Proof.READING in pair for pair in PROOFS)
    alone = [frozenset({proof}) for proof in Proof]
    enough = [pair for size in (1, 2) for pair in map(frozenset, combinations(Proof, size)) if pair in PROOFS]
    assert not set(alone) & set(PROOFS)
    assert set(enough) == {frozenset({Proof.READING, Proof.SILENCE}), frozenset({Proof.READING, Proof.ORDER})}


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (seen(heard=88), {Proof.READING}),
        (seen(heard=88.001), set()),  # a living kubelet may be about to renew
        (seen(heard=99), set()),
        (seen(heard=100 - TWO_PERIODS), {Proof.READING, Proof.SILENCE}),
        (seen(heard=100.001 - TWO_PERIODS), {Proof.READING}),
        (seen(heard=100 - TWO_PERIODS, watching_since=50), {Proof.READING}),
        (seen(heard=88, ordered=True), {Proof.READING, Proof.ORDER}),
        (seen(heard=88, ordered=True, apart=False), {Proof.READING}),
        (seen(heard=-500, reading=(Reading.ON, 99)), {Proof.SILENCE}),
        (seen(heard=-500, reading=(Reading.UNKNOWN, 99), ordered=True), {Proof.SILENCE, Proof.ORDER}),
        (seen(heard=-500, reading=None, ordered=True), {Proof.SILENCE, Proof.ORDER}),
        (seen(heard=-500, watching_since=None, ordered=True), set()),
        (seen(heard=-500, paused=True, ordered=True), set()),
    ],
)
def test_each_proof_is_what_it_says(evidence: Evidence, found: set[Proof]) -> None:
    """A reading newer than the last sign of life; two lease periods that were watched; a shutdown Job by another device than the
    sensor's. Blind or paused, nothing is proof."""
    assert evidence.found == found
    assert evidence.proven is (len(found) == 2 and Proof.READING in found)


def test_kubelet_with_a_longer_lease_is_waited_for() -> None:
    """A lease of two minutes that still stands speaks against silence."""
    assert Proof.SILENCE not in seen(159, heard=0, until=120).found
    assert Proof.SILENCE in seen(160, heard=0, until=120).found


SSH = {"ssh": {"address": "box.lan", "secretName": "box"}}
IPMI = {"ipmi": {"address": "bmc.lan", "secretName": "bmc"}}
POD = {"shutdownPodSpec": {"image": "off:1"}}


@pytest.mark.parametrize(
    ("spec", "apart"),
    [
        ({"power": SSH | IPMI}, True),
        ({"power": SSH | IPMI | {"hard": True}}, False),
        ({"power": IPMI}, False),
        ({"power": IPMI, **POD}, False),
        ({"power": SSH}, False),
        (POD, False),
    ],
)
def test_order_counts_only_by_another_device(spec: dict[str, Any], apart: bool) -> None:
    """A BMC that lies confirms its own lie; of a pod of the machine's own nobody knows what it asks."""
    assert off_is_told_apart(msgspec.convert({"metadata": {"name": "box"}, "spec": spec}, Node)) is apart


# --- when it comes and goes -------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", Phase)
def test_it_comes_only_where_a_machine_rests(phase: Phase) -> None:
    """Off, or given up after its wakes; never while it is woken, boots, serves or is lost, and never without the group's word."""
    assert wants_look(node(), phase, seen(), allowed=True) is (phase in AT_REST)
    assert not wants_look(node(), phase, seen(), allowed=False)
    assert {Phase.OFF, Phase.START_FAILED} == AT_REST


def test_it_comes_once_and_never_over_another_ones() -> None:
    """A node that carries it, by whomever, is left alone; so is one from which somebody took hexa's."""
    for each in (node(TAINT), node(TAINT, ours=True), node(ours=True)):
        assert not wants_look(each, Phase.OFF, seen(), allowed=True)


@pytest.mark.parametrize("phase", Phase)
def test_it_goes_before_the_machine_is_woken(phase: Phase) -> None:
    """In every phase but those of rest it goes; in these, with a sign of life or a reading On, or if the group wants it no more."""
    rests = facts(200, **OFF)
    assert must_clear(node(TAINT, ours=True), phase, rests, allowed=True) is (phase not in AT_REST)
    assert must_clear(node(TAINT, ours=True), phase, rests, allowed=False)
    for sign in ({"heard": 190}, {"reading": (Reading.ON, 199)}):
        assert must_clear(node(TAINT, ours=True), phase, facts(200, **{**OFF, **sign}), allowed=True)
        assert not must_clear(node(TAINT), phase, facts(200, **{**OFF, **sign}), allowed=True)


def test_what_its_kubelet_said_before_it_was_put_does_not_take_it_off() -> None:
    """A machine that was switched off by order goes dark while its lease still stands: the taint that reading and order have put
    stays, and is not put and removed by turns; a sign of life of after it takes it off. Without its time any sign of life does."""
    marked, timeless = node(TAINT, ours=True), kube_node(annotations={OUT_OF_SERVICE_ANNOTATION: "lately"})
    before, after = facts(20, heard=-5, **OFF), facts(20, heard=5, **OFF)
    assert not must_clear(marked, Phase.OFF, before, allowed=True)
    assert must_clear(marked, Phase.OFF, after, allowed=True)
    assert must_clear(timeless, Phase.OFF, before, allowed=True)


def test_sensor_that_fails_later_changes_nothing() -> None:
    """It was off, and nothing has shown it on: Unknown is no reason to hold the pods again."""
    assert not must_clear(node(TAINT, ours=True), Phase.OFF, facts(200, reading=(Reading.UNKNOWN, 199)), allowed=True)


def test_second_proof_is_waited_for_to_the_second() -> None:
    """When silence will have lasted: only with a reading Off, at rest, with sight, and while it is still to come."""
    assert proof_due(Phase.OFF, facts(100, heard=88, **OFF), allowed=True) == at(88 + TWO_PERIODS)
    assert proof_due(Phase.OFF, facts(100, heard=0, **OFF), allowed=True) is None
    assert proof_due(Phase.BOOTING, facts(100, heard=90, **OFF), allowed=True) is None
    assert proof_due(Phase.OFF, facts(100, heard=90, **OFF), allowed=False) is None
    assert proof_due(Phase.OFF, facts(100, heard=90, paused=True, **OFF), allowed=True) is None
    assert proof_due(Phase.OFF, facts(100, heard=90, reading=(Reading.ON, 99)), allowed=True) is None


def test_delete_waits_for_the_taint_to_work_and_not_for_ever() -> None:
    """From the taint on so long; a node without hexa's mark, or with one that is no time, is not waited for."""
    assert freeing_until(node(TAINT, ours=True), now=at(5)) == at(0) + FREED_WITHIN
    assert freeing_until(node(TAINT, ours=True), now=at(-1)) is None  # the clock was set back: nobody knows
    assert freeing_until(node(TAINT), now=at(5)) is None
    assert freeing_until(kube_node(annotations={OUT_OF_SERVICE_ANNOTATION: "yes"}), now=at(5)) is None


def test_pods_and_volumes_are_stuck_and_daemonsets_are_not() -> None:
    """What somebody waits for elsewhere."""
    attached = kube_node(status=KubeNodeStatus(volumes_attached=(AttachedVolume(name="csi^disk"),)))
    assert stuck([pod("web"), pod("cni", kind="DaemonSet")], kube_node()) == ["apps/web"]
    assert stuck([], attached) == ["volume csi^disk"]
    assert stuck([pod("cni", kind="DaemonSet")], kube_node()) == []


# --- what is written --------------------------------------------------------------------------------------


def test_both_writes_leave_other_taints_alone() -> None:
    """The taint with its mark, in one write; both off again, in one write."""
    put = taint_patch(node(OTHER), at(5))
    assert [taint["key"] for taint in put["spec"]["taints"]] == ["rack", OUT_OF_SERVICE_TAINT]
    assert put["metadata"]["annotations"] == {OUT_OF_SERVICE_ANNOTATION: at(5).isoformat()}
    off = clear_patch(node(OTHER, TAINT, ours=True))
    assert [taint["key"] for taint in off["spec"]["taints"]] == ["rack"]
    assert off["metadata"]["annotations"] == {OUT_OF_SERVICE_ANNOTATION: None}
    assert clear_patch(node(TAINT, ours=True))["spec"]["taints"] is None


def test_it_is_no_part_of_a_machines_shape() -> None:
    """What is shown to Cluster Autoscaler and given back at the next boot has neither taint nor mark."""
    shape = shape_of(node(OTHER, TAINT, ours=True), previous=None, our_cordon=False, now=at(9))
    assert shape.taints == (OTHER,)
    assert shape.annotations == {}


def test_whoever_gives_the_node_up_takes_it_off() -> None:
    """hexa release, an uninstall and a deleted Node: hexa's taint goes with everything else of hexa's, another one's stays."""
    ours = node(OTHER, TAINT, ours=True)
    assert marked(ours)
    body = unmarking(ours)
    assert [taint["key"] for taint in body["spec"]["taints"]] == ["rack"]
    assert body["metadata"]["annotations"] == {OUT_OF_SERVICE_ANNOTATION: None}
    assert unmarking(node(OTHER, TAINT)) == {}


def test_it_is_told() -> None:
    """A condition stands on the machine as long as the mark does on its node."""
    (told,) = findings(node(TAINT, ours=True))
    assert (told.type, told.status) == ("OutOfService", "True")
    assert at(0).isoformat() in told.message
    assert findings(node(TAINT)) == findings(None) == []


@pytest.mark.parametrize("phase", list(Phase))
def test_somebody_elses_taint_on_a_machine_that_is_up_is_told(phase: Phase) -> None:
    """It drives all pods away, and hexa does not take it off: the condition has the command. Of a machine that is not up it says
    nothing, and hexa's own goes by itself."""
    told = left_standing(node(TAINT), phase)
    assert [(each.type, each.reason) for each in told] == (
        [("OutOfService", "TaintLeft")] if phase in (Phase.READY, Phase.DRAINING) else []
    )
    assert all("kubectl taint node" in each.message for each in told)
    assert left_standing(node(TAINT, ours=True), phase) == left_standing(node(OTHER), phase) == []
    assert left_standing(None, phase) == []
