"""TLP: the words of version 2, and the fixed ids that STIX gives them."""

from __future__ import annotations

from collections.abc import Iterable

TLP_RANK = ("CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED")

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


def tlp_word(text: object) -> str | None:
    """Return a TLP label in the words of TLP 2, however it is written; None if it is none."""
    if not isinstance(text, str):
        return None
    word = text.strip().upper().removeprefix("TLP:").replace("-", "+").replace(" ", "")
    word = "CLEAR" if word == "WHITE" else word
    return word if word in TLP_RANK else None


def tlp_tag(text: object) -> str | None:
    """Return what a label such as `tlp:amber` says, where it says that it is one; else None."""
    named = isinstance(text, str) and text.strip()[:4].upper() == "TLP:"
    return tlp_word(text) if named else None


def strictest(words: Iterable[str]) -> str | None:
    """Return the strictest of TLP's words; None without any."""
    return max(words, key=TLP_RANK.index, default=None)
