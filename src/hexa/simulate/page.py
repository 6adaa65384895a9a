"""A report as one HTML page: nothing is loaded from anywhere. Details under the pointer, drag to zoom, light or dark."""

import json
from collections.abc import Iterator
from html import escape
from typing import Any, Final

from hexa.simulate.figures import Figures
from hexa.simulate.picture import subtitle, tiles
from hexa.simulate.theme import DARK, FONT, LEGEND, LIGHT, SHAPES, variables
from hexa.simulate.timeline import LEFT, PANEL, RIGHT, layout_of, machines_on, phase_spans, timeline

WIDTH: Final = 1240.0


def page(report: Figures) -> str:
    """The whole page."""
    return _PAGE.format(
        title=escape(report.title),
        subtitle=escape(subtitle(report)),
        description=escape(report.description),
        style=_style(),
        tiles="\n".join(_tile(tile.label, tile.value, tile.note, tile.tone) for tile in tiles(report)),
        timeline=timeline(report, width=WIDTH, legend=False),
        legend="\n".join(_legend()),
        rows="\n".join(_row(name, value) for name, value in report.rows()),
        tariffs="\n".join(_tariff(name, day) for name, day in report.receipt.days.items()),
        data=json.dumps(_data(report), separators=(",", ":")).replace("</", "<\\/"),
        script=_SCRIPT,
    )


def _row(name: str, value: str) -> str:
    sub = ' class="sub"' if name.startswith(" ") else ""
    return f"<tr><th{sub}>{escape(name.strip())}</th><td>{escape(value)}</td></tr>"


def _tariff(name: str, day: str) -> str:
    return f'<h2>Tariff {escape(name)}</h2><div class="chart"><pre>{escape(day)}</pre></div>'


def _legend() -> Iterator[str]:
    """Beside the drawing rather than in it, so that it wraps on a narrow screen."""
    for kind, text in LEGEND:
        yield f'<span><svg width="14" height="11"><rect class="{kind}" width="14" height="11" rx="2"/></svg>{text}</span>'
    yield '<span><svg width="14" height="11"><path class="fault" d="M7 1l5.5 9.5h-11z"/></svg>a fault strikes</span>'


def _tile(label: str, value: str, note: str, tone: str) -> str:
    return (
        f'<div class="tile"><div class="small">{escape(label)}</div><div class="value {tone}">{escape(value)}</div>'
        f'<div class="small">{escape(note)}</div></div>'
    )


def _data(report: Figures) -> dict[str, Any]:
    """What the script needs to tell what is under the pointer."""
    seconds, layout = report.hours * 3600, layout_of(report, WIDTH, legend=False)
    offset = report.start.utcoffset()
    return {
        "start": report.start.timestamp(),
        "offset": offset.total_seconds() if offset is not None else 0,
        "seconds": seconds,
        "left": LEFT,
        "right": RIGHT,
        "row": layout.row,
        "step": layout.step,
        "panel": PANEL,
        "bottom": layout.bottom,
        "machines": [
            {
                "name": machine.name,
                "cores": machine.cores,
                "hours": round(machine.on_hours, 1),
                "kwh": round(machine.kwh, 2),
                "phases": [[round(begin), round(end), phase] for begin, end, phase in phase_spans(machine, seconds)],
                "use": [[round(at), round(value, 2)] for at, value in machine.use],
            }
            for machine in report.machines
        ],
        "on": [[round(at), value] for at, value in machines_on(report)],
        "running": [[round(at), value] for at, value in report.running],
        "waiting": [[round(at), value] for at, value in report.waiting],
    }


def _style() -> str:
    return (
        f":root {{ {variables(LIGHT)} color-scheme: light }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root:not([data-theme=light]) {{ {variables(DARK)} color-scheme: dark }} }}\n"
        f":root[data-theme=dark] {{ {variables(DARK)} color-scheme: dark }}\n"
        f"body {{ font-family: {FONT} }}\n{SHAPES}{_OWN}"
    )


