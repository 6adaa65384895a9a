"""Wake proof by the domain alone: what proves a machine, which claim stands, and what the one veto says."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import at, status, wish

from hexa.domain.machine.lifecycle import Event, Phase, step
from hexa.domain.machine.wish import wish_patch
from hexa.domain.names import CA_CANDIDATE_TAINT, CA_TO_BE_DELETED_TAINT
from hexa.domain.policy.policy import Policy, policy_of
from hexa.domain.resources.core import KubeNode, KubeNodeSpec, Metadata, Taint
from hexa.domain.resources.v1alpha1 import (
    Asker,
    Group,
    GroupSpec,
    JobRecord,
    Lookup,
    Node,
    NodeStatus,
    OwnedMetadata,
    Power,
    WakeProof,
)
from hexa.domain.rules.proof import Claim, claim_of, proof_vetoes, proven, slot_of

CA = Asker.CLUSTER_AUTOSCALER
DONE = JobRecord(name="j", action="startup", outcome="done")
POLICY = Policy()


def walk(begin: NodeStatus, *events: Event, job: JobRecord = DONE) -> NodeStatus:
    """The status after these events, a minute apart, with a Job for each wake."""
    now = begin
    for number, event in enumerate(events, start=1):
        now = step(now, event, now=at(60 * number), limits=POLICY.limits)
        if now.phase == Phase.POWERING_ON:
            now = structs.replace(now, job=job)
    return now


def off(**more: Any) -> NodeStatus:
    """A machine that went off."""
    return step(status(Phase.POWERING_OFF, **more), Event.POWER_GONE, now=at(0), limits=POLICY.limits)


E = Event
PROVEN = {"wake_proven_at": at(-60)}


@pytest.mark.parametrize(
    ("begin", "events", "job", "proves"),
    [
        (off(), (E.WANTED, E.STARTED, E.NODE_READY), DONE, True),
        (off(), (E.WANTED, E.NODE_READY), DONE, True),
        (off(), (E.WANTED, E.NODE_READY), JobRecord(name="j", action="startup", outcome="failed"), False),
        (off(), (E.POWER_SEEN, E.NODE_READY), DONE, False),
        (off(**PROVEN), (E.POWER_SEEN, E.NODE_READY), DONE, False),
        (off(**PROVEN), (E.WANTED, E.OVERDUE), DONE, False),
        (off(**PROVEN), (E.WANTED, E.OVERDUE, E.NODE_READY), DONE, False),
        (off(**PROVEN), (), DONE, True),
        (status(Phase.LOST), (E.WANTED, E.NODE_READY), DONE, False),
        (status(Phase.READY, **PROVEN), (E.NODE_LOST, E.NODE_READY), DONE, True),
        (status(Phase.READY, **PROVEN), (E.UNWANTED, E.KEPT), DONE, True),
    ],
)
def test_what_proves_that_a_machine_wakes(
    begin: NodeStatus, events: tuple[Event, ...], job: JobRecord, proves: bool
) -> None:
    """A wake of ours from Off to Ready within its limits does; a button, a wake that failed, and one of a machine that may never
    have been off do not, and the first two end an earlier proof."""
    after = walk(begin, *events, job=job)
    assert proven(after, POLICY, now=at(600)) is proves
    assert not proven(after, POLICY, now=at(600) + timedelta(days=31))


def test_a_failed_wake_is_remembered_until_one_succeeds() -> None:
    """When it failed is told, and forgotten at the next wake that works."""
    failed = walk(off(), E.WANTED, E.OVERDUE)
    assert failed.wake_failed_at == at(120)
    again = walk(failed, E.COOLED_DOWN, E.OVERDUE, E.WANTED, E.NODE_READY)
    assert again.wake_failed_at is None
    assert again.wake_proven_at == at(240)


def machine(name: str, phase: Phase, *, wanted: Power = Power.ON, by: Asker = CA, **more: Any) -> Node:
    """A machine with a recorded wish."""
    node = Node(metadata=OwnedMetadata(name=name, namespace="site"), status=status(phase, **more))
    patch = wish_patch(node, wish(wanted, by, since=at(0)))
    metadata = OwnedMetadata(name=name, namespace="site", annotations=patch["metadata"]["annotations"])
    return Node(metadata=metadata, status=node.status)


def claims(*nodes: Node, kube: dict[str, KubeNode] | None = None, policy: Policy = POLICY) -> list[Claim]:
    """The claims of these machines."""
    found = (
        claim_of(Lookup("site", n.metadata.name), n, (kube or {}).get(n.metadata.name), policy, now=at(100))
        for n in nodes
    )
    return [claim for claim in found if claim is not None]


def tainted(key: str, value: str) -> KubeNode:
    """A Kubernetes node that Cluster Autoscaler has marked."""
    return KubeNode(metadata=Metadata(name="n"), spec=KubeNodeSpec(taints=(Taint(key=key, value=value, effect="X"),)))


OFF = Power.OFF
DOWN = {"last_shutdown_time": at(-100)}


def test_the_nearer_to_dark_the_sooner_it_holds_the_slot() -> None:
    """What is off by our act comes before what goes off, that before what was asked, and that before what Cluster Autoscaler
    drains or means to; of equals the first."""
    order = [
        machine("dark", Phase.OFF, wanted=OFF, **DOWN),
        machine("going", Phase.POWERING_OFF, wanted=OFF),
        machine("drains", Phase.DRAINING, wanted=OFF),
        machine("asked", Phase.READY, wanted=OFF),
        machine("b-deleted", Phase.READY),
        machine("old-candidate", Phase.READY),
        machine("candidate", Phase.READY),
    ]
    kube = {
        "b-deleted": tainted(CA_TO_BE_DELETED_TAINT, "500"),
        "candidate": tainted(CA_CANDIDATE_TAINT, "200"),
        "old-candidate": tainted(CA_CANDIDATE_TAINT, "100"),
    }
    for first in range(len(order)):
        holder = slot_of(reversed(claims(*order[first:], kube=kube)), now=at(100)).holder
        assert holder is not None
        assert holder.key.name == order[first].metadata.name


@pytest.mark.parametrize(
    "node",
    [
        machine("found-off", Phase.OFF, wanted=OFF, by=Asker.RECOVERY),
        machine("put-off-by-a-person", Phase.OFF, wanted=OFF, by=Asker.USER, **DOWN),
        machine("asked-by-a-person", Phase.READY, wanted=OFF, by=Asker.USER),
        machine("on", Phase.READY),
        machine("came-up-since", Phase.LOST, last_startup_time=at(-50), **DOWN),
        machine("failed-after-found-off", Phase.START_FAILED, wake_failed_at=at(0)),
    ],
    ids=lambda node: node.metadata.name,
)
def test_who_has_no_claim(node: Node) -> None:
    """Whatever is not off by hexa's own act, nor about to be, keeps no other machine on."""
    assert claims(node) == []


