// What administrators see to: keys, accounts, the rules, the service.

import { get, post, put, remove } from "../core/api.js";
import { now, tick } from "../core/clock.js";
import { count, moment, SEVERITIES, span } from "../core/format.js";
import { params } from "../core/route.js";
import { me } from "../core/session.js";
import { line, quote } from "../core/text.js";
import { html, useRef, useState } from "../html.js";
import { PolicyPart, Service, Settings } from "./admin-policy.js";
import { confirmed, Dialog, say, SCOPES, Several, useSending, Wrong } from "../ui/dialog.js";
import { Table, Tabs, Text, Trouble, useReading } from "../ui/parts.js";

// Accounts of people: added, changed, let in no more.

const SHORTEST = 12;
const path = (one, what) => `/v1/accounts/${encodeURIComponent(one.name)}/${what}`;

export function Accounts() {
  const { value: data, problem, again } = useReading((until) => get("/v1/accounts", {}, { until }), []);
  const [doing, set] = useState(null);
  const close = () => set(null);
  const done = (text) => {
    set(null);
    say(text, { kind: "done" });
    again();
  };
  const Form = doing && { add: Add, scopes: Scopes, password: Password }[doing.what];
  return html`<section class="card" aria-labelledby="accounts"><header><h2 id="accounts">Accounts</h2>
      <button type="button" class="main" onClick=${() => set({ what: "add" })}>Add an account…</button></header>
    ${problem && html`<${Trouble} problem=${problem} onAgain=${again} />`}
    ${data && !data.items.length && html`<p class="empty">There is no account yet.</p>`}
    ${data?.items.length > 0 && html`<${Table} label="Accounts" heads=${["Name", "May", "Signs in", "Made", ""]}>
      ${data.items.map((one) => html`<${Line} key=${one.name} one=${one} set=${set} done=${done} />`)}</${Table}>`}
    ${Form && html`<${Form} of=${doing.of} onClose=${close} onDone=${done} />`}</section>`;
}

function Line({ one, set, done }) {
  const of = line(one.name, 80);
  const button = (text, run, kind = "") => html`<button type="button" class=${kind}
    aria-label=${`${text.replace("…", "")}: ${of}`} onClick=${run}>${text}</button>`;
  return html`<tr data-state=${one.disabled_ms ? "disabled" : "good"}><td class="subject"><${Text} of=${one.name} most=${120} />
      ${one.name === me.value.name && html` <span class="faint">(you)</span>`}</td>
    <td data-label="May">${one.scopes.join(", ")}</td>
    <td data-label="Signs in">${one.disabled_ms ? html`<span class="wrong">disabled</span> <span class="faint">${moment(one.disabled_ms)}</span>`
      : one.issuer ? html`by <${Text} of=${one.issuer} most=${80} />` : "by password"}</td>
    <td data-label="Made">${moment(one.created_ms)}<div class="under">by <${Text} of=${one.created_by} most=${60} /></div></td>
    <td class="deeds">${button("Scopes…", () => set({ what: "scopes", of: one }))}
      ${!one.issuer && button("Password…", () => set({ what: "password", of: one }))}
      ${one.disabled_ms ? button("Enable", () => enable(one, done)) : button("Disable…", () => disable(one, done), "danger")}</td></tr>`;
}

async function change(ask, told, done) {
  try {
    await ask();
    done(told);
  } catch (problem) {
    say(line(problem.message), { kind: "error" });
  }
}

const enable = (one, done) => change(() => post(path(one, "enable")), `${quote(one.name, 80)} may sign in again.`, done);

async function disable(one, done) {
  const own = one.name === me.value.name ? " This is your own account: you are signed out by it." : "";
  const sure = await confirmed({
    title: "Disable an account", yes: "Disable",
    text: `${line(one.name, 120)} is let in no more, and signed out everywhere within a second.${own} What they did stays on record.`,
  });
  if (sure) await change(() => post(path(one, "disable")), `${quote(one.name, 80)} is disabled.`, done);
}

/** A dialog with a form in it: `ask` is what sends, `told` what is said once it is done. */
function Asking({ title, name, verb, ask, told, ready = true, onClose, onDone, children }) {
  const form = useSending();
  const submit = async (event) => {
    event.preventDefault();
    if (await form.send(ask)) onDone(told);
  };
  return html`<${Dialog} title=${title} name=${name} onClose=${onClose}><form onSubmit=${submit}>${children}<${Wrong} problem=${form.problem} />
    <footer><button type="button" onClick=${onClose}>Cancel</button>
      <button class="main" type="submit" disabled=${form.busy || !ready}>${verb}</button></footer></form></${Dialog}>`;
}