_OWN: Final = """
* { box-sizing: border-box } body { margin: 0; background: var(--page); color: var(--text); line-height: 1.45 }
main { max-width: 1320px; margin: 0 auto; padding: 32px 24px 56px }
header { display: flex; gap: 24px; align-items: flex-start; justify-content: space-between; margin-bottom: 20px }
h1 { font-size: 28px; font-weight: 650; margin: 0 0 4px; letter-spacing: -.01em } p { margin: 0; max-width: 75ch }
.small { color: var(--muted); font-size: 13px } .value { font-size: 27px; font-weight: 650; letter-spacing: -.01em }
.good { color: var(--good) } .bad { color: var(--bad) }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 14px; margin: 20px 0 }
.tile, .card { background: var(--card); border: 1px solid var(--line); border-radius: 12px }
.tile { padding: 14px 18px } .card { padding: 18px 20px; position: relative } .chart { overflow-x: auto }
.timeline { display: block; width: 100%; min-width: 860px; height: auto; user-select: none }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin-top: 8px } .legend span { white-space: nowrap }
.legend svg { margin-right: 6px; vertical-align: -1px } .touch, .narrow { display: none }
@media (hover: none) { .mouse { display: none } .touch { display: inline } }
@media (max-width: 950px) { .narrow { display: inline } }
@media (max-width: 600px) { main { padding: 20px 12px 40px } .card { padding: 14px 12px } h1 { font-size: 23px }
  .tiles { grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 10px } .value { font-size: 21px }
  tr { display: block; padding: 5px 0 } th, td { display: block } }
h2 { font-size: 17px; font-weight: 600; margin: 24px 0 6px } pre { margin: 0; font-size: 12.5px; line-height: 1.25 }
.card.zoomed .calendar { display: none } header p { max-width: none } th.sub { padding-left: 16px }
.bar { display: flex; justify-content: space-between; gap: 16px; margin-bottom: 6px; min-height: 26px; align-items: center }
button { font: inherit; font-size: 13px; color: var(--text); background: var(--band); border: 1px solid var(--line);
  border-radius: 8px; padding: 4px 12px; cursor: pointer; white-space: nowrap } button:hover { border-color: var(--muted) }
#tip { position: fixed; pointer-events: none; background: var(--text); color: var(--card); font-size: 12.5px;
  border-radius: 8px; padding: 7px 11px; opacity: 0; transition: opacity .08s; z-index: 2; white-space: pre; max-width: 90vw }
#cross { stroke: var(--muted); stroke-width: 1; stroke-dasharray: 2 3; opacity: 0; pointer-events: none }
#brush { fill: var(--on); fill-opacity: .16; pointer-events: none }
table { border-collapse: collapse; margin-top: 20px; font-size: 14px } th { text-align: left; font-weight: 500;
  color: var(--muted); padding: 4px 28px 4px 0 } td { padding: 4px 0; font-variant-numeric: tabular-nums }
"""

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - hexa</title>
<style>
{style}
</style>
</head>
<body>
<main>
<header>
<div><h1>{title}</h1><p class="small">{subtitle}</p></div>
<button id="theme" type="button">Light / dark</button>
</header>
<p>{description}</p>
<section class="tiles">
{tiles}
</section>
<section class="card" id="card">
<div class="bar"><span class="small" id="range"><span class="mouse">Hover for details; drag to zoom.</span>
<span class="touch">Tap for details.</span>
<span class="narrow">The chart is wider than the screen: scroll it sideways.</span></span>
<button id="reset" type="button" hidden>Whole time</button></div>
<div class="chart" id="chart" tabindex="0">
{timeline}
</div>
<div class="legend small">
{legend}
</div>
</section>
<table>
{rows}
</table>
{tariffs}
</main>
<div id="tip" role="status"></div>
<script type="application/json" id="data">{data}</script>
<script>
{script}
</script>
</body>
</html>
"""

_SCRIPT: Final = r"""
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const svg = document.querySelector("svg.timeline"), card = $("card"), tip = $("tip");
const nested = [...svg.querySelectorAll("svg.rows, svg.panel")], short = [...svg.querySelectorAll("rect[data-w]")];
const NS = "http://www.w3.org/2000/svg", width = svg.viewBox.baseVal.width;
const plot = width - data.left - data.right;
let from = 0, to = data.seconds, dragged = null;

const make = (name, attributes, parent) => {
  const element = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return parent.appendChild(element);
};
const cross = make("line", {id: "cross", y1: 20, y2: data.bottom}, svg);
const brush = make("rect", {id: "brush", y: 22, height: data.bottom - 22, width: 0}, svg);
const hints = [...$("range").childNodes];
const axis = make("g", {}, svg);

