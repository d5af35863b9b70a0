// What fits, by its values: a press filters by one, another leaves it out. Beside the list, or a drawer on small screens.

import { get } from "../core/api.js";
import { now, stretchOf, written } from "../core/clock.js";
import { brief, count, SEVERITIES } from "../core/format.js";
import { facetsOpen, timesOpen } from "../core/prefs.js";
import { added, has, parse, print, without, withoutName } from "../core/query.js";
import { hrefOf } from "../core/route.js";
import { analyst } from "../core/session.js";
import { line } from "../core/text.js";
import { html, signal, useEffect, useRef, useState } from "../html.js";
import { listen } from "../live/live.js";
import { Dialog } from "../ui/dialog.js";

// How many of what fits have which value: read anew as things happen, and not more often than one can look.

const AFTER_MS = 150; // the list comes first
const SOON_MS = 2000;
const ROUND_MS = 30_000;
const LATE_MS = 1000;
const MOST_AGAIN = 5;
const BY_VALUE = ["severity", "source", "tlp", "tag"];
const NOT_COUNTED = ["min_score", "max_score", "min_interactions", "industry"];

/**
 * Calls `ask(signal)` at once (for a new list: after it), after news at most every 2 s, else every 30 s; not while
 * the page is hidden. Where it brings true, what it read was not up to date: it is called again soon, a few times.
 */
function usePaced(store, query, ask) {
  useEffect(() => {
    const until = new AbortController();
    let last = 0;
    let timer = 0;
    let isBusy = false;
    let isHeard = true;
    let again = 0;
    const plan = (ms) => {
      clearTimeout(timer);
      if (!until.signal.aborted) timer = setTimeout(run, ms);
    };
    const run = async () => {
      if (document.visibilityState !== "visible") return;
      isBusy = true;
      isHeard = false;
      again = await ask(until.signal) ? again + 1 : 0;
      isBusy = false;
      last = performance.now();
      plan(isHeard || (again > 0 && again <= MOST_AGAIN) ? SOON_MS : ROUND_MS);
    };
    const soon = () => {
      if (!isHeard && !isBusy) plan(Math.max(0, last + SOON_MS - performance.now()));
      isHeard = true;
    };
    const deaf = listen(soon);
    const seen = () => document.visibilityState === "visible" && !isBusy && plan(Math.max(0, last + SOON_MS - performance.now()));
    document.addEventListener("visibilitychange", seen);
    plan(store.counts.value ? 0 : AFTER_MS);
    return () => {
      deaf();
      document.removeEventListener("visibilitychange", seen);
      until.abort();
      clearTimeout(timer);
    };
  }, [store, query]);
}

/** Says whether an answer of the read index is of a while ago, or knows of fewer than the list does. */
export const isLate = (store, found) => now() - (found.indexed_ms ?? 0) > LATE_MS || found.total < (store.total.value ?? 0);

/** Returns the parameters by which what a query finds is counted: scores and industries are not regarded. */
export function counted(store, query) {
  const found = store.paramsOf(query);
  for (const name of NOT_COUNTED) delete found[name];
  return found.level || found.status ? found : { ...found, status: "open" };
}

/** Reads counts into `store.counts`; of a name that is asked for already, as if it were not. Brings whether they are late. */
export async function readCounts(store, query, until) {
  if (parse(query).problem) return false;
  const ask = (of, more) => get("/v1/facets", { ...counted(store, of), ...more }, { until });
  try {
    const found = await ask(query);
    const show = (more) => { store.counts.value = { ...store.counts.value, problem: null, ...more }; };
    const names = BY_VALUE.filter((name) => withoutName(query, name) !== withoutName(query, ""));
    show(Object.fromEntries(Object.entries(found).filter(([name]) => name !== "status" && name !== "level" && !names.includes(name))));
    for (const name of names) show({ [name]: (await ask(withoutName(query, name)))[name] });
    if (store.base.level || store.base.overdue) return isLate(store, found);
    const any = withoutName(query, "status");
    show({ status: (await ask(any, { level: 1, status: null })).status });
    show({ level: (await ask(any, { status: null, overdue: null })).level });
    return isLate(store, found);
  } catch (problem) {
    if (problem.name !== "AbortError") store.counts.value = { ...store.counts.value, problem };
    return false;
  }
}

