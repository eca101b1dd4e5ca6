"""Functions from tables give the integrals of the functions that were tabulated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.background import FUNCTIONS, fit_background
from analysis.background.functions import MassFunction
from analysis.background.tabulated import tabulate, tabulated_function

EDGES = np.linspace(3000.0, 6500.0, 36)


@pytest.mark.parametrize("name", ["dijet3", "dijet5", "atlas3", "exp4", "ua2"])
def test_a_tabulated_fit_is_the_fit(name: str) -> None:
    """On the grid, within bins, and beyond the last edge."""
    counts = np.random.default_rng(1).poisson(3000 * np.exp(-np.arange(35) / 6)).astype(float)
    fit = fit_background(counts, EDGES, FUNCTIONS[name], mask=(3600, 4100), sqrt_s_gev=13000.0)
    table = tabulate(fit.function, EDGES, 13000.0)
    assert table is not None
    again = replace(fit, function=tabulated_function(name, table))
    for edges in (EDGES, np.array([3010.0, 3333.0, 4096.5, 6499.0, 6550.0])):
        for one, other in zip(fit.expected(edges), again.expected(edges), strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-7)
    assert again.integral(3600, 4100) == pytest.approx(fit.integral(3600, 4100), rel=1e-9)


def test_a_term_that_is_not_finite_has_no_table() -> None:
    assert tabulate(MassFunction("bad", (lambda x: np.log(x - 0.3),), ""), EDGES, 13000.0) is None
