"""What a machine that is only observed could have saved: its time on, booked under what kept it on, or would have.

A stretch counts only where somebody looked at its begin and at its end, and one in which a machine began or ceased to be free to
rest counts under what kept it on. So the figures are rather too low: what was not seen is in none of them.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

from msgspec import structs

from hexa.domain.money.rates import Rates
from hexa.domain.resources.receipt import GroupReceipt, KeptOn, Receipt, Saving

COULD_REST: Final = "CouldRest"
PODS: Final = "Pods"
UNNEEDED: Final = "Unneeded"
"""Idle, and not for as long as it takes until a machine is given back and has booted again."""
MIN_SIZE: Final = "MinSize"
LOOK: Final = timedelta(minutes=5)
"""Between looks at the pods of a machine."""
BOOKED: Final = timedelta(hours=1)
"""A stretch is stored at the latest after so long."""
_WATT_SECONDS: Final = 3_600_000.0
"""In a kilowatt-hour."""


def booked(
    receipt: Receipt, cause: str, *, now: datetime, last: datetime | None, rates: Callable[[], Rates]
) -> Receipt:
    """The receipt with what the look at this moment shows. `last`: the look before it; `rates`: of the stretch since
    `counted_to`, asked where they are needed."""
    since = receipt.counted_to
    if since is None or last is None or not since <= last <= now or now - last > 2 * LOOK:  # nobody looked meanwhile
        return _turned(structs.replace(receipt, counted_to=now), cause, rates)
    same = cause == receipt.cause
    if same and now - since < BOOKED:
        return receipt
    end = now if same or (cause and receipt.cause != COULD_REST) else last
    saving = _with(receipt.saving, receipt.cause, (end - since).total_seconds(), rates)
    return _turned(structs.replace(receipt, saving=saving, counted_to=end), cause, rates)


def _turned(receipt: Receipt, cause: str, rates: Callable[[], Rates]) -> Receipt:
    """With this cause from now on. Where the machine would be switched off now, the boot that brings it back is paid."""
    if cause != COULD_REST or receipt.cause == COULD_REST:
        return structs.replace(receipt, cause=cause)
    kwh, old = rates().boot_watt_hours / 1000, receipt.saving
    saving = structs.replace(
        old, offs=old.offs + 1, kwh=round(old.kwh - kwh, 6), money=round(old.money - kwh * rates().per_kwh, 6)
    )
    return structs.replace(receipt, cause=cause, saving=saving)


def _with(saving: Saving, cause: str, seconds: float, rates: Callable[[], Rates]) -> Saving:
    if not cause or seconds <= 0:
        return saving
    if cause != COULD_REST:
        return structs.replace(saving, kept=_kept((*saving.kept, KeptOn(reason=cause, seconds=seconds))))
    found = rates()
    kwh = (found.idle_watts - found.off_watts) * seconds / _WATT_SECONDS
    return structs.replace(
        saving,
        off_seconds=round(saving.off_seconds + seconds, 3),
        kwh=round(saving.kwh + kwh, 6),
        money=round(saving.money + kwh * found.per_kwh, 6),
    )


def _kept(parts: Iterable[KeptOn]) -> tuple[KeptOn, ...]:
    """Each reason once, the longest first."""
    seconds: dict[str, float] = {}
    for part in parts:
        seconds[part.reason] = round(seconds.get(part.reason, 0.0) + part.seconds, 3)
    found = (KeptOn(reason=reason, seconds=total) for reason, total in seconds.items())
    return tuple(sorted(found, key=lambda part: (-part.seconds, part.reason)))


def group_receipt(receipts: Iterable[Receipt], *, currency: str) -> GroupReceipt | None:
    """What the receipts of a group's machines amount to; None: there are none. `currency`: where none of them says it."""
    found = list(receipts)
    if not found:
        return None
    savings = [each.saving for each in found]
    ends = [each.until for each in found if each.until is not None]
    total = Saving(
        off_seconds=round(sum(each.off_seconds for each in savings), 3),
        offs=sum(each.offs for each in savings),
        kwh=round(sum(each.kwh for each in savings), 6),
        money=round(sum(each.money for each in savings), 6),
        currency=next((each.currency for each in savings if each.currency), currency),
        kept=_kept(part for each in savings for part in each.kept),
    )
    since, until = min(each.since for each in found), max(ends) if len(ends) == len(found) else None
    return GroupReceipt(machines=len(found), since=since, until=until, saving=total)
