// Lines over time: the one place that knows uPlot, which is fetched when a chart is first drawn. Each line is told by
// its dashes and its letter as well as by its colour, and what is drawn can be read as a table.

import { html, useEffect, useLayoutEffect, useRef, useState } from "../html.js";
import { brief, moment } from "../core/format.js";
import { theme } from "../core/prefs.js";

const SECOND_MS = 1000;
const AXIS = 44; // of the values: always as wide, so that nothing jumps
const FOOT = 26;
const MARK = 26; // beside the lines' ends, for their letters
const CLOSE = 12; // letters are put at least so far apart
const WHOLE = Array.from({ length: 12 }, (_, at) => [1, 2, 5].map((one) => one * 10 ** at)).flat();
const MINUTES = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880].map((one) => one * 60);
const TONES = ["--text", "--faint", "--line", "--strong-line"];
const DARK = matchMedia("(prefers-color-scheme: dark)");

/**
 * `times` in milliseconds, rising; `series` [{name, mark, tone, dash, values, latest?, href?}]: `values` as many as `times`,
 * null where there is none; `latest` is what it is just now, if that is known better; `tone` a colour token; `mark` a
 * letter or two. `write(value)` makes text of a value. `label` names the chart, `unit` says what is counted; the scale
 * reaches `least` at least.
 */
export function Chart({ label, unit, times, series, write, least = 4, height = 180 }) {
  const place = useRef(null);
  const plot = useRef(null);
  const [at, setAt] = useState(null); // which moment the pointer is on
  const [problem, setProblem] = useState(null);
  useLayoutEffect(() => {
    const one = new Plot(place.current, { series, least, height, onMoment: setAt });
    plot.current = one;
    one.begin().catch(() => setProblem("The drawing could not be fetched; the table has it all."));
    return () => one.end();
  }, [series.length, height]);
  useLayoutEffect(() => { plot.current?.show(times, series); }, [times, series]);
  useEffect(() => theme.subscribe(() => plot.current?.repaint()), []);
  const shown = at !== null && at < times.length ? at : null;
  return html`<figure class="chart" aria-label=${label}>
    <${Legend} series=${series} at=${shown} write=${write} when=${shown === null ? "latest" : moment(times[shown]).slice(5, 16)} />
    <div class="plot" ref=${place} style=${{ height: `${height}px` }} aria-hidden="true"></div>
    ${problem && html`<p class="faint">${problem}</p>`}
    <${Values} label=${label} unit=${unit} times=${times} series=${series} write=${write} />
  </figure>`;
}

/** What each line is, and how much it is at a moment; null: just now. */
function Legend({ series, at, write, when }) {
  return html`<figcaption class="legend">${series.map((one) => {
    const inside = html`<svg viewBox="0 0 26 8" aria-hidden="true" style=${{ stroke: `var(${one.tone})` }}><path d="M1 4h24"
      stroke-dasharray=${one.dash.join(" ")} /></svg> <b>${write(at === null ? one.latest ?? one.values.at(-1) : one.values[at])}</b> ${one.name}`;
    return one.href ? html`<a key=${one.name} href=${one.href}>${inside}</a>` : html`<span key=${one.name}>${inside}</span>`;
  })}<span class="faint when">${when}</span></figcaption>`;
}

/** All that is drawn, in words: made when it is opened. */
function Values({ label, unit, times, series, write }) {
  const [open, setOpen] = useState(false);
  return html`<details class="values" onToggle=${(event) => setOpen(event.target.open)}>
    <summary>Table<span class="unseen"> of ${label}</span></summary>
    ${open && html`<div class="scroll" tabindex="0" role="region" aria-label=${`Table of ${label}`}><table>
      <caption class="unseen">${label}, ${unit}</caption>
      <thead><tr><th scope="col">Time</th>${series.map((one) => html`<th scope="col" class="number" key=${one.name}>${one.name}</th>`)}</tr></thead>
      <tbody>${times.map((time, at) => series.some((one) => one.values[at] !== null) && html`<tr key=${time}>
        <th scope="row">${moment(time).slice(0, 16)}</th>
        ${series.map((one) => html`<td class="number" key=${one.name}>${write(one.values[at])}</td>`)}</tr>`)
        .toReversed()}</tbody></table></div>`}
  </details>`;
}

let fetched = null;

const library = () => (fetched ??= import("../../vendor/uplot.js").then((module) => module.default, (error) => {
  fetched = null;
  throw error;
}));

