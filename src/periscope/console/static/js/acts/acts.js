// What analysts do: done once, in the order in which it was asked for, and told with a receipt.

import { PATIENCE_MS, post } from "../core/api.js";
import { count } from "../core/format.js";
import { analyst } from "../core/session.js";
import { line, quote } from "../core/text.js";
import { computed, signal } from "../html.js";
import { say } from "../ui/dialog.js";

// Acts and what came of them, in words.

const TOLD = {
  view: "Viewed", escalate: "Escalated", dismiss: "Dismissed", monitor: "Monitoring", investigate: "Investigating",
  claim: "Claimed", release: "Released", decide: "Closed", snooze: "Snoozed", reopen: "Reopened",
  comment: "Commented on", recall: "Recalled",
};
/** What becomes by itself of acts that stay. */
const LATER = { recall: "It returns by itself when nobody touches it for a while." };
const MOST_REASONS = 3;

/** Says whether what was skipped may work in a moment. */
const isPassing = (one) => one.status === 429 || one.status >= 500;

/** Returns what a receipt comes to: how many were changed, how many skipped and why. */
export function told(act, { changed, skipped }) {
  const parts = [];
  const open = changed.filter((one) => act === "dismiss" && one.row?.status === "open");
  const done = changed.filter((one) => !open.includes(one));
  if (done.length) parts.push(`${TOLD[act]} ${nameOf(done)}.`, LATER[act]);
  if (open.length) parts.push(`Dismissal of ${nameOf(open)} noted; still open: escalated more often.`);
  if (skipped.length) parts.push(`Skipped ${nameOf(skipped)}: ${reasons(skipped)}`);
  if (act === "claim" && skipped.some((one) => one.type.endsWith(":claimed"))) parts.push("C takes it over.");
  return parts.filter(Boolean).join(" ");
}

/** Returns what was taken back of an act, and what was not. */
function toldUndone(act, { undone, skipped }) {
  const parts = [];
  if (undone.length) parts.push(`Undone: ${TOLD[act].toLowerCase()} ${nameOf(undone)}.`);
  if (skipped.length) parts.push(`Not undone${undone.length ? ` (${count(skipped.length)})` : ""}: ${reasons(skipped)}`);
  return parts.join(" ");
}

/** Returns one id, or how many there are. */
export const named = (ids) => (ids.length === 1 ? quote(ids[0], 60) : `${count(ids.length)} threats`);
function nameOf(items) {
  const [{ row, threat_id: id }] = items;
  const title = items.length === 1 && row?.title && row.title !== id ? `“${quote(row.title, 60)}” ` : "";
  return title + named(items.map((one) => one.threat_id));
}

/** A detail names its threat: reasons of many are told by their titles. */
function reasons(skipped) {
  if (skipped.length === 1) return quote(skipped[0].detail);
  const all = Object.entries(Object.groupBy(skipped, (one) => one.title)).map(([title, of]) => `${quote(title)} (${count(of.length)})`);
  return all.length > MOST_REASONS ? `${all.slice(0, MOST_REASONS).join("; ")}; …` : all.join("; ");
}

// Acts on the same threat one after the other, in the order in which they were asked for: sent at
// once they could overtake each other on the way.

let latest = 0;
const running = new Set();
const underWay = signal(0);

/** Returns {number, come, end()}: `come` resolves once no earlier act on these ids is under way. */
function takeTurn(ids) {
  const number = nextNumber();
  const all = new Set(ids);
  const earlier = [...running].filter((one) => ids.some((id) => one.ids.has(id))).map((one) => one.done);
  const { promise, resolve } = Promise.withResolvers();
  const mine = { ids: all, done: promise };
  running.add(mine);
  underWay.value = running.size;
  return {
    number,
    come: Promise.all(earlier),
    end() {
      running.delete(mine);
      underWay.value = running.size;
      resolve();
    },
  };
}

function nextNumber() {
  latest += 1;
  return latest;
}

/** Resolves once all that is under way now has ended. */
const allDone = () => Promise.all([...running].map((one) => one.done));

