"""Schedules: weekly windows in which values of a group are others, and what counts at an instant.

Where several hold at once, the later in the list wins, field by field. One that makes no sense only ever keeps machines on: it
lowers nothing. It knows no machine; how long boots take is an argument.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from math import ceil
from typing import Any, Final

from msgspec import Struct, structs

from hexa.domain.policy.problem import Problem
from hexa.domain.policy.spares import Spares, more_spares, spares_of
from hexa.domain.policy.values import Reader
from hexa.domain.resources.group_values import DATE_PATTERN, Mode
from hexa.domain.resources.group_values import (
    Schedule as Written,
)
from hexa.domain.weekly import Span, Window, spans, window_of, zone_of

AHEAD: Final = timedelta(days=22)
"""Windows are looked for so far ahead: a weekly one begins again within it, two weeks of holidays left out."""
BEHIND: Final = timedelta(days=2)
"""What holds now has begun within it."""
INVALID: Final = "ScheduleInvalid"
MARGIN: Final = timedelta(seconds=30)
"""For what comes before the first wake of a boot, and between Ready and the first pod."""
UNLEARNED: Final = timedelta(minutes=5)
"""For boots of which nothing is known."""
LONGEST_BOOT: Final = 3600.0
"""Seconds beyond which nobody wakes in advance."""
LONGEST_ROW: Final = timedelta(hours=6)
"""The same for machines that are woken one after the other."""


class Values(Struct, frozen=True, kw_only=True):
    """What schedules may set."""

    min_size: int = 0
    max_size: int | None = None
    mode: Mode = Mode.AUTO
    spares: Spares | None = None


SIZES: Final = {"min_size": "minSize", "max_size": "maxSize"}
FIELDS: Final = {**SIZES, "mode": "mode", "spares": "spares"}
_RAISED: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "min_size": max,
    "max_size": lambda was, most: None if was is None else max(was, most),
    "mode": lambda was, mode: mode if mode is Mode.ALWAYS_ON else was,
    "spares": more_spares,
}
"""What becomes of a value by a schedule that may only keep machines on."""
_EARLY: Final[Mapping[str, Callable[[Values, Values], bool]]] = {
    "min_size": lambda now, soon: soon.min_size > now.min_size,
    "mode": lambda now, soon: _brings(now.mode, soon.mode, soon.min_size),
    "spares": lambda now, soon: more_spares(now.spares, soon.spares) != now.spares,
}
"""Whether a value of a coming window wants machines on that are not wanted now."""


def _brings(now: Mode, soon: Mode, least: int) -> bool:
    if soon is Mode.ALWAYS_ON:
        return now is not soon
    return now is Mode.ALWAYS_OFF and soon is Mode.AUTO and least > 0


class Schedule(Struct, frozen=True):
    """A window, and what it sets."""

    field: str
    """Such as spec.schedules[0]."""
    window: Window
    zone: str
    """IANA name of a zone that is known."""
    sets: tuple[tuple[str, Any], ...]
    """Names of `Values`, and what they are."""
    but: tuple[date, ...] = ()
    reason: str = ""
    doubtful: bool = False
    """Something of it cannot be read: it lowers nothing."""

    @property
    def name(self) -> str:
        """What people call it."""
        return f'schedule "{self.reason}"' if self.reason else self.field


class Setter(Struct, frozen=True):
    """Who sets a value, for people."""

    name: str
    """Empty: the spec itself, once a schedule is over."""
    field: str
    zone: str
    begin: datetime
    end: datetime | None
    """None: not within sight."""
    early: bool = False
    """It has not begun: machines are woken in advance."""

    def __str__(self) -> str:
        by = f" by {self.name}" if self.name else ""
        if self.early:
            return f"{by} from {wall(self.begin, self.zone)} on"
        return f"{by} until {wall(self.end, self.zone)}" if self.end is not None else by


class Change(Struct, frozen=True):
    """When values change next, and what is told of it."""

    at: datetime
    what: str
    zone: str
    """By whose clock the window is written."""

    def __str__(self) -> str:
        return f"{wall(self.at, self.zone)}: {self.what}"


class Instant(Struct, frozen=True):
    """What counts now."""

    values: Values
    by: dict[str, Setter]
    """Of the values that the spec itself does not set, who does."""
    until: datetime
    """When that may be otherwise by time alone."""
    change: Change | None
    """When windows make values others; machines may be woken before."""


def wall(moment: datetime, zone: str) -> str:
    """A moment by the clock of the zone."""
    return f"{moment.astimezone(zone_of(zone)):%a %H:%M} ({zone})"


# --- as they are written ----------------------------------------------------------------------------


def read_schedules(written: Sequence[Written]) -> tuple[tuple[Schedule, ...], tuple[Problem, ...]]:
    """Those that set something, and what is wrong with any."""
    problems: list[Problem] = []
    found = [_read(f"spec.schedules[{n}]", each, problems) for n, each in enumerate(written)]
    return tuple(each for each in found if each.sets), tuple(problems)


def _read(field: str, written: Written, problems: list[Problem]) -> Schedule:
    """One whose window can't be read holds at all times; of all that is doubtful only what keeps machines on counts."""
    reader, given = Reader(), [name for name in FIELDS if getattr(written, name) is not None]
    spares = spares_of(reader, f"{field}.spares", written.spares)
    sets = tuple((name, spares if name == "spares" else getattr(written, name)) for name in given)
    if not sets:
        problems.append(_wrong(field, "sets nothing", f"write one of {', '.join(FIELDS.values())} in it, or remove it"))
    before, but, window, zone = len(problems), list[date](), Window(), "UTC"
    for n, each in enumerate(written.but):
        try:
            but.append(date.fromisoformat(each if re.fullmatch(DATE_PATTERN, each) else ""))
        except ValueError:
            problems.append(_doubtful(f"{field}.except[{n}]", f"{each!r} is no date: write YYYY-MM-DD"))
    problems += [_doubtful(each.field, f"{each.text}: {each.remedy}") for each in reader.problems]
    try:
        zone_of(written.zone)
        window, zone = window_of(written.days, written.start, written.end), written.zone
    except ValueError as error:
        problems.append(_doubtful(field, str(error)))
    doubtful = bool(sets) and len(problems) > before
    return Schedule(field, window, zone, sets, tuple(but), written.reason, doubtful)


