// The small language of the filter bar: words, "phrases", name:value, name:"a value", -name:value.
// `print(parse(text).terms)` says the same as `text`, and stays as it is when read again.

import { stretchOf } from "./clock.js";
import { SEVERITIES } from "./format.js";

const STATUSES = ["open", "snoozed", "dismissed", "closed"];
const MOST_LEFT_OUT = 20; // of each name; the API takes no more
const SHARE = "(?:0(?:\\.\\d+)?|1(?:\\.0+)?)";
const SCORE = new RegExp(`^(${SHARE})?(?:(\\.\\.)(<?)(${SHARE})?)?$`);

/** The names that can be given, with what they take: the help and the completion are made of it. */
export const NAMES = {
  severity: { help: "CRITICAL, HIGH, MEDIUM, LOW; several with commas between them", values: SEVERITIES, not: true },
  status: { help: "open, snoozed, dismissed or closed", values: STATUSES },
  source: { help: "who reported it", not: true, facet: "source" },
  tag: { help: "a tag of the report", not: true, facet: "tag" },
  tlp: { help: "the marking: clear, green, amber, red; none for unmarked", not: true, facet: "tlp" },
  indicator: { help: "an address, a domain, a hash, as it is or defanged" },
  holder: { help: "who has it claimed; me, nobody", some: ["me", "nobody"] },
  score: { help: "at least (0.7), between (0.5..0.8), or without the upper end (0.5..<0.8)", some: ["0.7", "0.5..0.8"] },
  seen: { help: "first seen within 30m, 4h, 2d, 1w; on a day (2026-01-31); in a stretch (2026-01-31..2026-02-02, "
    + "2026-01-31T08:00..2026-01-31T09:30)", some: ["30m", "4h", "1d", "1w"] },
  active: { help: "last active: as for seen", some: ["30m", "4h", "1d", "1w"] },
  industry: { help: "of long-term knowledge" },
  is: { help: "overdue or mine", values: ["overdue", "mine"] },
};

const known = (name) => Object.hasOwn(NAMES, name);

/** Reads a text as pieces: {from, to, not, name, value, isOpen}; `isOpen`: its quote is not closed. */
export function pieces(text) {
  const found = [];
  const start = /(-(?=\S)|)(?:([a-z_]+):)?/iy;
  for (let at = 0; at < text.length;) {
    const space = /\s+/y;
    space.lastIndex = at;
    if (space.test(text)) {
      at = space.lastIndex;
      continue;
    }
    start.lastIndex = at;
    const [all, minus, given = ""] = start.exec(text);
    const name = given.toLowerCase();
    const isNamed = known(name);
    const rest = at + (isNamed ? all.length : minus.length);
    const read = text[rest] === '"' ? (isNamed ? quotedAt(text, rest) : phraseAt(text, rest)) : bareAt(text, rest);
    found.push({ from: at, to: read.to, not: minus === "-", name: isNamed ? name : "text", value: read.value, isOpen: read.isOpen ?? false });
    at = read.to;
  }
  return found;
}

function bareAt(text, from) {
  const end = /\s|$/g;
  end.lastIndex = from;
  const to = end.exec(text).index;
  return { to, value: text.slice(from, to) };
}

