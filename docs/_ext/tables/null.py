"""z without signal: features that are independent of m_jj, and QCD as simulated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.background import TRANSFER_FACTOR
from docs._ext.page_tables import signed, table_of
from docs._ext.tables.shared import CUTS, LAMBDA, matching
from tests.studies import correlated_null, drift_warning, exact_null, linear_drift
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
    points, rows = load(correlated_null.NAME), []
    errors = {name: correlated_null.pooled_spread(points, name) for name in CUTS}
    for name, setup in correlated_null.SETUPS.items():
        chosen = correlated_null.chosen(points, name, correlated_null.SAMPLES)
        found = {cut: correlated_null.summary(chosen, cut) for cut in CUTS}
        cells, flat = [], []
        for cut, null in found.items():
            if null is not None:
                pooled = errors[cut] / null.samples**0.5
                z_error, delta_error = (null.z_error, null.delta_error) if setup.drift else pooled
                percent = f"{signed(100 * null.delta, 0)} ± {100 * delta_error:.0f}"
                cells.append(f"{signed(null.z, 2)} ± {z_error:.2f}, {percent}")
                flat.append(f"{null.chi2 / null.ndof:.1f}")
        if cells:
            rows.append([_name_of(name), setup.features, *cells, f"{flat[0]} / {flat[-1]}"])
    return table_of(["search", "features", *CUTS.values(), "χ²/ndf at 10 % / 1 %"], rows)


def _name_of(setup: str) -> str:
    """Name of a set-up without its features, which are a column of their own."""
    first, *further = setup.split(", ")
    words = [word for word in further if word in _KINDS]
    return ", ".join([LAMBDA.get(first, f"`{first}`"), *words])


_KINDS = ("percentile", "counts averaged", "default trees", "same tune", "drift")


def null_windows_table() -> str:
    """Mean z by window, at 10 and 1 %."""
    points, rows = load(correlated_null.NAME), []
    for name in ("cwola", "cwola, GeV", "cwola, masses in GeV", "cwola, percentile", "salad"):
        cells = []
        for window in correlated_null.WINDOWS:
            chosen = correlated_null.chosen(points, name, correlated_null.SAMPLES, [window])
            found = [correlated_null.summary(chosen, cut) for cut in ("eff_0.1", "eff_0.01")]
            cells.append("; ".join(f"{signed(one.z, 1)} ± {one.z_error:.1f}" for one in found if one is not None))
        rows.append([_name_of(name), correlated_null.SETUPS[name].features, *cells])
    heads = [f"{low / 1000:.1f}–{high / 1000:.1f} TeV" for low, high in correlated_null.WINDOWS]
    return table_of(["search", "features", *heads], rows)


def null_features_table() -> str:
    """Difference of δ of CWoLa between other features and those of `best`, sample by sample, in per cent."""
    points, rows = load(correlated_null.NAME), []
    for name, setup in correlated_null.SETUPS.items():
        if setup.learning or setup.drift or name == "cwola":
            continue
        cells = []
        for cut in CUTS:
            z, delta = correlated_null.difference(points, name, "cwola", cut)
            cells.append(f"{signed(z[0], 2)} ± {z[1]:.2f}, {signed(100 * delta[0], 1)} ± {100 * delta[1]:.1f}")
        rows.append([setup.features, *cells])
    return table_of(["features", *CUTS.values()], rows)


def null_million_table() -> str:
    """Significance and δ of all million events together."""
    points, rows = load(correlated_null.NAME), []
    for name in correlated_null.ON_MILLION:
        for window in correlated_null.MILLION_WINDOWS:
            for point in correlated_null.chosen(points, name, [correlated_null.MILLION], [window]):
                found = [point["selections"][cut] for cut in CUTS]
                cells = [
                    "–" if one["z"] is None else f"{signed(one['z'], 1)}, {signed(100 * (one['n'] / one['b'] - 1), 1)}"
                    for one in found
                ]
                label = f"{window[0] / 1000:.1f}–{window[1] / 1000:.1f} TeV"
                rows.append([_name_of(name), correlated_null.SETUPS[name].features, label, *cells])
    return table_of(["search", "features", "window", *CUTS.values()], rows)


def drift_warning_table() -> str:
    """Drift beside the mask, and SIC of CWoLa, by features and multiple of the drift; samples that chose nothing."""
    points, rows = load(drift_warning.NAME), []
    for features, percentile, multiples in drift_warning.CASES:
        for multiple in multiples:
            found = drift_warning.chosen(points, drift_warning.QUOTED, features, multiple, percentile=percentile)
            if found:
                drift, auc = (f"{np.mean([p[key][0] for p in found]):.2f}" for key in ("drift", "auc"))
                sic = [f"{np.mean([p[method] for p in found]):.2f}" for method in drift_warning.METHODS]
                warned = f"{sum(map(drift_warning.is_noted, found))} of {len(found)}"
                name = f"{features}, percentile" if percentile else features
                rows.append([name, f"{multiple:g}", auc, drift, *sic, warned])
    heads = ["features", "multiple of the drift", "AUC", "drift", "SIC of CWoLa", "of idealised CWoLa", "note"]
    return table_of(heads, rows)


def drift_toys_table() -> str:
    """Drifts of toys without one: pull of the area, the largest drift, and notes."""
    rows = [
        [
            f"{p['events']:,}".replace(",", " "),
            str(p["measured"]),
            f"{signed(p['pull'][0], 2)} ± {p['pull'][1] / p['measured'] ** 0.5:.2f}, {p['pull'][1]:.2f}",
            f"{p['largest']:.2f}",
        ]
        for p in load(drift_warning.NAME)
        if p["kind"] == "toys"
    ]
    return table_of(["events", "toys", "(AUC − 0.5) / error: mean, width", "largest drift"], rows)


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
