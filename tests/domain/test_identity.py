"""What is noticed of an identity that changed, and when a new name of the Kubernetes node may be taken over."""

from itertools import product
from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import JOB, machine, pod, status

from hexa.domain.machine.identity import (
    DIGEST,
    NameFacts,
    acts_on_old,
    declared_name,
    findings,
    fingerprint,
    identified,
    in_doubt,
    kube_name,
    may_take_name,
    moved,
    of_another,
    renamed,
    rewired,
)
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.pods.drain import Plan
from hexa.domain.resources.core import Malformed, Metadata
from hexa.domain.resources.identity import Identity
from hexa.domain.resources.v1alpha1 import JobRecord, Node, NodeStatus, PowerPodSpec
from hexa.domain.rules.name_in_doubt import name_vetoes

EMPTIED = {Phase.DRAINING, Phase.POWERING_OFF}
UP = {Phase.READY, Phase.LOST}


def known(node: Node, phase: Phase = Phase.READY, *, job: JobRecord | None = None, **identity: Any) -> Node:
    """The machine, in `phase`, when its status says who it was."""
    return structs.replace(node, status=status(phase, identity=Identity(**identity), attempt=3, job=job))


@pytest.mark.parametrize("phase", Phase)
def test_a_new_name_is_taken_over_only_where_nothing_of_the_old_one_may_run(phase: Phase) -> None:
    """Never while the old kubelet is heard, once the shutdown Job is made, or where another machine has the name. At once where the
    same kubelet came under it, and a machine that drains has no pods under the old one. Else, off, once the old node has left or,
    where it stays, has no pods; up, once the old node and its pods are gone."""
    names = ("silent", "taken", "arrived", "exists", "occupied", "leaves", "stopping")
    for values in product((True, False), repeat=len(names)):
        silent, taken, arrived, exists, occupied, leaves, stopping = values
        facts = NameFacts(**dict(zip(names, values, strict=True)))
        gone = not (exists or occupied) if phase in UP else not leaves and not (exists and occupied)
        if phase in EMPTIED:
            gone, arrived = not (exists or occupied), arrived and not occupied
        waits = taken or stopping or phase is Phase.STOP_FAILED
        expected = silent and not waits and (arrived or gone)
        assert may_take_name(phase, facts) is expected, facts


def test_the_name_that_counts_is_the_one_that_the_machine_came_up_with() -> None:
    """Without a word of spec it is the resource's; a new one in spec waits, and is told."""
    plain, named = machine("m1"), machine("m1", kubernetes_node_name="new")
    assert (declared_name(plain), kube_name(plain), renamed(plain)) == ("m1", "m1", "")
    assert (declared_name(named), kube_name(named), renamed(named)) == ("new", "new", "")
    waits = known(named, kubernetes_node="old")
    assert (kube_name(waits), renamed(waits)) == ("old", "new")
    (finding,) = findings(waits)
    assert (finding.type, finding.reason) == ("IdentityChanged", "NodeNameWaits")
    assert "new" in finding.message
    assert "old" in finding.message
    assert list(findings(plain)) == []


def test_a_name_of_another_machine_is_told_before_it_is_drained() -> None:
    """The veto names it."""
    (veto,) = name_vetoes(machine(kubernetes_node_name="k9"), taken=True)
    assert veto.reason == "KubernetesNodeTaken"
    assert "k9" in veto.message
    assert list(name_vetoes(machine(kubernetes_node_name="k9"), taken=False)) == []


def test_pods_on_a_node_in_doubt_block() -> None:
    """Those that a drain would move, one that does not decode included; what blocked before still does."""
    broken = Malformed(Metadata(name="odd", namespace="apps"), "no spec")
    first = in_doubt(Plan(), [pod("web"), pod("log", kind="DaemonSet"), broken], "k2, which it names now")
    assert [(each.pod, each.reason) for each in first.blockers] == [
        ("apps/web", "NodeInDoubt"),
        ("apps/odd", "NodeInDoubt"),
    ]
    assert "k2" in first.blockers[0].message
    both = in_doubt(first, [pod("db")], "k3")
    assert [each.pod for each in both.blockers] == ["apps/web", "apps/odd", "apps/db"]


