// Where one is: `#/page?name=value`. What stands behind the hash never leaves the browser.

import { computed, signal } from "../html.js";

const FIRST = "queue";

function read() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { page: path || FIRST, params: Object.fromEntries(new URLSearchParams(query)) };
}

const here = signal(read());
/** The name of the page. */
export const page = computed(() => here.value.page);
/** Its parameters, as text. */
export const params = computed(() => here.value.params);

/** Returns the address of a page with parameters; empty ones are left out. */
export function hrefOf(name, values = {}) {
  const found = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) {
    if (value !== null && value !== undefined && value !== "") found.set(key, value);
  }
  const query = found.toString();
  return `#/${name}${query ? `?${query}` : ""}`;
}

/** Goes to a page; `replace`: without a step to go back to. */
export function go(name, values = {}, { replace = false } = {}) {
  const href = hrefOf(name, values);
  if (href === location.hash) return;
  if (replace) history.replaceState(null, "", href);
  else history.pushState(null, "", href);
  here.value = read();
}

/** Changes parameters of this page; null takes one away. */
export function change(values, options = { replace: true }) {
  go(page.value, { ...params.value, ...values }, options);
}

addEventListener("hashchange", () => { here.value = read(); });
addEventListener("popstate", () => { here.value = read(); });
