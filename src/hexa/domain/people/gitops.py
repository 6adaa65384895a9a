"""What a person should know before writing to an object that a GitOps manager keeps as it is in Git."""

from typing import Final

from hexa.domain.machine.wish import gitops_manager
from hexa.domain.resources.v1alpha1 import OwnedMetadata

FLUX: Final = 'annotate it kustomize.toolkit.fluxcd.io/ssa: IfNotPresent, or "flux suspend" what applies it meanwhile'
OTHER: Final = "take /spec/{field} out of what it applies"
ARGO: Final = "list /spec/{field} under ignoreDifferences of the Application (with RespectIgnoreDifferences=true)"

WAYS: Final = (("argocd", ARGO), (("kustomize-controller", "helm-controller", "flux"), FLUX))
"""Beginnings of field managers, and how a value is kept from them."""


def revert_warning(metadata: OwnedMetadata, field: str) -> str:
    """Who may undo a write of `spec.FIELD`, and how to keep it; empty if nobody does."""
    owner = gitops_manager(metadata, field)
    manager = owner or gitops_manager(metadata)
    if not manager:
        return ""
    way = next((way for begins, way in WAYS if manager.startswith(begins)), OTHER).format(field=field)
    if owner:
        return f"{manager} owns spec.{field} and will put back what is in Git: change it there, or {way}"
    return f"{manager} manages this object and may revert spec.{field}: write it in Git, or {way}"
