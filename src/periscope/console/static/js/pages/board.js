// What queue, overdue and knowledge have in common: filters, a list, and a threat beside it.

import { html, useEffect, useLayoutEffect, useMemo } from "../html.js";
import { change, params } from "../core/route.js";
import { listen } from "../live/live.js";
import { hold, Picked, useListKeys, useTriage } from "../list/commands.js";
import { ListStore } from "../list/store.js";
import { FilterBar } from "../list/filter-bar.js";
import { Facets } from "../list/facets.js";
import { COLUMNS, List, Pill } from "../list/list.js";
import { panel } from "../peek/panel.js";
import { Peek } from "../peek/peek.js";
import { Age } from "../ui/parts.js";

/**
 * `base` are parameters of every request; `head` and `side` are put before and beside the list.
 * `isKnown`: of level 2 or 3, where to look at a threat is no view, which would recall it to work.
 */
export function Board({ name, label, base, columns, isKnown = false, side: Side = null, head: Head = null, empty }) {
  const key = JSON.stringify(base);
  const store = useMemo(() => new ListStore(name, base), [name, key]);
  const query = params.value.q ?? "";
  const setQuery = (text) => change({ q: text || null, t: null }, { replace: false });
  useEffect(() => {
    hold(store, panel.isOpen);
    const deaf = listen((news) => store.heard(news));
    const seen = () => document.visibilityState === "visible" && store.refresh();
    document.addEventListener("visibilitychange", seen);
    return () => {
      deaf();
      document.removeEventListener("visibilitychange", seen);
      store.end();
    };
  }, [store]);
  useLayoutEffect(() => { store.load(query); }, [store, query]); // before anything is painted
  const peek = isKnown ? quietly : panel;
  useListKeys(store, peek, setQuery);
  useTriage(store, peek);
  const id = params.value.t;
  useEffect(() => { if (id === undefined) document.querySelector('.row[tabindex="0"]')?.focus({ preventScroll: true }); }, [id === undefined]);
  return html`<div class="board" data-open=${id !== undefined}>
    ${Side && html`<${Side} store=${store} query=${query} setQuery=${setQuery} />`}
    <section class="middle" aria-label=${label}>${!isKnown && html`<h1 class="unseen">${label}</h1>`}
      ${Head && html`<${Head} store=${store} query=${query} setQuery=${setQuery} />`}
      <${Pill} store=${store} />
      <${List} store=${store} open=${peek.open} onQuery=${setQuery} label=${label} columns=${columns}
        isKnown=${isKnown} empty=${query ? html`<p class="empty">Nothing fits these filters. <button type="button"
          onClick=${() => setQuery("")}>Clear the filters</button></p>` : empty} />
      <${Picked} store=${store} panel=${peek} />
    </section>
    ${id !== undefined && html`<${Peek} id=${id} store=${store} onClose=${panel.close} />`}
  </div>`;
}

const quietly = { ...panel, open: (id) => panel.open(id, { isView: false }) };

// The queue: what to look at next, in the order that it is now; and what nobody has looked at in the time that it may wait.

const board = (props, none, more) => html`<${Board} ...${props} side=${Facets} head=${FilterBar}
  empty=${html`<p class="empty">${none} <span class="faint">${more}</span></p>`} />`;

const QUEUE = { name: "queue", label: "Queue", base: {} };

export default function Queue() {
  return board(QUEUE, "Nothing is waiting here.", "What arrives appears by itself.");
}

const Late = ({ row }) => html`<${Age} row=${row} isStill byLate />`;
const OVERDUE = {
  name: "overdue", label: "Overdue", base: { overdue: true },
  columns: COLUMNS.map((one) => (one.name === "age" ? { ...one, head: "Late by", cell: Late } : one)),
};

/** The longest first. */
export function Overdue() {
  return board(OVERDUE, "Nothing is overdue.", "All that is open is within its target.");
}
