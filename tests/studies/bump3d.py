"""Is the global p-value of `cwola bump3d` uniform without signal? Toys of 9,000 events, 3 x 3 cells in two windows."""

from __future__ import annotations

from collections.abc import Sequence

import click
import numpy as np
from scipy.stats import kstest

from analysis.compute import Serial
from analysis.config import SearchConfig
from analysis.regions import RegionScan
from analysis.search.bump3d import hunt
from analysis.search.cells import Binning, cell_axes
from analysis.search.values import SearchData
from tests.builders.toy_tables import feature_names, toy_config, toy_table
from tests.studies.runner import Budget, Point, run, study

NAME = "bump3d"

N_TOYS = 5
"""Toys of one point."""

POINTS = [{"seed": seed} for seed in range(16)]


def config() -> SearchConfig:
    """Two overlapping windows; 200 pseudo-experiments for each toy."""
    return toy_config(
        scan={"first": 3300.0, "last": 3900.0, "step": 200.0},
        background={"function_error": "none"},
        statistics={"pseudo_experiments": 200},
    )


def measure(point: Point) -> Point:
    """Global p-value of each toy, and the largest z of its cells."""
    settings = config()
    scan = RegionScan.from_config(settings.scan)
    found = []
    for toy in range(N_TOYS):
        data = SearchData(toy_table(9000, random_state=1000 * (point["seed"] + 1) + toy))
        axes = cell_axes(data.table, [Binning(name, 3) for name in feature_names(2)], scan)
        result = hunt(data, scan, axes, settings, Serial())
        assert result.best is not None
        found.append([result.global_.p0, round(result.best[1].z or 0.0, 3)])
    return {"p0_z": found}


def p_values(finished: Sequence[Point]) -> list[float]:
    """Global p-values of all toys."""
    return [p0 for point in finished for p0, _ in point["p0_z"]]


@study(minutes=10.0)
def main(budget: Budget) -> None:
    """Run the study and print how often p is small."""
    found = np.array(p_values(run(NAME, POINTS, measure, budget)))
    for nominal in (0.5, 0.2, 0.1, 0.05):
        n = int((found < nominal).sum())
        click.echo(f"p < {nominal}: {n} of {len(found)}, {n / len(found):.3f}")
    click.echo(f"Kolmogorov-Smirnov p {kstest(found, 'uniform').pvalue:.2f}")


if __name__ == "__main__":
    main()
