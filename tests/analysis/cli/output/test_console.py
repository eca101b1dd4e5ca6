"""The terminal shows numbers, names and units whole, at any width."""

from __future__ import annotations

import pytest
from rich.table import Table

from analysis.cli.output.console import Terminal
from analysis.cli.tables.limits import limit_table
from analysis.cli.tables.search import cutflow_table
from tests.builders.cutflows import cuts
from tests.builders.limit_documents import LIMIT

WIDTHS = (1, 10, 40, 80, 120, 300)


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_in_a_table_is_folded_cut_or_taken_for_markup(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    name = "/WprimeToWZ_[bold]_:smile:/RunIISummer20UL18-v2/NANOAODSIM"
    table = Table("Signal [fb]", "p0", title="Limits [events]")
    table.add_row(name, "5.27885e-10")
    Terminal(width).print(table)
    text = capsys.readouterr().out
    for part in (name, "5.27885e-10", "Signal [fb]", "Limits [events]"):
        assert part in text


@pytest.mark.parametrize("width", WIDTHS)
def test_tables_of_results_are_whole(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(width)
    terminal.print(limit_table([LIMIT]))
    terminal.print(cutflow_table({"a_[long]_name_of_a_dataset": cuts(all=123456.7, search=1.5)}))
    text = capsys.readouterr().out
    for part in ("Expected [fb]", "Observed [fb]", "Window [GeV]", "3300-3700", "2.88", "a_[long]_name_of_a_dataset"):
        assert part in text


@pytest.mark.parametrize("width", WIDTHS)
def test_words_of_a_text_stay_whole(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["Results:", "/data/[my]/very_long_folder_name/results", "z", "=", "8.0728949", "[statistics]", ":+1:"]
    Terminal(width).print(" ".join(words))
    assert capsys.readouterr().out.split() == words