function Add({ onClose, onDone }) {
  const [value, set] = useState({ name: "", password: "", scopes: ["read", "act"] });
  const name = value.name.trim();
  return html`<${Asking} title="Add an account" name="add-account" verb="Add" onClose=${onClose} onDone=${onDone} ready=${value.scopes.length > 0}
      ask=${() => post("/v1/accounts", { ...value, name })} told=${`${quote(name, 80)} may sign in.`}>
    <label class="field">Name: what they do is on record under it<input type="text" required maxlength="256" autofocus autocomplete="off" autocapitalize="off"
      spellcheck=${false} value=${value.name} onInput=${(event) => set({ ...value, name: event.target.value })} /></label>
    <${NewPassword} value=${value.password} onInput=${(password) => set({ ...value, password })} />
    <${Several} label="May" values=${SCOPES} at=${value.scopes} onChange=${(scopes) => set({ ...value, scopes })} /></${Asking}>`;
}

function NewPassword({ value, onInput }) {
  return html`<label class="field">Password, ${SHORTEST} characters or more: they should change it<input type="password" required
    minlength=${SHORTEST} maxlength="1024" autocomplete="new-password" value=${value} onInput=${(event) => onInput(event.target.value)} /></label>`;
}

function Scopes({ of, onClose, onDone }) {
  const [scopes, set] = useState(of.scopes);
  return html`<${Asking} title=${`Scopes of ${line(of.name, 60)}`} name="scopes" verb="Give these" onClose=${onClose} onDone=${onDone}
      ready=${scopes.length > 0} ask=${() => put(path(of, "scopes"), { scopes })} told=${`${quote(of.name, 80)} may now: ${scopes.join(", ")}.`}>
    <${Several} label="May" values=${SCOPES} at=${scopes} onChange=${set} /><p class="faint">It ends their sessions: they sign in again.</p></${Asking}>`;
}

function Password({ of, onClose, onDone }) {
  const [password, set] = useState("");
  if (of.name === me.value.name) {
    return html`<${Dialog} title="Your own password" onClose=${onClose}>
      <p>You change it, with the old one, on <a href="#/account" onClick=${onClose}>your account's page</a>.</p></${Dialog}>`;
  }
  return html`<${Asking} title=${`Password of ${line(of.name, 60)}`} name="password" verb="Set it" onClose=${onClose} onDone=${onDone}
      ask=${() => put(path(of, "password"), { password })} told=${`${quote(of.name, 80)} has a new password, and is signed out.`}>
    <${NewPassword} value=${password} onInput=${set} /></${Asking}>`;
}

// API keys: listed, made, revoked.

export function Keys() {
  const { value: data, problem, again } = useReading((until) => get("/v1/keys", {}, { until }), []);
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState(null);
  const [all, setAll] = useState(false);
  const items = data?.items.toReversed() ?? [];
  const shown = all ? items : items.filter((one) => one.state === "good");
  const rest = items.length - items.filter((one) => one.state === "good").length;
  const onMade = (answer) => {
    setMaking(false);
    setMade(answer);
    again();
  };
  return html`<section class="card" aria-labelledby="keys"><header><h2 id="keys">API keys</h2>
      <button type="button" class="main" onClick=${() => setMaking(true)}>Make a key…</button></header>
    ${problem && html`<${Trouble} problem=${problem} onAgain=${again} />`}
    ${data && !items.length && html`<p class="empty">There is no key yet.</p>`}
    ${items.length > 0 && html`<${Table} label="API keys" heads=${["Key", "May", "Limited to", "Last used", "Expires", ""]}>
      ${shown.map((one) => html`<${Key} key=${one.prefix} one=${one} again=${again} />`)}</${Table}>`}
    ${rest > 0 && html`<label class="choice"><input type="checkbox" checked=${all} onChange=${() => setAll(!all)} />
      Show also ${count(rest)} that ${rest === 1 ? "is" : "are"} revoked or expired</label>`}
    ${making && html`<${NewKey} onMade=${onMade} onClose=${() => setMaking(false)} />`}
    ${made && html`<${Secret} of=${made} onStored=${() => setMade(null)} />`}</section>`;
}