const FEW = 8;
const STATUSES = ["open", "snoozed", "dismissed", "closed"];
const NOT_KNOWN = ["status", "is", "score"]; // names that are about the queue alone
const small = matchMedia("(max-width: 1024px)");
const isSmall = signal(small.matches);
const isDrawn = signal(false);
small.addEventListener("change", () => { isSmall.value = small.matches; });

/** Says whether there is a place for facets beside the list that is shown. */
export const hasFacets = signal(false);
export const facetsShown = () => (isSmall.value ? isDrawn.value : facetsOpen.value);

export function showFacets(shown) {
  if (isSmall.value) isDrawn.value = shown;
  else facetsOpen.value = shown;
}

const toList = () => document.querySelector('.row[tabindex="0"]')?.focus({ preventScroll: true });
const toFacets = () => document.querySelector('.facets .value[tabindex="0"]')?.focus();

/** What `h` does. */
export function goThereAndBack() {
  if (document.activeElement?.closest(".facets")) return toList();
  showFacets(true);
  return requestAnimationFrame(toFacets);
}

export function Facets({ store, query, setQuery }) {
  useEffect(() => {
    hasFacets.value = true;
    return () => {
      hasFacets.value = false;
      isDrawn.value = false;
    };
  }, []);
  if (!facetsShown()) return null;
  const groups = html`<${Groups} store=${store} query=${query} setQuery=${setQuery} />`;
  if (!isSmall.value) return groups;
  const close = () => showFacets(false);
  return html`<${Dialog} title="Filters" name="facets" onClose=${close}><div onKeyDown=${(event) => event.key === "h" && close()}>${groups}
    <footer><button type="button" class="main" onClick=${close}>Show ${totalOf(store.total.value)}</button></footer></div></${Dialog}>`;
}

const few = (many) => (many < 100_000 ? count : brief)(many); // five digits find room
const totalOf = (total) => (total === null ? "the list" : `${count(total)} threat${total === 1 ? "" : "s"}`);

function Groups({ store, query, setQuery }) {
  usePaced(store, query, (until) => readCounts(store, query, until));
  const box = useRef(null);
  const [here, setHere] = useState(null);
  const groups = useSteady(box, groupsOf(store, query));
  const keys = groups.flatMap((group) => group.values.map((value) => `${group.name}:${value}`));
  const stop = keys.includes(here) ? here : keys[0];
  const press = (term) => setQuery(has(query, term) ? without(query, term) : added(query, term));
  const { problem } = store.counts.value ?? {};
  return html`<nav class="facets" aria-label="Filters" ref=${box} onKeyDown=${(event) => onKey(event, box)}>
    ${groups.map((group) => html`<${Group} key=${group.name} group=${group} query=${query} press=${press} stop=${stop} setHere=${setHere} />`)}
    <${Known} counts=${store.counts.value?.level} query=${query} />
    ${problem && html`<p class="faint">Not counted: ${line(problem.message, 200)}</p>`}
    ${parse(query).terms.some((one) => one.name === "score") && html`<p class="faint">Counted without regard to the score.</p>`}
  </nav>`;
}

/** Groups with values in the order in which they are shown. What is asked for or left out is always among them. */
function groupsOf(store, query) {
  const counts = store.counts.value ?? {};
  const of = (name, title, fixed = null) => {
    const read = counts[name];
    const known = fixed ?? Object.keys(read ?? {}).map((one) => (name === "tlp" && one === "" ? "none" : one)).filter(Boolean);
    const asked = parse(query).terms.filter((one) => one.name === name).flatMap((one) => (fixed ? [] : [one.value]));
    const many = (value) => (read ? read[name === "tlp" && value === "none" ? "" : value] ?? 0 : read);
    const values = [...new Set([...known, ...asked])];
    return { name, title, values, many, canLeaveOut: name !== "status", isUnknown: read === null && !fixed };
  };
  const isQueue = !store.base.level && !store.base.overdue;
  const work = [...(analyst.value === null ? [] : ["mine"]), ...(isQueue ? ["overdue"] : [])];
  return [
    of("severity", "Severity", SEVERITIES),
    ...(isQueue ? [of("status", "Status", STATUSES)] : []),
    ...(store.base.level ? [] : [{ name: "is", title: "Work", values: work, many: (value) => counts[value], canLeaveOut: false }]),
    of("source", "Source"), of("tag", "Tag"), of("tlp", "TLP"),
  ].filter((group) => group.values.length || group.isUnknown);
}

