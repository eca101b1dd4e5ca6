"""z without signal with retraining."""

from __future__ import annotations

import numpy as np
from scipy import stats

from docs._ext.page_tables import signed, table_of
from docs._ext.tables.shared import CUTS
from tests.studies import retrained_null
from tests.studies.runner import load
from tests.studies.shipped_couplings import measured

THRESHOLDS = (1.645, 2.326, 3.0, 4.0)


def retrained_null_table() -> str:
    """Width of z, coupling and tails, by cell and selection."""
    rows = []
    for (preset, n_window, varied, seed), batches in retrained_null.cells(load(retrained_null.NAME)).items():
        couplings = measured(batches)
        for name, values in retrained_null.joined(batches).items():
            z = values[np.isfinite(values)]
            own = (z - z.mean()) / z.std(ddof=1)
            coupling = couplings.get(name)
            rows.append(
                [
                    f"`{preset}`{f', {varied}' if varied else ''}{f', seed {seed}' if seed else ''}",
                    f"{n_window:,}",
                    CUTS.get(name, name),
                    f"{len(z):,}",
                    f"{signed(z.mean(), 2)} ± {z.std() / len(z) ** 0.5:.2f}",
                    f"{z.std(ddof=1):.3f} ± {z.std() / (2 * len(z)) ** 0.5:.3f}",
                    "–" if coupling is None else f"{signed(coupling.value, 2)} ± {coupling.error:.2f}",
                    *(f"{_ratio(z, t)}, {_ratio(own, t)}" for t in THRESHOLDS),
                ]
            )
    heads = ["preset", "events in window", "selection", "searches", "mean", "width", "coupling"]
    return table_of([*heads, *(f"z > {t:g}: plain, own width" for t in THRESHOLDS)], rows)


def _ratio(z: np.ndarray, threshold: float) -> str:
    above, expected = int((z > threshold).sum()), len(z) * float(stats.norm.sf(threshold))
    if expected < 1 and not above:
        return "–"
    return f"{above / expected:.2g} ± {max(above, 1) ** 0.5 / expected:.1g}"
