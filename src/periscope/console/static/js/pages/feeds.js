// Feeds: which there are, how each is doing, and what could not be read.

import { feedPath, get, post, remove } from "../core/api.js";
import { now, sync, tick } from "../core/clock.js";
import { count, moment, span, words } from "../core/format.js";
import { bind } from "../core/keys.js";
import { change, hrefOf, params } from "../core/route.js";
import { may } from "../core/session.js";
import { line, quote } from "../core/text.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { draftOf, FeedForm, Letters, newDraft, whyFixed } from "./feeds-form.js";
import { attempt, confirmed, say } from "../ui/dialog.js";
import { Block, focusRow, Text, Trouble, useReading, useRows } from "../ui/parts.js";

// What people do with a feed, told with a receipt.

const WAIT_S = 20;
const running = new Set();

/** Returns what was brought, in words; what is nothing is left out. */
export function brought(counts) {
  const words = [
    [counts.added, "added"], [counts.sightings, "seen again"], [counts.duplicates, "duplicates"],
    [counts.suppressed, "set aside"], [counts.skipped, "skipped"], [counts.rejected, "not usable"],
  ];
  return words.filter(([many]) => many).map(([many, word]) => `${count(many)} ${word}`).join(", ") || "nothing new";
}

/** Runs it, and tells what it brought. Returns the result; null if there is none (yet). */
async function runNow(feed, again) {
  if (running.has(feed.name)) return null;
  running.add(feed.name);
  const work = post(feedPath(feed.name, "/run"), undefined, { query: { wait_s: WAIT_S } });
  again();
  const told = await attempt(`${quote(feed.name, 40)} did not run`, () => work);
  running.delete(feed.name);
  again();
  if (told) tell(told);
  return told?.result ?? null;
}

function tell({ name, ended, result }) {
  const who = line(name, 40);
  if (!ended) say(`${who} is still running; its row shows how it ends.`);
  else if (result.error) say(`${who} failed: ${quote(result.error, 300)} (${brought(result)})`, { kind: "error" });
  else say(`${who} ran: ${brought(result)}.`, { kind: result.rejected ? "warning" : "done" });
}

/** Holds it back, or lets it run again. */
async function pauseOrResume(feed, again) {
  const path = feedPath(feed.name, feed.paused ? "/resume" : "/pause");
  const done = await attempt("Not changed", () => post(path, undefined));
  if (done) say(`${done.done === "paused" ? "Paused" : "Resumed"} ${quote(feed.name, 40)}.`, { kind: "done" });
  again();
}

/** Removes it once somebody said so twice. */
async function removeFeed(feed, again) {
  const sure = await confirmed({ title: `Remove the feed ${feed.name}?`, yes: "Remove",
    text: "Its status and its place go with it: defined again, it begins anew. What it brought stays, and its dead letters." });
  if (!sure) return false;
  const done = await attempt("Not removed", () => remove(feedPath(feed.name)));
  if (done) say(`Removed the feed ${quote(feed.name, 40)}.`, { kind: "done" });
  again();
  return done !== null;
}

// How a feed is doing, in a word: plain arithmetic on what the API tells of it.

const UNITS = { w: 604_800_000, d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
const USUAL = { file: "10s", directory: "10s" };
const USUAL_FETCHED = "15m";
const USUAL_FOLLOWED = "1s";
const LATE_AFTER = 2; // intervals: one may be missed for a slow run and its jitter
const LATE_LEAST_MS = 60_000; // a file that is looked at every second is not late after two

/** What each word is drawn with, and means. */
const HEALTH = {
  failing: { sign: "✕", tone: "bad", told: "its last run failed" },
  broken: { sign: "✕", tone: "bad", told: "its definition cannot be used" },
  late: { sign: "!", tone: "warn", told: "no run has succeeded for more than two intervals" },
  paused: { sign: "‖", tone: "held", told: "held back until somebody resumes it" },
  running: { sign: "▸", tone: "good", told: "it is being read just now" },
  ok: { sign: "✓", tone: "good", told: "its last run succeeded in time" },
  new: { sign: "○", tone: "held", told: "it has not run yet" },
  gone: { sign: "–", tone: "held", told: "it is defined no more; this is what it left" },
};
const ORDER = Object.keys(HEALTH);

/** Returns a span as people write it (1h30m) in milliseconds; null where it is none. */
export function spanMs(text) {
  const parts = [...String(text ?? "").matchAll(/([0-9]+(?:\.[0-9]+)?)(ms|[wdhms])/g)];
  if (!parts.length || parts.map((one) => one[0]).join("") !== text) return null;
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * UNITS[unit], 0);
}

/** Returns the time from the end of a run to the next one; null where no definition says it. */
function intervalMs(feed) {
  const one = feed.definition;
  if (!one) return null;
  return spanMs(one.interval ?? (one.follow ? USUAL_FOLLOWED : USUAL[one.kind] ?? USUAL_FETCHED));
}

