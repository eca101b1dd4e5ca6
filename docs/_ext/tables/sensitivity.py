"""How much each classifier, method and feature improves the significance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from analysis.learning.metrics import band
from docs._ext.page_tables import signed, table_of
from docs._ext.tables.shared import SIGNALS, current, matching
from tests.studies import performance, sensitivity
from tests.studies.runner import Point, load

LOOSE, TIGHT = (f"sic_{eps:g}" for eps in sensitivity.EPS_B)
LEARNED = 1.0
"""Median SIC(1e-2) of `idealised` from which ratios to it are given."""


def sensitivity_table() -> str:
    """Median [16 %, 84 %] of SIC of the preset `best` over the draws, and CPU."""
    head = ["signal", "S/√B", "SIC(1e-2)", "SIC(2e-3)", "max SIC", "CPU, 50 fits", "draws"]
    rows = []
    for noise in (0, sensitivity.N_NOISE):
        for signal, strength, repeats in _cells(sensitivity.BEST, noise):
            cells = [_band(repeats, LOOSE), _bracketed(_band(repeats, TIGHT), repeats), _band(repeats, "max_sic")]
            name = SIGNALS[signal] + (f", {noise} noise features" if noise else "")
            cpu = f"{np.median([point['cpu_fits'] for point in repeats]):.1f} s"
            rows.append([name, f"{strength:g}", *cells, cpu, str(len(repeats))])
    return table_of(head, rows)


def hist_gb_table() -> str:
    """`best` against scikit-learn's HistGradientBoosting, paired draw by draw."""
    head = ["signal", "S/√B", "HistGB: SIC(1e-2), SIC(2e-3)", "log ratio at 1e-2", "at 2e-3", "draws", "CPU"]
    ours = {(signal, strength): found for signal, strength, found in _cells(sensitivity.BEST)}
    rows = []
    for signal, group in groupby(_cells(sensitivity.HIST_GB), key=lambda cell: cell[0]):
        pooled: tuple[list[Point], list[Point]] = ([], [])
        for _, strength, theirs in group:
            medians = f"{_median(theirs, LOOSE)}, {_bracketed(_median(theirs, TIGHT), theirs)}"
            rows.append([SIGNALS[signal], f"{strength:g}", medians, *_ratios(ours[signal, strength], theirs)])
            pooled[0].extend(ours[signal, strength])
            pooled[1].extend(theirs)
        if signal == sensitivity.MAIN:
            rows.append([SIGNALS[signal], "all", "", *_ratios(*pooled)])
    return table_of(head, rows)


def _ratios(ours: Sequence[Point], theirs: Sequence[Point]) -> list[str]:
    """Log ratios at both cuts, draws, and the CPU of ours over theirs, on the draws that both have."""
    found = [sensitivity.log_ratio(ours, theirs, key) for key in (LOOSE, TIGHT)]
    loose, tight = (f"{signed(mean, 3)} ± {error:.3f}" for mean, error, _ in found)
    shared = {(p["draw"], p["strength"]) for p in ours} & {(p["draw"], p["strength"]) for p in theirs}
    cpu = [sum(p["cpu_fits"] for p in part if (p["draw"], p["strength"]) in shared) for part in (ours, theirs)]
    return [loose, _bracketed(tight, theirs), str(found[0][2]), f"1/{cpu[1] / cpu[0]:.0f}"]


def methods_table() -> str:
    """Median SIC(1e-2), SIC(2e-3) and ratio to `idealised` of every method on the draws that all of them have."""
    names = (sensitivity.BEST, "sa_cwola", "salad", "data_vs_simulation", "idealised", "supervised")
    cells = {name: {(s, x): found for s, x, found in _cells(name)} for name in names}
    rows = []
    for key in cells["idealised"]:
        if key[1] == 0:
            continue
        draws = set.intersection(*({one["draw"] for one in cells[name].get(key, [])} for name in names))
        repeats = {name: [one for one in cells[name].get(key, []) if one["draw"] in draws] for name in names}
        if draws:
            shown = [_method_cell(repeats[name], repeats["idealised"]) for name in names]
            rows.append([SIGNALS[key[0]], f"{key[1]:g}", *shown, str(len(draws))])
    shown_names = (f"`{name}`" + ("†" if name in sensitivity.TRUTH else "") for name in names)
    return table_of(["signal", "S/√B", *shown_names, "draws"], rows)


