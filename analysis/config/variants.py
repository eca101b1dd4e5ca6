"""Variants of a search: the same events and windows, with other settings of training, background or statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator

from analysis.config.model import Model

__all__ = ["Variant", "overlay", "replaced_section"]

Section = TypeVar("Section", bound=BaseModel)


class Variant(Model):
    """A further search of the same events and windows, made by `cwola run` and `cwola scan` after the search itself.

    Attributes
    ----------
    name : str
        Name of its folder, in `variants` of the results folder.
    learning, background, statistics : dict
        Settings that replace those of the search.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    learning: dict[str, Any] = Field(default_factory=dict)
    background: dict[str, Any] = Field(default_factory=dict)
    statistics: dict[str, Any] = Field(default_factory=dict)

    @property
    def sections(self) -> dict[str, dict[str, Any]]:
        """Settings by section, without empty ones."""
        return {name: value for name in ("learning", "background", "statistics") if (value := getattr(self, name))}

    @model_validator(mode="after")
    def _differs(self) -> Variant:
        if not self.sections:
            msg = f"variant '{self.name}' changes nothing: give it settings of learning, background or statistics"
            raise ValueError(msg)
        return self


def overlay(base: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """Replace values of nested tables."""
    merged = dict(base)
    for key, value in update.items():
        below = merged.get(key)
        merged[key] = overlay(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def replaced_section(section: Section, update: Mapping[str, Any], where: str) -> Section:
    """Validate a section with some values replaced.

    Parameters
    ----------
    section : pydantic.BaseModel
    update : mapping
    where : str
        Path of the values, for messages.

    Raises
    ------
    ValueError
        If a key is unknown, or a value is not allowed.
    """
    try:
        return type(section).model_validate(overlay(section.model_dump(), update))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        keys = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            msg = f"unknown key '{where}.{keys}'"
        else:
            msg = f"{where}.{keys}: {first['msg']}"
        raise ValueError(msg) from error