function Key({ one, again }) {
  tick.value;
  const isGood = one.state === "good";
  return html`<tr data-state=${one.state}><td class="subject"><${Text} of=${one.name} most=${120} />
      <div class="under"><span class="id">psk_${line(one.prefix, 16)}…</span>
        <span>by <${Text} of=${one.created_by} most=${60} />, ${moment(one.created_ms)}</span></div></td>
    <td data-label="May">${one.scopes.join(", ")}${one.analyst && html`<div class="under">acts for <${Text} of=${one.analyst} most=${60} /></div>`}</td>
    <td data-label="Limited to"><${Limits} of=${one} /></td>
    <td data-label="Last used">${one.last_used_ms
      ? html`<span title=${moment(one.last_used_ms)}>${span(now() - one.last_used_ms)} ago</span>` : html`<span class="faint">never</span>`}</td>
    <td data-label="Expires"><${Expiry} of=${one} /></td>
    <td class="deeds">${isGood && html`<button type="button" class="danger" aria-label=${`Revoke ${line(one.name, 80)}`}
      onClick=${() => revoke(one, again)}>Revoke…</button>`}</td></tr>`;
}

function Limits({ of }) {
  const { sources, severities, tlp } = of.limits;
  const parts = [["sources", sources], ["severity", severities], ["TLP", tlp]].filter(([, values]) => values.length);
  if (of.rate_per_s) parts.push(["rate", [`${of.rate_per_s}/s, ${count(of.burst)} at once`]]);
  if (!parts.length) return html`<span class="faint">nothing</span>`;
  return parts.map(([name, values]) => html`<div key=${name}><span class="faint">${name}</span> <bdi>${line(values.join(", "), 200)}</bdi></div>`);
}

function Expiry({ of }) {
  if (of.state === "revoked") {
    return html`<span class="wrong">revoked</span>
      <div class="under">${moment(of.revoked_ms)} by <${Text} of=${of.revoked_by} most=${60} /></div>`;
  }
  if (of.state === "expired") return html`<span class="wrong">expired</span><div class="under">${moment(of.expires_ms)}</div>`;
  if (!of.expires_ms) return html`<span class="faint">never</span>`;
  return html`<span title=${moment(of.expires_ms)}>in ${span(of.expires_ms - now())}</span>`;
}

const lastUsed = (one) => (one.last_used_ms ? `It was last used ${span(now() - one.last_used_ms)} ago. ` : "");

async function revoke(one, again) {
  const sure = await confirmed({
    title: "Revoke a key", yes: "Revoke",
    text: `${line(one.name, 120)} (psk_${line(one.prefix, 16)}…) is refused everywhere within a second. ${lastUsed(one)}There is no way back.`,
  });
  if (!sure) return;
  try {
    await remove(`/v1/keys/${encodeURIComponent(one.prefix)}`);
    say(`${quote(one.name, 80)} is revoked.`, { kind: "done" });
  } catch (problem) {
    say(`Not revoked: ${quote(problem.message)}`, { kind: "error" });
  }
  again();
}

// Making an API key: what it may do, with which threats, how often and how long.

const TLP = ["CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"].map((one) => [one]);
const DAY_S = 86_400;
const EXPIRIES = [["", "never"], [DAY_S, "in a day"], [7 * DAY_S, "in 7 days"], [30 * DAY_S, "in 30 days"],
  [90 * DAY_S, "in 90 days"], [365 * DAY_S, "in a year"]];
const INITIAL = { name: "", scopes: ["read"], analyst: "", sources: "", severities: [], tlp: [], expires: String(90 * DAY_S), rate: "", burst: "" };

