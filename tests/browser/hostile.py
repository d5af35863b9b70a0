"""What an attacker writes into a report, and how a page looks that made nothing of it."""

from __future__ import annotations

from typing import Any

from tests.browser.seat import Seat

RAN = "window.__ran=1"
MARKUP = (
    f"<script>{RAN}</script>",
    f"<img src=x onerror={RAN}>",
    f"\"'><svg onload={RAN}><math><mtext></form><style><img src=x onerror={RAN}></style>",
    f"</title></textarea></pre></bdi></style><script>{RAN}</script>",
    f"<iframe srcdoc='<script>parent.{RAN}</script>'></iframe><object data=//evil.example/a>",
    "</style><style>*{display:none!important;background:url(//evil.example/a.png)}</style>",
    "<base href=//evil.example/><meta http-equiv=refresh content='0;url=//evil.example/'>",
    "<link rel=stylesheet href=//evil.example/a.css><video src=//evil.example/v autoplay>",
    f"<a href=javascript:{RAN} onclick={RAN} style=position:fixed;inset:0>press me</a>",
)
TEMPLATES = (
    f"${{{RAN}}}{{{{constructor.constructor('{RAN}')()}}}}<%= 7*7 %>#{{7*7}}[[7*7]]",
    "<${Text} of=${1} /><//>",
    '{"type":"script","props":{"dangerouslySetInnerHTML":{"__html":"<img src=x onerror=1>"}},'
    '"key":null,"ref":null,"__v":1}',
    "display:none;background:url(https://evil.example/a.png);expression(alert(1))",
    '[data-id="x"],.row:not(*){}#a>b~c+d',
)
NAMES = ("__proto__", "constructor", "toString", "hasOwnProperty", "valueOf", "then", "toJSON")
TURNED = (
    "invoice\u202efdp.exe\u202c",
    "\u2067\u202d\u2066",
    "אבגד ערבית 123",
    "شركة 42 ضارة",
    "\u200f\u200e\u061c-",
)
UNSEEN = (
    "pay\u200bpal\u200d\ufeff\u00ad",
    "a\U000e0041\U000e0042\ufe01\u2800\u3164\ufffc",
    "one\r\ntwo\tthree\u2028four\x85\x1b[31m\x07",
)
PILED = "z" + "\u0335\u0321\u0336\u0489" * 80
LONG = "L" * 56_000
LINKS = (
    f"javascript:{RAN}//",
    f"JaVaScRiPt\t:{RAN}",
    f"data:text/html,<script>{RAN}</script>",
    "vbscript:msgbox(1)",
    "file:///etc/passwd",
    "blob:https://evil.example/1",
    "https://ada:secret@evil.example/",
    "https://good.example@evil.example/",
    "https://xn--pple-43d.example/",
    "https://\u0430pple.example/",
    "//evil.example/a",
    "https:\\\\evil.example\\@good.example/",
    "http://[::1]/v1/session",
    f"https://evil.example/?q=<script>{RAN}</script>#\"'>",
)
TEXTS = (*MARKUP, *TEMPLATES, *NAMES, *TURNED, *UNSEEN, PILED, LONG, *LINKS)
IDS = (
    *MARKUP[:3],
    *NAMES,
    "a/b?c=d#e%2Fe&f=g",
    "%2e%2e%2fsession",
    "x\r\nSet-Cookie: a=b",
    '"].row,\\"',
    "..",
    ".",
    "שלום 12 34",
    "gpj\u202eexe.",
    PILED[:200],
    "I" * 512,
)
ODD: tuple[Any, ...] = (
    {"toString": 1, "valueOf": 2},
    {"type": "script", "props": {"children": RAN}, "constructor": None},
    {"__proto__": {"polluted": True}, "constructor": {"prototype": {"polluted": True}}},
    ["<b>", ["<i>", [None, {"then": "x"}]]],
    True,
    -0.0,
    1e308,
    "",
)
"""What stands where a text is expected."""


def report(threat_id: str, text: str, **more: Any) -> dict[str, Any]:
    """A report of which every field is one text."""
    short = text[:200]
    return {
        "threat_id": threat_id,
        "content": text[:60_000] or "-",
        "severity": "HIGH",
        "source": text[:100].strip() or "-",
        "metadata": {
            "title": text,
            "tags": [short, f"tag {short}"],
            "tlp": short,
            "industry": short,
            "indicators": [{"type": short, "value": text[:2000]}, {"type": "url", "value": short}],
            "references": [text[:2000]],
            text[:100]: {text[:100]: [text[:500]]},
        },
        **more,
    }


FOUND = r"""() => {
  const all = [...document.querySelectorAll("*")];
  const many = (selector) => document.querySelectorAll(selector).length;
  const those = (fits) => all.filter(fits).map((one) => one.outerHTML.slice(0, 200));
  const isHandled = (one) => [...one.attributes].some((each) => /^on/i.test(each.name));
  const isOurs = (one) => one.getAttribute("href").startsWith("#")
    || (/^https?:/.test(one.href) && /noreferrer/.test(one.rel) && one.target === "_blank");
  return {
    ran: "__ran" in window || "polluted" in {},
    scripts: many("script"),
    media: many("img, picture, video, audio, embed, object, iframe, frame"),
    others: many("base, style, math, template"),
    heads: many("body link, body meta, body title:not(svg title), body script"),
    handlers: those(isHandled),
    drawn: those((one) => /url\(|expression/i.test(one.getAttribute("style") ?? "")),
    links: those((one) => one.matches("a[href]") && !isOurs(one)),
    foreign: those((one) => one instanceof HTMLUnknownElement || one.localName.includes("-")),
    title: / · Periscope$/.test(document.title) ? "" : document.title,
    wide: Math.max(0, document.documentElement.scrollWidth - innerWidth),
    empty: document.querySelector("#app").childElementCount === 0,
  };
}"""
HARMLESS = {
    "ran": False,
    "scripts": 1,
    "media": 0,
    "others": 0,
    "heads": 0,
    "handlers": [],
    "drawn": [],
    "links": [],
    "foreign": [],
    "title": "",
    "wide": 0,
    "empty": False,
}


async def assert_harmless(seat: Seat, where: str) -> None:
    """Nothing of what others wrote may have become anything but text."""
    found = await seat.page.evaluate(FOUND)
    odd = {name: value for name, value in found.items() if value != HARMLESS[name]}
    assert odd == {}, (where, odd)
    assert seat.faults == [], (where, seat.faults)
