"""Tables of the stored studies: what the pages copy is what they say, and the summaries are those of closed forms."""

from __future__ import annotations

import re

import pytest

from docs._ext.generated import GENERATORS, MARKER, filled
from docs._ext.page_tables import signed, table_of
from tests.pages import DOCS
from tests.studies import exact_null, limit_rules


def rows_of(text: str) -> list[list[str]]:
    """Cells of the rows of the tables of a page, without heads."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line] for line in lines]


def section(page: str, title: str) -> str:
    """Text below a heading of a page."""
    found = re.search(
        rf"^##+ {re.escape(title)}\n(.*?)(?=^##+ |\Z)", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL
    )
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("title", "table"), [("Exact null", "exact-null"), ("Null with the real correlation", "correlated-null")]
)
def test_the_copied_tables_of_the_null_are_those_of_the_stored_points(title: str, table: str) -> None:
    assert rows_of(section("methods.md", title)) == rows_of(GENERATORS[table]())


def test_the_copied_sensitivities_are_those_of_the_stored_points() -> None:
    """Medians at each strength, in the order of the table; the page has CPU besides, and one row with noise."""
    copied = [row for row in rows_of(section("sensitivity.md", "Measured"))[1:] if "noise" not in row[0]]
    medians = [
        [row[1], *(re.sub(r" \[.*?\]", "", cell) for cell in row[2:5])]
        for row in rows_of(GENERATORS["sensitivity"]())[1:]
    ]
    assert [row[-5:-1] for row in copied] == medians


def test_every_table_is_on_a_page_and_every_page_can_be_filled() -> None:
    texts = [path.read_text() for path in DOCS.rglob("*.md")]
    assert sorted(name for text in texts for name in MARKER.findall(text)) == sorted(GENERATORS)
    assert filled("a\n<!-- generated: exact-null -->\nb") == f"a\n{GENERATORS['exact-null']()}\nb"
    with pytest.raises(KeyError, match="forgotten"):
        filled("<!-- generated: forgotten -->")


def test_mean_and_width_of_four_values() -> None:
    """Of -1, 1, -1, 1: mean 0, variance 4/3 with n - 1; errors width / sqrt(n) and width / sqrt(2 n)."""
    points = [{"z": {"a": value}} for value in (-1.0, 1.0, -1.0, 1.0, None)]
    found = exact_null.spread(points, "a")
    width = (4 / 3) ** 0.5
    assert (found.n, found.mean, found.width) == (4, 0.0, pytest.approx(width))
    assert (found.mean_error, found.width_error) == (pytest.approx(width / 2), pytest.approx(width / 8**0.5))


def test_a_limit_covers_where_it_is_not_below_the_truth() -> None:
    """Three of four cover, of 16, a limit that does not exist among them; the error is that of a binomial."""
    points = [
        {"true": 40.0, "limits": {"r": {"observed": value, "expected": [0, 0, 50.0, 0, 0]}}}
        for value in 4 * (39.9, 40.0, 60.0, None)
    ] + [{"true": 80.0, "limits": {"r": {"observed": 1.0, "expected": [0, 0, 1.0, 0, 0]}}}]
    found = limit_rules.coverage(points, 40.0, "r")
    assert (found.n, found.covered, found.error) == (16, 0.75, pytest.approx((0.75 * 0.25 / 16) ** 0.5))
    assert (found.observed, found.expected) == (50.0, 50.0)


def test_numbers_and_cells() -> None:
    assert [signed(value, 2) for value in (-0.001, -0.5, 0.25)] == ["0.00", "−0.50", "0.25"]
    assert table_of(["a"], [["|η|"]]) == "| a |\n|---|\n| \\|η\\| |"
