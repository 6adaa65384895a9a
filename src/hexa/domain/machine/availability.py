"""How often a machine is there: time up and down in two windows, and the last wakes. Counted when the phase changes, so that no
clock writes anything; whoever reads adds the time since then."""

from datetime import datetime, timedelta
from typing import Final, Literal

from msgspec import structs

from hexa.domain.resources.health import Availability, Span

WINDOW: Final = timedelta(days=30)
"""A window is closed after so long, and the one before it is forgotten: what is told speaks of one to two of them."""
WAKES_KEPT: Final = 20

Side = Literal["up", "down", ""]
"""Of the time in a phase: the machine was there, or should have been and was not, or was not meant to be."""


def counted(account: Availability, side: Side, *, now: datetime) -> Availability:
    """The account complete up to `now`: the time since it was last is `side`."""
    before, recent = account.before, account.recent
    if recent.since is None:
        recent = structs.replace(recent, since=account.counted_to or now)
    if side and account.counted_to is not None:
        field = f"{side}_seconds"
        seconds = max(0.0, (now - account.counted_to).total_seconds())
        recent = structs.replace(recent, **{field: round(getattr(recent, field) + seconds, 3)})
    if recent.since is not None and now - recent.since >= WINDOW:
        before, recent = recent, Span(since=now)
    counted_to = now if account.counted_to is None else max(now, account.counted_to)
    return told(structs.replace(account, before=before, recent=recent, counted_to=counted_to))


def woken(account: Availability, *, worked: bool) -> Availability:
    """One more wake, whose end is known now."""
    return told(structs.replace(account, recent_wakes=(*account.recent_wakes, worked)[-WAKES_KEPT:]))


def told(account: Availability) -> Availability:
    """With its figures in words."""
    share, wakes = uptime(account), account.recent_wakes
    return structs.replace(
        account,
        uptime="" if share is None else percent(share),
        wakes=f"{sum(wakes)}/{len(wakes)}" if wakes else "",
    )


def uptime(account: Availability) -> float | None:
    """The share of time up; None: it was never up or down."""
    up = account.recent.up_seconds + account.before.up_seconds
    down = account.recent.down_seconds + account.before.down_seconds
    return up / (up + down) if up + down > 0 else None


def percent(share: float) -> str:
    """Cut, not rounded: 100% is said of nothing that was ever down."""
    return "100%" if share >= 1 else f"{int(share * 1000) / 10:.1f}%"


def counts_since(account: Availability) -> datetime | None:
    """Since when the account counts."""
    return account.before.since or account.recent.since
