// A list of threats: what is shown, what it would be now, where the cursor is, what is selected.
// The order that is shown stands still; what changed within a row is shown at once.

import { busy } from "../acts/acts.js";
import { get, PATIENCE_MS, post } from "../core/api.js";
import { now, sync } from "../core/clock.js";
import { parse, toParams } from "../core/query.js";
import { analyst } from "../core/session.js";
import { batch, computed, signal } from "../html.js";

// What would change if a list were drawn anew: plain arithmetic on two orders of ids.
/**
 * Returns {fresh, up, gone}: how many of `after` are new, stand higher but for `mine`, or are no longer there.
 * `isCut`: there are more behind `after`; what stood last may just have come to stand there.
 */
export function changes(before, after, isCut = false, mine = () => false) {
  const was = new Map(before.map((id, at) => [id, at]));
  const is = new Set(after);
  const end = isCut ? before.findLastIndex((id) => is.has(id)) + 1 : before.length;
  const common = after.filter((id) => was.has(id));
  const ranks = new Map(before.filter((id) => is.has(id)).map((id, at) => [id, at]));
  return {
    fresh: after.length - common.length,
    up: common.filter((id, at) => ranks.get(id) > at && !mine(id)).length,
    gone: before.slice(0, end).filter((id) => !is.has(id)).length,
  };
}

/** Returns the id to stand on in a new order: the same one, else what is now at its place. */
export function settled(id, before, after) {
  if (id === null || after.includes(id)) return id;
  const at = before.indexOf(id);
  const kept = before.slice(at + 1).find((one) => after.includes(one));
  return kept ?? after[Math.min(Math.max(at, 0), after.length - 1)] ?? null;
}

// The rows of a list, each as new as it is known, and what became of it.

/** What becomes of a row of level 2 or 3 that is brought back to work. */
export const RECALLED = "recalled";
const MOST = 100; // ids of one call

export class Rows {
  constructor(base) {
    this.base = base;
    this.rows = signal(new Map());
    this.order = signal([]);
    this.done = signal(new Map());
    this.readAt = new Map(); // by id: as of when a row was read, by the server's clock
    this.wanted = new Set();
    this.isLooking = false;
    this.hasEnded = false;
  }

  get isKnown() {
    return this.base.level > 1;
  }

  /** Returns what became of a row, so that it is no longer of this list; null: it still is. */
  fateOf(row) {
    if (this.isKnown) return row.level === 1 ? RECALLED : null;
    return (this.params.status ?? "open") === "open" && row.status !== "open" ? row.status : null;
  }

  row(id) {
    return this.rows.value.get(id) ?? null;
  }

  /** Takes rows that are shown as they were at a moment, wherever they stand, unless newer ones are here. */
  take(items, asOfMs = now()) {
    const rows = new Map(this.rows.value);
    const newer = items.filter((row) => {
      const old = rows.get(row.threat_id);
      return old && (row.revision > old.revision
        || (row.revision === old.revision && asOfMs >= (this.readAt.get(row.threat_id) ?? 0)));
    });
    for (const row of newer) {
      this.readAt.set(row.threat_id, asOfMs);
      if (!isSame(row, rows.get(row.threat_id))) rows.set(row.threat_id, row);
    }
    batch(() => {
      this.rows.value = rows;
      this.judge(newer);
    });
  }

  /** Marks what is no longer of this list, and what is so again; not what is being acted on just now. */
  judge(rows) {
    for (const row of rows) {
      const fate = this.fateOf(row);
      const id = row.threat_id;
      if (!busy.value.has(id) && fate !== (this.done.value.get(id) ?? null)) this.mark([id], fate);
    }
  }

  /** Reads some of the rows anew, one call after the other. */
  async look(ids) {
    for (const id of ids) this.wanted.add(id);
    if (this.isLooking) return;
    this.isLooking = true;
    while (this.wanted.size && !this.hasEnded) {
      const some = [...this.wanted].slice(0, MOST);
      for (const id of some) this.wanted.delete(id);
      await this.lookAt(some);
    }
    this.isLooking = false;
  }

  async lookAt(ids) {
    try {
      const found = await post("/v1/rows/lookup", { threat_ids: ids }, { within: PATIENCE_MS });
      this.take(found.items, found.as_of_ms);
      this.mark(found.missing.filter((id) => this.row(id)), "gone");
    } catch {
      // The round that comes by itself says what is wrong.
    }
  }

  /** Says of rows what became of them: they stay where they are until the list is drawn anew. */
  mark(ids, word) {
    if (!ids.length) return;
    const done = new Map(this.done.value);
    for (const id of ids) {
      if (word === null) done.delete(id);
      else done.set(id, word);
    }
    this.done.value = done;
  }

