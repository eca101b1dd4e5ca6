"""No text of a CSV file is a formula, and numbers stay numbers."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from analysis.core.cells import cell
from analysis.export.event_list import write_events
from analysis.plots.figure import csv_text

FORMULAE = [
    *("=cmd|' /C calc'!A0", "+1+cmd", "-1-cmd", "-", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u00a0=1", "|x", "%x"),
    "\N{FULLWIDTH EQUALS SIGN}1",
]

KEPT = ["-1.5", "+2e-3", "-inf", "signal", "a=b", "3300-3700", "1 - 2", "", -1.5, -3, None, np.float64(-2.0), True]


@pytest.mark.parametrize("text", FORMULAE)
def test_a_formula_is_a_text(text: str, tmp_path: Path) -> None:
    """In the data of figures, and in lists of events with names of datasets and columns."""
    shown = f"'{text}".replace("\r", "\n")
    assert cell(text) == shown
    rows = list(csv.reader(io.StringIO(csv_text([("signal", text), (text, -1.5)]), newline="")))
    assert rows == [["signal", shown], [shown, "-1.5"]]
    write_events(pa.table({"dataset": [text], text: [-1.5]}), tmp_path / "events.csv")
    written = pa.csv.read_csv(tmp_path / "events.csv", parse_options=pa.csv.ParseOptions(newlines_in_values=True))
    assert written.column("dataset").to_pylist() == [shown]
    assert written.column(1).to_pylist() == [-1.5]


def test_a_text_begins_no_row_of_its_own() -> None:
    rows = list(csv.reader(io.StringIO(csv_text([("signal\r=1+1", 2)]), newline="")))
    assert rows == [["signal\n=1+1", "2"]]


@pytest.mark.parametrize("value", KEPT)
def test_numbers_and_other_texts_are_unchanged(value: object) -> None:
    assert cell(value) is value
