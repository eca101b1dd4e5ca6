"""Folds that train one another: the model against toys whose classifier is the best cell of the other folds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.background import FUNCTIONS, fit_background
from analysis.calibration.coupling import Coupling, contributions, coupled_variance, influence_of, labels_of
from analysis.search.values import SelectionResult
from tests.builders.toy_tables import SQRT_S, WINDOW, dijet_masses

Array = NDArray[np.float64]

EDGES = np.arange(3000.0, 6501.0, 100.0)
MJJ = dijet_masses(30_000, np.random.default_rng(3))
CELLS, PER_CELL, PROBABILITY = 100, 40, 0.3


def excess_of_cells(efficiency: float, n_folds: int, n_toys: int, rng: np.random.Generator) -> Array:
    """(n_toys,): excess over the known expectation in cells that the other folds prefer, in standard deviations."""
    per_fold = PER_CELL * 5 // n_folds
    inside = rng.binomial(per_fold, PROBABILITY, (n_toys, n_folds, CELLS))
    others = inside.sum(axis=1, keepdims=True) - inside
    kept = round(efficiency * CELLS)
    best = np.argsort(-(others + rng.random(others.shape)), axis=2)[:, :, :kept]
    counts = np.take_along_axis(inside, best, axis=2).sum(axis=(1, 2))
    mean = n_folds * kept * per_fold * PROBABILITY
    return np.asarray((counts - mean) / np.sqrt(mean * (1 - PROBABILITY)))


@pytest.mark.parametrize("n_folds", [2, 5, 10])
@pytest.mark.parametrize("efficiency", [0.2, 0.1, 0.05, 0.02])
def test_counts_of_preferred_cells_vary_as_the_theory_says(efficiency: float, n_folds: int) -> None:
    """Every event is used in the training, with balanced labels, and cells have no random numbers of their own."""
    n_toys = 4000
    found = excess_of_cells(efficiency, n_folds, n_toys, np.random.default_rng([n_folds, round(100 * efficiency)]))
    t, c = stats.norm.isf(efficiency), (n_folds - 2) / (n_folds - 1)
    coupling = stats.multivariate_normal([0, 0], [[1, c], [c, 1]]).pdf([t, t]) / efficiency
    assert np.mean(found) == pytest.approx(0.0, abs=5 * np.sqrt((1 + coupling) / n_toys))
    assert np.var(found) == pytest.approx(1 + coupling, rel=0.12)


def test_labels_have_the_weights_of_the_training() -> None:
    labels = labels_of(WINDOW, MJJ)
    shares = [labels.values[inside(labels.mjj)].sum() / len(labels.mjj) for inside in regions()]
    assert shares == pytest.approx([0.5, -0.25, -0.25])
    assert labels.values.sum() == pytest.approx(0.0, abs=1e-6)
    assert np.count_nonzero(labels.values) == sum(inside(labels.mjj).sum() for inside in regions())


def regions() -> list[Callable[[Array], NDArray[np.bool_]]]:
    return [WINDOW.in_signal, WINDOW.in_lower, WINDOW.in_upper]


@pytest.mark.parametrize("size", [2000, 50_000])
def test_a_template_adds_its_own_fluctuations(size: int) -> None:
    simulated = dijet_masses(size, np.random.default_rng(4))
    labels = labels_of(WINDOW, MJJ, simulated)
    alone = float((labels.values**2).mean())
    ratio = WINDOW.in_signal(MJJ).sum() / WINDOW.in_signal(simulated).sum()
    assert labels.variance / alone == pytest.approx(1 + ratio)


def fit_of(kept: Array) -> tuple[SelectionResult, Array]:
    counts = np.histogram(MJJ[kept], EDGES)[0].astype(float)
    fit = fit_background(counts, EDGES, FUNCTIONS["dijet3"], mask=WINDOW.mask, sqrt_s_gev=SQRT_S)
    found = fit.estimate(*WINDOW.signal)
    selection = SelectionResult(
        "eff_0.1",
        "cwola",
        ("x0",),
        0.1,
        0.1,
        float(WINDOW.in_signal(MJJ[kept]).sum()),
        found.value,
        found.error("profile"),
        fit=fit,
    )
    return selection, counts


KEPT = np.random.default_rng(5).random(len(MJJ)) < 0.1


def variance_of(selection: SelectionResult) -> float:
    variance = coupled_variance(selection, labels_of(WINDOW, MJJ), WINDOW, EDGES)
    assert variance is not None
    return variance


def test_the_influence_of_a_bin_is_the_change_of_the_refitted_background() -> None:
    selection, counts = fit_of(KEPT)
    assert selection.fit is not None
    low, change = influence_of(selection.fit, WINDOW, EDGES)
    for index in (0, 1, 12, 20):
        moved = counts.copy()
        at = np.searchsorted(EDGES, low[index])
        step = 0.05 * np.sqrt(counts[at])
        values = []
        for sign in (1, -1):
            moved[at] = counts[at] + sign * step
            fit = fit_background(
                moved, EDGES, FUNCTIONS["dijet3"], variances=counts, mask=WINDOW.mask, sqrt_s_gev=SQRT_S
            )
            values.append(fit.estimate(*WINDOW.signal).value)
        assert change[index] == pytest.approx((values[0] - values[1]) / (2 * step), rel=0.15, abs=0.02)


def test_contributions_to_the_excess_have_its_variance() -> None:
    """The variance of n - b is that of a sum over independent events."""
    selection, _ = fit_of(KEPT)
    assert selection.fit is not None
    labels = labels_of(WINDOW, MJJ)
    r = contributions(labels, selection.fit, WINDOW, EDGES)[KEPT]
    assert selection.background is not None
    assert selection.background_error is not None
    assert (r**2).sum() == pytest.approx(selection.background + selection.background_error**2, rel=0.15)


def test_the_width_grows_with_the_coupling_and_not_for_a_selection_without_a_fit() -> None:
    selection, _ = fit_of(KEPT)
    variance = variance_of(selection)
    widths = [Coupling(value, 0.1, 100).null(variance).width for value in (0.0, 0.5, 1.0)]
    assert widths[0] == 1.0
    assert widths[1] ** 2 - 1 == pytest.approx((widths[2] ** 2 - 1) / 2)
    assert 1.1 < widths[2] < 1.4
    assert coupled_variance(replace(selection, fit=None), labels_of(WINDOW, MJJ), WINDOW, EDGES) is None


def test_a_measurement_below_zero_does_not_narrow_the_null() -> None:
    selection, _ = fit_of(KEPT)
    null = Coupling(-50.0, 20.0, 2).null(variance_of(selection))
    assert null.width == 1.0
    assert null.width_error > 0


def test_weighted_events_have_the_width_of_their_effective_number() -> None:
    selection, counts = fit_of(KEPT)
    half = fit_background(
        counts / 2, EDGES, FUNCTIONS["dijet3"], variances=counts / 4, mask=WINDOW.mask, sqrt_s_gev=SQRT_S
    )
    found = half.estimate(*WINDOW.signal)
    weighted = replace(selection, background=found.value, background_error=found.error("profile"), fit=half, weight=0.5)
    plain, other = (variance_of(one) for one in (selection, weighted))
    assert other == pytest.approx(plain, rel=1e-2)


def test_a_signal_that_is_selected_does_not_widen_the_null() -> None:
    """Its events take the places of others at a fixed efficiency, and the null has none of them."""
    selection, _ = fit_of(KEPT)
    more = replace(selection, n_obs=(selection.n_obs or 0.0) + 500.0, efficiency=0.15)
    assert variance_of(more) == variance_of(selection)