function NewKey({ onMade, onClose }) {
  const [value, set] = useState(INITIAL);
  const form = useSending();
  const put = (name) => (given) => set((old) => ({ ...old, [name]: given?.target ? given.target.value : given }));
  const submit = async (event) => {
    event.preventDefault();
    const answer = await form.send(() => post("/v1/keys", bodyOf(value)));
    if (answer) onMade(answer);
  };
  return html`<${Dialog} title="Make an API key" name="new-key" wide onClose=${onClose}><form onSubmit=${submit}>
    <label class="field">Name<input type="text" required maxlength="256" autofocus placeholder="what uses it" value=${value.name}
      aria-invalid=${form.isWrong("name")} onInput=${put("name")} /></label>
    <div class="columns"><${Several} label="May" values=${SCOPES} at=${value.scopes} onChange=${put("scopes")} wrong=${form.isWrong("scopes")} />
      <div><label class="field">Acts for the analyst<input type="text" maxlength="256" placeholder="nobody: requests must name somebody" value=${value.analyst}
        aria-invalid=${form.isWrong("analyst")} onInput=${put("analyst")} /></label>
        <label class="field">Expires<select value=${value.expires} onChange=${put("expires")}>${EXPIRIES.map(([one, text]) => html`<option
          key=${one} value=${one} selected=${String(one) === value.expires}>${text}</option>`)}</select></label></div></div>
    <h3>Limited to</h3><p class="faint">Where nothing is chosen, nothing is limited. What is beyond the limits is not there for this key.</p>
    <div class="columns"><${Several} label="Severities" values=${SEVERITIES.map((one) => [one])} at=${value.severities} onChange=${put("severities")} />
      <${Several} label="TLP" values=${TLP} at=${value.tlp} onChange=${put("tlp")} />
      <label class="field">Sources, one a line<textarea rows="4" spellcheck=${false} value=${value.sources}
        aria-invalid=${form.isWrong("limits")} onInput=${put("sources")}></textarea></label></div>
    <div class="columns"><label class="field">Requests a second<input type="number" min="0.001" max="1000000" step="any"
        placeholder="as usual" value=${value.rate} aria-invalid=${form.isWrong("rate_per_s")} onInput=${put("rate")} /></label>
      <label class="field">At once<input type="number" min="1" step="1" placeholder="those of a second" value=${value.burst}
        aria-invalid=${form.isWrong("burst")} onInput=${put("burst")} /></label></div>
    <${Wrong} problem=${form.problem} />
    <footer><button type="button" onClick=${onClose}>Cancel</button>
      <button class="main" type="submit" disabled=${form.busy || !value.scopes.length}>Make the key</button></footer></form></${Dialog}>`;
}

function bodyOf(value) {
  const { severities, tlp, scopes } = value;
  return {
    name: value.name.trim(), scopes, analyst: value.analyst.trim() || undefined,
    limits: { sources: value.sources.split("\n").map((one) => one.trim()).filter(Boolean), severities, tlp },
    expires_in_s: value.expires ? Number(value.expires) : undefined,
    rate_per_s: value.rate ? Number(value.rate) : undefined, burst: value.burst ? Number(value.burst) : undefined,
  };
}

// The secret of a new key: shown this once, and kept nowhere.

function Secret({ of, onStored }) {
  const field = useRef(null);
  const [told, tell] = useState("");
  const copy = async () => {
    field.current.select();
    try {
      // Only there over HTTPS and on this machine; else what is selected is copied by the keys.
      await navigator.clipboard.writeText(of.secret);
      tell("Copied.");
    } catch {
      tell("Selected: copy it with Ctrl C.");
    }
  };
  const away = () => tell("Nobody can see it again: store it first, then say so.");
  return html`<${Dialog} title="The key's secret" name="secret" onClose=${away}><div>
    <p>Of <${Text} of=${of.key.name} most=${120} />. It is shown this once: whoever has it is the key.</p>
    <label class="field">Secret<input ref=${field} type="text" readonly class="mono" autofocus value=${of.secret}
      onFocus=${(event) => event.target.select()} /></label>
    <p role="status" class="faint">${told}</p>
    <footer><button type="button" onClick=${copy}>Copy</button>
      <button type="button" class="main" onClick=${onStored}>I have stored it</button></footer></div></${Dialog}>`;
}

const PARTS = { keys: ["API keys", Keys], accounts: ["Accounts", Accounts], policy: ["Policy", PolicyPart],
  service: ["Service", Service], settings: ["Settings", Settings] };

export default function Admin() {
  const at = Object.hasOwn(PARTS, params.value.part) ? params.value.part : "keys";
  const [, Part] = PARTS[at];
  const tabs = Object.entries(PARTS).map(([id, [title]]) => ({ id, title, where: { page: "admin", params: { part: id } } }));
  return html`<div class="page records"><header><h1>Admin</h1><${Tabs} label="Administration" tabs=${tabs} at=${at} panel="part" /></header>
    <div role="tabpanel" id="part" aria-labelledby=${`tab-${at}`} key=${at}><${Part} /></div></div>`;
}
