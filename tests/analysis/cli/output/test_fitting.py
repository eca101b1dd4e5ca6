"""Tables that are too wide become narrower without losing a cell."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.cli.output.fitting import broken_at_words, fitted, natural_width

CONSOLE = Console(width=80)


def table_of(n_numbers: int, *, digits: int = 9, **settings: object) -> Table:
    table = Table("window", "source", **settings)  # type: ignore[arg-type]
    for number in range(n_numbers):
        table.add_column(Text(f"number {number}"), justify="right")
    for row in ("3300-3700", "3500-3900"):
        table.add_row(row, "data", *(f"{row[:4]}{number:0{digits}d}" for number in range(n_numbers)))
    return table


def render(table: Table) -> list[str]:
    with CONSOLE.capture() as capture:
        CONSOLE.print(table, crop=False, overflow="ignore")
    return capture.get().splitlines()


def cells(table: Table) -> list[list[str]]:
    return [[str(cell) for cell in column.cells] for column in table.columns]


def test_a_table_that_fits_is_left_as_it_is() -> None:
    (shown,) = fitted(CONSOLE, table_of(2), 80)
    assert render(shown) == render(table_of(2))


def test_headings_are_broken_before_columns_are_separated() -> None:
    table = Table("Signal", pad_edge=False)
    table.add_column("Net events for 3σ", justify="right")
    table.add_row("wprime", "715")
    (shown,) = fitted(CONSOLE, table, 20)
    assert [str(column.header) for column in shown.columns] == ["Signal", "Net\nevents\nfor 3σ"]
    assert str(table.columns[1].header) == "Net events for 3σ"


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(45, 100))
def test_every_cell_is_shown_once_in_blocks_that_fit_and_name_their_rows(
    n_numbers: int, digits: int, width: int
) -> None:
    table = table_of(n_numbers, digits=digits, title="Numbers", caption="read them")
    blocks = fitted(CONSOLE, table, width)
    names = cells(table)[:2]
    assert all(cells(block)[:2] == names for block in blocks)
    assert list(chain(*(cells(block)[2:] for block in blocks))) == cells(table)[2:]
    assert max(cell_len(line) for block in blocks for line in render(block)) <= width
    assert [block.title for block in blocks] == ["Numbers", *["Numbers (continued)"] * (len(blocks) - 1)]
    assert [block.caption for block in blocks] == [*[None] * (len(blocks) - 1), "read them"]


def test_a_column_that_is_wider_than_the_terminal_stays_whole() -> None:
    blocks = fitted(CONSOLE, table_of(3, digits=90), 80)
    assert [len(block.columns) for block in blocks] == [3, 3, 3]
    assert cells(blocks[-1])[2][0] == f"3300{2:090d}"


def test_the_blocks_of_a_table_have_about_as_many_columns_each() -> None:
    table = table_of(5)
    whole = natural_width(CONSOLE, table)
    assert [len(block.columns) - 2 for block in fitted(CONSOLE, table, whole - 15)] == [2, 3]


@pytest.mark.parametrize("kind", [str, Text])
def test_title_and_caption_are_broken_at_words_with_their_styles(kind: type[str | Text]) -> None:
    words = "a table of numbers that are explained below in words"
    caption = Text(words, style="bold red") if kind is Text else words
    (shown,) = fitted(CONSOLE, table_of(1, title=kind(words), caption=caption, min_width=90), 40)
    assert max(map(cell_len, render(shown))) <= 40
    for text in (shown.title, shown.caption):
        assert str(text).replace("\n", " ") == words
    assert kind is str or shown.caption.style == "bold red"  # type: ignore[union-attr]


@given(st.text(alphabet="ab σ\n", max_size=80), st.integers(1, 30))
def test_breaking_a_text_replaces_spaces_alone(text: str, width: int) -> None:
    broken = broken_at_words(text, width)
    assert broken.replace("\n", " ") == text.replace("\n", " ")
    assert all(cell_len(line) <= width or " " not in line.strip() for line in broken.split("\n"))
