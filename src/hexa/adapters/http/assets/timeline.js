// The last 24 hours: a row for each machine, coloured by phase, and how many were on. Rows are drawn in seconds from a fixed moment
// and clipped, so that time passing moves one attribute and draws nothing anew.

import {ON, PHASES, clock, colourOf, count, keyOf, make, moment, span, write} from "./words.js";

const NS = "http://www.w3.org/2000/svg";
const DAY = 86_400;
const PANEL = 46;
const GAP = 8;
const LEAST = 2; // pixels of the shortest phase
const COLOURS = ["unknown", "off", "ready", "stop", "drain", "boot", "failed"]; // the last one lies over the others

const draw = (name, attributes, parent) => {
  const element = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent.append(element);
  return element;
};

/** Pixels from row to row: fewer where there are many, and no names then. */
export const stepOf = (machines) => (machines <= 32 ? 18 : machines <= 80 ? 10 : machines <= 150 ? 6 : 4);

export class Timeline {
  constructor(place, note, tip) {
    this.note = note;
    this.tip = tip;
    this.rows = new Map(); // key -> {name, stretches, y, step}
    this.base = 0;
    this.now = 0;
    this.size = 0;
    this.changed = true;
    this.build(place);
  }

  build(place) {
    this.labels = make("div", "labels");
    this.labels.setAttribute("aria-hidden", "true");
    this.axis = make("div", "axis");
    this.axis.setAttribute("aria-hidden", "true");
    this.plot = make("div", "plot");
    this.grid = make("div", "grid");
    this.svg = draw("svg", {class: "rows", preserveAspectRatio: "none", role: "img"}, this.plot);
    this.paths = Object.fromEntries(COLOURS.map((colour) => [colour, draw("path", {class: colour}, this.svg)]));
    this.head = make("p", "small panel-head", "machines on");
    this.head.setAttribute("aria-hidden", "true");
    this.panel = draw("svg", {class: "panel", preserveAspectRatio: "none", role: "img"}, this.plot);
    this.area = draw("path", {class: "area-on"}, this.panel);
    this.edge = draw("path", {class: "edge edge-on"}, this.panel);
    this.plot.prepend(this.grid);
    this.svg.after(this.head);
    this.panel.style.height = `${PANEL}px`;
    place.append(make("div", "timeline", make("div"), this.axis, this.labels, this.plot));
    new ResizeObserver(() => this.resized()).observe(this.plot);
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerdown", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => this.tip.classList.remove("seen"));
  }

  /** Since the base; now for what is no time. */
  seconds(text) {
    const found = (typeof text === "number" ? text : new Date(text).getTime()) / 1000 - this.base;
    return Number.isFinite(found) ? found : this.now;
  }

  /** What was, from the API: it replaces what is known. */
  past(stretches, at) {
    if (!this.base) this.base = Math.floor(at / 1000) - 2 * DAY;
    const known = new Map();
    for (const each of stretches) {
      const key = keyOf(each);
      if (!known.has(key)) known.set(key, []);
      const end = each.end === null ? null : this.seconds(each.end);
      known.get(key).push({start: this.seconds(each.start), end, phase: each.phase});
    }
    for (const [key, row] of this.rows) row.stretches = known.get(key) || [];
    this.changed = true;
    this.known = known;
  }

  /** What is: machines in the order of the list, each with its group's name. */
  present(groups, at) {
    if (!this.base) this.base = Math.floor(at / 1000) - 2 * DAY;
    const keys = groups.flatMap(({machines}) => machines.map(keyOf));
    const rows = [...this.rows.keys()];
    if (!this.height || keys.length !== rows.length || keys.some((key, place) => key !== rows[place])) this.lay(groups);
    for (const {machines} of groups) for (const machine of machines) this.advance(machine, at);
    this.pass(at);
  }

