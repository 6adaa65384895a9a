"""What a machine was when hexa last acted on it: kept in its status, so that a change is noticed after a restart too."""

from typing import Annotated

from msgspec import Meta, field

from hexa.domain.resources.core import Slice


class Identity(Slice, frozen=True, kw_only=True):
    """Who the status speaks of."""

    kubernetes_node: Annotated[
        str,
        Meta(description="Kubernetes node that counts; one that spec names anew waits until this one is out of use."),
    ] = ""
    kubernetes_node_uid: Annotated[
        str, Meta(description="metadata.uid of that node when it was last given back its labels.")
    ] = field(name="kubernetesNodeUID", default="")
    uid: Annotated[str, Meta(description="metadata.uid of the Node resource.")] = ""
    group: Annotated[str, Meta(description="Group that the label named.")] = ""
    power: Annotated[
        str,
        Meta(description="Digest of the addresses and commands that switch and read the power; no secret is in it."),
    ] = ""
