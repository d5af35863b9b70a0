// What the report says: its content, its indicators, its references, whatever else its source gave, and the whole record.

import { busy, perform } from "../acts/acts.js";
import { choose } from "../acts/choose.js";
import { now, tick } from "../core/clock.js";
import { bytes, count, LEVELS, OUTCOMES, span, words } from "../core/format.js";
import { bind } from "../core/keys.js";
import { print } from "../core/query.js";
import { change, go } from "../core/route.js";
import { analyst, may } from "../core/session.js";
import { defanged, line, reference, shown } from "../core/text.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../html.js";
import { indicatorsOf, othersOf, panel, said } from "./panel.js";
import { Age, Block, Copy, Indicator, Severity, Text, Tlp, When } from "../ui/parts.js";

// What a threat is: its title and id, which never move; then where it stands, who reported it, since when, who has it.

const JUST_MS = 5000;
const TOLD_MS = 120_000;

export function Head({ id, head, news, onClose }) {
  const before = panel.before();
  return html`<header class="peek-head">
    <div class="peek-title">
      ${before.length > 0 && html`<button type="button" class="quiet" onClick=${panel.back} aria-label="Back to the threat before"
        title="Back to the threat before (b)">←</button>`}
      ${head && html`<${Severity} of=${head.severity} />`}
      <h2 title=${head ? head.severity.toLowerCase() : null}><${Text} of=${head?.title || id} most=${400} /></h2>
      <button type="button" class="quiet" aria-label="Close" title="Close (Esc)" onClick=${onClose}>×</button></div>
    <div class="peek-id"><${Text} of=${id} most=${2048} class="id" /><${Copy} of=${id} what="the id" />
      <${News} news=${news} /></div>
  </header>`;
}

/** Says discreetly what somebody else did meanwhile. */
function News({ news }) {
  tick.value;
  const age = news ? now() - news.at : 0;
  const when = age < JUST_MS ? "just now" : `${span(age)} ago`;
  return html`<span class="news" role="status">${news && age < TOLD_MS && html`<span data-fresh=${age < JUST_MS}>
    ${said(news.kind)} ${news.who && html`by <${Text} of=${news.who} most=${40} /> `}<span aria-hidden="true">${when}</span></span>`}</span>`;
}

const MOST_TAGS = 24;
const NOTHING = html`<span class="faint">–</span>`;

export function Facts({ head, isWhole }) {
  return html`<dl class="facts">
    <div><dt>Status</dt><dd><${Stands} head=${head} /></dd></div>
    <div><dt>Holder</dt><dd><${Holder} head=${head} /></dd></div>
    <div><dt>Source</dt><dd>${head.source ? html`<${Filter} name="source" value=${head.source} />` : NOTHING}</dd></div>
    <div><dt>TLP</dt><dd><${Tlp} of=${head.tlp} /></dd></div>
    <div class="wide"><dt>Tags</dt><dd class="tags"><${Tags} of=${head.tags} /></dd></div>
    <div><dt>First seen</dt><dd><${When} ms=${head.first_seen_ms} /></dd></div>
    <div><dt>Last activity</dt><dd><${When} ms=${head.last_activity_ms} /></dd></div>
    <div><dt>Observed</dt><dd>${isWhole && html`<${When} ms=${head.observed_at_ms} />`}</dd></div>
    <div><dt>${head.level > 1 ? "Here since" : "Due"}</dt>
      <dd>${head.level > 1 ? html`<${When} ms=${head.entered_ms} />` : html`<${Due} head=${head} />`}</dd></div>
    <div class="wide"><dt>Counts</dt><dd>${countsOf(head)}</dd></div>
  </dl>`;
}

function Stands({ head }) {
  tick.value;
  const outcome = OUTCOMES.find(([name]) => name === head.outcome)?.[1];
  const status = head.level > 1 && head.status === "open" ? LEVELS[head.level] : head.status;
  const home = head.level === 1 && head.home > 1 ? `, home ${LEVELS[head.home]}` : "";
  return html`<b class="status" data-status=${head.status}>${status}</b> <span class="faint">level ${head.level}${home}</span>
    ${outcome && html`<br />${outcome}`}
    ${head.status === "snoozed" && html`<br />${head.snoozed_until_ms ? html`until <${When} ms=${head.snoozed_until_ms} />` : "until it gets worse"}`}
    ${head.latched && html`<br /><span class="mark">↑ will be promoted</span>`}`;
}

function Holder({ head }) {
  tick.value;
  const left = (head.holder_until_ms ?? 0) - now();
  if (!head.holder || left <= 0) return html`<span class="faint">nobody</span>`;
  return html`<b><${Text} of=${head.holder} most=${80} /></b>${head.holder === analyst.value && " (you)"}
    <span class="faint"> for another ${span(left)}</span>`;
}

