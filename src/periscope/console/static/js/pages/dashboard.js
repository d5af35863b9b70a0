// The dashboard: how the work stands, and how it went. Each number leads to the list that it counts.

import { get } from "../core/api.js";
import { now, sync, tick } from "../core/clock.js";
import { moment } from "../core/format.js";
import { bind } from "../core/keys.js";
import { change, hrefOf, params } from "../core/route.js";
import { line } from "../core/text.js";
import { batch, html, signal, useEffect, useLayoutEffect, useMemo } from "../html.js";
import { listen } from "../live/live.js";
import { Flow, Funnel, Ledger, Oldest, Open, RANGES, Scores, Sources, Store, TIMELINE_S, Times } from "./dashboard-cards.js";
import { Trouble } from "../ui/parts.js";

// What the dashboard reads, and how often: soon after something happened, else now and then; never while the page is hidden.

const SOON_MS = 5000;
const LATE_MS = 15_000;
const KPIS_SOON_MS = 30_000; // each reads every threat: dear where there are many,
const SHARE = 20; // so the service is at it for a twentieth of the time at most
const SAMPLE_MS = 60_000;
const SETTLED_MS = 1500; // a sample is there so soon after its minute has begun
const REFUSED = 403;

/** One thing to read: its `value` and why there is no newer one. `pace` says {soon, late} in milliseconds. */
class Reading {
  constructor(read, pace, until) {
    this.until = until;
    this.read = read;
    this.pace = pace;
    this.value = signal(null);
    this.problem = signal(null);
    this.isDirty = true;
    this.began = -Infinity;
    this.took = 0;
    this.busy = false;
    this.round = 0;
  }

  /** Forgets what it was of, and what is still on the way. */
  reset() {
    Object.assign(this, { isDirty: true, began: -Infinity, took: 0, busy: false, round: this.round + 1 });
    this.value.value = null;
    this.problem.value = null;
  }

  /** Reads if it is time to. */
  turn() {
    const { soon, late } = this.pace(this);
    const wait = this.problem.value?.retryAfterMs ?? (this.isDirty ? soon : late);
    if (!this.busy && this.problem.value?.status !== REFUSED && performance.now() - this.began >= wait) this.look();
  }

  async look() {
    Object.assign(this, { busy: true, isDirty: false, began: performance.now(), round: this.round + 1 });
    const { round } = this;
    const told = await this.read(this.until).then((value) => ({ value, problem: null }), (problem) => ({ problem }));
    if (round !== this.round || told.problem?.name === "AbortError") return;
    this.took = performance.now() - this.began;
    this.busy = false;
    batch(() => {
      if (told.value) this.value.value = told.value;
      this.problem.value = told.problem;
    });
  }
}

/** All that the dashboard shows; `end()` when it is no longer shown. */
class Figures {
  constructor() {
    this.for_s = TIMELINE_S;
    this.ending = new AbortController();
    const calm = () => ({ soon: SOON_MS, late: LATE_MS });
    const dear = ({ took }) => ({ soon: Math.max(KPIS_SOON_MS, SHARE * took), late: Math.max(4 * KPIS_SOON_MS, SHARE * took) });
    const reading = (what, pace) => new Reading(what, pace, this.ending.signal);
    this.stats = reading((until) => read("/v1/stats", {}, until), calm);
    this.board = reading((until) => read("/v1/board", {}, until), calm);
    this.timeline = reading((until) => this.samples(until), () => this.sampling());
    this.kpis = reading((until) => read("/v1/kpis", { for_s: this.for_s }, until), dear);
    this.all = [this.stats, this.board, this.timeline, this.kpis];
    this.deaf = [listen(() => this.heard()), tick.subscribe(() => queueMicrotask(() => this.turn()))];
  }

  /** Looks back so far from now on. The timeline is there whole; the key figures are read anew. */
  range({ for_s }) {
    if (for_s !== this.for_s) this.kpis.reset();
    this.for_s = for_s;
    this.turn();
  }

  /** Something happened: what it may have changed is read soon. Samples come by the minute, whatever happens. */
  heard() {
    for (const one of [this.stats, this.board, this.kpis]) one.isDirty = true;
  }

  turn() {
    if (document.visibilityState !== "visible" || this.ending.signal.aborted) return;
    for (const one of this.all) one.turn();
  }

  /** Reads all anew, now. */
  again() {
    for (const one of this.all) {
      if (!one.busy) one.look();
    }
  }

  /** When the next sample must be there. */
  sampling() {
    const last = this.timeline.value.value?.samples.at(-1)?.at_ms;
    if (last === undefined || this.timeline.problem.value) return { soon: SOON_MS, late: SOON_MS };
    const next = Math.floor(last / SAMPLE_MS) * SAMPLE_MS + SAMPLE_MS + SETTLED_MS;
    return now() >= next ? { soon: SOON_MS, late: SOON_MS } : { soon: SAMPLE_MS, late: SAMPLE_MS };
  }

