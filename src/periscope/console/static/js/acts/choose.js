// Acts that need a word more: an outcome, a time, a comment. What is half written is kept until it is sent.

import { html, signal, useRef, useState } from "../html.js";
import { OUTCOMES, count } from "../core/format.js";
import { quote } from "../core/text.js";
import { Dialog } from "../ui/dialog.js";
import { perform } from "./acts.js";

const asked = signal(null);
const drafts = new Map();
const NAMES = { decide: "Outcome", snooze: "Snooze", comment: "Comment" };
const SPANS = [["1", "1 hour", 3600], ["2", "4 hours", 14_400], ["3", "1 day", 86_400], ["4", "1 week", 604_800]];
const NOTE_BYTES = 16_384;
const DUPLICATE = "duplicate";

/** Asks for what an act needs, about these threats; `more` as `perform` takes it. */
export function choose(act, ids, more) {
  asked.value = { act, ids, more };
}

export function Choice() {
  if (asked.value === null) return null;
  const { act, ids, more } = asked.value;
  const close = () => { asked.value = null; };
  const key = `${act} ${ids.join("\n")}`;
  const send = (fields) => {
    close();
    perform(act, ids, fields, more).then((receipt) => receipt?.changed.length && drafts.delete(key));
  };
  const about = ids.length === 1 ? quote(ids[0], 80) : `${count(ids.length)} threats`;
  const Form = FORMS[act];
  return html`<${Dialog} key=${key} name=${act} title=${`${NAMES[act]}: ${about}`} onClose=${close}>
    <div onKeyDownCapture=${unheld}><${Form} send=${send} draft=${drafts.get(key) ?? {}} keep=${(draft) => drafts.set(key, draft)} /></div></${Dialog}>`;
}

const DECIDES = /^(Enter| |\d)$/;

/** A key that is still held from before, or too long, decides nothing. */
function unheld(event) {
  const writes = event.target.matches("textarea, [type=text]") && !event.ctrlKey;
  if (!event.repeat || writes || !DECIDES.test(event.key)) return;
  event.preventDefault();
  event.stopPropagation();
}

function useDraft(draft, keep, initial) {
  const [value, set] = useState({ ...initial, ...draft });
  const change = (more) => set((old) => {
    const next = { ...old, ...more };
    keep(next);
    return next;
  });
  return [value, change];
}

function Note({ value, onInput, label = "Note", required = false, focus = false }) {
  const size = new TextEncoder().encode(value).length;
  return html`<label class="field">${label}<textarea rows="3" value=${value} required=${required} maxlength=${NOTE_BYTES} autofocus=${focus}
      onInput=${(event) => onInput(event.target.value)}></textarea>
    ${size > NOTE_BYTES && html`<span class="wrong">too long by ${count(size - NOTE_BYTES)} bytes</span>`}</label>`;
}

/** 1 to 7 choose; Enter sends; a note can be written before either. */
function Decide({ send, draft, keep }) {
  const [value, change] = useDraft(draft, keep, { outcome: "", note: "", target: "" });
  const form = useRef(null);
  const isDuplicate = value.outcome === DUPLICATE;
  const submit = (event) => {
    event.preventDefault();
    if (!value.outcome) return;
    send({ outcome: value.outcome, note: value.note || undefined,
      duplicate_of: isDuplicate ? value.target.trim() : undefined });
  };
  const onKey = (event) => {
    const writing = /TEXTAREA|INPUT/.test(event.target.tagName) && event.target.type !== "radio";
    const at = Number(event.key) - 1;
    if (!writing && OUTCOMES[at]) {
      event.preventDefault();
      change({ outcome: OUTCOMES[at][0] });
      form.current.elements.outcome[at].focus(); // from there Tab leads to the note
    }
    if (event.key === "Enter" && (event.ctrlKey || event.target.type === "radio")) submit(event);
  };
  return html`<form ref=${form} onSubmit=${submit} onKeyDown=${onKey}>
    <fieldset class="choices"><legend class="unseen">Outcome</legend>
      ${OUTCOMES.map(([name, text], at) => html`<label key=${name}><input type="radio" name="outcome" value=${name}
        autofocus=${at === 0} checked=${value.outcome === name} onChange=${() => change({ outcome: name })} />
        <kbd>${at + 1}</kbd> ${text}</label>`)}</fieldset>
    ${isDuplicate && html`<label class="field">Duplicate of (id)<input type="text" required value=${value.target}
      onInput=${(event) => change({ target: event.target.value })} /></label>`}
    <${Note} value=${value.note} onInput=${(note) => change({ note })} />
    <footer><span class="faint">1 to 7, then <kbd>Enter</kbd>; from the note <kbd>Ctrl Enter</kbd></span>
      <button class="main" type="submit" disabled=${!value.outcome}>Close with this outcome</button></footer></form>`;
}

function Snooze({ send, draft, keep }) {
  const [value, change] = useDraft(draft, keep, { note: "" });
  const go = (fields) => send({ ...fields, note: value.note || undefined });
  const onKey = (event) => {
    if (/TEXTAREA/.test(event.target.tagName)) return;
    const span = SPANS.find(([key]) => key === event.key);
    if (span) go({ for_s: span[2] });
    if (event.key === "5") go({ until_worse: true });
  };
  return html`<form onKeyDown=${onKey} onSubmit=${(event) => event.preventDefault()}>
    <div class="choices">${SPANS.map(([key, text, seconds], at) => html`<button type="button" key=${key} autofocus=${at === 0}
      onClick=${() => go({ for_s: seconds })}><kbd>${key}</kbd> ${text}</button>`)}
      <button type="button" onClick=${() => go({ until_worse: true })}><kbd>5</kbd> Until it gets worse</button></div>
    <${Note} value=${value.note} onInput=${(note) => change({ note })} />
    <p class="faint">Whatever is chosen: a report of higher severity brings it back at once.</p></form>`;
}

function Comment({ send, draft, keep }) {
  const [value, change] = useDraft(draft, keep, { text: "" });
  const submit = (event) => {
    event.preventDefault();
    if (value.text.trim()) send({ text: value.text });
  };
  return html`<form onSubmit=${submit} onKeyDown=${(event) => event.key === "Enter" && event.ctrlKey && submit(event)}>
    <${Note} label="Comment" required focus value=${value.text} onInput=${(text) => change({ text })} />
    <footer><span class="faint"><kbd>Ctrl Enter</kbd> sends</span><button class="main" type="submit">Comment</button></footer></form>`;
}

const FORMS = { decide: Decide, snooze: Snooze, comment: Comment };