// Who shows acts: the list and the panel that are open.

/** {before(act, ids), after(act, ids, receipt), undone(items)}, each if it wants; receipt null: nothing can be said. */
export const watchers = new Set();

// Taking back what was done: the latest act first, as far as that can be.

const MOST_UNDONE = 50;

/** What can be taken back, the latest last: {act, number, request, items: [{threat_id, interaction_id}]}. */
const stack = signal([]);
export const canUndo = computed(() => stack.value.length > 0 || underWay.value > 0);

/** Acts that another act takes back; the others are taken back by the ids of what they put on record. */
const OPPOSITES = { claim: "release", release: "claim" };

/** Acts that stay as they are. */
const FOR_GOOD = new Set(["comment", "recall"]);

/** Returns what says whether one of an act's changes can be taken back. */
const canGoBack = (act) => (one) => act in OPPOSITES || (Boolean(one.interaction_id) && !FOR_GOOD.has(act));

/** Says whether somebody could still take back what was done to a threat: to look at it again must not hinder that. */
const isPast = (id) => stack.value.some((one) => one.items.some((item) => item.threat_id === id));

/** Keeps what was done, in the order in which it was asked for; `number` is its turn's, else it was just now. */
export function remember(act, changed, number = nextNumber()) {
  const items = changed.filter(canGoBack(act)).map((one) => ({
    threat_id: one.threat_id, interaction_id: one.interaction_id,
  }));
  if (items.length) keep({ act, number, request: crypto.randomUUID(), items });
}

function keep(entry) {
  stack.value = [...stack.value, entry].sort((a, b) => a.number - b.number).slice(-MOST_UNDONE);
}

/** Takes the last act back; one that is still under way is waited for. */
export async function undo() {
  await allDone();
  const entry = stack.value.at(-1);
  if (entry) await takeBack(entry);
  else say("There is nothing to undo.");
}

async function takeBack(entry) {
  stack.value = stack.value.filter((one) => one !== entry);
  try {
    const answer = await (entry.act in OPPOSITES ? opposite(entry) : withdrawn(entry));
    const passing = new Set(answer.skipped.filter(isPassing).map((one) => one.threat_id ?? one.interaction_id));
    const rest = entry.items.filter((one) => passing.has(one.threat_id) || passing.has(one.interaction_id));
    const again = rest.length ? kept({ ...entry, items: rest }) : null;
    say(toldUndone(entry.act, answer), { kind: answer.skipped.length ? "warning" : "done", again });
    for (const one of watchers) one.undone?.(answer.undone);
  } catch (error) {
    say(`Not undone: ${line(error.message)}`, { kind: "error", again: kept(entry) });
  }
}

/** Keeps what could not be taken back yet; returns what tries again just that, whatever was done since. */
function kept(entry) {
  keep(entry);
  return () => takeBack(entry);
}

function withdrawn({ items }) {
  return post("/v1/acts/undo", { interaction_ids: items.map((one) => one.interaction_id), analyst_id: analyst.value ?? undefined },
    { within: PATIENCE_MS });
}

/** Without the token of a claim: whichever of one's own it is by now, it is given back; nobody else's is. */
async function opposite({ act, items, request }) {
  const answer = await post("/v1/acts", {
    act: OPPOSITES[act], threat_ids: items.map((one) => one.threat_id), request_id: request,
    analyst_id: analyst.value ?? undefined,
  }, { within: PATIENCE_MS });
  return { undone: answer.changed, skipped: answer.skipped };
}

const MOST_UNSETTLED = 200;

/** How many acts are under way, by id. */
export const busy = signal(new Map());
/** The last act with its fields, for `.`; null: none yet. */
export const last = signal(null);
/** Acts that end the work on a threat, with the word for it. */
export const ENDS = { dismiss: "dismissed", decide: "closed", snooze: "snoozed" };
/** Ids of requests of which nobody knows what became: whoever asks for the same again asks with the same id. */
const unsettled = new Map();

