// What the parts of the panel share: which threat is open, what was read of it, how it is said.

import { perform } from "../acts/acts.js";
import { get, queryOf } from "../core/api.js";
import { words } from "../core/format.js";
import { change, params } from "../core/route.js";
import { may } from "../core/session.js";
import { signal, useEffect, useState } from "../html.js";

// Which threat is open is part of the address, so that it can be sent to somebody.

const STAY_MS = 1500;
const AGAIN_MS = 600_000;
const MOST_BACK = 50;
const viewed = new Map();
let timer = 0;

/** Called with a threat's id whenever one is opened; what is beside takes it from `panel.id()`. */
export const opened = signal(null);
// The threats from which one came here, through what is alike; good only while `at` is open.
const trail = signal({ ids: [], at: null });

export const panel = {
  id: () => params.value.t ?? null,
  isOpen: () => params.value.t !== undefined,
  close: () => {
    clearTimeout(timer);
    change({ t: null });
  },
  /** Opens a threat. That is a view once one has asked for it, or stayed with it in `passing`; not without `isView`. */
  open(id, { passing = false, isView = true } = {}) {
    change({ t: id });
    clearTimeout(timer);
    if (isView && may("act")) timer = setTimeout(() => view(id), passing ? STAY_MS : 0);
  },
  /** The threats that `back` leads to, the next one last. */
  before: () => (trail.value.at === panel.id() ? trail.value.ids : []),
  /** Opens one from within another, to which `back` leads. */
  aside(id) {
    trail.value = { ids: [...panel.before(), panel.id()].slice(-MOST_BACK), at: id };
    panel.open(id);
  },
  back() {
    const ids = panel.before();
    if (!ids.length) return;
    trail.value = { ids: ids.slice(0, -1), at: ids.at(-1) };
    panel.open(ids.at(-1), { passing: true });
  },
};

function view(id) {
  const at = performance.now();
  if (at - (viewed.get(id) ?? -AGAIN_MS) < AGAIN_MS) return;
  viewed.set(id, at);
  perform("view", [id], {}, { quiet: true });
}

// What the panel reads, and what it read of the last few threats: going back shows that at once.

const MOST_KEPT = 40;
const SETTLE_MS = 120; // whoever passes by asks for nothing but the threat itself
export const kept = new Map();

export function keep(key, data) {
  kept.delete(key);
  kept.set(key, data);
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
}

/** Reads something for a part of the panel, anew with each `stamp`: {data, problem, again}. */
export function useRead(path, query = {}, stamp = 0) {
  const key = path + queryOf(query);
  const [told, set] = useState({});
  const [tries, setTries] = useState(0);
  useEffect(() => {
    const until = new AbortController();
    const take = (data) => { keep(key, data); set({ key, data }); };
    const fail = (problem) => problem.name !== "AbortError" && set((old) => ({ ...old, key, problem }));
    const wait = setTimeout(() => get(path, query, { until: until.signal }).then(take, fail), SETTLE_MS);
    return () => { clearTimeout(wait); until.abort(); };
  }, [key, stamp, tries]);
  const mine = told.key === key ? told : {};
  return { data: mine.data ?? kept.get(key) ?? null, problem: mine.problem ?? null, again: () => setTries(tries + 1) };
}

// What a report says in its metadata, whatever stands there: it is anybody's JSON.

const isText = (value) => typeof value === "string" && value !== "";

/** Texts of a value: of a list, or the one that it is. */
function textsOf(value) {
  return (Array.isArray(value) ? value : [value]).filter(isText);
}

/** A threat in the words of a row, as the list has them: what stands at its head. */
export function headOf(threat) {
  const said = threat.metadata;
  const claim = threat.desk.claim;
  return {
    ...threat,
    title: isText(said.title) ? said.title : threat.content.trimStart().split("\n", 1)[0].slice(0, 400),
    tlp: isText(said.tlp) ? said.tlp : "",
    tags: textsOf(said.tags),
    holder: claim?.analyst_id ?? null,
    holder_until_ms: claim?.until_ms ?? null,
  };
}

/** [{type, value}] */
export function indicatorsOf(threat) {
  const found = threat.metadata.indicators;
  return (Array.isArray(found) ? found : [])
    .filter((one) => one !== null && typeof one === "object" && typeof one.value === "string")
    .map((one) => ({ type: isText(one.type) ? one.type : "", value: one.value }));
}

/** Addresses: texts, or what has one as `url`. */
export function referencesOf(threat) {
  const found = threat.metadata.references;
  const all = (Array.isArray(found) ? found : [found]).map((one) => (isText(one?.url) ? one.url : one));
  return [...new Set(all.filter(isText))];
}

const ELSEWHERE = new Set(["title", "tlp", "tags", "indicators", "references"]);

/** What is shown nowhere else; a field that is not as it should be is shown here. */
export function othersOf(threat) {
  const isShown = ([name, value]) => ELSEWHERE.has(name)
    && (value === null || isText(value) || (Array.isArray(value) && (name === "indicators" ? indicatorsOf(threat).length === value.length
      : name === "references" || value.every(isText))));
  return Object.entries(threat.metadata).filter((entry) => !isShown(entry));
}

// Acts in words.

const SAID = {
  view: "viewed", escalate: "escalated", dismiss: "dismissed", monitor: "monitored", investigate: "investigated", claim: "claimed",
  takeover: "taken over", next: "claimed as the next", release: "released", decide: "closed", reopen: "reopened", snooze: "snoozed",
  comment: "commented on", undo: "taken back", recall: "recalled", promotion: "promoted", consolidation: "consolidated",
  settled: "settled home", expired: "left by age", removed: "removed", remove: "removed", allow: "allowed again",
  sighted: "reported again", woken: "woken",
};

/** An act, or an event, as what was done. */
export const said = (kind) => SAID[kind] ?? words(kind);