/** A value in quotes, in which \" and \\ stand for " and \; any other \ is one. */
function quotedAt(text, from) {
  const whole = /"((?:[^"\\]|\\[^])*)("|\\?$)/y;
  whole.lastIndex = from;
  const [all, inner, end] = whole.exec(text);
  return { to: from + all.length, value: inner.replace(/\\(["\\])/g, "$1"), isOpen: end !== '"' };
}

/** Words in quotes, as the index takes them: no escapes, for it knows only letters and digits. */
function phraseAt(text, from) {
  const whole = /"([^"]*)("\*?|$)/y;
  whole.lastIndex = from;
  const [all, inner, end] = whole.exec(text);
  return { to: from + all.length, value: `"${inner}"${end.slice(1)}`, isOpen: end === "" };
}

/** Reads a query: {terms: [{not, name, value}], problem}; `problem` says what is wrong and what to do; "": nothing. */
export function parse(text) {
  const read = pieces(String(text ?? ""));
  const terms = read.map(({ not, name, value }) => ({ not, name, value: canonical(name, value) }));
  const open = read.find((one) => one.isOpen);
  return { terms, problem: open ? `close the quote of ${open.name === "text" ? "the phrase" : `${open.name}:`} with "` : problemOf(terms) };
}

/** Writes terms as a query. */
export function print(terms) {
  return terms.map((one) => (one.name === "text" ? wordOf(one) : `${one.not ? "-" : ""}${one.name}:${quoted(one.value)}`)).join(" ");
}

function quoted(value) {
  return /^[^\s"\\]+$/u.test(value) ? value : `"${value.replace(/(["\\])/g, "\\$1")}"`;
}

/** A word as it is; in quotes where it would be read as something else. */
function wordOf({ value, not }) {
  const word = `${not ? "-" : ""}${value}`;
  const [first, ...more] = pieces(word);
  return first && !more.length && isSame(first, { name: "text", value, not }) ? word : `${not ? "-" : ""}"${value.replaceAll('"', " ")}"`;
}

const isSame = (one, other) => one.name === other.name && one.value === other.value && one.not === Boolean(other.not);

/** Returns a query with one more term; of what can hold only once the new one takes the place. */
export function added(text, { name, value, not = false }) {
  const term = { not, name, value };
  const clashes = (one) => isSame(one, term) || (one.name === name && name !== "text"
    && ((!not && !one.not && name !== "is") || (one.not !== not && one.value === value)));
  return print([...parse(text).terms.filter((one) => !clashes(one)), term]);
}

/** Returns a query with the terms of another added to it. */
export function merged(text, more) {
  return parse(more).terms.reduce(added, print(parse(text).terms));
}

/** Returns a query without a term. */
export function without(text, term) {
  return print(parse(text).terms.filter((one) => !isSame(one, term)));
}

/** Returns a query without what it asks of a name, but for what is left out. */
export function withoutName(text, name) {
  return print(parse(text).terms.filter((one) => one.name !== name || one.not));
}

/** Says whether a term is part of a query. */
export function has(text, term) {
  return parse(text).terms.some((one) => isSame(one, term));
}

/** Returns the parameters of the API for a query: `me` is who asks, `now` the time, `level` the one that is listed. */
export function toParams(text, options) {
  return paramsOf(parse(text).terms, options);
}

function paramsOf(terms, { me = null, now = Date.now(), level = 1 } = {}) {
  const found = {};
  for (const one of terms) {
    if (one.not) {
      leaveOut(found, one.name, one.name === "severity" ? listOf(one.value) : [unmarked(one)]);
    } else if (Object.hasOwn(READ, one.name)) {
      READ[one.name](one.value, { me, now, level, found });
    } else {
      found[one.name] = unmarked(one);
    }
  }
  if (found.overdue) delete found.status; // what is overdue is open
  return found;
}

const unmarked = ({ name, value }) => (name === "tlp" && value === "none" ? "" : value);

function leaveOut(found, name, values) {
  found[`not_${name}`] = [...new Set([...found[`not_${name}`] ?? [], ...values])];
}

const READ = {
  text(value, { found }) {
    const word = value.startsWith('"') ? value : value.replaceAll('"', " ");
    found.text = found.text ? `${found.text} ${word}` : word;
  },
  is(value, { me, found }) {
    if (value === "overdue") found.overdue = true;
    else found.holder = me ?? "";
  },
  holder(value, { me, found }) {
    found.holder = value === "me" ? me ?? "" : value === "nobody" ? "" : value;
  },
  /** One the board knows; several, and of other levels any, are found by leaving out the others. */
  severity(value, { level, found }) {
    const wanted = listOf(value);
    if (wanted.length === 1 && level === 1) [found.severity] = wanted;
    else leaveOut(found, "severity", SEVERITIES.filter((one) => !wanted.includes(one)));
  },
  score(value, { found }) {
    const [, low = null, , below, high = null] = SCORE.exec(value) ?? [];
    found.min_score = low;
    found.max_score = below && high !== null ? justBelow(Number(high)) : high;
  },
  seen: (value, { now, found }) => bounds("first_seen", value, now, found),
  active: (value, { now, found }) => bounds("last_activity", value, now, found),
};

function bounds(name, value, now, found) {
  const { from, until } = stretchOf(value, now) ?? {};
  found[`${name}_from`] = from;
  found[`${name}_until`] = until;
}

/** The greatest number below one of 0 to 1: what the API is asked for is included. */
function justBelow(value) {
  const one = new Float64Array([value]);
  if (value > 0) new BigUint64Array(one.buffer)[0] -= 1n;
  return one[0];
}

const listOf = (value) => [...new Set(value.toUpperCase().split(",").map((one) => one.trim()).filter(Boolean))];

/** Of words that are ours, however they are written. */
function canonical(name, value) {
  if (name === "severity") return listOf(value).join(",");
  const small = value.toLowerCase();
  return name === "status" || name === "is" || (name === "tlp" && small === "none") ? small : value;
}

/** Returns the name in the language of a parameter of the API; null: it is of none. */
export function nameOf(field) {
  const name = String(field ?? "").replace(/^not_|^m(in|ax)_(?=score)|_(from|until)$/g, "");
  const found = { first_seen: "seen", last_activity: "active", overdue: "is" }[name] ?? name;
  return known(found) || found === "text" ? found : null;
}

function problemOf(terms) {
  const given = (name) => terms.filter((one) => one.name === name && !one.not);
  for (const [name, rule] of Object.entries(NAMES)) {
    if (name !== "is" && given(name).length > 1) return `${name}: is given twice; keep one of them`;
    const left = terms.filter((one) => one.name === name && one.not);
    if (left.length && !rule.not) return `-${name}: cannot be left out; ${Object.keys(NAMES).filter((one) => NAMES[one].not).join(", ")} can`;
    if (left.length > MOST_LEFT_OUT) return `-${name}: at most ${MOST_LEFT_OUT} can be left out`;
  }
  if (terms.some((one) => one.name === "text" && one.not)) return 'words cannot be left out: take the - away, or write "-word" to look for it';
  return terms.map(problemOfTerm).find(Boolean) ?? problemOfAll(terms, given);
}

function problemOfTerm({ name, value }) {
  if (name === "text") return "";
  const { help, values } = NAMES[name];
  if (value.trim() === "") return `${name}: needs a value: ${help}`;
  const isWrong = (values && (name === "severity" ? listOf(value) : [value]).some((one) => !values.includes(one)))
    || (name === "score" && !isScore(value)) || ((name === "seen" || name === "active") && stretchOf(value, Date.now()) === null);
  return isWrong ? `${name}: takes ${help}` : "";
}

function isScore(value) {
  const [, low, dots, below, high] = SCORE.exec(value) ?? [];
  if (low === undefined && high === undefined) return false;
  return !(below && high === undefined) && !(dots && low !== undefined && high !== undefined && Number(low) > Number(high));
}

function problemOfAll(terms, given) {
  const is = given("is").map((one) => one.value);
  if (is.includes("mine") && given("holder").length) return "is:mine and holder: cannot both be given; keep one of them";
  if (is.includes("overdue")) {
    if (given("score").length) return "is:overdue goes with no score: take one of them away";
    if (given("status").some((one) => one.value !== "open")) return "is:overdue is about what is open: take the status away";
  }
  const { not_severity: left = [], severity } = paramsOf(terms.filter((one) => one.name === "severity"));
  const none = SEVERITIES.every((one) => left.includes(one) || (severity && severity !== one));
  return none ? "severity: nothing is left; take one of them away" : "";
}

// What could be meant by what somebody has begun to write: names first, then values.

const MOST = 8;

/**
 * Returns {from, to, items: [{insert, label, help, count}]} for a text with the caret at a place.
 * `counts` are facets as GET /v1/facets answers them; null: not known.
 */
export function completions(text, caret, counts = null) {
  const here = pieces(text).find((one) => one.from < caret && caret <= one.to) ?? { from: caret, to: caret, name: "text", not: false };
  const begun = text.slice(here.from, caret);
  const items = here.name === "text" ? names(begun) : values(here, begun, counts);
  return { from: here.from, to: here.to, items: items.slice(0, MOST + (begun ? 0 : MOST)) };
}

/** Returns {text, caret} after one of them was taken. */
export function taken(text, { from, to }, item) {
  const rest = text.slice(to);
  const start = text.slice(0, from) + item.insert + (item.isWhole && !rest.startsWith(" ") ? " " : "");
  return { text: start + rest, caret: start.length + (item.isWhole && rest.startsWith(" ") ? 1 : 0) };
}

function names(begun) {
  const [, minus, word] = /^(-?)([a-z_]*)$/i.exec(begun) ?? [];
  if (word === undefined) return [];
  return Object.entries(NAMES)
    .filter(([name, rule]) => name.startsWith(word.toLowerCase()) && (!minus || rule.not))
    .map(([name, { help }]) => ({ insert: `${minus}${name}:`, label: `${minus}${name}:`, help, count: null, isWhole: false }));
}

function values({ name, not }, begun, counts) {
  const typed = pieces(begun)[0]?.value.toLowerCase() ?? "";
  const known = counts?.[name] ?? {};
  const rule = NAMES[name];
  const all = rule.values ?? rule.some ?? Object.keys(known).map((one) => (name === "tlp" && one === "" ? "none" : one)).filter(Boolean);
  const listed = name === "severity" ? typed.lastIndexOf(",") + 1 : 0; // after a comma goes one more
  const wanted = typed.slice(listed).trim();
  const fits = all.filter((one) => one.toLowerCase().includes(wanted));
  const first = (one) => (one.toLowerCase().startsWith(wanted) ? 0 : 1);
  return fits.toSorted((one, other) => first(one) - first(other)).map((one) => ({
    insert: print([{ name, not, value: typed.slice(0, listed).toUpperCase() + one }]),
    label: one, help: "", count: known[name === "tlp" && one === "none" ? "" : one] ?? null, isWhole: true,
  }));
}
