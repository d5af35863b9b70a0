// One threat beside the list, without losing the place.

import { watchers } from "../acts/acts.js";
import { get, threatPath } from "../core/api.js";
import { sync } from "../core/clock.js";
import { bind } from "../core/keys.js";
import { parts } from "../core/prefs.js";
import { analyst, may } from "../core/session.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../html.js";
import { listen } from "../live/live.js";
import { AtWork, Explained, History, Similar, sumOf } from "./explained.js";
import { headOf, indicatorsOf, keep, kept, panel, referencesOf } from "./panel.js";
import { Deeds, Facts, Head, Raw, References, Report } from "./report.js";
import { copy, Trouble } from "../ui/parts.js";

const AGAIN_MS = 1000;

/**
 * Follows a threat: {threat, problem, news, stamp, again}. `news` is what others did just now, {kind, who, at};
 * `stamp` counts the acts that were heard of.
 */
function useThreat(id) {
  const [told, set] = useState({});
  const [tries, setTries] = useState(0);
  useEffect(() => follow(id, (change) => set((old) => {
    const mine = old.id === id ? old : { id, stamp: 0 };
    return { ...mine, ...change(mine) };
  })), [id, tries]);
  const mine = told.id === id ? told : {};
  const { threat = kept.get(threatPath(id)) ?? null, problem = null, news = null, stamp = 0 } = mine;
  return { threat, problem, news, stamp, again: () => setTries(tries + 1) };
}

function follow(id, put) {
  const until = new AbortController();
  const read = reader(id, put, until.signal);
  const watcher = {
    after: (act, ids) => act !== "view" && ids.includes(id) && read.now(),
    undone: (items) => items.some((one) => one.threat_id === id) && read.now(),
  };
  const deaf = listen((news) => {
    const acts = news.acts.filter((one) => one.threat_ids.includes(id));
    if (news.kind !== "again" && !news.isMany && !acts.length && !news.ids.includes(id)) return;
    const told = toldOf(news, acts, id);
    put((old) => ({ news: told ?? old.news, stamp: old.stamp + (acts.length || news.kind === "again" ? 1 : 0) }));
    read.soon();
  });
  watchers.add(watcher);
  document.addEventListener("visibilitychange", read.seen);
  read.now();
  return () => {
    until.abort();
    deaf();
    watchers.delete(watcher);
    document.removeEventListener("visibilitychange", read.seen);
    read.end();
  };
}

/** Reads at once, or soon: at most every second, and not while nobody can see it. */
function reader(id, put, signal) {
  let timer = 0;
  let last = -AGAIN_MS;
  let isDue = false;
  const now = async () => {
    clearTimeout(timer);
    timer = 0;
    isDue = false;
    last = performance.now();
    try {
      const threat = await get(threatPath(id), {}, { until: signal });
      sync(threat.as_of_ms);
      keep(threatPath(id), threat);
      put((old) => (old.threat?.as_of_ms > threat.as_of_ms ? {} : { threat, problem: null }));
    } catch (problem) {
      if (problem.name !== "AbortError") put(() => ({ problem }));
    }
  };
  const soon = () => {
    isDue = true;
    if (document.visibilityState === "visible") timer ||= setTimeout(now, Math.max(0, last + AGAIN_MS - performance.now()));
  };
  return { now, soon, seen: () => isDue && soon(), end: () => clearTimeout(timer) };
}

/** What others did to it; null where there is nothing to tell, as of what one did oneself. */
function toldOf(news, acts, id) {
  const act = acts.findLast((one) => one.analyst_id !== analyst.value);
  if (act) return { kind: act.kind, who: act.analyst_id, at: act.at_ms };
  const isReport = !acts.length && news.counts.sighted && news.ids.includes(id);
  return isReport ? { kind: "sighted", who: null, at: Date.now() } : null;
}

// A part of the panel that opens and closes; what it holds is made, and read, once it is in view.

const NEAR = "160px";
const MOST_SEEN = 300;
const CLOSED = new Set(["raw"]); // until somebody opens them
const seen = new Set();

export const isOpen = (name) => parts.value[name] ?? !CLOSED.has(name);

export function setOpen(name, value) {
  parts.value = { ...parts.value, [name]: value };
}

