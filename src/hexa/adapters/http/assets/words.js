// Texts and numbers as people read them, and elements whose text is never markup.

export const PHASES = {
  Unknown: "unknown",
  Off: "off",
  PoweringOn: "boot",
  Booting: "boot",
  Ready: "ready",
  Draining: "drain",
  PoweringOff: "stop",
  StartFailed: "failed",
  StopFailed: "failed",
  Lost: "failed",
};
export const ON = new Set(["PoweringOn", "Booting", "Ready", "Draining", "PoweringOff", "StopFailed", "Lost"]);
export const LEGEND = [
  ["off", "off"],
  ["boot", "waking and booting"],
  ["ready", "Ready"],
  ["drain", "draining"],
  ["stop", "powering off"],
  ["failed", "failed or lost"],
];

export const colourOf = (phase) => (Object.hasOwn(PHASES, phase) ? PHASES[phase] : "unknown");
export const NOT_KNOWN = "not known";
export const keyOf = (thing) => `${thing.namespace}/${thing.name}`;

const DAY = 86_400_000;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const two = (number) => String(number).padStart(2, "0");

export const clock = (at) => `${two(at.getHours())}:${two(at.getMinutes())}`;

/** A moment, as short as it is clear: 08:02, Mon 08:02, 12 Nov 08:02, 12 Nov 2026. */
export const moment = (text, now) => {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return NOT_KNOWN;
  const away = Math.abs(at - now);
  if (away < DAY && at.getDate() === new Date(now).getDate()) return clock(at);
  if (away < 6 * DAY) return `${DAYS[at.getDay()]} ${clock(at)}`;
  const day = `${at.getDate()} ${MONTHS[at.getMonth()]}`;
  return away < 300 * DAY ? `${day} ${clock(at)}` : `${day} ${at.getFullYear()}`;
};

const STAMP = /\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)/g;

/** A text of hexa's with its moments by the clock of who reads it. */
export const local = (text, now) => (text || "").replace(STAMP, (stamp) => moment(stamp, now));

/** A length of time: 45 s, 12 min, 3:05 h, 2 d 4 h. */
export const span = (seconds) => {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 1440) return `${Math.floor(minutes / 60)}:${two(minutes % 60)} h`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
};

const number = (value, digits) =>
  value.toLocaleString("en", {minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: "negative"}); // no -0.00
export const known = (value) => typeof value === "number" && Number.isFinite(value);
export const watts = (value) => {
  if (!known(value)) return NOT_KNOWN;
  return Math.abs(value) < 1000 ? `${number(value, 0)} W` : `${number(value / 1000, 2)} kW`;
};
export const kilowatts = (value) => (known(value) ? `${number(value / 1000, 2)} kW` : NOT_KNOWN);
export const money = (value, currency) =>
  known(value) ? `${number(value, 2)} ${currency || ""}`.trim() : NOT_KNOWN;
export const kwh = (joules) => (known(joules) ? `${number(joules / 3.6e6, 1)} kWh` : NOT_KNOWN);
export const count = (value) => (known(value) ? number(value, 0) : NOT_KNOWN);
export const many = (value, one, more = `${one}s`) => `${count(value)} ${value === 1 ? one : more}`;

/** An element with a class, a text, or children; the text is never read as markup. */
export const make = (name, kind = "", ...inner) => {
  const element = document.createElement(name);
  if (kind) element.className = kind;
  element.append(...inner.map((each) => (typeof each === "string" ? document.createTextNode(each) : each)));
  return element;
};

const LONGEST = 1000;

/** Give it that text, and leave it alone where it has it. What is longer than anybody reads is cut. */
export const write = (element, text) => {
  const whole = text === null || text === undefined ? "" : String(text);
  const wanted = whole.length > LONGEST ? `${whole.slice(0, LONGEST)}...` : whole;
  if (element.textContent !== wanted) element.textContent = wanted;
};

export const show = (element, shown) => {
  if (element.hidden === shown) element.hidden = !shown;
};

/** Keep the children of `parent` in this order, and move only those that stand elsewhere. */
export const order = (parent, children) => {
  let next = parent.firstChild;
  for (const child of children) {
    if (child === next) next = next.nextSibling;
    else parent.insertBefore(child, next);
  }
  while (next) {
    const gone = next;
    next = next.nextSibling;
    gone.remove();
  }
};
