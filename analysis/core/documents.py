"""Conversion between frozen dataclasses and JSON documents, for all files of a results folder, and digests.

A field with the metadata `ABSENT` has no key if it has its default value. The trailing underscore of a field such as
`global_` is not part of the key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from analysis.core.text_files import load_json, one_line

__all__ = ["ABSENT", "digest", "from_json", "parse_json", "to_json"]

T = TypeVar("T")

ABSENT: Mapping[str, Any] = {"absent": True}
"""Metadata of dataclass fields whose key is omitted from JSON documents if they have their default value."""


def to_json(value: Any) -> Any:
    """Turn dataclasses, mappings and sequences of them into JSON-serialisable values."""
    if is_dataclass(value) and not isinstance(value, type):
        return {_key(one): to_json(getattr(value, one.name)) for one in fields(value) if not _left_out(one, value)}
    if isinstance(value, Mapping):
        return {key: to_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(one) for one in value]
    return value


def digest(document: Any) -> str:
    """SHA-256 (first 16 hex digits) of a JSON-serialisable document, independent of key order."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def parse_json(kind: type[T], text: str | bytes) -> T:
    """Read a dataclass from JSON text, with strict type checks; unknown keys are ignored.

    Parameters
    ----------
    kind : type
        Dataclass, or another type that pydantic supports.
    text : str or bytes

    Raises
    ------
    ValueError
        If the text is not JSON, a key repeats, a number is not finite, or a field is missing or has the wrong type. The
        message names the first such place.
    """
    try:
        document = load_json(text, longest=None)
    except ValueError as error:
        msg = str(error) if str(error).startswith("at /") else f"at /: {error}"
        raise ValueError(msg) from error
    try:
        value: T = _adapter(cast("Hashable", kind)).validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        reason = one_line(first["msg"].removeprefix("Value error, "))
        msg = f"at /{'/'.join(_place(first['loc'], document))}: {reason[:1].lower()}{reason[1:]}"
        raise ValueError(msg) from error
    return value


def from_json(kind: type[T], document: Any) -> T:
    """Read a dataclass from the result of `json.loads`. Parameters and errors as for `parse_json`."""
    return parse_json(kind, json.dumps(document))


def _place(location: tuple[int | str, ...], document: Any) -> Iterator[str]:
    """Path of a place in a document: pydantic names the alternatives of a type too, where there are several."""
    node = document
    for number, part in enumerate(location, 1):
        inside = isinstance(node, list) and isinstance(part, int) and part < len(node)
        if inside or (isinstance(node, dict) and part in node):
            node = node[part]
            yield str(part)
        elif number == len(location):  # a missing field
            yield str(part)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _key(field: Field[Any]) -> str:
    return field.name.rstrip("_")


def _left_out(field: Field[Any], value: object) -> bool:
    if not field.metadata.get("absent"):
        return False
    default = field.default_factory() if field.default_factory is not MISSING else field.default
    return bool(getattr(value, field.name) == default)
