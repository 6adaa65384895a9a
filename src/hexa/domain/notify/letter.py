"""Tellings in the words of a receiver: one by one, or gathered in a summary."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from hexa.domain.notify.events import LEVELS, PRIORITIES, Event, Level, State, Telling
from hexa.domain.notify.receiver import Receiver
from hexa.domain.notify.template import fill

LINES: Final = 20
"""Of a summary; what comes beyond is counted."""


class Letter(Struct, frozen=True, kw_only=True):
    """What is sent."""

    id: str
    subject: str
    body: str
    content_type: str


def single(telling: Telling, receiver: Receiver, *, number: str, lost: int = 0) -> Letter:
    """One thing. `lost`: messages before it that could not be sent."""
    trouble = telling.trouble
    title = _titled(telling)
    time = receiver.quiet.told(telling.at)
    lines = [title, *([trouble.why] if trouble.why else []), time, *_lost(lost)]
    values = {
        "title": f"hexa: {title}",
        "text": "\n".join(lines),
        "what": str(trouble.event),
        "why": "; ".join([*([trouble.why] if trouble.why else []), *_lost(lost)]),
        "state": str(telling.state),
        "severity": str(trouble.level),
        "priority": str(PRIORITIES[trouble.level if telling.state is not State.OVER else Level.INFO]),
        "machine": trouble.of.name if trouble.of is not None and trouble.machine else "",
        "group": trouble.group,
        "namespace": trouble.of.namespace if trouble.of is not None else "",
        "time": time,
        "id": number,
    }
    return _letter(receiver, values)


def summary(
    tellings: Sequence[Telling],
    receiver: Receiver,
    *,
    number: str,
    now: datetime,
    why: str,
    left_out: int = 0,
    lost: int = 0,
) -> Letter:
    """Several things in one. `why` they were gathered; `left_out`: so many more were not even kept."""
    found = _gathered(tellings)
    level = max((each.trouble.level for each, _ in found), key=LEVELS.index, default=Level.INFO)
    lines = [_line(each, note, receiver) for each, note in found[:LINES]]
    more = len(found) - len(lines) + left_out
    lines += [f"and {more} more, which are left out: hexa get -A"] if more else []
    lines += _lost(lost)
    title = f"hexa: {len(found) + left_out} things {why}"
    values = {
        "title": title,
        "text": "\n".join([title, *lines]),
        "what": "Summary",
        "why": "\n".join(lines),
        "state": "summary",
        "severity": str(level),
        "priority": str(PRIORITIES[level]),
        "machine": "",
        "group": "",
        "namespace": "",
        "time": receiver.quiet.told(now),
        "id": number,
    }
    return _letter(receiver, values)


def trial(receiver: Receiver, *, number: str, now: datetime) -> Letter:
    """What `hexa notify test` sends."""
    title, why = "hexa: a test", "if you can read this, hexa can tell you when something needs a hand"
    values = {
        "title": title,
        "text": f"{title}\n{why}",
        "what": "Test",
        "why": why,
        "state": "test",
        "severity": str(Level.INFO),
        "priority": str(PRIORITIES[Level.INFO]),
        "machine": "",
        "group": "",
        "namespace": "",
        "time": receiver.quiet.told(now),
        "id": number,
    }
    return _letter(receiver, values)


def _letter(receiver: Receiver, values: dict[str, str]) -> Letter:
    body = fill(receiver.body, values, content_type=receiver.content_type)
    subject = " ".join(fill(receiver.subject, values).split())[:200]
    return Letter(id=values["id"], subject=subject, body=body, content_type=receiver.content_type)


def _titled(telling: Telling) -> str:
    return f"over: {telling.trouble.title}" if telling.state is State.OVER else telling.trouble.title


def _lost(lost: int) -> list[str]:
    messages = "1 message" if lost == 1 else f"{lost} messages"
    return [f"{messages} before this one could not be sent"] if lost else []


def _gathered(tellings: Iterable[Telling]) -> list[tuple[Telling, str]]:
    """The last word of each cause, with a note where there were more; what is most urgent first."""
    found: dict[tuple[Event, str, str], list[Telling]] = {}
    for each in tellings:
        found.setdefault((each.trouble.event, *each.trouble.place), []).append(each)
    noted = [(many[-1], _note(many)) for many in found.values()]
    return sorted(
        noted, key=lambda pair: (-LEVELS.index(pair[0].trouble.level), pair[0].state is State.OVER, pair[0].at)
    )


def _note(many: Sequence[Telling]) -> str:
    last = many[-1]
    if last.state is State.HAPPENED:
        return f" ({len(many)} times)" if len(many) > 1 else ""
    if last.state is State.OVER and any(each.state is State.BEGAN for each in many):
        return " (began and ended meanwhile)"
    return ""


def _line(telling: Telling, note: str, receiver: Receiver) -> str:
    trouble = telling.trouble
    why = f": {trouble.why}" if trouble.why and telling.state is not State.OVER else ""
    return f"{receiver.quiet.told(telling.at)} {_titled(telling)}{note}{why}"
