"""Joining batches of searches without signal."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.calibration.summary import summarise
from analysis.calibration.values import NullBatch

RNG = np.random.default_rng(3)
Z = {name: RNG.normal(0.1, 1.2, 40).tolist() for name in ("inclusive", "eff_0.1")}


def batches(window: str, z: dict[str, list[float | None]], size: int = 10) -> list[NullBatch]:
    return [
        NullBatch(window, first, {name: tuple(values[first : first + size]) for name, values in z.items()})
        for first in range(0, 40, size)
    ]


def test_batches_of_any_size_and_order_give_one_distribution() -> None:
    found = [summarise("k", parts, ["a"]) for parts in (batches("a", Z), batches("a", Z, 5)[::-1])]
    assert found[0] == found[1]
    null = found[0].windows["a"]["eff_0.1"]
    assert (null.searches, null.mean, null.width) == pytest.approx(
        (40, np.mean(Z["eff_0.1"]), np.std(Z["eff_0.1"], ddof=1))
    )


def test_the_largest_z_of_a_scan_is_calibrated_but_for_the_inclusive_selection() -> None:
    other = {name: [value + 0.5 for value in values] for name, values in Z.items()}
    found = summarise("k", [*batches("a", Z), *batches("b", other)], ["a", "b"])
    null = found.windows["a"]["eff_0.1"]
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
    assert found.windows["a"]["eff_0.1"].searches == 39
    assert found.largest[0] == Z["inclusive"][0]
