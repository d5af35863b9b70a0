// How numbers, times and words are written.

const SPANS = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1000]];
const THOUSANDS = /\B(?=(\d{3})+$)/g;
const SHORT = ["", "K", "M", "B", "T"];

// Intl's formatters take longer to make (50 ms) than all else that a page does before it is drawn.
/** 1,234,567 */
export const count = (value) => (value === null || value === undefined ? "–" : String(Math.round(value)).replace(THOUSANDS, ","));

/** 1.2M */
export function brief(value) {
  if (value === null || value === undefined) return "–";
  let [rest, at] = [value, 0];
  for (; Math.abs(rest) >= 999.95 && SHORT[at + 1]; at += 1) rest /= 1000;
  return `${Math.round(rest * 10) / 10}${SHORT[at]}`;
}

/** 0.87 */
export const share = (value) => (value === null || value === undefined ? "–" : value.toFixed(2));

/** Returns a span as its two largest units: 3 h 20 min; `parts` 1 for the largest alone. */
export function span(ms, parts = 1) {
  if (ms === null || ms === undefined) return "–";
  let rest = Math.abs(ms);
  const found = [];
  for (const [unit, size] of SPANS) {
    const value = Math.floor(rest / size);
    if (value || (unit === "s" && !found.length)) found.push(`${value} ${unit}`);
    else if (found.length) break;
    rest -= value * size;
    if (found.length === parts) break;
  }
  return found.join(" ");
}

/** Returns a moment as date and time of this place, to the second. */
export function moment(ms) {
  if (!ms) return "–";
  const at = new Date(ms);
  const two = (value) => String(value).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} `
    + `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** Returns a size in binary units. */
export function bytes(value) {
  if (value === null || value === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const at = value ? Math.min(units.length - 1, Math.floor(Math.log2(value) / 10)) : 0;
  return `${(value / 1024 ** at).toFixed(at && value / 1024 ** at < 10 ? 1 : 0)} ${units[at]}`;
}

/** true_positive_impact as words. */
export const words = (name) => String(name ?? "").replaceAll("_", " ");

export const SEVERITIES = ["CRITICAL", "HIGH", "MEDIUM", "LOW"];
export const LEVELS = { 1: "working", 2: "short-term", 3: "long-term" };
export const OUTCOMES = [
  ["true_positive_impact", "True positive, with impact"],
  ["true_positive_no_impact", "True positive, no impact"],
  ["benign_expected", "Benign, expected"],
  ["false_positive_logic", "False positive, wrong rule"],
  ["false_positive_data", "False positive, wrong data"],
  ["duplicate", "Duplicate"],
  ["inconclusive", "Inconclusive"],
];
