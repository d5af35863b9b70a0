// Follows the event stream beside the page: however much arrives, the page is told four times a
// second at most, and in few words.

// Server-sent events read from a body, frame by frame.

const FIRST_MS = 500;
const LONGEST_MS = 10_000;
const MOST_CHARACTERS = 4_000_000;

/** Gives {id, event, data, comment} of each frame. */
export async function* frames(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    let end = rest.indexOf("\n\n");
    let begin = 0;
    while (end >= 0) {
      yield frameOf(rest.slice(begin, end));
      begin = end + 2;
      end = rest.indexOf("\n\n", begin);
    }
    rest = rest.slice(begin);
    if (rest.length > MOST_CHARACTERS) throw new Error("a frame without an end");
  }
}

/** Reads the lines of one frame. */
function frameOf(text) {
  const found = { id: "", event: "message", data: "", comment: "" };
  for (const one of text.split("\n")) {
    const at = one.indexOf(":");
    const name = at < 0 ? one : one.slice(0, at);
    const value = at < 0 ? "" : one.slice(at + 1).replace(/^ /, "");
    if (!name) found.comment = value.trim();
    else if (name === "data") found.data += found.data ? `\n${value}` : value;
    else if (name === "id" || name === "event") found[name] = value;
  }
  return found;
}

/** How long to wait before one tries again after so many failures: longer each time, never all at
 * the same moment, and not before the service wants. */
function delayOf(failures, wantedMs = 0) {
  const most = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 10));
  return Math.max(wantedMs, most / 2 + (Math.random() * most) / 2);
}

const TELL_MS = 250;
const MOST_IDS = 1000;
const MOST_ACTS = 50;
const SILENT_MS = 25_000; // the service gives a sign of life every 15 s
const ANSWER_MS = 10_000;
const MANY = new Set(["added", "sighted"]);

let position = null;
let told = empty();
let timer = 0;
let failures = 0;
let running = null;
let hurry = () => {};
let wasAway = false;

function empty() {
  return { counts: {}, ids: new Set(), isMany: false, acts: [], events: 0 };
}

self.onmessage = ({ data }) => {
  if (data.kind === "start") start();
  if (data.kind === "stop") running?.abort();
  if (data.kind === "hurry") hurry();
};

async function start() {
  running?.abort();
  const mine = new AbortController();
  running = mine;
  while (!mine.signal.aborted) {
    const why = await follow(mine.signal).catch((error) => ({ kind: "lost", why: error.message }));
    if (mine.signal.aborted) return;
    postMessage(why);
    if (why.kind === "expired") return; // the page starts anew once somebody has signed in
    failures += 1;
    await pause(delayOf(failures, why.retryMs));
  }
}

function pause(ms) {
  return new Promise((resolve) => {
    const wait = setTimeout(resolve, ms);
    hurry = () => { clearTimeout(wait); resolve(); };
  });
}

async function follow(until) {
  const headers = position === null ? {} : { "last-event-id": position };
  const patience = new Patience();
  const signal = AbortSignal.any([until, patience.signal]);
  try {
    const answer = await fetch("/v1/events", { headers, signal, cache: "no-store" });
    return answer.ok ? await read(answer, patience) : await refused(answer);
  } finally {
    patience.end();
  }
}

/** Ends a connection on which nothing is heard, not even a sign of life. */
class Patience extends AbortController {
  timer = 0;

  constructor() {
    super();
    this.renew(ANSWER_MS, "the service does not answer");
  }

  renew(ms = SILENT_MS, why = "nothing is heard of the service") {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.abort(new Error(why)), ms);
  }

  end() {
    clearTimeout(this.timer);
  }
}

async function read(answer, patience) {
  let ended = null;
  postMessage({ kind: "live", resumed: position !== null });
  failures = 0;
  wasAway = false;
  for await (const frame of frames(answer.body)) {
    patience.renew();
    if (frame.id) position = frame.id;
    if (frame.event === "ended") ended = JSON.parse(frame.data).why;
    else if (frame.data) note(JSON.parse(frame.data));
    if (frame.comment) tellStore(frame.comment === "store-away");
  }
  return ended === "unauthenticated" ? { kind: "expired" } : { kind: "lost", why: ended ?? "the connection ended" };
}

function tellStore(isAway) {
  if (isAway !== wasAway) postMessage({ kind: "store", isAway });
  wasAway = isAway;
}

async function refused(answer) {
  if (answer.status === 401) return { kind: "expired" };
  if (answer.status === 410) {
    position = null; // what happened since is no longer kept: the page reads everything anew
    postMessage({ kind: "gap" });
  }
  const body = await answer.json().catch(() => ({}));
  return { kind: "lost", why: body.detail ?? `status ${answer.status}`, retryMs: (body.retry_after_s ?? 0) * 1000 };
}

function note(event) {
  told.events += 1;
  const many = MANY.has(event.kind);
  told.counts[event.kind] = (told.counts[event.kind] ?? 0) + (many ? event.threat_ids.length : 1);
  for (const id of event.threat_ids) {
    if (told.ids.size >= MOST_IDS) {
      told.isMany = true;
      break;
    }
    told.ids.add(id);
  }
  if (!many && told.acts.length < MOST_ACTS) told.acts.push(event);
  timer ||= setTimeout(tell, TELL_MS);
}

function tell() {
  timer = 0;
  const { ids, ...rest } = told;
  told = empty();
  postMessage({ kind: "news", ids: [...ids], ...rest });
}