def test_a_proven_machine_claims_nothing_until_its_proof_ends() -> None:
    """It may be off with all others; at the end of its proof it is one that has to wake first, and that is known in advance."""
    found = claims(machine("dark", Phase.OFF, wanted=OFF, wake_proven_at=at(-200), **DOWN))
    now = slot_of(found, now=at(100))
    assert now.holder is None
    assert now.until == at(-200) + timedelta(days=30)
    assert slot_of(found, now=now.until).holder is not None


@pytest.mark.parametrize(
    ("node", "stands"),
    [
        (machine("m", Phase.READY), True),
        (machine("m", Phase.READY, wanted=OFF), True),
        (machine("m", Phase.BOOTING, wanted=OFF), True),
        (machine("m", Phase.READY, wanted=OFF, by=Asker.USER), False),
        (machine("m", Phase.READY, wake_proven_at=at(0)), False),
        (machine("m", Phase.OFF), False),
    ],
)
def test_whom_the_veto_keeps_on(node: Node, stands: bool) -> None:
    """An unproven machine that runs or comes, unless a person wants it off; under Warn nobody."""
    (holder,) = claims(machine("dark", Phase.OFF, wanted=OFF, **DOWN))
    found = list(proof_vetoes(node, POLICY, holder, now=at(100)))
    assert [veto.reason for veto in found] == ["WakeProof"] * stands
    assert all("dark" in veto.message for veto in found)
    assert not list(proof_vetoes(node, Policy(wake_proof=WakeProof.WARN), holder, now=at(100)))
    assert not list(proof_vetoes(node, POLICY, None, now=at(100)))


def test_an_exercise_rarer_than_the_proof_lasts_is_a_warning() -> None:
    """Machines would stand without proof in between; and less than an hour is a slip of the pen."""
    spec = GroupSpec(exercise_every="1000h")
    (problem,) = policy_of(Group(spec=spec))[1]
    assert (problem.reason, problem.severity) == ("ExerciseAfterProof", "warning")
    (problem,) = policy_of(Group(spec=GroupSpec(exercise_every="5m")))[1]
    assert (problem.field, problem.severity) == ("spec.exerciseEvery", "error")
