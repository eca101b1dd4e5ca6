"""Variants of a search: the events of its results folder, each in a results folder of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from analysis.compute import Backend
from analysis.core.documents import to_json
from analysis.core.location import RemotePath
from analysis.results import ResultsFolder
from analysis.results.compared.variants import variant_folder
from analysis.results.selected_events import point_to_events
from analysis.stages.diagnose import diagnose
from analysis.stages.figures import compare
from analysis.stages.inputs import SearchInputs
from analysis.stages.scan import scan

__all__ = ["compare_variants", "scan_variants"]


def scan_variants(inputs: SearchInputs, backend: Backend) -> list[SearchInputs]:
    """Search the variants of a configuration one after the other; windows already on disk are reused.

    Parameters
    ----------
    inputs : SearchInputs
        Of the search.
    backend : Backend

    Returns
    -------
    list of SearchInputs
        One per variant, with its folder.
    """
    variants = list(_variants(inputs))
    for variant in variants:
        scan(variant, backend)
        diagnose(variant, backend)
    return variants


def compare_variants(inputs: SearchInputs, variants: Sequence[SearchInputs], backend: Backend) -> None:
    """Draw the search and its variants, if any, in common figures, in `comparison` of its folder."""
    if variants:
        folders = [inputs.folder, *(variant.folder for variant in variants)]
        compare(folders, inputs.config, backend, inputs.folder.path / "comparison")


def _variants(inputs: SearchInputs) -> Iterator[SearchInputs]:
    parts = inputs.events.parts_folder(inputs.folder)
    for variant in inputs.config.variants:
        folder = ResultsFolder(variant_folder(inputs.folder, variant.name), create=True)
        record = replace(inputs.folder.load_process(), parts=str(parts.absolute()))
        folder.save_process(to_json(record))
        # With the secrets of an address, which are stored nowhere.
        location = parts.root if isinstance(parts, RemotePath) else str(parts.absolute())
        events = replace(inputs.events, location=location)
        point_to_events(folder, events)
        yield SearchInputs(events, inputs.config.variant(variant), folder)