  /** Reads what has been sampled since the last time, and puts it behind what there is. */
  async samples(until) {
    const had = this.timeline.value.value;
    const last = had?.samples.at(-1);
    const missing = last ? Math.ceil((now() - last.at_ms) / 1000) + 60 : TIMELINE_S;
    const told = await read("/v1/timeline", { for_s: Math.min(TIMELINE_S, missing) }, until);
    if (!last || missing >= TIMELINE_S) return told;
    const from = told.until_ms - TIMELINE_S * 1000;
    const first = told.samples[0]?.at_ms ?? told.until_ms;
    const kept = had.samples.filter((one) => one.at_ms >= from && one.at_ms < first);
    return { ...told, since_ms: from, samples: [...kept, ...told.samples] };
  }

  end() {
    this.ending.abort();
    for (const one of this.deaf) one();
  }
}

async function read(path, query, until) {
  const told = await get(path, query, { until });
  if (told.as_of_ms) sync(told.as_of_ms);
  return told;
}

const FIRST = "24h";

export default function Dashboard() {
  const name = Object.hasOwn(RANGES, params.value.for ?? "") ? params.value.for : FIRST;
  const range = RANGES[name];
  const figures = useMemo(() => new Figures(), []);
  useLayoutEffect(() => figures.range(range), [name]);
  useEffect(() => () => figures.end(), []);
  useEffect(() => bind("Dashboard", commands(figures)), [figures]);
  const barred = figures.all.map((one) => one.problem.value).find((problem) => problem?.status === REFUSED);
  return html`<div class="page dash">
    <header><h1>Dashboard</h1><${AsOf} figures=${figures} /><${Ranges} name=${name} /></header>
    ${barred ? html`<${Barred} why=${barred.message} />` : html`<div class="figures">
      <div><${Card} title="Oldest unseen" of=${figures.board}><${Oldest} figures=${figures} /><//>
        <${Card} title="Scores of what is open" of=${figures.board}><${Scores} figures=${figures} /><//>
        <${Card} title="Levels" of=${figures.stats}><${Funnel} figures=${figures} /><//>
        <${Card} title="Ledger" of=${figures.stats}><${Ledger} figures=${figures} /><//>
        <${Card} title="Store" of=${figures.stats}><${Store} figures=${figures} /><//></div>
      <div><${Card} title="Queue by severity" of=${figures.timeline}><${Open} figures=${figures} range=${range} /><//>
        <${Card} title="In and out, per minute" of=${range.for_s > TIMELINE_S ? figures.kpis : figures.timeline}>
          <${Flow} figures=${figures} range=${range} /><//>
        <${Card} title="Time to …" of=${figures.kpis}><${Times} figures=${figures} name=${name} /><//>
        <${Card} title="Outcomes by source" of=${figures.kpis}><${Sources} figures=${figures} range=${range} /><//></div>
    </div>`}
  </div>`;
}

const commands = (figures) => [
  ...Object.entries(RANGES).map(([name, one], at) => ({ keys: [String(at + 1)], label: `Show ${one.words}`, run: () => setRange(name) })),
  { keys: ["r"], label: "Read all anew", run: () => figures.again() },
];

const setRange = (name) => change({ for: name === FIRST ? null : name });

function Ranges({ name }) {
  return html`<fieldset class="ranges"><legend class="unseen">How far back</legend>${Object.entries(RANGES).map(([key, one]) => html`<label key=${key}
    title=${one.words}><input type="radio" class="unseen" name="range" checked=${key === name} aria-label=${one.words}
      onChange=${() => setRange(key)} />${one.label}</label>`)}</fieldset>`;
}

function AsOf({ figures }) {
  const at = figures.stats.value.value?.as_of_ms;
  return html`<span class="faint as-of">${at ? `as of ${moment(at).slice(11)}` : ""}</span>`;
}

/** Whoever sees some of the threats only is shown no counts of all. */
function Barred({ why }) {
  return html`<section class="card" aria-labelledby="barred"><h2 id="barred">These figures are not for you</h2><p>${line(why)}</p>
    <p>What you may see is in <a href=${hrefOf("queue")}>the queue</a>.</p></section>`;
}

/** A card; its content once what it is made `of` has come, or why that did not. */
function Card({ title, of, children }) {
  const id = `card-${title.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  const problem = of.problem.value;
  const isThere = of.value.value !== null;
  return html`<section class="card" aria-labelledby=${id}><h2 id=${id}>${title}</h2>
    ${isThere && children}
    ${!isThere && !problem && html`<p class="faint" aria-busy="true">Reading …</p>`}
    ${problem && isThere && html`<p class="wrong">Not read anew: ${line(problem.message)}</p>`}
    ${problem && !isThere && html`<${Trouble} problem=${problem} onAgain=${() => of.look()} />`}
  </section>`;
}
