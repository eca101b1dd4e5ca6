"""Notes for the reader: cuts that were not made, weights that are too large."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.core.documents import from_json
from analysis.results.process_values import ProcessedDataset
from analysis.results.wording.notes import selection_notes


def record(n_entries: int, sanity: dict[str, int], weights: dict[str, Any] | None = None) -> ProcessedDataset:
    nothing: dict[str, Any] = {"cutflow": {}, "n_minus_one": {}, "dataset": {}}
    nothing |= {"parts": [], "sum_of_weights": None, "files": [], "skipped_files": []}
    return from_json(ProcessedDataset, {"n_entries": n_entries, "sanity": sanity, "weights": weights or {}, **nothing})


def test_notes_tell_missing_triggers_and_what_is_not_applied_to_data() -> None:
    records = {"data": record(50, {"without_HLT_A": 20, "undefined_tau21": 3}), "qcd": record(9, {"without_HLT_A": 0})}
    kinds = {"data": "data", "qcd": "background"}
    trigger, lumi, jet_id = selection_notes({"jet_id": "off", "lumi_mask": None}, kinds, records)
    assert trigger == "data: HLT_A is not in the files of 20 of 50 events and counts as not fired there."
    assert lumi.startswith("data: no golden JSON")
    assert jet_id.startswith("data: no jet ID")
    assert selection_notes({"jet_id": "tight", "lumi_mask": "/golden.json"}, kinds, records) == [trigger]
    assert selection_notes({"jet_id": "off", "lumi_mask": None}, {"qcd": "pseudodata"}, {"qcd": records["qcd"]}) == []


@pytest.mark.parametrize(
    ("events", "share", "told"),
    [(1000, 0.5, True), (200, 0.1, True), (1000, 0.099, False), (99, 0.1, False), (5, 0.6, False), (1, 1.0, False)],
)
def test_a_dominating_weight_is_told(events: int, share: float, told: bool) -> None:
    """Among few events, one may carry much of the sum with an ordinary weight."""
    largest = {"events": events, "effective_events": 3.2, "largest": 4.5e6, "share": share, "file": "b.root"}
    records = {"qcd": record(events, {}, {"search": largest})}
    notes = selection_notes({}, {"qcd": "background"}, records)
    expected = (
        f"qcd: one event carries {share:.0%} of the sum of weights of {events} events (row search): its weight is "
        "4.5e+06, in b.root. They count as 3.2 events of equal weight."
    )
    assert notes == ([expected] if told else [])
