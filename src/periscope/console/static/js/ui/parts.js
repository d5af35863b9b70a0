// Small things that are drawn in many places.

import { get } from "../core/api.js";
import { now, tick } from "../core/clock.js";
import { count, moment, share, span } from "../core/format.js";
import { bind } from "../core/keys.js";
import { go, hrefOf } from "../core/route.js";
import { policy, score } from "../core/score.js";
import { defanged, line, shown } from "../core/text.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { say } from "./dialog.js";

/** A severity as a bar with its letter: never by colour alone. */
export function Severity({ of }) {
  return html`<span class="severity" data-severity=${of} title=${of}>
    <span aria-hidden="true">${of[0]}</span><span class="unseen">${of.toLowerCase()}</span></span>`;
}

/** Content of others: isolated in its direction, with what cannot be seen named. */
export function Text({ of, most = 300, tag = "bdi", class: name = "" }) {
  return html`<${tag} class=${name} dir="auto">${line(of, most)}<//>`;
}

/** Content of others, with its line breaks. */
export function Block({ of }) {
  return html`<pre class="content" dir="auto">${shown(of)}</pre>`;
}

/** An indicator that nothing takes for a link. */
export function Indicator({ of, most = 120 }) {
  if (!of) return html`<span class="faint">–</span>`;
  return html`<span class="indicator" title=${line(of.type)}><bdi dir="ltr">${defanged(of.value, most)}</bdi></span>`;
}

/** The score now, as a length. `isStill`: whoever shows it has it drawn anew as it falls. */
export function Score({ row, isStill = false }) {
  if (!isStill) tick.value;
  const value = score(policy.value, row, now());
  return html`<span class="score" title=${`score ${value.toFixed(4)}`}>
    <span class="bar"><span style=${{ transform: `scaleX(${Math.min(1, value).toFixed(4)})` }}></span></span>
    <span class="number">${share(value)}</span></span>`;
}

/** A moment, without the day if that is today, and how long ago or ahead it is: not that if `bare`, that alone if `brief`. */
export function When({ ms, bare = false, brief = false }) {
  tick.value;
  if (!ms) return html`<span class="faint">–</span>`;
  const away = now() - ms;
  const told = moment(ms);
  const passed = away < 0 ? `in ${span(away)}` : `${span(away)} ago`;
  const isToday = told.slice(0, 10) === moment(now()).slice(0, 10);
  const exact = new Date(ms).toISOString();
  return html`<time dateTime=${exact} title=${exact}>${brief ? passed : isToday ? told.slice(11) : told.slice(0, 16)}</time>
    ${!bare && !brief && html`<span class="faint"> ${passed}</span>`}`;
}

const ROUND = 2 * Math.PI * 7;

/** How old it is, and how much of the time that it may wait is gone; `isStill` as above. `byLate`: by how much it is late, where it is. */
export function Age({ row, isStill = false, byLate = false }) {
  if (!isStill) tick.value;
  const at = now();
  const gone = Math.min(1, Math.max(0, (at - row.first_seen_ms) / Math.max(1, row.due_ms - row.first_seen_ms)));
  const seen = row.interactions > 0;
  const late = !seen && row.status === "open" && at > row.due_ms;
  const told = seen ? "seen" : late ? `overdue since ${span(at - row.due_ms)}` : `due in ${span(row.due_ms - at)}`;
  return html`<span class="age" data-late=${late} data-seen=${seen} title=${told}>
    <svg viewBox="0 0 18 18" aria-hidden="true"><circle cx="9" cy="9" r="7" class="track" />
      <circle cx="9" cy="9" r="7" class="gone" stroke-dasharray=${`${(gone * ROUND).toFixed(2)} ${ROUND}`}
        transform="rotate(-90 9 9)" /></svg>
    <span>${late && byLate ? `+${span(at - row.due_ms)}` : span(at - row.first_seen_ms)}</span>${late
      && html`<b aria-hidden="true">!</b><span class="unseen"> overdue</span>`}</span>`;
}

