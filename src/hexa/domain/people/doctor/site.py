"""The site around hexa: clocks, images of power Jobs, nodes to run on, and pods that keep machines on for good."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from hexa.domain.names import ACTION_LABEL, CONTROL_PLANE_TAINTS, GROUP_LABEL, MACHINE_LABEL, SAFE_TO_EVICT
from hexa.domain.people.doctor.finding import Finding, error, warning
from hexa.domain.pods.budgets import covers
from hexa.domain.pods.drain import controller_kind, pod_name, welcomes
from hexa.domain.pods.undrainable import Skips, ignored, keeps
from hexa.domain.policy.problem import Problem
from hexa.domain.power.profile import FilledIn
from hexa.domain.resources.core import KubeNode, Lease, Pod, PodDisruptionBudget, PodSpec, Toleration
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Group, Node
from hexa.domain.rules.battery import State
from hexa.domain.rules.safe_hands import Trouble, told
from hexa.domain.written.validation import Subject, group_problems, machine_problems, membership, site_problems

# --- clocks ---------------------------------------------------------------------------------------

TOLERATED: Final = timedelta(seconds=5)
"""Certificates and Leases bear more; larger ones are not chance."""
LEASE: Final = timedelta(seconds=40)


def judge_clock(*, before: datetime, server: datetime, after: datetime) -> Iterator[Finding]:
    """The server's time, cut to whole seconds, against ours around the call."""
    early, late = before - server - timedelta(seconds=1), server - after
    skew = max(early, late, timedelta(0))
    if skew > TOLERATED:
        word = "behind" if early > late else "ahead of"
        text = f"is {skew.total_seconds():.0f} s {word} the clock of this machine"
        yield warning("clock of the API server", text, "let both follow one time server (chrony, systemd-timesyncd)")


def judge_leases(nodes: Iterable[KubeNode], leases: Mapping[str, Lease], *, server: datetime) -> Iterator[Finding]:
    """A kubelet writes its own time into its Lease: one that is Ready writes about now."""
    for node in nodes:
        lease = leases.get(node.metadata.name)
        if lease is None or lease.spec.renew_time is None or not is_ready(node):
            continue
        ahead = lease.spec.renew_time - server
        skew = ahead if ahead > TOLERATED else -ahead - LEASE
        if skew > TOLERATED:
            word = "ahead of" if ahead > TOLERATED else "behind"
            text = f"its clock is about {skew.total_seconds():.0f} s {word} the API server's"
            yield warning(f"Kubernetes node {node.metadata.name}", text, "let it follow the same time server")


def is_ready(node: KubeNode) -> bool:
    """Whether its kubelet says so."""
    return any(each.type == "Ready" and each.status == "True" for each in node.status.conditions)


# --- images of power Jobs -------------------------------------------------------------------------

_NO_IMAGE: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})


def judge_images(pods: Iterable[Pod]) -> Iterator[Finding]:
    """Pods of power Jobs that wait for an image."""
    for pod in pods:
        for status in pod.status.container_statuses:
            waiting = status.state.waiting
            if waiting is not None and waiting.reason in _NO_IMAGE:
                machine = pod.metadata.labels.get(MACHINE_LABEL, pod.metadata.name)
                action = pod.metadata.labels.get(ACTION_LABEL, "power")
                image = next((each.image for each in pod.spec.containers), "")
                text = f"the image {image} of its {action} Job cannot be had: {waiting.message or waiting.reason}"
                remedy = f"correct image or imagePullSecrets in its {action}PodSpec, or with spec.power HEXA_JOBS_IMAGE of hexa"
                yield error(f"Node {pod.metadata.namespace}/{machine}", text, remedy)


# --- where hexa, Cluster Autoscaler and Jobs run ---------------------------------------------------

_CONTROL: Final = Pod(
    spec=PodSpec(tolerations=tuple(Toleration(key=key, operator="Exists") for key in CONTROL_PLANE_TAINTS))
)


def judge_elsewhere(nodes: Sequence[KubeNode], members: frozenset[str]) -> Iterator[Finding]:
    """hexa, Cluster Autoscaler and power Jobs need a node that is never switched off."""
    outside = [node for node in nodes if not is_member(node, members)]
    usable = [node for node in outside if is_ready(node) and welcomes(node, _CONTROL)]
    if usable:
        return
    if not outside:
        text = "every Kubernetes node is in a group: hexa, Cluster Autoscaler and power Jobs have nowhere to run"
        yield error("Kubernetes nodes", text, "leave one machine out of all groups, such as the control plane")
        return
    names = ", ".join(sorted(node.metadata.name for node in outside))
    text = (
        f"none outside the groups takes pods ({names}: not Ready, cordoned, or a taint that power Jobs do not tolerate)"
    )
    yield error("Kubernetes nodes", text, "uncordon one, or remove its taint; or set tolerations in the power pods")


def is_member(node: KubeNode, members: frozenset[str]) -> bool:
    """Whether a machine of a group stands behind the node."""
    return GROUP_LABEL in node.metadata.labels or node.metadata.name in members


