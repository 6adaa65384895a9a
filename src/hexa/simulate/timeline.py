"""The timeline of a report as SVG: machines as rows, phases as colours, and the load below.

Shapes lie in nested drawings whose x axis is seconds, so that a page can zoom by changing their viewBox alone. Whatever
is shorter than two pixels is drawn two pixels wide: a boot of a minute shall be seen in a week.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from html import escape
from typing import Final

from msgspec import Struct

from hexa.simulate.figures import FaultReport, Figures, MachineReport, Series
from hexa.simulate.theme import LEGEND, PHASE_CLASSES

LEFT: Final = 104
RIGHT: Final = 96
ENERGY: Final = 4
"""From the right edge to the end of the column of kWh; that of hours ends before it."""
HOURS: Final = 54
PANEL: Final = 58
"""Height of a chart of load."""
GAP: Final = 30
BINS: Final = 560
"""Points of a chart at most."""
LEAST_PIXELS: Final = 2.0
TRANSIENT: Final = frozenset({"boot", "drain", "stop", "failed"})


class Layout(Struct, frozen=True):
    """Where things are, in pixels."""

    width: float
    seconds: float
    rows: int
    row: float
    """Height of a machine's row."""
    step: float
    """From one row to the next."""
    legend: bool = True

    @property
    def plot(self) -> float:
        return self.width - LEFT - RIGHT

    @property
    def rows_height(self) -> float:
        return self.rows * self.step

    @property
    def pixel(self) -> float:
        """Seconds in a pixel."""
        return self.seconds / self.plot

    @property
    def bottom(self) -> float:
        """Where the lowest chart ends."""
        return 26 + self.rows_height + 3 * (GAP + PANEL)

    @property
    def height(self) -> float:
        return self.bottom + 20 + (30 if self.legend else 0)


def layout_of(report: Figures, width: float, *, legend: bool = True) -> Layout:
    """Rows as high as their number allows."""
    count = max(1, len(report.machines))
    step = min(20.0, max(7.0, 720.0 / count))
    return Layout(width, report.hours * 3600, count, round(step * 0.8, 1), step, legend)


def timeline(report: Figures, *, width: float, x: float = 0, y: float = 0, legend: bool = True) -> str:
    """The whole drawing, as an SVG element to be put into a page or a picture."""
    layout = layout_of(report, width, legend=legend)
    size = f'width="{width:g}" height="{layout.height:g}" viewBox="0 0 {width:g} {layout.height:g}"'
    parts = [
        f'<svg class="timeline" x="{x:g}" y="{y:g}" {size}>',
        *_calendar(report, layout),
        *_machine_rows(report, layout),
        *_faults(report, layout),
        *_panels(report, layout),
        *(_legend(layout) if legend else ()),
        "</svg>",
    ]
    return "\n".join(parts)


# --- time -----------------------------------------------------------------------------------------


class Tick(Struct, frozen=True):
    """A line of the calendar, in seconds since the start; and a text at its place or amid the span that it opens."""

    at: float
    text: str = ""
    span: float = 0.0
    weekend: bool = False


def ticks(report: Figures) -> list[Tick]:
    """Days; hours where there are few days."""
    seconds = report.hours * 3600
    if seconds > 2.5 * 86400:
        return list(_days(report.start, seconds))
    step = next(hours for hours in (1, 2, 3, 6) if seconds / 3600 / hours <= 13 or hours == 6)
    return list(_hours(report.start, seconds, step))


def hours_of_days(report: Figures) -> list[Tick]:
    """Hours of the day ("06") below the charts of several days, where there is room for them."""
    seconds = report.hours * 3600
    if not 2.5 * 86400 < seconds <= 16 * 86400:
        return []
    step = 6 if seconds <= 8 * 86400 else 12
    return [Tick(tick.at, tick.text[-5:-3]) for tick in _hours(report.start, seconds, step)]


def _days(start: datetime, seconds: float) -> Iterator[Tick]:
    day = start.replace(hour=0, minute=0, second=0, microsecond=0)
    end = start + timedelta(seconds=seconds)
    while day < end:
        begin = max(0.0, (day - start).total_seconds())
        span = min(seconds, (day + timedelta(days=1) - start).total_seconds()) - begin
        short = seconds / 86400 > 10
        text = f"{day:%a} {day.day}" if short else f"{day:%a} {day.day} {day:%b}"
        yield Tick(begin, text if span > 43_200 else "", span, day.weekday() >= 5)
        day += timedelta(days=1)


def _hours(start: datetime, seconds: float, step: int) -> Iterator[Tick]:
    hour = start.replace(minute=0, second=0, microsecond=0)
    while hour.hour % step or hour < start:
        hour += timedelta(hours=1)
    while (at := (hour - start).total_seconds()) <= seconds:
        yield Tick(at, f"{hour:%a} {hour:%H:%M}" if hour.hour == 0 or at == 0 else f"{hour:%H:%M}")
        hour += timedelta(hours=step)