function Due({ head }) {
  tick.value;
  if (head.interactions) return html`<${When} ms=${head.due_ms} bare /> <span class="faint">looked at</span>`;
  return html`<${Age} row=${head} /> <${When} ms=${head.due_ms} />`;
}

function Tags({ of }) {
  if (!of.length) return NOTHING;
  return html`${of.slice(0, MOST_TAGS).map((tag) => html`<${Filter} key=${tag} name="tag" value=${tag} />`)}
    ${of.length > MOST_TAGS && html`<span class="faint">and ${count(of.length - MOST_TAGS)} more, in the raw record</span>`}`;
}

/** A value that the list is filtered by with a press. */
export function Filter({ name, value, children = null }) {
  const told = `Only ${name} ${line(value, 60)}`;
  return html`<button type="button" class=${children ? "small" : "value"} title=${told} aria-label=${told}
    onClick=${() => change({ q: print([{ name, value, not: false }]) }, { replace: false })}>
    ${children ?? html`<${Text} of=${value} most=${120} />`}</button>`;
}

function countsOf(head) {
  const told = [`reported ×${count(head.sightings + 1)}`];
  for (const name of ["interactions", "escalations", "dismissals", "views", "analysts"]) {
    if (head[name]) told.push(`${count(head[name])} ${head[name] === 1 ? name.slice(0, -1) : name}`);
  }
  if (head.consolidations) told.push(`consolidated ×${count(head.consolidations)}`);
  if (head.memory_type && head.level > 1) told.push(words(head.memory_type));
  return told.join(" · ");
}

const FIRST = 8;
const A_FRAME = 20;
const MORE = 50;
const MOST_FIELDS = 40;
const SHORT = 160;

/** Shows the report that one began to read, until one wants to see what is new. */
export function Report({ threat }) {
  const [read, set] = useState(threat);
  const isNew = useMemo(() => read.revision !== threat.revision && saidBy(read) !== saidBy(threat), [read, threat]);
  return html`<div class="report">
    ${isNew && html`<p class="fresh" role="status">The report says something else now.
      <button type="button" class="small" onClick=${() => set(threat)}>Show it</button></p>`}
    <${LongText} key=${`content ${read.revision}`} of=${read.content} />
    <${Indicators} key=${`indicators ${read.revision}`} of=${indicatorsOf(read)} />
    <${Metadata} of=${othersOf(read)} /></div>`;
}

const saidBy = (threat) => JSON.stringify([threat.content, threat.metadata]);

function Indicators({ of }) {
  if (!of.length) return null;
  return html`<h4>Indicators <span class="faint">defanged; what is copied is real</span>
      <${Copy} of=${of.map((one) => one.value).join("\n")} what=${`all ${count(of.length)} indicators as they are`}>Copy all<//></h4>
    <${Growing} of=${of} draw=${(slices) => html`<table class="indicators"><thead><tr><th scope="col">Type</th><th scope="col">Value</th>
      <th scope="col"><span class="unseen">Acts</span></th></tr></thead>${slices}</table>`}
      slice=${(some, at) => html`<tbody key=${at}>${some.map((one) => html`<${One} of=${one} />`)}</tbody>`} />`;
}

function One({ of }) {
  return html`<tr><td><${Text} of=${of.type || "–"} most=${40} /></td><td><${Indicator} of=${of} most=${2048} /></td>
    <td><${Copy} of=${of.value} what="the indicator as it is" /> <${Filter} name="indicator" value=${of.value}>Filter<//></td></tr>`;
}

/** Few of many; all of them at a press, so many a frame that no frame is late. What is drawn is not drawn again. */
function Growing({ of, slice, draw }) {
  const [wanted, want] = useState(FIRST);
  const [most, set] = useState(FIRST);
  const made = useMemo(() => [], [of.length]);
  useEffect(() => {
    if (most >= wanted) return undefined;
    const next = requestAnimationFrame(() => set(most + A_FRAME));
    return () => cancelAnimationFrame(next);
  }, [most, wanted]);
  for (let from = 0, at = 0; from < Math.min(most, of.length); at += 1) {
    const until = at ? from + A_FRAME : FIRST;
    made[at] ??= slice(of.slice(from, until), at);
    from = until;
  }
  return html`${draw(made)}
    ${of.length > FIRST && wanted === FIRST && html`<button type="button" class="small" onClick=${() => want(of.length)}>
      Show all ${count(of.length)}</button>`}`;
}

function Metadata({ of }) {
  if (!of.length) return null;
  return html`<h4>Metadata</h4><${Fields} of=${of} />`;
}

