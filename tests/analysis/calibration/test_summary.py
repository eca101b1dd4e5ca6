"""Joining batches of searches without signal."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.calibration.coupling import Coupling, FoldSums
from analysis.calibration.summary import summarise
from analysis.calibration.values import NullBatch

RNG = np.random.default_rng(3)
Z = {name: RNG.normal(0.1, 1.2, 40).tolist() for name in ("inclusive", "eff_0.1")}


EXCESSES = RNG.normal(size=(40, 5)) + 0.5 * RNG.normal(size=(40, 1))
"""By search and fold, with a common part."""


def batches(window: str, z: dict[str, list[float | None]], size: int = 10) -> list[NullBatch]:
    found = []
    for first in range(0, 40, size):
        chosen = slice(first, first + size)
        sums = sum((FoldSums.of(excess) for excess in EXCESSES[chosen]), FoldSums())
        by_name = {name: tuple(values[chosen]) for name, values in z.items()}
        found.append(NullBatch(window, first, by_name, {"eff_0.1": sums}, 0.5))
    return found


def test_batches_of_any_size_and_order_give_one_distribution() -> None:
    found = [summarise("k", parts, ["a"]) for parts in (batches("a", Z), batches("a", Z, 5)[::-1])]
    assert found[0].windows["a"]["inclusive"] == found[1].windows["a"]["inclusive"]
    measured = [one.windows["a"]["eff_0.1"] for one in found]
    null = measured[0].z
    assert null == measured[1].z
    couplings = [one.coupling for one in measured if one.coupling is not None]
    assert couplings[0].value == pytest.approx(couplings[1].value, rel=1e-12)
    assert (null.searches, null.mean, null.width) == pytest.approx(
        (40, np.mean(Z["eff_0.1"]), np.std(Z["eff_0.1"], ddof=1))
    )


def test_the_largest_z_of_a_scan_is_calibrated_but_for_the_inclusive_selection() -> None:
    other = {name: [value + 0.5 for value in values] for name, values in Z.items()}
    found = summarise("k", [*batches("a", Z), *batches("b", other)], ["a", "b"])
    null = found.windows["a"]["eff_0.1"].z
    expected = [
        max(inclusive, inclusive + 0.5, (trained - null.mean) / null.width)
        for inclusive, trained in zip(Z["inclusive"], Z["eff_0.1"], strict=True)
    ]
    assert found.largest == pytest.approx(expected)


def test_scans_that_lack_a_window_have_no_largest_z() -> None:
    assert summarise("k", batches("a", Z), ["a", "b"]).largest == ()
    partial = summarise("k", [*batches("a", Z), *batches("b", Z)[:2]], ["a", "b"])
    assert len(partial.largest) == 20


def test_a_selection_without_a_fit_is_left_out_of_that_scan() -> None:
    holes = {"inclusive": Z["inclusive"], "eff_0.1": [None, *Z["eff_0.1"][1:]]}
    found = summarise("k", batches("a", holes), ["a"])
    assert found.windows["a"]["eff_0.1"].z.searches == 39
    assert found.largest[0] == Z["inclusive"][0]


def test_the_coupling_is_the_covariance_of_the_folds_summed_over_the_others() -> None:
    coupling = summarise("k", batches("a", Z), ["a"]).windows["a"]["eff_0.1"].coupling
    assert coupling is not None
    covariance = np.mean([np.outer(x, x)[np.triu_indices(5, 1)].mean() for x in EXCESSES])
    assert coupling.value == pytest.approx(4 * covariance / (EXCESSES**2).mean() / 0.5)
    assert coupling.searches == 40
    assert coupling.error == pytest.approx(4 / 0.5 / np.sqrt(40 * 10))
    assert summarise("k", batches("a", Z), ["a"]).windows["a"]["inclusive"].coupling is None


@pytest.mark.parametrize("n_folds", [2, 5])
def test_errors_of_the_coupling_cover_independent_folds(n_folds: int) -> None:
    rng, found = np.random.default_rng(n_folds), []
    for _ in range(300):
        sums = sum((FoldSums.of(excess) for excess in rng.normal(size=(50, n_folds))), FoldSums())
        coupling = Coupling.of(sums, 0.7)
        assert coupling is not None
        found.append(coupling.value / coupling.error)
    assert np.mean(found) == pytest.approx(0.0, abs=0.25)
    assert np.std(found) == pytest.approx(1.0, abs=0.15)
