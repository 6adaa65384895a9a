"""One-shot pods that read the network cards of machines. They are removed whatever happens, and end by themselves at the latest.

A plain pod and not a Job: what an admission policy refuses is told at once, and nothing is left that would start it anew.
"""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec
import trio

from hexa.domain.errors import AlreadyExists, HexaError
from hexa.domain.people.enrol import Candidate, Card
from hexa.domain.pods.drain import FINISHED
from hexa.domain.resources.core import PODS, Malformed, Pod
from hexa.ports.kube import Kube, Selector

LABEL: Final = "app.kubernetes.io/name"
PROBE: Final = "hexa-probe"
RESULT: Final = "/dev/termination-log"
CLEANUP_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 0.5
AT_ONCE: Final = 10
_FATAL_WAITS: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerError",
        "CreateContainerConfigError",
    }
)


class Probes(msgspec.Struct, frozen=True, kw_only=True):
    """How machines are probed."""

    namespace: str
    image: str
    command: tuple[str, ...] = ("hexa",)
    seconds: float = 60.0
    """How long one pod may take, the pull of its image included."""


async def probe_all(kube: Kube, machines: Sequence[Candidate], probes: Probes) -> dict[str, Card]:
    """What each machine's pod says, by the machine's name; a card with `error` where that is nothing."""
    cards: dict[str, Card] = {}
    turns = trio.CapacityLimiter(AT_ONCE)

    async def one(machine: Candidate) -> None:
        async with turns:
            cards[machine.name] = await _probe(kube, machine, probes)

    async with trio.open_nursery() as nursery:
        for machine in machines:
            nursery.start_soon(one, machine)
    return cards


async def _probe(kube: Kube, machine: Candidate, probes: Probes) -> Card:
    name = pod_name(machine)
    try:
        await _create(kube, pod(machine, probes), name, probes.namespace)
        with trio.move_on_after(probes.seconds):
            return await _answer(kube, name, probes.namespace)
        return Card(
            error=f"its pod did not end within {probes.seconds:g} s ({await _state(kube, name, probes.namespace)})"
        )
    except HexaError as error:
        return Card(error=str(error))
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + CLEANUP_SECONDS), suppress(HexaError):
            await kube.delete(PODS, name, namespace=probes.namespace, grace=0)


async def _create(kube: Kube, manifest: Mapping[str, Any], name: str, namespace: str) -> None:
    """Make the pod; one that an earlier run left behind makes way."""
    try:
        await kube.create(PODS, manifest)
    except AlreadyExists:
        await kube.delete(PODS, name, namespace=namespace, grace=0)
        await trio.sleep(LOOK_SECONDS)
        await kube.create(PODS, manifest)


async def _answer(kube: Kube, name: str, namespace: str) -> Card:
    while True:
        found = await _read(kube, name, namespace)
        if found is None:
            return Card(error="its pod is gone: somebody or something deletes it")
        if (card := card_of(found)) is not None:
            return card
        await trio.sleep(LOOK_SECONDS)


async def _read(kube: Kube, name: str, namespace: str) -> Pod | None:
    listing = await kube.list(PODS, Selector(namespace=namespace, fields=f"metadata.name={name}"))
    found = next(iter(listing.items), None)
    return None if isinstance(found, Malformed) else found


async def _state(kube: Kube, name: str, namespace: str) -> str:
    found = await _read(kube, name, namespace)
    if found is None:
        return "it is gone"
    waits = [each.state.waiting.reason for each in found.status.container_statuses if each.state.waiting]
    return ", ".join([found.status.phase or "Pending", *filter(None, waits)])


def card_of(found: Pod) -> Card | None:
    """What a pod has to say; None while it has not ended."""
    for status in found.status.container_statuses:
        waiting, ended = status.state.waiting, status.state.terminated
        if waiting is not None and waiting.reason in _FATAL_WAITS:
            return Card(error=f"its pod cannot start: {waiting.reason}: {waiting.message}")
        if ended is not None and ended.exit_code:
            return Card(error=f"its pod failed ({ended.reason}, exit code {ended.exit_code}): {ended.message.strip()}")
        if ended is not None:
            return _decoded(ended.message)
    if found.status.phase in FINISHED:
        return Card(error=f"its pod ended: {found.status.reason or found.status.phase} {found.status.message}".strip())
    return None


def _decoded(message: str) -> Card:
    try:
        return msgspec.json.decode(message, type=Card)
    except msgspec.DecodeError:
        return Card(error=f"its pod said nothing that hexa understands: {message[:200]!r}")


def pod_name(machine: Candidate) -> str:
    """The same for the same machine, so that nothing is ever left twice."""
    digest = hashlib.sha256(machine.kubernetes_node.encode()).hexdigest()[:8]
    return f"{PROBE}-{machine.kubernetes_node[:40].strip('.-')}-{digest}"


def pod(machine: Candidate, probes: Probes) -> dict[str, Any]:
    """Of the machine's host it sees the network alone; root and NET_ADMIN are what reading the wake flags takes."""
    container = {
        "name": "probe",
        "image": probes.image,
        "command": [*probes.command, "probe-nic", f"--address={machine.address}", f"--to={RESULT}"],
        "terminationMessagePath": RESULT,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # in the container
        "securityContext": {
            "runAsUser": 0,
            "runAsNonRoot": False,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    return {
        "metadata": {"name": pod_name(machine), "namespace": probes.namespace, "labels": {LABEL: PROBE}},
        "spec": {
            "nodeName": machine.kubernetes_node,  # past the scheduler: a cordon does not matter
            "hostNetwork": True,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": max(1, round(probes.seconds)),
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "tolerations": [{"operator": "Exists"}],
            "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
            "containers": [container],
        },
    }
