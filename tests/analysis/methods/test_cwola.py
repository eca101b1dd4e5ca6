from __future__ import annotations

import re

import numpy as np
import pytest

from analysis.errors import WindowError
from analysis.events.table import EventTable
from analysis.learning import Samples, TrainingSet
from analysis.methods import CWoLa
from tests.builders.toy_tables import WINDOW, table_of, toy_table

NAMES = ("x0", "x1")
LOWER, INSIDE, UPPER, BESIDE = 3200.0, 3500.0, 3800.0, 4500.0


def contrast(table: EventTable) -> TrainingSet:
    return CWoLa().contrast(Samples(table), WINDOW, NAMES, random_state=np.random.SeedSequence(0))


def mjj_of(training: TrainingSet, table: EventTable) -> np.ndarray:
    order = np.argsort(table.event_id)
    return table.mjj[order[np.searchsorted(table.event_id[order], training.group)]]


@pytest.mark.parametrize("weighted", [False, True])
def test_each_sideband_weighs_half_as_much_as_the_window(weighted: bool) -> None:
    rng = np.random.default_rng(1)
    weight = rng.uniform(0.1, 4.0, 5000) if weighted else np.ones(5000)
    table = table_of(rng.choice(rng.uniform(3050, 4000, 500), 5000), rng.normal(size=(5000, 2)), weight=weight)
    training = contrast(table)
    mjj, w = mjj_of(training, table), training.sample_weight
    window = w[WINDOW.in_signal(mjj)].sum()
    assert w[WINDOW.in_lower(mjj)].sum() == pytest.approx(window / 2)
    assert w[WINDOW.in_upper(mjj)].sum() == pytest.approx(window / 2)
    assert w.mean() == pytest.approx(1)


def test_weights_by_hand() -> None:
    mjj = np.array([LOWER] * 4 + [INSIDE] * 2 + [UPPER])
    training = contrast(table_of(mjj, np.zeros((7, 2))))
    # Window 1 each: 2. Sidebands 1 each in sum: 1/4 and 1. Total 4 over 7 rows, scaled to mean 1.
    np.testing.assert_allclose(training.sample_weight, np.array([0.25] * 4 + [1, 1] + [1]) * 7 / 4)


def test_events_keep_their_relative_weights_within_a_region() -> None:
    mjj = np.array([LOWER, LOWER, INSIDE, INSIDE, UPPER, UPPER])
    training = contrast(table_of(mjj, np.zeros((6, 2)), weight=np.array([1.0, 3.0, 2.0, 5.0, 7.0, 1.0])))
    w = training.sample_weight
    np.testing.assert_allclose([w[1] / w[0], w[3] / w[2], w[4] / w[5]], [3.0, 2.5, 7.0])


def test_window_is_one_sidebands_are_zero_and_the_rest_is_left_out() -> None:
    table = toy_table(3000, random_state=1)
    training = contrast(table)
    mjj = mjj_of(training, table)
    np.testing.assert_array_equal(training.y, WINDOW.in_signal(mjj))
    used = (table.mjj >= 3100) & (table.mjj < 3900)
    assert set(training.group.tolist()) == set(table.event_id[used].tolist())
    np.testing.assert_array_equal(training.X, table.select(used).matrix(NAMES))


def test_a_linear_drift_with_mass_tells_nothing_in_the_mean() -> None:
    # Ten times more events below than above: without the balance the sidebands would lie at 3255 GeV.
    rng = np.random.default_rng(2)
    pieces = ((3100, 3300, 50_000), (3300, 3700, 9000), (3700, 3900, 5000))
    mjj = np.concatenate([rng.uniform(low, high, n) for low, high, n in pieces])
    training = contrast(table_of(mjj, np.stack([mjj, mjj], axis=1)))
    X, w = training.X[:, 0], training.sample_weight
    means = [np.average(X[training.y == k], weights=w[training.y == k]) for k in (0, 1)]
    assert means[0] == pytest.approx(means[1], abs=4 * 115 / np.sqrt(9000))


@pytest.mark.parametrize(
    ("present", "missing"),
    [
        ((INSIDE, UPPER), "lower sideband, 3100-3300 GeV"),
        ((LOWER, INSIDE), "upper sideband, 3700-3900 GeV"),
        ((LOWER, UPPER), "window, 3300-3700 GeV"),
        ((BESIDE,), "window, 3300-3700 GeV"),
    ],
)
def test_an_empty_region_is_named(present: tuple[float, ...], missing: str) -> None:
    table = table_of(np.array(present * 5), np.zeros((5 * len(present), 2)))
    with pytest.raises(WindowError, match=re.escape(missing)) as caught:
        contrast(table)
    assert "window 3300-3700 GeV" in str(caught.value)


@pytest.mark.parametrize("mjj", [LOWER, INSIDE, UPPER])
def test_an_event_of_negative_weight_is_left_out_and_its_region_keeps_its_sum(mjj: float) -> None:
    """20 events of weight 1 and one of -0.5 train as 20 of weight 0.975 would."""
    masses = np.array([LOWER, INSIDE, UPPER] * 20)
    mixed = table_of(np.append(masses, mjj), np.zeros((61, 2)), weight=np.append(np.ones(60), -0.5))
    scaled = table_of(masses, np.zeros((60, 2)), weight=np.where(masses == mjj, 0.975, 1.0))
    np.testing.assert_allclose(contrast(mixed).sample_weight, contrast(scaled).sample_weight)


@pytest.mark.parametrize(("mjj", "region"), [(LOWER, "lower sideband"), (INSIDE, "window"), (UPPER, "upper sideband")])
def test_a_region_without_positive_weight_is_refused(mjj: float, region: str) -> None:
    masses = np.array([LOWER, INSIDE, UPPER] * 20 + [mjj])
    with pytest.raises(WindowError, match=rf"no positive sum of weights \(-10\) to train on in the {region}"):
        contrast(table_of(masses, np.zeros((61, 2)), weight=np.append(np.ones(60), -30.0)))


def test_a_negative_weight_beside_the_training_regions_does_not_matter() -> None:
    masses = np.array([LOWER, INSIDE, UPPER, BESIDE])
    assert len(contrast(table_of(masses, np.zeros((4, 2)), weight=np.array([1.0, 1, 1, -1]))).y) == 3
