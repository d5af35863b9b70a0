// Suppressions: what this team calls noise, what that sets aside, and why.

import { get, post, Problem, remove, threatPath } from "../core/api.js";
import { now, tick } from "../core/clock.js";
import { bytes, count, moment, span } from "../core/format.js";
import { bind } from "../core/keys.js";
import { change, go, hrefOf, params } from "../core/route.js";
import { may } from "../core/session.js";
import { line, quote } from "../core/text.js";
import { html, signal, useEffect, useRef, useState } from "../html.js";
import { filled, isAsked, RuleForm } from "./suppressions-form.js";
import { attempt, confirmed, say } from "../ui/dialog.js";
import { focusRow, Indicator, Severity, Text, Trouble, useReading, useRows } from "../ui/parts.js";

// What is set aside now, and by what; one can be let back.

const PAGE = 50;
const ASIDE_HEADS = [["Sev."], ["Threat", "long"], ["Source"], ["By", "long"], ["Reports", "number"], ["Last"], ["Came back"]];

function Aside({ changes }) {
  const cause = params.value.cause ?? null;
  const [more, setMore] = useState([]);
  const { value, problem, again } = useReading((until) => get("/v1/suppressed", { cause, limit: PAGE }, { until }), [cause, changes]);
  useEffect(() => setMore([]), [value]);
  const items = [...(value?.items ?? []), ...more.flatMap((one) => one.items)];
  const next = (more.at(-1) ?? value)?.next_cursor;
  const further = async () => {
    const page = await attempt("No more could be read", () => get("/v1/suppressed", { cause, cursor: next, limit: PAGE }));
    if (page) setMore((old) => [...old, page]);
  };
  const back = (id) => letBack(id, again);
  const box = useRows("Set aside", [
    { keys: ["b"], label: "Let it back", when: (id) => may("admin") && id !== undefined, run: back }, { keys: ["r"], label: "Read anew", run: again }]);
  return html`<div ref=${box}><div class="acts"><${Causes} cause=${cause} changes=${changes} />
      <span class="faint" role="status">${value && `${count(items.length)} of ${count(value.total)} shown, what was reported last first`}</span></div>
    ${problem && html`<${Trouble} problem=${problem} onAgain=${again} />`}
    ${value && !items.length && html`<p class="empty">Nothing is set aside${cause && " by it"}.</p>`}
    ${!value && !problem && html`<p class="empty" aria-busy="true">Reading…</p>`}
    ${items.length > 0 && html`<${AsideTable} items=${items} back=${back} />`}
    ${next && html`<p class="acts"><button type="button" onClick=${further}>More</button></p>`}</div>`;
}

function Causes({ cause, changes }) {
  const { value } = useReading(async (until) => {
    const [rules, lists] = await Promise.all([get("/v1/suppressions", { ended: true }, { until }), get("/v1/warninglists", {}, { until })]);
    return [...rules.items.map((one) => [`rule:${one.id}`, `rule ${one.id}: ${one.where_text.join(" and ")}`]),
      ...lists.items.map((one) => [`list:${one.name}`, `list ${one.name}`])];
  }, [changes]);
  const choices = value ?? [];
  const isOther = cause !== null && !choices.some(([one]) => one === cause);
  return html`<label class="choice">By <select value=${cause ?? ""} onChange=${(event) => change({ cause: event.target.value || null })}>
    <option value="">any rule or list</option>${isOther && html`<option value=${cause}>${line(cause, 80)}</option>`}
    ${choices.map(([one, told]) => html`<option key=${one} value=${one}>${line(told, 90)}</option>`)}</select></label>`;
}