/** Under a pointer or the focus values keep their places; new ones come last. */
function useSteady(box, groups) {
  const places = useRef(new Map());
  const isUsed = box.current?.matches(":hover, :focus-within") ?? false;
  const shown = groups.map((group) => {
    const before = isUsed ? places.current.get(group.name) ?? [] : [];
    return { ...group, values: [...new Set([...before, ...group.values])] };
  });
  places.current = new Map(shown.map((group) => [group.name, group.values]));
  return shown;
}

function Group({ group, query, press, stop, setHere }) {
  const [isWhole, setWhole] = useState(false);
  const { name, title, values } = group;
  const isAsked = (value) => has(query, { name, value }) || has(query, { name, value, not: true });
  const shown = isWhole ? values : values.filter((value, at) => at < FEW || isAsked(value));
  return html`<fieldset><legend>${title}</legend>
    ${group.isUnknown && html`<p class="faint">Too many to count.</p>`}
    ${shown.map((value) => html`<${Value} key=${value} group=${group} value=${value} query=${query} press=${press}
      isStop=${stop === `${name}:${value}`} setHere=${setHere} />`)}
    ${values.length > shown.length && html`<button type="button" class="quiet more" onClick=${() => setWhole(true)}>${values.length - shown.length} more</button>`}
    ${isWhole && values.length > FEW && html`<button type="button" class="quiet more" onClick=${() => setWhole(false)}>Fewer</button>`}</fieldset>`;
}

function Value({ group, value, query, press, isStop, setHere }) {
  const { name, canLeaveOut } = group;
  const many = group.many(value);
  const told = many === null ? "many" : many === undefined ? "" : few(many);
  const isOut = has(query, { name, value, not: true });
  const only = { name, value, not: false };
  const out = { name, value, not: true };
  const onPress = (event) => press(canLeaveOut && (event.shiftKey || event.altKey) ? out : isOut ? out : only);
  const word = line(value, 300);
  return html`<div class="facet" data-out=${isOut} data-none=${many === 0}>
    <button type="button" class="value" aria-pressed=${isOn(query, only)} tabindex=${isStop ? 0 : -1} data-name=${name}
      title=${many ? `${word}: ${count(many)}` : word} onFocus=${() => setHere(`${name}:${value}`)} onClick=${onPress}>
      <bdi>${line(value, 60)}</bdi>${isOut && html`<span class="unseen"> is left out</span>`}<span class="many">${isOut ? "" : told}</span></button>
    ${canLeaveOut && html`<button type="button" class="less" tabindex="-1" aria-pressed=${isOut} title=${`Without ${word} (-)`}
      aria-label=${`Without ${name} ${line(value, 60)}`} onClick=${() => press(out)}>−</button>`}</div>`;
}

/** One of several severities is on as well. */
function isOn(query, { name, value }) {
  return parse(query).terms.some((one) => one.name === name && !one.not
    && (one.value === value || (name === "severity" && one.value.split(",").includes(value))));
}

/** What fits of what is known already, on its own page. */
function Known({ counts, query }) {
  const found = [["2", "Short-term"], ["3", "Long-term"]].filter(([level]) => counts?.[level]);
  if (!found.length) return null;
  const q = print(parse(query).terms.filter((one) => !NOT_KNOWN.includes(one.name)));
  return html`<fieldset><legend>Known already</legend>${found.map(([level, title]) => html`<a key=${level} class="facet value"
    href=${hrefOf("knowledge", { level, q })}><bdi>${title}</bdi><span class="many">${brief(counts[level])}</span></a>`)}</fieldset>`;
}