function Fields({ of }) {
  const [most, set] = useState(MOST_FIELDS);
  const left = of.length - most;
  return html`<dl class="tree">${of.slice(0, most).map(([name, value], at) => html`<div key=${at}><dt><${Text} of=${name} most=${80} /></dt>
      <dd><${Value} of=${value} /></dd></div>`)}</dl>
    ${left > 0 && html`<button type="button" class="small" onClick=${() => set(most + MORE)}>Show more of ${count(left)}</button>`}`;
}

function Value({ of }) {
  if (typeof of === "string") {
    return of.length > SHORT || of.includes("\n") ? html`<${LongText} of=${of} first=${400} />` : html`<${Text} of=${of} most=${SHORT} />`;
  }
  if (of === null || typeof of !== "object" || JSON.isRawJSON?.(of)) {
    return html`<span class="mono">${line(of === null ? "null" : of.rawJSON ?? of)}</span>`;
  }
  const entries = Object.entries(of);
  if (!entries.length) return html`<span class="faint">empty</span>`;
  if (Array.isArray(of) && of.length <= 12 && of.every((one) => typeof one === "string" && one.length <= 40)) {
    return of.map((one, at) => html`<${Text} key=${at} of=${one} class="tag" /> `);
  }
  return html`<${Branch} name=${Array.isArray(of) ? "item" : "field"} of=${entries} />`;
}

/** What is nested is made when it is opened: however deep it goes. */
function Branch({ name, of }) {
  const [isOpen, set] = useState(of.length <= 3);
  return html`<button type="button" class="value" aria-expanded=${isOpen} onClick=${() => set(!isOpen)}>
      ${count(of.length)} ${name}${of.length === 1 ? "" : "s"}</button>
    ${isOpen && html`<${Fields} of=${of} />`}`;
}

const FIRST_ADDRESSES = 12;
const LONGEST = 4096;

/** Addresses that it names: shown whole before they are opened, and links only where they are what they look like. */
export function References({ of }) {
  const [most, set] = useState(FIRST_ADDRESSES);
  if (!of.length) return html`<p class="faint">The report names none.</p>`;
  return html`<ul class="references">${of.slice(0, most).map((one) => html`<li key=${one}><${Reference} text=${one} /></li>`)}</ul>
    ${of.length > most && html`<button type="button" class="small" onClick=${() => set(of.length)}>Show all ${count(of.length)}</button>`}`;
}

function Reference({ text }) {
  const { href, host, warning } = reference(text);
  if (href && !warning) {
    return html`<a href=${href} rel="noreferrer noopener" target="_blank"><${Address} of=${href} host=${host} />
      <span class="unseen"> (opens elsewhere)</span></a>`;
  }
  const real = href && line(href, LONGEST) !== line(text, LONGEST) ? href : null;
  return html`<span class="no-link"><bdi dir="ltr" class="mono">${defanged(text, LONGEST)}</bdi>
    ${real && html`<span class="faint">really <bdi dir="ltr" class="mono">${defanged(real, LONGEST)}</bdi></span>`}
    <span class="warning">not a link: ${warning}</span> <${Copy} of=${text} what="the address as it is" /></span>`;
}

/** The host is what one looks at. */
function Address({ of, host }) {
  const shown = line(of, LONGEST);
  const at = shown.indexOf(host);
  return html`<bdi dir="ltr" class="mono">${shown.slice(0, at)}<b>${host}</b>${shown.slice(at + host.length)}</bdi>`;
}

/** The record as the API has it. */
export function Raw({ threat }) {
  const { explanation, desk, ...record } = threat;
  const text = useMemo(() => JSON.stringify(record, null, 2), [threat]);
  const isHiding = useMemo(() => shown(text, Infinity) !== text, [text]);
  return html`<p><${Copy} of=${text} what="the record"/> <span class="faint">as of ${record.as_of}${isHiding
      && "; characters that cannot be seen are named, as ‹202E›: what is copied has them"}</span></p>
    <div class="long pieces raw">${piecesOf(text).map((one, at) => html`<${Block} key=${at} of=${one} />`)}</div>`;
}

const FIRST_TEXT = 1200;
const FIRST_LINES = 10;
const PIECE = 4000;

/** Cuts a text where a line ends, else at a blank, else anywhere but within a character. */
function piecesOf(text, size = PIECE) {
  const found = [];
  let from = 0;
  while (text.length - from > size) {
    const part = text.slice(from, from + size);
    const at = Math.max(part.lastIndexOf("\n"), part.lastIndexOf(" "));
    const high = /[\uD800-\uDBFF]$/.test(part) ? size - 1 : size;
    const end = at > size / 2 ? at + 1 : high;
    found.push(text.slice(from, from + end).replace(/\n$/, ""));
    from += end;
  }
  return [...found, text.slice(from)];
}

function startOf(text, size, lines) {
  const [start] = piecesOf(text, size);
  return start.split("\n").slice(0, lines).join("\n");
}