  /** Rows for these machines. */
  lay(groups) {
    const before = this.rows;
    this.rows = new Map();
    const step = stepOf(groups.reduce((sum, {machines}) => sum + machines.length, 0)), labels = [];
    let y = 0;
    for (const {title, machines} of groups) {
      const height = machines.length * step;
      if (step >= 14) for (const each of machines) labels.push(make("span", "label", each.name));
      else labels.push(make("span", "label", title || "in no group"));
      labels.at(-1).dataset.last = "";
      labels.slice(step >= 14 ? -machines.length : -1).forEach((label) => {
        label.style.height = `${step >= 14 ? step : height}px`;
      });
      for (const each of machines) {
        const key = keyOf(each), old = before.get(key);
        const stretches = old ? old.stretches : (this.known && this.known.get(key)) || [];
        this.rows.set(key, {name: each.name, stretches, y, step});
        y += step;
      }
      y += GAP;
    }
    this.height = Math.max(1, y - GAP);
    this.svg.style.height = `${this.height}px`;
    this.changed = true;
    this.labels.replaceChildren(...labels);
  }

  /** The machine came into another phase. */
  advance(machine, at) {
    const row = this.rows.get(keyOf(machine)), last = row.stretches.at(-1);
    if (!machine.phase || (last && last.end === null && last.phase === machine.phase)) return;
    const now = this.seconds(at), since = machine.since ? Math.min(this.seconds(machine.since), now) : now;
    const start = last ? Math.max(since, last.start) : since;
    if (last) last.end = Math.min(last.end ?? start, start);
    row.stretches.push({start, end: null, phase: machine.phase});
    this.changed = true;
  }

  /** Time passes. */
  pass(at) {
    this.now = at / 1000 - this.base;
    const box = `${this.now - DAY} 0 ${DAY}`;
    this.svg.setAttribute("viewBox", `${box} ${this.height}`);
    this.panel.setAttribute("viewBox", `${box} ${PANEL}`);
    const changed = this.changed;
    this.changed = false;
    if (changed) this.paint();
    if (changed || this.now - (this.counted || 0) >= 30) this.recount();
    this.scale(at);
  }

  /** One path for each colour: few elements, however many machines. What is short lies over what is long. */
  paint() {
    const least = (LEAST * DAY) / Math.max(200, this.plot.clientWidth), from = this.now - DAY;
    const parts = Object.fromEntries(COLOURS.map((colour) => [colour, []]));
    for (const row of this.rows.values()) {
      row.stretches = row.stretches.filter(({end}) => end === null || end > from);
      const height = row.step - (row.step >= 10 ? 2 : row.step >= 6 ? 1 : 0.5);
      for (const {start, end, phase} of row.stretches) {
        const width = end === null ? 400 * DAY : Math.max(end - start, least);
        parts[colourOf(phase)].push(`M${start.toFixed(1)} ${row.y}h${width.toFixed(1)}v${height}h${(-width).toFixed(1)}z`);
      }
    }
    for (const colour of COLOURS) this.paths[colour].setAttribute("d", parts[colour].join(""));
  }

  recount() {
    this.counted = this.now;
    const from = this.now - DAY, steps = [];
    for (const {stretches} of this.rows.values()) {
      for (const {start, end, phase} of stretches) {
        if (!ON.has(phase)) continue;
        steps.push([Math.max(start, from), 1]);
        if (end !== null) steps.push([end, -1]);
      }
    }
    steps.sort((one, other) => one[0] - other[0]);
    const most = Math.max(1, this.rows.size), y = (on) => PANEL - 1 - (on / most) * (PANEL - 3);
    let on = 0, path = `M${from} ${y(0)}`;
    for (const [at, change] of steps) path += `H${at.toFixed(1)}V${y((on += change)).toFixed(1)}`;
    path += `H${this.now}`;
    this.edge.setAttribute("d", path);
    this.area.setAttribute("d", `${path}V${PANEL}H${from}Z`);
    this.svg.setAttribute("aria-label", this.inWords());
    this.panel.setAttribute("aria-label", `How many machines were on; now ${on} of ${this.rows.size}`);
    write(this.head, `machines on, of ${this.rows.size}`);
  }

