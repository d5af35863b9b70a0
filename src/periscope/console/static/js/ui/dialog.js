// What is asked of people and said to them: dialogs, messages, forms.

import { rest } from "../core/keys.js";
import { line, quote } from "../core/text.js";
import { html, signal, useLayoutEffect, useRef, useState } from "../html.js";

/**
 * Holds the focus, gives it back, closes on Escape. `onClose` is called however it is to close, and may ask
 * first (null: it cannot be closed); `children` is its content.
 */
export function Dialog({ title, onClose, wide = false, name = "dialog", children }) {
  const box = useRef(null);
  // At once, not after the next paint: whoever types on has their keys taken by the dialog.
  useLayoutEffect(() => {
    const before = document.activeElement;
    const wake = rest();
    const dialog = box.current;
    dialog.showModal();
    return () => {
      wake();
      dialog.close(); // while it is open, nothing beneath it can have the focus
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  const cancel = (event) => {
    if (event.target !== box.current) return; // a file chooser within says so too
    event.preventDefault();
    onClose?.();
  };
  // The key itself: a browser lets nothing prevent the second Escape in a row from closing a dialog.
  const onKey = (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || event.isComposing) return;
    event.preventDefault();
    event.stopPropagation();
    onClose?.();
  };
  return html`<dialog ref=${box} class=${wide ? "wide" : ""} data-name=${name} aria-label=${title} onCancel=${cancel} onKeyDown=${onKey}
    onMouseDown=${(event) => event.target === box.current && onClose?.()}>
    <header><h2>${title}</h2>
      ${onClose && html`<button type="button" class="quiet" aria-label="Close" onClick=${onClose}>×</button>`}</header>
    ${children}
  </dialog>`;
}

// Asking once more, before what cannot be taken back.

const asked = signal(null);

/**
 * Asks, and resolves to whether somebody said yes: `if (await confirmed({ title, text, yes: "Drop" })) …`.
 * `text` may hold content of others; `isDanger` (the usual case) has the focus on the way back.
 */
export function confirmed({ title, text = "", yes, no = "Cancel", isDanger = true }) {
  asked.value?.answer(false);
  return new Promise((resolve) => {
    const answer = (said) => {
      asked.value = null;
      resolve(said);
    };
    asked.value = { title, text, yes, no, isDanger, answer };
  });
}

/** Closes at once what nobody has written in; asks before anything written goes. */
export async function leave(isWritten, close) {
  const told = { title: "Discard what you have written?", text: "It has not been sent.", yes: "Discard", no: "Keep writing" };
  if (!isWritten || await confirmed(told)) close();
}

/** Where it is asked: once on a page. */
export function Confirm() {
  if (asked.value === null) return null;
  const { title, text, yes, no, isDanger, answer } = asked.value;
  return html`<${Dialog} key=${answer} name="confirm" title=${line(title, 160)} onClose=${() => answer(false)}><div>
    ${text && html`<p dir="auto">${line(text, 600)}</p>`}
    <footer><button type="button" autofocus=${isDanger} onClick=${() => answer(false)}>${no}</button>
      <button type="button" class=${isDanger ? "danger" : "main"} autofocus=${!isDanger} onClick=${() => answer(true)}>${yes}</button></footer>
  </div></${Dialog}>`;
}

// Messages at the edge, and in the ear of screen readers.

const STAY_MS = { done: 6000, note: 4000, warning: 15_000, error: 0 };
const MOST = 3; // that are kept
const messages = signal([]);
let number = 0;

/** Shows a message in place of the one before: `kind` done, note, warning or error (which stays, as what can be tried again); `undo` and `again` are offered. */
export function say(text, { kind = "note", undo = null, again = null } = {}) {
  number += 1;
  const one = { key: number, text, kind, undo, again };
  messages.value = [...messages.value.filter((old) => (old.kind === "error" || old.again) && old.text !== text)
    .map((old) => ({ ...old, undo: null })).slice(-MOST), one];
  if (STAY_MS[kind]) setTimeout(() => drop(one.key), STAY_MS[kind]);
}

/** Takes all messages away. */
export const hush = () => { messages.value = []; };

function drop(key) {
  messages.value = messages.value.filter((one) => one.key !== key);
}

const press = (one, run) => () => {
  drop(one.key);
  run();
};

export function Toasts() {
  return html`<div class="toasts" role="status" aria-live="polite">
    ${messages.value.map((one) => html`<div key=${one.key} class="toast" data-kind=${one.kind}>
      <p>${one.text}</p>
      ${one.undo && html`<button type="button" onClick=${press(one, one.undo)}>Undo <kbd>u</kbd></button>`}
      ${one.again && html`<button type="button" onClick=${press(one, one.again)}>Try again</button>`}
      <button type="button" class="quiet" aria-label="Close this message" onClick=${() => drop(one.key)}>×</button>
    </div>`)}
  </div>`;
}

/** Returns what `work()` brings; null where it did not work, which is said after `told`. */
export async function attempt(told, work) {
  try {
    return await work();
  } catch (problem) {
    say(`${told}: ${quote(problem.message, 400)}`, { kind: "error" });
    return null;
  }
}

// Parts of forms.

export const SCOPES = [["ingest", "send reports"], ["read", "see threats and all about them"], ["act", "do what analysts do"],
  ["admin", "all of it, and keys, accounts, policy"]];

/** Check boxes under one heading: `values` are [value, text], `at` those that are on. */
export function Several({ label, values, at, onChange, wrong = false }) {
  const flip = (one) => onChange(at.includes(one) ? at.filter((each) => each !== one) : [...at, one]);
  return html`<fieldset class="several" aria-invalid=${wrong}><legend>${label}</legend>${values.map(([one, text]) => html`<label class="choice" key=${one}>
    <input type="checkbox" value=${one} checked=${at.includes(one)} onChange=${() => flip(one)} /> ${one}
    ${text && html`<span class="faint">${text}</span>`}</label>`)}</fieldset>`;
}

/**
 * Sends a form once at a time. Returns {busy, problem, send(ask), isWrong(name)}; `ask` is what
 * sends, and what it answers is answered; null where it was refused.
 */
export function useSending() {
  const [told, set] = useState({ busy: false, problem: null });
  const send = async (ask) => {
    if (told.busy) return null;
    set({ busy: true, problem: null });
    try {
      const answer = await ask();
      set({ busy: false, problem: null });
      return answer ?? true;
    } catch (problem) {
      set({ busy: false, problem });
      return null;
    }
  };
  const field = told.problem?.field ?? "";
  return { ...told, send, isWrong: (name) => field === name || field.startsWith(`${name}[`) || field.startsWith(`${name}.`) };
}

/** What is wrong, in the API's words. */
export function Wrong({ problem }) {
  if (!problem) return null;
  return html`<p class="wrong" role="alert">${line(problem.message, 500)}</p>`;
}
