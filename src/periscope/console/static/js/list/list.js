// The dense table: a grid with one row in the tab order, which the keys move.

import { Component } from "../../vendor/preact.js";
import { busy } from "../acts/acts.js";
import { now, tick } from "../core/clock.js";
import { count, LEVELS, span, words } from "../core/format.js";
import { added, nameOf } from "../core/query.js";
import { line, ofFilter } from "../core/text.js";
import { effect, html, useEffect, useLayoutEffect, useRef, useState } from "../html.js";
import { CellMenu, touched } from "./commands.js";
import { Age, Indicator, Score, Severity, Text, Tlp, Trouble } from "../ui/parts.js";

// One threat of a list.

/**
 * Columns in their order: name, heading, and what a cell of it is filtered by. A list of something
 * else brings its own; `cell` draws those that are not among the ones here.
 */
export const COLUMNS = [
  { name: "pick", head: "" },
  { name: "severity", head: "Sev.", term: (row) => ({ name: "severity", value: row.severity }) },
  { name: "score", head: "Score" },
  { name: "title", head: "Threat" },
  { name: "count", head: "Seen" },
  { name: "source", head: "Source", term: (row) => ({ name: "source", value: row.source }) },
  { name: "tlp", head: "TLP", term: (row) => ({ name: "tlp", value: row.tlp || "none" }) },
  { name: "indicator", head: "Indicator",
    term: (row) => row.indicator && ({ name: "indicator", value: row.indicator.value, only: true }) },
  { name: "age", head: "Age" },
  { name: "holder", head: "Holder", term: (row) => ({ name: "holder", value: row.holder || "nobody", only: true }) },
  { name: "status", head: "Status", term: (row) => ({ name: "status", value: row.status, only: true }) },
];

/** `list` tells of presses; the rest is what the row shows. As time passes it is drawn anew from outside (`isStill`). */
export function Row({ box, beat, row, at, list, columns, isHere, isPicked, isBusy, done }) {
  const id = row.threat_id;
  // Twenty buttons a row, for the mouse alone: they are made where it is.
  const [isHovered, hover] = useState(false);
  const isNear = isHovered && list.canFilter;
  return html`<div class="row" role="row" ref=${box} id=${`row-${at}`} data-id=${id} data-here=${isHere} data-busy=${isBusy}
      data-done=${done ?? null} data-severity=${row.severity} aria-selected=${isPicked} aria-rowindex=${at + 2}
      aria-busy=${isBusy ? "true" : null} aria-label=${spoken(row, done)} tabindex=${isHere ? 0 : -1} onClick=${(event) => list.pressed(event, id)}
      onPointerEnter=${() => hover(true)} onPointerLeave=${() => hover(false)}>
    <span role="gridcell" data-col="pick"><input type="checkbox" tabindex="-1" checked=${isPicked}
      aria-label=${`Select ${line(row.title || id, 80)}`} onClick=${(event) => list.picked(event, id)} /></span>
    ${columns.slice(1).map((one) => html`<span role="gridcell" data-col=${one.name} key=${one.name}>
      <${one.cell ?? CELLS[one.name]} row=${row} done=${done} beat=${beat} isStill />${isNear && html`<${Filters} column=${one} row=${row} list=${list} />`}</span>`)}
  </div>`;
}

/** What is read aloud of a row that one comes to; its cells say the rest. */
function spoken(row, done) {
  const held = row.holder && (row.holder_until_ms ?? 0) > now();
  return [row.severity.toLowerCase(), line(row.title || row.threat_id, 160), row.source && line(row.source, 60),
    row.overdue && "overdue", held && `held by ${line(row.holder, 40)}`, done ? words(done) : row.status !== "open" && row.status]
    .filter(Boolean).join(", ");
}

/** Filters in and out from a cell, by the mouse; `f` and `F` ask by which, from the keyboard. */
function Filters({ column, row, list }) {
  const term = column.term?.(row);
  if (!term || (column.name === "source" && !row.source)) return null;
  const press = (not) => (event) => {
    event.stopPropagation();
    list.filter({ name: term.name, value: term.value, not });
  };
  const what = `${term.name} ${ofFilter(term)}`;
  return html`<span class="filters"><button type="button" tabindex="-1" title=${`Only ${what}`}
      aria-label=${`Only ${what}`} onClick=${press(false)}>+</button>${!term.only && html`<button type="button"
      tabindex="-1" title=${`Without ${what}`} aria-label=${`Without ${what}`} onClick=${press(true)}>−</button>`}</span>`;
}