function AsideTable({ items, back }) {
  tick.value;
  return html`<div class="scroll"><table class="stacks"><thead><tr>${ASIDE_HEADS.map(([one, kind]) => html`<th scope="col" key=${one} class=${kind}>${one}</th>`)}
      ${may("admin") && html`<th scope="col"><span class="unseen">What to do</span></th>`}</tr></thead>
    <tbody>${items.map((one) => html`<tr key=${one.threat_id}><td data-label="Severity"><${Severity} of=${one.severity} /></td>
      <td data-label="Threat" class="long"><a class="headline" data-row=${one.threat_id} href=${hrefOf("suppressions", { tab: "explain", id: one.threat_id })}>
        <${Text} of=${one.title || one.threat_id} most=${160} /></a>
        <span class="under mono"><${Text} of=${one.threat_id} most=${90} /></span></td>
      <td data-label="Source"><${Text} of=${one.source} most=${60} /></td>
      <td data-label="By" class="long"><a href=${hrefOf("suppressions", causeAt(one.cause))}><${Text} of=${one.cause} most=${80} /></a></td>
      <td data-label="Reports" class="number">${count(one.count)}</td>
      <td data-label="Last"><span title=${moment(one.last_seen_ms)}>${span(Math.max(0, now() - one.last_seen_ms))} ago</span></td>
      <td data-label="Came back">${one.came_back_ms ? moment(one.came_back_ms) : html`<span class="faint">no</span>`}</td>
      ${may("admin") && html`<td data-label=""><button type="button" onClick=${() => back(one.threat_id)}>Let it back</button></td>`}</tr>`)}</tbody></table>
        </div>`;
}

const causeAt = (cause) => (cause.startsWith("rule:") ? { r: cause.slice(5) } : { tab: "lists" });

async function letBack(id, again) {
  const done = await attempt("Not let back", () => remove(`/v1/suppressed/${encodeURIComponent(id)}`));
  if (done) {
    say(done.was_suppressed ? `${quote(id, 60)}: its next report starts anew. While a rule or list holds for it, that is set aside again.`
      : `Nothing of ${quote(id, 60)} was set aside.`, { kind: done.was_suppressed ? "done" : "note" });
  }
  again();
}

// The rules: active ones in the order in which they are tried, and those that have ended.

const EVERY_MS = 10_000;
const COUNTED = 50; // rules whose set aside ids are counted, a question each
const AT_ONCE = 4;

export function Rules({ changes, changed }) {
  const [wantsEnded, setEnded] = useState(false);
  const { value, problem, again } = useReading((until) => get("/v1/suppressions", { ended: true }, { until }), [changes], EVERY_MS);
  const active = value?.items.filter(isInForce) ?? [];
  const ended = value?.items.filter((one) => !isInForce(one)).toReversed() ?? [];
  const shown = wantsEnded ? [...active, ...ended] : active;
  const counts = useCounts(shown.slice(0, COUNTED).map((one) => one.id), changes);
  const rule = value?.items.find((one) => one.id === params.value.r);
  const box = useRows("Rules", [{ keys: ["Delete"], label: "End the rule…", when: (id) => may("admin") && active.some((one) => one.id === id),
    run: (id) => end(active.find((one) => one.id === id), changed) }]);
  const close = () => shut(box);
  useEffect(() => bind("Rule", [{ keys: ["Escape"], label: "Close what is open beside", when: () => params.value.r !== undefined, run: () => shut(box) }]), []);
  return html`${problem && html`<${Trouble} problem=${problem} onAgain=${again} />`}
    <div class="beside" data-open=${rule !== undefined} ref=${box}><div>
      ${value && !active.length && html`<p class="empty">No rule is in force. <span class="faint">Everything that comes is looked at.</span></p>`}
      ${!value && !problem && html`<p class="empty" aria-busy="true">Reading the rules…</p>`}
      ${shown.length > 0 && html`<${RulesTable} rules=${shown} counts=${counts} open=${rule?.id} />`}
      ${ended.length > 0 && html`<p class="acts"><label class="choice"><input type="checkbox" checked=${wantsEnded}
        onChange=${(event) => setEnded(event.target.checked)} /> Also the ${count(ended.length)} that have ended</label></p>`}</div>
      ${rule && html`<${Detail} key=${rule.id} rule=${rule} changed=${changed} changes=${changes} onClose=${close} />`}
    </div>`;
}

