"""The terminal shows numbers, names and units whole, at any width."""

from __future__ import annotations

import pytest
from rich.table import Table
from rich.text import Text

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
    for part in (name, "5.27885e-10", "Signal", "[fb]", "Limits", "[events]"):
        assert part in text


@pytest.mark.parametrize("width", WIDTHS)
def test_tables_of_results_are_whole(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(width)
    terminal.print(limit_table([LIMIT]))
    terminal.print(cutflow_table({"a_[long]_name_of_a_dataset": cuts(all=123456.7, search=1.5)}))
    text = capsys.readouterr().out
    assert width < 80 or max(map(len, text.splitlines())) <= width
    for part in ("Expected", "Observed", "[fb]", "Window", "3300-3700", "2.88", "a_[long]_name_of_a_dataset"):
        assert part in text


def test_a_table_without_a_terminal_takes_the_width_that_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal(40, fits=False).print(limit_table([LIMIT]))
    text = capsys.readouterr().out
    assert "Expected [fb]   Observed [fb]" in text
    assert text.count("3300-3700") == 1


@pytest.mark.parametrize("width", WIDTHS)
def test_words_of_a_text_stay_whole(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["Results:", "/data/[my]/very_long_folder_name/results", "z", "=", "8.0728949", "[statistics]", ":+1:"]
    Terminal(width).print(" ".join(words))
    assert capsys.readouterr().out.split() == words


def test_text_is_broken_at_words_for_the_eye_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "There 146 events are observed in /a/folder/with_a_name_that_is_longer"
    Terminal(20).print(words)
    assert capsys.readouterr().out == f"{words}\n"
    monkeypatch.setenv("FORCE_COLOR", "1")  # what rich takes for a terminal
    Terminal(20).print(words, highlight=False)
    lines = capsys.readouterr().out.splitlines()
    Terminal(20).print(Text(words))
    assert capsys.readouterr().out.splitlines() == lines
    Terminal(20).print(Text(words), soft_wrap=True)  # such as JSON
    assert capsys.readouterr().out.splitlines() == [words]
    assert lines == ["There 146 events are", "observed in", "/a/folder/with_a_name_that_is_longer"]
