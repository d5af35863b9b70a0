// The keys of a list, and how the list answers.

import { canUndo, ENDS, last, perform, takeNext, told, undo, watchers } from "../acts/acts.js";
import { choose } from "../acts/choose.js";
import { count } from "../core/format.js";
import { tick } from "../core/clock.js";
import { bind } from "../core/keys.js";
import { added } from "../core/query.js";
import { may } from "../core/session.js";
import { line, ofFilter } from "../core/text.js";
import { effect, html, signal, untracked, useEffect, useLayoutEffect } from "../html.js";
import { PAGE, RECALLED } from "./store.js";
import { Dialog, say } from "../ui/dialog.js";

// The values of the row under the cursor, to filter by from the keyboard: `f` only, `F` without.

const asked = signal(null);

/** Asks by which of a row's values to filter; `not`: which to leave out. */
function pickFilter(row, not) {
  asked.value = { row, not };
}

function termsOf(row, columns) {
  const cells = columns.map((one) => one.term?.(row)).filter((one) => one && one.value !== "");
  return [...cells, ...row.tags.map((value) => ({ name: "tag", value }))];
}

export function CellMenu({ store, columns, setQuery }) {
  useEffect(() => () => { asked.value = null; }, []);
  if (asked.value === null) return null;
  const { row, not } = asked.value;
  const items = termsOf(row, columns).filter((one) => !not || !one.only);
  if (!items.length) return null;
  const close = () => { asked.value = null; };
  const take = ({ name, value }, isOut) => {
    close();
    setQuery(added(store.query.value, { name, value, not: isOut }));
  };
  const title = `${not ? "Without" : "Only"} what this one has: ${line(row.title || row.threat_id, 60)}`;
  return html`<${Dialog} name="cell-filters" title=${title} onClose=${close}><div class="choices" onKeyDown=${(event) => onKey(event, items, not, take)}>
    ${items.map((one, at) => html`<button type="button" key=${at} autofocus=${at === 0} onClick=${(event) => take(one, !one.only && event.shiftKey !== not)}>
      ${at < 9 && html`<kbd>${at + 1}</kbd>`} <span class="faint">${not ? "without" : "only"} ${one.name}</span> <bdi>${ofFilter(one, 80)}</bdi></button>`)}
    <p class="faint">A number takes one; with <kbd>Shift</kbd> the other way round.</p></div></${Dialog}>`;
}

function onKey(event, items, not, take) {
  const all = [...event.currentTarget.querySelectorAll("button")];
  const by = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code)?.[1] ?? event.key;
  const one = /^[1-9]$/.test(digit) ? items[digit - 1] : null;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (by) all[Math.max(0, Math.min(all.length - 1, all.indexOf(document.activeElement) + by))]?.focus();
  else if (one) take(one, !one.only && event.shiftKey !== not);
  else return;
  event.preventDefault();
}

const FAR = 10;

/** Binds the keys while the list is shown. `panel` is {open(id), close(), isOpen(), id()}. */
export function useListKeys(store, panel, onQuery) {
  useEffect(() => {
    const ends = [bind("List", moves(store, panel, onQuery)), bind("Threat", deeds(store, panel))];
    return () => ends.forEach((end) => end());
  }, [store, panel]);
}

function moves(store, panel, onQuery) {
  const go = (by) => () => {
    const id = store.move(by);
    if (panel.isOpen() && id !== null) panel.open(id, { passing: true });
  };
  const reach = (by) => () => {
    const order = store.order.value;
    const to = order[Math.max(0, Math.min(order.length - 1, order.indexOf(store.cursor.value) + by))];
    if (to !== undefined && !store.extend(to)) tooMany();
  };
  return [
    { keys: ["j", "ArrowDown"], label: "Next", run: go(1), repeats: true },
    { keys: ["k", "ArrowUp"], label: "Previous", run: go(-1), repeats: true },
    { keys: ["J", "Shift+ArrowDown"], label: "Select on to the next", run: reach(1), repeats: true },
    { keys: ["K", "Shift+ArrowUp"], label: "Select on to the previous", run: reach(-1), repeats: true },
    { keys: ["PageDown"], label: "Ten on", run: go(FAR), repeats: true },
    { keys: ["PageUp"], label: "Ten back", run: go(-FAR), repeats: true },
    { keys: ["g g", "Home"], label: "First", run: go(-1e9) },
    { keys: ["G", "End"], label: "Last that is shown", run: go(1e9) },
    { keys: ["Enter"], label: "Open", run: () => enter(store, panel) },
    { keys: ["Escape"], label: "Back: close, else unselect", run: () => back(store, panel),
      when: () => panel.isOpen() || store.selected.value.size > 0 },
    { keys: ["x"], label: "Select", run: () => store.cursor.value !== null && store.toggle(store.cursor.value) },
    { keys: ["X"], label: `Select all that is shown, up to ${PAGE}`, run: () => all(store) },
    { keys: ["Space"], label: "Show the list as it is now", run: () => store.apply() },
    { keys: ["r"], label: "Read the list anew", run: () => store.load() },
    ...(onQuery ? filters(store) : []),
  ];
}

