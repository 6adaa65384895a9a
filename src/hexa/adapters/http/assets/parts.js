// The parts of the page below its first line: what needs a hand, groups, machines. Each keeps its elements and writes only what
// has changed; what a machine's row hides is written when somebody opens it.

import {
  NOT_KNOWN, colourOf, count, keyOf, known, kwh, local, make, many, moment, money, order, show, span, watts, write,
} from "./words.js";

/** Elements by key: made once, written when their data is another, removed with it. */
class Kept {
  constructor(create, update) {
    this.create = create;
    this.update = update;
    this.all = new Map();
  }

  of(key, data, ...more) {
    let kept = this.all.get(key);
    if (!kept) {
      kept = {element: null, text: "", parts: null};
      kept.parts = this.create(key);
      kept.element = kept.parts.element;
      this.all.set(key, kept);
    }
    const text = JSON.stringify(data);
    if (text !== kept.text) {
      kept.text = text;
      this.update(kept.parts, data, ...more);
    }
    kept.round = this.round;
    return kept.element;
  }

  begin() {
    this.round = (this.round || 0) + 1;
  }

  end() {
    for (const [key, kept] of this.all) if (kept.round !== this.round) this.all.delete(key);
  }
}

const dot = (phase) => {
  const element = make("span", `dot ${colourOf(phase)}`);
  element.setAttribute("aria-hidden", "true");
  return element;
};

const severe = (hand) => hand.severity === "error";

export class Hands {
  constructor(list, head, goTo) {
    this.list = list;
    this.head = head;
    this.kept = new Kept(() => {
      const parts = {element: make("li"), name: make("button", "link"), kind: make("span", "small"), text: make("p")};
      parts.name.type = "button";
      parts.plain = make("strong");
      parts.name.addEventListener("click", () => goTo(parts.name.dataset.key));
      parts.element.append(make("p", "", parts.name, parts.plain, " ", parts.kind), parts.text);
      return parts;
    }, (parts, hand, now) => {
      parts.element.className = severe(hand) ? "hand severe" : "hand";
      parts.name.dataset.key = `${hand.kind}/${keyOf(hand)}`;
      const there = hand.kind === "Node"; // only machines have a row to go to
      write(parts.name, there ? hand.name : "");
      write(parts.plain, there ? "" : hand.name);
      show(parts.name, there);
      const kind = there ? "Machine" : hand.kind, where = hand.namespace ? `${kind} in ${hand.namespace}` : kind;
      write(parts.kind, `${where}, ${hand.reason}${hand.since ? `, since ${moment(hand.since, now)}` : ""}`);
      write(parts.text, local(hand.message, now));
    });
    this.none = make("li", "small", "Nothing: all machines and groups are as they should be.");
  }

  update(hands, now) {
    this.kept.begin();
    const sorted = hands.toSorted((one, other) => severe(other) - severe(one));
    const rows = sorted.map((hand) => this.kept.of(`${hand.kind}/${keyOf(hand)}/${hand.reason}`, hand, now));
    this.kept.end();
    order(this.list, rows.length ? [...new Set(rows)] : [this.none]);
    write(this.head, hands.length ? `Needs a hand: ${hands.length}` : "Needs a hand");
  }
}

const limits = (group) => `${group.minimum} to ${known(group.maximum) ? group.maximum : "all"}`;

const countsOf = (group) => {
  const others = [[group.off, "off"], [group.booting, "coming up"], [group.failed, "failed"]];
  const told = others.filter(([value]) => value > 0).map(([value, word]) => `${value} ${word}`);
  return [`${group.ready} of ${group.size} Ready`, ...told].join(", ");
};

export class Groups {
  constructor(list) {
    this.list = list;
    this.kept = new Kept(() => {
      const parts = {element: make("li", "group"), name: make("h3"), mode: make("span", "tag")};
      for (const part of ["counts", "wanted", "next", "saved", "blocker"]) parts[part] = make("p", part === "counts" ? "" : "small");
      parts.blocker.className = "bad";
      parts.element.append(make("div", "bar", parts.name, parts.mode), parts.counts, parts.wanted, parts.next, parts.saved, parts.blocker);
      return parts;
    }, (parts, {title, group}, now, currency) => {
      write(parts.name, title);
      write(parts.mode, group.mode);
      show(parts.mode, Boolean(group.mode));
      write(parts.counts, countsOf(group));
      const held = heldText(group, now);
      write(parts.wanted, `${group.target} wanted; limits ${limits(group)}${held ? `; held ${held}` : ""}`);
      const next = group.nextChange ? `Next: ${moment(group.nextChange, now)}, ${group.nextChangeWhat || "a schedule"}` : "";
      write(parts.next, next);
      show(parts.next, Boolean(next));
      const energy = group.energy || {};
      const saved = known(energy.monthSaved) ? `${money(energy.monthSaved, energy.currency || currency)} saved this month` : "";
      write(parts.saved, saved);
      show(parts.saved, Boolean(saved));
      write(parts.blocker, local(group.blocker, now));
      show(parts.blocker, Boolean(group.blocker));
    });
    this.none = make("li", "small", "There is no group.");
  }