def test_what_switches_the_power_has_a_digest() -> None:
    """Another command, argument or address is another one; an image, a timeout and a name are not."""
    plain = fingerprint(machine())
    assert plain.startswith(DIGEST)
    assert plain == fingerprint(machine("other", startup_pod_spec=PowerPodSpec(image="registry.example/other")))
    others = [
        fingerprint(machine(startup_pod_spec=PowerPodSpec(image=JOB.image, command=("wake",)))),
        fingerprint(machine(shutdown_pod_spec=PowerPodSpec(image=JOB.image, args=("now",)))),
        fingerprint(machine(shutdown_pod_spec=None)),
    ]
    assert len({plain, *others}) == 4


def test_a_status_gets_what_it_lacks_of_the_identity_and_keeps_the_rest() -> None:
    """What was there before stands until somebody takes over the new; a digest that was made otherwise is made anew."""
    node = machine("m1", kubernetes_node_name="k1")
    node = structs.replace(node, metadata=structs.replace(node.metadata, uid="u1"))
    fresh = identified(NodeStatus(), node)
    digest = fingerprint(node)
    assert fresh.identity == Identity(kubernetes_node="k1", uid="u1", group="rack", power=digest)
    assert identified(fresh, node) is fresh
    old = Identity(kubernetes_node="k0", kubernetes_node_uid="ku", uid="u0", group="", power="1:0")
    kept = NodeStatus(identity=old)
    assert identified(kept, node) is kept
    other = NodeStatus(identity=structs.replace(old, power="0:abc"))
    assert identified(other, node).identity == structs.replace(old, power=digest)


def test_a_change_is_noticed_against_what_the_status_says() -> None:
    """Group, uid and power: nothing is known to have changed of what the status does not have yet."""
    node = machine()
    node = structs.replace(node, metadata=structs.replace(node.metadata, uid="u1"))
    assert (moved(node), of_another(node), rewired(node)) == (False, False, False)
    same = known(node, uid="u1", group="rack", power=fingerprint(node))
    assert (moved(same), of_another(same), rewired(same)) == (False, False, False)
    changed = known(node, uid="u0", group="shelf", power="1:0")
    assert (moved(changed), of_another(changed), rewired(changed)) == (True, True, True)
    assert not moved(known(node, group="shelf"))
    assert not rewired(known(node, power="0:made otherwise"))
    out = structs.replace(node, metadata=structs.replace(node.metadata, labels={}))
    assert moved(known(out, uid="u1", group="rack"))
    assert not moved(known(out, uid="u1", group=""))


@pytest.mark.parametrize(
    ("phase", "power", "attempt", "outcome", "acts"),
    [
        (Phase.POWERING_OFF, "1:0", 3, "running", True),
        (Phase.READY, "1:0", 3, "running", False),
        (Phase.POWERING_OFF, "", 3, "running", False),
        (Phase.POWERING_OFF, "1:0", 2, "running", False),
        (Phase.POWERING_OFF, "1:0", 3, "done", False),
        (Phase.POWERING_OFF, "1:0", None, "", False),
    ],
)
def test_a_job_that_acts_on_the_old_address_is_told(
    phase: Phase, power: str, attempt: int | None, outcome: str, acts: bool
) -> None:
    """A power-off whose Job runs on while the address is changed; no other Job, and no other phase."""
    job = None if attempt is None else JobRecord(name="j", action="shutdown", attempt=attempt, outcome=outcome)
    node = known(machine(), phase, job=job, power=power)
    assert acts_on_old(node) is acts
    assert [each.reason for each in findings(node)] == (["PowerWaits"] if acts else [])