def _doubtful(field: str, text: str) -> Problem:
    return _wrong(field, text, "until then the schedule lowers nothing: only what keeps machines on counts")


def _wrong(field: str, text: str, remedy: str, reason: str = INVALID) -> Problem:
    return Problem(field, text, remedy, severity="warning", reason=reason)


_WEEKS: Final = (date(2026, 1, 12), date(2026, 7, 13))
"""Begin of two weeks in which no clock is changed, in winter and in summer."""


def clashes(base: Values, schedules: Sequence[Schedule]) -> Iterator[Problem]:
    """Windows that together leave minSize above maxSize: each pair of fields once, with a time at which it is so."""
    told: set[tuple[str, str]] = set()
    for week in _WEEKS if schedules else ():
        plan = [structs.replace(each, but=()) for each in schedules if not each.doubtful]
        at = datetime.combine(week, time(), tzinfo=UTC)
        calendar = _calendar(plan, week)
        for moment in (at, *_edges(calendar, at, at + timedelta(days=8))):
            values, by = _settled(base, calendar, moment)
            if values.max_size is None or values.min_size <= values.max_size or by.keys().isdisjoint(SIZES):
                continue
            least, most = (by[name].field if name in by else f"spec.{said}" for name, said in SIZES.items())
            if (least, most) in told:
                continue
            told.add((least, most))
            setter = by.get("max_size") or by["min_size"]
            text = (
                f"is {values.max_size}, and {least} is {values.min_size} at the same time, {wall(moment, setter.zone)}"
            )
            remedy = f"write both in one schedule; until then {values.min_size} may be on"
            yield _wrong(most, text, remedy, "MinAboveMax")


# --- what counts ------------------------------------------------------------------------------------


def lead_of(boots: Iterable[Sequence[float]]) -> timedelta:
    """How long before a window machines are woken: by the 95th percentile of their recent boots (in seconds, of each machine)."""
    learned = sorted(seconds for each in boots for seconds in each)
    if not learned:
        return UNLEARNED
    slow = learned[ceil(len(learned) * 0.95) - 1]
    return MARGIN + timedelta(seconds=1.2 * max(0.0, min(slow, LONGEST_BOOT)))


Row = Callable[[int], timedelta]
"""From the first wake to the last of so many machines."""


def instant(
    base: Values,
    schedules: Sequence[Schedule],
    *,
    now: datetime,
    lead: timedelta,
    row: Row = lambda _: timedelta(0),
    left_on: timedelta = timedelta(0),
) -> Instant:
    """What counts now of the spec's own values and its schedules. What wants machines on counts before, by `lead` and what passes
    until all that are missing may be woken, and makes room for itself. `left_on`: so long before, nothing that holds by then
    switches off what it will want: a boot that was faster than `lead` when the machine was woken has made that shorter."""
    calendar = _calendar(schedules, now.date())
    settled, by = _settled(base, calendar, now)
    values = settled
    edges, least = _edges(calendar, now, now + AHEAD), values.min_size
    change, turns = _next_change(base, calendar, now, edges), edges[:1]
    near = (edges[0] if edges else now) + max(lead, left_on) + LONGEST_ROW  # what is woken for later comes after that
    for edge in edges[: bisect_right(edges, near)]:
        soon, setters = _settled(base, calendar, edge)
        begin = edge - lead - min(row(max(soon.min_size - least, 0)), LONGEST_ROW)
        turns += [each for each in (edge - left_on, begin) if now < each < edge]
        for name in [name for name, early in _EARLY.items() if early(values, soon)]:
            coming = setters.get(name) or Setter("", f"spec.{FIELDS[name]}", schedules[0].zone, edge, None)
            coming = structs.replace(coming, begin=edge, early=True)
            if begin <= now:
                values = structs.replace(values, **{name: getattr(soon, name)}, **_room(name, values, soon))
                by = {**by, name: coming}
            elif edge - left_on <= now:
                then = _settled(base, calendar, edge - left_on)[0]  # what began since then is meant for these minutes
                room = _LEFT_ON[name](values, soon)
                room = {key: to for key, to in room.items() if getattr(then, key) == getattr(settled, key)}
                values, by = structs.replace(values, **room), by | dict.fromkeys(room, coming)
    if values.max_size is not None and values.max_size < values.min_size:  # more stays on, whichever of them is wrong
        values = structs.replace(values, max_size=values.min_size)
    return Instant(values, by, min(turns, default=now + AHEAD), change)