/** `children` is a function; `sum` says in a word what is inside. */
function Section({ id, name, title, at, sum = null, children }) {
  const box = useRef(null);
  const shows = isOpen(name);
  const inView = useView(box, `${name} ${id}`);
  return html`<section class="part" ref=${box} data-part=${name} aria-labelledby=${`part-${name}`}>
    <h3><button type="button" aria-expanded=${shows} aria-controls=${`inside-${name}`} onClick=${() => setOpen(name, !shows)}>
      <span class="twist" aria-hidden="true"></span><span id=${`part-${name}`}>${title}</span>
      <span class="sum">${sum}</span><kbd aria-hidden="true">${at}</kbd></button></h3>
    <div id=${`inside-${name}`} hidden=${!shows}>${shows && inView && children()}</div></section>`;
}

function useView(box, key) {
  const [inView, set] = useState(seen.has(key));
  useEffect(() => {
    if (inView) return undefined;
    const watch = new IntersectionObserver((entries) => {
      if (!entries.some((one) => one.isIntersecting)) return;
      if (seen.size >= MOST_SEEN) seen.clear();
      seen.add(key);
      set(true);
    }, { root: box.current.closest(".peek-body"), rootMargin: NEAR });
    watch.observe(box.current);
    return () => watch.disconnect();
  }, [key, inView]);
  return inView;
}

/** Goes to a part: opens it, or closes the one on which one stands if `toggles`. */
function goTo(name, { toggles = false } = {}) {
  const button = document.querySelector(`.part[data-part="${name}"] > h3 > button`);
  if (!button) return;
  setOpen(name, !(toggles && isOpen(name) && document.activeElement === button));
  show(button);
}

/** The part comes to the top of the panel, and the focus to its heading; nothing else is scrolled. */
function show(button) {
  const body = button.closest(".peek-body");
  button.focus({ preventScroll: true });
  body.scrollTop += button.closest(".part").getBoundingClientRect().top - body.getBoundingClientRect().top;
}

/** Goes to the part after, or before, the one in which one is. */
export function step(by) {
  const all = [...document.querySelectorAll(".part > h3 > button")];
  if (!all.length) return;
  const at = all.findIndex((one) => one.closest(".part").contains(document.activeElement));
  show(all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + by))]);
}

const GONE = 404;
const MOST_PLACES = 60;
const NARROW = matchMedia("(max-width: 760px)");
const NAMES = ["report", "score", "history", "desk", "similar", "references", "raw"];
const places = new Map(); // where one was in each of the last threats

/**
 * `store` is the list beside it: what its row says stands at once at the head. The row under the
 * cursor is painted first: this follows it.
 */
export function Peek({ id, onClose, store }) {
  const [at, follow] = useState(null);
  useEffect(() => follow(id), [id]);
  useKeys();
  return useMemo(() => (at === null ? html`<aside class="peek" />` : html`<${Threat} id=${at} onClose=${onClose} store=${store} />`), [at, store]);
}