def _calendar(report: Figures, layout: Layout) -> Iterator[str]:
    top, bottom = 22.0, layout.bottom
    yield '<g class="calendar">'
    for tick in ticks(report):
        x = LEFT + tick.at / layout.pixel
        if tick.weekend:
            yield f'<rect class="band" x="{x:.1f}" y="{top}" width="{tick.span / layout.pixel:.1f}" height="{bottom - top:g}"/>'
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom:g}"/>'
        if tick.text and x < layout.width - RIGHT - 12:
            middle = x + tick.span / layout.pixel / 2
            yield f'<text class="day" x="{middle:.1f}" y="14" text-anchor="middle">{escape(tick.text)}</text>'
    for tick in hours_of_days(report):
        x = LEFT + tick.at / layout.pixel
        yield f'<line class="base" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom:g}" y2="{bottom + 4:g}"/>'
        yield f'<text class="note" x="{x:.1f}" y="{bottom + 15:g}" text-anchor="middle">{tick.text}</text>'
    yield "</g>"


# --- machines -------------------------------------------------------------------------------------


def _machine_rows(report: Figures, layout: Layout) -> Iterator[str]:
    columns = layout.width - HOURS, layout.width - ENERGY
    for x, text in zip(columns, ("hours on", "kWh"), strict=True):
        yield f'<text class="note" x="{x:g}" y="14" text-anchor="end">{text}</text>'
    for index, machine in enumerate(report.machines):
        y = 26 + index * layout.step + layout.row * 0.72
        if layout.step >= 10 or index % 2 == 0:
            yield f'<text class="label" x="{LEFT - 10}" y="{y:.1f}" text-anchor="end">{escape(machine.name)}</text>'
            for x, value in zip(columns, (f"{machine.on_hours:,.0f}", f"{machine.kwh:,.1f}"), strict=True):
                yield f'<text class="note" x="{x:g}" y="{y:.1f}" text-anchor="end">{value}</text>'
    yield (
        f'<svg class="rows" x="{LEFT}" y="26" width="{layout.plot:g}" height="{layout.rows_height:g}" '
        f'viewBox="0 0 {layout.seconds:g} {layout.rows_height:g}" preserveAspectRatio="none">'
    )
    for index, machine in enumerate(report.machines):
        yield from _row(machine, index * layout.step, layout)
    yield "</svg>"


def _row(machine: MachineReport, y: float, layout: Layout) -> Iterator[str]:
    yield f'<rect class="off" x="0" y="{y:g}" width="{layout.seconds:g}" height="{layout.row:g}"/>'
    spans = list(phase_spans(machine, layout.seconds))
    for begin, end, phase in spans:
        if phase == "Ready":
            yield _rect("ready", begin, end - begin, y, layout.row)
    yield _use(machine, spans, y, layout)
    for begin, end, phase in spans:
        if (kind := PHASE_CLASSES.get(phase, "unknown")) in TRANSIENT:
            yield _rect(kind, begin, end - begin, y, layout.row, least=LEAST_PIXELS * layout.pixel)


def _rect(kind: str, x: float, width: float, y: float, height: float, *, least: float = 0.0) -> str:
    data = f' data-w="{width:.0f}"' if least else ""
    return f'<rect class="{kind}" x="{x:.0f}" y="{y:g}" width="{max(width, least):.0f}" height="{height:g}"{data}/>'


def phase_spans(machine: MachineReport, seconds: float) -> Iterator[tuple[float, float, str]]:
    """Begin, end and phase of every stretch; Unknown up to the first sight is left out."""
    for index, (begin, phase) in enumerate(machine.phases):
        end = machine.phases[index + 1][0] if index + 1 < len(machine.phases) else seconds
        if end > begin:
            yield begin, end, phase


def _use(machine: MachineReport, spans: list[tuple[float, float, str]], y: float, layout: Layout) -> str:
    """How much of the machine pods request, as bars that fill the row from below while it is Ready."""
    path = ""
    for begin, end, phase in spans:
        if phase == "Ready" and machine.use and machine.cores:
            count = max(1, math.ceil((end - begin) / layout.seconds * BINS))
            shares = (
                (x, y + layout.row * (1 - min(1.0, level / machine.cores)))
                for x, level in binned(machine.use, begin, end, count=count, how="mean")
            )
            path += _steps(shares, end, y + layout.row)
    return f'<path class="use" d="{path}"/>'


def _faults(report: Figures, layout: Layout) -> Iterator[str]:
    names = {machine.name: index for index, machine in enumerate(report.machines)}
    yield '<g class="faults">'
    for fault in report.faults:
        x = LEFT + min(fault.at, layout.seconds) / layout.pixel
        y = 26 + names[fault.machine] * layout.step + layout.row / 2 if fault.machine in names else 21.0
        title = escape(fault_text(fault, report))
        yield f'<path class="fault" data-t="{fault.at:.0f}" d="M{x:.1f} {y - 5:.1f}l5.5 9.5h-11z"><title>{title}</title></path>'
    yield "</g>"


def fault_text(fault: FaultReport, report: Figures) -> str:
    """What went wrong, where and when."""
    when = report.start + timedelta(seconds=fault.at)
    where = f" of {fault.machine}" if fault.machine else ""
    return f"{fault.kind}{where}, {when:%a %H:%M}{'' if fault.struck else ': did not strike'}"


