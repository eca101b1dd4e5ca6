"""Closed-form parts of the study of three dimensions, and what its stored points promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, norm, poisson

from tests.studies import trials3d
from tests.studies.bump3d import p_values
from tests.studies.runner import load
from tests.studies.trials3d import LAYOUTS, NOMINAL, Layout, draw

STORED = load(trials3d.NAME)
TINY = Layout(2, 40, (5,), 10)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(LAYOUTS, "tiny", TINY)
    trials3d.tails.cache_clear()
    return "tiny"


def test_the_background_of_a_cell_is_the_integral_of_two_gaussians() -> None:
    """The signal of 20 × 20 is in 0 to 0.2 and -1 to -0.8: 16,000 times 0.0793 times 0.0532."""
    layout = LAYOUTS["20 × 20"]
    row, column = divmod(layout.signal_cell, 20)
    assert layout.edges[[row, row + 1, column, column + 1]] == pytest.approx([0.0, 0.2, -1.0, -0.8])
    assert layout.n_events * layout.shares[layout.signal_cell] == pytest.approx(67.5, abs=0.1)
    assert layout.shares.sum() == pytest.approx(1.0)
    assert layout.shares[:-1].sum() == pytest.approx((2 * norm.cdf(2.0) - 1) ** 2)


def test_tails_are_those_of_binomials() -> None:
    layout = LAYOUTS["5 × 5"]
    counts = draw(layout, 1, 50, 0.0, np.random.default_rng(1))[:, 0]
    assert trials3d.tails("5 × 5", 25_000)(counts) == pytest.approx(binom.sf(counts - 1, 25_000, layout.shares[:-1]))


def test_folds_and_chains_are_summed_as_written_out(tiny: str) -> None:
    """One loop over folds for each replica, with the p-value of every cell from scipy."""
    folds = draw(TINY, 4, 30, 5.0, np.random.default_rng(2))
    shares = TINY.shares[:-1]
    for replica, p_fold, p_chain in zip(
        folds, trials3d.k_folds(tiny, folds), trials3d.sequential(tiny, folds), strict=True
    ):
        for found, trained in (
            (p_fold, [[k for k in range(4) if k != fold] for fold in range(4)]),
            (p_chain, [[], [0], [0, 1], [0, 1, 2]]),
        ):
            count, used = 0, []
            for fold, others in enumerate(trained):
                if others:
                    train = replica[others].sum(axis=0)
                    cell = int(binom.sf(train - 1, 10 * len(others), shares).argmin())
                    count += int(replica[fold, cell])
                    used.append(shares[cell])
            assert found == pytest.approx(binom.sf(count - 1, 10 * len(used), np.mean(used)))


def test_halves_test_each_other(tiny: str) -> None:
    """The best cell of the first half is the first, of the second half the last."""
    halves = np.array([[[20, 2, 2, 1], [6, 5, 4, 12]]])
    first, last = binom.sf(5, 20, TINY.shares[0]), binom.sf(0, 20, TINY.shares[3])
    assert trials3d.one_half(tiny, halves) == pytest.approx(first)
    assert trials3d.both_halves(tiny, halves) == pytest.approx(min(1.0, 2 * min(first, last)))


def test_a_cut_is_where_the_known_background_says() -> None:
    """Scores uniform between 0 and 1, two folds of 1000 events: 5 % of them are 50 events in each."""
    reference = np.stack([np.linspace(0, 1, 10_001)] * 2, axis=1).astype(np.float32)
    scores = [np.array([0.96] * 60 + [0.5] * 940, np.float32), np.array([0.999] * 50 + [0.1] * 950, np.float32)]
    z = trials3d._tested(reference, np.array([1000.0, 1000.0]), scores)
    expected = [norm.isf(poisson.sf(count - 1, mean)) for count, mean in ((110, 100), (50, 20), (50, 10))]
    assert z == pytest.approx(expected, abs=0.01)


def test_signal_of_the_trees_is_in_its_cell_and_window() -> None:
    layout = LAYOUTS["20 × 20"]
    masses, X = trials3d._toy(layout, 400, np.random.default_rng(3))
    window = (masses >= 3400) & (masses < 3600)
    cell = (X[:, 0] >= 0) & (X[:, 0] < 0.2) & (X[:, 1] >= -1) & (X[:, 1] < -0.8)
    assert len(masses) - 2 * layout.n_events == pytest.approx(400, abs=80)
    assert (window & cell).sum() == pytest.approx(467, abs=90)
    assert (~window & cell).sum() == pytest.approx(67, abs=35)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("nominal", NOMINAL)
def test_halves_and_chains_are_no_more_often_significant_than_they_should(layout: str, nominal: float) -> None:
    for search in ("half", "halves", "sequential"):
        found = trials3d.true_fraction(STORED, layout, search, nominal)
        assert found.value < nominal + 3 * found.error


def test_the_best_cell_pays_for_all_cells() -> None:
    """Counts of the cells are nearly independent: Šidák's 1 - (1 - p)^K, below it where they are discrete."""
    for layout, allowed in (("5 × 5", (0.9, 1.02)), ("20 × 20", (0.65, 1.02))):
        for nominal in (0.003, 1e-3, 1e-4):
            found = trials3d.true_fraction(STORED, layout, "classic", nominal)
            assert allowed[0] < found.value / trials3d.sidak(nominal, layout) < allowed[1]


