// The policy: by which rules everybody's threats are ranked, promoted and kept.

import { get, post, put } from "../core/api.js";
import { bytes, count, words } from "../core/format.js";
import { loadPolicy } from "../core/score.js";
import { me } from "../core/session.js";
import { line } from "../core/text.js";
import { html, useState } from "../html.js";
import { confirmed, Dialog, say, useSending, Wrong } from "../ui/dialog.js";
import { Table, Trouble, useReading } from "../ui/parts.js";

// What the document that describes the API says of the service: read once.

let reading = null;

/** Returns {version, defaults}: of the program, and of the policy's fields. */
export function described() {
  reading ??= get("/openapi.json").then(told, (problem) => {
    reading = null;
    throw problem;
  });
  return reading;
}

function told({ info, components }) {
  const fields = Object.entries(components.schemas.PolicyDocument.properties);
  return { version: info.version, defaults: Object.fromEntries(fields.map(([name, one]) => [name, one.default])) };
}

// Times as people write them: 1 h 30 min; read and written without losing a millisecond.

const UNITS = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1000], ["ms", 1]];
const UNIT_MS = { m: 60_000, ...Object.fromEntries(UNITS) };
const PART = /(\d+(?:\.\d+)?)\s*(ms|min|m|s|h|d)\s*/gy;

/** Returns a time in milliseconds as its units. */
export function written(ms) {
  let rest = ms;
  const found = [];
  for (const [unit, size] of UNITS) {
    const value = Math.floor(rest / size);
    if (value) found.push(`${value} ${unit}`);
    rest -= value * size;
  }
  return found.join(" ") || "0 s";
}

/** Reads a time, as `90m` or `1 h 30 min`, in milliseconds; null: it is none. */
export function read(text) {
  const given = text.trim();
  let ms = 0;
  PART.lastIndex = 0;
  while (PART.lastIndex < given.length) {
    const found = PART.exec(given);
    if (!found) return null;
    ms += Number(found[1]) * UNIT_MS[found[2]];
  }
  return given && Number.isSafeInteger(Math.round(ms)) ? Math.round(ms) : null;
}

export function PolicyPart() {
  const found = useReading((until) => get("/v1/policy", {}, { until }), []);
  const defaults = useReading(() => described().then((all) => all.defaults), []);
  if (found.problem) return html`<${Trouble} problem=${found.problem} onAgain=${found.again} />`;
  if (!found.value) return null;
  return html`<${Rules} key=${found.value.revision} found=${found.value} defaults=${defaults.value ?? {}} onChanged=${found.again} />`;
}

