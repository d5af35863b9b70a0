// A new rule, looked at before it is made: it can be saved only as it was previewed.

import { post } from "../core/api.js";
import { count, SEVERITIES } from "../core/format.js";
import { params } from "../core/route.js";
import { line, quote, shown } from "../core/text.js";
import { html, signal, useEffect, useRef, useState } from "../html.js";
import { confirmed, Dialog, leave, say } from "../ui/dialog.js";
import { Severity, Text } from "../ui/parts.js";

// What a rule would have hidden, as it is written: asked anew when that changes, one question at a time.

/** Of how long ago a preview looks at what came, in seconds. */
const PERIODS = [[3600, "1 hour"], [86_400, "1 day"], [604_800, "1 week"], [2_592_000, "30 days"]];
const QUIET_MS = 500;
const MOST_SOURCES = 8;

/**
 * Returns {value, problem, busy, isCurrent}; `isCurrent`: the value is of what is asked for now.
 * The service reads every threat for it: so the next question waits until the one before is answered.
 */
function usePreview(body, isWhole) {
  const key = isWhole ? JSON.stringify(body) : null;
  const [told, set] = useState({ key: null, value: null, problem: null, busy: false });
  const wanted = useRef(key);
  const asking = useRef(false);
  wanted.current = key;
  useEffect(() => {
    if (key === null) return undefined;
    const timer = setTimeout(() => ask(wanted, asking, set), QUIET_MS);
    return () => clearTimeout(timer);
  }, [key]);
  useEffect(() => () => { wanted.current = null; }, []);
  const isOf = key !== null && told.key === key;
  return { ...told, problem: isOf ? told.problem : null, isCurrent: isOf && told.problem === null && !told.busy };
}

async function ask(wanted, asking, set) {
  if (asking.current) return; // whoever asks looks again once it has its answer
  asking.current = true;
  let key = null;
  while (wanted.current !== null && wanted.current !== key) {
    key = wanted.current;
    set((old) => ({ ...old, busy: true }));
    let answer;
    try {
      answer = { value: await post("/v1/suppressions/preview", JSON.parse(key)), problem: null };
    } catch (problem) {
      answer = { problem };
    }
    const one = key;
    set((old) => ({ ...old, ...answer, key: one, busy: wanted.current !== one && wanted.current !== null }));
  }
  asking.current = false;
  set((old) => ({ ...old, busy: false }));
}

export function Preview({ of }) {
  const { value, busy, isCurrent } = of;
  const state = busy ? "Looking through all threats…" : value ? "Of what was written before." : "Write a condition: what it would have hidden is shown here.";
  return html`<section class="preview" aria-label="Preview" tabindex="0" aria-busy=${busy} data-old=${!isCurrent}>
    <p role="status"><b>Preview.</b> ${isCurrent ? html`<${Sentence} of=${value} />` : html`<span class="faint">${state}</span>`}</p>
    ${value && isCurrent && html`<${Warning} of=${value} />`}
    ${value && value.matched > 0 && html`<${Faces} of=${value} />`}
  </section>`;
}

function Sentence({ of }) {
  const share = of.looked_at ? ` (${((of.matched / of.looked_at) * 100).toFixed(1)} %)` : "";
  const again = of.sightings > 0 && `, seen again ${count(of.sightings)} times`;
  const departed = of.departed > 0 && `; ${count(of.departed)} of them have departed`;
  return html`It would have hidden <b>${count(of.matched)}</b> of ${count(of.looked_at)} threats${share}${again}${departed}.`;
}

/** Nobody should overlook it. */
function Warning({ of }) {
  if (!of.escalated && !of.true_positives) return null;
  return html`<p class="loud" role="alert">⚠ This is no noise to those who worked on it:
    ${count(of.escalated)} escalated, ${count(of.true_positives)} true positives.</p>`;
}

