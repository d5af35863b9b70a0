"""What the store keeps about noise: rules, and which warninglists there are; as one JSON text."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from periscope.errors import NoiseInvalid, NoiseUnknown, StoreDamaged, StoreUnsuitable
from periscope.models import to_datetime
from periscope.noise.kinds import kinds_of
from periscope.noise.rule import SuppressionRule

FORMAT = 1
MAX_ACTIVE = 500
MAX_ENDED = 200  # the last of them are kept to be looked at
MAX_LISTS = 1_000
MAX_LISTS_BYTES = 256 * 2**20
MAX_INDEX_BYTES = 4 * 2**20


class Warninglist(msgspec.Struct, frozen=True):
    """A warninglist that is loaded: what it is for, how much it holds, when and by whom it came.

    `values` can be used, `left_out` could not (an expression that RE2 has no way to say, an empty
    or overlong value). `size_bytes` is that of its file, `stored_bytes` what it takes in the store.
    """

    name: str
    type: str
    version: str
    description: str
    attributes: tuple[str, ...]
    values: int
    left_out: int
    size_bytes: int
    stored_bytes: int
    digest: str
    pieces: tuple[str, ...]
    loaded_ms: int
    loaded_by: str = ""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The types of indicators that it is for, sorted; none if we have no such indicators."""
        return tuple(sorted(kinds_of(self.attributes)))

    @property
    def loaded(self) -> datetime:
        """When it was loaded, by the server's clock."""
        return to_datetime(self.loaded_ms)


class Index(msgspec.Struct, frozen=True):
    """Rules in the order in which they were added, and lists by name."""

    format: int = FORMAT
    rules: tuple[SuppressionRule, ...] = ()
    lists: tuple[Warninglist, ...] = ()

    @property
    def pieces(self) -> tuple[str, ...]:
        """The names of all pieces of all lists, each once."""
        return tuple(dict.fromkeys(piece for one in self.lists for piece in one.pieces))

    def with_rule(self, rule: SuppressionRule) -> Index:
        """With one more rule; the same again if it is there already.

        Raises:
            NoiseInvalid: there are too many.
        """
        if any(one.id == rule.id for one in self.rules):
            return self
        if sum(one.active for one in self.rules) >= MAX_ACTIVE:
            raise NoiseInvalid(f"more than {MAX_ACTIVE:,} suppression rules; end some first")
        return msgspec.structs.replace(self, rules=(*self.rules, rule))

    def without_rule(self, rule_id: str, analyst: str, now_ms: int) -> Index:
        """With this rule ended; the same again if it was ended before.

        Raises:
            NoiseUnknown: there is none.
        """
        if all(one.id != rule_id for one in self.rules):
            raise NoiseUnknown(f"no suppression rule {rule_id!r}")

        def ended(one: SuppressionRule) -> SuppressionRule:
            if one.id != rule_id or not one.active:
                return one
            return msgspec.structs.replace(one, ended_ms=now_ms, ended_by=analyst)

        rules = [ended(one) for one in self.rules]
        old = sorted(one.ended_ms for one in rules if not one.active)[:-MAX_ENDED]
        kept = tuple(one for one in rules if one.active or one.ended_ms not in old)
        return msgspec.structs.replace(self, rules=kept)

    def with_lists(self, lists: tuple[Warninglist, ...]) -> Index:
        """With these lists, in the place of others of their names.

        Raises:
            NoiseInvalid: they are too many, or too large together.
        """
        named = {one.name: one for one in (*self.lists, *lists)}
        if len(named) > MAX_LISTS:
            raise NoiseInvalid(f"more than {MAX_LISTS:,} warninglists; drop some first")
        size = sum(one.size_bytes for one in named.values())
        if size > MAX_LISTS_BYTES:
            raise NoiseInvalid(
                f"all warninglists together have {size >> 20:,} MiB, more than "
                f"{MAX_LISTS_BYTES >> 20:,}; load fewer, or drop some first"
            )
        return msgspec.structs.replace(self, lists=tuple(named[name] for name in sorted(named)))

    def without_list(self, name: str) -> Index:
        """Without the list of this name.

        Raises:
            NoiseUnknown: there is none.
        """
        kept = tuple(one for one in self.lists if one.name != name)
        if len(kept) == len(self.lists):
            raise NoiseUnknown(f"no warninglist {name!r} is loaded")
        return msgspec.structs.replace(self, lists=kept)


Edit = Callable[[Index], Index]
_decode = msgspec.json.Decoder(Index).decode


class _Format(msgspec.Struct):
    format: int = 0


def encode_index(index: Index) -> bytes:
    """The index as the store keeps it.

    Raises:
        NoiseInvalid: it is too large.
    """
    encoded = msgspec.json.encode(index)
    if len(encoded) > MAX_INDEX_BYTES:
        raise NoiseInvalid("the suppression rules are too large together; end some first")
    return encoded


def decode_index(encoded: bytes) -> Index:
    """The index, from what the store keeps; an empty one where there is nothing.

    Raises:
        StoreUnsuitable: a newer program wrote it. StoreDamaged: it cannot be read.
    """
    if not encoded:
        return Index()
    try:
        if msgspec.json.decode(encoded, type=_Format).format > FORMAT:
            raise StoreUnsuitable("the suppression rules are of a newer Periscope; update this one")
        return _decode(encoded)
    except (msgspec.DecodeError, UnicodeError) as exc:
        raise StoreDamaged(f"the suppression rules cannot be read: {exc}") from None
