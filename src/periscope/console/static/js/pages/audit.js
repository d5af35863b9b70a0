// Who did what, the newest first.

import { get } from "../core/api.js";
import { count, moment, OUTCOMES, words } from "../core/format.js";
import { change, hrefOf, params } from "../core/route.js";
import { line, shown } from "../core/text.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { listen } from "../live/live.js";
import { written } from "./admin-policy.js";
import { Paged, Table, Text, usePages } from "../ui/parts.js";

// What is shown of the audit trail, as a file: made here, of what is here, and sent nowhere.

const COLUMNS = ["at", "action", "threat_id", "analyst_id", "request_id", "detail", "erased", "entry"];
const KINDS = { csv: "text/csv;charset=utf-8", ndjson: "application/x-ndjson" };
// As the program's own export has it: what a spreadsheet takes for a formula, and what it overlooks before one.
const UNSEEN = /^[ "\u00a0\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff\u2066-\u2069]+/;
const BEGINS_FORMULA = /^[=+\-@|%\t\r\n＝＋－＠｜％]/;
const CONTROLS = /[\u0001-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g;

/** Returns text that no spreadsheet takes for a formula. */
export function safeCell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean" || typeof value === "number") return String(value);
  const text = (typeof value === "string" ? value : JSON.stringify(value)).replaceAll("\0", "").replace(CONTROLS, "\ufffd");
  return BEGINS_FORMULA.test(text.replace(UNSEEN, "")) ? `'${text}` : text;
}

/** Returns entries as lines of CSV (RFC 4180), every cell in quotation marks. */
function csvOf(items) {
  const rows = [COLUMNS, ...items.map((one) => COLUMNS.map((name) => safeCell(one[name])))];
  return rows.map((row) => `${row.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(",")}\r\n`).join("");
}

/** Returns entries as lines of JSON. */
function ndjsonOf(items) {
  return items.map((one) => `${JSON.stringify(one)}\n`).join("");
}

/** Has the browser keep entries as a file: `form` is csv or ndjson. */
export function save(items, form) {
  const text = (form === "csv" ? csvOf(items) : ndjsonOf(items)).toWellFormed();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: KINDS[form] }));
  link.download = `audit-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.${form}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const FIELDS = [["analyst", "Analyst", "exact name"], ["action", "Action", "decide, set_policy …"], ["threat", "Threat", "exact id"],
  ["since", "Since", "2h, 7d, 2026-01-31 12:00"], ["until", "Until", "2h, 7d, 2026-01-31 12:00"]];
const ACTIONS = ["view", "escalate", "dismiss", "monitor", "investigate", "claim", "takeover", "release", "decide", "snooze", "reopen",
  "comment", "undo", "recall", "remove", "allow", "erase", "promote", "sign_in", "sign_out", "failed_sign_in", "lock_out", "create_key",
  "revoke_key", "create_account", "disable_account", "enable_account", "set_password", "set_scopes", "set_policy", "add_suppression",
  "end_suppression", "define_feed", "run_feed"];

export default function Audit() {
  const query = asked(params.value);
  const list = usePages("/v1/audit", query);
  const [newer, seen] = useNewer(query, list);
  const field = list.problem?.field;
  return html`<div class="page records"><header><h1>Audit</h1>
      <span class="newer" role="status">${newer > 0 && html`<button type="button" class="main" onClick=${() => { seen(); list.again(); }}>
        ${newer > 100 ? "100+" : count(newer)} newer</button>`}</span>
      <span class="side"><button type="button" disabled=${!list.items.length} onClick=${() => save(list.items, "ndjson")}>Save as NDJSON</button>${" "}
        <button type="button" disabled=${!list.items.length} onClick=${() => save(list.items, "csv")}>Save as CSV</button></span></header>
    <${Filters} at=${params.value} wrong=${field === "threat_id" ? "threat" : field} />
    <${Paged} list=${list} none="Nothing on record fits." more="Older">
      <${Table} label="Audit trail" class="audit" heads=${["When", "Who", "What", "Threat", "Detail"]}>
        ${list.items.map((one) => html`<${Entry} key=${one.entry} one=${one} />`)}</${Table}></${Paged}></div>`;
}

/** What the API is asked: times without a zone are of this place. */
function asked({ analyst, action, threat, since, until }) {
  return { analyst, action, threat_id: threat, since: moments(since), until: moments(until) };
}

function moments(text) {
  if (!/^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?)?$/.test(text ?? "")) return text;
  const ms = Date.parse(text.length === 10 ? `${text}T00:00` : text.replace(" ", "T"));
  return Number.isNaN(ms) ? text : new Date(ms).toISOString();
}

function Filters({ at, wrong }) {
  const [given, set] = useState({});
  useEffect(() => set({}), [JSON.stringify(at)]);
  const submit = (event) => {
    event.preventDefault();
    const found = Object.fromEntries([...new FormData(event.target)].map(([name, value]) => [name, value.trim() || null]));
    change(found, { replace: false });
  };
  const clear = () => change(Object.fromEntries(FIELDS.map(([name]) => [name, null])), { replace: false });
  return html`<form class="asks" role="search" aria-label="Audit trail" onSubmit=${submit}>
    ${FIELDS.map(([name, label, hint]) => html`<label key=${name}>${label}<input type="text" name=${name} placeholder=${hint} spellcheck=${false}
      autocapitalize="off" list=${name === "action" ? "actions" : null} aria-invalid=${wrong === name} value=${given[name] ?? at[name] ?? ""}
      onInput=${(event) => set({ ...given, [name]: event.target.value })} /></label>`)}
    <datalist id="actions">${ACTIONS.map((one) => html`<option key=${one} value=${one} />`)}</datalist>
    <button type="submit" class="main">Show</button>
    ${FIELDS.some(([name]) => at[name]) && html`<button type="button" class="quiet" onClick=${clear}>Clear</button>`}</form>`;
}

function Entry({ one }) {
  const only = (name, value) => () => change({ [name]: value }, { replace: false });
  return html`<tr><td class="when">${moment(one.at_ms)}</td>
    <td class="by"><button type="button" class="cell" title="Only what they did" onClick=${only("analyst", one.analyst_id)}>
      <${Text} of=${one.analyst_id} most=${80} /></button></td>
    <td class="what"><button type="button" class="cell" title="Only this" onClick=${only("action", one.action)}>${line(words(one.action), 64)}</button></td>
    <td class="subject">${one.threat_id && html`<a href=${hrefOf("queue", { t: one.threat_id })}>
      <${Text} of=${one.threat_id} most=${120} class="id" /></a>`}</td>
    <td>${one.erased ? html`<span class="faint">erased</span>` : html`<${Detail} of=${one.detail} />`}</td></tr>`;
}

// How much has been done since the list was read.

const EVERY_MS = 5000;
const ROUND_MS = 30_000; // signing in, keys and the like are on record, and no news
const LOOKED_AT = 101;

/** Returns how many entries fit the query and are newer than the list's first, and what forgets them. */
function useNewer(query, list) {
  const [newer, set] = useState(0);
  const first = useRef(null);
  first.current = list.loading ? undefined : list.items[0]?.entry ?? null;
  const key = JSON.stringify(query);
  useEffect(() => {
    const until = new AbortController();
    let last = performance.now();
    let timer = 0;
    const look = async () => {
      timer = 0;
      last = performance.now();
      if (document.visibilityState !== "visible") return;
      const known = first.current;
      const page = await get("/v1/audit", { ...query, limit: LOOKED_AT }, { until: until.signal }).catch(() => null);
      if (!page || known === undefined || known !== first.current) return;
      const at = page.items.findIndex((one) => one.entry === known);
      set(at < 0 ? page.items.length : at);
    };
    const soon = (ms) => { timer ||= setTimeout(look, ms); };
    const deaf = listen((news) => {
      if (news.acts.length || news.kind === "again") soon(Math.max(1000, last + EVERY_MS - performance.now()));
    });
    const round = setInterval(() => soon(0), ROUND_MS);
    return () => {
      deaf();
      until.abort();
      clearTimeout(timer);
      clearInterval(round);
    };
  }, [key]);
  useEffect(() => set(0), [key]);
  return [newer, () => set(0)];
}

// What an act says besides: whatever it is, as lines of name and value.

const MOST = 8;
const LONGEST = 160;
const DEEPEST = 4;
const LONG_AGO_MS = 1e12;

/** Returns an object's fields as [name, text], those within it as `outer.inner`. */
function pairsOf(value, name = "", depth = 0) {
  if (value === null || value === undefined || value === "") return [];
  if (typeof value !== "object" || depth >= DEEPEST) return [[name, textOf(name, value)]];
  if (Array.isArray(value) && value.every((one) => typeof one !== "object")) return [[name, value.map(String).join(", ")]];
  return Object.entries(value).filter(([inner]) => !(inner === "until" && "until_ms" in value))
    .flatMap(([inner, one]) => pairsOf(one, name ? `${name}.${inner}` : inner, depth + 1));
}

/** A time of a name that says so is written as one: when it is, or how long. */
function textOf(name, value) {
  if (typeof value === "object") return JSON.stringify(value);
  if (name === "outcome") return OUTCOMES.find(([one]) => one === value)?.[1] ?? words(value);
  if (!name.endsWith("_ms") || !Number.isSafeInteger(value) || value < 0) return String(value);
  return value > LONG_AGO_MS ? moment(value) : written(value);
}

function Detail({ of }) {
  const pairs = pairsOf(of);
  if (!pairs.length) return null;
  const isLong = pairs.length > MOST || pairs.some(([, text]) => text.length > LONGEST);
  return html`<dl class="pairs">${pairs.slice(0, MOST).map(([name, text]) => html`<div key=${name}>
      ${name && html`<dt>${line(name.replace(/_ms$/, ""), 60)}:</dt>`} <dd><bdi dir="auto">${line(text, LONGEST)}</bdi></dd></div>`)}</dl>
    ${isLong && html`<details><summary>All of it</summary><pre class="content" dir="auto">${shown(whole(of))}</pre></details>`}`;
}

const whole = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 1));
