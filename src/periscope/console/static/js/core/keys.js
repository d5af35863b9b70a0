// The keyboard: one table, which the overlay shows and the palette searches.

import { signal } from "../html.js";
import { letters } from "./prefs.js";

const SEQUENCE_MS = 1200;
const groups = signal([]);
/** The first key of two that was pressed, for the eye; "" for none. */
export const started = signal("");
let timer = 0;
let layers = 0;

/**
 * Binds a group of commands: `[{keys: ["g q"], label, run, when?, repeats?, typing?}]`. Later groups
 * go first. Returns what unbinds it. A command whose `when` says no lets others have its keys. A key
 * that is held down runs only what `repeats`: nobody decides on a whole list by a heavy finger.
 */
export function bind(name, commands) {
  const group = { name, commands };
  groups.value = [...groups.value, group];
  return () => { groups.value = groups.value.filter((one) => one !== group); };
}

/** All groups, the latest first; with `isOff` of each command that cannot be used now. */
export const bound = () => groups.value.toReversed().map(({ name, commands }) => (
  { name, commands: commands.map((one) => ({ ...one, isOff: !isOn(one) })) }));

/** While a dialog is open the keys of what lies beneath rest. Returns what ends that. */
export function rest() {
  layers += 1;
  return () => { layers -= 1; };
}

const isOn = (command) => !command.when || command.when();

function named(event) {
  let key = event.key === " " ? "Space" : event.key;
  if (event.shiftKey && key.length > 1) key = `Shift+${key}`;
  if (event.ctrlKey || event.metaKey) key = `Ctrl+${key.toLowerCase()}`;
  return event.altKey ? `Alt+${key}` : key;
}

const TYPES = new Set(["text", "search", "password", "number", "email", "url", "datetime-local"]);

function isTyping(target) {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.tagName === "TEXTAREA" || target.tagName === "SELECT") return true;
  return target.tagName === "INPUT" && TYPES.has(target.type);
}

const isLetter = (key) => key.length === 1;
const NATIVE = new Set(["Enter", "Space"]);

function find(pressed, typing) {
  for (const group of groups.value.toReversed()) {
    for (const command of group.commands) {
      if (typing && !command.typing) continue;
      if (command.keys.includes(pressed) && isOn(command)) return command;
    }
  }
  return null;
}

function onKey(event) {
  if (event.defaultPrevented || event.isComposing || layers) return;
  const key = named(event);
  const typing = isTyping(event.target);
  if (isLetter(key) && (typing || !letters.value)) return;
  if (NATIVE.has(key) && event.target.closest?.("button, a, summary, input, [role=tab]")) return;
  const pressed = started.value ? `${started.value} ${key}` : key;
  clearTimeout(timer);
  const command = find(pressed, typing) || (started.value && find(key, typing));
  started.value = "";
  if (command) {
    event.preventDefault();
    if (!event.repeat || command.repeats) command.run(event);
  } else if (!typing && begins(key)) {
    event.preventDefault();
    started.value = key;
    timer = setTimeout(() => { started.value = ""; }, SEQUENCE_MS);
  }
}

const begins = (key) => groups.value.some((group) =>
  group.commands.some((command) => command.keys.some((one) => one.startsWith(`${key} `))));

addEventListener("keydown", onKey);
