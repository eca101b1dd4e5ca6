"""Background fits and the limits that follow from them, on toys."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.background import CALIBRATED_FROM
from analysis.statistics import LIKELIHOODS
from docs._ext.page_tables import signed, table_of, value_of
from docs._ext.tables.shared import matching
from tests.studies import (
    fit_calibration,
    function_choice,
    limit_coverage,
    p_values,
    signal_recovery,
    significance_tail,
)
from tests.studies.runner import Point, load


def fit_calibration_table() -> str:
    """Worst mean z and fractions below 0.05 of the default procedure where a window expects 10 events."""
    rows = []
    points = matching(load(fit_calibration.NAME), procedure="events")
    for size in sorted({one["events"] for one in points}):
        for held_out in (False, True):
            chosen = [
                cell
                for one in points
                if one["events"] == size and (one["shape"] in fit_calibration.HELD_OUT) == held_out
                for cell in one["windows"]
                if cell["expected"] >= CALIBRATED_FROM
            ]
            if chosen:
                tails = [cell["below_0.05"] for cell in chosen]
                worst = max((cell["z_mean"] for cell in chosen), key=abs)
                kept = f"{sum(cell['kept'] for cell in chosen)} of {len(chosen)}"
                shapes = "held out" if held_out else "of the rule"
                rows.append([value_of(size), shapes, kept, signed(worst, 2), f"{min(tails):.3f}–{max(tails):.3f}"])
    return table_of(["events", "shapes", "kept", "worst mean z", "fraction of p < 0.05"], rows)


def significance_tail_table() -> str:
    """Ratios of the true to the nominal p-value, smallest and largest over the truths."""
    points, rows = load(significance_tail.NAME), []
    for likelihood in LIKELIHOODS:
        for window in (list(one) for one in fit_calibration.WINDOWS[:3]):
            for expected in significance_tail.EXPECTED:
                chosen = matching(points, window=window, expected=expected)
                if chosen:
                    name = f"{window[0] / 1000:.1f}–{window[1] / 1000:.1f} TeV"
                    ratios = [[one[likelihood][k][0] for one in chosen] for k in range(len(significance_tail.Z))]
                    cells = [f"{min(row):.2f}–{max(row):.2f}" for row in ratios]
                    rows.append([f"`{likelihood}`", name, value_of(expected), *cells])
    return table_of(["likelihood", "window", "events", *(f"z = {z:g}" for z in significance_tail.Z)], rows)


def p_values_table() -> str:
    """Ratios of the true to the nominal p-value by strategy and kind of truth, smallest and largest over windows."""
    points, rows = load(p_values.NAME), []
    kinks = tuple(name for name in p_values.TRUTHS if name.startswith("kink"))
    others = tuple(name for name in p_values.TRUTHS if name not in (*p_values.IN_FAMILY, *kinks))
    kinds = (("of the family", p_values.IN_FAMILY), ("others", others), ("kinks", kinks))
    fits = (("events", "line"), ("transfer-factor", "line"), ("transfer-factor", "bent"))
    for strategy, ratio in fits:
        for kind, truths in kinds:
            for expected in (10, 30, 100, 1_000, 10_000, 30_000):
                chosen = [
                    one
                    for one in matching(points, strategy=strategy, ratio=ratio, expected=expected)
                    if one["truth"] in truths
                ]
                if chosen:
                    name = f"`{strategy}`" + (", bent ratio" if ratio == "bent" else "")
                    ratios = [[one["ratios"][k][0] for one in chosen] for k in range(len(p_values.NOMINAL))]
                    cells = [f"{_digits(min(row))}–{_digits(max(row))}" for row in ratios]
                    worst = max((one["bias"] for one in chosen), key=abs)
                    error = [100 * one["error"] for one in chosen]
                    errors = f"{min(error):.2g}–{max(error):.2g}"
                    rows.append([name, kind, value_of(expected), *cells, signed(worst, 2), errors])
    nominal = ("0.05", "0.01", "1.35e-3", "3.2e-5", "2.9e-7")
    return table_of(["fit", "truths", "events", *(f"p = {p}" for p in nominal), "worst bias, σ", "error of b, %"], rows)


def _digits(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"


def function_choice_table() -> str:
    """Ratios of the true to the nominal p-value without and with the bias of the function, ranges over windows."""
    points, rows = load(function_choice.NAME), []
    family = list(fit_calibration.FAMILY)
    truths = {"in the family": family, **{truth: [truth] for truth in function_choice.OTHER_TRUTHS}}
    alone = {truth: [truth] for truth in function_choice.STIFF}
    for name, functions, shapes in (("default", family, truths), ("`dijet3`", ["dijet3"], alone)):
        for truth, among in shapes.items():
            for expected in function_choice.EXPECTED:
                chosen = [
                    one for one in matching(points, functions=functions, expected=expected) if one["shape"] in among
                ]
                if chosen:
                    rows.append([name, truth, value_of(expected), *_choice_cells(chosen)])
    shown = [f"z = {z:g}{which}" for z in (3, 5) for which in (", without", ", with")]
    return table_of(["fit", "truth", "events", "bias", "bend", "wave", *shown], rows)


def _choice_cells(chosen: Sequence[Point]) -> list[str]:
    cells = [_between([one["bias"] for one in chosen], 2)]
    cells += [_between([one["hidden"][name] for one in chosen], 2) for name in ("bend", "wave")]
    for z in (3.0, 5.0):
        k = function_choice.Z.index(z)
        cells += [_between([one[name][k][0] for one in chosen], 2) for name in ("without", "with")]
    return cells


def _between(values: Sequence[float], digits: int) -> str:
    low, high = signed(min(values), digits), signed(max(values), digits)
    return low if low == high else f"{low} to {high}"


def recovery_table() -> str:
    """Pull of injected signals and the absorbed fraction, ranges over shapes and strengths."""
    points, rows = load(signal_recovery.NAME), []
    for signal, (window, _) in signal_recovery.SIGNALS.items():
        for size in signal_recovery.SIZES:
            chosen = [one for one in matching(points, signal=signal, events=size) if "fraction" not in one]
            name = f"{window[0] / 1000:.1f}–{window[1] / 1000:.1f} TeV"
            rows.append([name, value_of(size), *_recovered(chosen)])
    return table_of(["window", "events", "absorbed, %", "mean of the pull", "width of the pull"], rows)


def recovery_of_fractions_table() -> str:
    """Return the same for selections that are fitted together with the events that fail them."""
    points, rows = load(signal_recovery.NAME), []
    for signal in (*signal_recovery.SIGNALS, *signal_recovery.GAUSSIANS):
        chosen = [one for one in matching(points, signal=signal) if "fraction" in one]
        sizes = sorted({one["events"] for one in chosen})
        rows += [[f"`{signal}`", value_of(size), *_recovered(matching(chosen, events=size))] for size in sizes]
    return table_of(["signal", "all events", "absorbed, %", "mean of the pull", "width of the pull"], rows)


def _recovered(chosen: Sequence[Point]) -> list[str]:
    return [_range(chosen, "absorbed", 100, 0), _range(chosen, "bias", 1, 2), _range(chosen, "width", 1, 2)]


def _range(points: Sequence[Point], key: str, scale: float, digits: int) -> str:
    values = [scale * point[key] for point in points]
    return f"{signed(min(values), digits)} to {signed(max(values), digits)}"


def limit_coverage_table() -> str:
    """Coverage in per cent: CLs+b, CLs, and in brackets what exact CLs would have."""
    points = load(limit_coverage.NAME)
    signals = [signal for signal in limit_coverage.SIGNALS if signal]
    rows = []
    for cell in limit_coverage.CELLS:
        chosen = [one for one in matching(points, **cell) if one["signal"]]
        if not chosen:
            continue
        error = "" if cell["background_error"] is None else f" ± {cell['background_error']:g}"
        name = f"{'shape, ' if cell['model'] == 'shape' else ''}{value_of(cell['background'])}{error}"
        found = {one["signal"]: _coverage(one) for one in chosen}
        rows.append([name, chosen[0]["calculator"], *(found.get(signal, "") for signal in signals)])
    return table_of(["background", "calculator", *(f"{signal:g} σ" for signal in signals)], rows)


def _coverage(point: Point) -> str:
    curve = point.get("exact_cls", point["gaussian_cls"])
    return f"{100 * point['cls_plus_b']:.1f}, {100 * point['cls']:.1f} ({100 * curve:.1f})"
