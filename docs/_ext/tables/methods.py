"""Tests of methods on toys: two Gaussian examples, and features that drift with m_jj."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from docs._ext.page_tables import table_of
from docs._ext.tables.shared import LAMBDA, matching
from tests.studies import flows, gaussian_example, label_proportions, shift_odds, shift_test
from tests.studies.runner import Point, load

SIZES = {50_000_000: "50M", 5_000_000: "5M", 50_000: "50k"}
METHODS = {"sa_cwola 0.5": LAMBDA["sa_cwola"], "sa_cwola 1": "`sa_cwola`, λ = 1"}
SEARCHES = {"idealised, whole": "window against another sample of QCD in the window"}
SHIFTS = {0.0: "no shift", 1.0: "0.1 m_jj", 2.0: "0.2 m_jj"}
EXPECTATION = {"shift": 1.0, "sideband": 200.0}
"""The set-up of the expected odds."""


def gaussian_table() -> str:
    """AUC and SIC(0.5) of every loss at its optimum, and as trained on samples of three sizes."""
    points, rows = load(gaussian_example.NAME), []
    for loss in gaussian_example.EXPECTED:
        cells = ["{:.3f}, {:.2f}".format(*gaussian_example.auc_and_sic(gaussian_example.odds_at_optimum(loss)))]
        for events in SIZES:
            found = [(p["auc"], p["sic"]) for p in matching(points, loss=loss, events=events)]
            draws = f"; {len(found)}" if len(found) > 1 else ""
            cells.append("{:.3f}, {:.2f}".format(*np.median(found, axis=0)) + draws if found else "–")
        rows.append([loss, *cells])
    return table_of(["loss", "optimum: AUC, SIC(0.5)", *SIZES.values()], rows)


def proportions_table() -> str:
    """Area under the curve of supervision, CWoLa and label proportions, by the fractions of signal."""
    rows = []
    for fraction in label_proportions.FRACTIONS:
        cells = [_mean_area(learner, fraction, fraction) for learner in ("supervised", "CWoLa", "label proportions")]
        rows.append([_fractions(fraction), _fractions(fraction), *cells])
    f, events = label_proportions.MORE_FRACTION, label_proportions.MORE
    more = [_mean_area(learner, f, f, events) for learner in ("CWoLa", "label proportions")]
    rows.append([f"{_fractions(f)}, {events:,} events", _fractions(f), "", *more])
    for told in label_proportions.WRONG:
        area = _mean_area("label proportions", label_proportions.MISTOLD, told)
        rows.append([_fractions(label_proportions.MISTOLD), _fractions(told), "", "", area])
    return table_of(["fractions", "told", "full supervision", "CWoLa", "label proportions"], rows)


def _fractions(fraction: float) -> str:
    return f"{fraction:g}, {1 - fraction:.2g}"


def _mean_area(learner: str, fraction: float, told: float, events: int = label_proportions.EVENTS) -> str:
    areas = label_proportions.areas(load(label_proportions.NAME), learner, fraction, told, events)
    return f"{np.mean(areas):.3f}" if areas else "–"


def flow_closure_table() -> str:
    """AUC of trees between window and template, by method and shift, and CPU seconds to build a template."""
    points, rows = matching(load(flows.NAME), kind="closure"), []
    for method in flows.TEMPLATES:
        found = [matching(points, method=method, shift=shift) for shift in SHIFTS]
        cells = [f"{one[0]['auc']:.3f} ± {one[0]['auc_error']:.3f}" if one else "–" for one in found]
        seconds = [one["build_seconds"] for repeats in found for one in repeats]
        rows.append([f"`{method}`", *cells, f"{min(seconds):.0f} to {max(seconds):.0f}" if seconds else "–"])
    return table_of(["method", *SHIFTS.values(), "CPU s"], rows)


def flow_independent_table() -> str:
    """AUC of trees that are trained on window and template of one sample and tested on another, by method and shift."""
    points, rows, shifts = matching(load(flows.NAME), kind="independent"), [], (0.0, 1.0)
    for method in flows.TEMPLATES[1:]:
        found = [matching(points, method=method, shift=shift) for shift in shifts]
        cells = [f"{one[0]['auc']:.3f} ± {one[0]['auc_error']:.3f}" if one else "–" for one in found]
        rows.append([f"`{method}`", *cells])
    return table_of(["method", *(SHIFTS[shift] for shift in shifts)], rows)


def flow_sensitivity_table() -> str:
    """SIC(0.5), SIC(1e-2) and SIC(2e-3) of every method, with the ratio of the first to `idealised`, by shift."""
    points, rows = matching(load(flows.NAME), kind="sensitivity"), []
    shifts = (0.0, 1.0)
    best = {shift: matching(points, method="idealised", shift=shift) for shift in shifts}
    for method in (*flows.SEARCHES, *flows.MORE_SEARCHES):
        cells = []
        for shift in shifts:
            found = matching(points, method=method, shift=shift)
            cells.append(_flow_cell(found[0], best[shift][0]) if found and best[shift] else "–")
        rows.append([SEARCHES.get(method, f"`{method}`"), *cells])
    return table_of(["method", *(SHIFTS[shift] for shift in shifts)], rows)


def _flow_cell(point: Point, best: Point) -> str:
    values = ", ".join(f"{point[key]:.1f} ({point[key] / best[key]:.2f})" for key in ("sic_1e-2", "sic_2e-3"))
    return f"{values}, {point['sic_half']:.1f} ({point['sic_half'] / best['sic_half']:.2f})"


def shift_table() -> str:
    """SIC(0.5) of every method, its ratio to `idealised` and the number of draws, by width of the sidebands."""
    points = matching(load(shift_test.NAME), shift=1.0, strength=shift_test.STRENGTH, classifier="trees")
    rows = []
    for method in shift_test.METHODS:
        cells = []
        for sideband in (200.0, 300.0):
            repeats = matching(points, method=method, sideband=sideband)
            ratio = _sic(repeats) / _sic(matching(points, method="idealised", sideband=sideband))
            cells.append(f"{_sic(repeats):.1f} ({ratio:.2f}), {len(repeats)}")
        rows.append([METHODS.get(method, f"`{method}`"), *cells])
    return table_of(["method", "sidebands of 200 GeV", "300 GeV"], rows)


def shift_strength_table() -> str:
    """SIC(0.5) against the strength: expected of CWoLa, and measured with trees, a network, and twice the shift."""
    points = matching(load(shift_test.NAME), sideband=200.0)
    odds = matching(load(shift_odds.NAME), **EXPECTATION)[0]
    strengths = (0.0, *shift_test.WEAKER, shift_test.STRENGTH)
    rows = [
        ["S/B", *(f"{100 * strength / odds['n_window'] ** 0.5:.1f} %" for strength in strengths)],
        ["`cwola`, expected from the odds", *(f"{odds['expected'][f'{strength:g}']:.2f}" for strength in strengths)],
    ]
    for shift, classifier, name in (
        (1.0, "trees", ""),
        (1.0, "network", ", network"),
        (2.0, "trees", ", twice the shift"),
    ):
        for method in ("cwola", "idealised"):
            chosen = matching(points, shift=shift, classifier=classifier, method=method)
            by_strength = [matching(chosen, strength=strength) for strength in strengths]
            if any(by_strength):
                cells = [f"{_sic(found):.2f}; {len(found)}" if found else "–" for found in by_strength]
                rows.append([f"`{method}`{name}; draws", *cells])
    return table_of(["S/√B", *(f"{strength:g}" for strength in strengths)], rows)


def shift_odds_table() -> str:
    """Quantiles of the odds of drift and signal that the expectation rests on."""
    odds = matching(load(shift_odds.NAME), **EXPECTATION)[0]
    names = {
        "drift_background": "drift d of background",
        "drift_signal": "drift d of signal",
        "ratio_background": "ratio r of background",
        "ratio_signal": "ratio r of signal",
    }
    rows = [[name, *(f"{value:.3g}" for value in odds[key])] for key, name in names.items()]
    return table_of(["odds", *(f"{100 * quantile:g} %" for quantile in shift_odds.QUANTILES)], rows)


def _sic(points: Sequence[Point]) -> float:
    return float(np.median([point["sic_half"] for point in points]))
