// Who is signed in, and what becomes of it when that ends.

import { computed, signal } from "../html.js";

/** Who asks, as GET /v1/session tells it; null: nobody, undefined: not known yet. */
export const me = signal(undefined);
/** True while a session that was there has ended, and its page waits for it to come back. */
export const isExpired = signal(false);
/** Why nobody could be asked who is signed in; null: they could. */
export const trouble = signal(null);

export const analyst = computed(() => me.value?.analyst ?? null);

let waiting = [];
let times = 0;

/** How often somebody has signed in here: what was refused before that may just be asked again. */
export const signIns = () => times;

/** Says whether whoever is signed in has the scope. */
export function may(scope) {
  return Boolean(me.value?.scopes.includes(scope));
}

/** Asks who is signed in. */
export async function load() {
  trouble.value = null;
  try {
    const answer = await fetch("/v1/session", { cache: "no-store" });
    if (answer.ok) me.value = await answer.json();
    else if (answer.status === 401) me.value = null;
    else trouble.value = (await answer.json()).detail || "The service is not ready.";
  } catch {
    trouble.value = "The service cannot be reached.";
  }
}

/** A call was refused as nobody's: the page stays as it is, and asks to sign in over it. */
export function sessionEnded() {
  if (me.value) isExpired.value = true;
}

/** Waits until whoever was signed in is so again. Rejects if they leave instead. */
export function renewed() {
  if (!isExpired.value) return Promise.reject(new Error("Sign in first."));
  return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
}

/** Signs in. Returns what was wrong, null for nothing. */
export async function signIn(name, password, namespace) {
  const body = namespace ? { name, password, namespace } : { name, password };
  let answer;
  try {
    answer = await fetch("/v1/session", {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
    });
  } catch {
    return { detail: "The service cannot be reached." };
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) return { status: answer.status, ...told };
  const before = me.value;
  if (before && (before.name !== told.name || before.namespace !== told.namespace)) {
    location.reload(); // somebody else: nothing of the other's page is theirs
    return null;
  }
  goOn(told);
  return null;
}

function goOn(told) {
  times += 1;
  me.value = told;
  isExpired.value = false;
  settle("resolve");
}

/**
 * Looks who is signed in, as another page of this browser may have changed it: with somebody else
 * this page begins anew, and nothing of the other's is theirs; with the same person it goes on.
 */
export async function checkSame() {
  const before = me.value;
  if (!before) return;
  const answer = await fetch("/v1/session", { cache: "no-store" }).catch(() => null);
  if (answer?.status === 401) sessionEnded();
  if (!answer?.ok || me.value !== before) return;
  const told = await answer.json().catch(() => before);
  if (told.name !== before.name || told.namespace !== before.namespace) location.reload();
  else if (isExpired.value) goOn(told);
}

document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") checkSame(); });
addEventListener("focus", checkSame);

/** Signs out, and forgets everything. */
export async function signOut() {
  const answer = await fetch("/v1/session", { method: "DELETE" }).catch(() => null);
  if (!answer?.ok) return false;
  settle("reject", new Error("Signed out."));
  location.reload();
  return true;
}

function settle(how, why) {
  const all = waiting;
  waiting = [];
  for (const one of all) one[how](why);
}