def test_folds_that_train_one_another_are_significant_too_often() -> None:
    for layout in LAYOUTS:
        found = trials3d.true_fraction(STORED, layout, "k-fold", 1e-3)
        assert found.value - 5 * found.error > 1e-2


def test_calibrated_folds_are_worth_as_much_as_the_honest_best_cell() -> None:
    for layout, strength in (("5 × 5", 200), ("20 × 20", 40)):
        (point,) = (p for p in STORED if (p["search"], p["layout"], p["signal"]) == ("cells", layout, strength))
        z = [
            norm.isf(trials3d.calibrated_p(STORED, layout, search, point["found"][search]["z"][1]).value)
            for search in ("classic", "k-fold")
        ]
        assert z[0] == pytest.approx(z[1], abs=0.15)
        assert z[0] > point["found"]["sequential"]["z"][1] > point["found"]["halves"]["z"][1]


def test_a_calculated_p_value_of_the_page_is_what_it_is_called_there() -> None:
    """Five folds in 5 × 5 cells: 5e-4 is a true 1e-2."""
    assert trials3d.calibrated_p(STORED, "5 × 5", "k-fold", float(norm.isf(5e-4))).value == pytest.approx(
        1e-2, rel=0.15
    )


def test_calibration_counts_replicas_at_the_grid_below() -> None:
    null = {"search": "cells", "layout": "5 × 5", "signal": 0, "seed": 0, "replicas": 100}
    points = [{**null, "found": {"half": {"above": [50, 40, 30]}}}]
    assert [trials3d.calibrated_p(points, "5 × 5", "half", z).passed for z in (0.0, 0.06, 0.1, 0.2)] == [50, 40, 30, 0]


def test_global_p_values_of_the_bump_hunt_are_uniform() -> None:
    found = np.array(p_values(load("bump3d")))
    assert len(found) >= 40
    for nominal in (0.5, 0.2, 0.1):
        assert abs((found < nominal).mean() - nominal) < 3 * (nominal * (1 - nominal) / len(found)) ** 0.5


def test_points_at_random_integrate_the_density_of_any_cut() -> None:
    """Above 2.155 in one mass are 1.56 % of the background, the highest of 64 bins; the grid counts 3 of 200 lines."""
    edge = norm.isf(1 / 64)
    rng = np.random.default_rng(4)
    drawn = [(trials3d.density_points(rng)[:, 0] > edge).mean() for _ in range(20)]
    assert np.mean(drawn) == pytest.approx(1 / 64, rel=0.01)
    assert (trials3d.density_points()[:, 0] > edge).mean() == pytest.approx(3 / 200)