function Faces({ of }) {
  const sources = Object.entries(of.by_source).toSorted(([, one], [, other]) => other - one);
  return html`<div class="faces"><div><h3>By severity</h3><ul>${SEVERITIES.filter((one) => of.by_severity[one]).map((one) => html`<li key=${one}>
      <${Severity} of=${one} /><span>${count(of.by_severity[one])}</span></li>`)}</ul></div>
    <div><h3>By source</h3><ul>${sources.slice(0, MOST_SOURCES).map(([one, many]) => html`<li key=${one}><${Text} of=${one || "none"} most=${60} /><span>
      ${count(many)}</span></li>`)}
      ${sources.length > MOST_SOURCES && html`<li class="faint">and ${count(sources.length - MOST_SOURCES)} more</li>`}</ul></div></div>
  <h3>For example</h3><ul class="examples">${of.examples.map((one) => html`<li key=${one.threat_id}><${Severity} of=${one.severity} />
    <span><${Text} of=${one.title || one.threat_id} most=${120} /> <span class="faint"><${Text} of=${one.source} most=${40} />${one.departed && " · departed"}
      </span></span></li>`)}</ul>`;
}

const FIELDS = [
  "source", "severity", "title", "content", "threat_id", "type", "tags", "tlp",
  "indicators", "indicators.ipv4-addr", "indicators.domain-name", "metadata.",
];
const OPS = [
  ["=", "is"], ["!=", "is not"], ["~", "is like (* any text)"], ["in", "is one of, or in a network"],
  ["<=", "at most"], [">=", "at least"], ["<", "below"], [">", "above"],
];
const SPANS = [[3600, "1 hour"], [28_800, "8 hours"], [86_400, "1 day"], [604_800, "1 week"], [2_592_000, "30 days"], [0, "for good"]];
const WINDOWS = [[60_000, "1 minute"], [3_600_000, "1 hour"], [86_400_000, "1 day"]];
const MOST_CONDITIONS = 20;
const NAMES = { source: "source", indicator: "indicators", title: "title", tag: "tags", id: "threat_id" };

/** The parameters that fill the form: `#/suppressions?new=1&source=…&indicator=…`. */
export const filled = Object.keys(NAMES);
export const isAsked = () => params.value.new !== undefined;

/** What is half written: it stays when one goes elsewhere; null: nothing. */
const draft = signal(null);

function begun() {
  const where = filled.filter((one) => params.value[one]).map((one) => ({ field: NAMES[one], op: "=", value: params.value[one] }));
  return { where: where.length ? where : [{ field: "source", op: "=", value: "" }], reason: "", for_s: 604_800, most: "", window_ms: 3_600_000,
    since_s: 86_400, archive: false, force: false };
}

const isFilled = () => filled.some((one) => params.value[one]);

export function RuleForm({ onClose, onMade }) {
  const [first] = useState(begun);
  const [value, keep] = useState(() => (draft.value && !isFilled() ? draft.value : first));
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const set = (more) => keep((old) => (draft.value = { ...old, ...more }));
  const where = value.where.filter((one) => one.field && (one.value !== "" || one.op === "=" || one.op === "!="));
  const preview = usePreview({ where, since_s: value.since_s, archive: value.archive, force: value.force },
    where.some((one) => one.value !== "") && where.length === value.where.length);
  const end = () => {
    draft.value = null;
    onClose();
  };
  const close = () => leave(JSON.stringify(value) !== JSON.stringify(first), end);
  const submit = async (event) => {
    event.preventDefault();
    if (!preview.isCurrent || !await isMeant(preview.value)) return;
    setBusy(true);
    try {
      told(await post("/v1/suppressions", bodyOf(value, where)));
      end();
      onMade();
    } catch (error) {
      setProblem(error);
    }
    setBusy(false);
  };
  const wrong = problem ?? preview.problem;
  return html`<${Dialog} wide name="rule" title="New rule" onClose=${close}><form onSubmit=${submit} class="ops">
    <div class="halves"><div><${Conditions} where=${value.where} set=${(all) => { setProblem(null); set({ where: all, force: false }); }} />
    <${Terms} value=${value} set=${set} />
    ${wrong && html`<p class="wrong" role="alert" dir="auto">${line(wrong.message, 600)}</p>`}
    ${(value.force || /nearly everything/.test(wrong?.message ?? "")) && html`<label class="choice"><input type="checkbox" checked=${value.force}
      onChange=${(event) => set({ force: event.target.checked })} /> Even so: it is meant to hold for nearly everything</label>`}
    </div><${Preview} of=${preview} /></div>
    <footer><button type="button" onClick=${close}>Cancel</button><span class="faint">${lacking(preview, value)}</span>
      <button class="main" type="submit" disabled=${busy || !preview.isCurrent || !value.reason.trim()}>Set aside from now on</button></footer>
  </form></${Dialog}>`;
}

