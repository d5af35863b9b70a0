// Why a threat stands where it does, what becomes of that by itself, and what is missing for more.

import { threatPath } from "../core/api.js";
import { now, tick } from "../core/clock.js";
import { count, LEVELS, moment, OUTCOMES, share, span, words } from "../core/format.js";
import { confidence, policy, score, terms } from "../core/score.js";
import { analyst } from "../core/session.js";
import { defanged } from "../core/text.js";
import { html, useState } from "../html.js";
import { headOf, panel, said, useRead } from "./panel.js";
import { LongText } from "./report.js";
import { Severity, Text, Trouble, When } from "../ui/parts.js";

// A small curve of a value from 0 to 1, with what it is measured against.

const percent = (value) => `${(value * 100).toFixed(2)}%`;

/**
 * `values` at equal distances; `levels` [{at, text}] from 0 to 1 are lines across, `uprights` lines at
 * a share of the width; `ends` stand below; `told` says it all in words.
 */
export function Curve({ values, levels = [], uprights = [], ends, told }) {
  const points = values.map((value, at) => `${((at / (values.length - 1)) * 100).toFixed(2)},${(100 - Math.min(1, value) * 100).toFixed(2)}`);
  return html`<figure class="curve"><div role="img" aria-label=${told}>
    <svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
      <path class="area" d=${`M0,100 L${points.join(" ")} L100,100 Z`} />
      ${levels.map((one) => html`<line class="level" key=${one.text} x1="0" x2="100" y1=${100 - one.at * 100} y2=${100 - one.at * 100} />`)}
      ${uprights.map((one) => html`<line class="upright" key=${one.text} y1="0" y2="100" x1=${one.at * 100} x2=${one.at * 100} />`)}
      <polyline points=${points.join(" ")} />
    </svg>
    ${levels.map((one) => html`<span class="at-level" key=${one.text} style=${{ bottom: percent(one.at) }}>${one.text}</span>`)}
    ${uprights.map((one) => html`<span class="at-upright" key=${one.text} data-late=${one.at > 0.6} style=${{ left: percent(one.at) }}>${one.text}</span>`)}
    </div><figcaption aria-hidden="true">${ends.map((one) => html`<span key=${one}>${one}</span>`)}</figcaption></figure>`;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const STEPS = 60;
const DAYS = 90;

/** The score, or the confidence, in a word: it is drawn anew as it falls. */
export const sumOf = (threat) => html`<${Sum} threat=${threat} />`;

function Sum({ threat }) {
  tick.value;
  return share(threat.level > 1 ? confidence(policy.value, threat, now()) : score(policy.value, threat, now()));
}

export function Explained({ threat }) {
  tick.value;
  const rules = policy.value;
  if (!rules) return html`<p class="faint">The policy by which scores are reckoned has not come yet.</p>`;
  const at = now();
  return html`<div class="explained">
    ${threat.level > 1 && html`<${Confidence} rules=${rules} threat=${threat} at=${at} />`}
    ${threat.level > 1 && html`<h4>Score, were it at work</h4>`}
    <${Stack} rules=${rules} threat=${threat} at=${at} />
    ${threat.level === 1 && html`<${NextHour} rules=${rules} threat=${threat} at=${at} />`}
    ${threat.level < 3 && html`<${Needs} title=${threat.level === 1 ? "Promotion to short-term" : "Promotion to long-term"}
      needs=${threat.level === 1 ? workNeeds(rules, threat, score(rules, threat, at), at) : knowledgeNeeds(rules, threat)} />`}
  </div>`;
}

const upTo = (many, cap) => (many > cap ? `${many}, counts to ${cap}` : `${many} of ${cap}`);
const INPUTS = {
  severity: (threat) => threat.severity,
  interactions: (threat, rules) => upTo(threat.interactions, rules.interactions_cap),
  escalations: (threat, rules) => upTo(threat.escalations, rules.escalations_cap),
  recency: (threat, rules, at) => `active ${span(at - threat.last_activity_ms)} ago`,
};

function Stack({ rules, threat, at }) {
  const all = terms(rules, threat, at);
  const sum = score(rules, threat, at);
  const letter = (one) => one.name[0].toUpperCase();
  return html`<div class="stack" aria-hidden="true">${all.map((one) => html`<span key=${one.name} data-term=${one.name}
      style=${{ width: `${(one.value * 100).toFixed(2)}%` }}>${one.value > 0.025 && letter(one)}</span>`)}
      <i style=${{ left: `${rules.promote_score * 100}%` }}></i></div>
    <table class="terms"><thead><tr><th scope="col">Term</th><th scope="col">Input</th><th scope="col" class="number">Weight × factor</th>
      <th scope="col" class="number">Adds</th></tr></thead>
    <tbody>${all.map((one) => html`<tr key=${one.name}>
      <th scope="row"><span class="swatch" data-term=${one.name} aria-hidden="true">${letter(one)}</span>${one.name}</th>
      <td>${INPUTS[one.name](threat, rules, at)}</td><td class="number">${share(one.weight)} × ${share(one.factor)}</td>
      <td class="number">${share(one.value)}</td></tr>`)}</tbody>
    <tfoot><tr><th scope="row" colspan="3">Score now</th><td class="number"><b>${sum.toFixed(3)}</b></td></tr></tfoot></table>`;
}

function NextHour({ rules, threat, at }) {
  const values = Array.from({ length: STEPS + 1 }, (_, step) => score(rules, threat, at + (step * HOUR_MS) / STEPS));
  const ahead = threat.due_ms - at;
  const isDue = !threat.interactions && ahead > 0 && ahead < HOUR_MS;
  const target = threat.interactions ? "" : ` Response target ${ahead > 0 ? `in ${span(ahead)}` : `passed ${span(ahead)} ago`}.`;
  const told = `Score over the next hour if nothing is done: ${share(values[0])} now, ${share(values[15])} in 15 minutes, `
    + `${share(values[30])} in 30, ${share(values[60])} in 60. Promotion from ${share(rules.promote_score)} on.${target}`;
  return html`<h4>The next hour <span class="faint">if nothing is done</span></h4>
    <${Curve} values=${values} told=${told} levels=${[{ at: rules.promote_score, text: `promotion ${share(rules.promote_score)}` }]}
      uprights=${isDue ? [{ at: ahead / HOUR_MS, text: `target ${moment(threat.due_ms).slice(11, 16)}` }] : []}
      ends=${[`now ${share(values[0])}`, `+30 min ${share(values[30])}`, `+60 min ${share(values[60])}`]} />
    ${target && !isDue && html`<p class="faint">${target.trim()}</p>`}`;
}

/** Until it leaves by age; for 90 days where it does not. */
function Confidence({ rules, threat, at }) {
  const falls = threat.level === 3 && !threat.protected;
  const ttl = threat.level === 2 ? rules.short_term_ttl_ms : falls ? rules.long_term_ttl_ms : null;
  const leaves = ttl === null ? null : threat.entered_ms + ttl;
  const ahead = leaves === null ? DAYS * DAY_MS : Math.max(DAY_MS, leaves - at);
  const values = Array.from({ length: STEPS + 1 }, (_, step) => confidence(rules, threat, at + (step * ahead) / STEPS));
  const [first, middle, last] = [values[0], values[STEPS / 2], values[STEPS]].map(share);
  const [half, all] = [span(ahead / 2), span(ahead)];
  const why = whyOf(rules, threat, falls);
  const end = leaves === null ? "" : ", when it leaves unless something happens";
  const told = `Confidence: ${first} now, ${middle} in ${half}, ${last} in ${all}${end}. ${why}`;
  const [level, name] = threat.level === 2 ? [rules.long_term_confidence, "long-term"] : [rules.decay_floor, "least"];
  return html`<p>Confidence <b>${values[0].toFixed(3)}</b>, on entry ${share(threat.entry_confidence)} (<${When} ms=${threat.entered_ms} />). ${why}
      ${leaves !== null && html` It leaves <${When} ms=${leaves} /> unless something happens.`}</p>
    <${Curve} values=${values} told=${told} levels=${[{ at: level, text: `${name} ${share(level)}` }]}
      ends=${[`now ${first}`, `+${half} ${middle}`, `${leaves === null ? "" : "leaves "}+${all} ${last}`]} />`;
}

function whyOf(rules, threat, falls) {
  if (threat.level === 2) return "In level 2 confidence does not decay.";
  if (falls) {
    const daily = ((1 - rules.decay_per_day) * 100).toFixed(1);
    return `It is not protected: it falls by ${daily} % a day, to ${share(rules.decay_floor)} at the least.`;
  }
  return `It does not decay: it is ${threat.validated ? "validated" : `consolidated ×${threat.consolidations}`}.`;
}

function Needs({ title, needs }) {
  return html`<h4>${title}</h4><ul class="needs">${needs.map(([isMet, text]) => html`<li key=${text} data-met=${isMet}>
    <span aria-hidden="true">${isMet ? "✓" : "·"}</span><span class="unseen">${isMet ? "there: " : "missing: "}</span> ${text}</li>`)}</ul>`;
}

const plural = (value, one) => `${value} ${value === 1 ? one : `${one}s`}`;

/** What a promotion from level 1 to 2 takes: [whether it is there (null: who knows), what]. */
function workNeeds(rules, threat, score, at) {
  if (threat.latched) return [[true, `eligible: it is promoted ${isHeld(threat, at) ? "once it is released" : "within a minute"}`]];
  const grave = ["CRITICAL", "HIGH"].includes(threat.severity);
  const needs = [
    scoreNeed(rules, score),
    [threat.analysts >= rules.promote_analysts, analystsNeed(rules, threat)],
    [grave || threat.escalations >= rules.promote_escalations, grave
      ? `severity ${threat.severity}, so no number of escalations is asked`
      : `${threat.escalations} of ${plural(rules.promote_escalations, "escalation")}, or severity HIGH or CRITICAL`],
  ];
  if (threat.status !== "open") needs.push([false, `it is ${threat.status}: only what is open is promoted`]);
  if (threat.home > 1) needs.push([null, "it was recalled: one more escalation since then is asked"]);
  needs.push([null, "a true positive as outcome promotes it at once"]);
  return needs;
}

const isHeld = (threat, at) => (threat.desk.claim?.until_ms ?? 0) > at;

function scoreNeed(rules, score) {
  const short = rules.promote_score - score;
  if (short <= 0) return [true, `score ${share(score)}, of ${share(rules.promote_score)}: an act while it is there decides`];
  return [false, `score ${share(score)}: ${short < 0.01 ? "just" : share(short)} short of ${share(rules.promote_score)}`];
}

function analystsNeed(rules, threat) {
  return `${threat.analysts} of ${plural(rules.promote_analysts, "analyst")} with an interaction`;
}

/** The same from level 2 to 3. */
function knowledgeNeeds(rules, threat) {
  const told = threat.withdrawn
    ? "validation was withdrawn by an outcome"
    : `validated by ${threat.escalations} of ${plural(rules.validated_escalations, "escalation")}`;
  return [
    [threat.confidence >= rules.long_term_confidence, `confidence ${share(threat.confidence)} of ${share(rules.long_term_confidence)}`],
    [threat.consolidations >= rules.long_term_consolidations, `consolidated ${threat.consolidations} of ${plural(rules.long_term_consolidations, "time")}`],
    [threat.validated, told],
  ];
}

// What became of a threat, in all levels: acts and departures, with their notes in full.

const FIRST = 100;
const MORE = 1000;
const MOST_DRAWN = 60;
const MOST_ANALYSTS = 30;
const COUNTS = ["interactions", "escalations", "dismissals", "views"];
const REASONS = { expired_seen: "left by age", expired_unseen: "left by age, never looked at", removed: "was removed" };

/** `threat` is null for one that has left. */
export function History({ id, stamp, threat = null }) {
  const [limit, setLimit] = useState(FIRST);
  const { data, problem, again } = useRead(threatPath(id, "/history"), { limit }, stamp);
  if (problem?.status === 404) return html`<p class="faint">Nothing is on record of this id.</p>`;
  if (problem && !data) return html`<${Trouble} problem=${problem} onAgain=${again} />`;
  if (!data) return html`<p class="loading">Reading the history…</p>`;
  return html`${problem && html`<${Trouble} problem=${problem} onAgain=${again} />`}
    <${Entries} all=${data.items} threat=${threat} isCut=${data.items.length >= limit} onMore=${limit < MORE && (() => setLimit(MORE))} />`;
}

function Entries({ all, threat, isCut, onMore }) {
  const [isOldFirst, setOldFirst] = useState(false);
  const [withViews, setViews] = useState(false);
  const [most, setMost] = useState(MOST_DRAWN);
  const [held, release] = useHeld(all, isOldFirst);
  const views = held.filter((one) => one.action === "view").length;
  const back = new Set(all.filter((one) => one.action === "undo").map((one) => one.request_id));
  const chosen = held.filter((one) => withViews || one.action !== "view");
  const ordered = isOldFirst ? chosen : chosen.toReversed();
  const fresh = all.length - held.length;
  const press = (text, onClick, more = {}) => html`<button type="button" class="small" onClick=${onClick} ...${more}>${text}</button>`;
  const standing = threat && html`<${Standing} threat=${threat} />`;
  return html`<div class="choices-line">
      ${press(`${isOldFirst ? "Oldest first" : "Newest first"} ⇅`, () => setOldFirst(!isOldFirst))}
      ${views > 0 && press(`${count(views)} ${views === 1 ? "view" : "views"}`, () => setViews(!withViews), { "aria-pressed": withViews })}
      ${fresh > 0 && press(`${count(fresh)} new: show`, release, { class: "small fresh" })}</div>
    ${!isOldFirst && standing}
    <ol class="history">${ordered.slice(0, most).map((one) => html`<${Entry} key=${entryOf(one)} of=${one}
      isBack=${back.has(one.request_id) && one.action !== "undo"} />`)}</ol>
    ${ordered.length > most && press(`Show more of ${count(ordered.length - most)}`, () => setMost(most + MOST_DRAWN))}
    ${isOldFirst && standing}
    ${!ordered.length && html`<p class="faint">${views ? "It was only looked at." : "Nothing was done to it yet."}</p>`}
    ${isCut && html`<p class="faint">Only the newest ${count(all.length)} are read. ${onMore && press(`Read ${count(MORE)}`, onMore)}</p>`}`;
}

/** With the newest first, what others do meanwhile does not push away what one reads. */
function useHeld(all, isOldFirst) {
  const [upTo, set] = useState(() => entryOf(all.at(-1)));
  const at = all.findLastIndex((one) => entryOf(one) === upTo);
  const later = all.slice(at + 1);
  const isOwn = later.at(-1)?.analyst_id === analyst.value;
  if (isOldFirst || at < 0 || !later.length || isOwn) {
    if (entryOf(all.at(-1)) !== upTo) set(entryOf(all.at(-1)));
    return [all, () => {}];
  }
  return [all.slice(0, at + 1), () => set(entryOf(all.at(-1)))];
}

const entryOf = (one) => one && (one.entry ?? `left ${one.departed_at_ms}`);

function Standing({ threat }) {
  if (threat.level === 1) return null;
  return html`<p class="standing">Came to ${LEVELS[threat.level]} (level ${threat.level}) <${When} ms=${threat.entered_ms} />,
    confidence ${share(threat.entry_confidence)}</p>`;
}

function Entry({ of, isBack }) {
  if (of.kind === "departure") return html`<${Departure} of=${of} />`;
  return html`<li data-back=${isBack}><div><b>${said(of.action)}</b> by <${Text} of=${of.analyst_id || "–"} most=${80} />
      ${isBack && html` <span class="tag">taken back</span>`}<span class="when"><${When} ms=${of.at_ms} /></span></div>
    ${of.erased ? html`<p class="faint">What was said was erased.</p>` : html`<${Detail} of=${of.detail} />`}</li>`;
}

const KNOWN = new Set(["note", "comment", "outcome", "duplicate_of", "until", "until_ms", "undone", "from"]);

function Detail({ of }) {
  if (of === null || of === undefined) return null;
  if (typeof of !== "object") return html`<${Note} of=${of} />`;
  const outcome = OUTCOMES.find(([name]) => name === of.outcome)?.[1] ?? words(of.outcome);
  const more = Object.entries(of).filter(([name, value]) => !KNOWN.has(name) && value !== null);
  return html`<div class="detail">
    ${of.outcome && html`<p>${outcome}${of.duplicate_of && html` of <${Text} of=${of.duplicate_of} most=${2048} class="id" />`}</p>`}
    ${of.until_ms && html`<p>until <${When} ms=${of.until_ms} /></p>`}
    ${of.undone && html`<p>${said(of.undone)}</p>`}
    ${of.from && html`<p>from <${Text} of=${of.from} most=${80} /></p>`}
    ${more.length > 0 && html`<p class="mono">${more.map(([name, value]) => html`<${Text} of=${`${name}: ${JSON.stringify(value)}`} /> `)}</p>`}
    ${[of.comment, of.note].filter((one) => typeof one === "string" && one).map((one, at) => html`<${Note} key=${at} of=${one} />`)}</div>`;
}

/** A note of up to 16 KiB stands there whole. */
const Note = ({ of }) => html`<div class="note"><${LongText} of=${String(of)} first=${20_000} lines=${Infinity} /></div>`;

function Departure({ of }) {
  const counts = COUNTS.filter((name) => of[name]).map((name) => `, ${count(of[name])} ${name}`);
  const outcome = of.outcome ? `, ${words(of.outcome)}` : "";
  return html`<li class="departure"><div><b>${REASONS[of.reason] ?? words(of.reason)}</b>
      ${of.actor && html` by <${Text} of=${of.actor} most=${80} />`}
      <span class="when"><${When} ms=${of.departed_at_ms} /></span></div>
    <p class="faint">out of level ${of.level}, severity ${of.severity.toLowerCase()}${outcome}${counts.join("")};
      first seen <${When} ms=${of.first_seen_ms} /></p>
    ${of.note && html`<${Note} of=${of.note} />`}</li>`;
}

/** Who did what last, and who has it. */
export function AtWork({ desk }) {
  if (desk.acts.every((one) => one.analyst_id === analyst.value)) return html`<p class="faint">Nobody else yet.</p>`;
  return html`<table class="hands"><thead><tr><th scope="col">Analyst</th><th scope="col">Last</th><th scope="col">When</th>
      <th scope="col" class="number">Acts</th></tr></thead>
    <tbody>${desk.acts.slice(0, MOST_ANALYSTS).map((one) => html`<tr key=${one.analyst_id}>
      <td><${Text} of=${one.analyst_id} most=${80} />${one.analyst_id === analyst.value && html` <span class="faint">you</span>`}${
        one.analyst_id === desk.claim?.analyst_id && html` <span class="tag">has it</span>`}</td>
      <td>${said(one.action)}</td><td><${When} ms=${one.at_ms} brief /></td><td class="number">${count(one.interactions)}</td></tr>`)}</tbody></table>
    ${desk.acts.length > MOST_ANALYSTS && html`<p class="faint">The latest ${MOST_ANALYSTS} of ${count(desk.acts.length)}.</p>`}`;
}

// What shares an indicator or the content with a threat; it opens in its place, with a way back.

const MOST = 20;
const MOST_SHARED = 4;

export function Similar({ id }) {
  const { data, problem, again } = useRead(threatPath(id, "/similar"), { limit: MOST });
  if (problem?.type === "index-off") return html`<p class="faint">This service keeps no index of what reports share.</p>`;
  if (problem) return html`<${Trouble} problem=${problem} onAgain=${again} />`;
  if (!data) return html`<p class="loading">Looking for what is alike…</p>`;
  if (!data.items.length) return html`<p class="faint">Nothing shares an indicator or the content with it.</p>`;
  return html`<ul class="similar">${data.items.map((one) => html`<li key=${one.threat.threat_id}><${One} of=${one} /></li>`)}</ul>
    <p class="faint">${data.items.length === MOST && `The ${MOST} most alike. `}<button type="button" class="small" onClick=${again}>Look again</button></p>`;
}

function One({ of: { threat, indicators, same_content: isSame } }) {
  const { title, status, level, score, confidence } = headOf({ ...threat, desk: { claim: null } });
  return html`<button type="button" onClick=${() => panel.aside(threat.threat_id)}>
    <${Severity} of=${threat.severity} /><span><${Text} of=${title || threat.threat_id} most=${160} />
      <span class="why">${likeness(indicators, isSame)}</span></span>
    <span class="faint">${level > 1 ? LEVELS[level] : status}<br />${share(level > 1 ? confidence : score)}</span></button>`;
}

function likeness(indicators, isSame) {
  const shared = indicators.slice(0, MOST_SHARED).map((one) => defanged(one.replace(":", " "), 80));
  const more = indicators.length - shared.length;
  return [isSame && "same content", ...shared, more > 0 && `${more} more`].filter(Boolean).join(" · ");
}