  update(groups, now, currency) {
    this.kept.begin();
    const spaces = new Set(groups.map(({namespace}) => namespace)).size;
    const title = (group) => (spaces > 1 ? keyOf(group) : group.name); // where a second namespace comes, all are written anew
    const rows = groups.map((group) => this.kept.of(keyOf(group), {title: title(group), group}, now, currency));
    this.kept.end();
    order(this.list, rows.length ? rows : [this.none]);
  }
}

const heldText = ({held, heldUntil}, now) => {
  if (!held) return "";
  return heldUntil ? `${held}, until ${moment(heldUntil, now)}` : `${held}, until somebody lets go`;
};

/** When it will be Ready: until readyAt, after that until readyBy, as the API counts; after that nobody knows. */
const comes = ({readyAt, readyBy}, now) => [readyAt, readyBy].find((text) => text && new Date(text).getTime() >= now);

const readyText = (machine, now) => {
  if (!machine.readyAt) return "";
  const at = comes(machine, now);
  return at ? `Ready at ${moment(at, now)}` : `Ready was expected at ${moment(machine.readyBy || machine.readyAt, now)}`;
};

const leftText = (machine, now) => {
  const at = comes(machine, now);
  return at ? `${readyText(machine, now)}, in about ${span(Math.ceil((new Date(at).getTime() - now) / 1000))}` : readyText(machine, now);
};

/** Why it is on or off; its name stands beside it already. */
const reason = ({name, why, blocker}) => {
  const text = why || blocker || "";
  return text.startsWith(`${name} `) ? text.slice(name.length + 1) : text;
};

const drawn = (machine) => {
  if (!known(machine.watts)) return "";
  return machine.wattsMeasured ? watts(machine.watts) : `about ${watts(machine.watts)}`;
};

/** What a row hides: pairs of a word and a text. */
const facts = (machine, now, currency) => {
  const energy = machine.energy || {}, cash = (value) => money(value, energy.currency || currency);
  const wished = machine.wished ? ` since ${moment(machine.wished, now)}` : "";
  return [
    ["Wanted", machine.wanted ? `${machine.wanted}, by ${machine.by || NOT_KNOWN}${wished}` : ""],
    ["Held", heldText(machine, now)],
    ["Comes up", readyText(machine, now)],
    ["Stands against it", local(machine.blocker, now)],
    ["Power reading", machine.reading],
    ["Draws", drawn(machine)],
    ["Health", local([machine.health, machine.healthReason].filter(Boolean).join(": "), now)],
    ["Uptime", machine.uptime],
    ["Kubernetes node", machine.kubernetesNode],
    ["Group", machine.group],
    ["Namespace", machine.namespace],
    ["Hours", known(energy.onSeconds) ? `${count(energy.onSeconds / 3600)} on, ${count(energy.offSeconds / 3600)} off` : ""],
    ["Energy", known(energy.joules) ? `${kwh(energy.joules)}${energy.estimated ? ", an estimate" : ""}, ${kwh(energy.savedJoules)} saved` : ""],
    ["Money", known(energy.money) ? `${cash(energy.money)}, ${cash(energy.savedMoney)} saved` : ""],
    ["Today", known(energy.todayMoney) ? cash(energy.todayMoney) : ""],
    ["This month", known(energy.monthSaved) ? `${cash(energy.monthSaved)} saved` : ""],
  ].filter(([, text]) => text);
};

export class Machines {
  constructor(place, filter, shown, dayOf) {
    this.place = place;
    this.filter = filter;
    this.shown = shown;
    this.dayOf = dayOf;
    this.blocks = new Map(); // group -> its section
    this.number = 0;
    this.kept = new Kept((key) => this.create(key), (parts, machine, now, currency) => this.write(parts, machine, now, currency));
    filter.addEventListener("input", () => this.sift());
    this.none = make("p", "small", "There is no machine.");
  }