function lacking(preview, value) {
  if (!preview.isCurrent) return "It can be made once its preview is here.";
  return value.reason.trim() ? "" : "Say why: a reason is needed.";
}

function Conditions({ where, set }) {
  const put = (at, more) => set(where.map((one, place) => (place === at ? { ...one, ...more } : one)));
  return html`<fieldset><legend>Set aside what fulfils all of</legend><ol class="conditions">
    ${where.map((one, at) => html`<li key=${at}>
      <input type="text" list="rule-fields" required aria-label=${`Field ${at + 1}`} spellcheck=${false} autocapitalize="off"
        value=${one.field} onInput=${(event) => put(at, { field: event.target.value.trim() })} />
      <select aria-label=${`Comparison ${at + 1}`} value=${one.op} onChange=${(event) => put(at, { op: event.target.value })}>
        ${OPS.map(([op, says]) => html`<option key=${op} value=${op} title=${says}>${op}</option>`)}</select>
      <input type="text" aria-label=${`Value ${at + 1}`} autofocus=${at === 0} dir="auto" spellcheck=${false} autocapitalize="off" value=${one.value}
        onInput=${(event) => put(at, { value: event.target.value })} />
      <button type="button" class="quiet" aria-label=${`Take condition ${at + 1} away`} disabled=${where.length === 1}
        onClick=${() => set(where.filter((_, place) => place !== at))}>×</button>
      ${shown(one.value) !== one.value && html`<span class="faint">has what cannot be seen: <bdi dir="ltr" class="mono">${line(one.value, 200)}</bdi></span>`}
        </li>`)}</ol>
    <datalist id="rule-fields">${FIELDS.map((one) => html`<option key=${one} value=${one}></option>`)}</datalist>
    <button type="button" disabled=${where.length >= MOST_CONDITIONS}
      onClick=${() => set([...where, { field: "", op: "=", value: "" }])}>And another condition</button></fieldset>`;
}

function Terms({ value, set }) {
  const put = (name) => (event) => set({ [name]: Number(event.target.value) });
  const choice = (label, name, choices) => html`<label class="field">${label}<select value=${value[name]} onChange=${put(name)}>
    ${choices.map(([one, says]) => html`<option key=${one} value=${one}>${says}</option>`)}</select></label>`;
  return html`<div class="fields"><label class="field" data-long="true">Reason<input type="text" required maxlength="1000" value=${value.reason}
      onInput=${(event) => set({ reason: event.target.value })} /></label>
    ${choice("For", "for_s", SPANS)}
    <label class="field">Show again after so many reports of one threat<input type="number" min="1" max="1000000000" placeholder="never" value=${value.most}
      onInput=${(event) => set({ most: event.target.value })} /></label>
    ${choice("Within", "window_ms", WINDOWS)}
    ${choice("Previewed on the last", "since_s", PERIODS)}</div>
    <label class="choice">
      <input type="checkbox" checked=${value.archive} onChange=${(event) => set({ archive: event.target.checked })} /> and on what has departed</label>`;
}

const bodyOf = (value, where) => ({
  where, reason: value.reason, force: value.force,
  ...(value.for_s ? { for_s: value.for_s } : {}),
  ...(value.most ? { rate: { most: Number(value.most), window_ms: value.window_ms } } : {}),
});

/** What was escalated, or found true, is no noise to somebody: then it is asked again. */
async function isMeant({ escalated, true_positives: found }) {
  if (!escalated && !found) return true;
  return confirmed({ title: "Set aside what was no noise?", yes: "Set aside all the same",
    text: `Of what it would have hidden, ${count(escalated)} were escalated and ${count(found)} were true positives.` });
}

function told(rule) {
  say(`In force: ${quote(rule.where_text.join(" and "), 160)}. What it sets aside is counted and listed.`, { kind: "done" });
}
