"""Tables of the stored studies, by their own summaries: `tests/studies/results` in, Markdown out. Nothing is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import numpy as np

from analysis.background import CALIBRATED_FROM
from analysis.learning.metrics import band
from docs._ext.page_tables import signed, table_of, value_of
from tests.studies import correlated_null, exact_null, fit_calibration, limit_coverage, limit_rules, sensitivity
from tests.studies.runner import Point, load

CUTS = {"eff_0.1": "10 %", "eff_0.05": "5 %", "eff_0.02": "2 %", "eff_0.01": "1 %"}
SIGNALS = {"wprime_3500_500_100": "W′(3500)", "wprime_3900_350_180": "W′(3900)", "zprime_tt_3600": "Z′ → tt̄"}
LAMBDA = {"sa_cwola": "`sa_cwola`, λ = 0.5"}
NONE_STORED = "No results are stored yet."
LOOSE, TIGHT = (f"sic_{eps:g}" for eps in sensitivity.EPS_B)


def exact_null_table() -> str:
    """Mean and width of z without signal, features that know nothing of m_jj."""
    rows = []
    points = load(exact_null.NAME)
    for method, ensemble in dict.fromkeys((one["method"], one["ensemble"]) for one in points):
        chosen = [one for one in points if (one["method"], one["ensemble"]) == (method, ensemble)]
        if ensemble == "argos":
            continue  # one selection of its own; see methods.md
        found = [exact_null.spread(chosen, name) for name in CUTS]
        cells = [f"{signed(z.mean, 2)} ± {z.mean_error:.2f}, {z.width:.2f} ± {z.width_error:.2f}" for z in found]
        name = LAMBDA.get(method, f"`{method}`") + (", counts averaged" if ensemble == "mean-count" else "")
        rows.append([name, str(len(chosen)), *cells])
    return table_of(["method", "pseudo-datasets", *CUTS.values()], rows)


def correlated_null_table() -> str:
    """Mean z, δ in per cent, and flatness of the efficiency, QCD as simulated."""
    points = load(correlated_null.NAME)
    return table_of(
        ["method", *CUTS.values(), "χ²/ndf at 10 % / 1 %"],
        [_correlated_row(points, method) for method in correlated_null.METHODS],
    )


def _correlated_row(points: Sequence[Point], method: str) -> list[str]:
    cells, flat = [], []
    for name in CUTS:
        found = correlated_null.cells(points, method, tuple(correlated_null.TABLES), name)
        z = correlated_null.combine([one.z for one in found], [1.0] * len(found))
        delta = correlated_null.combine([one.delta for one in found], [one.delta_error for one in found])
        flat.append(f"{sum(one.chi2 for one in found) / sum(one.ndof for one in found):.1f}")
        percent = f"{signed(100 * delta.value, 0)} ± {100 * delta.error:.0f}"
        cells.append(f"{signed(z.value, 2)} ± {z.error:.2f}, {percent}")
    first, _, rest = method.partition(", ")
    return [LAMBDA.get(method, f"`{first}`" + (f", {rest}" if rest else "")), *cells, f"{flat[0]} / {flat[-1]}"]


def sensitivity_table() -> str:
    """Median [16 %, 84 %] of SIC of the preset `best` over the draws."""
    head = ["signal", "S/√B", "SIC(1e-2)", "SIC(2e-3)", "max SIC", "draws"]
    rows = []
    for signal, strength, repeats in _sensitivity_cells(sensitivity.BEST):
        cells = [_band(repeats, LOOSE), _bracketed(_band(repeats, TIGHT), repeats), _band(repeats, "max_sic")]
        rows.append([SIGNALS[signal], f"{strength:g}", *cells, str(len(repeats))])
    return table_of(head, rows)


def hist_gb_table() -> str:
    """`best` against scikit-learn's HistGradientBoosting, paired draw by draw."""
    head = ["signal", "S/√B", "HistGB: SIC(1e-2), SIC(2e-3)", "log ratio at 1e-2", "at 2e-3", "draws"]
    ours = {(signal, strength): found for signal, strength, found in _sensitivity_cells(sensitivity.BEST)}
    rows = []
    for signal, strength, theirs in _sensitivity_cells(sensitivity.HIST_GB):
        ratios = [sensitivity.log_ratio(ours[signal, strength], theirs, key) for key in (LOOSE, TIGHT)]
        loose, tight = (f"{signed(mean, 3)} ± {error:.3f}" for mean, error, _ in ratios)
        medians = f"{_median(theirs, LOOSE)}, {_bracketed(_median(theirs, TIGHT), theirs)}"
        rows.append([SIGNALS[signal], f"{strength:g}", medians, loose, _bracketed(tight, theirs), str(ratios[0][2])])
    return table_of(head, rows)


