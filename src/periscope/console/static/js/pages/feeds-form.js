// A feed is added or changed: a form by kind.

import { feedPath, get, post, put, remove } from "../core/api.js";
import { bytes, count, moment, SEVERITIES } from "../core/format.js";
import { may } from "../core/session.js";
import { line, quote } from "../core/text.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { attempt, confirmed, Dialog, leave, say } from "../ui/dialog.js";
import { Block, Text, Trouble, useReading } from "../ui/parts.js";

// What can be said of a feed over HTTP, and how it is written in a form: as PUT /v1/feeds/{name} takes it.

export const KINDS = [["http", "A file fetched from an address"], ["taxii", "A TAXII 2.1 server"], ["misp", "A MISP server or feed"]];
const READ = ["http"]; // the others say themselves what they send

/**
 * Name, label, how its text is read (`type`), the kinds that have it (none: all), and what to write.
 * Types: text, raw (spaces count), span, number, list (one a line), pairs (`name = value`, one a line), choice, format.
 */
export const FIELDS = [
  { name: "place", label: "Address", type: "text", required: true, hint: "an https address" },
  { name: "format", label: "Format", type: "format", kinds: READ, hint: "recognised by the content" },
  { name: "interval", label: "Every", type: "span", hint: "15m" },
  { name: "jitter", label: "And at random up to", type: "span", hint: "a tenth of it", more: true },
  { name: "timeout", label: "One request may take", type: "span", hint: "5m", more: true },
  { name: "source", label: "Source of every report", type: "text", hint: "as the feed says" },
  { name: "severity", label: "Severity, if none is stated", type: "choice", choices: SEVERITIES },
  { name: "collections", label: "Collections, one a line", type: "list", kinds: ["taxii"], hint: "all" },
  { name: "added_after", label: "Only what was added after", type: "text", kinds: ["taxii"], hint: "2026-01-31T00:00:00Z" },
  { name: "username", label: "User name", type: "text" },
  { name: "password_env", label: "Variable with the password", type: "text", hint: "FEED_…" },
  { name: "token_env", label: "Variable with the token or key", type: "text", hint: "FEED_…" },
  { name: "headers_env", label: "Headers with a variable each", type: "pairs", hint: "X-Key = FEED_…", more: true },
  { name: "map", label: "Where a field is", type: "pairs", kinds: READ, hint: "content = message", more: true },
  { name: "columns", label: "Columns of CSV without a header line, one a line", type: "list", kinds: READ, more: true },
  { name: "delimiter", label: "What separates columns", type: "raw", kinds: READ, hint: ", or \\t", more: true },
  { name: "fingerprint", label: "Fields whose values make the id, one a line", type: "list", kinds: READ, more: true },
  { name: "max_bytes", label: "Bytes of a document at most", type: "number", more: true },
  { name: "max_records", label: "Records of a run at most", type: "number", hint: "no limit", more: true },
  { name: "max_record_bytes", label: "Bytes of a record at most", type: "number", more: true },
];

/** Returns the fields of a kind, and those that it has a value for all the same. */
const fieldsOf = (kind, values) => FIELDS.filter((one) => !one.kinds || one.kinds.includes(kind) || values[one.name]);

/** Returns a value as it is written in the form. */
export function written(field, value) {
  if (value === undefined || value === null) return "";
  if (field.type === "list") return value.join("\n");
  if (field.type === "pairs") return Object.entries(value).map(([name, one]) => `${name} = ${one}`).join("\n");
  return field.type === "raw" ? value.replaceAll("\t", "\\t") : String(value);
}

/** Returns what was written as the API takes it; undefined for nothing. */
export function meant(field, text) {
  if (field.type === "raw") return text === "" ? undefined : text.replaceAll("\\t", "\t");
  const trimmed = text.trim();
  if (trimmed === "") return undefined;
  if (field.type === "number") return Number(trimmed);
  if (field.type === "list") return lines(trimmed);
  if (field.type === "pairs") return Object.fromEntries(lines(trimmed).map(pair));
  return trimmed;
}

const lines = (text) => text.split("\n").map((one) => one.trim()).filter(Boolean);

