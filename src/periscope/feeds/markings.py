"""What STIX objects say about others: the names of identities, and TLP markings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

TLP_RANK = ("CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED")
MAX_KEPT = 50_000
"""Identities and markings remembered while reading one bundle: about 25 MB at worst."""
MAX_NAME_CHARS = 256

PREDEFINED = {
    "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": "CLEAR",
    "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": "GREEN",
    "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": "AMBER",
    "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": "RED",
    "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487": "CLEAR",
    "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb": "GREEN",
    "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421": "AMBER",
    "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003": "AMBER+STRICT",
    "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1": "RED",
}
"""The ids that OASIS fixed for TLP 1 (first four) and TLP 2."""


class _Head(msgspec.Struct):
    type: Any = None
    id: Any = None
    name: Any = None
    definition: Any = None
    extensions: Any = None


class Context:
    """Names of identities and TLP of markings, by id, as far as a bundle states them."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.tlp: dict[str, str] = dict(PREDEFINED)
        self._decode = msgspec.json.Decoder(_Head).decode

    def learn(self, raw: bytes) -> None:
        """Remember an identity or marking definition; pass over anything else."""
        try:
            head = self._decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        if not isinstance(head.id, str) or len(self.names) + len(self.tlp) > MAX_KEPT:
            return
        if head.type == "identity" and isinstance(head.name, str):
            self.names[head.id] = head.name[:MAX_NAME_CHARS]
        elif head.type == "marking-definition":
            word = _stated(head)
            if word:
                self.tlp.setdefault(head.id, word)

    def strictest(self, refs: object) -> str | None:
        """Return the strictest TLP among marking ids; None if none of them is one."""
        found = [self.tlp[ref] for ref in _texts(refs) if ref in self.tlp]
        return max(found, key=TLP_RANK.index, default=None)


def _stated(head: _Head) -> str | None:
    stated = [head.definition.get("tlp")] if isinstance(head.definition, dict) else []
    if isinstance(head.extensions, dict):
        stated += [
            part.get("tlp_2_0") for part in head.extensions.values() if isinstance(part, dict)
        ]
    words = [tlp_word(text) for text in stated]
    return next(filter(None, words), None)


def tlp_word(text: object) -> str | None:
    """Return a TLP label in the words of TLP 2, however it is written; None if it is none."""
    if not isinstance(text, str):
        return None
    word = text.strip().upper().removeprefix("TLP:")
    word = "CLEAR" if word == "WHITE" else word
    return word if word in TLP_RANK else None


def _texts(value: object) -> Iterable[str]:
    return (one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