/** `texts` are the fields that somebody has written in; all others are as in force. */
function Rules({ found, defaults, onChanged }) {
  const [base, setBase] = useState(found);
  const [texts, setTexts] = useState({});
  const [looks, setLooks] = useState(false);
  const [theirs, setTheirs] = useState(null);
  const form = useSending();
  const values = Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, valueOf(name, text)]));
  const wanted = { ...base.policy, ...values };
  const changed = differing(base.policy, wanted);
  const wrong = Object.keys(values).filter((name) => values[name] === null);
  const save = async () => {
    const headers = { "if-match": `"${base.revision}"` };
    const answer = await form.send(() => put("/v1/policy", wanted, { headers }).catch(async (problem) => {
      if (problem.status !== 412 && problem.status !== 409) throw problem;
      return { theirs: await get("/v1/policy") };
    }));
    if (!answer) return;
    setLooks(false);
    if (answer.theirs) return void setTheirs(answer.theirs);
    say(`The policy is in force for everybody, as revision ${count(answer.revision)}.`, { kind: "done" });
    loadPolicy();
    onChanged();
  };
  const settle = (keeps) => {
    setBase(theirs);
    if (!keeps) setTexts({});
    setTheirs(null);
    loadPolicy();
    if (keeps) setLooks(true);
  };
  return html`<form class="policy" onSubmit=${(event) => { event.preventDefault(); if (changed.length && !wrong.length) setLooks(true); }}>
    <p class="notice"><b>Everybody is ranked by these rules.</b> A change holds from the next read on, for all; lists that are being walked begin anew.
      <span class="faint"> Revision ${count(base.revision)}.</span></p>
    <div class="cards">${GROUPS.map(([title, fields]) => html`<section class="card" key=${title} aria-labelledby=${idOf(title)}>
      <h2 id=${idOf(title)}>${title}</h2>
      ${fields.map(([name, text]) => html`<${Field} key=${name} name=${name} text=${text} value=${texts[name] ?? textOf(name, base.policy[name])}
        usual=${defaults[name]} isChanged=${changed.includes(name)} isWrong=${wrong.includes(name) || form.isWrong(name)}
        onInput=${(given) => setTexts({ ...texts, [name]: given })} />`)}</section>`)}</div>
    <footer class="bar"><span role="status">${wrong.length ? html`<span class="wrong">${NAMES[wrong[0]]}: ${hintOf(wrong[0])}</span>`
      : changed.length ? `${changed.length} changed` : "Nothing is changed."}</span>
      ${Object.keys(texts).length > 0 && html`<button type="button" class="quiet" onClick=${() => setTexts({})}>Discard</button>`}
      <button type="submit" class="main" disabled=${!changed.length || wrong.length > 0}>Look at the changes…</button></footer>
    ${looks && html`<${Review} base=${base.policy} wanted=${wanted} changed=${changed} form=${form} onSave=${save} onClose=${() => setLooks(false)} />`}
    ${theirs && html`<${Conflict} base=${base} theirs=${theirs} wanted=${wanted} changed=${changed} onSettle=${settle} />`}</form>`;
}

const idOf = (title) => `rules-${title.toLowerCase().replace(/[^a-z]+/g, "-")}`;

function Field({ name, text, value, usual, isChanged, isWrong, onInput }) {
  const differs = usual !== undefined && valueOf(name, value) !== usual;
  return html`<label class="rule" data-changed=${isChanged}><span>${text}${isChanged && html` <b class="mark">changed</b>`}
      <small class="faint">${FIXED.has(name) ? html`changed by <code>periscope rebuild</code> alone` : html`${usual !== undefined
        && html`default ${textOf(name, usual)}${differs && " · differs"} · `}${unitOf(name)}`}</small></span>
    <input type="text" name=${name} inputmode=${unitOf(name) === "time" ? null : "decimal"} spellcheck=${false} autocomplete="off" readonly=${FIXED.has(name)}
      aria-invalid=${isWrong} value=${value} onInput=${(event) => onInput(event.target.value)} /></label>`;
}

function Review({ base, wanted, changed, form, onSave, onClose }) {
  return html`<${Dialog} title="Change the policy for everybody" name="review" wide onClose=${onClose}><div>
    <table><thead><tr><th scope="col">Rule</th><th scope="col">In force</th><th scope="col">From now on</th></tr></thead><tbody>
      ${changed.map((name) => html`<tr key=${name}><th scope="row">${NAMES[name]}</th>
        <td>${textOf(name, base[name])}</td><td><b>${textOf(name, wanted[name])}</b></td></tr>`)}
    </tbody></table>
    <p>The ranking changes for everybody at once, and so may what is promoted, overdue or aged out.</p><${Wrong} problem=${form.problem} />
    <footer><button type="button" autofocus onClick=${onClose}>Back</button>
      <button type="button" class="main" disabled=${form.busy} onClick=${onSave}>Put in force</button></footer></div></${Dialog}>`;
}

// Two people changed the policy at once: what each of them wants, and whose holds.

