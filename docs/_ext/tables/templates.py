"""Templates made of sidebands: closure, sensitivity and counts without signal."""

from __future__ import annotations

import numpy as np

from docs._ext.page_tables import signed, table_of
from docs._ext.tables.shared import CUTS
from tests.studies import templates
from tests.studies.runner import Point, load

DRIFTS = {
    "none": "none",
    "half": "half the shift",
    "full": "shift",
    "quadratic": "in m_jj²",
    "tau21": "τ21 to a power",
}
BACKGROUNDS = {"transfer-factor": "fit of the selection", "template": "template"}
THRESHOLDS = {"spectrum": "spectrum", "background-template": "template"}


def closure_table() -> str:
    """AUC of window against template: mean over the samples and its error."""
    points = load(templates.NAME)
    rows = []
    for method in templates.TEMPLATES:
        found = [templates.of_kind(points, "closure", method=method, drift=drift) for drift in DRIFTS]
        rows.append([f"`{method}`", *(_mean([p["auc"] for p in some], 4) for some in found)])
    return table_of(["template", *DRIFTS.values()], rows)


def independent_table() -> str:
    """AUC of window against template, of trees that are tested on another sample than trained them."""
    points, rows = load(templates.NAME), []
    for method in (*templates.WITH_FLOWS, "salad"):
        found = [templates.of_kind(points, "independent", method=method, drift=drift) for drift in DRIFTS]
        cells = [f"{one[0]['auc']:.3f} ± {one[0]['auc_error']:.3f}" if one else "–" for one in found]
        rows.append([f"`{method}`", *cells])
    return table_of(["template", *DRIFTS.values()], rows)


def sensitivity_table() -> str:
    """SIC(1e-2) and SIC(0.5) of every method, medians over the draws, and the ratio of the first to `idealised`."""
    points = load(templates.NAME)
    rows = []
    for strength in templates.STRENGTHS:
        for drift, name in DRIFTS.items():
            if not templates.of_kind(points, "sensitivity", drift=drift, strength=strength):
                continue
            cells = [_sic(points, method, drift, strength) for method in templates.METHODS if method in SHOWN]
            rows.append([f"{strength:g}", name, *cells])
    return table_of(["S/√B", "drift", *(f"`{name}`" if "," not in name else name for name in SHOWN)], rows)


SHOWN = ("cwola", "curtains", "curtains, 4 copies", "idealised")


def counts_table() -> str:
    """Mean and standard deviation of z without signal, and n / b - 1, by background, thresholds and drift."""
    points = load(templates.NAME)
    rows = []
    for strategy, reference in templates.COUNTING:
        for cut in ("eff_0.1", "eff_0.01"):
            name, cells = f"{strategy}, {reference}, {cut}", []
            for drift in ("none", "full"):
                found = [p[name] for p in templates.of_kind(points, "counts", drift=drift)]
                z = [one[0] for one in found if one[0] is not None]
                excess = [100 * one[1] for one in found if one[1] is not None]
                cells += [f"{_mean(z, 2)}, {np.std(z):.2f}", f"{_mean(excess, 1)} %"] if z else ["–", "–"]
            rows.append([BACKGROUNDS[strategy], THRESHOLDS[reference], CUTS[cut], *cells])
    head = ["background", "thresholds", "cut", "z", "excess", "z, shift", "excess, shift"]
    return table_of(head, rows)


def _mean(values: list[float], digits: int) -> str:
    if not values:
        return "–"
    error = f" ± {np.std(values, ddof=1) / np.sqrt(len(values)):.{digits}f}" if len(values) > 1 else ""
    return signed(float(np.mean(values)), digits) + error


def _sic(points: list[Point], method: str, drift: str, strength: float) -> str:
    """Median SIC(1e-2), SIC(0.5), in brackets the median ratio of SIC(1e-2) to `idealised` of the same draws."""
    found = templates.of_kind(points, "sensitivity", method=method, drift=drift, strength=strength)
    if not found:
        return "–"
    best = {
        p["draw"]: p["sic"]
        for p in templates.of_kind(points, "sensitivity", method="idealised", drift=drift, strength=strength)
    }
    ratios = [p["sic"] / best[p["draw"]] for p in found if best.get(p["draw"])]
    sic, half = (np.median([p[key] for p in found]) for key in ("sic", "sic_half"))
    ratio = f" ({np.median(ratios):.2f})" if ratios and method != "idealised" else ""
    return f"{sic:.2f}, {half:.2f}{ratio}; {len(found)}"