function pair(text) {
  const at = text.indexOf("=");
  return at < 0 ? [text, ""] : [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}

const NAME = "[a-z0-9][a-z0-9._\\-]{0,31}";
/** What is half written, by the feed's name: it stays when one goes elsewhere. */
const drafts = new Map();
const FETCHED = KINDS.map(([kind]) => kind);

/** What a new feed begins with. `before` is the definition that it replaces; null: none. */
export const newDraft = () => ({ name: "", kind: "http", values: {}, before: null });

export function draftOf(feed) {
  const { name, kind, ...fields } = feed.definition;
  const values = Object.fromEntries(FIELDS.map((one) => [one.name, written(one, fields[one.name])]));
  return { name, kind, values, before: feed.definition };
}

/** Says why a feed is not changed here; "" where it is. */
export function whyFixed(feed) {
  if (feed.origin === "file") return "It is defined in periscope.toml: change it there.";
  if (feed.origin === "gone" || !feed.definition) return "It is not defined so that it could be changed here.";
  if (!FETCHED.includes(feed.definition.kind)) return "It reads the server's own files: change it with the command line.";
  const known = new Set(["name", "kind", ...FIELDS.map((one) => one.name)]);
  const other = Object.keys(feed.definition).filter((one) => !known.has(one));
  return other.length ? `It has ${line(other.join(", "), 120)}, which only the command line may set: change it there.` : "";
}

export function FeedForm({ draft: first, onClose, onSaved }) {
  const [draft, keep] = useState(drafts.get(first.name) ?? first);
  const set = (value) => {
    drafts.set(first.name, value);
    keep(value);
  };
  const end = () => {
    drafts.delete(first.name);
    onClose();
  };
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const form = useRef(null);
  const isNew = first.before === null;
  useEffect(() => { form.current?.querySelector('[aria-invalid="true"]')?.focus(); }, [problem]);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      if (await save(draft)) {
        say(`${isNew ? "Added" : "Changed"} the feed ${quote(draft.name, 40)}; it is due at once.`, { kind: "done" });
        end();
        onSaved();
      }
    } catch (error) {
      setProblem(error);
    }
    setBusy(false);
  };
  const close = () => leave(JSON.stringify(draft) !== JSON.stringify(first), end);
  return html`<${Dialog} wide name="feed" title=${isNew ? "Add a feed" : `Change the feed ${line(first.name, 40)}`} onClose=${close}>
    <form ref=${form} onSubmit=${submit}><div class="fields">
      ${isNew && html`<label class="field">Name<input type="text" required autofocus pattern=${NAME} maxlength="32" spellcheck=${false} autocapitalize="off"
        value=${draft.name}
        title="small letters, digits, dot, hyphen, underscore; up to 32" onInput=${(event) => set({ ...draft, name: event.target.value })} /></label>`}
      <label class="field">Kind<select value=${draft.kind} onChange=${(event) => set({ ...draft, kind: event.target.value })}>
        ${KINDS.map(([kind, told]) => html`<option key=${kind} value=${kind}>${told}</option>`)}</select></label></div>
    <${Fields} draft=${draft} set=${set} wrong=${fieldOf(problem)} />
    ${!isNew && html`<p class="faint">The address is shown without what stands after “?”, which is never sent: if there was something, write it again.</p>`}
    ${problem && html`<p class="wrong" role="alert" dir="auto">${line(problem.message, 600)}</p>`}
    <footer><button type="button" onClick=${close}>Cancel</button>
      <button class="main" type="submit" disabled=${busy}>${isNew ? "Add the feed" : "Save"}</button></footer></form></${Dialog}>`;
}

function Fields({ draft, set, wrong }) {
  const { value: formats } = useReading((until) => get("/v1/formats", {}, { until }), []);
  const shown = fieldsOf(draft.kind, draft.values);
  const one = (field) => html`<${Field} key=${field.name} field=${field} value=${draft.values[field.name] ?? ""} isWrong=${wrong === field.name}
    formats=${formats?.formats ?? []} onInput=${(event) => set({ ...draft, values: { ...draft.values, [field.name]: event.target.value } })} />`;
  const more = shown.filter((field) => field.more);
  const isOpen = more.some((field) => field.name === wrong || draft.values[field.name]);
  return html`<div class="fields">${shown.filter((field) => !field.more).map(one)}</div>
    <details open=${isOpen}><summary>More</summary><div class="fields">${more.map(one)}</div></details>
    <p class="faint">Secrets are not written here: only the name of a variable of the server that holds one.</p>`;
}

