"""Our resources as Events point at them."""

from hexa.domain.resources.core import ObjectReference
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Lookup


def machine_reference(key: Lookup, uid: str = "") -> ObjectReference:
    """A machine, for Events."""
    return ObjectReference(
        api_version=MACHINES.api_version, kind=MACHINES.name, name=key.name, namespace=key.namespace, uid=uid
    )


def group_reference(key: Lookup, uid: str = "") -> ObjectReference:
    """A group, for Events."""
    return ObjectReference(
        api_version=GROUPS.api_version, kind=GROUPS.name, name=key.name, namespace=key.namespace, uid=uid
    )
