// Which threat is open beside a list: part of the address, so that it can be sent to somebody.

import { signal } from "../html.js";
import { perform } from "../acts/acts.js";
import { change, params } from "../core/route.js";
import { may } from "../core/session.js";

const STAY_MS = 1500;
const AGAIN_MS = 600_000;
const MOST_BACK = 50;
const viewed = new Map();
let timer = 0;

/** Called with a threat's id whenever one is opened; what is beside takes it from `panel.id()`. */
export const opened = signal(null);
// The threats from which one came here, through what is alike; good only while `at` is open.
const trail = signal({ ids: [], at: null });

export const panel = {
  id: () => params.value.t ?? null,
  isOpen: () => params.value.t !== undefined,
  close: () => {
    clearTimeout(timer);
    change({ t: null });
  },
  /** Opens a threat. That is a view once one has asked for it, or stayed with it in `passing`; not without `isView`. */
  open(id, { passing = false, isView = true } = {}) {
    change({ t: id });
    clearTimeout(timer);
    if (isView && may("act")) timer = setTimeout(() => view(id), passing ? STAY_MS : 0);
  },
  /** The threats that `back` leads to, the next one last. */
  before: () => (trail.value.at === panel.id() ? trail.value.ids : []),
  /** Opens one from within another, to which `back` leads. */
  aside(id) {
    trail.value = { ids: [...panel.before(), panel.id()].slice(-MOST_BACK), at: id };
    panel.open(id);
  },
  back() {
    const ids = panel.before();
    if (!ids.length) return;
    trail.value = { ids: ids.slice(0, -1), at: ids.at(-1) };
    panel.open(ids.at(-1), { passing: true });
  },
};

function view(id) {
  const at = performance.now();
  if (at - (viewed.get(id) ?? -AGAIN_MS) < AGAIN_MS) return;
  viewed.set(id, at);
  perform("view", [id], {}, { quiet: true });
}