/** Returns a word of `HEALTH`. */
export function health(feed, now) {
  if (feed.state !== "waiting" && feed.state !== "new") return feed.state;
  if (isLate(feed, now)) return "late";
  return feed.state === "new" ? "new" : "ok";
}

function isLate(feed, now) {
  const every = intervalMs(feed);
  if (every === null) return false;
  const most = Math.max(every * LATE_AFTER, LATE_LEAST_MS);
  if (feed.last_success_ms !== null) return now - feed.last_success_ms > most;
  return feed.next_run_ms !== null && now - feed.next_run_ms > most;
}

/** Puts what needs somebody first; else by name. */
function byNeed(now) {
  return (one, other) => ORDER.indexOf(health(one, now)) - ORDER.indexOf(health(other, now)) || (one.name < other.name ? -1 : 1);
}

/** Returns how many feeds there are of each word, those that are there, in their order. */
function tally(feeds, now) {
  const found = new Map();
  for (const one of feeds) found.set(health(one, now), (found.get(health(one, now)) ?? 0) + 1);
  return ORDER.filter((word) => found.has(word)).map((word) => [word, found.get(word)]);
}

// One feed: what it is, how it is doing, and what of it could not be read.

/** `feed` is undefined for what is no feed (any more) and has only letters. */
export function Detail({ name, feed, kept, again, onEdit, onClose }) {
  const heading = useRef(null);
  useEffect(() => {
    if (matchMedia("(max-width: 1199px)").matches) heading.current.scrollIntoView({ block: "start" });
  }, []);
  return html`<aside class="card detail" aria-label=${`Feed ${line(name, 64)}`}>
    <header><h2 ref=${heading}><${Text} of=${name} most=${64} /></h2>
      <button type="button" class="quiet" aria-label="Close" onClick=${onClose}>×</button></header>
    ${feed ? html`<${About} feed=${feed} again=${again} onEdit=${onEdit} onClose=${onClose} />`
    : html`<p class="faint">There is no feed of this name: only what could not be read.</p>`}
    <${Letters} name=${name} kept=${kept} changed=${again} />
  </aside>`;
}

function About({ feed, again, onEdit, onClose }) {
  const [result, setResult] = useState(null);
  const [busy, setBusy] = useState(false);
  const run = async () => {
    setBusy(true);
    setResult(await runNow(feed, again));
    setBusy(false);
  };
  return html`${may("admin") && html`<${Buttons} feed=${feed} busy=${busy} run=${run} again=${again} onEdit=${onEdit} onClose=${onClose} />`}
    ${result && html`<p class="result" role="status"><b>This run:</b> ${brought(result)}${result.error && html`; it ended with <${Text} of=${result.error} />`}
      </p>`}
    <${State} feed=${feed} />
    <h3>Definition</h3>
    ${feed.definition ? html`<${Definition} of=${feed.definition} />` : html`<p class="faint">None that can be read.</p>`}`;
}

function Buttons({ feed, busy, run, again, onEdit, onClose }) {
  const isRunning = busy || feed.state === "running";
  const drop = async () => (await removeFeed(feed, again)) && onClose();
  const fixed = whyFixed(feed);
  if (feed.origin === "gone") return null;
  return html`<div class="acts">
    <button type="button" disabled=${isRunning || feed.paused} onClick=${run}>${isRunning ? "Running…" : "Run now"} <kbd>n</kbd></button>
    <button type="button" onClick=${() => pauseOrResume(feed, again)}>${feed.paused ? "Resume" : "Pause"} <kbd>p</kbd></button>
    ${!fixed && html`<button type="button" onClick=${() => onEdit(draftOf(feed))}>Edit…</button>`}
    ${feed.origin === "store" && html`<button type="button" class="danger" onClick=${drop}>Remove…</button>`}
    ${fixed && html`<p class="faint">${fixed}</p>`}</div>`;
}

function State({ feed }) {
  tick.value;
  const word = health(feed, now());
  const error = feed.problem ?? feed.last_error;
  return html`<dl class="facts">
    <div><dt>State</dt><dd>${word}: ${HEALTH[word].told}</dd></div>
    ${feed.owner && html`<div><dt>Run by</dt><dd><${Text} of=${feed.owner} /></dd></div>`}
    <${When} name="Last run" at=${feed.last_run_ms} /><${When} name="Last success" at=${feed.last_success_ms} />
    <${When} name="Next run" at=${feed.paused ? null : feed.next_run_ms} /><${When} name="Newest record" at=${feed.newest_ms} />
    <div><dt>Runs</dt><dd>${count(feed.runs)}${feed.runs > 0 && `, the last one took ${took(feed)}`}</dd></div>
    <div><dt>Failures in a row</dt><dd>${count(feed.failures)}</dd></div>
    <div><dt>In all its runs</dt><dd>${count(feed.counts.read)} read of ${count(feed.counts.documents)} documents: ${brought(feed.counts)}</dd></div>
    ${feed.document && html`<div><dt>Document</dt><dd><${Text} of=${feed.document} /></dd></div>`}
  </dl>
  ${error && html`<h3>${feed.failures || feed.problem ? "What is wrong" : "What was wrong"}${feed.last_error_at_ms && html` <span class="faint">
    ${moment(feed.last_error_at_ms)}</span>`}</h3><div class="raw" tabindex="0"><${Block} of=${error} /></div>`}`;
}