const STEPS = { ArrowDown: 1, ArrowUp: -1, Home: -1e9, End: 1e9 };

function onKey(event, box) {
  if (event.ctrlKey || event.metaKey) return;
  const all = [...box.current.querySelectorAll("button.value")];
  const at = all.indexOf(document.activeElement);
  if (event.key in STEPS) {
    event.preventDefault();
    all[Math.max(0, Math.min(all.length - 1, at + STEPS[event.key]))]?.focus();
  } else if (event.key === "-" && at >= 0) {
    event.preventDefault();
    all[at].parentElement.querySelector(".less")?.click();
  } else if (event.key === "Escape" && !isSmall.value) {
    event.preventDefault();
    toList();
  }
}

// When what fits was first seen: small bars over the list; pressed or drawn over they become `seen:`.

const PARTS = 48;
const DAY_MS = 86_400_000;
const PART_MS = DAY_MS / PARTS;
const HEIGHT = 26;

export function Histogram({ store, query, setQuery }) {
  return timesOpen.value ? html`<${Times} store=${store} query=${query} setQuery=${setQuery} />` : null;
}

/** What is drawn: as `seen:` says, else the last 24 hours in parts that stand still. */
function stretch(query) {
  const seen = parse(query).terms.find((one) => one.name === "seen");
  const at = now();
  const wanted = seen && stretchOf(seen.value, at);
  if (!wanted) {
    const until = Math.ceil(at / PART_MS) * PART_MS;
    return { from: until - DAY_MS, until };
  }
  const until = wanted.until ?? Math.max(at, (wanted.from ?? 0) + 1);
  return { from: wanted.from ?? Math.max(0, until - DAY_MS), until };
}

function useTimes(store, query) {
  const [told, set] = useState({});
  usePaced(store, query, async (until) => {
    if (parse(query).problem) return false;
    try {
      const found = await get("/v1/histogram", { ...counted(store, query), ...stretch(query), buckets: PARTS }, { until });
      set({ query, found });
      return isLate(store, found);
    } catch (problem) {
      if (problem.name !== "AbortError") set({ query, problem });
      return false;
    }
  });
  return told;
}

function Times({ store, query, setQuery }) {
  const told = useTimes(store, query);
  const [marked, mark] = useState(null); // {from, to}: numbers of bars
  useEffect(() => mark(null), [query]);
  const { found } = told;
  const bars = found?.counts ?? [];
  const take = (range) => {
    const { from, until } = edges(found, range);
    setQuery(added(query, { name: "seen", value: `${written(from)}..${written(until)}` }));
  };
  const seen = parse(query).terms.find((one) => one.name === "seen");
  return html`<div class="times" role="group" aria-label="When it was first seen">
    ${found && !found.counts ? html`<p class="faint bars">Too many to count by time.</p>`
      : told.problem ? html`<p class="faint bars">No times: ${line(told.problem.message, 200)}</p>`
        : html`<${Bars} bars=${bars} found=${found} marked=${marked} mark=${mark} take=${take} />`}
    <p class="told"><${Told} found=${found} marked=${marked} isAll=${!seen} /></p>
    ${seen && html`<button type="button" class="quiet" onClick=${() => setQuery(without(query, seen))}>All times</button>`}
    <button type="button" class="quiet" aria-label="Hide the times" title="Hide the times" onClick=${() => { timesOpen.value = false; }}>×</button></div>`;
}

