"""`status.firstWake` of a Node: what is remembered of the wake that began a boot.

What it means is decided in `hexa.domain.machine.boot`; this module only knows shapes.
"""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from hexa.domain.resources.core import Slice


class FirstWake(Slice, frozen=True, kw_only=True):
    """The first wake of a boot, and what spoke for the machine's kubelet then."""

    at: Annotated[datetime | None, Meta(description="When it was sent.")] = None
    lease: Annotated[
        str,
        Meta(description="What the kubelet's Lease said as its renewTime; none: there was no Lease; empty: not known."),
    ] = ""
    node: Annotated[str, Meta(description="uid of the Kubernetes node; none: there was none; empty: not known.")] = ""
