// How things stand just now.

import { now } from "../core/clock.js";
import { brief, bytes, count, LEVELS, moment, SEVERITIES, span } from "../core/format.js";
import { print } from "../core/query.js";
import { hrefOf } from "../core/route.js";
import { policy, targetMs } from "../core/score.js";
import { html, useMemo } from "../html.js";
import { Chart } from "../ui/chart.js";
import { Age, Severity, Text } from "../ui/parts.js";

const STATUSES = ["open", "dismissed", "snoozed", "closed"];
const sum = (counts) => Object.values(counts).reduce((all, one) => all + one, 0);

/** A number that leads to its list. */
export function Count({ of, to, q, write = count, class: name = "" }) {
  return html`<a class=${`count ${name}`} href=${hrefOf(to, { q })} title=${count(of)}>${write(of)}</a>`;
}

/** A number without a list. */
const Plain = ({ of }) => html`<span class="count">${count(of)}</span>`;

export function Oldest({ figures }) {
  const { oldest_unseen_ms: oldest, unseen, overdue } = figures.board.value.value;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="By severity"><table>
      <thead><tr><th scope="col">Severity</th><th scope="col">Waits for</th><th scope="col">Target</th>
      <th scope="col" class="number">Unseen</th><th scope="col" class="number">Overdue</th></tr></thead>
    <tbody>${SEVERITIES.map((one) => html`<tr key=${one}><th scope="row"><${Severity} of=${one} /></th>
      <td>${oldest[one] === null ? html`<span class="faint">none</span>` : html`<${Waits} severity=${one} since=${oldest[one]} />`}</td>
      <td class="faint">${policy.value ? span(targetMs(policy.value, one)) : "–"}</td>
      <td class="number"><${Plain} of=${unseen[one]} /></td>
      <td class="number"><${Count} of=${overdue[one]} to="overdue" q=${`severity:${one}`} class=${overdue[one] ? "wrong" : ""} /></td></tr>`)}</tbody>
    <tfoot><tr><th scope="row">All</th><td></td><td></td><td class="number"><${Plain} of=${sum(unseen)} /></td>
      <td class="number"><${Count} of=${sum(overdue)} to="overdue" class=${sum(overdue) ? "wrong" : ""} /></td></tr></tfoot></table></div>`;
}

/** The one that waits longest: by the millisecond in which it was first seen. */
function Waits({ severity, since }) {
  const row = { first_seen_ms: since, due_ms: since + targetMs(policy.value, severity), interactions: 0, status: "open" };
  const href = hrefOf("queue", { q: `severity:${severity} seen:${since}..${since + 1}` });
  return html`<a class="count" href=${href}>${policy.value ? html`<${Age} row=${row} />` : span(now() - since)}</a>`;
}

export function Scores({ figures }) {
  const { scores, promotable } = figures.board.value.value;
  const most = Math.max(1, ...scores);
  const to = (at) => hrefOf("queue", { q: at === LAST ? "score:0.9" : `score:0.${at}..<${above(at)}` });
  return html`<ol class="bars" aria-label="Open threats by score">${scores.map((many, at) => html`<li key=${at}>
      <a href=${to(at)} aria-label=${`${rangeOf(at)}: ${count(many)}`} title=${`${rangeOf(at)}: ${count(many)}`}>
        <b>${brief(many)}</b><i style=${{ height: `${((80 * many) / most).toFixed(1)}%` }}></i><span>.${at}</span></a></li>`)}</ol>
    <p class="faint">${promotable ? html`<${Plain} of=${promotable} /> ready` : "None is ready"} to move up to short-term knowledge.</p>`;
}

const LAST = 9; // of the ranges: it has no upper end
const above = (at) => ((at + 1) / 10).toFixed(1);
const rangeOf = (at) => (at === LAST ? "score 0.9 and above" : `score 0.${at} to below ${above(at)}`);

export function Funnel({ figures }) {
  const { ledger, counts } = figures.stats.value.value;
  const most = Math.max(1, ledger.level_1, ledger.level_2, ledger.level_3);
  const by = Object.fromEntries(STATUSES.map((one) => [one, sum(counts[one] ?? {})]));
  return html`<ol class="funnel">
    <li><span>1 ${LEVELS[1]}</span><${Plain} of=${ledger.level_1} /><${Length} share=${ledger.level_1 / most} />
      <p>${STATUSES.map((one) => html`<span key=${one}><${Count} of=${by[one]} to="queue"
        q=${one === "open" ? "" : `status:${one}`} /> ${one}</span>`)}</p></li>
    ${[2, 3].map((level) => html`<li key=${level}><span>${level} ${LEVELS[level]}</span>
      <a class="count" href=${hrefOf("knowledge", { level })}>${count(ledger[`level_${level}`])}</a>
      <${Length} share=${ledger[`level_${level}`] / most} /></li>`)}</ol>`;
}

function Length({ share: of }) {
  return html`<i class="length">${of > 0 && html`<i style=${{ width: `${(100 * of).toFixed(2)}%` }}></i>`}</i>`;
}

/** What must come to what: the conservation law, line by line. */
const LINES = [
  ["received", ["added", "sightings", "duplicates", "suppressed", "rejected"]],
  ["added", ["level_1", "level_2", "level_3", "departed"]],
  ["departed", ["archived_seen", "archived_unseen", "removed"]],
];
const NAMES = {
  level_1: "working", level_2: "short-term", level_3: "long-term", archived_seen: "archived seen", archived_unseen: "archived unseen",
};
const left = (reason) => ["knowledge", { level: "departed", reason }];
const PLACES = {
  level_2: ["knowledge", { level: 2 }], level_3: ["knowledge", { level: 3 }], suppressed: ["suppressions", {}], departed: left(),
  archived_seen: left("expired_seen"), archived_unseen: left("expired_unseen"), removed: left("removed"),
};

/** A number of the ledger: with its list where there is one. */
function Part({ name, of }) {
  return PLACES[name] && of ? html`<a class="count" href=${hrefOf(...PLACES[name])}>${count(of)}</a>` : html`<${Plain} of=${of} />`;
}

export function Ledger({ figures }) {
  const { ledger } = figures.stats.value.value;
  return html`<p class="statement" data-balanced=${ledger.balanced}>${ledger.balanced
      ? "It balances: all that was received is accounted for." : "It does not balance. Run “periscope ledger --deep” to find where."}</p>
    ${LINES.map(([name, parts]) => html`<${Line} key=${name} ledger=${ledger} name=${name} parts=${parts} />`)}`;
}

function Line({ ledger, name, parts }) {
  const off = ledger[name] - parts.reduce((all, one) => all + ledger[one], 0);
  return html`<dl class="sum"><div><dt>${name}</dt><dd><${Part} name=${name} of=${ledger[name]} /></dd></div>${parts.map((one) => html`<div key=${one}>
      <dt>${NAMES[one] ?? one}</dt><dd><${Part} name=${one} of=${ledger[one]} /></dd></div>`)}
    ${off !== 0 && html`<div class="wrong"><dt>unaccounted</dt><dd>${count(off)}</dd></div>`}</dl>`;
}

const WRITABLE = {
  yes: "It takes changes.",
  full: "It is full: new reports are refused, and nothing that was acknowledged is lost.",
  refused: "It refuses changes.",
};

export function Store({ figures }) {
  const { server, held } = figures.stats.value.value;
  const { used_memory_bytes: used, max_memory_bytes: most } = server;
  return html`<p class="statement" data-balanced=${server.writable === "yes"}>${WRITABLE[server.writable] ?? server.writable}</p>
    <dl class="facts"><div><dt>Memory</dt><dd>${used === null ? "not told: the store is shared"
        : `${bytes(used)}${most ? ` of ${bytes(most)}` : ", no limit set"}`}
      ${Boolean(used && most) && html`<${Length} share=${Math.min(1, used / most)} />`}</dd></div>
      <div><dt>Server</dt><dd>${server.kind} ${server.version}</dd></div><div><dt>Durability</dt><dd>${server.durability}</dd></div>
      ${held.stubs !== undefined && html`<div><dt>Remembered</dt><dd>${count(held.stubs)} departed</dd></div>`}</dl>`;
}

// Samples of the timeline and the flow of the key figures, made into lines that can be drawn.

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const GAP = 2.5; // so many steps without a sample are a time in which nobody kept one

/** What can be looked at, with the step between two points of a line: 60 to 168 of them. */
export const RANGES = {
  "1h": { label: "1 h", words: "the last hour", for_s: 3600, stepMs: MINUTE_MS },
  "6h": { label: "6 h", words: "the last 6 hours", for_s: 21_600, stepMs: 5 * MINUTE_MS },
  "24h": { label: "24 h", words: "the last 24 hours", for_s: 86_400, stepMs: 15 * MINUTE_MS },
  "7d": { label: "7 d", words: "the last 7 days", for_s: 604_800, stepMs: HOUR_MS },
};

/** The timeline is kept for so long. */
export const TIMELINE_S = 86_400;

const sumOf = (counts) => SEVERITIES.reduce((all, one) => all + counts[one], 0);
const added = (one) => one.level_1 + one.level_2 + one.level_3 + one.departed;

/** Returns the last sample of every step, the oldest first; null between two that are far apart. */
export function picked(samples, stepMs, everyMs = MINUTE_MS) {
  const found = [];
  const far = GAP * Math.max(stepMs, everyMs);
  for (const one of samples) {
    const before = found.at(-1);
    if (before && Math.floor(before.at_ms / stepMs) === Math.floor(one.at_ms / stepMs)) found.pop();
    else if (before && one.at_ms - before.at_ms > far) found.push(null);
    found.push(one);
  }
  return found;
}

/** Returns when, and how many open threats of each severity there were: {times, lines}. */
function openLines(samples, stepMs) {
  const all = filled(picked(samples, stepMs));
  return {
    times: all.map((one) => one.at),
    lines: SEVERITIES.map((severity) => all.map((one) => one.sample?.open[severity] ?? null)),
  };
}

/**
 * Returns what came into the queue and what left it, a minute: {times, lines: [in, out]}.
 * New threats are what `added` of the ledger grew by; what they do not explain of the queue's change
 * left it (or, where that is less than nothing, came back to it). So in less out is the change, exactly.
 * A step that has just begun waits for the next: a moment's flow is no flow a minute.
 */
export function flowLines(samples, stepMs) {
  const all = filled(picked(samples, stepMs));
  const times = [];
  const flows = [];
  let before = all[0];
  for (const one of all.slice(1)) {
    if (one.sample && before.sample && one.at - before.at < stepMs / 2) continue;
    times.push(one.at);
    flows.push(flowOf(before.sample, one.sample));
    before = one;
  }
  return { times, lines: [flows.map((one) => one?.[0] ?? null), flows.map((one) => one?.[1] ?? null)] };
}

function flowOf(before, after) {
  if (!before || !after) return null;
  const minutes = (after.at_ms - before.at_ms) / MINUTE_MS;
  const fresh = added(after) - added(before);
  if (minutes <= 0 || fresh < 0) return null; // another database, or another clock
  const left = fresh - (sumOf(after.open) - sumOf(before.open));
  return [(fresh + Math.max(0, -left)) / minutes, Math.max(0, left) / minutes];
}

/** Gives gaps a moment of their own, so that the line breaks there. */
function filled(all) {
  return all.map((sample, at) => ({ sample, at: sample?.at_ms ?? all[at - 1].at_ms + 1 }));
}

/** Returns the same of the key figures: by hours, the first and last if half of them is within. */
export function kpiLines(kpis) {
  const stepMs = kpis.bucket_seconds * 1000;
  const within = (one) => Math.min(one.start_ms + stepMs, kpis.until_ms) - Math.max(one.start_ms, kpis.since_ms);
  const flow = kpis.flow.filter((one) => within(one) >= stepMs / 2);
  const rate = (name) => flow.map((one) => (one[name] * MINUTE_MS) / within(one));
  return { times: flow.map((one) => one.start_ms), lines: [rate("inflow"), rate("outflow")] };
}

// How it went: the queue over time, what came and what left; how fast and how well threats were dealt with
// (docs/reference/kpis.md has the formulas).

const DASHES = { CRITICAL: [], HIGH: [9, 3], MEDIUM: [4, 3], LOW: [1.5, 3] };
const perMinute = (value) => value?.toFixed(1) ?? "–";
const SECOND_MS = 1000;
const MOST_SOURCES = 12;
const ALL = "ALL";

export function Open({ figures, range }) {
  const timeline = figures.timeline.value.value;
  const open = figures.stats.value.value?.counts.open;
  const isShort = range.for_s > TIMELINE_S;
  const { times, lines } = useMemo(() => openLines(since(timeline, range), isShort ? RANGES["24h"].stepMs : range.stepMs), [timeline, range]);
  const series = useMemo(() => SEVERITIES.map((one, at) => ({
    name: one.toLowerCase(), mark: one[0], tone: `--${one.toLowerCase()}`, dash: DASHES[one], values: lines[at], latest: open?.[one],
    href: hrefOf("queue", { q: `severity:${one}` }),
  })), [lines, open]);
  return html`${times.length < 2 && open && html`<p class="now">${SEVERITIES.map((one) => html`<a key=${one} data-severity=${one}
      href=${hrefOf("queue", { q: `severity:${one}` })}><b>${count(open[one])}</b> ${one.toLowerCase()}</a>`)}</p>`}
    ${times.length < 2 ? html`<${Soon} timeline=${timeline} />` : html`<${Chart} label="Open threats by severity" unit="open threats"
      times=${times} series=${series} write=${count} />`}
    ${isShort && html`<p class="faint">The queue is on record for 24 hours; this is all of it.</p>`}`;
}

export function Flow({ figures, range }) {
  const isLong = range.for_s > TIMELINE_S;
  const told = isLong ? figures.kpis.value.value : figures.timeline.value.value;
  const { times, lines } = useMemo(() => (isLong ? kpiLines(told) : flowLines(since(told, range), range.stepMs)), [told, range]);
  const series = useMemo(() => [
    { name: "in", mark: "in", tone: "--high", dash: [], values: lines[0] },
    { name: "out", mark: "out", tone: "--good", dash: [5, 3], values: lines[1] },
  ], [lines]);
  if (lines[0].filter((one) => one !== null).length < 2) {
    return isLong ? html`<p class="empty small">Too few hours so far.</p>` : html`<${Soon} timeline=${told} />`;
  }
  return html`<${Chart} label="In and out per minute" unit="threats per minute" times=${times} series=${series} write=${perMinute} least=${1} />
    <p class="faint">${isLong ? "In: first seen or reopened. Out: decided, or gone without a decision. By the hour."
      : "In: new in the queue, or back in it. Out: no longer open, whatever became of it."}</p>`;
}

/** The samples of a stretch of time until now. */
const since = (timeline, { for_s }) => timeline.samples.filter((one) => one.at_ms >= timeline.until_ms - for_s * 1000);

/** Nothing to draw yet: when there will be. */
function Soon({ timeline }) {
  const next = Math.floor(timeline.until_ms / timeline.every_ms + 1) * timeline.every_ms;
  return html`<p class="empty small">${timeline.samples.length ? "Too few samples so far." : "No samples yet."}${" "}
    <span class="faint">One is kept every minute while the service runs: the next at ${moment(next).slice(11, 16)}.</span></p>`;
}

/** What is measured, and where those of them are that are still in the queue. */
const MEASURES = [
  ["triage", "first look", (within) => `active:${within}`],
  ["acknowledge", "first notice", (within) => `active:${within}`],
  ["decide", "decision", () => "status:closed"],
  ["detect", "until reported", (within) => `seen:${within}`],
];

export function Times({ figures, name }) {
  const kpis = figures.kpis.value.value;
  const any = MEASURES.some(([measure]) => kpis.times[measure]?.[ALL]?.count);
  return html`<p class="faint">Half of them within · nine in ten within, and how many there were.</p>
    <div class="scroll" tabindex="0" role="region" aria-label="Times"><table class="times">
      <thead><tr><th scope="col">Severity</th>${MEASURES.map(([measure, meaning]) => html`<th scope="col" key=${measure} class="number">
        ${measure}<br /><small>${meaning}</small></th>`)}</tr></thead>
      <tbody>${[...SEVERITIES, ALL].map((one) => html`<tr key=${one}><th scope="row">${one === ALL ? "All" : html`<${Severity} of=${one} />`}</th>
        ${MEASURES.map(([measure, , where]) => html`<${Spread} key=${measure} of=${kpis.times[measure]?.[one]}
          q=${[one === ALL ? "" : `severity:${one}`, where(name)].filter(Boolean).join(" ")} />`)}</tr>`)}</tbody></table></div>
    ${!any && html`<p class="faint">Nothing was looked at or decided in this time.</p>`}
    <${Bounds} kpis=${kpis} />`;
}

function Spread({ of, q }) {
  if (!of?.count) return html`<td class="number faint">–</td>`;
  const within = (seconds) => span(seconds * SECOND_MS);
  return html`<td class="number"><a class="count" href=${hrefOf("queue", { q })}
    title=${`mean ${span(of.mean_s * SECOND_MS)}; opens those that are still in the queue`}><b>${within(of.p50_s)}</b> · ${within(of.p90_s)}</a>${" "}
    <span class="faint">${count(of.count)}</span></td>`;
}

/** What of all there was could not be looked at. */
function Bounds({ kpis }) {
  return html`${kpis.truncated.length > 0 && html`<p class="faint">Too many ${kpis.truncated.join(" and ")} to look at all:
      these are of the newest 200,000.</p>`}
    ${kpis.unknown > 0 && html`<p class="faint">Of ${count(kpis.unknown)} threats nothing is left on record.</p>`}`;
}

export function Sources({ figures, range }) {
  const { sources } = figures.kpis.value.value;
  const decided = sources.filter((one) => one.decided).sort((a, b) => b.decided - a.decided || (a.source < b.source ? -1 : 1));
  if (!decided.length) return html`<p class="empty small">Nothing was decided in ${range.words}.</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="By source"><table class="sources">
      <thead><tr><th scope="col">Source</th><th scope="col" class="number">Decided</th>
      <th scope="col" class="number">True</th><th scope="col" class="number">False</th><th scope="col" class="number">Neither</th>
      <th scope="col" class="number">True of all</th></tr></thead>
    <tbody>${decided.slice(0, MOST_SOURCES).map((one) => html`<${Source} key=${one.source} of=${one} />`)}</tbody></table></div>
    ${decided.length > MOST_SOURCES && html`<p class="faint">And ${count(decided.length - MOST_SOURCES)} sources with fewer decisions.</p>`}
    <p class="faint">The number of true ones leads to all that short-term knowledge has of the source.</p>`;
}

function Source({ of }) {
  const term = of.source ? [{ name: "source", value: of.source, not: false }] : [];
  const wrong = of.decided - of.true_positives - of.neither;
  const known = hrefOf("knowledge", { level: 2, q: print(term) });
  const plain = (many) => html`<td class="number" title="What was decided leaves the queue: it has no list"><${Plain} of=${many} /></td>`;
  return html`<tr><th scope="row">${of.source ? html`<a href=${hrefOf("queue", { q: print(term) })}><${Text} of=${of.source} most=${60} /></a>`
    : "without a source"}</th>${plain(of.decided)}<td class="number">${of.true_positives ? html`<a class="count" href=${known}
      title="Opens all of this source in short-term knowledge, whenever it came there">${count(of.true_positives)}</a>` : html`<${Plain} of=${0} />`}</td>
    ${plain(wrong)}${plain(of.neither)}
    <td class="number">${of.true_positive_rate === null ? "–" : `${(100 * of.true_positive_rate).toFixed(0)} %`}
      ${of.true_positive_rate > 0 && html`<i class="length"><i style=${{ width: `${(100 * of.true_positive_rate).toFixed(1)}%` }}></i></i>`}</td></tr>`;
}
