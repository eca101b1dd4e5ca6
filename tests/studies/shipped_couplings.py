"""Write analysis/calibration/shipped.json from the exact nulls of `retrained_null`.

The covariance of the counts of folds, summed over the other folds, in units of the variance of a fold, is the coupling
times the squared correlation of contributions and labels in the window of the study. Only points with seed 0 enter:
others test the result.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

import analysis
from analysis.calibration.coupling import Coupling, FoldSums
from analysis.calibration.shipped import ShippedCouplings, ShippedEntry, settings_digest
from analysis.config import load_config
from analysis.core.documents import to_json
from analysis.learning import INCLUSIVE, Method
from analysis.methods import configured_method, uses_sidebands
from tests.studies.retrained_null import NAME, cells, configured, spectrum
from tests.studies.runner import Point, load

LEAST = 100
"""Searches from which on a coupling is shipped."""

SHIPPED = Path(analysis.__file__).parent / "calibration" / "shipped.json"


def correlation(preset: str, method: Method) -> float:
    """Squared correlation of an event's contribution to a count with its label, in the window of a preset.

    Simulation has as many events as the data. Sidebands have half the weight of the window each.
    """
    window, task, unit = spectrum(preset)
    total = unit.fit.expected(task.edges)[0].sum()
    signal, lower, upper = (
        float(unit.fit.estimate(*ends).value / total) for ends in (window.signal, window.lower, window.upper)
    )
    if method.needs_simulation and not uses_sidebands(method):
        return (1 - signal) / 2
    return 1 / ((1 - signal) * (1 + signal / (4 * lower) + signal / (4 * upper)))


def measured(batches: Sequence[Point]) -> dict[str, Coupling]:
    """Coupling by selection, from the batches of one cell."""
    point = batches[0]
    unit = correlation(point["preset"], configured_method(configured(point).learning))
    found = {}
    for name in point["z"]:
        sums = sum((FoldSums(*batch["folds"][name]) for batch in batches), FoldSums())
        if name != INCLUSIVE and (coupling := Coupling.of(sums, unit)) is not None:
            found[name] = Coupling(round(coupling.value, 4), round(coupling.error, 4), coupling.searches)
    return found


@click.command()
def main() -> None:
    """Write the table."""
    entries = [
        ShippedEntry(preset, settings_digest(load_config(preset=preset)), n_window, measured(batches))
        for (preset, n_window, varied, seed), batches in cells(load(NAME)).items()
        if not varied and seed == 0 and sum(batch["searches"] for batch in batches) >= LEAST
    ]
    document = json.dumps(to_json(ShippedCouplings(tuple(entries))), indent=1)
    SHIPPED.write_text(document + "\n", encoding="utf-8")
    click.echo(f"{len(entries)} entries.")


if __name__ == "__main__":
    main()
