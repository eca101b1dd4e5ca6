"""Frozen dataclasses as JSON documents and back: one way for every file of a results folder.

A field with the metadata `ABSENT` leaves no key while it has its default. The trailing underscore of a field such as
`global_` is not part of the key.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

__all__ = ["ABSENT", "from_json", "parse_json", "to_json"]

T = TypeVar("T")

ABSENT: Mapping[str, Any] = {"absent": True}
"""Metadata of dataclass fields whose key JSON documents lack while they have their default."""


def to_json(value: Any) -> Any:
    """Turn dataclasses, mappings and sequences of them into what `json.dumps` takes."""
    if is_dataclass(value) and not isinstance(value, type):
        return {_key(one): to_json(getattr(value, one.name)) for one in fields(value) if not _left_out(one, value)}
    if isinstance(value, Mapping):
        return {key: to_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(one) for one in value]
    return value


def parse_json(kind: type[T], text: str | bytes) -> T:
    """Read a dataclass from JSON text. Types are checked strictly; unknown keys are ignored.

    Parameters
    ----------
    kind : type
        Dataclass, or another type that pydantic knows.
    text : str or bytes

    Raises
    ------
    ValueError
        If the text is no JSON, or a field is missing or of another type. The message names the first such place.
    """
    try:
        value: T = _adapter(cast("Hashable", kind)).validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = "/".join(str(part) for part in first["loc"])
        msg = f"at /{place}: {first['msg'].lower()}"
        raise ValueError(msg) from error
    return value


def from_json(kind: type[T], document: Any) -> T:
    """Read a dataclass from what `json.loads` returns. Parameters and errors are those of `parse_json`."""
    return parse_json(kind, json.dumps(document))


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _key(one: Field[Any]) -> str:
    return one.name.rstrip("_")


def _left_out(one: Field[Any], value: object) -> bool:
    if not one.metadata.get("absent"):
        return False
    default = one.default_factory() if one.default_factory is not MISSING else one.default
    return bool(getattr(value, one.name) == default)
