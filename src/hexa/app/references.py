"""Objects as news name them, and as Kubernetes Events point at them."""

from typing import Any, Final

from hexa.domain.news import About
from hexa.domain.resources.core import CRON_JOBS, JOBS, LEASES, NODES, PODS, Kind, ObjectReference
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, PROFILES, Lookup

KINDS: Final[dict[About, Kind[Any]]] = {
    About.NODE: MACHINES,
    About.GROUP: GROUPS,
    About.KUBE_NODE: NODES,
    About.POD: PODS,
    About.JOB: JOBS,
    About.CRON_JOB: CRON_JOBS,
    About.LEASE: LEASES,
    About.PROFILE: PROFILES,
}
"""Every kind that the agent watches."""
ABOUT: Final = {(kind.api_version, kind.name): about for about, kind in KINDS.items()}


def about_kind(kind: Kind[Any]) -> About:
    """The kind as news name it."""
    return ABOUT[kind.api_version, kind.name]


def reference(about: About, key: Lookup, uid: str = "") -> ObjectReference:
    """The object, for Events."""
    kind = KINDS[about]
    return ObjectReference(
        api_version=kind.api_version, kind=kind.name, name=key.name, namespace=key.namespace, uid=uid
    )
