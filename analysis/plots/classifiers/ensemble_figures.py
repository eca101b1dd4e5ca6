"""Figures of the members of an ensemble, and of trainings with different seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.diagnostics.sections import DiagnosedWindow, EnsembleSection
from analysis.learning import selection_text
from analysis.plots.classifiers.ensemble import (
    draw_member_counts,
    draw_overlaps,
    draw_score_spread,
    draw_scores,
    draw_seeds,
)
from analysis.plots.figure import ResultFigure, Row
from analysis.results.numbers import interval, number

__all__ = ["ensemble_figures"]


def ensemble_figures(windows: Sequence[DiagnosedWindow]) -> Iterator[ResultFigure]:
    """List the figures of the members of an ensemble, and of several trainings.

    Yields
    ------
    ResultFigure
        `ensemble_<window>`, and `seeds_<window>` if a window was trained several times.
    """
    for diagnosed in windows:
        section, (low, high) = diagnosed.ensemble, diagnosed.window.signal
        if section is not None:
            title = f"{low:g}–{high:g} GeV"
            name, where = diagnosed.window.name, f"{interval((low, high))} GeV"
            yield ResultFigure(
                f"ensemble_{name}",
                partial(_ensemble, section, title),
                f"{where}: members of the ensemble",
                partial(_ensemble_alt, section),
                partial(ensemble_rows, section),
                "diagnostics",
                name,
            )
            if section.seeds:
                yield ResultFigure(
                    f"seeds_{name}",
                    partial(_seeds, section, title),
                    f"{where}: trainings with other seeds",
                    partial(_seeds_alt, section),
                    partial(seed_rows, section),
                    "diagnostics",
                    name,
                )


def _ensemble(section: EnsembleSection, title: str) -> tuple[Figure, Axes]:
    several = section.n_members > 1
    figure = Figure(figsize=(15.0, 11.5) if several else (8.5, 6.5))
    panels = figure.subplots(*((2, 2) if several else (1, 1)), squeeze=False).ravel()
    left, bottom = (0.075, 0.07) if several else (0.13, 0.13)
    figure.subplots_adjust(left, bottom, 0.98, 0.955 if several else 0.93, wspace=0.2, hspace=0.2)
    draw_scores(section, ax=panels[0])
    if several:
        if section.profile is None:  # all events have the same score
            panels[1].set_axis_off()
        else:
            draw_score_spread(section, ax=panels[1])
        draw_member_counts(section, ax=panels[2])
        draw_overlaps(section, ax=panels[3])
    members = f"{section.n_members} members" if several else "one member"
    part = "" if section.fraction == 1 else f", {100 * section.fraction:.2g}% of the events"
    panels[1 if several else 0].set_title(f"{title}, {members}{part}", loc="right")
    return figure, panels[0]


def _seeds(section: EnsembleSection, title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(11.5, 6.5), layout="constrained")
    ax = figure.subplots()
    draw_seeds(section, ax=ax)
    ax.set_title(title, loc="right")
    return figure, ax


def _ensemble_alt(section: EnsembleSection) -> str:
    pairs = section.rank_correlation
    agree = "" if pairs is None else f" Mean rank correlation of two: {number(pairs.mean, 2)}."
    return f"Scores of {section.n_members} members, and the events that each of them selects.{agree}"


def _seeds_alt(section: EnsembleSection) -> str:
    found = [f"{selection_text(trained.name)} {len(trained.z)}" for trained in section.seeds]
    calibrated = [selection_text(trained.name) for trained in section.seeds if trained.calibrated]
    kind = f"Calibrated with retraining: {', '.join(calibrated) or 'none'}."
    return f"Local z of several trainings. Trainings: {', '.join(found)}. {kind}"


def ensemble_rows(section: EnsembleSection) -> Iterator[Row]:
    """Rows of the events selected by each member, one per selection and region."""
    yield "selection", "events", "ensemble", *(f"member {i}" for i in range(section.n_members))
    for selection in section.selections:
        for region, counts in (("window", selection.window), ("sidebands", selection.sidebands)):
            if counts is not None:
                yield selection.name, region, counts.ensemble, *counts.members


def seed_rows(section: EnsembleSection) -> Iterator[Row]:
    """Rows of calibrated and nominal z of each selection, one per training."""
    yield "selection", "training seed", "calibrated z", "nominal z"
    for trained in section.seeds:
        calibrated = trained.calibrated or [None] * len(trained.z)
        for seed, pair in enumerate(zip(calibrated, trained.z, strict=True)):
            yield trained.name, seed, *pair