  inWords() {
    const hours = new Map();
    for (const {stretches} of this.rows.values()) {
      for (const {start, end, phase} of stretches) {
        const length = Math.max(0, (end ?? this.now) - Math.max(start, this.now - DAY));
        hours.set(phase, (hours.get(phase) || 0) + length);
      }
    }
    const told = Object.keys(PHASES).filter((phase) => hours.get(phase) > 0);
    const sums = told.map((phase) => `${phase} ${(hours.get(phase) / 3600).toFixed(1)} h`).join(", ");
    return `Phases of ${count(this.rows.size)} machines in the last 24 hours, in machine-hours: ${sums || "none is known"}. ` +
      "The list of machines has the day of each.";
  }

  /** Hours above, and lines through the rows. */
  scale(at) {
    const width = this.plot.clientWidth, hours = width < 420 ? 6 : width < 1000 ? 3 : 2;
    const first = new Date(at - DAY * 1000);
    first.setMinutes(0, 0, 0);
    while (first.getTime() < at - DAY * 1000 || first.getHours() % hours) first.setHours(first.getHours() + 1);
    const stamp = `${first.getTime()} ${hours} ${Math.floor(at / 30_000)}`;
    if (stamp === this.scaled) return;
    this.scaled = stamp;
    const ticks = [], lines = [];
    for (let tick = first.getTime(); tick < at; tick += hours * 3_600_000) {
      const share = 1 - (at - tick) / DAY / 1000, left = `${100 * share}%`;
      const text = make("span", "", clock(new Date(tick))), line = make("span");
      text.style.left = line.style.left = left;
      if (share * width > 22 && (1 - share) * width > 22) ticks.push(text); // else it would be cut off
      lines.push(line);
    }
    this.axis.replaceChildren(...ticks);
    this.grid.replaceChildren(...lines);
  }

  resized() {
    const width = this.plot.clientWidth;
    if (!this.now || Math.abs(width - this.size) < 8) return;
    this.size = width;
    this.paint();
    this.scale((this.now + this.base) * 1000);
  }

  /** Of a machine, the newest first. */
  dayOf(key) {
    const row = this.rows.get(key);
    if (!row) return [];
    const now = (this.now + this.base) * 1000;
    return row.stretches.toReversed().map(({start, end, phase}) => {
      const text = moment((start + this.base) * 1000, now);
      return `${text}: ${phase} for ${span((end ?? this.now) - start)}`;
    });
  }

  point(event) {
    const box = this.svg.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width, y = ((event.clientY - box.top) / box.height) * this.height;
    const row = [...this.rows.values()].find((each) => y >= each.y && y < each.y + each.step);
    const at = this.now - DAY + x * DAY;
    const found = row?.stretches.find(({start, end}) => start <= at && at < (end ?? Infinity));
    if (!row) {
      this.tip.classList.remove("seen");
      return;
    }
    const now = (this.now + this.base) * 1000, told = (seconds) => moment((seconds + this.base) * 1000, now);
    const lines = [`${row.name}, ${told(at)}`];
    if (found) {
      const until = found.end === null ? "now" : told(found.end);
      lines.push(`${found.phase} for ${span((found.end ?? this.now) - found.start)} (${told(found.start)} to ${until})`);
    }
    write(this.tip, lines.join("\n"));
    this.tip.classList.add("seen");
    const size = this.tip.getBoundingClientRect();
    this.tip.style.left = `${Math.max(8, Math.min(event.clientX + 16, innerWidth - size.width - 8))}px`;
    this.tip.style.top = `${Math.min(event.clientY + 16, innerHeight - size.height - 8)}px`;
  }
}