/** Content of others, its beginning first. */
export function LongText({ of, first = FIRST_TEXT, lines = FIRST_LINES }) {
  const start = startOf(of, first, lines);
  const isLong = start.length * 1.25 < of.length;
  const [isWhole, set] = useState(!isLong);
  const pieces = isWhole ? piecesOf(of) : [`${start} …`];
  return html`<div class=${pieces.length > 1 ? "long pieces" : "long"}>${pieces.map((one, at) => html`<${Block} key=${at} of=${one} />`)}
    ${!isWhole && html`<button type="button" class="small" onClick=${() => set(true)}>Show all, ${bytes(new Blob([of]).size)}</button>`}
    ${isWhole && isLong && html`<button type="button" class="small" onClick=${() => set(false)}>Show less</button>`}</div>`;
}

// What can be done with the threat that is open: by a press as well as by a key.

const ASKED = new Set(["decide", "snooze", "comment"]);
const HOLDERS = new Set(["dismiss", "decide", "snooze"]); // refused while somebody else has it
const OF_OPEN = (head) => head.status !== "closed" || head.level > 1; // what is known comes back to work by it
const DEEDS = [
  ["escalate", "Escalate", "e", OF_OPEN],
  ["dismiss", "Dismiss", "d", (head) => OF_OPEN(head) && head.status !== "dismissed"],
  ["monitor", "Monitor", "m", OF_OPEN],
  ["investigate", "Investigate", "i", OF_OPEN],
  ["decide", "Outcome", "o", () => true],
  ["snooze", "Snooze", "s", OF_OPEN],
  ["comment", "Comment", "w", () => true],
  ["reopen", "Reopen", "O", (head) => head.status !== "open"],
  ["recall", "Recall", "R", (head) => head.level > 1],
];

/** Says who else has it claimed now; null: nobody else. */
function otherOf(head) {
  return head.holder && head.holder_until_ms > now() && head.holder !== analyst.value ? head.holder : null;
}

const isMine = (head) => head.holder === analyst.value && head.holder_until_ms > now();

/** What becomes of the claim with a press: [act, fields, words, key]; null in level 2 and 3. */
function claimOf(head) {
  if (head.level > 1) return null;
  if (isMine(head)) return ["release", {}, "Release", "L"];
  return otherOf(head) ? ["claim", { take_over: true }, "Take over", "C"] : ["claim", {}, "Claim", "c"];
}

export function Deeds({ head }) {
  tick.value; // a claim ends by itself
  const box = useRef(null);
  const id = head.threat_id;
  const other = otherOf(head);
  const claim = claimOf(head);
  useCommands(id, head);
  useFocusKept(box);
  const press = (name, fields) => () => {
    if (busy.value.has(id)) return;
    if (ASKED.has(name)) choose(name, [id]);
    else perform(name, [id], fields);
  };
  const one = (key, name, fields, text, letter, refused) => html`<button type="button" key=${key}
    aria-disabled=${busy.value.has(id) || refused} title=${refused ? "Somebody else has it claimed" : null}
    onClick=${refused ? null : press(name, fields)}>${text}${letter && html` <kbd aria-hidden="true">${letter}</kbd>`}</button>`;
  return html`<div class="deeds" ref=${box} role="group" aria-label="Acts">
    ${claim && one("claim", ...claim, false)}
    ${DEEDS.filter(([, , , fits]) => fits(head)).map(([name, text, letter]) => one(name, name, {}, text, letter, other !== null && HOLDERS.has(name)))}
    ${may("admin") && html`<button type="button" onClick=${() => suppress(head)}>Suppress like this…</button>`}
  </div>`;
}

/** A rule begun from it: of its source, and by its first indicator or else its title. */
function suppress(head) {
  const indicator = (head.metadata ? indicatorsOf(head)[0] : head.indicator)?.value;
  go("suppressions", { new: 1, source: head.source, ...(indicator ? { indicator } : { title: head.title }) });
}

/** What has no key of its own is found by its name. */
function useCommands(id, head) {
  const now = useRef(head);
  now.current = head;
  useEffect(() => bind("Claim", [
    { keys: [], label: "Suppress what is like the threat that is open…", run: () => suppress(now.current), when: () => may("admin") },
    { keys: ["L"], label: "Release the threat that is open", run: () => perform("release", [id]), when: () => isMine(now.current) },
    { keys: [], label: "Take the threat over that is open", run: () => perform("claim", [id], { take_over: true }),
      when: () => now.current.level === 1 && otherOf(now.current) !== null },
  ]), [id]);
}

/** An act that cannot be done twice takes its button away, but not the focus. */
function useFocusKept(box) {
  const had = useRef(false);
  useLayoutEffect(() => {
    if (had.current && document.activeElement === document.body) box.current.querySelector("button")?.focus();
    had.current = box.current.contains(document.activeElement);
  });
}
