"""Effect of each cut by dataset: remaining events, and events rejected by this cut alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.plots.figure import ResultFigure, Row
from analysis.plots.style import PALETTE, sample_name
from analysis.results.documents import cut_order
from analysis.results.numbers import count, percent
from analysis.results.values import Cut

__all__ = ["cutflow_figures", "draw_cutflow", "draw_n_minus_one"]

Cuts = Mapping[str, Cut]

_LOGARITHMIC_BELOW = 0.1

_NAMES = {
    "all": "All events",
    "two_jets": "Two jets",
    "lumi_mask": "Certified",
    "finite_kinematics": "Finite momenta",
    "jet_id": "Jet ID",
    "jet_pt": r"$p_T$",
    "leading_pt": r"Leading $p_T$",
    "abs_eta": r"$|\eta|$",
    "jet_mass": r"$m_j$",
    "abs_dy": r"$|\Delta y|$, validation",
    "mjj_min": r"$m_{jj}$ above",
    "mjj_max": r"$m_{jj}$ below",
    "search": r"$|\Delta y|$, search",
}
"""Cuts with labels that differ from their names."""

_BARS = 0.8
"""Fraction of the distance between cuts filled by the bars of all datasets."""


def draw_cutflow(cutflow: Mapping[str, Cuts], *, ax: Axes) -> dict[str, Line2D]:
    """Draw the fraction of all events, by sum of weights, that remains after each cut.

    Parameters
    ----------
    cutflow : mapping of dataset to cut to Cut
        Remaining events after each cut, in order; the first row holds all events.
    ax : matplotlib.axes.Axes
        Cuts from top to bottom; the scale is logarithmic if a dataset keeps less than a tenth.

    Returns
    -------
    dict of str to matplotlib.lines.Line2D
        By dataset. Non-positive sums of weights have no point.

    Examples
    --------
    >>> from pathlib import Path
    >>> import matplotlib.pyplot as plt
    >>> from analysis.plots import draw_cutflow, figure_style
    >>> from analysis.results import ResultsFolder
    >>> document, _ = ResultsFolder(Path("results")).load_results()
    >>> with figure_style():
    ...     figure, ax = plt.subplots()
    ...     lines = draw_cutflow(document.cutflow, ax=ax)
    >>> round(float(lines["qcd"].get_xdata()[-1]), 2)  # fraction of QCD events that is searched
    0.71
    """
    rows = _rows(cutflow)
    lines, smallest = {}, 1.0
    for i, (name, cuts) in enumerate(cutflow.items()):
        total = next(iter(cuts.values())).weight
        parts = {cut: passed.weight / total for cut, passed in cuts.items() if total > 0 and passed.weight > 0}
        smallest = min([smallest, *parts.values()])
        positions = [rows[cut] for cut in parts]
        color = PALETTE[i % len(PALETTE)]
        lines[name] = ax.plot(list(parts.values()), positions, marker="o", color=color, label=sample_name(name))[0]
    if smallest < _LOGARITHMIC_BELOW:
        ax.set_xscale("log")
    else:
        ax.set_xlim(0, 1.05)
    ax.set_xlabel("Fraction of all events")
    _label_rows(rows, ax)
    return lines


def draw_n_minus_one(
    cutflow: Mapping[str, Cuts], n_minus_one: Mapping[str, Cuts], *, ax: Axes
) -> dict[str, BarContainer]:
    """Draw the fraction of events passing all other cuts, by sum of weights, that each cut rejects.

    Parameters
    ----------
    cutflow, n_minus_one : mapping of dataset to cut to Cut
        Events remaining after each cut, and events passing all other cuts.
    ax : matplotlib.axes.Axes
        The cuts of the cutflow from top to bottom.

    Returns
    -------
    dict of str to matplotlib.container.BarContainer
        By dataset; one bar per cut of `n_minus_one` with events that pass the other cuts.
    """
    rows = _rows(cutflow)
    height = _BARS / max(len(n_minus_one), 1)
    bars = {}
    for i, (name, cuts) in enumerate(n_minus_one.items()):
        passed = cutflow[name][list(cuts)[-1]].weight if cuts else 0.0
        rejected = {cut: 1 - passed / others.weight for cut, others in cuts.items() if others.weight > 0}
        positions = [rows[cut] + height * (i + 0.5) - _BARS / 2 for cut in rejected]
        color = PALETTE[i % len(PALETTE)]
        bars[name] = ax.barh(positions, list(rejected.values()), height, color=color, label=sample_name(name))
    largest = max((float(bar.get_width()) for one in bars.values() for bar in one), default=0.0)
    ax.set_xlim(0, min(1.0, 1.2 * largest) or 1.0)
    ax.set_xlabel("Fraction rejected by one cut alone")
    _label_rows(rows, ax)
    return bars


def cutflow_figures(cutflow: Mapping[str, Cuts], n_minus_one: Mapping[str, Cuts]) -> Iterator[ResultFigure]:
    """List the figure `cutflow`: cutflow and N-1 of all datasets side by side, if any.

    Parameters
    ----------
    cutflow, n_minus_one : mapping of dataset to cut to Cut

    Yields
    ------
    ResultFigure
    """
    if cutflow:
        yield ResultFigure(
            "cutflow",
            partial(_cutflow, cutflow, n_minus_one),
            "Cutflow and N−1",
            partial(cutflow_alt, cutflow),
            partial(cutflow_rows, cutflow, n_minus_one),
            "cutflow",
        )


def _cutflow(cutflow: Mapping[str, Cuts], n_minus_one: Mapping[str, Cuts]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(13.0, 2.5 + 0.45 * len(_rows(cutflow))), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    draw_n_minus_one(cutflow, n_minus_one, ax=right)
    draw_cutflow(cutflow, ax=left)
    left.legend(loc="best")
    return figure, left


def _rows(cutflow: Mapping[str, Cuts]) -> dict[str, int]:
    return {cut: i for i, cut in enumerate(cut_order(cutflow))}


def _label_rows(rows: Mapping[str, int], ax: Axes) -> None:
    ax.set_yticks(list(rows.values()), [_NAMES.get(cut, cut.replace("_", " ").capitalize()) for cut in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.minorticks_off()


def cutflow_alt(cutflow: Mapping[str, Cuts]) -> str:
    """Describe the cutflow."""
    parts = []
    for dataset, cuts in cutflow.items():
        first, *_, last = cuts.values()
        part = last.weight / first.weight if first.weight else None
        parts.append(f"{dataset} {percent(part)} of {count(first.events)} events")
    return f"Fraction of events left after each cut, and rejected by each alone. All cuts keep: {', '.join(parts)}."


def cutflow_rows(cutflow: Mapping[str, Cuts], n_minus_one: Mapping[str, Cuts]) -> Iterator[Row]:
    """Rows of cutflow and N-1: events remaining after each cut, and events passing all other cuts."""
    yield (
        *("dataset", "cut", "events left", "sum of weights left"),
        *("events that pass all other cuts", "sum of weights that passes all other cuts"),
    )
    for dataset, cuts in cutflow.items():
        alone = n_minus_one.get(dataset, {})
        for cut, left in cuts.items():
            others = alone.get(cut)
            passed = (None, None) if others is None else (others.events, others.weight)
            yield dataset, cut, left.events, left.weight, *passed