function Threat({ id, onClose, store }) {
  const box = useRef(null);
  const body = useRef(null);
  const told = useThreat(id);
  const { threat, problem, news, stamp } = told;
  const head = threat ? headOf(threat) : store.row(id);
  const isGone = problem?.status === GONE;
  useCover(box);
  const onScroll = usePlace(id, body, threat !== null);
  return html`<aside class="peek" ref=${box} aria-label="Threat" data-severity=${head?.severity ?? null}>
    <${Head} id=${id} head=${head} news=${news} onClose=${onClose} />
    ${head && !isGone && may("act") && html`<${Deeds} head=${head} />`}
    <div class="peek-body" ref=${body} tabindex="-1" aria-busy=${!threat && !problem} onScroll=${onScroll}>
      ${isGone && html`<${Gone} wasThere=${threat !== null} />`}
      ${problem && !isGone && html`<${Trouble} problem=${problem} onAgain=${told.again} />`}
      ${head && html`<${Facts} head=${head} isWhole=${threat !== null} />`}
      ${threat && html`<${Parts} key=${id} id=${id} threat=${threat} stamp=${stamp} isGone=${isGone} />`}
      ${!threat && isGone && html`<${Section} id=${id} name="history" title="History" at="3">
        ${() => html`<${History} id=${id} stamp=${stamp} />`}<//>`}
    </div>
  </aside>`;
}

const LEFT = "What stands below is how it was read last.";
const NOWHERE = "It left by age or was removed, is beyond what you may see, or never was.";

function Gone({ wasThere }) {
  return html`<div class="absent" role="status"><b>${wasThere ? "This threat has left." : "There is no such threat here now."}</b>
    <p class="faint">${wasThere ? LEFT : NOWHERE} What is on record of it stands in the history.</p></div>`;
}

function Parts({ id, threat, stamp, isGone }) {
  const references = referencesOf(threat);
  const indicators = indicatorsOf(threat);
  const hands = threat.desk.acts.filter((one) => one.analyst_id !== analyst.value).length;
  const part = (at, name, title, sum, inside) => html`<${Section} key=${name} id=${id} name=${name} title=${title} at=${at}
    sum=${sum}>${inside}<//>`;
  return html`
    ${part(1, "report", "Report", many(indicators.length, "indicator"), () => html`<${Report} threat=${threat} />`)}
    ${part(2, "score", threat.level > 1 ? "Confidence explained" : "Score explained", sumOf(threat), () => html`<${Explained} threat=${threat} />`)}
    ${part(3, "history", "History", null, () => html`<${History} id=${id} stamp=${stamp} threat=${isGone ? null : threat} />`)}
    ${part(4, "desk", "Others at work", many(hands, "analyst"), () => html`<${AtWork} desk=${threat.desk} />`)}
    ${part(5, "similar", "Similar", null, () => html`<${Similar} id=${id} />`)}
    ${part(6, "references", "References", many(references.length, "address", "addresses"), () => html`<${References} of=${references} />`)}
    ${part(7, "raw", "Raw record", null, () => html`<${Raw} threat=${threat} />`)}`;
}

const many = (value, one, more = `${one}s`) => (value ? `${value} ${value === 1 ? one : more}` : null);

/** Bound as soon as it is drawn: whoever types on is understood. */
function useKeys() {
  useLayoutEffect(() => bind("Panel", [
    { keys: ["]"], label: "Next part", run: () => step(1), repeats: true },
    { keys: ["["], label: "Part before", run: () => step(-1), repeats: true },
    { keys: NAMES.map((_, at) => String(at + 1)), label: "Go to a part; again: close it",
      run: (event) => goTo(NAMES[Number(event?.key ?? 1) - 1], { toggles: true }) },
    { keys: ["Shift+PageDown"], label: "Read on", run: () => scroll(1), repeats: true },
    { keys: ["Shift+PageUp"], label: "Read back", run: () => scroll(-1), repeats: true },
    { keys: ["b"], label: "Back to the threat before", run: panel.back, when: () => panel.before().length > 0 },
    { keys: ["y"], label: "Copy the id", run: () => copy(panel.id(), "the id") },
    { keys: ["v"], label: "Raw record", run: () => goTo("raw") },
  ]), []);
}

function scroll(by) {
  const body = document.querySelector(".peek-body");
  body?.scrollBy({ top: by * body.clientHeight * 0.85 });
}

function remember(id, top) {
  places.delete(id);
  places.set(id, top);
  if (places.size > MOST_PLACES) places.delete(places.keys().next().value);
}

/** Each threat is shown from where one was in it, else from its beginning. Returns what hears of scrolling. */
function usePlace(id, body, isThere) {
  const top = useRef(0); // to ask the page for it would have it laid out once more
  useLayoutEffect(() => {
    const wanted = places.get(id) ?? 0;
    if (isThere && wanted !== top.current) body.current.scrollTop = wanted;
  }, [id, isThere]);
  return ({ target }) => {
    top.current = target.scrollTop;
    if (isThere) remember(id, top.current);
  };
}

/** Where it covers everything, nothing beneath it is reached; the focus comes with it. */
function useCover(box) {
  useEffect(() => {
    const beneath = [...document.querySelectorAll("header.top, .board > :not(.peek)")];
    const cover = () => {
      for (const one of beneath) one.inert = NARROW.matches;
      if (NARROW.matches && !box.current.contains(document.activeElement)) box.current.querySelector("button").focus();
    };
    cover();
    NARROW.addEventListener("change", cover);
    return () => {
      NARROW.removeEventListener("change", cover);
      for (const one of beneath) one.inert = false;
    };
  }, []);
}
