// What somebody set for this browser: never content of threats.

import { effect, signal } from "../html.js";

function kept(name, initial) {
  const key = `periscope.${name}`;
  let value = initial;
  try {
    const found = JSON.parse(localStorage.getItem(key)) ?? initial;
    if (typeof found === typeof initial) value = found; // else another version, or a hand, left it
  } catch {
    // Not readable, or not allowed: as if nothing had been set.
  }
  const one = signal(value);
  effect(() => {
    const text = JSON.stringify(one.value);
    try {
      localStorage.setItem(key, text);
    } catch {
      // Not allowed to be kept: it holds until the page is left.
    }
  });
  return one;
}

/** "auto", "light" or "dark". */
export const theme = kept("theme", "auto");
/** Whether single letters do something; off for those whose voice or fingers type too much. */
export const letters = kept("letters", true);
/** Whether the column of filters is open. */
export const facetsOpen = kept("facets", true);
/** Whether the times are drawn over the list; on a small screen the list comes first. */
export const timesOpen = kept("times", matchMedia("(min-width: 761px)").matches);
/** Which parts of a threat's panel are open, by name; those that nobody touched are as they come. */
export const parts = kept("parts", {});

effect(() => { document.documentElement.dataset.theme = theme.value; });