const isInForce = (rule) => rule.active && (rule.until_ms === null || now() < rule.until_ms);

function shut(box) {
  const id = params.value.r;
  change({ r: null });
  focusRow(box, id);
}

function RulesTable({ rules, counts, open }) {
  tick.value;
  return html`<div class="scroll"><table class="stacks"><thead><tr>${["Sets aside what fulfils", "Reason", "By", "Until", "Rate", "Set aside"].map((one, at) =>
      html`<th scope="col" key=${one} class=${at === 5 ? "number" : at < 2 ? "long" : ""}>${one}</th>`)}</tr></thead>
    <tbody>${rules.map((one) => html`<tr key=${one.id} data-open=${one.id === open}>
      <td data-label="Fulfils" class="long">
        <a data-row=${one.id} class="headline mono" href=${hrefOf("suppressions", { r: one.id })} aria-current=${one.id === open ? "true" : null}>
        <${Where} of=${one} /></a></td>
      <td data-label="Reason" class="long"><${Text} of=${one.reason} most=${200} /></td><td data-label="By"><${Text} of=${one.author} most=${60} /></td>
      <td data-label="Until">${until(one)}</td><td data-label="Rate">${rate(one)}</td>
      <td data-label="Set aside" class="number">${count(counts.get(one.id))}</td></tr>`)}</tbody></table></div>`;
}

/** The conditions as they are typed. */
export function Where({ of }) {
  return of.where_text.map((one, at) => html`${at > 0 && html` <span class="faint">and</span> `}<${Text} of=${one} most=${160} />`);
}

function until(rule) {
  if (rule.ended_ms !== null) return html`<span class="faint">ended ${moment(rule.ended_ms)} by <${Text} of=${rule.ended_by} most=${60} /></span>`;
  if (rule.until_ms === null) return "for good";
  const wait = rule.until_ms - now();
  return html`<span title=${moment(rule.until_ms)}>${wait > 0 ? `${span(wait, 2)} more` : "run out"}</span>`;
}

function rate(rule) {
  return rule.rate ? `back beyond ${count(rule.rate.most)} in ${span(rule.rate.window_ms)}` : html`<span class="faint">none</span>`;
}

/** How many ids each rule hides, asked a few at a time. */
function useCounts(ids, changes) {
  const [counts, set] = useState(new Map());
  useEffect(() => {
    const until = new AbortController();
    const left = [...ids];
    const work = async () => {
      for (let id = left.shift(); id !== undefined; id = left.shift()) {
        const page = await get("/v1/suppressed", { cause: `rule:${id}`, limit: 1 }, { until: until.signal });
        set((old) => new Map(old).set(id, page.total));
      }
    };
    for (let at = 0; at < AT_ONCE; at += 1) work().catch(() => {}); // the list says what is wrong
    return () => until.abort();
  }, [ids.join(" "), changes]);
  return counts;
}

