// Where one can go, whether the page is live, and who one is.

import { html, useEffect } from "../html.js";
import { tick } from "../core/clock.js";
import { brief, span } from "../core/format.js";
import { started } from "../core/keys.js";
import { hrefOf, page } from "../core/route.js";
import { may, me, signOut } from "../core/session.js";
import { line } from "../core/text.js";
import { hurry, inflow, lostAt, state, why } from "../live/live.js";
import { openKeys } from "./help.js";
import { PAGES } from "./pages.js";

export function TopBar() {
  useEffect(() => {
    document.querySelector(".top nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [page.value]);
  return html`<header class="top">
    <a class="brand" href=${hrefOf("queue")}><svg viewBox="0 0 32 32" aria-hidden="true"><path d="M13 30V9a5 5 0 0 1 5-5h4M4 30h24" />
      <circle cx="24" cy="4" r="4" /></svg>Periscope</a>
    <nav aria-label="Pages">${PAGES.filter((one) => one.key && (!one.scope || may(one.scope))).map((one) => html`<a key=${one.name}
      href=${hrefOf(one.name)} aria-current=${page.value === one.name ? "page" : null} title=${`g ${one.key}`}>${one.title}</a>`)}</nav>
    ${started.value && html`<kbd class="started">${started.value} …</kbd>`}
    <${Live} />
    <button type="button" class="quiet" aria-label="Keys and settings" title="Keys and settings (?)" onClick=${openKeys}>?</button>
    <span class="who"><a href=${hrefOf("account")} aria-current=${page.value === "account" ? "page" : null}
        title="Your account"><bdi>${line(me.value.name, 40)}</bdi></a>
      <button type="button" class="quiet" onClick=${signOut}>Sign out</button></span></header>`;
}

function Live() {
  const word = WORDS[state.value] ?? "not live";
  return html`<span class="live" data-state=${STATES[state.value] ?? state.value} title=${state.value === "lost" ? line(why.value) : null}><i></i>
    <span role="status">${word}</span> <${Since} />
    ${state.value === "lost" && html`<button type="button" onClick=${hurry}>Try now</button>`}</span>`;
}

const WORDS = { live: "live", starting: "connecting", "store-away": "the store is away" };
const STATES = { "store-away": "lost" };

/** What changes every second is seen, and not read aloud. */
function Since() {
  tick.value;
  const rate = inflow.value;
  if (state.value === "live") return rate >= 0.1 && html`<span class="faint">${brief(rate)}/s</span>`;
  return state.value === "lost" && html`<span>for ${span(Date.now() - lostAt.value)}</span>`;
}