/**
 * Does one thing to up to a page of threats, and tells what came of it. `request`: the id of a
 * request that is made once more; what it did is not done a second time.
 * `left`: what was skipped before it was asked for, as {threat_id, type, title, detail}.
 * Returns the receipt {changed, skipped}; null if nothing can be said of it.
 */
export async function perform(act, ids, fields = {}, { quiet = false, request = null, left = [] } = {}) {
  if (!ids.length || (quiet && ids.every(isPast))) return null;
  const key = JSON.stringify([act, ids, fields]);
  const asked = { act, ids, fields, quiet, id: request ?? unsettled.get(key) ?? crypto.randomUUID() };
  if (!quiet) markBusy(ids, 1);
  for (const one of watchers) one.before?.(act, ids);
  const turn = takeTurn(ids);
  let receipt = null;
  try {
    await turn.come;
    receipt = await send(asked);
    unsettled.delete(key);
    if (!quiet && receipt.changed.length) note(asked, turn, receipt);
    if (!quiet || receipt.skipped.length) tell(asked, { ...receipt, skipped: [...receipt.skipped, ...left] });
  } catch (error) {
    failed(asked, key, error);
  } finally {
    turn.end();
    if (!quiet) markBusy(ids, -1);
    for (const one of watchers) one.after?.(act, ids, receipt);
  }
  return receipt;
}

/** Whoever has signed in here meanwhile under another name is refused: nothing is done in their name. */
function send({ act, ids, fields, id }) {
  return post("/v1/acts", { act, threat_ids: ids, request_id: id, analyst_id: analyst.value ?? undefined, ...fields },
    { within: PATIENCE_MS });
}

const anew = ({ act, fields, quiet, id }, ids) => () => perform(act, ids, fields, { quiet, request: id });

function note({ act, fields }, turn, receipt) {
  last.value = { act, fields };
  remember(act, receipt.changed, turn.number);
}

function tell(asked, receipt) {
  const { changed, skipped } = receipt;
  const passing = skipped.filter(isPassing).map((one) => one.threat_id);
  say(told(asked.act, receipt), {
    kind: skipped.length ? "warning" : "done",
    undo: changed.some(canGoBack(asked.act)) ? undo : null,
    again: passing.length ? anew(asked, passing) : null,
  });
}

function failed(asked, key, error) {
  const isOpen = error.status === 0 || error.status >= 500;
  if (isOpen) {
    unsettled.set(key, asked.id);
    if (unsettled.size > MOST_UNSETTLED) unsettled.delete(unsettled.keys().next().value);
  }
  if (asked.quiet && isOpen) return; // whoever only looked is told by the mark that says "not live"
  const word = TOLD[asked.act];
  const text = isOpen
    ? `${line(error.message)} Nobody knows whether this was done: ${word.toLowerCase()} ${named(asked.ids)}. To try again does nothing twice.`
    : `${word} nothing: ${line(error.message)}`;
  say(text, { kind: "error", again: isOpen || error.passes ? anew(asked, asked.ids) : null });
}

function markBusy(ids, by) {
  const next = new Map(busy.value);
  for (const id of ids) {
    const many = (next.get(id) ?? 0) + by;
    if (many > 0) next.set(id, many);
    else next.delete(id);
  }
  busy.value = next;
}

// The next best threat that nobody has.

/** Claims it and opens it; in the list the cursor goes there if it is shown. */
export async function takeNext(store, panel, request = crypto.randomUUID()) {
  try {
    const found = await post("/v1/next", { request_id: request, analyst_id: analyst.value ?? undefined },
      { within: PATIENCE_MS });
    if (found) show(store, panel, found);
    else say("Nothing is left to claim.");
  } catch (error) {
    const again = error.passes ? () => takeNext(store, panel, request) : null;
    say(`Claimed nothing: ${quote(error.message)}`, { kind: "error", again });
  }
}

function show(store, panel, { claim, threat }) {
  const id = threat.threat_id;
  remember("claim", [{ threat_id: id, claim }]);
  say(`Claimed ${quote(id, 60)}.`, { kind: "done", undo });
  if (store.row(id)) {
    store.cursor.value = id;
    store.look([id]);
  }
  panel.open(id);
}