function Detail({ rule, changed, changes, onClose }) {
  const { value, problem, again } = useReading((until) => get(`/v1/suppressions/${encodeURIComponent(rule.id)}`, {}, { until }), [rule.id, changes], EVERY_MS);
  return html`<aside class="card detail" aria-label="Rule">
    <header><h2>Rule <span class="mono">${line(rule.id, 32)}</span></h2><button type="button" class="quiet" aria-label="Close" onClick=${onClose}>×</button>
      </header>
    ${may("admin") && isInForce(rule) && html`<div class="acts">
      <button type="button" class="danger" onClick=${() => end(rule, changed)}>End the rule… <kbd>Del</kbd></button></div>`}
    <dl class="facts"><div><dt>Fulfils</dt><dd class="mono"><${Where} of=${rule} /></dd></div>
      <div><dt>Reason</dt><dd><${Text} of=${rule.reason} most=${1000} /></dd></div>
      <div><dt>Made</dt><dd>${moment(rule.created_ms)} by <${Text} of=${rule.author} /></dd></div>
      <div><dt>Until</dt><dd>${until(rule)}</dd></div><div><dt>Rate</dt><dd>${rate(rule)}</dd></div></dl>
    ${problem && html`<${Trouble} problem=${problem} onAgain=${again} />`}
    ${value && html`<h3>Set aside by it: ${count(value.suppressed)}</h3>${value.newest.length > 0 && html`<ul class="examples">
      ${value.newest.map((one) => html`<li key=${one.threat_id}><${Severity} of=${one.severity} /><span><${Text} of=${one.title || one.threat_id} most=${120} />
        <span class="faint"> ${count(one.count)} × · ${span(now() - one.last_seen_ms)} ago</span></span></li>`)}</ul>
      <p><a href=${hrefOf("suppressions", { tab: "aside", cause: `rule:${rule.id}` })}>All of it</a></p>`}`}
  </aside>`;
}

async function end(rule, changed) {
  const told = `${rule.where_text.join(" and ")}: from the next report on it comes the usual way, for everybody.`;
  if (!await confirmed({ title: "End this rule?", text: told, yes: "End the rule" })) return;
  const done = await attempt("Not ended", () => remove(`/v1/suppressions/${encodeURIComponent(rule.id)}`));
  if (done) say(`Ended: ${quote(done.where_text.join(" and "), 120)}. The next report comes the usual way.`, { kind: "done" });
  changed();
}

// What would become of a report of an id if it came now, and why.

function Explain({ changes }) {
  const id = params.value.id ?? "";
  const [text, setText] = useState(id);
  const input = useRef(null);
  useEffect(() => setText(id), [id]);
  useEffect(() => bind("Explain", [{ keys: ["/"], label: "Give an id", run: () => input.current.select() }]), []);
  const submit = (event) => {
    event.preventDefault();
    change({ id: text || null }, { replace: false });
  };
  return html`<form class="acts" role="search" onSubmit=${submit}>
    <label class="choice">Id <input ref=${input} type="text" spellcheck=${false} autocapitalize="off"
      value=${text} onInput=${(event) => setText(event.target.value)} /></label><button type="submit">Explain</button></form>
    ${id ? html`<${Verdict} key=${id} id=${id} changes=${changes} />`
    : html`<p class="empty">Give the id of a threat, or of what was set aside.</p>`}`;
}

function Verdict({ id, changes }) {
  const { value, problem, again } = useReading((until) => explained(id, until), [id, changes]);
  if (problem) return html`<${Trouble} problem=${problem} onAgain=${again} />`;
  if (!value) return html`<p class="faint" aria-busy="true">Looking…</p>`;
  const { told, isWhole } = value;
  return html`<section class="card" aria-label="Explanation">
    <h2><${Text} of=${id} most=${200} /></h2>
    <p class="verdict" role="status">A report of it that came
      now would be <b>${told.suppressed ? "set aside" : "looked at"}</b>: <${Text} of=${told.because} most=${1200} />.</p>
    ${!isWhole && html`<p class="faint">Of what is only set aside, the id, the source, the severity and the title are
      kept: conditions on the rest, and warninglists, are not tried here.</p>`}
    ${told.rules.length > 0 && html`<h3>Rules that hold for it, the first decides</h3><ul>${told.rules.map((one) => html`<li key=${one.id} class="mono">
      <a href=${hrefOf("suppressions", { r: one.id })}><${Where} of=${one} /></a></li>`)}</ul>`}
    ${told.indicators.length > 0 && html`<h3>Its indicators</h3><table><thead><tr><th scope="col">Indicator</th><th scope="col">Type</th>
      <th scope="col">Warninglist</th></tr></thead>
      <tbody>${told.indicators.map((one, at) => html`<tr key=${at}><td><${Indicator} of=${one} /></td><td><${Text} of=${one.type} most=${40} /></td>
        <td>${one.warninglist === null ? html`<span class="faint">on none</span>` : html`<${Text} of=${one.warninglist} />`}</td></tr>`)}</tbody></table>`}
    ${told.entry && html`<h3>Set aside before</h3>
      <p>${count(told.entry.count)} ${told.entry.count === 1 ? "report" : "reports"} by <${Text} of=${told.entry.cause} />,
      first ${moment(told.entry.first_seen_ms)}, last ${moment(told.entry.last_seen_ms)}${
        told.entry.came_back_ms && `; it came back ${moment(told.entry.came_back_ms)}`}.</p>`}
    ${told.mark && told.mark.window_ms > 0 && html`<p>It comes back beyond ${count(told.mark.most)} reports in ${span(told.mark.window_ms)}.</p>`}
  </section>`;
}

