// Everything around a page.

import { Choice } from "../acts/choose.js";
import { tick } from "../core/clock.js";
import { bind } from "../core/keys.js";
import { go, page } from "../core/route.js";
import { loadPolicy } from "../core/score.js";
import { isExpired, load, may, me, signIn, signOut, trouble } from "../core/session.js";
import { line } from "../core/text.js";
import { effect, html, useEffect, useRef, useState } from "../html.js";
import { listen, start } from "../live/live.js";
import { commands, Overlay, Palette } from "./help.js";
import { PAGES, pageOf } from "./pages.js";
import { TopBar } from "./top-bar.js";
import { Confirm, Dialog, Toasts } from "../ui/dialog.js";
import { Trouble } from "../ui/parts.js";

// The focus is never lost: where what had it goes away, it goes back to the list, or to the page.

let last = null;

function keep() {
  if (last === null || last.isConnected || document.activeElement !== document.body) return;
  const place = document.querySelector('.row[tabindex="0"]') ?? document.getElementById("main");
  place?.focus({ preventScroll: true });
}

addEventListener("focusin", (event) => { last = event.target; });
addEventListener("focusout", () => requestAnimationFrame(keep));
// Not every browser tells of what is taken away with the focus in it.
effect(() => {
  tick.value;
  keep();
});

// Signing in: alone on the page, or over it where a session has ended.

function SignIn({ again = false }) {
  if (again) {
    return html`<${Dialog} title="Your session has ended" name="sign-in" onClose=${null}>
      <p>Sign in again: all that stands here, and what you have written, is as you left it.</p><${Form} fixed=${me.value.name} /></${Dialog}>`;
  }
  return html`<section class="sign-in" aria-labelledby="sign-in"><h1 id="sign-in">Periscope</h1><${Form} /></section>`;
}

function Form({ fixed = null }) {
  const form = useRef(null);
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const [needsNamespace, setNeeds] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    const given = new FormData(form.current);
    setBusy(true);
    const wrong = await signIn(fixed ?? given.get("name"), given.get("password"), given.get("namespace") ?? me.value?.namespace);
    setBusy(false);
    setProblem(wrong);
    if (wrong?.field === "namespace") setNeeds(true);
  };
  return html`<form ref=${form} onSubmit=${submit}>
    <label class="field">Name<input name="name" autocomplete="username" autocapitalize="off" spellcheck=${false} required autofocus=${!fixed}
      value=${fixed ?? ""} readonly=${fixed !== null} /></label>
    <label class="field">Password<input name="password" type="password" autocomplete="current-password" required autofocus=${fixed !== null} /></label>
    ${needsNamespace && html`<label class="field">Namespace<input name="namespace" required /></label>`}
    ${problem && html`<p class="wrong" role="alert">${line(problem.detail ?? problem.title ?? "That did not work.")}</p>`}
    <footer>${fixed && html`<button type="button" class="quiet" onClick=${signOut}>Sign out instead</button>`}
      ${document.documentElement.dataset.signOn === "yes" && html`<a class="button" href="/v1/session/oidc">Single sign-on</a>`}
      <button class="main" type="submit" disabled=${busy}>Sign in</button></footer></form>`;
}

export function App() {
  if (trouble.value) return html`<main class="alone"><${Trouble} problem=${{ message: trouble.value }} onAgain=${load} /></main>`;
  if (me.value === undefined) return null;
  if (me.value === null) return html`<main class="alone"><${SignIn} /></main>`;
  return html`<${Inside} />`;
}

function Inside() {
  useEffect(() => {
    start();
    loadPolicy();
    const ends = [bind("Go to", places()), bind("Everywhere", commands()), listen(onNews)];
    return () => ends.forEach((end) => end());
  }, []);
  return html`<a class="skip" href="#main" onClick=${skip}>Skip to the list</a>
    <${TopBar} />
    <main id="main" tabindex="-1"><${Page} name=${page.value} key=${page.value} /></main>
    <${Toasts} /><${Choice} /><${Overlay} /><${Palette} /><${Confirm} />
    ${isExpired.value && html`<${SignIn} again />`}`;
}

function Page({ name }) {
  const [problem, set] = useState(null);
  const [, again] = useState(0);
  const one = PAGES.find((each) => each.name === name);
  useEffect(() => {
    document.title = `${one?.title ?? "Periscope"} · Periscope`;
  }, [name]);
  if (!one || (one.scope && !may(one.scope))) return html`<p class="empty">There is no such page here.</p>`;
  if (problem) return html`<${Trouble} problem=${problem} onAgain=${() => location.reload()} />`;
  const Found = pageOf(name, (error) => (error ? set(error) : again((many) => many + 1)));
  return Found ? html`<${Found} />` : html`<p class="empty" aria-busy="true"></p>`;
}

function skip(event) {
  event.preventDefault();
  (document.querySelector('.row[tabindex="0"]') ?? document.getElementById("main")).focus();
}

const places = () => PAGES.map((one) => ({
  keys: one.key ? [`g ${one.key}`] : [], label: one.title, run: () => go(one.name), when: () => !one.scope || may(one.scope),
}));

/** The rules changed, or may have: scores are reckoned by them. */
function onNews(news) {
  if (news.kind === "again" || news.counts.policy) loadPolicy();
}
