// What is known: validated (level 2), consolidated (level 3), and what has left.

import { get, post, threatPath } from "../core/api.js";
import { now, tick } from "../core/clock.js";
import { count, moment, SEVERITIES, share, span, words } from "../core/format.js";
import { change, params } from "../core/route.js";
import { confidence, policy } from "../core/score.js";
import { may } from "../core/session.js";
import { line, quote } from "../core/text.js";
import { html, signal, useEffect, useState } from "../html.js";
import { FilterBar } from "../list/filter-bar.js";
import { listen } from "../live/live.js";
import { Board } from "./board.js";
import { COLUMNS } from "../list/list.js";
import { confirmed, say } from "../ui/dialog.js";
import { Paged, Severity, Table, Tabs, Text, usePages } from "../ui/parts.js";

// What is told of a threat of level 2 or 3: how sure it is, how that goes on, and for how long.

const DAY_MS = 86_400_000;
const DAYS = 30;
const WIDE = 90;
const HIGH = 22;
const KINDS = { validated: "✓", false_positive: "×", pattern: "≈" };

/** Returns what kind of knowledge it is, as the API's `memory_type`. */
function kindOf(row) {
  if (row.validated) return "validated";
  return row.dismissals > row.escalations ? "false_positive" : "pattern";
}

/** Returns when it ages out, in milliseconds since 1970; null: never. */
function endOf(rules, row) {
  if (!rules || row.entered_ms === null || (row.level === 3 && row.protected)) return null;
  return row.entered_ms + (row.level === 3 ? rules.long_term_ttl_ms : rules.short_term_ttl_ms);
}

/** Returns a confidence for each of the next days until it ages out: [[day, confidence]]. */
function curveOf(rules, row, at) {
  const end = endOf(rules, row) ?? Infinity;
  const last = Math.max(0, Math.min(DAYS, (end - at) / DAY_MS));
  const days = [...Array(Math.ceil(last)).keys(), last];
  return days.map((day) => [day, confidence(rules, row, at + day * DAY_MS)]);
}

function Confidence({ row }) {
  tick.value;
  const value = confidence(policy.value, row, now());
  return html`<span class="score" title=${`confidence ${value.toFixed(4)}`}>
    <span class="bar"><span style=${{ transform: `scaleX(${Math.min(1, value).toFixed(4)})` }}></span></span>
    <span class="number">${share(value)}</span></span>`;
}

const x = (day) => (1 + (day / DAYS) * (WIDE - 2)).toFixed(1);

/** The next thirty days: where it will be, where it cannot fall below, where it ends. */
function Curve({ row }) {
  const rules = policy.value;
  if (!rules) return null;
  const points = curveOf(rules, row, now());
  const [last, ends] = points.at(-1);
  const low = Math.min(rules.decay_floor, ends); // what lies below the floor would only flatten the fall
  const y = (value) => (HIGH - 4 - ((value - low) / Math.max(0.05, 1 - low)) * (HIGH - 7)).toFixed(1);
  const told = row.level === 3 && !row.protected
    ? `falls to ${share(ends)} in ${Math.round(last)} days, never below ${share(rules.decay_floor)}`
    : `stays at ${share(ends)}`;
  return html`<svg class="curve" viewBox=${`0 0 ${WIDE} ${HIGH}`} role="img" aria-label=${told}><title>${told}</title>
    <line class="floor" x1="1" x2=${WIDE - 1} y1=${y(rules.decay_floor)} y2=${y(rules.decay_floor)} />
    <polyline points=${points.map(([day, value]) => `${x(day)},${y(value)}`).join(" ")} />
    ${last < DAYS && html`<line class="end" x1=${x(last)} x2=${x(last)} y1="2" y2=${HIGH - 2} />`}</svg>`;
}

function Kind({ row }) {
  const kind = kindOf(row);
  return html`<span class="kind" data-kind=${kind}><span aria-hidden="true">${KINDS[kind]}</span> ${words(kind)}</span>`;
}

function Ages({ row }) {
  tick.value;
  const end = endOf(policy.value, row);
  if (end === null) return html`<span class="faint" title=${row.protected ? "protected: it does not age out" : ""}>never</span>`;
  const left = end - now();
  return html`<span data-near=${left < DAY_MS}>${left > 0 ? `in ${span(left, left < 7 * DAY_MS ? 2 : 1)}` : "now"}</span>`;
}

function Since({ row, done }) {
  tick.value;
  if (done) return html`<span class="status" data-status=${done}>${words(done)}</span>`;
  return html`<span class="faint">${span(now() - (row.entered_ms ?? row.first_seen_ms))}</span>`;
}

const usual = (name) => COLUMNS.find((one) => one.name === name);