# --- load -----------------------------------------------------------------------------------------


def machines_on(report: Figures) -> Series:
    """How many machines were on, or on their way, at each moment."""
    changes: list[tuple[float, int]] = []
    for machine in report.machines:
        for begin, end, phase in phase_spans(machine, report.hours * 3600):
            if PHASE_CLASSES.get(phase) not in ("off", "unknown"):
                changes += [(begin, 1), (end, -1)]
    level, series = 0, [(0.0, 0.0)]
    for at, change in sorted(changes):
        level += change
        if series[-1][0] == at:
            series[-1] = at, float(level)
        else:
            series.append((at, float(level)))
    return tuple(series)


def _panels(report: Figures, layout: Layout) -> Iterator[str]:
    count = len(report.machines)
    most_waiting = max((value for _, value in report.waiting), default=0.0)
    most_running = max((value for _, value in report.running), default=0.0)
    top = 26 + layout.rows_height + GAP
    charts = (
        ("on", "Machines on", machines_on(report), float(count), f"{count} always on"),
        ("running", "Pods running", report.running, most_running, f"most {most_running:,.0f}"),
        ("waiting", "Pods waiting", report.waiting, most_waiting, f"most {most_waiting:,.0f}"),
    )
    for index, (kind, title, series, most, note) in enumerate(charts):
        y = top + index * (PANEL + GAP)
        yield f'<text class="head" x="{LEFT}" y="{y - 9:g}">{title}</text>'
        yield f'<text class="note" x="{layout.width - RIGHT:g}" y="{y - 9:g}" text-anchor="end">{note}</text>'
        yield from _panel(kind, series, most, y, layout)


def _panel(kind: str, series: Series, most: float, y: float, layout: Layout) -> Iterator[str]:
    ceiling = max(most, 1.0)
    how = "max" if kind == "waiting" else "mean"
    points = [
        (x, PANEL - 1 - value / ceiling * (PANEL - 3))
        for x, value in binned(series, 0.0, layout.seconds, count=BINS, how=how)
    ]
    yield (
        f'<svg class="panel" data-panel="{kind}" x="{LEFT}" y="{y:g}" width="{layout.plot:g}" height="{PANEL}" '
        f'viewBox="0 0 {layout.seconds:g} {PANEL}" preserveAspectRatio="none">'
    )
    if kind == "on":
        yield f'<path class="always" d="M0 2H{layout.seconds:g}"/>'
    yield f'<path class="area-{kind}" d="{_steps(points, layout.seconds, PANEL)}"/>'
    yield f'<path class="edge edge-{kind}" d="{_steps(points, layout.seconds, None)}"/>'
    yield "</svg>"
    yield f'<line class="base" x1="{LEFT}" x2="{layout.width - RIGHT:g}" y1="{y + PANEL:g}" y2="{y + PANEL:g}"/>'
    for value, at in ((most, y + 9), (0.0, y + PANEL)):
        yield f'<text class="note" x="{LEFT - 10}" y="{at:g}" text-anchor="end">{value:,.0f}</text>'


def _steps(points: Iterable[tuple[float, float]], end: float, floor: float | None) -> str:
    """A path of level stretches; closed along `floor` where that is given."""
    path, last = "", math.nan
    for x, y in points:
        if not path:
            path = f"M{x:.0f} {y:.1f}" if floor is None else f"M{x:.0f} {floor:g}V{y:.1f}"
        elif abs(y - last) >= 0.05:
            path += f"H{x:.0f}V{y:.1f}"
        else:
            continue
        last = y
    if not path:
        return ""
    return f"{path}H{end:.0f}" + ("" if floor is None else f"V{floor:g}Z")


def binned(series: Series, begin: float, end: float, *, count: int, how: str) -> Iterator[tuple[float, float]]:
    """The series from `begin` to `end` as `count` stretches of equal length: their mean, or the most in them."""
    width = (end - begin) / count
    index = bisect_right(series, begin, key=lambda point: point[0])
    level = series[index - 1][1] if index else 0.0
    for number in range(count):
        at, until = begin + number * width, begin + (number + 1) * width
        left, total, most = at, 0.0, level
        while index < len(series) and series[index][0] < until:
            moment = max(at, series[index][0])
            total += level * (moment - left)
            left, level = moment, series[index][1]
            most = max(most, level)
            index += 1
        total += level * (until - left)
        yield at, most if how == "max" else total / width


def _legend(layout: Layout) -> Iterator[str]:
    x, y = float(LEFT), layout.height - 6
    for kind, text in LEGEND:
        yield f'<rect class="{kind}" x="{x:g}" y="{y - 9:g}" width="14" height="11" rx="2"/>'
        yield f'<text class="note" x="{x + 19:g}" y="{y:g}">{text}</text>'
        x += 19 + 6.1 * len(text) + 20
    yield f'<path class="fault" d="M{x + 5:g} {y - 9:g}l5.5 9.5h-11z"/>'
    yield f'<text class="note" x="{x + 19:g}" y="{y:g}">a fault strikes</text>'
