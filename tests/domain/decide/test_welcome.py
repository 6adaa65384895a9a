"""What a Kubernetes node that came up is given back, what is stripped of it, and when it is opened to pods."""

import json
from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import at, kube_node, machine, rack, standing, view

from hexa.domain.decide.welcome import (
    lacks_welcome,
    missing_provider_id,
    our_labels,
    record_of,
    required_labels,
    returned,
    welcomed,
)
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine_view import MachineView
from hexa.domain.names import (
    CA_CANDIDATE_TAINT,
    CA_TO_BE_DELETED_TAINT,
    CORDON_ANNOTATION,
    GROUP_LABEL,
    LABELS_ANNOTATION,
    MACHINE_ANNOTATION,
    RELEASED_ANNOTATION,
    UNINITIALIZED_TAINT,
    UNSCHEDULABLE_TAINT,
    provider_id,
)
from hexa.domain.policy.conventions import Conventions
from hexa.domain.policy.problem import Problem
from hexa.domain.resources.core import Condition, KubeNode, KubeNodeSpec, KubeNodeStatus, Taint
from hexa.domain.resources.v1alpha1 import Shape, TemplateSpec

ID = provider_id("site", "m1")
OURS = {MACHINE_ANNOTATION: "site/m1"}
FAST = Taint(key="fast", value="yes", effect="NoSchedule")
TOLD = {"key": "fast", "value": "yes", "effect": "NoSchedule"}
SEEN = Shape(labels={"disk": "fast"}, annotations={"note": "mine"}, taints=(FAST,), at=at(0))


def known(seen: Shape | None = SEEN, *, group: Any = None, **more: Any) -> MachineView:
    """A machine that came up, and whose node was seen so before; `declares`: labels of its template."""
    spec = {"template": TemplateSpec(labels=more.pop("declares", {})), **more.pop("spec", {})}
    return view(standing(Phase.READY, spec=spec, template=seen), group=group or rack(), **more)


def node(*, created: float = 20, labels: dict[str, str] | None = None, marked: bool = True, **spec: Any) -> KubeNode:
    """The node of m1 as it is now, a member of the group already."""
    annotations = {**(OURS if marked else {}), **spec.pop("annotations", {})}
    has = {"provider_id": ID, **spec}
    return kube_node(
        "m1",
        created=created,
        labels={GROUP_LABEL: "rack", **(labels or {})},
        annotations=annotations,
        spec=KubeNodeSpec(**has),
    )


# --- given back ----------------------------------------------------------------------------------------------


def test_a_node_that_registered_anew_is_given_back_what_it_had() -> None:
    """Labels, annotations, taints and a person's cordon, with the group's label, whose it is, and its providerID: one patch."""
    bare = kube_node("m1", created=20)
    had = structs.replace(SEEN, unschedulable=True)
    assert returned(known(had), bare) == {
        "metadata": {"labels": {"disk": "fast", GROUP_LABEL: "rack"}, "annotations": {"note": "mine", **OURS}},
        "spec": {"providerID": ID, "unschedulable": True, "taints": [TOLD]},
    }


def test_a_node_that_has_everything_is_left() -> None:
    """No write for nothing; what somebody set since it registered stays as it is."""
    whole = node(labels={"disk": "fast"}, annotations={"note": "another"}, taints=(FAST,))
    assert returned(known(), whole) == {}
    closed = node(labels={"disk": "fast"}, annotations={"note": "mine"}, taints=(FAST,), unschedulable=True)
    assert returned(known(structs.replace(SEEN, unschedulable=True)), closed) == {}


@pytest.mark.parametrize(
    "of", [known(None), known(structs.replace(SEEN, at=None)), known(structs.replace(SEEN, at=at(20)))]
)
def test_a_node_that_did_not_register_anew_has_lost_nothing(of: MachineView) -> None:
    """What was taken off it since was taken off by somebody."""
    assert returned(of, node()) == {}


def test_taints_beside_those_that_came_back_stay() -> None:
    """Those that tell of a moment, and those that the machine shall not have, are not given back."""
    other = Taint(key="other", effect="NoExecute")
    moment = Taint(key="node.kubernetes.io/not-ready", effect="NoSchedule")
    had = structs.replace(SEEN, taints=(FAST, moment))
    back = returned(known(had), node(labels={"disk": "fast"}, annotations={"note": "mine"}, taints=(other,)))
    assert [taint["key"] for taint in back["spec"]["taints"]] == ["other", "fast"]
    starting = known(had, conventions=Conventions(startup_taints=("fast",)))
    assert returned(starting, node(labels={"disk": "fast"}, annotations={"note": "mine"}, taints=(other,))) == {}
    refuses = known(had, spec={"taints_to_remove": (Taint(key="fast"),)})
    assert returned(refuses, node(labels={"disk": "fast"}, annotations={"note": "mine"}, taints=(other,))) == {}