/** `base` is what one began with, `theirs` is in force now, `changed` are one's own changes. */
function Conflict({ base, theirs, wanted, changed, onSettle }) {
  const others = differing(base.policy, theirs.policy);
  const names = Object.keys(NAMES).filter((name) => changed.includes(name) || others.includes(name));
  const mark = (name, list, text) => (list.includes(name) ? html`<b>${text}</b>` : html`<span class="faint">${text}</span>`);
  return html`<${Dialog} title="Somebody else changed the policy" name="conflict" wide onClose=${() => onSettle(true)}><div>
    <p>You began with revision ${count(base.revision)}; revision ${count(theirs.revision)} is in force now. Nothing of yours is saved yet.</p>
    <table><thead><tr><th scope="col">Rule</th><th scope="col">When you began</th><th scope="col">In force now</th>
      <th scope="col">Yours</th></tr></thead><tbody>
      ${names.map((name) => html`<tr key=${name} data-clash=${changed.includes(name) && others.includes(name)}><th scope="row">${NAMES[name]}</th>
        <td>${textOf(name, base.policy[name])}</td><td>${mark(name, others, textOf(name, theirs.policy[name]))}</td>
        <td>${changed.includes(name) ? mark(name, changed, textOf(name, wanted[name])) : html`<span class="faint">as theirs</span>`}</td></tr>`)}
    </tbody></table>
    <footer><button type="button" onClick=${() => onSettle(false)}>Leave theirs, discard mine</button>
      <button type="button" class="main" onClick=${() => onSettle(true)}>Put mine on top of theirs…</button></footer></div></${Dialog}>`;
}

// The fields of the policy: what they are called, what they mean, and in what unit.

/** Groups of [field, what it means]. */
const GROUPS = [
  ["Score", [
    ["severity_weight", "Weight of severity"], ["interactions_weight", "Weight of interactions"],
    ["escalations_weight", "Weight of escalations"], ["recency_weight", "Weight of recency"],
    ["severity_critical", "Value of CRITICAL"], ["severity_high", "Value of HIGH"], ["severity_medium", "Value of MEDIUM"],
    ["severity_low", "Value of LOW"], ["recency_constant_ms", "Time constant of recency (not its half-life)"],
    ["interactions_cap", "More interactions than these do not raise it"], ["escalations_cap", "More escalations than these do not raise it"]]],
  ["Response targets, since first seen", [
    ["target_critical_ms", "CRITICAL"], ["target_high_ms", "HIGH"], ["target_medium_ms", "MEDIUM"], ["target_low_ms", "LOW"]]],
  ["To short-term", [
    ["promote_score", "Least score"], ["promote_analysts", "Least distinct analysts"],
    ["promote_escalations", "So many escalations, or HIGH or CRITICAL"]]],
  ["To long-term", [
    ["long_term_confidence", "Least confidence"], ["long_term_consolidations", "Least consolidations"],
    ["validated_escalations", "Validated from so many escalations on"], ["consolidation_interval_ms", "At most one consolidation in"]]],
  ["Decay of long-term knowledge", [
    ["protected_consolidations", "No decay from so many consolidations on, or validated"],
    ["decay_per_day", "What is left of a confidence after a day"], ["decay_floor", "It does not fall below"]]],
  ["Time to live", [
    ["working_ttl_ms", "Working, since the last activity"], ["short_term_ttl_ms", "Short-term"],
    ["long_term_ttl_ms", "Long-term, unprotected"], ["settle_after_ms", "A recalled threat returns home after"]]],
  ["Memory", [
    ["undo_within_ms", "An act can be undone for"], ["remember_for_ms", "Ids of requests are known for"],
    ["remember_limit", "Ids of requests, a partition"], ["stub_ttl_ms", "Departed threats are known for"],
    ["stub_limit", "Departed threats, a partition"], ["events_limit_kb", "Events, KiB a partition"],
    ["audit_limit_kb", "Audit trail not yet archived, KiB a partition"]]],
];
/** What a field is called where it stands alone. */
const NAMES = Object.fromEntries(GROUPS.flatMap(([title, fields]) => fields.map(([name, text]) => [name, `${title}: ${text}`])));
/** Those stand in the boards. */
const FIXED = new Set(["interactions_cap", "escalations_cap"]);

