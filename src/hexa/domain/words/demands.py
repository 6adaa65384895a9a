"""Who wants what of a machine."""

from datetime import datetime

from msgspec import Struct, structs

from hexa.domain.machine.reason import Reason as Why
from hexa.domain.machine.wish import effective_wish, held, recorded_wish, sets_wish, standing_wish
from hexa.domain.resources.v1alpha1 import Asker, Power, WishRecord
from hexa.domain.words.known import Known


class Demand(Struct, frozen=True, kw_only=True, rename="camel"):
    """Somebody's word over a machine."""

    power: Power
    by: Asker
    object: str
    """What it stands in."""
    reason: str = ""
    since: datetime | None = None
    until: datetime | None = None


def demands(known: Known) -> list[Demand]:
    """Who wants what of the machine, the one that decides first; empty: nobody ever asked, it stays as found."""
    node, now = known.node, known.now
    decides, beneath = effective_wish(node, known.policy, now=now), standing_wish(node, known.policy, now=now)
    found = [] if decides is None else [_demand(known, decides)]
    if decides is not None and beneath is not None and decides.by is not beneath.by:
        found.append(_demand(known, beneath))
    return found


def _demand(known: Known, wish: WishRecord) -> Demand:
    hold = held(known.node, known.policy, now=known.now) if wish.by is Asker.HOLD else None
    recorded, setter = recorded_wish(known.node), sets_wish(wish, known.policy)
    if setter is not None:
        place, reason = f"Group {known.group} {setter.field}", f"{wish.reason}{setter}"
        since = _since_of(known, wish)
        return Demand(power=wish.power, by=wish.by, object=place, reason=reason, since=since, until=setter.end)
    stored = recorded is not None and structs.replace(wish, by=recorded.by) == recorded
    field = "wish (annotation)" if stored else "spec.powerState"
    place = f"Group {known.group} spec.mode" if wish.reason == Why.MODE else f"Node {known.key} {field}"
    if wish.by is Asker.UPS:
        place = f"Group {known.group} condition {Why.ON_BATTERY}"
    return Demand(
        power=wish.power,
        by=wish.by,
        object=hold_place(known) if hold is not None else place,
        reason=hold.reason if hold is not None else wish.reason,
        since=_since_of(known, wish),
        until=hold.until if hold is not None else wish.until,
    )


def _since_of(known: Known, wish: WishRecord) -> datetime | None:
    """A wish that the agent has not taken in yet begins now: of that nothing is known."""
    return None if wish.since == known.now else wish.since


def hold_place(known: Known) -> str:
    """The field that the hold in force stands in."""
    own = known.node.spec.hold
    stands = own is not None and (own.until is None or own.until > known.now)
    return f"Node {known.key} spec.hold" if stands else f"Group {known.group} spec.hold"
