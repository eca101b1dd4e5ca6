"""Dataclasses as JSON and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import pytest
from pydantic import Field

from analysis.core.documents import ABSENT, from_json, parse_json, to_json


@dataclass(frozen=True)
class Part:
    value: float
    name: str | None = None


@dataclass(frozen=True)
class Lost:
    reason: str


@dataclass(frozen=True)
class Whole:
    parts: tuple[Part, ...]
    by_name: Mapping[str, tuple[float | None, ...]]
    pair: tuple[float, float]
    global_: Annotated[Part, Field(alias="global")]
    further: Part | None = field(default=None, metadata=ABSENT)
    notes: tuple[str, ...] = field(default=(), metadata=ABSENT)
    either: tuple[Part | Lost, ...] = field(default=(), metadata=ABSENT)


WHOLE = Whole((Part(1.5), Part(2.0, "b")), {"a": (1.0, None)}, (0.0, 1.0), Part(3.0))
DOCUMENT = {
    "parts": [{"value": 1.5, "name": None}, {"value": 2.0, "name": "b"}],
    "by_name": {"a": [1.0, None]},
    "pair": [0.0, 1.0],
    "global": {"value": 3.0, "name": None},
}


def test_a_value_is_its_document_and_back() -> None:
    assert to_json(WHOLE) == DOCUMENT
    assert from_json(Whole, DOCUMENT) == WHOLE
    assert parse_json(Whole, json.dumps(to_json(WHOLE))) == WHOLE


def test_fields_that_may_be_absent_have_a_key_only_with_a_value() -> None:
    filled = replace(WHOLE, further=Part(0.0), notes=("n",))
    assert to_json(filled).keys() - DOCUMENT.keys() == {"further", "notes"}
    assert from_json(Whole, to_json(filled)) == filled


def test_numbers_come_back_to_the_last_digit() -> None:
    values = (0.1 + 0.2, 1e-310, 123456789.123456789, 2.0**60)
    assert tuple(parse_json(tuple[float, ...], json.dumps(to_json(values)))) == values


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parts": [{"value": 1.0}, {"value": "2"}]}, "at /parts/1/value: input should be a valid number"),
        ({"pair": [1.0]}, "at /pair/1: field required"),
        ({"by_name": {"a": 1.0}}, "at /by_name/a: input should be a valid array"),
        ({"global": None}, "at /global: input should be an object"),
        ({"either": [{"reason": "r"}, {"value": "x"}]}, "at /either/1/value: input should be a valid number"),
    ],
)
def test_the_first_wrong_place_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_json(Whole, {**DOCUMENT, **change})


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"parts": []}', "\x00", b"\xff\xfe"])
def test_what_is_no_such_document_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"^at /"):
        parse_json(Whole, text)


def test_keys_of_a_later_version_are_ignored() -> None:
    assert from_json(Whole, {**DOCUMENT, "new": 1}) == WHOLE