/** Columns of a list of level 2 or 3. */
export const KNOWN = [
  usual("pick"),
  { name: "severity", head: "Sev." },
  { name: "score", head: "Confidence", cell: Confidence },
  { name: "curve", head: "Next 30 days", cell: Curve },
  usual("title"),
  { name: "kind", head: "Memory", cell: Kind },
  { name: "times", head: "Consol.", cell: ({ row }) => html`<span title="consolidations">${count(row.consolidations)}×</span>` },
  usual("source"),
  usual("tlp"),
  { name: "ages", head: "Ages out", cell: Ages },
  { name: "status", head: "Here for", cell: Since },
];

// What has left: by age or removed, with what was known of it.

const REASONS = { expired_seen: "aged out, seen", expired_unseen: "aged out, unseen", removed: "removed" };
const NUMBERS = [["interactions", "Interactions"], ["escalations", "Escalations"], ["dismissals", "Dismissals"],
  ["analysts", "Analysts"], ["sightings", "Sightings"], ["consolidations", "Consolidations"]];

export function Departed() {
  const { reason, severity, source } = params.value;
  const list = usePages("/v1/history", { reason, severity, source });
  const set = (more) => change(more, { replace: false });
  return html`<div class="records"><form class="asks" role="search" aria-label="Departed threats" onSubmit=${(event) => event.preventDefault()}>
      <${Pick} label="Reason" value=${reason} all="Every reason" values=${Object.entries(REASONS)} onPick=${(value) => set({ reason: value })} />
      <${Pick} label="Severity" value=${severity} all="Every severity" values=${SEVERITIES.map((one) => [one, one.toLowerCase()])}
        onPick=${(value) => set({ severity: value })} />
      <label>Source<input type="text" maxlength="1024" placeholder="exactly this one" value=${source ?? ""}
        onChange=${(event) => set({ source: event.target.value || null })} /></label>
      <button type="button" onClick=${list.again}>Read anew</button></form>
    <${Paged} list=${list} none="Nothing that fits has left." more="More"><${Lines} items=${list.items} /></${Paged}></div>`;
}

function Pick({ label, value, all, values, onPick }) {
  return html`<label>${label}<select value=${value ?? ""} onChange=${(event) => onPick(event.target.value || null)}>
    <option value="">${all}</option>${values.map(([one, text]) => html`<option key=${one} value=${one} selected=${one === value}>${text}</option>`)}
  </select></label>`;
}

function Lines({ items }) {
  const [allowed, set] = useState(new Set());
  const allow = async (one) => {
    if (await letIn(one)) set((old) => new Set([...old, one.row]));
  };
  const heads = ["Sev.", "Threat", "Left", "Source", ...NUMBERS.map(([, head]) => `#${head}`), "#Confidence", "Outcome"];
  return html`<${Table} label="Departed threats" heads=${may("admin") ? [...heads, ""] : heads}>
    ${items.map((one) => html`<${Line} key=${one.row} one=${one} isAllowed=${allowed.has(one.row)} onAllow=${() => allow(one)} />`)}</${Table}>`;
}

function Line({ one, isAllowed, onAllow }) {
  return html`<tr data-severity=${one.severity}><td><${Severity} of=${one.severity} /></td>
    <td class="subject">${one.erased ? html`<span class="faint">erased</span>` : html`<${Text} of=${one.title || one.threat_id} most=${200} />`}
      <div class="under"><${Text} of=${one.threat_id} most=${120} class="id" />
        ${one.note && html`<span>“<${Text} of=${one.note} most=${300} />”</span>`}</div></td>
    <td class="left">${REASONS[one.reason] ?? words(one.reason)}${one.level > 1 && ` from level ${one.level}`}
      <div class="under">${moment(one.departed_at_ms)}${one.actor && html` by <${Text} of=${one.actor} most=${60} />`}</div></td>
    <td data-label="Source"><${Text} of=${one.source || "–"} most=${60} /></td>
    ${NUMBERS.map(([name, head]) => html`<td class="number" data-label=${head} key=${name}>${count(one[name])}</td>`)}
    <td class="number" data-label="Confidence">${share(one.confidence)}</td><td data-label="Outcome">${one.outcome ? words(one.outcome) : "–"}</td>
    ${may("admin") && html`<td class="deeds">${one.reason === "removed" && (isAllowed ? html`<span class="good">allowed again</span>`
      : html`<button type="button" aria-label=${`Allow ${line(one.threat_id, 80)} again`} onClick=${onAllow}>Allow again…</button>`)}</td>`}</tr>`;
}

async function letIn(one) {
  const sure = await confirmed({
    title: "Allow it again", yes: "Allow again", isDanger: false,
    text: `Reports of ${line(one.threat_id, 120)} are let in again from now on. What was removed does not come back by itself.`,
  });
  if (!sure) return false;
  try {
    await post(threatPath(one.threat_id, "/allow"), { request_id: crypto.randomUUID() });
    say(`${quote(one.threat_id, 60)} is allowed again.`, { kind: "done" });
    return true;
  } catch (problem) {
    say(problem.type === "not-removed" ? `${quote(one.threat_id, 60)} is not kept out (any more).` : line(problem.message),
      { kind: problem.type === "not-removed" ? "note" : "error" });
    return problem.type === "not-removed";
  }
}