  create(key) {
    const parts = {key, element: make("li", "machine"), details: make("details"), hidden: null};
    for (const part of ["name", "phase", "why", "watts", "saved"]) parts[part] = make("span", part);
    parts.dot = dot("");
    parts.word = make("span");
    parts.since = make("span", "small");
    parts.phase.append(parts.dot, parts.word, " ", parts.since);
    parts.name.id = `machine-${(this.number += 1)}`;
    parts.details.append(make("summary", "", parts.name, parts.phase, parts.why, parts.watts, parts.saved));
    parts.details.addEventListener("toggle", () => this.open(parts));
    parts.element.append(parts.details);
    return parts;
  }

  write(parts, machine, now, currency) {
    parts.data = machine;
    parts.currency = currency;
    write(parts.name, machine.name);
    const colour = `dot ${colourOf(machine.phase)}`;
    if (parts.dot.className !== colour) parts.dot.className = colour;
    write(parts.word, machine.phase || "never seen");
    write(parts.since, machine.since ? `since ${moment(machine.since, now)}` : "");
    this.explain(parts, now);
    write(parts.watts, drawn(machine));
    const saved = machine.energy?.monthSaved;
    write(parts.saved, known(saved) ? `${money(saved, machine.energy.currency || currency)} saved` : "");
    this.open(parts);
  }

  explain(parts, now) {
    const machine = parts.data, why = [local(reason(machine), now), leftText(machine, now)].filter(Boolean).join(". ");
    write(parts.why, why);
    parts.search = [machine.name, machine.namespace, machine.group, machine.phase, why, machine.health].join(" ").toLowerCase();
  }

  /** Time passes: the seconds until machines are Ready are counted down. */
  pass(now) {
    for (const {parts} of this.kept.all.values()) if (parts.data?.readyAt) this.explain(parts, now);
  }

  open(parts) {
    if (!parts.details.open || !parts.data) return;
    const list = make("dl", "facts");
    for (const [word, text] of facts(parts.data, this.now, parts.currency)) list.append(make("div", "", make("dt", "", word), make("dd", "", text)));
    const day = this.dayOf(parts.key).map((text) => make("li", "", text));
    if (!parts.hidden) parts.details.append((parts.hidden = make("div", "hidden")));
    parts.hidden.replaceChildren(list, make("h4", "", "The last 24 hours"), day.length ? make("ol", "day", ...day) : make("p", "small", NOT_KNOWN));
  }

  /** Write what opened rows hide anew. */
  refresh() {
    for (const {parts} of this.kept.all.values()) this.open(parts);
  }

  /** `groups`: {title, machines} in the order in which they stand. */
  update(groups, now, currency) {
    this.now = now;
    this.kept.begin();
    const blocks = groups.map(({title, machines}) => {
      const block = this.block(title);
      order(block.list, machines.map((machine) => this.kept.of(keyOf(machine), machine, now, currency)));
      return block.element;
    });
    this.kept.end();
    order(this.place, blocks.length ? blocks : [this.none]);
    this.total = groups.reduce((sum, {machines}) => sum + machines.length, 0);
    this.sift();
  }

  block(title) {
    if (!this.blocks.has(title)) {
      const list = make("ul"), head = make("h3", "", title || "In no group");
      this.blocks.set(title, {element: make("div", "block", head, list), list});
    }
    return this.blocks.get(title);
  }

  sift() {
    const wanted = this.filter.value.trim().toLowerCase();
    let seen = 0;
    for (const {parts} of this.kept.all.values()) {
      const fits = !wanted || parts.search.includes(wanted);
      show(parts.element, fits);
      if (fits) seen += 1;
    }
    for (const {element, list} of this.blocks.values()) show(element, [...list.children].some((each) => !each.hidden));
    write(this.shown, wanted ? `${seen} of ${many(this.total, "machine")}` : many(this.total, "machine"));
  }

  /** Open the row of a machine, and bring it into view. */
  goTo(key) {
    const kept = this.kept.all.get(key);
    if (!kept) return false;
    this.filter.value = "";
    this.sift();
    kept.parts.details.open = true;
    kept.parts.details.querySelector("summary").focus({preventScroll: true});
    kept.element.scrollIntoView({block: "center"});
    return true;
  }
}
