// Starts the page.

import { html, render } from "./html.js";
import { App } from "./shell/app.js";
import { load } from "./core/session.js";

const place = document.getElementById("app");
place.replaceChildren();
render(html`<${App} />`, place);
load();
