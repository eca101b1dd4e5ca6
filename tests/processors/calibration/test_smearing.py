"""Factors of the smearing against the published formula for one jet at a time."""

from __future__ import annotations

import math

import numpy as np

from processors.calibration.smearing import Smearing

N = 2000


def test_no_jet_is_smeared_below_the_smallest_energy() -> None:
    rng = np.random.default_rng(3)
    pt = 10 ** rng.uniform(-3, 3, N)
    energy = pt * rng.uniform(1, 5, N)
    generated = np.where(rng.random(N) < 0.5, np.nan, pt * rng.uniform(0, 30, N))
    resolution, normal = rng.uniform(0, 0.5, N), rng.normal(0, 3, N)
    scale = rng.uniform(0.8, 1.5, N)
    smearing = Smearing(pt, lambda rows: energy[rows], generated, resolution, normal, lambda _side: scale)

    factor = smearing.factor()

    expected = []
    for x, e, gen, width, number, s in zip(pt, energy, generated, resolution, normal, scale, strict=True):
        shift = width * number * math.sqrt(max(s**2 - 1, 0)) if math.isnan(gen) else (s - 1) * (x - gen) / x
        expected.append(max(1 + shift, 0.01 / e))
    limited = np.isclose(factor * energy, 0.01)
    assert 100 < limited.sum() < N / 2
    np.testing.assert_allclose(factor, expected, rtol=1e-12)
