"""The pods of hexa and of Cluster Autoscaler in the cluster, found by the labels that they usually have."""

from collections.abc import Iterable, Sequence
from typing import Final

from hexa.domain.policy.conventions import AUTOSCALER, CONTROL_PODS, label_selectors
from hexa.domain.resources.cluster import DETAILED_PODS, DetailedContainer, DetailedPod
from hexa.domain.resources.core import Malformed
from hexa.ports.kube import Kube, Selector

AGENT: Final = "app.kubernetes.io/name=hexa"
CONTAINER: Final = "hexa"
AUTOSCALERS: Final = tuple(
    labels for _, labels in label_selectors(pod for pod in CONTROL_PODS if pod.name == AUTOSCALER)
)


async def agents(kube: Kube) -> list[DetailedPod]:
    """hexa's pods, in any namespace."""
    return await _pods(kube, AGENT)


async def autoscalers(kube: Kube) -> list[DetailedPod]:
    """Pods of Cluster Autoscaler that use an external provider, in any namespace; beside hexa in its pod too."""
    found: dict[str, DetailedPod] = {}
    for labels in (*AUTOSCALERS, AGENT):
        found |= {pod.metadata.uid: pod for pod in await _pods(kube, labels)}
    return [pod for pod in found.values() if autoscaler_container(pod) is not None]


async def _pods(kube: Kube, labels: str) -> list[DetailedPod]:
    listing = await kube.list(DETAILED_PODS, Selector(labels=labels))
    return [pod for pod in listing.items if not isinstance(pod, Malformed) and not pod.metadata.deletion_timestamp]


def agent_container(pod: DetailedPod) -> DetailedContainer | None:
    """The container of a pod that is hexa."""
    named = (each for each in pod.spec.containers if each.name == CONTAINER)
    return next(named, pod.spec.containers[0] if len(pod.spec.containers) == 1 else None)


def autoscaler_container(pod: DetailedPod) -> DetailedContainer | None:
    """The container of a pod that is Cluster Autoscaler with an external provider."""
    return next((each for each in pod.spec.containers if PROVIDER in words(each)), None)


PROVIDER: Final = "--cloud-provider=externalgrpc"


def words(container: DetailedContainer) -> Sequence[str]:
    """Everything on the container's command line; flags and values that stand apart are joined."""
    return list(_joined([*container.command, *container.args]))


def _joined(given: Sequence[str]) -> Iterable[str]:
    for place, word in enumerate(given):
        after = given[place + 1] if place + 1 < len(given) else "-"
        apart = word.startswith("-") and "=" not in word and not after.startswith("-")
        flag = f"--{word.lstrip('-')}" if word.startswith("-") else word
        yield f"{flag}={after}" if apart else flag


def agent_image(pods: Iterable[DetailedPod]) -> str:
    """The image that hexa runs from; empty if none does."""
    containers = (agent_container(pod) for pod in pods)
    return next((each.image for each in containers if each is not None), "")


def unwatched(pods: Iterable[DetailedPod], namespaces: Iterable[str]) -> dict[str, str]:
    """Of the namespaces those that none of hexa's pods watches, each with those that are. Without a pod nobody knows."""
    told = [watched(pod) for pod in pods]
    if not told or not all(told):
        return {}
    seen = sorted({name for each in told for name in each})
    return {name: ", ".join(seen) for name in namespaces if name not in seen}


def watched(pod: DetailedPod) -> tuple[str, ...]:
    """The namespaces that a pod of hexa was told to watch; a configuration file it may have is not read."""
    container = agent_container(pod)
    if container is None:
        return ()
    named = [word.partition("=")[2] for word in words(container) if word.startswith(("--namespace=", "--n="))]
    told = next((each.value for each in container.env if each.name == "HEXA_NAMESPACES"), "")
    return tuple(named or [part.strip() for part in told.split(",") if part.strip()])


def setting(pod: DetailedPod, variable: str, flag: str = "") -> str:
    """What a pod of hexa was told by flag or variable; a configuration file it may have is not read."""
    container = agent_container(pod)
    if container is None:
        return ""
    said = next((word.partition("=")[2] for word in words(container) if flag and word.startswith(f"{flag}=")), "")
    return said or next((each.value for each in container.env if each.name == variable), "")
