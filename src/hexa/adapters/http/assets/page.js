// The page: asks for state and history, and hands them to its parts.

import {ask, follow, forget, keep, token} from "./stream.js";
import {Timeline} from "./timeline.js";
import {Groups, Hands, Machines} from "./parts.js";
import {LEGEND, NOT_KNOWN, clock, count, keyOf, kilowatts, known, make, moment, money, show, write} from "./words.js";

const $ = (id) => document.getElementById(id);
const timeline = new Timeline($("day"), $("day-note"), $("tip"));
const machines = new Machines($("machines"), $("filter"), $("shown"), (key) => timeline.dayOf(key));
const groups = new Groups($("groups"));
const hands = new Hands($("hands"), $("hands-head"), (key) => {
  const [kind, ...rest] = key.split("/");
  if (kind !== "Group") machines.goTo(rest.join("/"));
});

let state = null;
let arrived = 0; // by the browser's own clock, which may be wrong: only how long ago counts
const now = () => new Date(state.at).getTime() + (performance.now() - arrived);

// --- the first line ---------------------------------------------------------------------------------

const tiles = new Map();
const tile = (label, value, note, tone = "") => {
  if (!tiles.has(label)) {
    const parts = {value: make("dd", "value"), note: make("dd", "small")};
    $("sum").append(make("div", "tile", make("dt", "small", label), parts.value, parts.note));
    tiles.set(label, parts);
  }
  const parts = tiles.get(label), kind = `value ${tone}`.trim();
  write(parts.value, value);
  write(parts.note, note);
  if (parts.value.className !== kind) parts.value.className = kind;
};

const first = (summary) => {
  const asked = "no machine says what it draws", priced = "no group says what energy costs";
  tile("Machines on", `${count(summary.on)} of ${count(summary.machines)}`, "");
  tile("Power now", kilowatts(summary.watts), known(summary.watts) ? "" : asked);
  tile("Money today", money(summary.moneyToday, summary.currency), known(summary.moneyToday) ? "" : priced);
  const saved = summary.savedMonth;
  tile("Saved this month", money(saved, summary.currency), known(saved) ? "against being on all the time" : priced,
    known(saved) ? (saved < 0 ? "bad" : "good") : "");
  const next = summary.nextChange ? moment(summary.nextChange, now()) : "none";
  tile("Next schedule change", next, summary.nextChangeWhat || "");
  const wanting = state.hands.length ? `(${state.hands.length}) ` : "";
  document.title = `${wanting}${count(summary.on)} of ${count(summary.machines)} on - hexa`;
};

// --- what arrives -----------------------------------------------------------------------------------

const collator = new Intl.Collator("en", {numeric: true});

/** Machines by group, in the order of the groups, and at the end those that are in none. */
const grouped = ({groups: all, machines: every}) => {
  const spaces = new Set([...all, ...every].map(({namespace}) => namespace)).size;
  const title = ({namespace}, name) => (spaces > 1 ? `${namespace}/${name || "in no group"}` : name || "");
  const found = new Map(all.map((group) => [title(group, group.name), []]));
  for (const machine of every) {
    const name = title(machine, machine.group);
    if (!found.has(name)) found.set(name, []);
    found.get(name).push(machine);
  }
  const ordered = (members) => members.sort((one, other) => collator.compare(one.name, other.name)); // office-2 before office-10
  return [...found].filter(([, members]) => members.length).map(([name, members]) => ({title: name, machines: ordered(members)}));
};

const update = (next) => {
  state = next;
  arrived = performance.now();
  const {summary} = state, at = now(), blocks = grouped(state);
  show($("token"), false);
  show($("state"), true);
  first(summary);
  hands.update(state.hands, at);
  groups.update(state.groups, at, summary.currency);
  timeline.present(blocks, at);
  machines.update(blocks, at, summary.currency);
  write($("version"), state.version ? `hexa ${state.version}` : "");
  show($("forget"), Boolean(token()));
  write($("live"), "Live");
  $("live").classList.remove("bad");
};

const past = async () => {
  try {
    const {stretches} = await ask("api/v1/history?since=24h");
    timeline.past(stretches, now());
    timeline.present(grouped(state), now());
    machines.refresh();
    write($("day-note"), "");
  } catch {
    write($("day-note"), "What was before this page was opened is not known: hexa did not say.");
  }
};

let pastKnown = false;
const take = ({event, data}) => {
  if (event !== "state") return;
  update(JSON.parse(data));
  if (!pastKnown) {
    pastKnown = true;
    past();
  }
};

// --- what goes wrong --------------------------------------------------------------------------------

const askForToken = (error) =>
  new Promise((go) => {
    const form = $("token");
    const had = Boolean(token());
    forget();
    write($("token-why"), error.status === 403 || had ? `hexa says: ${error.message || error.status}` : "hexa shows its state to those who may read it.");
    show($("state"), false);
    show(form, true);
    write($("live"), "Not signed in");
    form.querySelector("input").focus();
    form.onsubmit = (event) => {
      event.preventDefault();
      const text = $("token-text").value.trim();
      $("token-text").value = "";
      if (!/^[\x21-\x7e]+$/.test(text)) {
        write($("token-why"), "That is no token: it has characters that no token has.");
        return;
      }
      keep(text);
      write($("live"), "Connecting");
      go();
    };
  });

const lost = (error) => {
  pastKnown = false;
  if (error && (error.status === 401 || error.status === 403)) return askForToken(error);
  const as = state ? `As of ${clock(new Date(state.at))}. ` : "";
  const why = error?.status ? ` (${error.status}: ${error.message.slice(0, 200)})` : "";
  write($("live"), `${as}No connection to hexa${why}; trying again`);
  $("live").classList.add("bad");
  return null;
};

$("forget").addEventListener("click", () => {
  forget();
  location.reload();
});
for (const [kind, text] of LEGEND) {
  const colour = make("span", `dot ${kind}`);
  colour.setAttribute("aria-hidden", "true");
  $("legend").append(make("li", "", colour, text));
}
$("legend").append(make("li", "", "blank: not known"));
setInterval(() => state && !document.hidden && timeline.pass(now()), 30_000);
setInterval(() => state && !document.hidden && machines.pass(now()), 1_000);
follow("api/v1/stream", take, lost);