def _method_cell(repeats: Sequence[Point], idealised: Sequence[Point]) -> str:
    medians = f"{_median(repeats, LOOSE)}, {_bracketed(_median(repeats, TIGHT), repeats)}"
    if repeats == idealised or float(_median(idealised, LOOSE)) < LEARNED:
        return medians
    other = {point["draw"]: point[LOOSE] for point in idealised}
    return f"{medians} ({np.median([point[LOOSE] / other[point['draw']] for point in repeats]):.2f})"


def features_table() -> str:
    """AUC, SIC(1e-2), SIC(2e-3) of full supervision with one feature, all but one, and all; medians over draws."""
    points = matching(_performance(), scan=performance.FEATURES)
    found = {signal: [p["curves"] for p in matching(points, signal=signal)] for signal in SIGNALS}
    rows = []
    for name in next(iter(found.values()))[0]:
        cells = [
            ", ".join(
                f"{np.median([curves[name][key] for curves in repeats]):.{digits}f}"
                for key, digits in (("auc", 3), (LOOSE, 2), (TIGHT, 2))
            )
            for repeats in found.values()
        ]
        without = name.removeprefix("without ")
        rows.append([name if name == "all" else f"`{name}`" if without == name else f"all but `{without}`", *cells])
    draws = [str(len(repeats)) for repeats in found.values()]
    return table_of(["features", *SIGNALS.values()], [*rows, ["draws", *draws]])


def lambda_table() -> str:
    """SIC, AUC and sculpting of SA-CWoLa against λ; medians over draws."""
    points = matching(_performance(), scan=performance.LAMBDA)
    with_signal, without = (
        [p["curves"] for p in matching(points, strength=strength)] for strength in performance.STRENGTHS
    )
    rows = []
    for weight in with_signal[0]:
        loose, tight, auc, sculpting = (
            np.median([curves[weight][key] for curves in with_signal])
            for key in (LOOSE, TIGHT, "auc", "window_sideband_auc")
        )
        plain = np.median([curves[weight]["window_sideband_auc"] for curves in without])
        rows.append([weight, f"{loose:.2f}, {tight:.2f}", f"{auc:.3f}", f"{sculpting:.3f}", f"{plain:.3f}"])
    head = ["λ", "SIC(1e-2), SIC(2e-3)", "AUC", "window against sidebands", "the same, no signal hidden"]
    return table_of(head, rows)


def _performance() -> list[Point]:
    return current(load(performance.NAME), performance.points(draws=3))


def _cells(classifier: str, noise: int = 0) -> Iterator[tuple[str, float, list[Point]]]:
    """Draws of the study by signal and strength; draws of the tuning are not among them."""
    stored = matching(load(sensitivity.NAME), classifier=classifier, noise=noise)
    place = lambda point: (sensitivity.SIGNALS.index(point["signal"]), point["strength"])  # noqa: E731
    for (signal, strength), repeats in groupby(sorted(current(stored, sensitivity.points()), key=place), key=place):
        yield sensitivity.SIGNALS[signal], strength, list(repeats)


def _band(repeats: Sequence[Point], key: str) -> str:
    found = band([point[key] for point in repeats])
    return f"{found.median:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _median(repeats: Sequence[Point], key: str) -> str:
    return f"{np.median([point[key] for point in repeats]):.2f}"


def _bracketed(text: str, repeats: Sequence[Point]) -> str:
    """In brackets where too few background events pass at the tight cut."""
    return f"({text})" if max(point["eps_b_floor"] for point in repeats) > min(sensitivity.EPS_B) else text
