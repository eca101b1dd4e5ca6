"""Notes for the reader of a result: cuts that were not applied, and information that a blinded search reveals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.config import SearchConfig
from analysis.events.schema import MISSING_TRIGGER
from analysis.results.process_values import ProcessedDataset

__all__ = ["blinding_note", "selection_notes"]

TABLE = "table"
"""Format of datasets whose events were selected by others."""

LARGE_SHARE, LARGE_RATIO = 0.1, 10.0
"""A weight is extreme if it is at least this part of the sum, and this many times the mean."""


def selection_notes(
    selection: Mapping[str, Any], kinds: Mapping[str, str], records: Mapping[str, ProcessedDataset]
) -> list[str]:
    """List cuts that the selection did not apply although readers could expect them.

    Parameters
    ----------
    selection : mapping
        `SelectionConfig`, dumped.
    kinds : mapping of str to str
        Kind of each dataset.
    records : mapping of str to ProcessedDataset

    Returns
    -------
    list of str
        Plain text: triggers missing from files, extreme generator weights, observed data without jet ID or golden JSON.
    """
    notes = []
    for name, record in records.items():
        for key, events in record.sanity.items():
            if key.startswith(MISSING_TRIGGER) and events:
                where = f"{events} of {record.n_entries} events"
                trigger = key.removeprefix(MISSING_TRIGGER)
                notes.append(f"{name}: {trigger} is not in the files of {where} and counts as not fired there.")
        notes += _weight_notes(name, record)
    selected = [name for name, kind in kinds.items() if kind == "data" and records[name].dataset.get("format") != TABLE]
    if data := ", ".join(selected):
        if selection.get("lumi_mask") is None:
            notes.append(f"{data}: no golden JSON (selection.lumi_mask): all luminosity sections are used.")
        if selection.get("jet_id", "off") == "off":
            notes.append(f"{data}: no jet ID (selection.jet_id = 'off').")
    return notes


def _weight_notes(name: str, record: ProcessedDataset) -> list[str]:
    """Name rows of the cutflow in which one event carries much of the sum of weights, and more than its share."""
    return [
        f"{name}: one event carries {one.share:.0%} of the sum of weights of {one.events} events (row {row}): its "
        f"weight is {one.largest:.3g}, in {one.file}. They count as {one.effective_events:.1f} events of equal weight."
        for row, one in record.weights.items()
        if one.share >= LARGE_SHARE and one.share * one.events >= LARGE_RATIO
    ]


def blinding_note(config: SearchConfig) -> str | None:
    """Return a warning if the thresholds of a blinded search reveal information on the counts inside the windows.

    Parameters
    ----------
    config : SearchConfig

    Returns
    -------
    str or None
        Plain text; None if nothing is revealed.
    """
    if config.learning.threshold_reference != "spectrum":
        return None
    return (
        "Thresholds come from the whole spectrum: how many events pass beside a window tells about "
        'how many pass inside. learning.threshold_reference = "sidebands" keeps that too (docs/blinding.md).'
    )