function Field({ field, value, isWrong, formats, onInput }) {
  const same = { name: field.name, value, "aria-invalid": isWrong, onInput };
  if (field.type === "choice" || field.type === "format") {
    const choices = field.type === "format" ? formats.map((one) => [one.name, `${one.name}: ${one.title}`]) : field.choices.map((one) => [one, one]);
    return html`<label class="field">${field.label}<select ...${same}><option value="">${field.hint ?? "none"}</option>
      ${value && !choices.some(([one]) => one === value) && html`<option value=${value}>${line(value, 60)}</option>`}
      ${choices.map(([one, told]) => html`<option key=${one} value=${one}>${line(told, 90)}</option>`)}</select></label>`;
  }
  if (field.type === "list" || field.type === "pairs") {
    return html`<label class="field">${field.label}<textarea rows="2" spellcheck=${false} placeholder=${field.hint} ...${same}></textarea></label>`;
  }
  const type = field.type === "number" ? "number" : "text";
  return html`<label class="field" data-long=${field.name === "place"}>${field.label}
    <input type=${type} required=${field.required} spellcheck=${false} autocapitalize="off"
    placeholder=${field.hint} min=${type === "number" ? 0 : null} ...${same} /></label>`;
}

/** Defines it, unless somebody else did so meanwhile and it is not to be replaced. Returns whether it was. */
async function save({ name, kind, values, before }) {
  const { feeds } = await get("/v1/feeds");
  const there = feeds.find((one) => one.name === name && one.origin !== "gone");
  const told = before === null ? "There is a feed of this name." : "Somebody changed it since you opened it.";
  const isOther = there && JSON.stringify(there.definition) !== JSON.stringify(before);
  if (isOther && !await confirmed({ title: "Replace it?", text: told, yes: "Replace" })) return false;
  const given = fieldsOf(kind, values).map((one) => [one.name, meant(one, values[one.name] ?? "")]);
  await put(feedPath(name), { kind, ...Object.fromEntries(given.filter(([, value]) => value !== undefined)) });
  return true;
}

/** The field that a refusal is about: it is named, or its message begins with it. */
function fieldOf(problem) {
  if (!problem) return null;
  const named = String(problem.field ?? "").split(".")[0];
  return FIELDS.find((one) => one.name === named || new RegExp(`(^|: )${one.name}\\b`).test(problem.message))?.name ?? null;
}

// Dead letters: records that could not be used, as they came, why, and what to do with them.

const PAGE = 20;
const path = (name, id = null) => `/v1/deadletters/${encodeURIComponent(name)}${id === null ? "" : `/${encodeURIComponent(id)}`}`;

/** The letters of one feed, a page at a time. `changed()` is called when there may be fewer. */
export function Letters({ name, kept, changed }) {
  const [offset, setOffset] = useState(0);
  const [as, setAs] = useState({});
  const [failed, setFailed] = useState(new Map());
  const many = kept?.letters ?? 0;
  const { value, problem, again } = useReading((until) => get(path(name), { offset, limit: PAGE }, { until }), [name, offset, many]);
  const after = (done) => {
    if (done?.failed) setFailed(new Map(done.failed.map((one) => [one.id, one.reason])));
    setOffset(0);
    again();
    changed();
  };
  const replay = async (ids) => after(await replayed(name, { ids, ...as }));
  const drop = async (letter) => after(await dropped(name, letter, many));
  return html`<section class="letters" aria-label="Dead letters"><h3>Dead letters <span class="faint">${count(many)}${many > 0 && `, ${bytes(kept.size)}`}
      ${kept?.dropped > 0 && `; ${count(kept.dropped)} older ones had to go`}</span></h3>
    ${problem && html`<${Trouble} problem=${problem} onAgain=${again} />`}
    ${value && !value.items.length && html`<p class="faint">Everything that came could be used.</p>`}
    ${value?.items.length > 0 && may("admin") && html`<div class="acts"><button type="button" onClick=${() => replay(null)}>Replay all ${count(value.total)}
      </button>
      <button type="button" class="danger" onClick=${() => drop(null)}>Drop all…</button></div><${As} as=${as} set=${setAs} />`}
    <ol>${value?.items.map((one) => html`<${Letter} key=${one.id} of=${one} name=${name} failed=${failed.get(one.id)}
      replay=${() => replay([one.id])} drop=${() => drop(one)} />`)}</ol>
    ${value?.total > PAGE && html`<p class="acts"><button type="button" disabled=${!offset} onClick=${() => setOffset(offset - PAGE)}>Older</button>
      <span class="faint">${count(offset + 1)} to ${count(Math.min(offset + PAGE, value.total))} of ${count(value.total)}</span>
      <button type="button" disabled=${offset + PAGE >= value.total} onClick=${() => setOffset(offset + PAGE)}>Newer</button></p>`}
  </section>`;
}

