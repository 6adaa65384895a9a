"""What a group that only observes could have saved, and what would have kept its machines on. Shapes only."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from hexa.domain.resources.core import Slice


class KeptOn(Slice, frozen=True, kw_only=True):
    reason: Annotated[
        str,
        Meta(description="Pods, Unneeded (idle for too short a time yet), MinSize, or the rule that forbids the off."),
    ]
    seconds: Annotated[float, Meta(description="How long, in seconds.")] = 0.0


class Saving(Slice, frozen=True, kw_only=True):
    """Time that could have been spent off, and what it is worth."""

    off_seconds: Annotated[float, Meta(description="Seconds in which the machine was on and could have been off.")] = (
        0.0
    )
    offs: Annotated[int, Meta(description="How often it would have been switched off.")] = 0
    kwh: Annotated[
        float, Meta(description="Energy that would have been saved by spec.energy, a boot for each off taken away.")
    ] = 0.0
    money: Annotated[float, Meta(description="The same at the group's price of energy.")] = 0.0
    currency: Annotated[str, Meta(description="Of money.")] = ""
    kept: Annotated[
        tuple[KeptOn, ...], Meta(description="What kept the machine on, or would have, for the rest of its time on.")
    ] = ()


class Receipt(Slice, frozen=True, kw_only=True):
    """Of one machine, while its group observes."""

    since: Annotated[datetime, Meta(description="Since when its group observes.")]
    until: Annotated[datetime | None, Meta(description="When that ended; absent: it goes on.")] = None
    cause: Annotated[
        str,
        Meta(description="What keeps it on now; CouldRest: nothing does. Empty: it is not on, or nobody looked yet."),
    ] = ""
    idle_since: Annotated[
        datetime | None, Meta(description="Since when no pods are on it that would have to move.")
    ] = None
    counted_to: Annotated[datetime | None, Meta(description="The receipt is complete up to here.")] = None
    saving: Annotated[Saving, Meta(description="What it amounts to.")] = Saving()


class GroupReceipt(Slice, frozen=True, kw_only=True):
    """Of all machines of a group that observes, or that did."""

    machines: Annotated[int, Meta(description="So many have a receipt.")] = 0
    since: Annotated[datetime | None, Meta(description="When the first of them began.")] = None
    until: Annotated[datetime | None, Meta(description="When the last of them ended; absent: one goes on.")] = None
    saving: Annotated[Saving, Meta(description="What they amount to.")] = Saving()
