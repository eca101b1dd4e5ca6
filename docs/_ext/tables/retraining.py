"""z without signal with retraining."""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
from scipy import stats

from docs._ext.page_tables import signed, table_of
from docs._ext.tables.shared import CUTS
from tests.studies import retrained_global, retrained_null, retrained_tail, tail_moments
from tests.studies.runner import Point, load
from tests.studies.shipped_couplings import measured

THRESHOLDS = (1.645, 2.326, 3.0, 4.0)
LOCAL_LEVELS = (0.05, 0.01, 1.35e-3, 1e-4, 3.17e-5)
GLOBAL_LEVELS = (0.5, 0.1, 0.05, 0.01, 1e-3)


def retrained_null_table() -> str:
    """Width of z, coupling and tails, by cell and selection."""
    finished = [point for point in load(retrained_null.NAME) if "method" not in point["learning"]]
    rows = []
    for (preset, n_window, varied, seed), batches in retrained_null.cells(finished).items():
        name = f"`{preset}`{f', {varied}' if varied else ''}{f', seed {seed}' if seed else ''}"
        rows += [[name, f"{n_window:,}", *cells] for cells in _by_selection(batches)]
    return table_of(["preset", "events in window", *_heads()], rows)


def retrained_methods_table() -> str:
    """Width of z, coupling and tails, by method and selection, with the settings of `demo` and one member."""
    finished = load(retrained_null.NAME)
    rows = []
    for method in ("cwola", *retrained_null.METHODS):
        learning = {"n_members": 1} if method == "cwola" else {"method": method, "n_members": 1}
        cell = {"preset": "demo", "n_window": 3000, "learning": learning, "seed": 0}
        if batches := [point for point in finished if all(point[key] == value for key, value in cell.items())]:
            rows += [[f"`{method}`", *cells] for cells in _by_selection(batches)[1:]]
    return table_of(["method", *_heads()], rows)


def _heads() -> list[str]:
    plain = (f"z > {t:g}: plain, own width" for t in THRESHOLDS)
    return ["selection", "searches", "mean", "width", "coupling", *plain]


def _by_selection(batches: list[Point]) -> list[list[str]]:
    """Cells of the selections of a set of searches, `inclusive` first."""
    couplings, rows = measured(batches), []
    for name, values in retrained_null.joined(batches).items():
        z = values[np.isfinite(values)]
        own = (z - z.mean()) / z.std(ddof=1)
        coupling = couplings.get(name)
        rows.append(
            [
                CUTS.get(name, name),
                f"{len(z):,}",
                f"{signed(z.mean(), 2)} ± {z.std() / len(z) ** 0.5:.2f}",
                f"{z.std(ddof=1):.3f} ± {z.std() / (2 * len(z)) ** 0.5:.3f}",
                "–" if coupling is None else f"{signed(coupling.value, 2)} ± {coupling.error:.2f}",
                *(f"{_ratio(z, t)}, {_ratio(own, t)}" for t in THRESHOLDS),
            ]
        )
    return rows


def _ratio(z: np.ndarray, threshold: float) -> str:
    above, expected = int((z > threshold).sum()), len(z) * float(stats.norm.sf(threshold))
    if expected < 1 and not above:
        return "–"
    return f"{above / expected:.2g} ± {max(above, 1) ** 0.5 / expected:.1g}"


def retrained_local_table() -> str:
    """Empirical over calculated p-values of the windows of scans with other seeds, plain and calibrated."""
    finished = load(retrained_global.NAME)
    rows = []
    for name, (plain, calibrated) in retrained_global.local_significances(finished).items():
        for kind, z in (("plain", plain), ("calibrated", calibrated)):
            cells = [_ratio(z, float(stats.norm.isf(p))) for p in LOCAL_LEVELS]
            rows.append([CUTS.get(name, name), kind, f"{len(z):,}", *cells])
    return table_of(["selection", "z", "windows", *(f"p = {p:g}" for p in LOCAL_LEVELS)], rows)