/** A traffic light marking, with its word. */
export function Tlp({ of }) {
  if (!of) return html`<span class="faint">–</span>`;
  const word = line(of, 24).replace(/^tlp:/i, "");
  return html`<span class="tlp" data-tlp=${word.toLowerCase()}>${word}</span>`;
}

/** Why something is not there, and what to do. */
export function Trouble({ problem, onAgain }) {
  return html`<div class="trouble" role="alert"><p>${line(problem.message, 500)}</p>
    ${problem.request && html`<p class="faint">Request ${line(problem.request, 64)}</p>`}
    ${onAgain && html`<button type="button" onClick=${onAgain}>Try again</button>`}</div>`;
}

// Copying: also where the browser has no clipboard for us, because the page is not at a secure address.

/** Copies a text as it really is, and says so; `what` names it in fixed words. */
export async function copy(text, what) {
  const done = await written(text);
  say(done ? `Copied ${what}.` : `The browser did not let ${what} be copied.`, { kind: done ? "note" : "error" });
}

export function Copy({ of, what, children = "Copy" }) {
  return html`<button type="button" class="small" aria-label=${`Copy ${what}`} title=${`Copy ${what}`}
    onClick=${() => copy(of, what)}>${children}</button>`;
}

async function written(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return writtenByCommand(text);
  }
}

function writtenByCommand(text) {
  const before = document.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  return done;
}

// A table of records: wide ones scroll, and on a narrow screen each row stacks.

