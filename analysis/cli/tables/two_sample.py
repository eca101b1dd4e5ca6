"""Table of windows against the template of the method for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from analysis.statistics.two_sample import AREA, DIVERGENCE, LIKELIHOOD_RATIO, PermutationTest
from analysis.validation.templates import TemplateTest

__all__ = ["two_sample_notes", "two_sample_table"]

_HEADINGS = {DIVERGENCE: "divergence", AREA: "AUC", LIKELIHOOD_RATIO: "likelihood ratio"}
_FORMATS = {DIVERGENCE: ".4f", AREA: ".4f", LIKELIHOOD_RATIO: ".0f"}


def two_sample_table(tests: Sequence[TemplateTest]) -> Table:
    """Tabulate the tests of windows against templates.

    Parameters
    ----------
    tests : sequence of TemplateTest

    Returns
    -------
    rich.table.Table
        One row per window and sample, with each statistic, its mean and standard deviation over the permutations, and
        p.
    """
    methods = ", ".join(dict.fromkeys(one.method for one in tests))
    table = Table(
        title=f"Window against the template of {methods}: statistic (mean ± spread of permutations), p",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    table.add_column("window", no_wrap=True)
    table.add_column("sample", no_wrap=True)
    table.add_column("events", justify="right")
    names = [name for name in _HEADINGS if any(test.name == name for one in tests for test in one.tests)]
    for name in names:
        table.add_column(_HEADINGS[name], justify="right")
    before = None
    for one in tests:
        if before not in {None, one.window}:
            table.add_section()
        found = {test.name: test for test in one.tests}
        events = "-" if one.n_window is None else f"{one.n_window}, {one.n_template}"
        cells = [_cell(found.get(name)) for name in names]
        table.add_row("" if before == one.window else one.window, Text(one.sample), events, *cells)
        before = one.window
    return table


def two_sample_notes(tests: Sequence[TemplateTest]) -> list[str]:
    """List the samples that were not compared, with the reasons, and how to read p, as plain text."""
    notes = [f"{one.window} GeV, {one.sample}: {one.reason}" for one in tests if one.reason is not None]
    if any(one.tests for one in tests):
        notes.append(
            "p is exact for events of the same distribution. A small p without signal is an error of the template; a "
            "small p in data means a signal only beside a large one without signal."
        )
    return notes


def _cell(test: PermutationTest | None) -> Text:
    if test is None:
        return Text("-")
    form = _FORMATS[test.name]
    null = f"{test.mean:{form}} ± {test.spread:{form}}"
    return Text(f"{test.value:{form}} ({null})\np {test.p:.2g}")