def test_a_provider_id_is_set_where_nobody_else_sets_one() -> None:
    """Not over another one, nor where a cloud controller manager is about to, nor without a group."""
    bare = kube_node("m1")
    assert missing_provider_id(known(), bare) == ID
    assert missing_provider_id(known(), node(provider_id="cloud://x")) == ""
    assert (
        missing_provider_id(known(), kube_node("m1", spec=KubeNodeSpec(taints=(Taint(key=UNINITIALIZED_TAINT),)))) == ""
    )
    assert missing_provider_id(view(machine()), bare) == ""


# --- labels, and whose they are ---------------------------------------------------------------------------------


def test_members_carry_the_labels_of_their_group() -> None:
    """Its nodeSelector and its name; a machine without a group, or of one that is given up, has none."""
    group = rack(labels={"pool": "a"})
    of = known(group=group, declares={"disk": "slow"})
    assert required_labels(of) == {"pool": "a", GROUP_LABEL: "rack"}
    assert our_labels(of) == {"disk": "slow", "pool": "a", GROUP_LABEL: "rack"}
    assert required_labels(view(machine())) == {}
    metadata = structs.replace(group.group.metadata, annotations={RELEASED_ANNOTATION: "yes"})
    gone = structs.replace(group, group=structs.replace(group.group, metadata=metadata))
    assert required_labels(known(group=gone)) == {}


def given(**labels: list[str | None]) -> dict[str, str]:
    """The annotation that says which labels hexa gave."""
    return {LABELS_ANNOTATION: json.dumps(labels)}


def test_a_label_that_hexa_gives_is_recorded_with_what_was_there_before() -> None:
    """So that it can be taken off again, also when the machine's Node resource is long gone."""
    of = known(None, group=rack(labels={"pool": "a"}), declares={"disk": "slow"})
    patch = returned(of, node(labels={"pool": "b"}))["metadata"]
    assert patch["labels"] == {"disk": "slow", "pool": "a"}
    assert json.loads(patch["annotations"][LABELS_ANNOTATION]) == {"disk": ["slow", None], "pool": ["a", "b"]}


def test_a_declared_label_gives_way_to_the_nodes_own() -> None:
    """And one that the node had before, by its own kubelet or by a person, is given back as its own."""
    of = known(declares={"disk": "slow"})
    assert returned(of, node(labels={"disk": "mine"}, annotations={"note": "x"}, taints=(FAST,))) == {}
    back = returned(of, node(annotations={"note": "x"}, taints=(FAST,)))["metadata"]
    assert back == {"labels": {"disk": "fast"}}


def test_a_label_that_is_wanted_no_more_is_taken_back() -> None:
    """What was there before comes again; not while the group does not read, for nobody knows what it wants."""
    marked = node(labels={"pool": "a", "zone": "x"}, annotations=given(pool=["a", "b"], zone=["x", None]))
    of = known(None)
    patch = returned(of, marked)["metadata"]
    assert patch["labels"] == {"pool": "b", "zone": None}
    assert patch["annotations"] == {LABELS_ANNOTATION: None}
    unread = known(None, problems=(Problem("group", "odd", "mend it", reason="GroupUnreadable"),))
    assert "labels" not in returned(unread, marked).get("metadata", {})


def test_the_record_keeps_what_was_there_first() -> None:
    """A label that changes its value twice still goes back to what the node had; one that is not written anew is kept on record."""
    of = known(None, group=rack(labels={"pool": "c"}), declares={"disk": "slow"})
    before = node(labels={"pool": "a", "disk": "slow"}, annotations=given(pool=["a", "b"], disk=["slow", None]))
    patch = record_of(of, before, {"pool": "c"})
    assert json.loads(patch[LABELS_ANNOTATION] or "") == {"pool": ["c", "b"], "disk": ["slow", None]}
    assert record_of(known(), kube_node("m1"), {}) == {}
    assert record_of(known(), kube_node("m1"), {"x": "y"}) == OURS
    assert record_of(known(), kube_node("m1", labels={GROUP_LABEL: "rack"}), {}) == OURS


# --- welcomed ------------------------------------------------------------------------------------------------

READY_AT = at(100)
NOW = str(int(READY_AT.timestamp()))
EARLIER = str(int(READY_AT.timestamp()) - 1)
CLOSED = Taint(key=UNSCHEDULABLE_TAINT, effect="NoSchedule")


def welcome(of: MachineView, kube: KubeNode) -> dict[str, Any]:
    """What is written to the node as its machine is Ready."""
    return welcomed(of, kube, ready_since=READY_AT)