  put(page) {
    const kept = (row) => (isSame(row, this.row(row.threat_id)) ? this.row(row.threat_id) : row);
    this.rows.value = new Map(page.items.map((row) => [row.threat_id, kept(row)]));
    this.order.value = page.items.map((row) => row.threat_id);
    this.readAt = new Map(page.items.map((row) => [row.threat_id, page.as_of_ms]));
  }
}

// What can change of a row without a new revision. What is the same stays the same object, and is
// not drawn again: a score falls by itself on the page.
const LOOSE = ["revision", "holder", "holder_until_ms", "overdue", "level", "latched"];
const isSame = (row, old) => old !== null && old !== undefined && LOOSE.every((name) => row[name] === old[name]);

// Where the cursor is in a list, and what is selected.

/** How many can be selected at once: a page. */
export const PAGE = 100;
const NEAR_END = 10;

class Picking extends Rows {
  constructor(base) {
    super(base);
    this.cursor = signal(null);
    this.selected = signal(new Set());
  }

  /** Moves the cursor by so many rows; over what is done if `open`. Returns the id it stands on. */
  move(by, { open = false } = {}) {
    const order = this.order.value;
    let at = order.indexOf(this.cursor.value);
    const step = Math.sign(by) || 1;
    const end = Math.max(0, Math.min(order.length - 1, at + by));
    at = end;
    while (open && order[at] && this.done.value.has(order[at]) && order[at + step]) at += step;
    this.cursor.value = order[at] ?? null;
    if (at >= order.length - NEAR_END) this.more();
    return this.cursor.value;
  }

  /** Selects these, up to a page of them. Returns whether that is all. */
  select(ids) {
    this.selected.value = new Set([...ids].slice(0, PAGE));
    return ids.length <= PAGE;
  }

  toggle(id) {
    const next = new Set(this.selected.value);
    if (!next.delete(id)) next.add(id);
    return this.select([...next]);
  }

  /** Selects from the cursor to a row, or as many rows as that is. */
  extend(to) {
    const order = this.order.value;
    const from = Math.max(0, order.indexOf(this.cursor.value));
    const until = order.indexOf(to);
    const [low, high] = from < until ? [from, until] : [until, from];
    this.cursor.value = to;
    return this.select([...new Set([...this.selected.value, ...order.slice(low, high + 1)])]);
  }

  /** What an act is about: what is selected, else the row under the cursor. */
  get subjects() {
    const { size } = this.selected.value;
    if (size) return this.order.value.filter((id) => this.selected.value.has(id));
    return this.cursor.value === null ? [] : [this.cursor.value];
  }
}

const MOST_REFRESHED = 500;
const REFRESH_MS = 1000;
const STILL_MS = 600; // so long a hand that was on its way hits what was there before
const ROUND_MS = 30_000; // so often even where nothing is told: targets pass without an event

export class ListStore extends Picking {
  /** `base` are parameters of every request, as {overdue: true}; `name` says what it is a list of. */
  constructor(name, base = {}) {
    super(base);
    this.name = name;
    this.query = signal("");
    this.latest = signal(null);
    this.total = signal(null);
    this.counts = signal(null); // facets of what fits; null until somebody has asked for them
    this.next = signal(null);
    this.loading = signal(false);
    this.problem = signal(null);
    this.pending = computed(() => (this.latest.value
      ? changes(this.order.value.slice(0, MOST_REFRESHED), this.latest.value.order, this.latest.value.page.next_cursor !== null,
        (id) => this.mine.get(id) >= this.row(id)?.revision)
      : { fresh: 0, up: 0, gone: 0 }));
    this.mine = new Map(); // by id: the revision that one's own last act came to
    this.isHeld = () => false;
    this.letGo = () => {};
    this.asking = null;
    this.refreshing = null;
    this.isExtending = false;
    this.lastRefresh = 0;
    this.movedAt = -STILL_MS;
    this.timer = 0;
    this.dueAt = Infinity;
  }

  get params() {
    return this.paramsOf(this.query.value);
  }

  paramsOf(query) {
    return { ...this.base, ...toParams(query, { me: analyst.value, now: now(), level: this.base.level }) };
  }

  /** Reads the list from its beginning, as it is now. */
  async load(query = this.query.value) {
    this.asking?.abort();
    const mine = new AbortController();
    this.asking = mine;
    this.query.value = query;
    const { problem } = parse(query);
    if (problem) {
      this.problem.value = { message: problem, isQuery: true };
      this.asking = null;
      this.loading.value = false;
      return;
    }
    this.loading.value = true;
    try {
      const page = await this.read({ limit: PAGE }, mine.signal);
      if (this.asking !== mine) return;
      batch(() => {
        this.put(page);
        this.total.value = page.total;
        this.next.value = page.next_cursor;
        this.latest.value = null;
        this.done.value = new Map();
        this.select(this.order.value.filter((id) => this.selected.value.has(id)));
        const here = this.order.value;
        if (!here.includes(this.cursor.value)) this.cursor.value = here[0] ?? null;
        this.problem.value = null;
      });
    } catch (error) {
      if (error.name !== "AbortError" && this.asking === mine) this.problem.value = error;
    } finally {
      if (this.asking === mine) {
        this.loading.value = false;
        this.asking = null;
        this.due(ROUND_MS);
      }
    }
  }