const isSpan = (name) => name.endsWith("_ms");
const isShare = (name) => /weight|^severity_|_score$|_confidence$|^decay_/.test(name);

/** Says in what unit a field is written. */
const unitOf = (name) => (isSpan(name) ? "time" : isShare(name) ? "0 to 1" : "whole number");

/** Says how a field is written. */
const hintOf = (name) => (isSpan(name) ? "a time, as 15 min or 1 h 30 min" : isShare(name) ? "a number from 0 to 1" : "a whole number");

/** Returns a field's value as text. */
const textOf = (name, value) => (isSpan(name) ? written(value) : String(value));

/** Reads a field's text; null: it cannot be. */
function valueOf(name, text) {
  if (isSpan(name)) return read(text);
  const value = text.trim() === "" ? NaN : Number(text);
  const fits = isShare(name) ? value >= 0 && value <= 1 : Number.isSafeInteger(value) && value >= 0 && value <= 10_000_000;
  return fits ? value : null;
}

/** Returns the names of fields in which two policies differ, in the order of the page. */
const differing = (one, other) => Object.keys(NAMES).filter((name) => one[name] !== other[name]);

// Facts of the service, promotion on demand, and whether the ledger balances.

const EVERY_MS = 5000;
const HELD = { event_bytes: "events kept", audit_bytes: "audit trail not yet archived" };
const WRITABLE = { yes: "takes changes", full: "full: it takes no more reports", refused: "refuses changes" };

export function Service() {
  const stats = useReading((until) => get("/v1/stats", {}, { until }), [], EVERY_MS);
  const about = useReading(described, []);
  const { value } = stats;
  return html`<div class="cards">${stats.problem && html`<${Trouble} problem=${stats.problem} onAgain=${stats.again} />`}
    ${value && html`<${Facts} server=${value.server} version=${about.value?.version} held=${value.held} /><${Promotion} onDone=${stats.again} />
      <${Ledger} ledger=${value.ledger} />`}</div>`;
}

function Facts({ server, version, held }) {
  const rows = [["Periscope", version ?? "–"], ["Namespace", line(me.value.namespace, 80)], ["Store", `${line(server.kind, 40)} ${line(server.version, 40)}`],
    ["Durability", line(server.durability, 40)], ["Memory", server.used_memory_bytes === null ? "shared: not told"
      : `${bytes(server.used_memory_bytes)}${server.max_memory_bytes ? ` of ${bytes(server.max_memory_bytes)}` : ""}`]];
  return html`<section class="card" aria-labelledby="facts"><h2 id="facts">Service</h2><dl class="told">
    ${rows.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}
    <div><dt>Writes</dt><dd class=${server.writable === "yes" ? "good" : "wrong"}>${WRITABLE[server.writable] ?? line(server.writable, 40)}</dd></div>
    ${Object.entries(held).map(([name, value]) => html`<div key=${name}><dt>${HELD[name] ?? words(name)}</dt>
      <dd>${name.endsWith("_bytes") ? bytes(value) : count(value)}</dd></div>`)}</dl></section>`;
}

function Promotion({ onDone }) {
  const form = useSending();
  const [done, set] = useState(null);
  const promote = async () => {
    const answer = await form.send(() => post("/v1/promote"));
    if (!answer) return;
    set(answer);
    say(`${count(answer.promoted)} promoted${answer.failed ? `, ${count(answer.failed)} failed` : ""}.`, { kind: answer.failed ? "warning" : "done" });
    onDone();
  };
  return html`<section class="card" aria-labelledby="promotion"><h2 id="promotion">Promotion</h2>
    <p>The workers promote by themselves what is eligible. This does so now.</p>
    ${done && html`<p role="status">${count(done.promoted)} promoted, ${count(done.failed)} failed.</p>`}<${Wrong} problem=${form.problem} />
    <footer><button type="button" disabled=${form.busy} onClick=${promote}>Promote now</button></footer></section>`;
}

