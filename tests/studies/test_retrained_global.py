"""The rate of small p-values by a power law, against distributions of which it is known."""

from __future__ import annotations

import numpy as np
import pytest

from tests.studies.retrained_global import ratio_by_power_law

LEVEL = 1e-3


@pytest.mark.parametrize("exponent", [0.9, 1.0, 1.1])
def test_powers_of_a_uniform_number(exponent: float) -> None:
    uniform = np.random.default_rng(1).random((400, 5000))
    found = np.array([ratio_by_power_law(p ** (1 / exponent), LEVEL) for p in uniform])
    truth = LEVEL**exponent / LEVEL
    assert np.mean(found[:, 0]) == pytest.approx(truth, rel=0.05)
    pulls = (np.log(found[:, 0]) - np.log(truth)) * found[:, 0] / found[:, 1]
    assert np.std(pulls) == pytest.approx(1.0, abs=0.12)
    # Counting alone knows much less.
    counted = (uniform < truth * LEVEL).mean(axis=1) / LEVEL
    assert np.std(found[:, 0]) < 0.6 * np.std(counted)