/** `heads` are the headings: "#Name" of a column of numbers, "" of what can be done with a row. */
export function Table({ label, heads, class: name = "", children }) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${label}><table class=${`stack ${name}`}><thead><tr>
    ${heads.map((one) => html`<th scope="col" key=${one} class=${one.startsWith("#") ? "number" : null}>
      ${one.replace("#", "") || html`<span class="unseen">What can be done</span>`}</th>`)}</tr></thead>
    <tbody>${children}</tbody></table></div>`;
}

/** What stands around a list of `usePages`: why it is not there, that it is empty, how to have more of it. */
export function Paged({ list, none, more, children }) {
  const { items, loading, problem, next } = list;
  return html`${problem && html`<${Trouble} problem=${problem} onAgain=${list.again} />`}
    ${!loading && !problem && !items.length && html`<p class="empty">${none}</p>`}${items.length > 0 && children}
    <p class="foot">${loading ? "Reading…" : items.length > 0 && `${count(items.length)} shown`}
      ${next && !loading && html` <button type="button" onClick=${list.more}>${more}</button>`}</p>`;
}

// Parts of a page, one of which is shown: which one is part of the address.

const STEPS = { ArrowRight: 1, ArrowLeft: -1 };

/** `tabs`: [{id, title, total?, where: {page, params}}]; `at` is the id of the one that is shown. */
export function Tabs({ label, tabs, at, panel }) {
  const onKey = (event) => {
    const here = tabs.findIndex((one) => one.id === at);
    const to = { Home: 0, End: tabs.length - 1 }[event.key]
      ?? (STEPS[event.key] ? (here + STEPS[event.key] + tabs.length) % tabs.length : null);
    if (to === null) return;
    event.preventDefault();
    const row = event.currentTarget;
    go(tabs[to].where.page, tabs[to].where.params);
    setTimeout(() => row.querySelector('[aria-selected="true"]')?.focus());
  };
  return html`<div role="tablist" class="parts" aria-label=${label} onKeyDown=${onKey}>
    ${tabs.map((one) => html`<a role="tab" key=${one.id} id=${`tab-${one.id}`} href=${hrefOf(one.where.page, one.where.params)}
      aria-selected=${one.id === at} aria-controls=${panel} tabindex=${one.id === at ? 0 : -1}>${one.title}
      ${one.total !== undefined && html` <span class="faint">${count(one.total)}</span>`}</a>`)}</div>`;
}

// The keys of a small table: they move the focus among what opens a row.

/**
 * Binds j, k, Enter and `more` (as `bind` takes them; `run` gets the row's key) for a table whose rows each
 * have one link or button with `data-row`, its key. Returns the ref of what holds them.
 */
export function useRows(name, more = []) {
  const box = useRef(null);
  const late = useRef(more);
  const last = useRef(0);
  late.current = more;
  useEffect(() => {
    const all = () => [...(box.current?.querySelectorAll("[data-row]") ?? [])];
    const at = () => all().findIndex((one) => one.closest("tr").contains(document.activeElement));
    const here = () => all()[at() < 0 ? last.current : at()] ?? all()[0];
    const move = (by) => () => {
      const rows = all();
      last.current = Math.max(0, Math.min(rows.length - 1, at() < 0 ? last.current : at() + by));
      rows[last.current]?.focus();
      rows[last.current]?.scrollIntoView({ block: "nearest" });
    };
    const own = (one, place) => ({
      ...one,
      run: () => late.current[place].run(here()?.dataset.row),
      when: () => here() !== undefined && (late.current[place]?.when?.(here().dataset.row) ?? true),
    });
    return bind(name, [
      { keys: ["j", "ArrowDown"], label: "Next", repeats: true, run: move(1) },
      { keys: ["k", "ArrowUp"], label: "Previous", repeats: true, run: move(-1) },
      { keys: ["Home"], label: "First", run: move(-1e9) },
      { keys: ["End"], label: "Last", run: move(1e9) },
      { keys: ["Enter"], label: "Open", run: () => here()?.click() },
      ...late.current.map(own),
    ]);
  }, [name]);
  return box;
}

/** Gives the focus back to the row that has this key. */
export function focusRow(box, key) {
  [...(box.current?.querySelectorAll("[data-row]") ?? [])].find((one) => one.dataset.row === key)?.focus();
}

// A list that is read from the API page by page.

const NOTHING = { items: [], next: null, loading: true, problem: null };

/**
 * Reads a list with cursors. Returns {items, next, loading, problem, more(), again()};
 * a new query begins anew.
 */
export function usePages(path, query, size = 100) {
  const key = JSON.stringify(query);
  const [told, set] = useState(NOTHING);
  const [round, setRound] = useState(0);
  const until = useRef(null);
  const read = async (cursor, items) => {
    const mine = until.current.signal;
    try {
      const page = await get(path, { ...query, limit: size, cursor }, { until: mine });
      set({ items: [...items, ...page.items], next: page.next_cursor, loading: false, problem: null });
    } catch (problem) {
      if (!mine.aborted) set((old) => ({ ...old, loading: false, problem }));
    }
  };
  useEffect(() => {
    until.current = new AbortController();
    set((old) => ({ ...old, loading: true, problem: null }));
    read(null, []);
    return () => until.current.abort();
  }, [path, key, round]);
  const more = () => {
    if (told.loading || !told.next) return;
    set((old) => ({ ...old, loading: true }));
    read(told.next, told.items);
  };
  return { ...told, more, again: () => setRound((many) => many + 1) };
}

// Something that is read from the API, and read again.

/**
 * Reads by `ask(signal)` at once, whenever one of `deps` changes, every `everyMs` while the page is
 * seen (0: not), and by `again()`. Returns {value, problem, again}: what was read last stays beside a problem.
 */
export function useReading(ask, deps, everyMs = 0) {
  const [told, set] = useState({ value: null, problem: null });
  const read = useRef(() => {});
  useEffect(() => {
    const until = new AbortController();
    let timer = 0;
    let latest = 0;
    read.current = async () => {
      clearTimeout(timer);
      latest += 1;
      const mine = latest;
      const tell = (more) => {
        if (!until.signal.aborted && mine === latest) set((old) => ({ ...old, ...more }));
      };
      try {
        tell({ value: await ask(until.signal), problem: null });
      } catch (problem) {
        if (problem.name !== "AbortError") tell({ problem });
      }
      if (everyMs && !until.signal.aborted && mine === latest) timer = setTimeout(next, everyMs);
    };
    const next = () => {
      if (document.visibilityState === "visible") read.current();
    };
    read.current();
    if (everyMs) document.addEventListener("visibilitychange", next);
    return () => {
      until.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", next);
    };
  }, deps);
  return { ...told, again: () => read.current() };
}