const days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const two = (number) => String(number).padStart(2, "0");
const clock = (seconds) => {
  const when = new Date((data.start + data.offset + seconds) * 1000);
  return `${days[when.getUTCDay()]} ${two(when.getUTCHours())}:${two(when.getUTCMinutes())}`;
};
const span = (seconds) => {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)}:${two(minutes % 60)} h`;
};
const valueAt = (series, seconds) => {
  let low = 0, high = series.length - 1, found = 0;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (series[middle][0] <= seconds) { found = series[middle][1]; low = middle + 1; } else high = middle - 1;
  }
  return found;
};
const point = (event) => {
  const matrix = svg.getScreenCTM(), at = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
  return {x: at.x, y: at.y, seconds: from + (at.x - data.left) / plot * (to - from)};
};
const inside = (at) => at.x >= data.left && at.x <= width - data.right && at.y >= 20 && at.y <= data.bottom;

const describe = (at) => {
  const rows = svg.querySelector("svg.rows"), top = rows.y.baseVal.value, size = rows.height.baseVal.value;
  const lines = [clock(at.seconds)], index = Math.floor((at.y - top) / (size / data.machines.length));
  if (at.y >= top && index < data.machines.length) {
    const machine = data.machines[index];
    const phase = machine.phases.find(([begin, end]) => begin <= at.seconds && at.seconds < end);
    lines[0] = `${machine.name}, ${lines[0]}`;
    lines.push(`${machine.hours} h on and ${machine.kwh} kWh in all`);
    if (phase) lines.push(`${phase[2]} for ${span(phase[1] - phase[0])} (${clock(phase[0])} to ${clock(phase[1])})`);
    if (phase && phase[2] === "Ready") lines.push(`${valueAt(machine.use, at.seconds)} of ${machine.cores} cores requested`);
  }
  lines.push(`${valueAt(data.on, at.seconds)} of ${data.machines.length} machines on`);
  lines.push(`${valueAt(data.running, at.seconds)} pods run, ${valueAt(data.waiting, at.seconds)} wait`);
  return lines.join("\n");
};
const show = (event) => {
  const at = point(event);
  if (!inside(at) || dragged) { tip.style.opacity = 0; cross.style.opacity = 0; return; }
  tip.textContent = describe(at);
  tip.style.opacity = 1; cross.style.opacity = 1;
  cross.setAttribute("x1", at.x); cross.setAttribute("x2", at.x);
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.min(event.clientX + 16, innerWidth - box.width - 8)}px`;
  tip.style.top = `${Math.min(event.clientY + 16, innerHeight - box.height - 8)}px`;
};

const stretches = (series, begin, end, count, most) => {
  const size = (end - begin) / count, found = [];
  let index = series.findIndex(([at]) => at > begin);
  if (index < 0) index = series.length;
  let level = index > 0 ? series[index - 1][1] : 0;
  for (let number = 0; number < count; number++) {
    const at = begin + number * size, until = at + size;
    let left = at, total = 0, top = level;
    while (index < series.length && series[index][0] < until) {
      const moment = Math.max(at, series[index][0]);
      total += level * (moment - left); left = moment; level = series[index][1]; top = Math.max(top, level); index++;
    }
    total += level * (until - left);
    found.push([at, most ? top : total / size]);
  }
  return found;
};
const path = (points, end, floor) => {
  if (!points.length) return "";
  const start = floor === null ? `M${points[0][0]} ${points[0][1]}` : `M${points[0][0]} ${floor}V${points[0][1]}`;
  const rest = points.slice(1).map(([x, y]) => `H${x}V${y}`).join("");
  return `${start}${rest}H${end}${floor === null ? "" : `V${floor}Z`}`;
};
const uses = [...svg.querySelectorAll("path.use")];
const redraw = () => {
  const bins = 700;
  data.machines.forEach((machine, index) => {
    const floor = index * data.step + data.row;
    const drawn = machine.phases.filter(([begin, end, phase]) => phase === "Ready" && end > from && begin < to);
    uses[index].setAttribute("d", drawn.map(([begin, end]) => {
      const a = Math.max(begin, from), b = Math.min(end, to), count = Math.max(1, Math.ceil((b - a) / (to - from) * bins));
      const points = stretches(machine.use, a, b, count, false);
      return path(points.map(([x, level]) => [x, floor - data.row * Math.min(1, level / machine.cores)]), b, floor);
    }).join(""));
  });
  for (const panel of svg.querySelectorAll("svg.panel")) {
    const kind = panel.dataset.panel, series = data[kind];
    const most = Math.max(1, kind === "on" ? data.machines.length : Math.max(...series.map(([, value]) => value)));
    const points = stretches(series, from, to, bins, kind === "waiting")
      .map(([x, value]) => [x, data.panel - 1 - value / most * (data.panel - 3)]);
    panel.querySelector(`.area-${kind}`).setAttribute("d", path(points, to, data.panel));
    panel.querySelector(`.edge-${kind}`).setAttribute("d", path(points, to, null));
  }
  for (const fault of svg.querySelectorAll("path.fault[data-t]")) {
    const at = Number(fault.dataset.t), moved = (at - from) / (to - from) - at / data.seconds;
    fault.setAttribute("transform", `translate(${moved * plot} 0)`);
    fault.style.display = at >= from && at <= to ? "" : "none";
  }
};

