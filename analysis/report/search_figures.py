"""Figures of the whole search: windows side by side, significances, validation and impacts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from analysis.regions import window_name
from analysis.report import alternatives, data
from analysis.report.figures import Figure
from analysis.report.numbers import interval
from analysis.report.words import selection_text, window_text
from analysis.search.values import WindowResult
from analysis.signals.shapes import most_sensitive

__all__ = [
    "Show",
    "fit_figures",
    "impact_figures",
    "overview_figures",
    "significance_figures",
    "stitched_figures",
    "validation_figures",
]

Document = Mapping[str, Any]

Show = Callable[[str, str, str, Iterator[data.Row]], list[Figure]]
"""From stem, title, text for those who do not see it, and data to the figure, or nothing where it was not drawn."""


def overview_figures(show: Show, results: Document) -> list[Figure]:
    """Show the scan of p-values, and z of all windows and selections."""
    windows, alt = results["windows"], alternatives.scan_alt(results)
    return [
        *show("scan", "Local p-values of all windows", alt, data.scan_rows(windows)),
        *show("significance", "Local significance of all windows and selections", alt, data.scan_rows(windows)),
    ]


def stitched_figures(show: Show, windows: Sequence[Document], results: Sequence[WindowResult]) -> list[Figure]:
    """Show windows side by side, by selection and layer."""
    figures = []
    for name in dict.fromkeys(one["name"] for window in windows for one in window["selections"]):
        title, alt = f"Windows side by side, {selection_text(name)}", alternatives.stitched_alt(windows, name)
        for number in range(len(windows) + 1):
            stem = f"spectrum_stitched_{name}" + (f"_{number}" if number else "")
            text = f"{title}, layer {number}" if number else title
            figures += show(stem, text, alt, data.stitched_rows(results, name))
    return figures


def significance_figures(show: Show, window: Document) -> list[Figure]:
    """Show z of one window against the efficiency."""
    if all(one["z"] is None for one in window["selections"]):
        return []
    stem = f"significance_{window_name(window['signal'])}"
    title = f"{window_text(window)}: significance against efficiency"
    return show(stem, title, alternatives.significance_alt(window), data.significance_rows(window))


def fit_figures(show: Show, windows: Sequence[Document]) -> list[Figure]:
    """Show the p-values of all background fits."""
    alt = alternatives.fits_alt(windows)
    return show("fits", "p-values of the background fits", alt, data.fit_rows(windows))


def validation_figures(show: Show, verdicts: Sequence[Document]) -> list[Figure]:
    """Show the distribution of z on signal-free samples, and shifts."""
    title = "Signal-free samples: z, and its shift by window"
    return show("validation", title, alternatives.validation_alt(verdicts), data.validation_rows(verdicts))


def impact_figures(show: Show, signal: Document) -> list[Figure]:
    """Show pulls and impacts of one signal, in its most sensitive selection."""
    one = most_sensitive(signal)
    if one is None or one["impacts"] is None:
        return []
    title = (
        f"{signal['dataset']}: pulls and impacts, {selection_text(one['selection'])} in {interval(one['window'])} GeV"
    )
    return show(f"impacts_{signal['dataset']}", title, alternatives.impact_alt(signal, one), data.impact_rows(one))
