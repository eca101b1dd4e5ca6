"""The tables of decisions at the top of the pages: their numbers stand where they link to."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from docs._ext.generated import filled
from tests.builders.pages import DOCS

PAGES = ["methods", "presets", "training", "background", "limits", "calibration", "validation"]

NUMBER = re.compile(r"−?\d+(?:,\d{3})*(?:\.\d+)?")
LINK = re.compile(r"\[((?:[^\]`]|`[^`]*`)*)\]\(([^)]*)\)")


@dataclass(frozen=True)
class Row:
    page: str
    case: str
    choice: str
    reason: str

    def __str__(self) -> str:
        return f"{self.page}-{self.case[:40]}"


def guide(page: str) -> list[Row]:
    """Rows of the table below the title of a page."""
    lines = (DOCS / f"{page}.md").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert lines[1] == ""
    assert re.match(r"\| if you (have|want) … \| (use|set) … \| because … \|", lines[2])
    assert lines[3].startswith("|---")
    rows = []
    for line in lines[4:]:
        if not line.startswith("|"):
            break
        case, choice, reason, *_ = re.split(r" (?<!\\)\| ", line.strip("| "))
        rows.append(Row(page, case, choice, reason))
    return rows


ROWS = [row for page in PAGES for row in guide(page)]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_begins_with_a_short_guide(page: str) -> None:
    assert 5 <= len(guide(page)) <= 7


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_numbers_of_a_reason_stand_where_it_links_to(row: Row) -> None:
    for text, target in LINK.findall(row.reason):
        path = target.partition("#")[0]
        found = filled((DOCS / (path or f"{row.page}.md")).read_text(encoding="utf-8"))
        there = found if path else found.partition("\n\n")[2].partition("\n\n")[2]  # not in the guide itself
        numbers = NUMBER.findall(re.sub(r"`[^`]*`|SIC\(1e-2\)", "", text))
        assert [one for one in numbers if one not in NUMBER.findall(there)] == []


def test_most_reasons_are_measured() -> None:
    assert sum(bool(LINK.search(row.reason)) for row in ROWS) >= 0.8 * len(ROWS)
    assert sum(any(re.search(r"\d\.\d", text) for text, _ in LINK.findall(row.reason)) for row in ROWS) >= len(ROWS) / 2
