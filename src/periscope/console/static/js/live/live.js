// What happens, as it happens: the page's side of the stream.

import { signal } from "../html.js";
import { checkSame, isExpired, load, me } from "../core/session.js";

/** "starting", "live", "lost" or "store-away". */
export const state = signal("starting");
/** When it was lost, by this machine's clock; 0 while it is there. */
export const lostAt = signal(0);
/** Why. */
export const why = signal("");
/** The latest acts of others and of oneself, the newest first: events as the API tells them. */
export const acts = signal([]);
/** Reports per second that arrived lately. */
export const inflow = signal(0);

const MOST_ACTS = 200;
const RATE_MS = 5000;
const listeners = new Set();
const arrived = [];
let worker = null;

/** Calls `heard(news)` at most four times a second: {kind: "news" | "again", counts, ids, isMany, acts}.
 * "again" says that something may have been missed: read everything anew. Returns what ends it. */
export function listen(heard) {
  listeners.add(heard);
  return () => listeners.delete(heard);
}

/** Begins to follow. */
export function start() {
  worker ??= made();
  worker.postMessage({ kind: "start" });
}

/** Tries again at once. */
export function hurry() {
  worker?.postMessage({ kind: "hurry" });
}

/** What is there is not to be trusted any more: begins a new connection. */
function cut() {
  if (!worker) return;
  HEARD.lost({ why: "this machine has no network" });
  worker.postMessage({ kind: "start" });
}

function made() {
  const place = new URL("./worker.js", import.meta.url).href;
  const policy = globalThis.trustedTypes?.createPolicy("periscope", { createScriptURL: ours });
  const one = new Worker(policy ? policy.createScriptURL(place) : place, { type: "module" });
  one.onmessage = ({ data }) => HEARD[data.kind]?.(data);
  return one;
}

/** The only address from which code is ever loaded by name. */
function ours(address) {
  if (address !== new URL("./worker.js", import.meta.url).href) throw new TypeError("not ours");
  return address;
}

const HEARD = {
  live({ resumed }) {
    const wasLost = state.value !== "starting";
    state.value = "live";
    lostAt.value = 0;
    if (!resumed || wasLost) tell({ kind: "again", counts: {}, ids: [], isMany: true, acts: [] });
  },
  gap() { tell({ kind: "again", counts: {}, ids: [], isMany: true, acts: [] }); },
  store({ isAway }) {
    const wasAway = state.value === "store-away";
    state.value = isAway ? "store-away" : "live";
    if (wasAway && !isAway) tell({ kind: "again", counts: {}, ids: [], isMany: true, acts: [] });
  },
  lost({ why: reason }) {
    lostAt.value ||= Date.now();
    why.value = reason;
    state.value = "lost";
  },
  async expired() {
    HEARD.lost({ why: "the session has ended" });
    // That may have been the session before this one, which one has signed in anew since.
    await (me.value ? checkSame() : load());
    if (me.value && !isExpired.value) start();
  },
  news(news) {
    rate(news.counts);
    if (news.acts.length) acts.value = [...news.acts.toReversed(), ...acts.value].slice(0, MOST_ACTS);
    tell(news);
  },
};

function tell(news) {
  for (const heard of listeners) heard(news);
}

function rate(counts) {
  const at = performance.now();
  arrived.push([at, (counts.added ?? 0) + (counts.sighted ?? 0)]);
  while (arrived.length && arrived[0][0] < at - RATE_MS) arrived.shift();
  inflow.value = arrived.reduce((sum, [, value]) => sum + value, 0) / (RATE_MS / 1000);
}

setInterval(() => {
  const at = performance.now();
  if (arrived.length && arrived.at(-1)[0] < at - RATE_MS) {
    arrived.length = 0;
    inflow.value = 0;
  }
}, RATE_MS);

isExpired.subscribe((ended) => {
  if (!ended && worker && state.value === "lost") start();
});
addEventListener("online", hurry);
addEventListener("offline", cut);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") hurry();
});
