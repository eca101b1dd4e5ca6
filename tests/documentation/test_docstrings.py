"""Docstrings of numpy's convention in the words of reStructuredText."""

from __future__ import annotations

from docs._ext.docstrings import as_restructured_text

LINES = """Select events with |Δy| below *the* maximum.

See `p_T | m` and trailing_ names.

Parameters
----------
mjj : (n_events,) float64
    In GeV,
    all of them.
window, scan
    Two.

Raises
------
ConfigError
    If `a` | b.

Examples
--------
>>> a * b  # *not* markup
6
""".splitlines()


def test_sections_become_lists_and_nothing_else_is_markup() -> None:
    assert [line for line in as_restructured_text(LINES) if line] == [
        r"Select events with \|Δy\| below \*the\* maximum.",
        r"See `p_T | m` and trailing\_ names.",
        ".. rubric:: Parameters",
        "- **mjj**: (n_events,) float64",
        "  In GeV,",
        "  all of them.",
        "- **window, scan**",
        "  Two.",
        ".. rubric:: Raises",
        "- **ConfigError**",
        r"  If `a` \| b.",
        ".. rubric:: Examples",
        ">>> a * b  # *not* markup",
        "6",
    ]
