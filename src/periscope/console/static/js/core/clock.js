// The server's time, and a tick for what changes with it.

import { signal } from "../html.js";

const TICK_MS = 1000;
let ahead = 0; // of the server's clock before this one's

/** Counts up every second: read it to be drawn anew. */
export const tick = signal(0);

/** Milliseconds since 1970 by the server's clock. */
export const now = () => Date.now() + ahead;

/** Takes the time from an answer's `as_of_ms`. */
export function sync(asOfMs) {
  if (asOfMs) ahead = asOfMs - Date.now();
}

setInterval(() => {
  if (document.visibilityState === "visible") tick.value += 1;
}, TICK_MS);
document.addEventListener("visibilitychange", () => { tick.value += 1; });

// Times as somebody writes them: spans back from now, days, minutes, stretches of them.

const MINUTE_MS = 60_000;
const UNITS = { m: MINUTE_MS, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const SPAN = /^(\d{1,9}(?:\.\d{1,3})?)([mhdw])$/;
const DAY = /^\d{4}-\d{2}-\d{2}$/;
const MINUTE = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2})?$/;
const LATEST_MS = 2 ** 48; // the API takes no later ones

/** Returns {from, until} in milliseconds (null: open) of 30m, a day, or a stretch; null: it is none. */
export function stretchOf(text, now) {
  const within = SPAN.exec(text);
  // To the minute: whoever asks in the same minute asks the same, and is answered by one read.
  if (within) {
    const from = now - Number(within[1]) * UNITS[within[2]];
    return { from: Math.max(0, Math.floor(from / MINUTE_MS) * MINUTE_MS), until: null };
  }
  const parts = DAY.test(text) ? [text, text] : text.split("..");
  if (parts.length !== 2 || parts.every((one) => one === "")) return null;
  const [from, until] = [momentOf(parts[0], false), momentOf(parts[1], true)];
  if (from === undefined || until === undefined || (from !== null && until !== null && from >= until)) return null;
  return { from, until };
}

/** Returns milliseconds; null for no text, undefined for what is no moment. A day that ends a stretch is part of it. */
function momentOf(text, isEnd) {
  if (text === "") return null;
  if (/^\d{11,15}$/.test(text)) return bounded(Number(text));
  if (DAY.test(text)) {
    const [year, month, day] = text.split("-").map(Number);
    const at = new Date(year, month - 1, day);
    if (at.getMonth() !== month - 1) return undefined; // the 31st of a shorter month
    return bounded(isEnd ? new Date(year, month - 1, day + 1).getTime() : at.getTime());
  }
  return MINUTE.test(text) ? bounded(Date.parse(text)) : undefined;
}

const bounded = (ms) => (ms >= 0 && ms < LATEST_MS ? ms : undefined);

/** Returns a moment as short as it can be written in the time of this place; read again it is the same. */
export function written(ms) {
  const at = new Date(ms);
  const two = (value, size = 2) => String(value).padStart(size, "0");
  const minute = `${two(at.getFullYear(), 4)}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`;
  const second = `${minute}:${two(at.getSeconds())}`;
  // When clocks are put back an hour comes twice: then the plain number says which.
  return [minute, second, `${second}.${two(at.getMilliseconds(), 3)}`].find((one) => Date.parse(one) === ms) ?? two(ms, 11);
}