const took = ({ seconds }) => (seconds < 1 ? "less than a second" : span(seconds * 1000));

function When({ name, at }) {
  if (!at) return null;
  const by = at - now();
  return html`<div><dt>${name}</dt><dd>${moment(at)} <span class="faint">${by > 0 ? `in ${span(by)}` : `${span(by)} ago`}</span></dd></div>`;
}

/** What differs from the defaults; the API never sends a secret, nor the query of an address. */
function Definition({ of }) {
  const rows = Object.entries(of).filter(([name]) => name !== "name");
  return html`<dl class="facts">${rows.map(([name, value]) => html`<div key=${name}><dt>${words(name)}</dt>
    <dd class="mono"><${Text} of=${told(value)} most=${600} /></dd></div>`)}</dl>`;
}

function told(value) {
  if (Array.isArray(value)) return value.join(", ");
  if (value && typeof value === "object") return Object.entries(value).map(([key, one]) => `${key} = ${one}`).join(", ");
  return String(value);
}

const EVERY_MS = 5000;

async function read(until) {
  const [{ feeds }, kept] = await Promise.all([get("/v1/feeds", {}, { until }), get("/v1/deadletters", {}, { until })]);
  sync(feeds[0]?.as_of_ms);
  const letters = new Map(kept.feeds.map((one) => [one.feed, one]));
  const others = kept.feeds.filter((one) => one.letters && !feeds.some((feed) => feed.name === one.feed)).map((one) => one.feed);
  return { feeds, letters, others };
}

export default function Feeds() {
  const { value: told, problem, again } = useReading(read, [], EVERY_MS);
  const value = usePlaces(told);
  const [draft, setDraft] = useState(null);
  const name = params.value.f;
  const feed = value?.feeds.find((one) => one.name === name);
  const box = useRows("Feeds", commands(value, again));
  usePageKeys(box, name, setDraft);
  const close = () => shut(box, name);
  return html`<div class="page ops"><header><h1>Feeds</h1>${value && html`<${Tally} feeds=${value.feeds} />`}
      ${may("admin") && html`<button type="button" class="main" onClick=${() => setDraft(newDraft())}>Add a feed <kbd>a</kbd></button>`}</header>
    ${problem && html`<${Trouble} problem=${problem} onAgain=${again} />`}
    <div class="beside" data-open=${name !== undefined} ref=${box}>
      ${value ? html`<${Table} ...${value} open=${name} />` : !problem && html`<p class="empty" aria-busy="true">Reading the feeds…</p>`}
      ${value && name !== undefined && html`<${Detail} key=${name} name=${name} feed=${feed} kept=${value.letters.get(name)} again=${again}
        onEdit=${setDraft} onClose=${close} />`}
    </div>
    ${draft && html`<${FeedForm} draft=${draft} onClose=${() => setDraft(null)} onSaved=${again} />`}
  </div>`;
}

/** What needs somebody stands first when the page is opened; then nothing moves under a hand. */
function usePlaces(value) {
  const places = useRef(new Map());
  if (!value) return null;
  for (const one of value.feeds.toSorted(byNeed(now()))) {
    if (!places.current.has(one.name)) places.current.set(one.name, places.current.size);
  }
  return { ...value, feeds: value.feeds.toSorted((one, other) => places.current.get(one.name) - places.current.get(other.name)) };
}

function commands(value, again) {
  const of = (name) => value?.feeds.find((one) => one.name === name);
  const can = (name) => may("admin") && of(name) !== undefined;
  return [
    { keys: ["n"], label: "Run now", when: can, run: (name) => runNow(of(name), again) },
    { keys: ["p"], label: "Pause or resume", when: can, run: (name) => pauseOrResume(of(name), again) },
  ];
}

function usePageKeys(box, name, setDraft) {
  useEffect(() => bind("Feeds page", [
    { keys: ["a"], label: "Add a feed…", when: () => may("admin"), run: () => setDraft(newDraft()) },
    { keys: ["Escape"], label: "Close what is open beside", when: () => params.value.f !== undefined, run: () => shut(box, params.value.f) },
  ]), []);
}

function shut(box, name) {
  change({ f: null });
  focusRow(box, name);
}