const CAME = ["added", "sightings", "duplicates", "suppressed", "rejected"];
const IS = ["level_1", "level_2", "level_3", "departed"];
const LEFT = ["archived_seen", "archived_unseen", "removed"];

function Ledger({ ledger }) {
  const form = useSending();
  const [deep, set] = useState(null);
  const recount = async () => {
    const text = "Every record and the whole archive are counted. That is slow, and for a quiet database: what changes meanwhile may look like a fault.";
    if (!await confirmed({ title: "Recount everything", text, yes: "Recount", isDanger: false })) return;
    const answer = await form.send(() => get("/v1/ledger", { deep: true }));
    if (answer) set(answer);
  };
  const shown = deep ?? ledger;
  return html`<section class="card" aria-labelledby="ledger"><h2 id="ledger">Ledger</h2>
    <p class=${shown.balanced ? "good" : "wrong"} role="status">${shown.balanced ? "✓ It balances: nothing is lost." : "✗ It does not balance."}
      ${deep && ` Recounted: ${count(deep.records)} records.`}</p>
    <${Sum} total="received" parts=${CAME} of=${shown} /><${Sum} total="added" parts=${IS} of=${shown} /><${Sum} total="departed" parts=${LEFT} of=${shown} />
    ${deep && Object.entries(deep.faults).map(([name, many]) => html`<p class=${many ? "wrong" : "faint"} key=${name}>${words(name)}: ${count(many)}</p>`)}
    <${Wrong} problem=${form.problem} />
    <footer>${deep && html`<button type="button" class="quiet" onClick=${() => set(null)}>Back to the counts of now</button>`}
      <button type="button" disabled=${form.busy} onClick=${recount}>${form.busy ? "Counting…" : "Recount everything…"}</button></footer></section>`;
}

function Sum({ total, parts, of }) {
  return html`<table class="sum"><caption class="unseen">${words(total)}</caption><tbody>
    <tr><th scope="row">${words(total)}</th><td class="number"><b>${count(of[total])}</b></td></tr>
    ${parts.map((name) => html`<tr key=${name}><th scope="row" class="part">${words(name)}</th>
      <td class="number">${count(of[name])}</td></tr>`)}</tbody></table>`;
}

// The settings in force: read only, secrets hidden.

export function Settings() {
  const { value, problem, again } = useReading((until) => get("/v1/settings", {}, { until }), []);
  const [text, set] = useState("");
  const fits = (one) => `${one.name} ${one.variable} ${one.help}`.toLowerCase().includes(text.trim().toLowerCase());
  const items = value?.items.filter(fits) ?? [];
  return html`<section class="card" aria-labelledby="settings"><header><h2 id="settings">Settings</h2>
      <input type="search" aria-label="Find a setting" placeholder="Find a setting" value=${text} onInput=${(event) => set(event.target.value)} /></header>
    <p class="faint">As this process was started with; they are set where it is started. What differs from the default is bold.</p>
    ${problem && html`<${Trouble} problem=${problem} onAgain=${again} />`}
    ${value && !items.length && html`<p class="empty">No setting is called so.</p>`}
    ${items.length > 0 && html`<${Table} label="Settings" heads=${["Setting", "Value", "Default", "What it is"]}>
      ${items.map((one) => html`<tr key=${one.name}><td><span class="mono">${one.name}</span><div class="under mono">${one.variable}</div></td>
        <td data-label="Value"><${Value} of=${one} /></td><td class="faint" data-label="Default">${asText(one.default)}</td>
        <td>${line(one.help, 500)}</td></tr>`)}</${Table}>`}</section>`;
}

const asText = (value) => (value === null ? "–" : line(String(value), 300));

function Value({ of }) {
  if (of.secret) return html`<span class="faint">hidden</span>`;
  return of.value === of.default ? asText(of.value) : html`<b>${asText(of.value)}</b>`;
}