/** The report is made of what the service knows of the id: its threat, else what was set aside of it. */
async function explained(id, until) {
  const asked = await post("/v1/suppressions/explain", { report: { threat_id: id } }, { until });
  const known = asked.threat ?? asked.entry;
  if (!known) throw new Problem(404, { detail: `Neither a threat nor anything set aside has the id ${line(id, 80)}.` });
  const report = asked.threat ? reportOf(await get(threatPath(id), {}, { until }))
    : { threat_id: id, severity: known.severity, source: known.source, metadata: { title: known.title } };
  return { told: await post("/v1/suppressions/explain", { report }, { until }), isWhole: asked.threat !== null };
}

const reportOf = ({ threat_id, content, severity, source, metadata }) => ({ threat_id, content, severity, source, metadata });

// Warninglists: what is known to be harmless, loaded from the files of MISP.

const LIST_HEADS = [["Name", "long"], ["Type"], ["For", "long"], ["Values", "number"], ["Size", "number"], ["Loaded"]];

function Lists() {
  const { value, problem, again } = useReading((until) => get("/v1/warninglists", {}, { until }), []);
  const drop = (name) => dropped(name, again);
  const box = useRows("Warninglists", [{ keys: ["Delete"], label: "Let go of the list…", when: (name) => may("admin") && name !== undefined, run: drop }]);
  return html`<div ref=${box}><p class="faint">A report whose indicators are all on such lists is set aside.</p>
    ${may("admin") && html`<${Load} again=${again} />`}
    ${problem && html`<${Trouble} problem=${problem} onAgain=${again} />`}
    ${value && !value.items.length && html`<p class="empty">No list is loaded. <span class="faint">They are the list.json files
      of misp-warninglists, or written like them.</span></p>`}
    ${value?.items.length > 0 && html`<div class="scroll"><table class="stacks"><thead><tr>
      ${LIST_HEADS.map(([one, kind]) => html`<th scope="col" key=${one} class=${kind}>${one}</th>`)}
        ${may("admin") && html`<th scope="col"><span class="unseen">What to do</span></th>`}</tr></thead>
      <tbody>${value.items.map((one) => html`<${Row} key=${one.name} of=${one} drop=${drop} />`)}</tbody></table></div>`}</div>`;
}