function filters(store) {
  const by = (not) => () => pickFilter(store.row(store.cursor.value), not);
  const when = () => store.row(store.cursor.value) !== null;
  return [
    { keys: ["f"], label: "Only what has a value of this row…", run: by(false), when },
    { keys: ["F"], label: "Without a value of this row…", run: by(true), when },
  ];
}

function enter(store, panel) {
  if (store.cursor.value !== null && !store.hasJustMoved()) panel.open(store.cursor.value);
}

function back(store, panel) {
  if (panel.isOpen()) panel.close();
  else store.select([]);
}

function all(store) {
  const shown = store.order.value.filter((id) => !store.done.value.has(id));
  if (!shown.length) say("There is nothing to select.");
  else if (!store.select(shown)) tooMany();
}

const tooMany = () => say(`No more than ${PAGE} can be selected at once.`);

function deeds(store, panel) {
  const act = (name, fields) => () => onSubjects(store, panel, name, fields);
  const ask = (name) => act(name, null);
  const can = () => may("act") && (store.subjects.length > 0 || panel.isOpen());
  return [
    { keys: ["c"], label: "Claim", run: act("claim"), when: can },
    { keys: ["C"], label: "Take over from whoever has it claimed", run: act("claim", { take_over: true }), when: can },
    { keys: ["n"], label: "Claim the next best", run: () => takeNext(store, panel), when: () => may("act") },
    { keys: ["e"], label: "Escalate", run: act("escalate"), when: can },
    { keys: ["d"], label: "Dismiss", run: act("dismiss"), when: can },
    { keys: ["m"], label: "Monitor", run: act("monitor"), when: can },
    { keys: ["i"], label: "Investigate", run: act("investigate"), when: can },
    { keys: ["o"], label: "Outcome…", run: ask("decide"), when: can },
    { keys: ["s"], label: "Snooze…", run: ask("snooze"), when: can },
    { keys: ["w"], label: "Comment…", run: ask("comment"), when: can },
    { keys: ["O"], label: "Reopen", run: act("reopen"), when: can },
    { keys: ["R"], label: "Recall to work", run: act("recall"), when: can },
    { keys: ["."], label: "Repeat the last act", when: () => can() && last.value !== null,
      run: () => onSubjects(store, panel, last.value.act, last.value.fields) },
    { keys: ["u", "Ctrl+z"], label: "Undo", run: undo, when: () => canUndo.value },
  ];
}

/** Does it to what is selected, else under the cursor; what is open comes first where it is neither. `fields` null: asks for them. */
function onSubjects(store, panel, act, fields = {}) {
  if (store.hasJustMoved()) return say("The list has just moved by itself: look, and press again.");
  const all = panel.isOpen() && !store.selected.value.size ? [panel.id()] : store.subjects;
  const left = all.map((id) => unfit(store, act, id)).filter(Boolean);
  const ids = all.filter((id) => !left.some((one) => one.threat_id === id));
  if (!ids.length) return say(told(act, { changed: [], skipped: left }));
  return fields ? perform(act, ids, fields, { left }) : choose(act, ids, { left });
}

const CLOSED = ["closed"];
const UNFIT = { escalate: CLOSED, dismiss: ["closed", "dismissed"], monitor: CLOSED, investigate: CLOSED, snooze: CLOSED, reopen: ["open"] };

/** Returns an act as skipped that makes no sense, from what is known here; null where it may. */
function unfit(store, act, id) {
  const row = store.row(id);
  const status = store.done.value.get(id) ?? row?.status;
  const why = `already ${status}`;
  return row?.level === 1 && UNFIT[act]?.includes(status) ? { threat_id: id, type: act, title: why, detail: why } : null;
}

