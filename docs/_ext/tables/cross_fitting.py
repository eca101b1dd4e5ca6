"""Schemes of cross-fitting: z with signal, z without, and p-values of a toy."""

from __future__ import annotations

from docs._ext.page_tables import signed, table_of
from docs._ext.tables.shared import CUTS
from tests.studies import cell_folds, cross_fitting, exact_null
from tests.studies.runner import load

NAMES = {
    cross_fitting.KFOLD: "`kfold`, 5 folds",
    cross_fitting.HALF: "`half`",
    cross_fitting.SEQUENTIAL: "`sequential`, 5 folds",
    cross_fitting.SEQUENTIAL_10: "`sequential`, 10 folds",
}


def sensitivity_table() -> str:
    """Median z of the hidden signal, by strength and scheme."""
    points, rows = cross_fitting.finished_points(), []
    for strength in cross_fitting.STRENGTHS:
        for scheme, name in NAMES.items():
            found = [cross_fitting.found(points, scheme, strength, efficiency) for efficiency in cross_fitting.CUTS]
            cells = ["–" if one is None else f"{signed(one.median, 2)} ± {one.error:.2f}" for one in found]
            draws = max((one.n for one in found if one is not None), default=0)
            rows.append([f"{strength:g}", name, *cells, str(draws)])
    return table_of(["S/√B", "scheme", *CUTS.values(), "draws"], rows)


def null_table() -> str:
    """Mean and width of z without signal, by scheme."""
    points, rows = cross_fitting.finished_points(), []
    for scheme, name in NAMES.items():
        cells, n = [], 0
        for efficiency in cross_fitting.CUTS:
            z = cross_fitting.nulls(points, scheme, efficiency)
            one = exact_null.spread([{"z": {"": value}} for value in z], "")
            cells.append(f"{signed(one.mean, 2)} ± {one.mean_error:.2f}, {one.width:.2f} ± {one.width_error:.2f}")
            n = max(n, one.n)
        rows.append([name, str(n), *cells])
    return table_of(["scheme", "values of z", *CUTS.values()], rows)


def cells_table() -> str:
    """Frequency of p-values below a level over the level, by scheme, in a toy of cells."""
    points, rows = load(cell_folds.NAME), []
    for scheme, n_folds in cell_folds.SCHEMES:
        cells = [f"{ratio:.2f} ± {error:.2f}" for ratio, error in cell_folds.ratios(points, scheme, n_folds)]
        rows.append([f"`{scheme}`" + ("" if scheme == cell_folds.HALF else f", {n_folds} folds"), *cells])
    return table_of(["scheme", *(f"p = {level:g}" for level in cell_folds.LEVELS)], rows)
