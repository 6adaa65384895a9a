"""Checks of hexa itself: its rights, its definitions, its pod, its Groups and Nodes."""

from collections.abc import Iterable, Iterator

import trio

from hexa.app.commands.doctor.sight import Sight
from hexa.app.commands.shared.agents import setting, unwatched
from hexa.domain.errors import HexaError
from hexa.domain.people.doctor import crds, rights, site
from hexa.domain.people.doctor.finding import Finding, error, unseen, warning
from hexa.domain.people.rights import for_http
from hexa.domain.resources.cluster import DEFINITIONS, OWN_REVIEWS, REVIEWS, DetailedPod
from hexa.domain.resources.core import Malformed
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES

AT_ONCE = 10
UNWATCHED = "add the namespace to HEXA_NAMESPACES (hexa manifests --machines), or move them"
RESTLESS = 5
"""Restarts from which a pod is spoken of."""


async def check_rights(sight: Sight) -> Iterable[Finding]:
    """Every right of the table, asked of the API server."""
    account, namespaces = await sight.account(), await sight.namespaces()
    try:
        machines = [each.node for each in await sight.machines()]
    except HexaError:  # told by others
        machines = []
    refused: list[Finding] = []
    turns = trio.CapacityLimiter(AT_ONCE)
    errors: list[HexaError] = []

    async def one(question: rights.Question) -> None:
        async with turns:
            try:
                if not errors and not await _granted(sight, question, account, namespaces):
                    refused.append(rights.refusal(question, account or "you"))
            except HexaError as failure:
                errors.append(failure)

    async with trio.open_nursery() as nursery:
        for question in (*rights.questions(namespaces), *rights.of_sensors(machines), *await _of_http(sight)):
            nursery.start_soon(one, question)
    if errors:
        raise errors[0]
    return sorted(refused, key=lambda finding: finding.text)


async def _of_http(sight: Sight) -> list[rights.Question]:
    """What the HTTP port needs, where there is one."""
    served = any(setting(pod, "HEXA_HTTP_ADDRESS") for pod in await sight.agents())
    return list(rights.questions((), for_http())) if served else []


async def _granted(sight: Sight, question: rights.Question, account: str, namespaces: Iterable[str]) -> bool:
    if await _allowed(sight, question, account):
        return True
    instead = rights.of_a_tenant(question, tuple(namespaces))
    return bool(instead) and all([await _allowed(sight, each, account) for each in instead])


async def _allowed(sight: Sight, question: rights.Question, account: str) -> bool:
    spec = {"resourceAttributes": question.attributes}
    kind = REVIEWS if account else OWN_REVIEWS
    manifest = {"metadata": {}, "spec": {**spec, **rights.subject_of(account)} if account else spec}
    return (await sight.kube.create(kind, manifest)).status.allowed


async def check_definitions(sight: Sight) -> Iterable[Finding]:
    """The CustomResourceDefinitions."""
    found = {}
    for name in crds.NAMES:
        definition = await sight.one(DEFINITIONS, name)
        if definition is not None:
            found[name] = definition
    return crds.judge(found)


async def check_pod(sight: Sight) -> Iterable[Finding]:
    """hexa's pod runs, and is the only one."""
    pods = await sight.agents()
    if not pods:
        text = "no pod labelled app.kubernetes.io/name=hexa: either it does not run in this cluster, or it has other labels"
        return [unseen("hexa", text, "install it, or give its pod that label")]
    return [*_alone(pods), *(finding for pod in pods for finding in running(pod, "hexa"))]


def _alone(pods: list[DetailedPod]) -> Iterator[Finding]:
    if len(pods) > 1:
        names = ", ".join(f"{pod.metadata.namespace}/{pod.metadata.name}" for pod in pods)
        text = f"{len(pods)} pods run ({names}), and two that switch the same machines get in each other's way"
        yield error("hexa", text, "one replica, strategy Recreate; several only for different namespaces")


def running(pod: DetailedPod, what: str) -> Iterator[Finding]:
    """What keeps a pod from its work."""
    about = f"{what} (Pod {pod.metadata.namespace}/{pod.metadata.name})"
    logs = f"kubectl -n {pod.metadata.namespace} logs {pod.metadata.name} --all-containers --previous"
    for status in pod.status.container_statuses:
        if status.state.waiting is not None:
            waiting = status.state.waiting
            yield error(about, f"container {status.name} waits: {waiting.reason} {waiting.message}".rstrip(), logs)
        elif status.restart_count >= RESTLESS:
            yield warning(about, f"container {status.name} was started anew {status.restart_count} times", logs)
    ready = any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions)
    if not ready and not any(each.state.waiting for each in pod.status.container_statuses):
        yield error(
            about, f"is {pod.status.phase or 'Pending'} and not Ready", "kubectl describe it: its Events say why"
        )


async def _unwatched(sight: Sight) -> list[Finding]:
    """Groups and Nodes in namespaces that hexa does not look at."""
    if sight.asked.namespaces:
        return []
    spaces = {each.metadata.namespace for each in await sight.good(GROUPS)}
    spaces |= {each.metadata.namespace for each in await sight.good(MACHINES)}
    left_out = unwatched(await sight.agents(), sorted(spaces))
    return [
        warning(
            f"Groups and Nodes in namespace {name}", f"hexa watches {seen} only: nothing there is switched", UNWATCHED
        )
        for name, seen in left_out.items()
    ]


async def check_objects(sight: Sight) -> Iterable[Finding]:
    """Groups and Nodes, as `hexa validate` sees them."""
    broken = [
        error(
            f"{kind.name} {each.metadata.namespace}/{each.metadata.name}",
            f"cannot be read: {each.problem}",
            "correct it",
        )
        for kind in (GROUPS, MACHINES)
        for each in await sight.all(kind)
        if isinstance(each, Malformed)
    ]
    broken += await _unwatched(sight)
    groups, found = await sight.ours(GROUPS), await sight.machines()
    machines = [each.node for each in found]
    broken += site.judge_profiles(found)
    if not groups and not machines and not broken:
        return [warning("Groups and Nodes", "there are none: nothing is ever switched", "hexa enrol draws them up")]
    return [*broken, *site.judge_safe_hands(groups), *site.judge_objects(groups, machines, now=sight.now())]
