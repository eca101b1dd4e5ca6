"""z without signal: features that are independent of m_jj, and QCD as simulated."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.background import TRANSFER_FACTOR
from docs._ext.page_tables import signed, table_of
from docs._ext.tables.shared import CUTS, LAMBDA, matching
from tests.studies import correlated_null, exact_null, linear_drift
from tests.studies.correlated_null import combine
from tests.studies.runner import Point, load

ARGOS = "argos"


def exact_null_table() -> str:
    """Mean and width of z without signal, by method and selection."""
    rows = []
    points = load(exact_null.NAME)
    for method, ensemble, strategy in dict.fromkeys(map(exact_null.kind, points)):
        if ensemble == ARGOS:
            continue
        chosen = [one for one in points if exact_null.kind(one) == (method, ensemble, strategy)]
        cells = [_spread(chosen, name) for name in CUTS]
        name = LAMBDA.get(method, f"`{method}`") + (", counts averaged" if ensemble == "mean-count" else "")
        name += f", `{strategy}`" if strategy == TRANSFER_FACTOR else ""
        rows.append([name, str(len(chosen)), *cells])
    return table_of(["method", "pseudo-datasets", *CUTS.values()], rows)


def argos_null_table() -> str:
    """Mean and width of z of the selection whose working point ARGOS chooses."""
    chosen = matching(load(exact_null.NAME), ensemble=ARGOS)
    return table_of(
        ["working point", "pseudo-datasets", "mean, width"], [[ARGOS, str(len(chosen)), _spread(chosen, ARGOS)]]
    )


def _spread(points: Sequence[Point], name: str) -> str:
    z = exact_null.spread(points, name)
    return f"{signed(z.mean, 2)} ± {z.mean_error:.2f}, {z.width:.2f} ± {z.width_error:.2f}"


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
        z = combine([one.z for one in found], [1.0] * len(found))
        delta = combine([one.delta for one in found], [one.delta_error for one in found])
        flat.append(f"{sum(one.chi2 for one in found) / sum(one.ndof for one in found):.1f}")
        percent = f"{signed(100 * delta.value, 0)} ± {100 * delta.error:.0f}"
        cells.append(f"{signed(z.value, 2)} ± {z.error:.2f}, {percent}")
    first, _, rest = method.partition(", ")
    return [LAMBDA.get(method, f"`{first}`" + (f", {rest}" if rest else "")), *cells, f"{flat[0]} / {flat[-1]}"]


def linear_drift_table() -> str:
    """Fraction of the window that a cut keeps, and error and z of its background, by drift."""
    points, rows = load(linear_drift.NAME), []
    for drift in linear_drift.DRIFTS:
        for efficiency in linear_drift.EFFICIENCIES:
            found = linear_drift.summary(points, drift, efficiency)
            kept = f"{100 * found.kept:.2f} ± {100 * found.kept_error:.2f} ({100 * found.ideal:.2f})"
            cells = ["no fit", ""]
            if found.relative_error is not None and found.z is not None:
                cells = [f"{100 * found.relative_error:.0f} %", f"{signed(found.z, 1)} ± {found.fitted**-0.5:.1f}"]
            rows.append([f"{drift:g} σ", f"{100 * efficiency:g} %", kept, *cells])
    return table_of(["drift in 200 GeV", "cut", "kept, %", "error of the background", "mean z"], rows)