  async read(more, until) {
    const page = await get("/v1/rows", { ...this.params, ...more }, { until, within: PATIENCE_MS });
    sync(page.as_of_ms);
    return page;
  }

  /** Reads the next page of the ranking as it stood, and puts it behind. */
  async more() {
    const cursor = this.next.value;
    if (!cursor || this.loading.value || this.isExtending) return;
    this.isExtending = true;
    try {
      const page = await this.read({ limit: PAGE, cursor });
      if (this.next.value === cursor) this.append(page); // else the list was drawn anew meanwhile
    } catch (error) {
      if (error.type === "cursor-stale" && this.next.value === cursor) await this.load();
      else if (this.next.value === cursor) this.problem.value = error;
    } finally {
      this.isExtending = false;
    }
  }

  append(page) {
    const fresh = page.items.filter((row) => !this.rows.value.has(row.threat_id));
    batch(() => {
      this.rows.value = new Map([...this.rows.value, ...fresh.map((row) => [row.threat_id, row])]);
      this.take(page.items, page.as_of_ms);
      this.order.value = [...this.order.value, ...fresh.map((row) => row.threat_id)];
      this.next.value = page.next_cursor;
    });
  }

  /** Something happened: look soon, never more often than every second. */
  heard(news) {
    const touched = news.acts.flatMap((one) => one.threat_ids).filter((id) => this.rows.value.has(id));
    if (touched.length) this.look([...new Set(touched)]);
    this.due(Math.max(0, this.lastRefresh + REFRESH_MS - performance.now()));
  }

  /** Reads anew in so many milliseconds, if not sooner anyway. */
  due(ms) {
    const at = performance.now() + ms;
    if (this.hasEnded || at >= this.dueAt) return;
    clearTimeout(this.timer);
    this.dueAt = at;
    this.timer = setTimeout(() => this.refresh(), ms);
  }

  /** Reads the same stretch anew; shows it if nothing holds the order that is shown. */
  async refresh() {
    if (this.hasEnded) return;
    clearTimeout(this.timer);
    this.dueAt = Infinity;
    if (this.asking || this.refreshing) {
      this.due(REFRESH_MS); // what was told since is not in what is being read
      return;
    }
    if (document.visibilityState === "visible") {
      this.refreshing = this.readAnew();
      await this.refreshing;
      this.refreshing = null;
      this.lastRefresh = performance.now();
    }
    this.due(ROUND_MS);
  }

  async readAnew() {
    const pages = Math.max(1, Math.ceil(this.order.value.length / PAGE));
    const query = this.query.value;
    try {
      const limit = Math.min(MOST_REFRESHED, pages * PAGE);
      const page = await this.read({ limit });
      const hasGrown = this.order.value.length > pages * PAGE; // meanwhile: what was read is not all that is shown
      if (query !== this.query.value || this.asking || hasGrown) return;
      batch(() => {
        this.take(page.items, page.as_of_ms);
        this.total.value = page.total;
        this.latest.value = { page, order: page.items.map((row) => row.threat_id) };
        this.problem.value = null;
        if (!this.isHeld()) this.follow();
      });
    } catch (error) {
      if (query === this.query.value) this.problem.value = error;
    }
  }

  /** Shows the list as it was read last, though nobody asked for it. */
  follow() {
    const before = this.order.value;
    const here = this.cursor.value;
    this.apply();
    const isSame = before.length <= this.order.value.length && before.every((id, at) => this.order.value[at] === id);
    if (before.length && (!isSame || here !== this.cursor.value)) this.movedAt = performance.now();
  }

  /** Says whether rows moved just now by themselves: a press was meant for what stood there before. */
  hasJustMoved() {
    return performance.now() - this.movedAt < STILL_MS;
  }

  /** Shows the list as it was read last; the cursor stays with its threat. */
  apply() {
    const latest = this.latest.value;
    if (!latest) return;
    batch(() => {
      const before = this.order.value;
      this.cursor.value = settled(this.cursor.value, before, latest.order) ?? latest.order[0] ?? null;
      this.put(latest.page);
      this.next.value = latest.page.next_cursor;
      this.select(latest.order.filter((id) => this.selected.value.has(id)));
      this.done.value = new Map();
      this.latest.value = null;
    });
  }

  end() {
    clearTimeout(this.timer);
    this.hasEnded = true;
    this.letGo();
    this.asking?.abort();
  }
}
