// One's own account: who one is here, and one's password.

import { html, useState } from "../html.js";
import { put } from "../core/api.js";
import { moment } from "../core/format.js";
import { letters, theme } from "../core/prefs.js";
import { me, sessionEnded } from "../core/session.js";
import { line } from "../core/text.js";
import { say, useSending, Wrong } from "../ui/dialog.js";

const EMPTY = { old_password: "", password: "", again: "" };
const FIELDS = [["old_password", "The password that you have", "current-password"], ["password", "The new one, 12 characters or more", "new-password"],
  ["again", "The new one again", "new-password"]];
const THEMES = [["auto", "as the system"], ["light", "light"], ["dark", "dark"]];

export default function Account() {
  const { name, namespace, scopes, analyst, expires_ms: expires, kind } = me.value;
  return html`<div class="page records"><header><h1>Your account</h1></header><div class="cards">
    <section class="card" aria-labelledby="who"><h2 id="who">Who you are here</h2><dl class="told">
      <div><dt>Name</dt><dd><bdi>${line(name, 120)}</bdi></dd></div><div><dt>Namespace</dt><dd><bdi>${line(namespace, 120)}</bdi></dd></div>
      <div><dt>On record as</dt><dd><bdi>${line(analyst ?? "–", 120)}</bdi></dd></div><div><dt>May</dt><dd>${scopes.join(", ")}</dd></div>
      <div><dt>Signed in until</dt><dd>${moment(expires)}</dd></div></dl></section>
    ${kind === "account" && html`<${Password} name=${name} />`}
    <section class="card" aria-labelledby="browser"><h2 id="browser">In this browser</h2>
      <label class="field">Colours<select onChange=${(event) => { theme.value = event.target.value; }}>${THEMES.map(([one, text]) => html`<option
        key=${one} value=${one} selected=${one === theme.value}>${text}</option>`)}</select></label>
      <label class="choice"><input type="checkbox" checked=${letters.value} onChange=${(event) => { letters.value = event.target.checked; }} />
        Single-key shortcuts</label></section></div></div>`;
}

function Password({ name }) {
  const [value, set] = useState(EMPTY);
  const form = useSending();
  const differs = value.again !== "" && value.again !== value.password;
  const submit = async (event) => {
    event.preventDefault();
    const { again, ...body } = value;
    if (again !== body.password) return;
    if (!await form.send(() => put(`/v1/accounts/${encodeURIComponent(name)}/password`, body))) return;
    set(EMPTY);
    say("Your password is changed, and all your sessions have ended: sign in with the new one.", { kind: "done" });
    sessionEnded();
  };
  return html`<section class="card" aria-labelledby="password"><h2 id="password">Change your password</h2><form onSubmit=${submit}>
    <input type="text" class="unseen" tabindex="-1" aria-hidden="true" autocomplete="username" readonly value=${name} />
    ${FIELDS.map(([field, label, kind]) => html`<label class="field" key=${field}>${label}<input type="password" required maxlength="1024"
      minlength=${field === "old_password" ? null : 12} autocomplete=${kind} value=${value[field]}
      aria-invalid=${form.isWrong(field) || (field === "again" && differs)} onInput=${(event) => set({ ...value, [field]: event.target.value })} /></label>`)}
    ${differs && html`<p class="wrong" role="alert">The two are not the same.</p>`}<${Wrong} problem=${form.problem} />
    <footer><button class="main" type="submit" disabled=${form.busy || differs}>Change it</button></footer></form></section>`;
}