/** Reads them otherwise than the feed is defined: for what states no severity, or came in another form. */
function As({ as, set }) {
  const put = (name) => (event) => set({ ...as, [name]: event.target.value.trim() || undefined });
  return html`<details><summary>Read them otherwise than the feed</summary><div class="fields">
    <label class="field">Format<input type="text" value=${as.format ?? ""} placeholder="as the feed" onInput=${put("format")} /></label>
    <label class="field">Source<input type="text" value=${as.source ?? ""} placeholder="as the feed" onInput=${put("source")} /></label>
    <label class="field">Severity, if none is stated<select value=${as.severity ?? ""} onChange=${put("severity")}><option value="">as the feed</option>
      ${SEVERITIES.map((one) => html`<option key=${one} value=${one}>${one}</option>`)}</select></label></div></details>`;
}

function Letter({ of, name, failed, replay, drop }) {
  const [whole, setWhole] = useState(null);
  const show = async () => setWhole(await attempt("Not shown", () => get(path(name, of.id))));
  const from = [of.source_name, of.place, of.threat_id].filter(Boolean).join(" · ");
  return html`<li><p><b><${Text} of=${of.reason} /></b></p>
    <p class="faint"><time>${moment(of.time_ms)}</time> <${Text} of=${from} most=${200} /></p>
    ${failed && html`<p class="wrong">Failed again: <${Text} of=${failed} /></p>`}
    ${of.excerpt !== null && html`<div class="raw" tabindex="0"><${Block} of=${whole?.excerpt ?? of.excerpt} /></div>`}
    ${of.cut && html`<p class="faint">Not all of it was kept: it cannot be read again.</p>`}
    <p class="acts">${whole === null && of.excerpt?.length >= 500 && html`<button type="button" class="quiet" onClick=${show}>Show more of it</button>`}
      ${may("admin") && html`${!of.cut && html`<button type="button" onClick=${replay}>Replay</button>`}
        <button type="button" class="danger" onClick=${drop}>Drop…</button>`}</p></li>`;
}

async function replayed(name, body) {
  const done = await attempt("Nothing was replayed", () => post(`${path(name)}/replay`, body));
  if (!done) return null;
  const counts = [[done.added, "added"], [done.sightings, "seen again"], [done.duplicates, "duplicates"], [done.suppressed, "set aside"]];
  const told = counts.filter(([many]) => many).map(([many, word]) => `${count(many)} ${word}`).join(", ");
  const parts = [`${count(done.dropped)} went in${told && ` (${told})`}.`];
  if (done.failed.length) parts.push(`${count(done.failed.length)} failed again: ${quote(done.failed[0].reason, 160)}`);
  if (done.cut.length) parts.push(`${count(done.cut.length)} are not whole, and stay.`);
  say(`Replayed: ${parts.join(" ")}`, { kind: done.failed.length || done.cut.length ? "warning" : "done" });
  return done;
}

async function dropped(name, letter, many) {
  const what = letter ? "this dead letter" : `all ${count(many)} dead letters of ${name}`;
  if (!await confirmed({ title: `Drop ${what}?`, text: "What it says is gone for good.", yes: "Drop" })) return null;
  const done = await attempt("Nothing was dropped", () => remove(path(name, letter?.id ?? null)));
  if (done) say(`Dropped ${count(done.dropped)} dead ${done.dropped === 1 ? "letter" : "letters"}.`, { kind: "done" });
  return done;
}
