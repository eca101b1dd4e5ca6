"""Sizes of weights add up over chunks."""

from __future__ import annotations

import json

import numpy as np
import pytest

from processors.weighting import STEPS_PER_OCTAVE, Weights

WEIGHTS = np.concatenate([np.random.default_rng(1).normal(0, 50, 400), np.zeros(5), np.full(20, 8.0)])


@pytest.mark.parametrize("cuts", [[], [0], [3, 200], [405]])
def test_any_split_gives_the_same(cuts):
    parts = [Weights.of(part) for part in np.split(WEIGHTS, cuts)]
    found = sum(parts, Weights())
    assert (found.events, found.negative) == (425, (WEIGHTS < 0).sum())
    assert found.largest == np.abs(WEIGHTS).max()
    assert found.total == pytest.approx(WEIGHTS.sum())
    assert found.absolute == pytest.approx(np.abs(WEIGHTS).sum())
    assert found.squared == pytest.approx((WEIGHTS**2).sum())
    assert found.sizes == Weights.of(WEIGHTS).sizes
    assert sum(found.sizes.values()) == 425
    assert Weights.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_a_size_is_the_step_of_its_logarithm():
    found = Weights.of(np.array([1.0, -1.0, 2.0, 0.5, 1.1, 1.2]))
    assert found.sizes == {0: 3, STEPS_PER_OCTAVE: 1, -STEPS_PER_OCTAVE: 1, 1: 1}