def _room(name: str, now: Values, soon: Values) -> dict[str, int | None]:
    """Spares are within maxSize: that of the window, if it is the greater."""
    if name != "spares" or now.max_size is None:
        return {}
    return {"max_size": None if soon.max_size is None else max(now.max_size, soon.max_size)}


_LEFT_ON: Final[Mapping[str, Callable[[Values, Values], dict[str, Any]]]] = {
    "min_size": lambda now, soon: {} if now.max_size is None else {"max_size": max(now.max_size, soon.min_size)},
    "mode": lambda now, soon: {"mode": Mode.AUTO} if now.mode is Mode.ALWAYS_OFF else {},
    "spares": lambda now, soon: _room("spares", now, soon),
}
"""What makes way before a coming value counts, so that it finds on what was woken for it."""


Calendar = Sequence[tuple[Schedule, Sequence[Span]]]


def _calendar(schedules: Iterable[Schedule], day: date) -> Calendar:
    return [(each, _spans(each, day)) for each in schedules]


@lru_cache(maxsize=256)
def _spans(schedule: Schedule, day: date) -> tuple[Span, ...]:
    """When it holds around the day, what meets put together; reckoned once a day."""
    midnight, merged = datetime.combine(day, time(), tzinfo=UTC), list[Span]()
    if schedule.doubtful and schedule.window == Window():
        return ((midnight - BEHIND, midnight + 2 * AHEAD),)
    end = midnight + AHEAD + BEHIND
    for span in spans(schedule.window, zone_of(schedule.zone), start=midnight - BEHIND, end=end, but=schedule.but):
        if merged and span[0] <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], span[1])
        else:
            merged.append(span)
    return tuple(merged)


def _edges(calendar: Calendar, after: datetime, to: datetime) -> list[datetime]:
    """Every moment in between at which some window begins or ends."""
    return sorted({edge for _, found in calendar for span in found for edge in span if after < edge <= to})


def _settled(base: Values, calendar: Calendar, at: datetime) -> tuple[Values, dict[str, Setter]]:
    """What counts by windows alone."""
    values, by = structs.asdict(base), dict[str, Setter]()
    for schedule, found in calendar:
        place = bisect_right(found, at, key=lambda span: span[0]) - 1
        if place < 0 or found[place][1] <= at:
            continue
        begin, end = found[place]
        sight = end if end <= at + AHEAD else None
        for name, value in schedule.sets:
            new = _RAISED[name](values[name], value) if schedule.doubtful else value
            if schedule.doubtful and new == values[name]:
                continue
            values[name] = new
            by[name] = Setter(schedule.name, f"{schedule.field}.{FIELDS[name]}", schedule.zone, begin, sight)
    return Values(**values), by


def _next_change(base: Values, calendar: Calendar, now: datetime, edges: Iterable[datetime]) -> Change | None:
    before, by = _settled(base, calendar, now)
    for edge in edges:
        after, setters = _settled(base, calendar, edge)
        if after != before:
            return _change(edge, before, after, by, setters)
        by = setters
    return None


def _change(
    at: datetime, before: Values, after: Values, by: Mapping[str, Setter], setters: Mapping[str, Setter]
) -> Change:
    changed = [name for name in FIELDS if getattr(before, name) != getattr(after, name)]
    texts = [f"{FIELDS[name]} from {_shown(name, before)} to {_shown(name, after)}" for name in changed]
    begins = [each for name in changed if (each := setters.get(name)) is not None and each.begin == at]
    ends = [each for name in changed if (each := by.get(name)) is not None and each.end == at]
    why = dict.fromkeys([f"{each.name} begins" for each in begins] + [f"{each.name} ends" for each in ends])
    zone = next((each.zone for each in (*begins, *ends)), "UTC")
    return Change(at, f"{', '.join(texts)} ({', '.join(why)})", zone)


def _shown(name: str, values: Values) -> str:
    value = getattr(values, name)
    return {"max_size": "all", "spares": "0"}[name] if value is None else str(value)
