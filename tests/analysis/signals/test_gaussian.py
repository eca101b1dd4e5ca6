"""Limits on Gaussian signals cover them, where the limit on events in the window does not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from analysis.histograms.spectrum import Spectrum
from analysis.search.bump import Bump, fit_bump, plan_fit
from analysis.signals.gaussian import gaussian_limits, net_fraction
from tests.studies.fit_calibration import EDGES, expectation

Array = NDArray[np.float64]

SIGNAL, MASK = (3900.0, 4300.0), (3800.0, 4400.0)
BACKGROUND = expectation("dijet4", 30_000.0)


def gaussian(width: float) -> Array:
    """(35,) float64: fraction of the signal in each bin."""
    return np.diff(special.ndtr((EDGES - 4100.0) / (width * 4100.0)))


def fitted(counts: Array, mask: tuple[float, float] = MASK) -> Bump:
    spectrum = Spectrum(EDGES, counts, None, "toy")
    return fit_bump(spectrum, plan_fit(spectrum, SIGNAL, mask=mask), functions=("dijet4",))


@pytest.mark.thorough
@pytest.mark.parametrize("width", [0.02, 0.05])
def test_the_limit_covers_the_whole_signal(width: float) -> None:
    true, rng, n_toys = 600.0, np.random.default_rng(5), 80
    found = [fitted(rng.poisson(BACKGROUND + true * gaussian(width)).astype(float)) for _ in range(n_toys)]
    covered = np.mean([(gaussian_limits(one)[f"{width:g}"] or np.inf) > true for one in found])
    in_window = np.mean([(one.limit.observed_events or np.inf) > true for one in found])
    assert covered > 0.95 - 2.5 * np.sqrt(0.95 * 0.05 / n_toys)
    assert covered > in_window
    assert (in_window < 0.8) == (width > 0.03)


def test_a_narrow_signal_is_all_in_the_window_and_a_wide_one_is_not() -> None:
    bump = fitted(np.round(BACKGROUND))
    assert net_fraction(bump, 0.005) == pytest.approx(1.0, abs=0.005)
    part = float(gaussian(0.02)[9:13].sum())
    assert net_fraction(bump, 0.02) == pytest.approx(part, abs=0.05)
    wide = net_fraction(bump, 0.05)
    assert wide is not None
    assert wide < 0.9 * float(gaussian(0.05)[9:13].sum())
    # A wider mask leaves less of the signal to the fit.
    assert (net_fraction(fitted(np.round(BACKGROUND), (3500.0, 4700.0)), 0.05) or 0.0) > wide
