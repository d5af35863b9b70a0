"""What all errors have in common; the tree of them is drawn in `errors.py`."""

from __future__ import annotations

from typing import Any, ClassVar


class PeriscopeError(Exception):
    """The root: catch this to catch whatever Periscope raises. All of it can be copied."""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[PeriscopeError], args: tuple[Any, ...], more: dict[str, Any]) -> Any:
    """The same error once more; several take what their own `__init__` is not made for again."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(more)
    return error


class OfField:
    """What errors have in common that name a field."""

    def __init__(self, reason: str, *, field: str) -> None:
        super().__init__(reason)  # type: ignore[call-arg]  # of the error that it is mixed into
        self.field = field
