"""What an input format is, and the registry of formats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from analysis.config import SelectionConfig
from analysis.errors import DatasetError
from processors.objects import Dijets

__all__ = ["ADAPTERS", "Adapter", "adapter", "find_adapter"]

Reader = Callable[[Any, SelectionConfig], Dijets]


@dataclass(frozen=True)
class Adapter:
    """How one file format is read.

    Attributes
    ----------
    name : str
        Value of `format` in `datasets.json`.
    schema : type
        coffea schema that names the branches.
    read : callable
        (events, SelectionConfig) -> Dijets, for one chunk.
    generator_sum : callable or None
        Path -> sum of generator weights before any skim as the file records it, or None where it does not.
    """

    name: str
    schema: type
    read: Reader
    generator_sum: Callable[[str], float | None] | None = None


ADAPTERS: dict[str, Adapter] = {}
"""Adapters by format name."""


def adapter(
    name: str, *, schema: type, generator_sum: Callable[[str], float | None] | None = None
) -> Callable[[Reader], Reader]:
    """Register a function as the adapter of a format; see `Adapter` for the arguments."""

    def register(read: Reader) -> Reader:
        ADAPTERS[name] = Adapter(name, schema, read, generator_sum)
        return read

    return register


def find_adapter(name: str, dataset: str) -> Adapter:
    """Look up the adapter of a format, which a dataset asks for.

    Raises
    ------
    DatasetError
        If there is none.
    """
    if name not in ADAPTERS:
        msg = (
            f"dataset '{dataset}': there is no input format '{name}'. Formats: {', '.join(sorted(ADAPTERS))}. Correct "
            "metadata.format in the datasets file."
        )
        raise DatasetError(msg)
    return ADAPTERS[name]