// What is selected, for those who have no keys at hand.

const OF_MANY = [["claim", "Claim"], ["escalate", "Escalate"], ["dismiss", "Dismiss"], ["decide", "Outcome…", null], ["snooze", "Snooze…", null]];

export function Picked({ store, panel }) {
  const many = store.selected.value.size;
  useLayoutEffect(() => { // it takes room from the list
    if (many) document.querySelector('.row[tabindex="0"]')?.scrollIntoView({ block: "nearest" });
  }, [many > 0]);
  return html`<div class=${many ? "picked" : ""}><span role="status">${many > 0 && html`<b>${many} selected</b> of ${
    count(store.order.value.length)} shown${panel.isOpen() && ": keys act on these, not on the open one"}`}</span>${many > 0 && html`
    ${may("act") && OF_MANY.slice(store.isKnown ? 1 : 0).map(([act, text, fields]) => html`<button type="button" key=${act}
      onClick=${() => onSubjects(store, panel, act, fields)}>${text}</button>`)}
    <button type="button" class="quiet" onClick=${() => store.select([])}>Clear</button>`}</div>`;
}

// How a list answers acts: what is done is marked, and the next one comes under the cursor.

/** Watches acts while the list is shown. */
export function useTriage(store, panel) {
  useEffect(() => {
    const ends = store.isKnown ? { ...ENDS, recall: RECALLED } : ENDS;
    const take = (items) => {
      for (const one of items) store.mine.set(one.threat_id, one.row?.revision);
      store.take(items.map((one) => one.row).filter(Boolean));
      store.look(items.filter((one) => !one.row).map((one) => one.threat_id));
    };
    const watcher = {
      before(act, ids) {
        for (const id of ids) store.mine.set(id, Infinity);
        if (!(act in ends)) return;
        const ended = act === "dismiss" ? ids.filter((id) => !staysOpen(store.row(id))) : ids;
        store.mark(ended, ends[act]);
        if (ended.includes(store.cursor.value)) advance(store, panel);
        if (ids.length > 1 || store.selected.value.size) store.select([]);
      },
      after(act, ids, receipt) {
        const changed = new Set(receipt?.changed.map((one) => one.threat_id) ?? []);
        for (const id of ids) store.mine.delete(id);
        if (act in ends) store.mark(ids.filter((id) => !changed.has(id)), null);
        take(receipt?.changed ?? []);
        if (receipt === null) store.look(ids); // it may have been done all the same
      },
      undone(items) {
        take(items);
        if (items.length === 1 && store.row(items[0].threat_id)) store.cursor.value = items[0].threat_id;
      },
    };
    watchers.add(watcher);
    return () => watchers.delete(watcher);
  }, [store, panel]);
}

/** Says whether it outlives a dismissal: it was escalated more often. */
const staysOpen = (row) => row?.level === 1 && row.status === "open" && row.dismissals < row.escalations;

function advance(store, panel) {
  const before = store.cursor.value;
  let id = store.move(1, { open: true });
  if (store.done.value.has(id)) id = store.move(-1, { open: true });
  if (panel.isOpen() && id !== null && id !== before && !store.done.value.has(id)) panel.open(id, { passing: true });
  else if (panel.isOpen() && store.done.value.has(id)) panel.close();
}

// When a list may move by itself: not under a hand, a selection or an open panel.

const IDLE_MS = 15_000;
const LOADED = 100;
let lastTouch = 0;

/** Somebody is at it: keys, pointer, scrolling. */
export function touched() {
  lastTouch = performance.now();
}

/** Says whether nobody has touched the page for a while. */
const isIdle = () => performance.now() - lastTouch > IDLE_MS;

/** Holds the order that a store shows while somebody is at it. `isOpen()`: something is open beside it. */
export function hold(store, isOpen) {
  store.isHeld = () => !isSpent(store)
    && (store.selected.value.size > 0 || isOpen() || !isIdle() || store.order.value.length > LOADED);
  store.letGo = effect(() => {
    tick.value;
    untracked(() => {
      if (store.latest.value && !store.isHeld()) store.follow();
    });
  });
}

/** Nothing is there, or nothing that is left to do: there is no place to lose. */
const isSpent = (store) => store.order.value.every((id) => store.done.value.has(id));

addEventListener("keydown", touched, { capture: true });
addEventListener("pointerdown", touched, { capture: true });
