"""Fractions of sums in different orders."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.core.fractions import fraction


@pytest.mark.parametrize("seed", range(20))
def test_all_of_the_events_are_no_more_than_all_of_them(seed: int) -> None:
    weight = np.random.default_rng(seed).exponential(size=100_001)
    part = np.array([sum(weight[::-1].tolist()), 0.3 * weight.sum(), 0.0])
    found = fraction(part, float(weight.sum()))
    assert found[0] <= 1
    assert found == pytest.approx([1.0, 0.3, 0.0])
    assert fraction(float(part[0]), float(weight.sum())) == found[0]


def test_the_orders_of_the_sums_differ_at_all() -> None:
    weight = np.random.default_rng(3).exponential(size=(40, 100_001))
    assert any(sum(one.tolist()) / one.sum() > 1 for one in weight[:, ::-1])


def test_fractions_outside_of_the_range_are_kept() -> None:
    """Events of negative weight that fail a cut."""
    assert fraction(np.array([1.2, -0.1, 1 + 1e-12, -1e-12]), 1.0).tolist() == [1.2, -0.1, 1.0, 0.0]
