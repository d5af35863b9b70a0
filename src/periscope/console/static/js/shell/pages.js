// The pages: fetched when they are first gone to.

/** Name, title, the key after `g` (none: it has no place in the bar), and the scope without which it is not shown. */
export const PAGES = [
  { name: "queue", title: "Queue", key: "q", load: () => import("../pages/board.js") },
  { name: "overdue", title: "Overdue", key: "o", load: () => import("../pages/board.js"), part: "Overdue" },
  { name: "knowledge", title: "Knowledge", key: "k", load: () => import("../pages/knowledge.js") },
  { name: "dashboard", title: "Dashboard", key: "d", load: () => import("../pages/dashboard.js") },
  { name: "feeds", title: "Feeds", key: "f", load: () => import("../pages/feeds.js") },
  { name: "suppressions", title: "Suppressions", key: "s", load: () => import("../pages/suppressions.js") },
  { name: "audit", title: "Audit", key: "u", load: () => import("../pages/audit.js"), scope: "admin" },
  { name: "admin", title: "Admin", key: "a", load: () => import("../pages/admin.js"), scope: "admin" },
  { name: "account", title: "Your account", load: () => import("../pages/account.js") },
];

const loaded = new Map();
const coming = new Set();

/** Returns a page's component once it is here, null before; `onLoaded` is called when it has come. */
export function pageOf(name, onLoaded) {
  const found = loaded.get(name);
  if (!found && !coming.has(name)) fetchPage(name).then(onLoaded);
  return found ?? null;
}

/** Resolves to what is wrong, undefined for nothing. */
async function fetchPage(name) {
  coming.add(name);
  const { load, part = "default" } = PAGES.find((one) => one.name === name);
  try {
    loaded.set(name, (await load())[part]);
    return undefined;
  } catch {
    return new Error("This page could not be fetched. Is the service there?");
  } finally {
    coming.delete(name);
  }
}