const steps = [300, 900, 1800, 3600, 10800, 21600, 43200, 86400];
const drawAxis = () => {
  axis.replaceChildren();
  if (from === 0 && to === data.seconds) return;
  const step = steps.find((each) => (to - from) / each <= 12) || 172800;
  const first = Math.ceil((from + data.start + data.offset) / step) * step - data.start - data.offset;
  for (let at = first; at <= to; at += step) {
    const x = data.left + (at - from) / (to - from) * plot;
    make("line", {class: "grid", x1: x, x2: x, y1: 22, y2: data.bottom}, axis);
    make("text", {class: "day", x, y: 14, "text-anchor": "middle"}, axis).textContent = clock(at);
  }
  svg.insertBefore(axis, svg.firstChild);
};
const zoom = (begin, end) => {
  from = Math.max(0, begin); to = Math.min(data.seconds, end);
  for (const each of nested) {
    const size = each.viewBox.baseVal.height;
    each.setAttribute("viewBox", `${from} 0 ${to - from} ${size}`);
  }
  const least = 2 * (to - from) / plot;
  for (const each of short) each.setAttribute("width", Math.max(Number(each.dataset.w), least));
  const whole = from === 0 && to === data.seconds;
  card.classList.toggle("zoomed", !whole);
  $("reset").hidden = whole;
  $("range").replaceChildren(...(whole ? hints : [`${clock(from)} to ${clock(to)}, ${span(to - from)}`]));
  drawAxis();
  redraw();
};

svg.addEventListener("pointermove", (event) => {
  if (dragged) {
    const at = point(event), x = Math.min(Math.max(at.x, data.left), width - data.right);
    brush.setAttribute("x", Math.min(x, dragged.x)); brush.setAttribute("width", Math.abs(x - dragged.x));
  }
  show(event);
});
const hide = () => { tip.style.opacity = 0; cross.style.opacity = 0; };
svg.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hide(); });
document.addEventListener("pointerdown", (event) => { if (!svg.contains(event.target)) hide(); });
$("chart").addEventListener("scroll", hide);
svg.addEventListener("pointerdown", (event) => {
  const at = point(event);
  if (event.pointerType !== "mouse") { show(event); return; }
  if (event.button === 0 && inside(at)) { dragged = at; svg.setPointerCapture(event.pointerId); }
});
svg.addEventListener("pointerup", (event) => {
  if (!dragged) return;
  const a = dragged.seconds, b = point(event).seconds;
  dragged = null; brush.setAttribute("width", 0);
  if (Math.abs(a - b) > (to - from) / 200) zoom(Math.min(a, b), Math.max(a, b));
});
svg.addEventListener("dblclick", () => zoom(0, data.seconds));
$("reset").addEventListener("click", () => zoom(0, data.seconds));
$("theme").addEventListener("click", () => {
  const root = document.documentElement, dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = root.dataset.theme || (dark ? "dark" : "light");
  root.dataset.theme = now === "dark" ? "light" : "dark";
});
"""