/** A drawing by uPlot: in the colours of the page, as wide as there is room, gone when it is no longer shown. */
class Plot {
  constructor(place, { series, least, height, onMoment }) {
    Object.assign(this, { place, series, least, height, onMoment, times: [] });
    this.one = null;
    this.ended = false;
    this.colours = {};
    this.observer = new ResizeObserver(() => this.fit());
    this.repaint = this.repaint.bind(this);
  }

  /** Fetches what draws, and draws what there is by then. */
  async begin() {
    const UPlot = await library();
    if (this.ended) return;
    this.readColours();
    this.one = new UPlot(this.options(UPlot), this.data, this.place);
    this.observer.observe(this.place);
    DARK.addEventListener("change", this.repaint);
  }

  /** Draws these lines, as soon as there is something to draw with. */
  show(times, series) {
    Object.assign(this, { times, series });
    this.one?.setData(this.data);
  }

  get data() {
    return [this.times.map((time) => time / SECOND_MS), ...this.series.map((one) => one.values)];
  }

  /** Draws anew, in the colours as they are once the page has taken them. */
  repaint() {
    requestAnimationFrame(() => {
      if (!this.one) return;
      this.readColours();
      this.one.redraw(false);
    });
  }

  end() {
    this.ended = true;
    this.observer.disconnect();
    DARK.removeEventListener("change", this.repaint);
    this.one?.destroy();
    this.one = null;
  }

  fit() {
    const width = Math.floor(this.place.clientWidth);
    if (this.one && width > 0 && width !== this.one.width) this.one.setSize({ width, height: this.height });
  }

  /** A canvas knows no tokens: what they are just now is read from an element that has them. */
  readColours() {
    const probe = this.place.appendChild(document.createElement("i"));
    for (const tone of [...TONES, ...this.series.map((one) => one.tone)]) {
      probe.style.color = `var(${tone})`;
      this.colours[tone] = getComputedStyle(probe).color;
    }
    this.font = `11px ${getComputedStyle(probe).fontFamily}`;
    probe.remove();
  }

  options(UPlot) {
    const ofTone = (tone) => () => this.colours[tone];
    const axis = { stroke: ofTone("--faint"), font: this.font, ticks: { show: false } };
    return {
      width: Math.max(1, Math.floor(this.place.clientWidth)),
      height: this.height,
      padding: [8, MARK, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { setScale: false, x: false, y: false }, points: { size: 6 } },
      scales: { y: { range: (_, low, high) => [0, UPlot.rangeNum(0, Math.max(this.least, high ?? 0), 0.1, true)[1]] } },
      axes: [
        { ...axis, size: FOOT, space: 64, incrs: MINUTES, grid: { show: false }, values: (_, splits) => timesOf(splits) },
        { ...axis, size: AXIS, space: 34, incrs: WHOLE, grid: { stroke: ofTone("--line"), width: 1 }, values: (_, splits) => splits.map(brief) },
      ],
      series: [{}, ...this.series.map((one) => ({
        stroke: ofTone(one.tone), width: 1.75, dash: one.dash, points: { show: (plot) => plot.data[0].length < 3, size: 5 },
      }))],
      hooks: {
        setCursor: [(plot) => this.onMoment(plot.cursor.idx ?? null)],
        draw: [(plot) => this.drawMarks(plot)],
      },
    };
  }

  /** Writes each line's letter at its end, none over another. */
  drawMarks(plot) {
    const { ctx, bbox } = plot;
    const scale = devicePixelRatio;
    const ends = this.series.map((one) => ({ one, value: one.values.findLast((value) => value !== null) }))
      .filter(({ value }) => value !== undefined)
      .map((end) => ({ ...end, y: plot.valToPos(end.value, "y", true) }))
      .sort((a, b) => b.y - a.y);
    ctx.save();
    ctx.font = `700 ${11 * scale}px ${this.font.slice(5)}`;
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    let above = Infinity;
    for (const { one, y } of ends) {
      above = Math.min(y, above - CLOSE * scale);
      ctx.fillStyle = this.colours[one.tone];
      ctx.fillText(one.mark, bbox.left + bbox.width + 4 * scale, above);
    }
    ctx.restore();
  }
}

/** The hour and minute; at midnight the month and day. */
function timesOf(splits) {
  return splits.map((split) => {
    const told = moment(split * SECOND_MS);
    return told.startsWith("00:00", 11) ? told.slice(5, 10) : told.slice(11, 16);
  });
}