def retrained_global_table() -> str:
    """Empirical over calculated global p-values."""
    p_values = retrained_global.global_p_values(load(retrained_global.NAME))
    rows = []
    for level in GLOBAL_LEVELS:
        below, expected = int((p_values < level).sum()), level * len(p_values)
        ratio = f"{below / expected:.2f} ± {max(below, 1) ** 0.5 / expected:.2f}"
        power, error = retrained_global.ratio_by_power_law(p_values, level)
        smooth = f"{power:.2f} ± {error:.2f}" if level < retrained_global.TAIL else "–"
        rows.append([f"{level:g}", f"{len(p_values):,}", f"{expected:.1f}", str(below), ratio, smooth])
    return table_of(["global p below", "scans", "expected", "found", "ratio", "by a power law"], rows)


def retrained_presets_table() -> str:
    """Empirical over calculated p-values of the presets as shipped with other seeds, trained selections together."""
    rows, everything = [], {kind: [] for kind in ("plain", "calibrated")}
    for preset, plain, calibrated in retrained_null.tested_presets(load(retrained_null.NAME)):
        for kind, z in (("plain", plain), ("calibrated", calibrated)):
            everything[kind].append(z)
            rows.append([f"`{preset}`", kind, f"{len(z):,}", *_of_searches([z])])
    rows += [["all", kind, f"{sum(map(len, found)):,}", *_of_searches(found)] for kind, found in everything.items()]
    return table_of(["preset", "z", "searches", *(f"p = {p:g}" for p in LOCAL_LEVELS[:3])], rows)


def _of_searches(found: list[np.ndarray]) -> list[str]:
    """Ratios whose errors count searches: the selections of one are not independent."""
    ratios = []
    for level in LOCAL_LEVELS[:3]:
        counts = np.concatenate([(z > stats.norm.isf(level)).sum(axis=1) for z in found])
        expected = level * sum(int(np.isfinite(z).sum()) for z in found)
        ratios.append(f"{counts.sum() / expected:.2f} ± {max(1.0, float(np.sum(counts**2))) ** 0.5 / expected:.2f}")
    return ratios


def retrained_tail_table() -> str:
    """Empirical over calculated p-values by splitting, with calibrated z."""
    rows = []
    for (preset, varied, selection), runs in retrained_tail.settings(load(retrained_tail.NAME)).items():
        if len(runs) < 2:
            continue
        estimates = zip(retrained_tail.LEVELS, *retrained_tail.probabilities(runs), strict=True)
        cells = [f"{p / level:.2f} ± {error / level:.2f}" for level, p, error in estimates]
        rows.append(
            [f"`{preset}`{f', {varied}' if varied else ''}", CUTS.get(selection, selection), str(len(runs)), *cells]
        )
    return table_of(["settings", "selection", "runs", *(f"p = {p:.3g}" for p in retrained_tail.LEVELS)], rows)


def retrained_shape_table() -> str:
    """Skewness and kurtosis of z, and the tails that follow from them."""
    scans = tail_moments.of_scans(load(retrained_global.NAME), seed=1)
    shapes = [("whole scans of `demo`, n_members 1", CUTS.get(name, name), one) for name, one in scans.items()]
    presets = dict(tail_moments.of_presets(load(retrained_null.NAME)))
    shapes += [(f"`{name}`", "all trained", one) for name, one in presets.items()]
    shapes.append(("all presets as shipped", "all trained", reduce(add, presets.values())))
    rows = []
    for name, selection, shape in shapes:
        found = (shape.skewness, shape.excess_kurtosis, shape.tail(3.0), shape.tail(4.0))
        cells = [f"{signed(value, 2)} ± {error:.2f}" for value, error in found]
        rows.append([name, selection, f"{len(shape):,}", *cells])
    heads = ["settings", "selection", "searches", "skewness", "excess kurtosis", "p beyond 3σ", "p beyond 4σ"]
    return table_of(heads, rows)
