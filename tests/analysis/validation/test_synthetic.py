"""Synthetic events, compared with the distributions that the events of toys were drawn from."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.config import SearchConfig, load_config
from analysis.errors import TableError
from analysis.events.table import EventTable
from analysis.learning.folds import assign_folds
from analysis.statistics.two_sample import trial
from analysis.validation.synthetic import SYNTHETIC, closure_union, make_synthetic
from tests.builders.toy_tables import FIT_RANGE, dijet_density, dijet_masses, table_of

MASK = (3400.0, 3900.0)
N_EVENTS = 40_000
NAMES = ("x0", "x1")


def center(mjj: NDArray[np.float64]) -> NDArray[np.float64]:
    """Both features drift linearly with m_jj, by three of their widths over the fit range."""
    share = (mjj - FIT_RANGE[0]) / (FIT_RANGE[1] - FIT_RANGE[0])
    return np.stack([3 * share, -3 * share], axis=1)


def drifting(n_events: int, *, random_state: int) -> EventTable:
    rng = np.random.default_rng(random_state)
    mjj = dijet_masses(n_events, rng)
    first, second = rng.normal(size=(2, n_events))
    X = center(mjj) + np.stack([first, 0.8 * first + 0.6 * second], axis=1)
    return table_of(mjj, X)


@pytest.fixture(scope="module")
def config() -> SearchConfig:
    overrides = {
        "scan": {"windows": [[3500.0, 3800.0]], "fit_range": list(FIT_RANGE)},
        "learning": {"features": list(NAMES)},
        "background": {"functions": ["dijet2", "dijet3"]},
    }
    return load_config(overrides=overrides)


@pytest.fixture(scope="module")
def table() -> EventTable:
    return drifting(N_EVENTS, random_state=1)


def residuals(made: EventTable) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    inside = (made.mjj >= MASK[0]) & (made.mjj < MASK[1])
    return made.matrix(NAMES).astype(np.float64) - center(made.mjj), inside


def test_no_event_inside_a_mask_is_used(table: EventTable, config: SearchConfig) -> None:
    """Whatever lies in the mask, or nothing at all, the synthetic events are the same to the last bit."""
    made = make_synthetic(table, config, [MASK])
    inside = (table.mjj >= MASK[0]) & (table.mjj < MASK[1])
    poison = {name: np.where(inside, np.float32(1e6), table.column(name)) for name in NAMES}
    assert make_synthetic(table.replaced(poison), config, [MASK]).table.table.equals(made.table.table)
    rest = table.select(~inside)
    assert make_synthetic(rest, config, [MASK]).table.mjj.tobytes() == made.table.mjj.tobytes()
    np.testing.assert_array_equal(make_synthetic(rest, config, [MASK]).table.matrix(NAMES), made.table.matrix(NAMES))
    assert made.n_parents == len(rest)


@pytest.mark.parametrize("masks", [[], [MASK]])
def test_spectrum_and_features_are_those_of_the_toy(
    table: EventTable, config: SearchConfig, masks: list[tuple[float, float]]
) -> None:
    made = make_synthetic(table, config, masks).table
    assert abs(len(made) - N_EVENTS) < 5 * np.sqrt(N_EVENTS)
    grid = np.linspace(*FIT_RANGE, 20_001)
    cumulative = np.cumsum(dijet_density(grid, 9.0, 5.0))
    # The fit has an error that a test for the exact density would see in so many events.
    sample = np.random.default_rng(2).choice(made.mjj, 4000, replace=False)
    assert stats.kstest(sample, lambda m: np.interp(m, grid, cumulative / cumulative[-1])).pvalue > 0.01
    found, inside = residuals(made)
    for chosen in (inside, ~inside):
        # Copies of an event are correlated: the error of a mean is that of about a thousand events of a strip.
        np.testing.assert_allclose(found[chosen].mean(axis=0), 0, atol=0.12)
        np.testing.assert_allclose(found[chosen].std(axis=0), 1, atol=0.1)
        assert np.corrcoef(found[chosen].T)[0, 1] == pytest.approx(0.8, abs=0.05)


def test_without_the_transport_the_features_would_be_off(table: EventTable, config: SearchConfig) -> None:
    """The drift over the strip beside a mask is what the test above could not miss."""
    made = make_synthetic(table, config, [MASK]).table
    strip = (table.mjj >= 0.95 * MASK[0]) & (table.mjj < MASK[0])
    untouched = table.matrix(NAMES)[strip].astype(np.float64) - center(np.full(int(strip.sum()), 3800.0))
    assert abs(untouched.mean(axis=0)[0]) > 0.3
    upper = (made.mjj >= 3700) & (made.mjj < MASK[1])
    assert abs(residuals(made)[0][upper].mean(axis=0)).max() < 0.15


def test_events_have_new_identities_and_copies_one_fold(table: EventTable, config: SearchConfig) -> None:
    made = make_synthetic(table, config, [MASK]).table
    assert not np.isin(made.event_id, table.event_id).any()
    assert set(made.column("dataset")) == {SYNTHETIC}
    copies = len(made) - len(np.unique(made.event_id))
    assert copies > 1000
    folds = assign_folds(made.event_id, 5, random_state=0)
    order = np.argsort(made.event_id, kind="stable")
    same = made.event_id[order][1:] == made.event_id[order][:-1]
    assert (folds[order][1:][same] == folds[order][:-1][same]).all()


def test_where_nothing_is_masked_hardly_an_event_is_used_twice(table: EventTable, config: SearchConfig) -> None:
    """So the counts of a selection fluctuate as those of events do."""
    made = make_synthetic(table, config, []).table
    assert len(np.unique(made.event_id)) > 0.98 * len(made)


def test_closure_tells_synthetic_events_only_if_they_differ(table: EventTable, config: SearchConfig) -> None:
    union = closure_union(table, config, [MASK], NAMES, most=6000)
    assert min(union.sizes) > 2000
    areas = [trial(union, number).area for number in range(6)]
    assert areas[0] == pytest.approx(0.5, abs=0.03)
    # Events of the search with a further shape that depends on the identity alone are not told; a shift is.
    union.X[~union.is_first, 0] += 0.5
    assert trial(union, 0).area > 0.58


def test_weighted_events_and_missing_sidebands_are_refused(table: EventTable, config: SearchConfig) -> None:
    with pytest.raises(TableError, match="unweighted"):
        make_synthetic(table.replaced({"weight": np.full(len(table), 0.5)}), config, [MASK])
    with pytest.raises(TableError, match="fewer than 50 events lie on one side of 3000-6000 GeV"):
        make_synthetic(table, config, [(3000.0, 4000.0), (5000.0, 6000.0)])
