"""What the stored points of `p_values` promise, and that biased results are marked."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.background import RESTS_ON_SMOOTHNESS, choose_order, with_function_error
from tests.builders.toy_tables import SQRT_S
from tests.studies.fit_calibration import EDGES, FAMILY
from tests.studies.p_values import IN_FAMILY, NAME, NOMINAL, POINTS, expected_counts, expected_spectra
from tests.studies.runner import Point, load

STORED = load(NAME)
BIASED = [one for one in STORED if abs(one["bias"]) > 0.3 and one["expected"] >= 10]


def test_every_cell_is_stored() -> None:
    assert len(STORED) == len(POINTS) == 1188


def test_p_values_of_selections_are_right_where_the_truth_is_of_the_family() -> None:
    chosen = [
        one["ratios"]
        for one in STORED
        if one["strategy"] == "transfer-factor"
        and (one["ratio"], one["truth"] in IN_FAMILY) == ("line", True)
        and one["expected"] >= 30
    ]
    for index, allowed in enumerate((0.1, 0.15, 0.2, 0.3, 0.5)):
        ratios, errors = np.array([ratios[index] for ratios in chosen]).T
        assert (abs(ratios - 1.0) < allowed + 2.0 * errors).all(), NOMINAL[index]


def marked(point: Point) -> bool:
    """Whether the search marks the fit to the expectation of a point as resting on a smooth spectrum."""
    low, high = point["window"]
    passing, failing, _ = expected_spectra(point, (EDGES[:-1] >= low) & (EDGES[1:] <= high))
    fit = choose_order(
        passing,
        EDGES,
        mask=(low - 100.0, high + 100.0),
        functions=FAMILY,
        alpha=0.05,
        sqrt_s_gev=SQRT_S,
        strategy=point["strategy"],
        variances=passing,
        rest=None if failing is None else (failing, failing),
    )
    return (with_function_error(fit, (low, high)).hidden_shift or 0.0) > RESTS_ON_SMOOTHNESS


@pytest.mark.parametrize("truth", sorted({one["truth"] for one in BIASED}))
def test_biased_results_are_marked(truth: str) -> None:
    """But for a kink of 1.5 with 100 to 3,000 events, which the sidebands do not exclude and a bend of 0.5 is not."""
    hard = truth == "kink 1.5"
    cells = [one for one in BIASED if one["truth"] == truth and not (hard and one["expected"] <= 3000)]
    assert cells
    assert all(marked(one) for one in cells)


def test_the_truth_of_the_simulation_is_a_falling_spectrum() -> None:
    counts = expected_counts("pythia")
    assert (np.diff(counts) < 0).all()
    assert counts.sum() == pytest.approx(1.0)
