"""What stands at a machine or a group, by its status; and what happened, by the news."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from hexa.domain.machine.lifecycle import Phase, phase_of
from hexa.domain.machine.reason import Reason
from hexa.domain.machine_view import membership_of
from hexa.domain.news import About, News, What
from hexa.domain.notify.events import Event, Trouble
from hexa.domain.resources.bounds import bounded_time
from hexa.domain.resources.core import Condition
from hexa.domain.resources.v1alpha1 import Group, Lookup, Node, NodeStatus
from hexa.domain.rules.battery import State as Battery
from hexa.domain.rules.health import CONTRADICTION, HEALTH_CHECK, POWER_KNOWN
from hexa.domain.rules.power_cycle import STOPPED

SHOWN: Final = 500
"""Characters of a reason: an object may say anything."""
CERTIFICATE: Final = timedelta(days=14), timedelta(days=3)
"""So long before its end a certificate is told, and told again."""

Say = Callable[..., Trouble]

_OF_MACHINE: Final = {
    ("Blocked", "DrainBlocked"): ("drain", Event.DRAIN_BLOCKED),
    ("Blocked", "LostWithPods"): ("lost", Event.MACHINE_LOST),
    ("Blocked", "Hung"): ("lost", Event.MACHINE_LOST),
    (POWER_KNOWN, "NotRead"): ("power", Event.POWER_UNAVAILABLE),
    (POWER_KNOWN, CONTRADICTION): ("power", Event.POWER_UNAVAILABLE),
    ("PowerJobFailed", ""): ("job", Event.POWER_UNAVAILABLE),
    (HEALTH_CHECK, "Failed"): ("check", Event.HEALTH_CHECK_FAILED),
    ("Invalid", ""): ("object", Event.OBJECT_INVALID),
}
"""Conditions of machines, by type and reason (empty: any). For other reasons of Blocked hexa waits, and says so."""


def relevant(old: Node | None, new: Node | None) -> bool:
    """Whether what stands at the machine may have changed."""
    if old is None or new is None:
        return True
    one, other = old.status, new.status
    if one is other:
        return False
    return (one.phase, one.failures, one.conditions) != (other.phase, other.failures, other.conditions)


# --- machines ---------------------------------------------------------------------------------------


def of_machine(node: Node) -> Iterator[Trouble]:
    """What stands at the machine."""
    metadata, group = node.metadata, membership_of(node)
    of = Lookup(metadata.namespace, metadata.name)
    say: Say = partial(Trouble, of=of, group=group.name if group is not None else "", machine=True)
    yield from _of_phase(node.status, say)
    for condition in node.status.conditions:
        yield from _of_condition(condition, say)


def _of_phase(status: NodeStatus, say: Say) -> Iterator[Trouble]:
    phase = phase_of(status)
    if phase is Phase.STOP_FAILED:
        yield say(event=Event.MACHINE_DOES_NOT_STOP, slot="stop", why=_failure(status), since=status.since)
    elif phase is Phase.LOST:
        yield say(event=Event.MACHINE_LOST, slot="lost", why=_failure(status), since=status.since)
    elif _does_not_wake(status, phase):
        event = Event.MACHINE_DOES_NOT_WAKE if status.failures < 2 else Event.QUARANTINED
        since = status.since if phase is Phase.START_FAILED else status.wake_failed_at
        yield say(event=event, slot="wake", why=_failure(status), since=since)


def _does_not_wake(status: NodeStatus, phase: Phase) -> bool:
    """It failed to start, and was not Ready since: it is tried again meanwhile."""
    if phase is Phase.START_FAILED:
        return True
    tried = phase in (Phase.UNKNOWN, Phase.OFF, Phase.POWERING_ON, Phase.BOOTING)  # Unknown: it is looked at again
    return tried and status.failures > 0 and status.wake_failed_at is not None


def _failure(status: NodeStatus) -> str:
    failed = next((each.message for each in status.conditions if each.type == "Failed"), "")
    return failed[:SHOWN] or f"{status.failures} failures in a row"


def _of_condition(condition: Condition, say: Say) -> Iterator[Trouble]:
    found = _OF_MACHINE.get((condition.type, condition.reason)) or _OF_MACHINE.get((condition.type, ""))
    if found is not None:
        slot, event = found
        yield say(event=event, slot=slot, why=condition.message[:SHOWN], since=condition.last_transition_time)


# --- groups -----------------------------------------------------------------------------------------

_OF_GROUP: Final[Mapping[str, tuple[str, Event]]] = {
    "Invalid": ("object", Event.OBJECT_INVALID),
    STOPPED: ("remediation", Event.REMEDIATION_STOPPED),
}
_OF_SITE: Final[Mapping[str, tuple[str, Event]]] = {
    Reason.SAFE_HANDS: ("safe-hands", Event.SAFE_HANDS),
    Battery.NOT_HEARD: ("ups-heard", Event.UPS_NOT_HEARD),
    Reason.ON_BATTERY: ("ups", Event.ON_BATTERY),
}
"""Conditions of Groups that tell of the whole site: each group has them, and they are told once."""
_LOW: Final = frozenset({Battery.ORDERED_OFF, Battery.CHARGING})


def of_group(group: Group, *, minimum: int = 0, coming: int = 0) -> Iterator[Trouble]:
    """What stands at the group. `minimum`: machines that it is to have Ready at least; 0: nobody asks. `coming`: on their way."""
    metadata, status = group.metadata, group.status
    of = Lookup(metadata.namespace, metadata.name)
    own: Say = partial(Trouble, of=of, group=of.name)
    if status.ready + coming < minimum:
        why = f"{status.ready} of {status.size} machines are Ready, {coming} on their way, and minSize is {minimum}"
        yield own(event=Event.GROUP_SHORT, slot="short", why=why)
    for condition in status.conditions:
        if condition.status == "True":
            yield from _of_group_condition(condition, own, group.spec.cost.tariff)


def _of_group_condition(condition: Condition, own: Say, tariff: str) -> Iterator[Trouble]:
    stands: Mapping[str, Any] = {"why": condition.message[:SHOWN], "since": condition.last_transition_time}
    site: Say = partial(Trouble, of=None, **stands)
    if condition.type in _OF_GROUP:
        slot, event = _OF_GROUP[condition.type]
        yield own(event=event, slot=slot, **stands)
    elif condition.type in _OF_SITE:
        slot, event = _OF_SITE[condition.type]
        low = event is Event.ON_BATTERY and condition.reason in _LOW
        yield site(event=Event.BATTERY_LOW if low else event, slot=slot)
    elif condition.type == "PricesEnd":
        yield site(event=Event.PRICES_END, slot=f"prices {tariff}")


# --- certificates -----------------------------------------------------------------------------------


def of_certificate(name: str, ends: datetime, *, now: datetime, born: datetime) -> Iterator[Trouble]:
    """Whether the certificate ends soon. `born`: when this life of the agent began; whether the life before had the certificate,
    nobody knows."""
    ends = bounded_time(ends)
    reached = [(number, ends - before) for number, before in enumerate(CERTIFICATE) if ends - now <= before]
    for number, since in reached:
        word = "ended" if ends <= now else "ends"
        why = f"the certificate of {name} {word} at {ends.isoformat(timespec='seconds')}: renew it (docs/tls.md)"
        yield Trouble(
            event=Event.CERTIFICATE_ENDS,
            slot=f"certificate {name} {number}",
            of=None,
            why=why,
            since=since if since >= born else None,
        )


def certificate_looks(ends: datetime, *, now: datetime) -> datetime | None:
    """When that changes next."""
    ends = bounded_time(ends)
    return min((ends - before for before in CERTIFICATE if ends - now > before), default=None)


# --- Cluster Autoscaler -----------------------------------------------------------------------------

SILENT: Final = timedelta(minutes=5)
"""It calls in each of its loops, every few seconds."""


def of_autoscaler(ago: timedelta | None) -> Iterator[Trouble]:
    """Whether it has fallen silent; `ago`: its last call. None: it never called, and there may be none."""
    if ago is not None and ago > SILENT:
        why = "it has not called for five minutes, and wakes no machine: look at its pod and its log"
        yield Trouble(event=Event.AUTOSCALER_SILENT, slot="autoscaler", of=None, why=why)


def autoscaler_looks(ago: timedelta | None) -> timedelta:
    """After which time that may have changed."""
    if ago is None:
        return SILENT
    return SILENT - ago + timedelta(seconds=1) if ago <= SILENT else timedelta(minutes=1)


# --- news -------------------------------------------------------------------------------------------

MOMENTS: Final[Mapping[str, Event]] = {
    What.FOUND_OFF: Event.FOUND_OFF,
    What.FOUND_ON: Event.FOUND_ON,
    What.CORRECTED: Event.FOUND_ON,
    What.POWER_CYCLE: Event.POWER_CYCLED,
    What.DOES_NOT_DECODE: Event.OBJECT_INVALID,
    What.READY: Event.MACHINE_ON,
    What.OFF: Event.MACHINE_OFF,
}
"""News that are told as moments."""
_OF_A_CHANGE: Final = frozenset({What.READY, What.OFF})


def of_news(news: News, *, group: str = "") -> Trouble | None:
    """What the news is to people; None: nothing. `group`: the machine's."""
    event = MOMENTS.get(news.what)
    if event is None or not news.of.name:
        return None
    if news.what in _OF_A_CHANGE and (news.change is None or news.change.was == news.change.phase):
        return None
    machine = news.about is About.NODE
    group = news.of.name if news.about is About.GROUP else group
    return Trouble(event=event, slot=f"moment {event}", of=news.of, why=news.why[:SHOWN], group=group, machine=machine)