def methods_table() -> str:
    """Median SIC(1e-2), SIC(2e-3) of every method on the draws that all of them have."""
    names = (sensitivity.BEST, "sa_cwola", "salad", "data_vs_simulation", "idealised", "supervised")
    cells = {name: {(s, x): found for s, x, found in _sensitivity_cells(name)} for name in names}
    rows = []
    for key in cells["idealised"]:
        if key[1] == 0:
            continue
        draws = set.intersection(*({one["draw"] for one in cells[name].get(key, [])} for name in names))
        repeats = [[one for one in cells[name].get(key, []) if one["draw"] in draws] for name in names]
        if draws:
            shown = [f"{_median(one, LOOSE)}, {_bracketed(_median(one, TIGHT), one)}" for one in repeats]
            rows.append([SIGNALS[key[0]], f"{key[1]:g}", *shown, str(len(draws))])
    shown_names = (f"`{name}`" + ("†" if name in sensitivity.TRUTH else "") for name in names)
    return table_of(["signal", "S/√B", *shown_names, "draws"], rows)


def _sensitivity_cells(classifier: str) -> Iterator[tuple[str, float, list[Point]]]:
    """Draws of the study by signal and strength, without noise features; draws of the tuning are not among them."""
    wanted = {tuple(sorted(point.items())) for point in sensitivity.points()}
    keys = sensitivity.points()[0].keys()
    chosen = [
        point
        for point in load(sensitivity.NAME)
        if point["classifier"] == classifier
        and not point["noise"]
        and tuple(sorted((key, point[key]) for key in keys)) in wanted
    ]
    place = lambda point: (sensitivity.SIGNALS.index(point["signal"]), point["strength"])  # noqa: E731
    for (signal, strength), repeats in groupby(sorted(chosen, key=place), key=place):
        yield sensitivity.SIGNALS[signal], strength, list(repeats)


def _band(repeats: Sequence[Point], key: str) -> str:
    found = band([point[key] for point in repeats])
    return f"{found.median:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _median(repeats: Sequence[Point], key: str) -> str:
    return f"{np.median([point[key] for point in repeats]):.2f}"


def _bracketed(text: str, repeats: Sequence[Point]) -> str:
    """In brackets where too few background events pass at the tight cut."""
    return f"({text})" if max(point["eps_b_floor"] for point in repeats) > min(sensitivity.EPS_B) else text


def fit_calibration_table() -> str:
    """Worst mean z and fractions below 0.05 of the default procedure where a window expects 10 events."""
    rows = []
    points = [one for one in load(fit_calibration.NAME) if one["procedure"] == "events"]
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


def limit_coverage_table() -> str:
    """Coverage in per cent: CLs+b, CLs, and in brackets what exact CLs would have."""
    points = load(limit_coverage.NAME)
    signals = [signal for signal in limit_coverage.SIGNALS if signal]
    rows = []
    for cell in limit_coverage.CELLS:
        chosen = [one for one in points if all(one[key] == value for key, value in cell.items()) and one["signal"]]
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


def limit_rules_table() -> str:
    """Coverage of the rules where classifiers learn from the signal."""
    points = load(limit_rules.NAME)
    if not points:
        return NONE_STORED
    rows = []
    for true in sorted({one["true"] for one in points}):
        for rule in points[0]["limits"]:
            found = limit_rules.coverage(points, true, rule)
            covers = f"{100 * found.covered:.1f} ± {100 * found.error:.1f} %"
            rows.append(
                [f"{true:g}", f"`{rule}`", covers, f"{found.observed:.0f}", f"{found.expected:.0f}", str(found.n)]
            )
    return table_of(["true", "rule", "covers", "median observed", "median expected", "experiments"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "exact-null": exact_null_table,
    "correlated-null": correlated_null_table,
    "sensitivity": sensitivity_table,
    "hist-gb": hist_gb_table,
    "methods": methods_table,
    "fit-calibration": fit_calibration_table,
    "limit-coverage": limit_coverage_table,
    "limit-rules": limit_rules_table,
}