function Tally({ feeds }) {
  tick.value;
  return html`<p class="tally" role="status">${tally(feeds, now()).map(([word, many]) => html`<span key=${word}>
    <${Health} of=${word} many=${many} /></span>`)}</p>`;
}

/** A word with its sign: never by colour alone. */
export function Health({ of, many = null }) {
  const { sign, tone, told } = HEALTH[of];
  return html`<span class="health" data-tone=${tone} title=${told}><span aria-hidden="true">${sign}</span> ${many !== null && `${count(many)} `}${of}</span>`;
}

function Table({ feeds, letters, others, open }) {
  if (!feeds.length && !others.length) {
    return html`<p class="empty">There are no feeds. <span class="faint">They are defined in periscope.toml, with${" "}
      <code>periscope feeds add</code>, or here.</span></p>`;
  }
  return html`<div class="scroll"><table class="stacks"><thead><tr>${["Health", "Feed", "Last success", "Next run", "Failures", "In all", "Dead letters"]
      .map((one, at) => html`<th scope="col" class=${at > 3 ? "number" : at === 1 ? "long" : ""} key=${one}>${one}</th>`)}</tr></thead>
    <tbody>${feeds.map((one) => html`<${Row} key=${one.name} feed=${one} kept=${letters.get(one.name)} isOpen=${open === one.name} />`)}
      ${others.map((one) => html`<${Others} key=${one} name=${one} kept=${letters.get(one)} isOpen=${open === one} />`)}</tbody></table></div>`;
}

function Row({ feed, kept, isOpen }) {
  tick.value;
  const host = feed.definition ? `${feed.definition.kind} · ${feed.definition.place}` : "";
  const error = feed.problem ?? (feed.failures ? feed.last_error : null);
  return html`<tr data-open=${isOpen}>
    <td data-label="Health"><${Health} of=${health(feed, now())} /></td>
    <td data-label="Feed" class="long"><${Name} of=${feed.name} isOpen=${isOpen} /><span class="under"><${Text} of=${host} most=${90} /></span>
      ${error && html`<span class="under wrong"><${Text} of=${error} most=${140} /></span>`}</td>
    <td data-label="Last success"><${Lag} feed=${feed} /></td>
    <td data-label="Next run">${next(feed)}</td>
    <td data-label="Failures" class="number">${feed.failures ? count(feed.failures) : html`<span class="faint">0</span>`}</td>
    <td data-label="In all" class="number" title="Threats that all its runs added, and how often known ones were seen again">
      ${count(feed.counts.added)}${feed.counts.sightings > 0 && html`<span class="under">${count(feed.counts.sightings)} again</span>`}</td>
    <td data-label="Dead letters" class="number">${letters(kept)}</td></tr>`;
}

/** Letters of what is no feed: what the command could not read, what a webhook sent. */
function Others({ name, kept, isOpen }) {
  return html`<tr data-open=${isOpen}><td data-label="Health" class="faint">no feed</td>
    <td data-label="Feed" class="long"><${Name} of=${name} isOpen=${isOpen} /><span class="under">only its dead letters</span></td>
    <td class="none"></td><td class="none"></td><td class="none"></td><td class="none"></td>
    <td data-label="Dead letters" class="number">${letters(kept)}</td></tr>`;
}

const letters = (kept) => (kept?.letters ? html`<b>${count(kept.letters)}</b>` : html`<span class="faint">0</span>`);

function Name({ of, isOpen }) {
  return html`<a data-row=${of} class="headline" href=${hrefOf("feeds", { f: of })} aria-current=${isOpen ? "true" : null}><bdi>${line(of, 64)}</bdi></a>`;
}

/** Time since the last success, against the interval. */
function Lag({ feed }) {
  const every = intervalMs(feed);
  if (feed.last_success_ms === null) return html`<span class="faint">never${every !== null && `, every ${span(every)}`}</span>`;
  const since = Math.max(0, now() - feed.last_success_ms);
  const part = every ? Math.min(1, since / every) : 0;
  return html`<span class="lag" data-late=${health(feed, now()) === "late"} title=${moment(feed.last_success_ms)}>${span(since)} ago
    ${every !== null && html`<span class="faint"> of ${span(every)}</span><span class="meter" aria-hidden="true">
      <span style=${{ transform: `scaleX(${part.toFixed(3)})` }}></span></span>`}</span>`;
}

function next(feed) {
  if (feed.state === "running") return html`<span class="faint">running</span>`;
  if (feed.paused || feed.next_run_ms === null) return html`<span class="faint">–</span>`;
  const wait = feed.next_run_ms - now();
  return html`<span title=${moment(feed.next_run_ms)}>${wait > 0 ? `in ${span(wait)}` : wait > -1000 ? "due" : `due for ${span(-wait)}`}</span>`;
}