function Title({ row }) {
  return html`<span class="headline"><${Text} of=${row.title || row.threat_id} most=${200} /></span>
    <span class="under">${row.title && row.title !== row.threat_id && html`<${Text} of=${row.threat_id} most=${80} class="id" />`}
      ${row.tags.slice(0, 4).map((tag) => html`<${Text} of=${tag} most=${32} class="tag" />`)}</span>`;
}

function Count({ row }) {
  return html`<b>×${count(row.sightings + 1)}</b> <span class="faint">${span(now() - row.last_activity_ms)}</span>`;
}

function Holder({ row }) {
  const held = row.holder && (row.holder_until_ms ?? 0) > now();
  return held ? html`<${Text} of=${row.holder} most=${40} class="holder" />` : html`<span class="faint">–</span>`;
}

function Status({ row, done }) {
  if (done) return html`<span class="status" data-status=${done}>${words(done)}</span>`;
  const recalled = row.level === 1 && row.home > 1;
  return html`<span class="status" data-status=${row.status}>${row.level > 1 ? LEVELS[row.level] : row.status}</span>
    ${row.latched && html`<span class="mark" title="will be promoted">↑</span>`}
    ${recalled && html`<span class="mark" title=${`recalled from ${LEVELS[row.home]}`}>↩</span>`}`;
}

const CELLS = {
  severity: ({ row }) => html`<${Severity} of=${row.severity} />`,
  score: Score,
  title: Title,
  count: Count,
  source: ({ row }) => html`<${Text} of=${row.source || "–"} most=${60} />`,
  tlp: ({ row }) => html`<${Tlp} of=${row.tlp} />`,
  indicator: ({ row }) => html`<${Indicator} of=${row.indicator} />`,
  age: Age,
  holder: Holder,
  status: Status,
};

// A row that is drawn anew only where something of it changed: a hundred others are not. What
// changes with time alone, ages and scores, moves only in the rows that are in view.

const HOUR_MS = 3_600_000;
const rows = new WeakMap();
const inView = new Set();

const eye = new IntersectionObserver((entries) => {
  for (const one of entries) {
    const row = rows.get(one.target);
    if (!one.isIntersecting) inView.delete(row);
    else if (row && !inView.has(row)) {
      inView.add(row);
      row.beat();
    }
  }
}, { rootMargin: "40px" });

effect(() => {
  const isTenth = tick.value % 10 === 0;
  for (const row of inView) {
    if (isTenth || row.isYoung()) row.beat();
  }
});

class MemoRow extends Component {
  box = { current: null };

  componentDidMount() {
    this.element = this.box.current;
    rows.set(this.element, this);
    eye.observe(this.element);
  }

  componentWillUnmount() {
    eye.unobserve(this.element);
    inView.delete(this);
  }

  /** Says whether seconds are seen on it. */
  isYoung() {
    const { first_seen_ms: first, last_activity_ms: latest } = this.props.row;
    return now() - Math.max(first, latest) < HOUR_MS;
  }

  /** Draws it anew: time has passed. */
  beat() {
    this.setState({ at: performance.now() });
  }

  shouldComponentUpdate(next, state) {
    const before = this.props;
    return state !== this.state || Object.keys(next).some((name) => next[name] !== before[name]);
  }

  render(props) {
    return html`<${Row} ...${props} box=${this.box} beat=${this.state.at ?? 0} />`;
  }
}

/**
 * Shows a `ListStore`. `open(id)` opens a threat beside it; `onQuery(text)` is told when a cell
 * filters (none: cells do not). `isKnown`: of level 2 or 3.
 */
export function List({ store, open, onQuery = null, label, columns = COLUMNS, isKnown = false, empty }) {
  const box = useRef(null);
  const order = store.order.value;
  const rows = store.rows.value;
  const here = store.cursor.value;
  const list = useListeners(store, open, onQuery);
  const { isDrawn, isWhole } = useSlices(order, here);
  useFocus(box, here, store.loading.value);
  useEnd(box, store, isWhole);
  return html`<div class="list" ref=${box} data-known=${isKnown} onPointerMove=${touched} onScroll=${touched}>
    <div role="grid" aria-label=${label} aria-rowcount=${store.total.value === null ? -1 : store.total.value + 1}
        aria-multiselectable="true" aria-busy=${store.loading.value}>
      <div class="row head" role="row" aria-rowindex="1">${columns.map((one) => html`<span role="columnheader"
        data-col=${one.name} key=${one.name}>${one.head || html`<span class="unseen">select</span>`}</span>`)}</div>
      ${order.map((id, at) => isDrawn(id) && html`<${MemoRow} key=${id} row=${rows.get(id)} at=${at} list=${list} isHere=${id === here}
        isPicked=${store.selected.value.has(id)} isBusy=${busy.value.has(id)} done=${store.done.value.get(id) ?? null}
        columns=${columns} />`)}
    </div>
    ${onQuery && html`<${CellMenu} store=${store} columns=${columns} setQuery=${onQuery} />`}
    ${store.problem.value && !isOfQuery(store.problem.value) && html`<${Trouble} problem=${store.problem.value} onAgain=${() => store.load()} />`}
    ${!order.length && !store.loading.value && !store.problem.value && empty}
    <${Foot} store=${store} />
  </div>`;
}

