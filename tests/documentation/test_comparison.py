"""Every tool of the comparison is said to do something better, and something worse."""

from __future__ import annotations

from tests.builders.pages import DOCS

OTHERS = [
    "PocketCoffea",
    "columnflow",
    "Analysis Grand Challenge",
    "Combine",
    "pyhf, cabinetry",
    "pyBumpHunter",
    "sk_cathode",
]


def test_every_tool_is_compared_both_ways() -> None:
    text = (DOCS / "comparison.md").read_text(encoding="utf-8")
    table = text.partition("| | better there | better here |\n|---|---|---|\n")[2].partition("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
    assert [row[0] for row in rows] == OTHERS
    assert all(len(row) == 3 and min(map(len, row[1:])) > 20 for row in rows)
