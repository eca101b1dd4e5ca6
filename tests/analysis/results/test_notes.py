"""Notes for the reader: cuts that were not made."""

from __future__ import annotations

from typing import Any

from analysis.core.documents import from_json
from analysis.results.notes import selection_notes
from analysis.results.process_values import ProcessedDataset


def record(n_entries: int, sanity: dict[str, int]) -> ProcessedDataset:
    nothing: dict[str, Any] = {"cutflow": {}, "n_minus_one": {}, "dataset": {}}
    nothing |= {"parts": [], "sum_of_weights": None, "files": [], "skipped_files": []}
    return from_json(ProcessedDataset, {"n_entries": n_entries, "sanity": sanity, **nothing})


def test_notes_tell_missing_triggers_and_what_is_not_applied_to_data() -> None:
    records = {"data": record(50, {"without_HLT_A": 20, "undefined_tau21": 3}), "qcd": record(9, {"without_HLT_A": 0})}
    kinds = {"data": "data", "qcd": "background"}
    trigger, lumi, jet_id = selection_notes({"jet_id": "off", "lumi_mask": None}, kinds, records)
    assert trigger == "data: HLT_A is not in the files of 20 of 50 events and counts as not fired there."
    assert lumi.startswith("data: no golden JSON")
    assert jet_id.startswith("data: no jet ID")
    assert selection_notes({"jet_id": "tight", "lumi_mask": "/golden.json"}, kinds, records) == [trigger]
    assert selection_notes({"jet_id": "off", "lumi_mask": None}, {"qcd": "pseudodata"}, {"qcd": records["qcd"]}) == []
