// The line in which one writes what to look for. What holds stands in it as chips; what is written is added by Enter.

import { get, post, put, queryOf, remove } from "../core/api.js";
import { brief } from "../core/format.js";
import { bind } from "../core/keys.js";
import { timesOpen } from "../core/prefs.js";
import { completions, merged, nameOf, NAMES, parse, print, taken, without } from "../core/query.js";
import { hrefOf } from "../core/route.js";
import { may, me } from "../core/session.js";
import { line, ofFilter } from "../core/text.js";
import { html, signal, useEffect, useId, useLayoutEffect, useRef, useState } from "../html.js";
import { facetsShown, goThereAndBack, hasFacets, Histogram, readCounts, showFacets } from "./facets.js";
import { confirmed, Dialog, say, useSending } from "../ui/dialog.js";
import { Trouble } from "../ui/parts.js";

// The list under the filter bar's input: what could be meant by what is written so far.

/**
 * Keeps what is offered for an input. `onChange(text, caret)` takes a completed text. Returns {found, at,
 * look(input, counts), shut(), onKey(event), take(item)}; `onKey` says whether the key was for the list.
 */
function useCompletion(onChange) {
  const [found, set] = useState(null);
  const [at, setAt] = useState(-1);
  const shut = () => set(null);
  const look = (input, counts) => {
    const offered = completions(input.value, input.selectionStart ?? input.value.length, counts);
    set(offered.items.length ? { ...offered, text: input.value } : null);
    setAt(-1);
  };
  const take = (item) => {
    const after = taken(found.text, found, item);
    onChange(after.text, after.caret);
    shut();
  };
  const onKey = (event) => {
    if (!found || event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return false;
    const { items } = found;
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const begun = found.to > found.from;
    if (by) setAt((old) => (old + by + items.length + 1 + (old < 0 && by < 0 ? 1 : 0)) % (items.length + 1) % items.length);
    else if (event.key === "Escape") shut();
    else if (event.key === "Tab" && !event.shiftKey && (at >= 0 || begun)) take(items[Math.max(0, at)]);
    else if (event.key === "Enter" && at >= 0) take(items[at]);
    else {
      if (event.key === "Enter") shut();
      return false;
    }
    event.preventDefault();
    return true;
  };
  return { found, at, look, shut, onKey, take };
}

function Offered({ completion, id }) {
  const { found, at, take } = completion;
  if (!found) return null;
  // Pressed, not clicked: the input keeps the focus.
  const press = (item) => (event) => {
    event.preventDefault();
    take(item);
  };
  return html`<div class="offered" id=${id} role="listbox" aria-label="What could be meant">
    ${found.items.map((item, place) => html`<div role="option" id=${`${id}-${place}`} key=${place} aria-selected=${place === at} onMouseDown=${press(item)}>
      <bdi class="mono">${line(item.label, 80)}</bdi><span class="faint">${item.count === null ? item.help : brief(item.count)}</span></div>`)}
  </div>`;
}

export function FilterBar({ store, query, setQuery }) {
  const bar = useBar(store, query, setQuery);
  const wrong = bar.problem || parse(query).problem || refused(store, query);
  return html`<form class="filter-bar" role="search" onSubmit=${bar.submit}>
    ${hasFacets.value && html`<button type="button" aria-pressed=${facetsShown()} title="Filters at the side (h)"
      onClick=${() => showFacets(!facetsShown())}>Filters</button>`}
    <${Field} bar=${bar} store=${store} query=${query} setQuery=${setQuery} isWrong=${Boolean(wrong)} />
    <span class="more"><button type="button" aria-pressed=${timesOpen.value} title="When it was first seen"
        onClick=${() => { timesOpen.value = !timesOpen.value; }}>Times</button>
      <button type="button" title="Saved views (v)" onClick=${showViews}>Views</button>
      <button type="button" title="Export what is listed" onClick=${showExport}>Export</button>
      <button type="button" class="quiet" aria-label="How to search" title="How to search" onClick=${showHelp}>?</button></span>
    ${wrong && html`<p class="wrong" id=${bar.id} role="alert">${line(wrong, 400)}</p>`}
  </form><${Histogram} store=${store} query=${query} setQuery=${setQuery} /><${Extras} store=${store} query=${query} />`;
}

/** Why the API does not answer this query, where that is for whoever wrote it to know. */
function refused(store, query) {
  const problem = store.problem.value;
  const name = nameOf(problem?.field);
  if (!problem || problem.isQuery || name === null) return "";
  const term = parse(query).terms.find((one) => one.name === name);
  return `${term ? line(print([term]), 60) : name}: ${problem.message} What is listed is as it was before.`;
}

function useBar(store, query, setQuery) {
  const [text, setText] = useState("");
  const [isWhole, setWhole] = useState(false); // the query itself is being written anew
  const [problem, setProblem] = useState("");
  const input = useRef(null);
  const id = useId();
  const clear = () => {
    setText("");
    setWhole(false);
    setProblem("");
  };
  useEffect(clear, [query, store]);
  const submit = (event) => {
    event.preventDefault();
    const wanted = isWhole ? print(parse(text).terms) : merged(query, text);
    const found = parse(text).problem || parse(wanted).problem;
    setProblem(found);
    if (found) return;
    clear();
    if (wanted !== query) setQuery(wanted);
    toList(input);
  };
  const leave = () => {
    clear();
    toList(input);
  };
  const rewrite = () => {
    setText(query);
    setWhole(true);
  };
  const write = (value) => {
    setText(value);
    setProblem("");
  };
  return { text, write, isWhole, problem, input, id, submit, leave, rewrite };
}

function toList(input) {
  input.current.blur();
  document.querySelector('.row[tabindex="0"]')?.focus({ preventScroll: true });
}

function Field({ bar, store, query, setQuery, isWrong }) {
  const { input, text } = bar;
  const caret = useRef(null);
  const offered = useId();
  const completion = useCompletion((value, at) => {
    bar.write(value);
    caret.current = at;
  });
  useLayoutEffect(() => {
    if (caret.current === null) return;
    input.current.setSelectionRange(caret.current, caret.current);
    caret.current = null;
    completion.look(input.current, store.counts.value); // after a name its values
  }, [text]);
  useEffect(() => bind("Filter", [
    { keys: ["/"], label: "Search and filter", run: () => input.current.focus() },
    { keys: ["h"], label: "Filters at the side: there and back", run: goThereAndBack, when: () => hasFacets.value },
    ...EXTRAS,
  ]), []);
  const look = () => completion.look(input.current, store.counts.value);
  const onInput = (event) => {
    bar.write(event.target.value);
    look();
  };
  const onFocus = () => store.counts.value || readCounts(store, query);
  const onKey = (event) => {
    if (completion.onKey(event)) return;
    const { terms } = parse(query);
    const press = KEYS[event.key];
    if (press && !event.isComposing && press({ bar, text, terms, query, setQuery, look })) event.preventDefault();
  };
  const { found, at } = completion;
  return html`<div class="field-box">
    ${!bar.isWhole && html`<${Chips} query=${query} setQuery=${setQuery} input=${input} store=${store} />`}
    <input ref=${input} type="text" role="combobox" aria-label="Search and filter" aria-autocomplete="list" aria-expanded=${Boolean(found)}
      aria-controls=${offered} aria-activedescendant=${found && at >= 0 ? `${offered}-${at}` : null} aria-invalid=${isWrong}
      aria-describedby=${isWrong ? bar.id : null} autocomplete="off" autocapitalize="off" spellcheck=${false} enterkeyhint="search"
      placeholder=${query ? "and …" : "Search: words, severity:HIGH, -source:x, is:mine …"} value=${text} onInput=${onInput} onFocus=${onFocus}
      onBlur=${completion.shut} onKeyDown=${onKey} onClick=${() => text && look()} />
    <${Offered} completion=${completion} id=${offered} /></div>`;
}

/** Keys of the input while nothing is offered; each says whether it did something. */
const KEYS = {
  Escape({ bar }) {
    bar.leave();
    return true;
  },
  Backspace({ bar, text, terms, query, setQuery }) {
    if (text !== "" || bar.isWhole || !terms.length) return false;
    setQuery(without(query, terms.at(-1)));
    return true;
  },
  ArrowUp({ bar, text, query }) {
    if (text !== "" || bar.isWhole || !query) return false;
    bar.rewrite();
    return true;
  },
  ArrowDown({ look }) {
    look();
    return true;
  },
};

function Chips({ query, setQuery, input, store }) {
  const { terms } = parse(query);
  const wrong = nameOf(store.problem.value?.field);
  const take = (term) => {
    setQuery(without(query, term));
    input.current.focus();
  };
  return terms.map((one, at) => {
    const value = ofFilter(one);
    const name = one.name === "text" ? "" : `${one.name}:`;
    return html`<button type="button" class="chip" key=${at} data-not=${one.not} data-wrong=${wrong === one.name}
      title=${`Take away ${one.name === "indicator" ? value : line(print([one]), 300)}`} onClick=${() => take(one)}>${one.not && html`<b>not </b>`}
      ${name && html`<span class="name">${name}</span>`}<bdi>${value}</bdi>
      <span aria-hidden="true">×</span><span class="unseen"> take away</span></button>`;
  });
}

// What the bar opens: saved views, the export, and how to search.

const extra = signal("");
const opens = (name) => () => { extra.value = name; };
const showViews = opens("views");
const showExport = opens("export");
const showHelp = opens("help");
const shutExtra = opens("");

/** Commands of what is opened here. */
const EXTRAS = [
  { keys: ["v"], label: "Saved views", run: showViews },
  { keys: [], label: "Export what is listed", run: showExport },
  { keys: [], label: "How to search", run: showHelp },
];

function Extras({ store, query }) {
  useEffect(() => shutExtra, []);
  if (extra.value === "views") return html`<${Views} query=${query} onClose=${shutExtra} />`;
  if (extra.value === "export") return html`<${Export} store=${store} query=${query} />`;
  return extra.value === "help" ? html`<${Help} />` : null;
}

const EXPORTED = new Set(["level", "severity", "status", "overdue", "industry"]);

/** The export takes fewer filters than the list: then nothing is offered that would be more than what is seen. */
function Export({ store, query }) {
  const params = store.paramsOf(query);
  const more = Object.entries(params).filter(([name, value]) => value !== null && value !== undefined && !EXPORTED.has(name));
  const link = (format) => `/v1/export${queryOf({ ...params, format })}`;
  return html`<${Dialog} name="export" title="Export" onClose=${shutExtra}>${more.length
    ? html`<p>The export knows the filters level, one severity, status, overdue and industry. This list is narrowed by more than that: take
        the other filters away first.</p>`
    : html`<div><p>All that is listed, in its order, as of one moment.</p><p class="links"><a class="button" autofocus download href=${link("csv")}>CSV, for
        spreadsheets</a> <a class="button" download href=${link("ndjson")}>NDJSON, whole records</a></p></div>`}</${Dialog}>`;
}

const EXAMPLES = [
  ['beacon "known C2"', "both: a word, and words that follow each other"],
  ["power*", "words that begin so"],
  ["severity:HIGH,CRITICAL -source:wazuh", "one or the other, and not from there"],
  ['tag:"supply chain"', "quotes where there are spaces; \\\" for a quote in them"],
];

function Help() {
  return html`<${Dialog} name="search-help" title="How to search" wide onClose=${shutExtra}><div class="help">
    <p>Words are looked for in title, content, id and indicators. All that is given must hold. <kbd>Enter</kbd> adds what is written,
      <kbd>Tab</kbd> takes what is offered, <kbd>Backspace</kbd> takes the last filter away, <kbd>↑</kbd> lets one write the whole query anew.</p>
    <dl>${EXAMPLES.map(([text, means]) => html`<div key=${text}><dt class="mono">${text}</dt><dd>${means}</dd></div>`)}</dl>
    <table><thead><tr><th scope="col">Name</th><th scope="col">Takes</th><th scope="col">Can be left out</th></tr></thead>
      <tbody>${Object.entries(NAMES).map(([name, one]) => html`<tr key=${name}><th scope="row" class="mono">${name}:</th><td>${one.help}</td>
        <td class="mono">${one.not ? `-${name}:` : ""}</td></tr>`)}</tbody></table>
    <p class="faint">Days and minutes are those of this place. Any other name: is a word like others.</p></div></${Dialog}>`;
}

// Saved views: queries under a name, one's own and those that others share. A view is an address, to go to and to send.

const CHANGED = "view-changed";
const LONGEST_NAME = 80;

const isMine = (view) => view.owner === me.value?.name;
const isChangeable = (view) => isMine(view) || may("admin");

function Views({ query, onClose }) {
  const [told, set] = useState({ items: null, problem: null });
  const [draft, setDraft] = useState(null); // {view: null | the one that is changed, name, query, shared}
  const read = async () => {
    try {
      const { items } = await get("/v1/views");
      set({ items, problem: null });
      return items;
    } catch (problem) {
      set((old) => ({ ...old, problem }));
      return null;
    }
  };
  useEffect(() => { read(); }, []);
  const begin = (view) => setDraft(view ? { view, name: view.name, query: view.query, shared: view.shared } : { view: null, name: "", query, shared: false });
  const end = () => {
    setDraft(null);
    read();
  };
  return html`<${Dialog} name="views" title=${draft === null ? "Views" : draft.view ? "Change a view" : "Save this query as a view"} onClose=${onClose}>
    ${told.problem && html`<${Trouble} problem=${told.problem} onAgain=${read} />`}
    ${draft === null ? html`<${Listed} items=${told.items} query=${query} begin=${begin} onClose=${onClose} />`
      : html`<${Draft} draft=${draft} setDraft=${setDraft} now=${query} items=${told.items ?? []} read=${read} end=${end} />`}</${Dialog}>`;
}

function Listed({ items, query, begin, onClose }) {
  const box = useRef(null);
  // At once, here and in the form: whoever types on has their keys taken.
  useLayoutEffect(() => { box.current.querySelector("a, button").focus(); }, [items === null]);
  const links = () => [...box.current.querySelectorAll("a")];
  const onKey = (event) => {
    const by = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (by) links()[Math.max(0, Math.min(links().length - 1, links().indexOf(document.activeElement) + by))]?.focus();
    else if (/^[1-9]$/.test(event.key)) links()[event.key - 1]?.click();
    else if (event.key === "a") begin(null);
    else if (event.key === "e") document.activeElement.closest("li")?.querySelector("button")?.click();
    else return;
    event.preventDefault();
  };
  const of = (title, some, from) => some.length > 0 && html`<h3>${title}</h3><ul class="views">${some.map((view, at) => html`<${One} key=${view.id}
    view=${view} number=${from + at + 1} isHere=${view.query === query} begin=${begin} onClose=${onClose} />`)}</ul>`;
  const own = items?.filter(isMine) ?? [];
  const shared = items?.filter((view) => !isMine(view)) ?? [];
  return html`<div ref=${box} onKeyDown=${onKey}>
    ${items?.length === 0 && html`<p>There are no views yet. A view keeps a filter under a name, for you or for everyone.</p>`}
    ${of("Your own", own, 0)}${of("Shared by others", shared, own.length)}
    <footer><span class="faint">${items?.length > 0 && html`A number opens one, <kbd>e</kbd> changes it`}</span>
      <button type="button" autofocus onClick=${() => begin(null)}><kbd>a</kbd> Save this query…</button></footer></div>`;
}

function One({ view, number, isHere, begin, onClose }) {
  return html`<li><a href=${hrefOf("queue", { q: view.query })} aria-current=${isHere ? "true" : null} onClick=${() => setTimeout(onClose)}>
      ${number < 10 && html`<kbd>${number}</kbd>`} <bdi class="name">${line(view.name, 80)}</bdi>
      ${isMine(view) ? view.shared && html` <span class="faint">shared</span>` : html` <span class="faint">by <bdi>${line(view.owner, 40)}</bdi></span>`}
      <bdi class="mono faint">${line(view.query, 120) || "all that is open"}</bdi></a>
    ${isChangeable(view) && html`<button type="button" class="quiet" aria-label=${`Change ${line(view.name, 80)}`}
      onClick=${() => begin(view)}>Change…</button>`}</li>`;
}

function Draft({ draft, setDraft, now, items, read, end }) {
  const { busy, problem, send } = useSending();
  const name = useRef(null);
  const { view } = draft;
  useLayoutEffect(() => name.current.focus(), []);
  const change = (more) => setDraft({ ...draft, ...more });
  const twin = view ? null : items.find((one) => isMine(one) && one.name === draft.name.trim());
  const lost = async (error) => {
    if (error.type === CHANGED || error.status === 404) await again(view ?? twin, read, setDraft, draft);
    throw error;
  };
  const attempt = async (work) => (await send(() => work().catch(lost))) && end();
  const submit = (event) => {
    event.preventDefault();
    const body = { name: draft.name.trim(), query: draft.query, shared: draft.shared };
    const over = view ?? twin;
    attempt(async () => {
      if (over) await put(`/v1/views/${encodeURIComponent(over.id)}`, { ...body, revision: over.revision });
      else await post("/v1/views", body);
      say(`${over ? "Changed" : "Saved"} the view ${line(body.name, 80)}.`, { kind: "done" });
    });
  };
  const drop = async () => {
    const text = view.shared ? "It is shared: others lose it too." : "What it lists stays as it is.";
    if (!await confirmed({ title: `Delete the view ${line(view.name, 80)}?`, text, yes: "Delete" })) return;
    attempt(() => remove(`/v1/views/${encodeURIComponent(view.id)}`));
  };
  return html`<form class="view" onSubmit=${submit}>
    <label class="field">Name<input ref=${name} type="text" required maxlength=${LONGEST_NAME} autocomplete="off" value=${draft.name}
      aria-invalid=${problem?.field === "name"} onInput=${(event) => change({ name: event.target.value })} /></label>
    <p class="field">Query<bdi class="mono">${line(draft.query, 500) || "all that is open"}</bdi>
      ${draft.query !== now && html`<button type="button" onClick=${() => change({ query: now })}>Take the present query: <bdi class="mono">${line(now, 80)
        || "all that is open"}</bdi></button>`}</p>
    ${may("act") && html`<label class="choice"><input type="checkbox" checked=${draft.shared}
      onChange=${(event) => change({ shared: event.target.checked })} /> Shared with all who may read</label>`}
    ${problem && html`<p class="wrong" role="alert">${told(problem, view ?? twin)}</p>`}
    <footer>${view ? html`<button type="button" class="danger" disabled=${busy} onClick=${drop}>Delete…</button>` : html`<span></span>`}
      <span><button type="button" class="quiet" onClick=${end}>Back</button>
        <button type="submit" class="main" disabled=${busy}>${problem?.type === CHANGED || twin ? "Overwrite" : "Save"}</button></span></footer></form>`;
}

/** After somebody else was first: what is written stays, and is of the view as it is now. */
async function again(view, read, setDraft, draft) {
  const found = (await read())?.find((one) => one.id === view?.id);
  if (view === draft.view) setDraft({ ...draft, view: found ?? null });
}

function told(problem, view) {
  if (problem.type !== CHANGED) return problem.status === 404 ? "Somebody has deleted it meanwhile. Save it as a new one." : line(problem.message, 300);
  return `Somebody has changed it meanwhile: it is now ${line(view?.name, 80)}, ${line(view?.query, 160) || "all that is open"}${
    view?.shared ? ", shared" : ""}. Overwrite it with what is here, or go back.`;
}