const SLICE = 30;

/** Rows that are new below the cursor come some in each frame: a hundred at once hold up the next key. */
function useSlices(order, here) {
  const [, again] = useState(0);
  const drawn = useRef(new Set());
  const until = order.indexOf(here);
  let left = SLICE;
  const shown = new Set(order.filter((id, at) => at <= until || drawn.current.has(id) || left-- > 0));
  const isWhole = shown.size === order.length;
  useEffect(() => {
    drawn.current = shown;
    const frame = isWhole ? 0 : requestAnimationFrame(again);
    return () => cancelAnimationFrame(frame);
  });
  return { isDrawn: (id) => shown.has(id), isWhole };
}

/** What is wrong with the query is told by the filter bar. */
const isOfQuery = (problem) => problem.isQuery || nameOf(problem.field) !== null;

function Foot({ store }) {
  const loaded = store.order.value.length;
  const total = store.total.value;
  const told = total === null ? `${count(loaded)} shown` : `${count(loaded)} of ${count(total)} shown`;
  return html`<p class="foot">${store.loading.value ? "Reading…" : loaded ? told : ""}
    ${store.next.value && !store.loading.value && html` <button type="button" onClick=${() => store.more()}>More</button>`}</p>`;
}

function useListeners(store, open, onQuery) {
  const kept = useRef(null);
  kept.current ??= {};
  return Object.assign(kept.current, {
    canFilter: onQuery !== null,
    pressed(event, id) {
      if (event.target.closest("button, input, a") || store.hasJustMoved()) return;
      if (event.shiftKey) return store.extend(id);
      store.cursor.value = id;
      if (event.ctrlKey || event.metaKey) return store.toggle(id);
      return open(id);
    },
    picked(event, id) {
      event.stopPropagation();
      if (store.hasJustMoved()) return event.preventDefault();
      if (event.shiftKey) store.extend(id);
      else store.toggle(id);
      store.cursor.value = id;
      return undefined;
    },
    filter: (term) => store.hasJustMoved() || onQuery(added(store.query.value, term)),
  });
}

/** The row under the cursor has the focus, unless somebody is at something else. */
function useFocus(box, ...moved) {
  useLayoutEffect(() => focusRow(box.current, true), moved);
  useLayoutEffect(() => focusRow(box.current, false)); // rows that change places lose it on the way
}

function focusRow(box, isNew) {
  const row = box.querySelector('.row[tabindex="0"]');
  const active = document.activeElement;
  const isFree = [document.body, document.getElementById("main"), null].includes(active) || (isNew && box.contains(active));
  if (row && row !== active && isFree) row.focus({ preventScroll: true });
  if (row && isNew) row.scrollIntoView({ block: "nearest" });
}

/** Further pages come as their place comes into view. */
function useEnd(box, store, isWhole) {
  useEffect(() => {
    if (!isWhole) return undefined;
    const foot = box.current.querySelector(".foot");
    const seen = new IntersectionObserver((entries) => {
      if (entries.some((one) => one.isIntersecting)) store.more();
    }, { root: box.current, rootMargin: "600px" });
    seen.observe(foot);
    return () => seen.disconnect();
  }, [store, isWhole]);
}

// What would change if the list were drawn anew, and the press that does so.

const QUIET_MS = 30_000;

export function Pill({ store }) {
  const { fresh, up, gone } = store.pending.value;
  const told = [fresh && `${count(fresh)} new`, up && `${count(up)} moved up`, gone && `${count(gone)} left`].filter(Boolean).join(", ");
  const spoken = useSpoken(told);
  return html`<span class="unseen" role="status">${spoken}</span>
    ${told && html`<button type="button" class="pill" onClick=${() => store.apply()} title="Show the list as it is now (space)">
      ${told} <kbd>space</kbd></button>`}`;
}

/** What is read aloud of a text that changes every second: the first, and then every half minute. */
function useSpoken(text) {
  const [spoken, speak] = useState("");
  const last = useRef(-QUIET_MS);
  useEffect(() => {
    const wait = text ? Math.max(0, last.current + QUIET_MS - performance.now()) : 0;
    const timer = setTimeout(() => {
      if (text) last.current = performance.now();
      speak(text);
    }, wait);
    return () => clearTimeout(timer);
  }, [text]);
  return spoken;
}
