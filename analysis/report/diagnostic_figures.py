"""Figures of what the classifiers of each window do to its events, from `diagnostics.json`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from analysis.regions import window_name
from analysis.report import diagnostic_data as data
from analysis.report.data import Row
from analysis.report.figures import Figure
from analysis.report.numbers import count, interval, number, p_value, percent
from analysis.report.search_figures import Show
from analysis.report.words import selection_text

__all__ = ["classifier_figures", "scan_figures", "window_diagnostics"]

Document = Mapping[str, Any]


@dataclass(frozen=True)
class _Kind:
    """One kind of figure: the section it is made of, and what the page says of it."""

    stem: str
    section: str
    title: str
    alt: Callable[[Document], str]
    rows: Callable[[Document], Iterator[Row]]


def window_diagnostics(show: Show, windows: Sequence[Document], window: Document) -> list[Figure]:
    """Show what there is of one window; nothing of one that failed.

    Parameters
    ----------
    show : callable
    windows : sequence of mapping
        "windows" of `diagnostics.json`.
    window : mapping
        One of "windows" of `results.json`.

    Returns
    -------
    list of Figure
    """
    signal = window["signal"]
    found = next((one for one in windows if one["window"]["signal"] == signal and window["status"] != "failed"), {})
    figures = []
    for kind in _KINDS:
        if section := found.get(kind.section):
            stem = f"{kind.stem}_{window_name(signal)}"
            figures += show(stem, f"{interval(signal)} GeV: {kind.title}", kind.alt(section), kind.rows(section))
    return figures


def classifier_figures(show: Show, windows: Sequence[Document]) -> list[Figure]:
    """Show all windows together: how well they find hidden signal, where the truth is known, and by which features."""
    performance, importance = (
        {interval(one["window"]["signal"]): one[name] for one in windows if one.get(name)}
        for name in ("performance", "importance")
    )
    aucs = [f"{window} GeV {number(one['auc'][1], 3)}" for window, one in performance.items()]
    first = [f"{window} GeV {_ranking(one)[0]}" for window, one in importance.items()]
    return [
        *show(
            "performance",
            "Hidden signal against background in all windows",
            f"ROC curves and significance improvements. Areas under the curves: {', '.join(aucs)}.",
            data.all_windows(data.performance_rows, performance),
        ),
        *show(
            "importance",
            "Importance of the features in all windows",
            f"Part of the total gain of each feature. The largest by window: {', '.join(first)}.",
            data.all_windows(data.importance_rows, importance),
        ),
    ]


def scan_figures(show: Show, scans: Sequence[Document]) -> list[Figure]:
    """Show what `cwola performance` measured: the weight of the simulation, and what each feature adds."""
    figures = []
    for scan in scans:
        where = f"{scan['signal']} in {interval(scan['window']['signal'])} GeV"
        tight = min(scan["background_efficiencies"])
        column = scan["background_efficiencies"].index(tight)
        found = f"median significance improvement at {percent(tight)} of the background"
        weights = _medians(scan["simulation_weight"], "weight", column)
        subsets = _medians(scan["subsets"], "use", column, "feature")
        figures += show(
            f"lambda_{scan['signal']}",
            f"{where}: gain against the weight λ of the simulation",
            f"Weight and {found}: {weights}.",
            data.weight_rows(scan),
        )
        figures += show(
            f"subsets_{scan['signal']}",
            f"{where}: gain from each feature",
            f"Features and {found}: {subsets}.",
            data.subset_rows(scan),
        )
    return figures


def _medians(measured: Sequence[Document], name: str, column: int, further: str | None = None) -> str:
    labels = [" ".join(str(one[key]) for key in (name, further) if key and one[key] is not None) for one in measured]
    values = [number(median(row[column] for row in one["sic"])) for one in measured]
    return ", ".join(f"{label} {value}" for label, value in zip(labels, values, strict=True))


def _features_alt(section: Document) -> str:
    tests = [
        f"{feature['name']} {p_value(feature['original']['difference']['p_value'])}"
        for feature in section["features"]
        if feature["original"]["difference"] is not None
    ]
    compared = f" p-values of window against sidebands: {', '.join(tests)}." if tests else ""
    return f"Distributions of the features in the window, in its sidebands and after a cut.{compared}"


def _masses_alt(section: Document) -> str:
    expected = section["expected"]
    ranges = " and ".join(interval((edges[0], edges[-1])) for edges in section["edges"])
    text = (
        f"Densities in the plane of the jet masses, {ranges} GeV, in the sidebands and what they expect of the window"
    )
    return f"{text}." if expected is None else f"{text}: {count(round(expected))} events."


def _map_alt(section: Document) -> str:
    names = ", ".join(map(selection_text, section["passing"]))
    text = f"Mean score of the events in the window, and the part of them that passes, by jet masses: {names}."
    cells = [(score, i, j) for i, row in enumerate(section["score"] or []) for j, score in enumerate(row)]
    score, i, j = max(((score, i, j) for score, i, j in cells if score is not None), default=(None, 0, 0))
    if score is None:
        return text
    first, second = (interval(edges[k : k + 2]) for edges, k in zip(section["edges"], (i, j), strict=True))
    return f"{text} The highest mean score is {number(score)}, at m_1 of {first} GeV and m_2 of {second} GeV."


def _sculpting_alt(section: Document) -> str:
    tests = [
        f"{selection_text(one['name'])} {p_value(one['p_value'])}" for one in section["selections"] if one["ndof"] > 0
    ]
    return f"Efficiency of the selections against m_jj. p-values of flatness outside the mask: {', '.join(tests)}."


def _performance_alt(section: Document) -> str:
    low, auc, high = section["auc"]
    points = [
        f"{selection_text(one['name'])} keeps {percent(one['signal_efficiency'])} of the signal"
        for one in section["selections"]
        if one["name"] != "inclusive" and one["signal_efficiency"] is not None
    ]
    return (
        f"ROC curve and significance improvement for {section['n_signal']} hidden signal events: area {number(auc, 3)} "
        f"({number(low, 3)} to {number(high, 3)}); {', '.join(points)}."
    )


def _ensemble_alt(section: Document) -> str:
    correlation = section["rank_correlation"]
    agree = f" Mean rank correlation of two: {number(correlation['mean'], 2)}." if correlation else ""
    return f"Scores of {section['n_members']} members, and the events that each of them selects.{agree}"


def _seeds_alt(section: Document) -> str:
    found = [f"{selection_text(one['name'])} {len(one['z'])}" for one in section["seeds"]]
    return f"Local z of several trainings. Trainings: {', '.join(found)}."


def _ranking(section: Document) -> list[str]:
    shares = sorted(zip(section["mean"], section["features"], strict=True), reverse=True)
    return [f"{name} {percent(share)}" for share, name in shares]


def _importance_alt(section: Document) -> str:
    return (
        f"Part of the total gain of each feature, over {section['n_models']} trainings: {', '.join(_ranking(section))}."
    )


_KINDS = (
    _Kind(
        "features", "features", "features in window and sidebands, and after a cut", _features_alt, data.feature_rows
    ),
    _Kind("masses", "masses", "jet masses in window and sidebands", _masses_alt, data.mass_rows),
    _Kind("classifier_map", "masses", "what passes, by jet masses", _map_alt, data.classifier_map_rows),
    _Kind("sculpting", "sculpting", "efficiency against m_jj", _sculpting_alt, data.sculpting_rows),
    _Kind(
        "performance",
        "performance",
        "hidden signal against background",
        _performance_alt,
        data.performance_rows,
    ),
    _Kind("ensemble", "ensemble", "members of the ensemble", _ensemble_alt, data.ensemble_rows),
    _Kind("seeds", "ensemble", "trainings with other seeds", _seeds_alt, data.seed_rows),
    _Kind("importance", "importance", "importance of the features", _importance_alt, data.importance_rows),
)
"""In the order of the page."""