function Row({ of, drop }) {
  const isOpen = params.value.list === of.name;
  return html`<tr data-open=${isOpen}><td data-label="Name" class="long"><button type="button" class="headline" data-row=${of.name} aria-expanded=${isOpen}
      onClick=${() => change({ list: isOpen ? null : of.name })}><${Text} of=${of.name} most=${120} /></button>
      <span class="under"><${Text} of=${of.description} most=${isOpen ? 600 : 120} /></span>
      ${isOpen && html`<span class="under">version <${Text} of=${of.version} most=${40} /> for MISP's <${Text} of=${of.matching_attributes.join(", ") || "all"}
        most=${400} />
        <a href=${hrefOf("suppressions", { tab: "aside", cause: `list:${of.name}` })}>what it sets aside</a></span>`}</td>
    <td data-label="Type"><${Text} of=${of.type} most=${40} /></td><td data-label="For" class="long"><${Text} of=${of.indicators.join(", ")} most=${160} /></td>
    <td data-label="Values" class="number">${count(of.values)}${of.left_out > 0 && html` <span class="faint">(${count(of.left_out)} left out)</span>`}</td>
    <td data-label="Size" class="number">${bytes(of.size_bytes)}</td>
    <td data-label="Loaded">${moment(of.loaded_ms)}${of.loaded_by && html` <span class="faint">by <${Text} of=${of.loaded_by} most=${60} /></span>`}</td>
    ${may("admin") && html`<td data-label=""><button type="button" class="danger" onClick=${() => drop(of.name)}>Drop…</button></td>`}</tr>`;
}

function Load({ again }) {
  const [busy, setBusy] = useState(false);
  const file = useRef(null);
  const load = async () => {
    const [given] = file.current.files;
    if (!given) return;
    setBusy(true);
    const done = await attempt(`${quote(given.name, 60)} was not loaded`, () => post("/v1/warninglists", given));
    if (done) say(`Loaded ${quote(done.name, 80)}: ${count(done.values)} values${done.left_out ? `, ${count(done.left_out)} left out` : ""}.`, { kind: "done" });
    setBusy(false);
    file.current.value = "";
    again();
  };
  return html`<label class="acts file">Load a list (JSON) <input ref=${file} type="file" accept=".json,application/json" disabled=${busy} onChange=${load} />
    ${busy && html`<span class="faint" role="status">Loading…</span>`}</label>`;
}

async function dropped(name, again) {
  const sure = await confirmed({ title: `Drop the list ${name}?`, yes: "Drop",
    text: "Reports that it set aside come the usual way again, within a second, everywhere." });
  if (!sure) return;
  const done = await attempt("Not dropped", () => remove(`/v1/warninglists/${encodeURIComponent(name)}`));
  if (done) say(`Dropped the list ${quote(done.dropped, 80)}.`, { kind: "done" });
  again();
}

const TABS = [
  ["rules", "Rules", Rules], ["aside", "Set aside now", Aside], ["lists", "Warninglists", Lists], ["explain", "Explain", Explain],
];
/** Counts up when a rule was made or ended: what is shown is read anew. */
const changes = signal(0);

const tabOf = () => TABS.find(([name]) => name === params.value.tab) ?? TABS[0];
const begin = () => change({ new: "1" });

export default function Suppressions() {
  useEffect(() => bind("Suppressions page", [
    ...TABS.map(([name, label], at) => ({ keys: [String(at + 1)], label, run: () => go("suppressions", { tab: at ? name : null }) })),
    { keys: ["a"], label: "New rule…", when: () => may("admin"), run: begin },
  ]), []);
  const [name, , Tab] = tabOf();
  const close = () => change({ new: null, ...Object.fromEntries(filled.map((one) => [one, null])) });
  const made = () => { changes.value += 1; };
  return html`<div class="page ops"><header><h1>Suppressions</h1>
      ${may("admin") && html`<button type="button" class="main" onClick=${begin}>New rule <kbd>a</kbd></button>`}</header>
    <nav class="parts" aria-label="Of suppressions">${TABS.map(([one, label], at) => html`<a key=${one} href=${hrefOf("suppressions", { tab: at ? one : null })}
      aria-current=${one === name ? "page" : null}>${label} <kbd>${at + 1}</kbd></a>`)}</nav>
    <${Tab} key=${name} changes=${changes.value} changed=${made} />
    ${isAsked() && (may("admin") ? html`<${RuleForm} onClose=${close} onMade=${made} />`
      : html`<p class="faint" role="status">Rules are made by administrators.</p>`)}
  </div>`;
}
