// Calls of the HTTP API. Every error is a `Problem`, whatever went wrong on the way.

import { checkSame, renewed, sessionEnded, signIns } from "./session.js";

/** What the API (RFC 9457), or the lack of it, answers instead of what was asked for. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || "Something went wrong.");
    this.status = status;
    this.type = (body.type || "").replace("urn:periscope:problem:", "");
    this.field = body.field || null;
    this.retryAfterMs = body.retry_after_s ? body.retry_after_s * 1000 : null;
    this.request = body.instance || null;
  }

  /** Says whether the same may work in a moment. */
  get passes() {
    return this.status === 0 || this.status === 429 || this.status === 503;
  }
}

const ELSEWHERE = { detail: "What is called . or .. has no address in a browser: use the command line." };
const AWAY = { detail: "The service cannot be reached." };
const SLOW = { detail: "The service does not answer." };
/** So long a list or an act waits for its answer: a service that is stuck is as good as away. */
export const PATIENCE_MS = 30_000;

/** Returns the query part of an address; what is null, undefined, false or "" is left out. */
export function queryOf(query = {}) {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== false && (one !== "" || EMPTY_MEANS.has(name))) {
        found.append(name, String(one));
      }
    }
  }
  const text = found.toString();
  return text ? `?${text}` : "";
}

// For these an empty value says something: not marked, nobody.
const EMPTY_MEANS = new Set(["tlp", "holder"]);

/** Returns a threat's address under /v1/threats. */
export function threatPath(id, more = "") {
  return `/v1/threats/${encodeURIComponent(id)}${more}`;
}

/** Returns a feed's address under /v1/feeds. */
export function feedPath(name, more = "") {
  return `/v1/feeds/${encodeURIComponent(name)}${more}`;
}

/**
 * Calls the API and returns the decoded answer (null of an empty one).
 * Where the session has ended it waits until the same person has signed in again, and goes on.
 * `until` is an AbortSignal, `within` the time it may take in milliseconds. Throws `Problem`, or an AbortError.
 */
export async function call(method, path, { query, body, headers, until, within, quiet = false } = {}) {
  if (leadsElsewhere(path)) throw new Problem(404, ELSEWHERE);
  const send = () => ask(method, path + queryOf(query), { body, headers, until, within });
  const before = signIns();
  let answer = await send();
  if (answer.status === 401 && !quiet) {
    if (before === signIns()) {
      sessionEnded();
      await renewed();
    }
    answer = await send();
  }
  if (answer.status === 403) checkSame();
  return answer.read();
}

/** A browser takes a name of `..` in an address, however it is written, for a step up. */
const leadsElsewhere = (path) => new URL(path, location.origin).pathname !== path;

export const get = (path, query, more) => call("GET", path, { query, ...more });
export const post = (path, body = {}, more) => call("POST", path, { body, ...more });
export const put = (path, body, more) => call("PUT", path, { body, ...more });
export const remove = (path, more) => call("DELETE", path, more);

/** Returns {status, read()}; the whole answer is here by then. */
async function ask(method, address, { body, headers = {}, until, within }) {
  const sent = body === undefined || body instanceof Blob ? body : JSON.stringify(body);
  const kinds = sent === undefined ? headers : { "content-type": "application/json", ...headers };
  const signal = AbortSignal.any([until, within && AbortSignal.timeout(within)].filter(Boolean));
  try {
    const answer = await fetch(address, { method, headers: kinds, body: sent, signal, cache: "no-store" });
    const text = await answer.text();
    return { status: answer.status, read: () => decoded(answer, text) };
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, error.name === "TimeoutError" ? SLOW : AWAY);
  }
}

function decoded(answer, text) {
  let body = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    body = { title: "The answer could not be read." };
    if (answer.ok) throw new Problem(answer.status, body);
  }
  if (!answer.ok) throw new Problem(answer.status, body || { title: `Status ${answer.status}.` });
  return body;
}
