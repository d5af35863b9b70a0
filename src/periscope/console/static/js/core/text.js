// Threat content is hostile: everything here returns plain text that can do no harm where it stands.

// Control characters, bidirectional and other invisible ones: drawn as marks, so that nothing hides.
const HIDDEN = /[\p{Cc}\p{Cf}\p{DI}\p{Zl}\p{Zp}\u2800\ufffc\u{1d159}]/gu;
// Invisible ones within an emoji that everybody draws as one picture hide nothing.
let pictures; // made when it is needed: that takes longer than to draw ten rows
// More marks over and under one letter than any script needs cover the lines around it.
const PILES = /(\p{M}{4})(\p{M}+)/gu;
// What runs from right to left would take its neighbours along.
const TURNS = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const LONGEST = 20_000;

/** Returns a text in which what cannot be seen is named: `\u202e` as ‹202E›. Line breaks stay. */
export function shown(text, most = LONGEST) {
  const given = textOf(text);
  const cut = given.length > most ? `${given.slice(0, most)}…` : given;
  return named(cut.toWellFormed()).replace(PILES, (_, few, more) => `${few}‹+${[...more].length}›`);
}

/** A record of others may have anything where a text is expected, even what cannot become one. */
function textOf(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function named(text) {
  if (text.search(HIDDEN) < 0) return text;
  const kept = new Set();
  pictures ??= new RegExp("\\p{RGI_Emoji}", "gv");
  for (const one of text.matchAll(pictures)) {
    for (let at = one.index; at < one.index + one[0].length; at += 1) kept.add(at);
  }
  return text.replace(HIDDEN, (one, at) => {
    if (one === "\n" || one === "\t" || kept.has(at)) return one;
    if (one === "\r") return "";
    return `‹${one.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}›`;
  });
}

/** Returns one line of a text. */
export function line(text, most = 300) {
  return shown(text, most).replace(/\s+/g, " ").trim();
}

/** Returns one line of a text to be put into a sentence: it does not turn the words around it. */
export function quote(text, most = 300) {
  const found = line(text, most);
  return TURNS.test(found) ? `\u2068${found}\u2069` : found;
}

/** Returns a value that nothing takes for a link or an address any more. */
export function defanged(text, most = 2048) {
  return line(text, most)
    .replace(/\b(h)tt(ps?)\b(?=:)/gi, "$1xx$2")
    .replace(/\b(f)tp\b(?=:)/gi, "$1xp")
    .replace(/(?<=[^\s.])[.\u3002\uff0e\uff61](?=[^\s.])/g, "[.]")
    .replace(/@/g, "[@]");
}

/** Returns the value of a filter as it is shown: of an indicator as one. */
export const ofFilter = ({ name, value }, most = 60) => (name === "indicator" ? defanged(value, most) : line(value, most));

const HOST = /^([a-z0-9-]{1,63}\.)+[a-z][a-z0-9-]{0,62}\.?$/;

/**
 * Reads a reference. Returns {href, host, warning}: `href` only of http and https addresses
 * without a name or password in them; `warning` where the host is not what it looks like.
 */
export function reference(text) {
  let url;
  try {
    url = new URL(String(text).trim());
  } catch {
    return { href: null, host: "", warning: "not an address" };
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    return { href: null, host: "", warning: `${line(url.protocol, 40)} is not opened` };
  }
  if (url.username || url.password) return { href: null, host: url.hostname, warning: "carries a name or password" };
  return { href: url.href, host: url.hostname, warning: warningOf(url.hostname) };
}

function warningOf(host) {
  if (host.split(".").some((part) => part.startsWith("xn--"))) return "written in other letters than it looks";
  if (!HOST.test(host)) return "an address without a name";
  return "";
}
