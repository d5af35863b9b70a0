"""A warninglist as the store keeps it: compressed, in pieces that hold up nobody."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import msgspec
import zstandard

from periscope.errors import StoreDamaged
from periscope.noise.index import Warninglist
from periscope.noise.warninglist import MAX_FILE_BYTES, ListFile

PIECE_BYTES = 256 * 1024
MAX_UNPACKED_BYTES = 2 * MAX_FILE_BYTES  # values are encoded anew; nearly all get shorter
_LEVEL = 6
_decode = msgspec.json.Decoder(list[str]).decode


def pack_list(listed: ListFile, now_ms: int, by: str) -> tuple[Warninglist, dict[str, bytes]]:
    """What the index says of a list, and its pieces by their names: the digests of their bytes."""
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(msgspec.json.encode(listed.values))
    pieces = {
        _digest(piece): piece
        for start in range(0, len(packed), PIECE_BYTES)
        for piece in (packed[start : start + PIECE_BYTES],)
    }
    about = Warninglist(
        name=listed.name,
        type=listed.type,
        version=listed.version,
        description=listed.description,
        attributes=listed.attributes,
        values=len(listed.values),
        left_out=listed.left_out,
        size_bytes=listed.size_bytes,
        stored_bytes=len(packed),
        digest=_digest(packed + repr((listed.name, listed.type, listed.attributes)).encode()),
        pieces=tuple(pieces),
        loaded_ms=now_ms,
        loaded_by=by,
    )
    return about, pieces


def unpack_list(about: Warninglist, pieces: Sequence[bytes]) -> ListFile:
    """The list again.

    Raises:
        StoreDamaged: the pieces are not those of this list.
    """
    packed = b"".join(pieces)
    try:
        with zstandard.ZstdDecompressor().stream_reader(packed) as stream:
            data = stream.read(MAX_UNPACKED_BYTES + 1)
        values = _decode(data)
    except (zstandard.ZstdError, msgspec.DecodeError, UnicodeError) as exc:
        raise StoreDamaged(f"warninglist {about.name!r} cannot be read: {exc}") from None
    return ListFile(
        *(about.name, about.type, about.version, about.description, about.attributes),
        values=values,
        left_out=about.left_out,
        size_bytes=about.size_bytes,
    )


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()
