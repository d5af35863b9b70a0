// What can be done: the overlay that `?` shows, and the palette of Ctrl K.

import { bound } from "../core/keys.js";
import { letters, theme } from "../core/prefs.js";
import { go } from "../core/route.js";
import { signOut } from "../core/session.js";
import { line } from "../core/text.js";
import { html, signal, useLayoutEffect, useRef, useState } from "../html.js";
import { Dialog, hush } from "../ui/dialog.js";

const shows = signal("");
const THEMES = { auto: "light", light: "dark", dark: "auto" };

/** Commands that are there on every page. */
export function commands() {
  return [
    { keys: ["?"], label: "Keys", run: openKeys },
    { keys: ["Ctrl+k"], label: "Commands", typing: true, run: () => { shows.value = "palette"; } },
    { keys: ["Escape"], label: "Close messages", run: hush },
    { keys: ["t"], label: "Light, dark or as the system", run: () => { theme.value = THEMES[theme.value] ?? "auto"; } },
    { keys: [], label: "Sign out", run: signOut },
  ];
}

/** Shows the keys, and what can be set about them. */
export function openKeys() {
  shows.value = "keys";
}

const close = () => { shows.value = ""; };

const CAPS = { ArrowDown: "↓", ArrowUp: "↑", PageDown: "PgDn", PageUp: "PgUp", Escape: "Esc" };
const cap = (key) => key.replace(/\w+$/, (name) => CAPS[name] ?? name);

export function Keys({ of }) {
  return of.map((one, at) => html`${at > 0 && " "}${one.split(" ").map((key) => html`<kbd>${cap(key)}</kbd>`)}`);
}

/** Keys that dialogs have of their own. */
const IN_DIALOGS = { name: "In dialogs", commands: [["Escape", "Close"], ["Ctrl+Enter", "Send"],
  ["1–7", "Choose an outcome"], ["1–5", "Choose a span"]].map(([key, label]) => ({ label, keys: [key] })) };

export function Overlay() {
  if (shows.value !== "keys") return null;
  return html`<${Dialog} title="Keys" name="keys" wide onClose=${close}><div class="keys">
    ${[...bound(), IN_DIALOGS].map((group) => html`<section key=${group.name}><h3>${group.name}</h3><dl>
      ${group.commands.filter((one) => one.keys.length).map((one) => html`
        <div data-off=${one.isOff} title=${one.isOff ? "Not now" : null}><dt><${Keys} of=${one.keys} /></dt><dd>${one.label}</dd></div>`)}
    </dl></section>`)}</div>
    <label class="choice"><input type="checkbox" checked=${letters.value}
      onChange=${(event) => { letters.value = event.target.checked; }} /> Single-key shortcuts</label></${Dialog}>`;
}

export function Palette() {
  if (shows.value !== "palette") return null;
  return html`<${Dialog} title="Commands" name="palette" onClose=${close}><${Finder} /></${Dialog}>`;
}

const entries = (text) => [["Search for", { q: text }], ["Open threat", { t: text }]]
  .map(([word, where]) => ({ keys: [], label: `${word} “${line(text, 60)}”`, run: () => go("queue", where) }));

function Finder() {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const list = useRef(null);
  useLayoutEffect(() => { list.current.children[at]?.scrollIntoView({ block: "nearest" }); }, [at]);
  const all = bound().flatMap((group) => group.commands.filter((one) => !one.isOff).map((one) => ({ ...one, group: group.name })));
  const asked = text.trim();
  const wanted = asked.toLowerCase().split(/\s+/);
  const fits = all.filter((one) => wanted.every((word) => `${one.group} ${one.label}`.toLowerCase().includes(word)));
  const found = [...fits, ...(asked ? entries(asked) : [])];
  const run = (one) => {
    close();
    queueMicrotask(() => setTimeout(one.run));
  };
  const onKey = (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) {
      event.preventDefault();
      setAt(Math.max(0, Math.min(found.length - 1, at + by)));
    } else if (event.key === "Enter" && found[at]) {
      event.preventDefault();
      run(found[at]);
    }
  };
  return html`<div onKeyDown=${onKey}><input type="search" autofocus role="combobox" aria-expanded="true" aria-controls="found"
      aria-activedescendant=${found[at] ? `found-${at}` : null} aria-label="Find a command" value=${text}
      onInput=${(event) => { setText(event.target.value); setAt(0); }} />
    ${!fits.length && html`<p class="faint" role="status">No command fits.</p>`}
    <div id="found" ref=${list} role="listbox" aria-label="Commands" class="found">${found.map((one, place) => html`<div role="option" id=${`found-${place}`}
      aria-selected=${place === at} onClick=${() => run(one)}><span>${one.label} <span class="faint">${one.group}</span></span>
      <span><${Keys} of=${one.keys.slice(0, 1)} /></span></div>`)}</div></div>`;
}
