"""Asks for the evictions of a drain, and says who blocks. Which pods, and when to ask again, is decided in `domain.pods.drain`."""

from typing import Final

from hexa.app.each import for_each
from hexa.domain.errors import Conflict, Refused
from hexa.domain.pods.drain import Plan, grace_of, pod_name
from hexa.domain.resources.core import Pod
from hexa.ports.kube import Blocked, Evicted, Kube

EVICTIONS_AT_ONCE: Final = 10


async def evict(kube: Kube, plan: Plan, *, grace: int | None) -> str:
    """Ask for every eviction of the plan; who blocks, if a disruption budget does or the API server refuses. Raises what an
    eviction raised, once all were asked; a pod that is another one by now is left for the next look."""
    blocked: list[str] = []

    async def one(pod: Pod) -> None:
        try:
            answer = await _evict(kube, pod, grace)
        except Conflict:
            return
        except Refused as error:  # another tenant's pod, for one: the drain says so until its deadline
            answer = Blocked(str(error))
        if isinstance(answer, Blocked):
            blocked.append(f"{pod_name(pod)}: {answer.reason}")

    await for_each(one, plan.evict, at_once=EVICTIONS_AT_ONCE)
    return "; ".join(sorted(blocked))


async def _evict(kube: Kube, pod: Pod, grace: int | None) -> Evicted | Blocked:
    meta = pod.metadata
    return await kube.evict(meta.name, namespace=meta.namespace, uid=meta.uid, grace=grace_of(pod, longest=grace))
