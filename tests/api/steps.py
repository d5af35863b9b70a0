"""A step of a day of the service."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Of:
    """A value that the answer of an earlier step holds."""

    def __init__(self, operation: str, *fields: str) -> None:
        self._operation = operation
        self._fields = fields

    def found(self, answers: Mapping[str, Any]) -> str:
        """The value."""
        told: Any = answers[self._operation].json()
        for name in self._fields:
            told = told[name]
        return str(told)


class Step(NamedTuple):
    """A request: the operation's name, what stands for its parameters, its body."""

    operation: str
    path: Mapping[str, str | Of] = MappingProxyType({})
    query: Mapping[str, Any] = MappingProxyType({})
    body: Any = None

    def path_of(self, answers: Mapping[str, Any]) -> dict[str, str]:
        """What stands for the parameters of the path, after these answers."""
        return {
            name: value.found(answers) if isinstance(value, Of) else value
            for name, value in self.path.items()
        }