/** One control, as a slider: arrows move, with Shift they draw on, Enter takes. */
function Bars({ bars, found, marked, mark, take }) {
  const box = useRef(null);
  const drawn = useRef(false);
  const last = bars.length - 1;
  const most = Math.max(1, ...bars);
  const place = (event) => {
    const { left, width } = box.current.getBoundingClientRect();
    return Math.max(0, Math.min(last, Math.floor(((event.clientX - left) / width) * bars.length)));
  };
  const onKey = (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1, Home: -1e9, End: 1e9 }[event.key];
    if (last < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    if (by) {
      const to = Math.max(0, Math.min(last, (marked?.to ?? last + (by < 0 ? 1 : 0)) + by));
      mark({ from: event.shiftKey ? marked?.from ?? to : to, to });
    } else if ((event.key === "Enter" || event.key === " ") && marked) take(marked);
    else if (event.key === "Escape" && marked) mark(null);
    else return;
    event.preventDefault();
  };
  const down = (event) => {
    if (last < 0 || event.button !== 0) return;
    drawn.current = true;
    box.current.setPointerCapture(event.pointerId);
    mark({ from: place(event), to: place(event) });
  };
  const move = (event) => {
    if (last < 0) return;
    const at = place(event);
    if (drawn.current ? at !== marked?.to : at !== marked?.to || at !== marked?.from) mark({ from: drawn.current ? marked?.from ?? at : at, to: at });
  };
  const up = () => {
    if (drawn.current && marked) take(marked);
    drawn.current = false;
  };
  const leave = () => drawn.current || document.activeElement === box.current || mark(null);
  const [low, high] = marked ? [Math.min(marked.from, marked.to), Math.max(marked.from, marked.to)] : [0, -1];
  return html`<div class="bars" ref=${box} role="slider" tabindex="0" aria-label="First seen: arrows move, Shift draws on, Enter filters"
      aria-valuemin="1" aria-valuemax=${Math.max(1, bars.length)} aria-valuenow=${marked ? marked.to + 1 : Math.max(1, bars.length)}
      aria-valuetext=${marked && found ? textOf(found, marked) : summary(found)} onKeyDown=${onKey} onPointerDown=${down} onPointerMove=${move}
      onPointerUp=${up} onPointerCancel=${() => { drawn.current = false; mark(null); }} onPointerLeave=${leave}>
    <svg viewBox=${`0 0 ${Math.max(1, bars.length)} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      ${bars.map((many, at) => html`<g key=${at} class=${at >= low && at <= high ? "on" : ""}>
        <rect class="back" x=${at} y="0" width="1" height=${HEIGHT} />${many > 0 && html`<rect x=${at + 0.12} width="0.76"
          y=${HEIGHT - barOf(many, most)} height=${barOf(many, most)} />`}</g>`)}</svg><${Marks} found=${found} /></div>`;
}

function Marks({ found }) {
  if (!found?.counts) return null;
  const { from_ms: from, until_ms: until } = found;
  const of = (ms) => (ms + PART_MS > now() ? "now" : short(ms, found).replace(/(:\d\d):00$/, "$1"));
  return html`<span class="marks" aria-hidden="true">${[from, (from + until) / 2, until].map((ms) => html`<span>${of(ms)}</span>`)}</span>`;
}

const barOf = (many, most) => Math.max(2, (many / most) * (HEIGHT - 2));

function Told({ found, marked, isAll }) {
  if (!found?.counts) return null;
  if (marked) return textOf(found, marked);
  return html`${summary(found)}<span class="faint"> ${isAll ? "first seen in 24 h" : "in this time"}</span>`;
}

const summary = (found) => (found?.counts ? count(found.total) : "");

function edges(found, { from, to }) {
  const start = found.from_ms + Math.min(from, to) * found.bucket_ms;
  const end = found.from_ms + (Math.max(from, to) + 1) * found.bucket_ms;
  return { from: start, until: Math.min(end, found.until_ms) };
}

function textOf(found, range) {
  const { from, until } = edges(found, range);
  const many = found.counts.slice(Math.min(range.from, range.to), Math.max(range.from, range.to) + 1).reduce((sum, one) => sum + one, 0);
  return `${count(many)}: ${short(from, found)} to ${short(until, found)}`;
}

/** The time of day; with the day where more than one is drawn, with seconds where parts are short. */
function short(ms, found) {
  const [day, time] = written(Math.floor(ms / 1000) * 1000).split("T");
  if (!time) return written(ms);
  return found.until_ms - found.from_ms > DAY_MS ? `${day.slice(5)} ${time.slice(0, 5)}` : time;
}