def test_a_welcome_gives_back_and_opens_in_one_write() -> None:
    """Our cordon goes with its annotation and its taint; all that the node lacks comes."""
    ours = node(unschedulable=True, taints=(CLOSED,), annotations={CORDON_ANNOTATION: "yes"}, created=-10)
    assert welcome(known(), ours) == {
        "metadata": {"annotations": {CORDON_ANNOTATION: None}},
        "spec": {"unschedulable": None, "taints": None},
    }
    bare = welcome(known(), kube_node("m1", created=20))
    assert bare == {
        "metadata": {"labels": {"disk": "fast", GROUP_LABEL: "rack"}, "annotations": {"note": "mine", **OURS}},
        "spec": {"providerID": ID, "taints": [TOLD]},
    }


@pytest.mark.parametrize(
    ("seen", "kube", "opened"),
    [
        (SEEN, node(unschedulable=True, created=-10), False),
        (None, node(unschedulable=True), False),
        (None, node(unschedulable=True, annotations={CORDON_ANNOTATION: "yes"}), True),
        (
            structs.replace(SEEN, unschedulable=True),
            node(unschedulable=True, annotations={CORDON_ANNOTATION: "yes"}),
            False,
        ),
        (SEEN, node(unschedulable=True, annotations={CORDON_ANNOTATION: "yes"}), True),
        (
            structs.replace(SEEN, unschedulable=True),
            node(unschedulable=True, annotations={CORDON_ANNOTATION: "yes"}, created=-10),
            True,
        ),
        (SEEN, node(unschedulable=True, created=-10, taints=(Taint(key=CA_TO_BE_DELETED_TAINT, value=EARLIER),)), True),
        (SEEN, node(unschedulable=True, created=-10, taints=(Taint(key=CA_TO_BE_DELETED_TAINT, value=NOW),)), False),
        (SEEN, node(unschedulable=True, created=-10, taints=(Taint(key=CA_CANDIDATE_TAINT, value=EARLIER),)), False),
        (
            structs.replace(SEEN, unschedulable=True),
            node(unschedulable=True, created=-10, taints=(Taint(key=CA_TO_BE_DELETED_TAINT, value=EARLIER),)),
            False,
        ),
        (SEEN, node(created=-10, annotations={CORDON_ANNOTATION: "yes"}), False),
    ],
    ids=[
        "a person's",
        "a person's, of an unknown node",
        "ours, of an unknown node",
        "ours over a person's, registered anew",
        "ours, registered anew",
        "ours, whatever stood there earlier",
        "of the autoscaler, of before",
        "of the autoscaler, of now",
        "beside a candidate",
        "of the autoscaler over a person's",
        "open already",
    ],
)
def test_only_a_cordon_of_ours_or_of_a_removal_that_is_over_is_lifted(seen: Any, kube: KubeNode, opened: bool) -> None:
    """A person's cordon stands over every boot."""
    spec = welcome(known(seen), kube).get("spec", {})
    assert (spec.get("unschedulable", 0) is None) is opened


@pytest.mark.parametrize(
    ("taint", "stays"),
    [
        (Taint(key=CA_TO_BE_DELETED_TAINT, value=EARLIER), False),
        (Taint(key=CA_TO_BE_DELETED_TAINT, value=NOW), True),
        (Taint(key=CA_TO_BE_DELETED_TAINT, value="soon"), False),
        (Taint(key=CA_CANDIDATE_TAINT, value=EARLIER), False),
        (Taint(key=CA_CANDIDATE_TAINT, value="soon"), True),
        (Taint(key="other", value=EARLIER), True),
        (Taint(key="dirty", effect="NoSchedule"), False),
        (Taint(key="wet", effect="NoSchedule"), False),
        (Taint(key="wet", effect="NoExecute"), True),
        (CLOSED, True),
    ],
)
def test_taints_of_another_time_are_stripped(taint: Taint, stays: bool) -> None:
    """Those of a removal that is over, and those that the spec names, with that effect or with any."""
    removed = (Taint(key="dirty"), Taint(key="wet", effect="NoSchedule"))
    of = known(None, spec={"taints_to_remove": removed})
    patch = welcome(of, node(taints=(taint, FAST)))
    assert patch == ({} if stays else {"spec": {"taints": [TOLD]}})


def test_a_node_that_lacks_nothing_needs_no_welcome() -> None:
    """One that is not there, is marked as suspended, or lacks anything does."""
    whole = node(labels={"disk": "fast"}, annotations={"note": "mine"}, taints=(FAST,))
    suspended = Condition(type="Suspended", status="True", reason="PoweredOff")
    marked = structs.replace(whole, status=KubeNodeStatus(conditions=(suspended,)))
    cordoned = node(created=-10, unschedulable=True, annotations={CORDON_ANNOTATION: "yes"})
    for kube, lacks in ((whole, False), (None, True), (marked, True), (cordoned, True)):
        assert lacks_welcome(known(kube=kube), ready_since=READY_AT) is lacks