# --- what is never drained ------------------------------------------------------------------------

_REMEDIES: Final = (
    ("not replicated", "give it a controller, or annotate it with {safe}=true if it may be lost"),
    (
        "kube-system",
        "give it a PodDisruptionBudget, move it off the machines (node affinity), or annotate it with {safe}=true",
    ),
    ("not safe to evict", "remove the annotation, or move it off the machines"),
    ("local storage", "annotate it with {safe}=true if the data may be lost, or use a volume that moves"),
    ("disruption budget", "give it one more replica, or let its budget allow a disruption"),
)


def judge_undrainable(
    pods: Iterable[Pod], budgets: Sequence[PodDisruptionBudget], members: frozenset[str], skips: Skips, *, now: datetime
) -> Iterator[Finding]:
    """Pods on machines that Cluster Autoscaler never gives up because of them; those of one controller are told once."""
    found: dict[tuple[str, str], list[Pod]] = {}
    for pod in pods:
        leaves = pod.spec.node_name not in members or pod.metadata.deletion_timestamp is not None or ignored(pod)
        if not leaves and (why := _why(pod, budgets, skips, now)):
            found.setdefault((_owner(pod), why), []).append(pod)
    for (about, why), kept in sorted(found.items()):
        nodes = ", ".join(sorted({pod.spec.node_name for pod in kept}))
        remedy = next(text for key, text in _REMEDIES if key in why).format(safe=SAFE_TO_EVICT)
        yield warning(about, f"keeps {nodes} on for good: {why}", remedy)


def _why(pod: Pod, budgets: Sequence[PodDisruptionBudget], skips: Skips, now: datetime) -> str:
    matching = [budget for budget in budgets if covers(budget, pod)]
    exhausted = next((each.metadata.name for each in matching if each.status.disruptions_allowed < 1), "")
    created = pod.metadata.creation_timestamp
    age = (now - created).total_seconds() if created else float("inf")
    return keeps(pod, skips, covered=bool(matching), exhausted=exhausted, age=age)


def _owner(pod: Pod) -> str:
    owner = next((each for each in pod.metadata.owner_references if each.controller), None)
    return f"{controller_kind(pod)} {pod.metadata.namespace}/{owner.name}" if owner else f"Pod {pod_name(pod)}"


# --- the site itself ------------------------------------------------------------------------------

_CAUSES: Final[Mapping[str, str]] = {
    Trouble.NODES_LOST: "look for what they share: a switch, a breaker, an uplink; hexa get shows who is silent",
    Trouble.DARK_SITE: "hexa get shows who is silent; what is wanted on is woken, in the order of spec.dependsOn",
    Trouble.API_FLAPS: "look at the API server and at etcd, and at the network between them and hexa",
    Trouble.CLOCK_SET: "let the node on which hexa runs follow a time server (chrony, systemd-timesyncd)",
}


def judge_safe_hands(groups: Sequence[Group]) -> Iterator[Finding]:
    """Whether hexa takes the site to be in doubt, and does not hear its UPS."""
    if (stands := told(groups)) is not None:
        yield warning("the site", f"SafeHands: {stands.text}", _CAUSES.get(stands.trouble, "see the logs of hexa"))
    said = (c for group in groups for c in group.status.conditions if c.reason in (State.NOT_HEARD, State.UNKNOWN))
    if (unheard := next(said, None)) is not None:
        remedy = (
            "look at upsd: its driver, LISTEN in upsd.conf, the name in ups.conf, and NetworkPolicies on the way to it"
        )
        yield warning("the UPS", unheard.message, remedy)


# --- our resources --------------------------------------------------------------------------------


def judge_objects(groups: Sequence[Group], machines: Sequence[Node], *, now: datetime) -> Iterator[Finding]:
    """What `hexa validate` says of them, alone and together."""
    by_key = {(group.metadata.namespace, group.metadata.name): group for group in groups}
    for group in groups:
        yield from _problems(_subject(GROUPS.name, group), group_problems(group, now=now))
    for machine in machines:
        of = membership(machine)
        known = by_key.get((of.namespace, of.name)) if of else None
        yield from _problems(_subject(MACHINES.name, machine), machine_problems(machine, known, now=now))
    for found in site_problems(groups, machines):
        yield from _problems(found.subject, [found.problem])


def judge_profiles(machines: Iterable[FilledIn]) -> Iterator[Finding]:
    """What is wrong with the profiles of machines."""
    for each in machines:
        yield from _problems(_subject(MACHINES.name, each.node), each.problems)


def _subject(kind: str, resource: Any) -> Subject:
    return Subject(kind, resource.metadata.namespace, resource.metadata.name)


def _problems(subject: Subject, problems: Iterable[Problem]) -> Iterator[Finding]:
    for problem in problems:
        make = error if problem.severity == "error" else warning
        yield make(str(subject), f"{problem.field} {problem.text}", problem.remedy)
