"""Weights of the bins of a spectrum."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from analysis.background.bins import sidebands
from analysis.errors import FitError

EDGES = np.arange(3000.0, 6000.0, 100.0)
COUNTS = np.round(4e5 * 0.87 ** np.arange(len(EDGES) - 1))
VARIANCES = 2.0 * COUNTS * np.linspace(1, 2, len(COUNTS))


def test_a_bin_whose_weights_cancel_gives_no_warning() -> None:
    counts = np.where(np.arange(len(COUNTS)) == 15, 0.0, COUNTS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scale = sidebands(counts, EDGES, mask=(3300, 3700), variances=VARIANCES).scale
    assert ((scale > 0.24) & (scale < 0.51)).all()


def test_weights_that_no_curve_describes_are_refused() -> None:
    with pytest.raises(FitError, match=r"variances over counts run from .* to .* in 3000-5900 GeV"):
        sidebands(COUNTS, EDGES, mask=(3300, 3700), variances=np.geomspace(1e300, 1e-300, len(COUNTS)))
