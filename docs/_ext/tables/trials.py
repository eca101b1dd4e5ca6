"""What a search in three dimensions costs: cells, folds and trees without signal and with one."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from docs._ext.page_tables import signed, table_of
from tests.studies import bump3d, trials3d
from tests.studies.runner import Point, load

_SEARCHES = {
    "classic": "best cell, local p",
    "k-fold": "5 folds",
    "sequential": "5 folds, each trained on those before",
    "half": "one half, tested on the other",
    "halves": "both halves, twice the smaller p",
}
_TREES = {"best": "`best`", "best, 1 member": "`best`, 1 member"}
_TAILS = (0.1, 0.05, 0.01)


def null_table() -> str:
    """Fraction of the replicas without signal below nominal p-values, over that p-value."""
    points = load(trials3d.NAME)
    shown = [nominal for nominal in trials3d.NOMINAL if nominal != 3e-4]
    rows = [
        [layout, name, *(_ratio(trials3d.true_fraction(points, layout, search, nominal), nominal) for nominal in shown)]
        for layout in trials3d.LAYOUTS
        for search, name in _SEARCHES.items()
    ]
    return table_of(["cells", "search", *(f"p < {nominal:g}" for nominal in shown)], rows)


def _ratio(found: trials3d.Fraction, nominal: float) -> str:
    value, error = found.value / nominal, found.error / nominal
    digits = max(0, int(-np.floor(np.log10(error))))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def strength_table() -> str:
    """Median z of a signal in one cell: as calculated, and calibrated by the search's own replicas without signal."""
    points, rows = load(trials3d.NAME), []
    for layout, cells in trials3d.LAYOUTS.items():
        background = cells.n_events * cells.shares[cells.signal_cell]
        for strength in cells.strengths:
            z = _medians(points, layout, strength)
            local, folds = z["classic"], z["k-fold"]
            rows.append(
                [
                    f"{layout}, b = {background:.0f}",
                    str(strength),
                    signed(local, 1),
                    _calibrated(points, layout, "classic", local),
                    signed(folds, 1),
                    _calibrated(points, layout, "k-fold", folds),
                    *(signed(z[search], 1) for search in ("sequential", "halves", "half")),
                ]
            )
    head = ["cells", "signal", "best cell, local", "global", "5 folds, calculated", "calibrated"]
    return table_of([*head, "sequential", "both halves", "one half"], rows)


def _medians(points: list[Point], layout: str, strength: int) -> dict[str, float]:
    (one,) = (
        point for point in points if (point["search"], point["layout"], point["signal"]) == ("cells", layout, strength)
    )
    return {search: found["z"][1] for search, found in one["found"].items()}


def _calibrated(points: list[Point], layout: str, search: str, z: float) -> str:
    """Return the true z; beyond the replicas Šidák's for the classic search, and a bound for folds."""
    found = trials3d.calibrated_p(points, layout, search, z)
    if found.passed:
        return signed(float(norm.isf(found.value)), 1)
    if search == "classic":
        return signed(float(norm.isf(trials3d.sidak(float(norm.sf(z)), layout))), 1)
    return f"> {norm.isf(3 / found.n):.1f}"


def trees_null_table() -> str:
    """Mean and width of z of the trees without signal, and how often it is large."""
    points, rows = load(trials3d.NAME), []
    kinds = [*((trees, name, None) for trees, name in _TREES.items())]
    kinds.append(("best, 1 member", f"{_TREES['best, 1 member']}, points at random", trials3d.JITTER))
    for trees, name, integral in kinds:
        for efficiency in trials3d.EFFICIENCIES:
            z = trials3d.tree_nulls(points, trees, efficiency, integral)
            n = len(z)
            tails = [trials3d.Fraction(int((z > norm.isf(nominal)).sum()), n) for nominal in _TAILS]
            width = float(z.std(ddof=1))
            rows.append(
                [
                    name,
                    f"{100 * efficiency:g} %",
                    str(n),
                    f"{signed(float(z.mean()), 2)} ± {width / n**0.5:.2f}",
                    f"{width:.2f} ± {width / (2 * n) ** 0.5:.2f}",
                    *(f"{one.value / p:.1f} ± {one.error / p:.1f}" for one, p in zip(tails, _TAILS, strict=True)),
                ]
            )
    return table_of(["trees", "cut", "replicas", "mean", "width", *(f"p < {p:g}" for p in _TAILS)], rows)


def trees_strength_table() -> str:
    """Median z of the trees with a signal; beyond the replicas without one, the calibration is not known."""
    points, rows = load(trials3d.NAME), []
    for trees, name in _TREES.items():
        for strength in (40, 60, 90):
            found = [trials3d.tree_signals(points, trees, strength, one) for one in trials3d.EFFICIENCIES]
            if not len(found[0]):
                continue
            medians = [f"{signed(float(np.median(z)), 1)} ± {1.25 * z.std(ddof=1) / len(z) ** 0.5:.1f}" for z in found]
            rows.append([name, str(strength), str(len(found[0])), *medians])
    return table_of(["trees", "signal", "replicas", *(f"{100 * one:g} %" for one in trials3d.EFFICIENCIES)], rows)


def bump3d_table() -> str:
    """How often the global p-value of `cwola bump3d` is small without signal."""
    found = np.array(bump3d.p_values(load(bump3d.NAME)))
    rows = []
    for nominal in (0.5, 0.2, 0.1, 0.05):
        below = int((found < nominal).sum())
        error = (nominal * (1 - nominal) / len(found)) ** 0.5
        rows.append([f"{nominal:g}", f"{below} of {len(found)}", f"{below / len(found):.3f} ± {error:.3f}"])
    return table_of(["global p below", "toys", "fraction"], rows)
