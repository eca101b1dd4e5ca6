"""What the variants of a search found, from their own results folders."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.config import SearchConfig, Variant
from analysis.learning import selection_text
from analysis.results.compared.searches import FolderLooks
from analysis.results.folder import ResultsFolder
from analysis.results.values import Results
from analysis.results.words import largest_excess, window_text

__all__ = ["VariantFound", "found_by_variants", "variant_folder"]

SEARCH = "the search"
"""Label of the search that has variants, beside them."""


@dataclass(frozen=True)
class VariantFound:
    """Largest excess of a search or one of its variants.

    Attributes
    ----------
    name : str
        Of the variant; `SEARCH` for the search itself.
    changed : str
        Settings that replace those of the search, such as "learning.method = salad".
    place : str
        Window and selection of the largest excess; empty while blinded, and without one.
    looks : FolderLooks or None
        Its significance, and the global p-value of this search alone; None while blinded, and without one.
    failed : int
        Number of windows that failed or are incomplete.
    """

    name: str
    changed: str
    place: str
    looks: FolderLooks | None
    failed: int

    @classmethod
    def of(cls, name: str, changed: str, results: Results) -> VariantFound:
        """Read from the results."""
        largest = None if results.blinded else largest_excess(results.windows)
        place = "" if largest is None else f"{window_text(largest.window)}, {selection_text(largest.selection.name)}"
        failed = sum(window.status != "ok" for window in results.windows)
        return cls(name, changed, place, FolderLooks.of(name, results), failed)


def variant_folder(folder: ResultsFolder, name: str) -> Path:
    """Return the path of the results folder of a variant."""
    return folder.path / "variants" / name


def found_by_variants(folder: ResultsFolder, config: SearchConfig, results: Results) -> list[VariantFound]:
    """Return what a search and its finished variants found; empty if it has none.

    Parameters
    ----------
    folder : ResultsFolder
        Of the search.
    config : SearchConfig
    results : Results
        Of the search.
    """
    found = []
    for variant in config.variants:
        path = variant_folder(folder, variant.name)
        if path.is_dir() and (own := ResultsFolder(path)).has_results:
            found.append(VariantFound.of(variant.name, _changed(variant), own.read_results()))
    return [VariantFound.of(SEARCH, "", results), *found] if found else []


def _changed(variant: Variant) -> str:
    return ", ".join(
        f"{section}.{key} = {_text(value)}"
        for section, values in variant.sections.items()
        for key, value in values.items()
    )


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return ", ".join(map(_text, value))
    return json.dumps(value, ensure_ascii=False)