const TITLES = { 2: "Short-term", 3: "Long-term", departed: "Departed" };
const TOTALS = { 2: "level_2", 3: "level_3", departed: "departed" };

export default function Knowledge() {
  const totals = useTotals();
  const at = Object.hasOwn(TITLES, params.value.level) ? params.value.level : params.value.industry ? "3" : "2";
  const tabs = Object.keys(TITLES).map((id) => ({
    id, title: TITLES[id], total: totals?.[TOTALS[id]], where: { page: "knowledge", params: { level: id } },
  }));
  return html`<div class="knowledge"><header><h1>Knowledge</h1>
      <${Tabs} label="Knowledge" tabs=${tabs} at=${at} panel="knowledge" /></header>
    <div role="tabpanel" id="knowledge" aria-labelledby=${`tab-${at}`} key=${at}>
      ${at === "departed" ? html`<${Departed} />` : html`<${Level} level=${Number(at)} />`}</div></div>`;
}

function Level({ level }) {
  const industry = level === 3 ? params.value.industry || undefined : undefined;
  const base = industry ? { level, industry } : { level };
  return html`<${Board} name=${`level-${level}`} label=${`${TITLES[level]} knowledge`} base=${base} columns=${KNOWN} isKnown
    head=${level === 3 ? LongHead : FilterBar} empty=${html`<${Nothing} level=${level} industry=${industry} />`} />`;
}

function LongHead(props) {
  return html`<${FilterBar} ...${props} /><${Industries} rows=${props.store.rows.value} at=${params.value.industry ?? ""} />`;
}

function Nothing({ level, industry }) {
  const rules = policy.value;
  if (industry) {
    return html`<p class="empty">Nothing of this level fits. <button type="button"
      onClick=${() => change({ industry: null })}>Show all of it</button></p>`;
  }
  return html`<p class="empty">Nothing has come this far yet. <span class="faint">${level === 2
    ? `A score of ${rules?.promote_score ?? "–"} and ${rules?.promote_analysts ?? "–"} analysts bring a threat here.`
    : `A confidence of ${rules?.long_term_confidence ?? "–"} and ${rules?.long_term_consolidations ?? "–"} consolidations bring one here.`}</span></p>`;
}

// Long-term knowledge by industry: those that were seen, and any other by name.

const MOST = 40;
const seen = signal([]);

/** Shows industries of the rows, and remembers them while one of them is chosen. */
function Industries({ rows, at }) {
  useEffect(() => note([...rows.values()].map((row) => row.industry)), [rows]);
  const choose = (industry) => change({ industry: industry || null, level: "3", t: null }, { replace: false });
  const known = at && !seen.value.includes(at.toLowerCase()) ? [at, ...seen.value] : seen.value;
  const other = (event) => {
    event.preventDefault();
    choose(new FormData(event.target).get("industry").trim());
    event.target.reset();
  };
  return html`<form class="industries" onSubmit=${other} aria-label="Industry">
    <span class="faint" aria-hidden="true">Industry</span>
    <button type="button" aria-pressed=${!at} onClick=${() => choose("")}>All</button>
    ${known.map((one) => html`<button type="button" key=${one} aria-pressed=${one === at.toLowerCase() || one === at}
      onClick=${() => choose(one)}><bdi>${line(one, 40)}</bdi></button>`)}
    <input type="text" name="industry" aria-label="Another industry" placeholder="another" maxlength="256" spellcheck=${false} /></form>`;
}

function note(names) {
  const fresh = names.filter(Boolean).map((one) => one.toLowerCase());
  const all = [...new Set([...seen.value, ...fresh])].sort().slice(0, MOST);
  if (all.length !== seen.value.length) seen.value = all;
}

// How many there are of each level, read anew as they move.

const EVERY_MS = 5000;

/** Returns the ledger's counts; null until they have come, or where they may not be seen. */
function useTotals() {
  const [totals, set] = useState(null);
  useEffect(() => {
    const until = new AbortController();
    let timer = 0;
    let last = -EVERY_MS;
    const read = async () => {
      timer = 0;
      last = performance.now();
      try {
        set(await get("/v1/ledger", {}, { until: until.signal }));
      } catch {
        // The list says what is wrong; totals that cannot be had are not shown.
      }
    };
    const soon = () => { timer ||= setTimeout(read, Math.max(0, last + EVERY_MS - performance.now())); };
    const deaf = listen(soon);
    read();
    return () => {
      deaf();
      until.abort();
      clearTimeout(timer);
    };
  }, []);
  return totals;
}
