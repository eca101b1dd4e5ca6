"""Matching to generator jets against plain loops, with more jets than are matched at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from processors.calibration import matching
from processors.calibration.matching import Directions, match

N_EVENTS, DISTANCE = 300, 0.6


class Generated:
    """Generator jets in memory, as `processors.calibration.inputs.Collection`."""

    def __init__(self, counts: np.ndarray, columns: dict[str, np.ndarray]) -> None:
        self.counts, self.columns = counts, columns

    def column(self, name: str) -> np.ndarray:
        return self.columns[name]


def drawn(rng: np.random.Generator, least: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    counts = rng.integers(least, 6, N_EVENTS)
    n = counts.sum()
    # All close together, so that many jets have several partners, and φ on both sides of π.
    phi = (math.pi + rng.normal(0, 0.4, n) + math.pi) % (2 * math.pi) - math.pi
    return counts, {"pt": rng.uniform(100, 200, n), "eta": rng.normal(0, 0.4, n), "phi": phi}


def by_hand(counts, jets, gen_counts, generated, tolerance) -> list[int]:
    found, first, gen_first = [], 0, 0
    for n_jets, n_generated in zip(counts, gen_counts, strict=True):
        for jet in range(first, first + n_jets):
            best, nearest = -1, DISTANCE
            for one in range(gen_first, gen_first + n_generated):
                phi = abs(jets["phi"][jet] - generated["phi"][one])
                far = math.hypot(jets["eta"][jet] - generated["eta"][one], min(phi, 2 * math.pi - phi))
                close = tolerance is None or abs(jets["pt"][jet] - generated["pt"][one]) < tolerance[jet]
                if close and far < nearest:
                    best, nearest = one, far
            found.append(best)
        first, gen_first = first + n_jets, gen_first + n_generated
    return found


@pytest.mark.parametrize("block", [1, 64, 10**6])
@pytest.mark.parametrize("limited", [False, True])
def test_the_nearest_generator_jet_is_found(block, limited, monkeypatch) -> None:
    monkeypatch.setattr(matching, "_BLOCK", block)
    rng = np.random.default_rng(2)
    counts, jets = drawn(rng, 0)
    gen_counts, generated = drawn(rng, 0)
    tolerance = rng.uniform(-1, 60, counts.sum()) if limited else None
    event = np.repeat(np.arange(N_EVENTS), counts)

    found = match(
        Directions(jets["eta"], jets["phi"], jets["pt"], event), Generated(gen_counts, generated), DISTANCE, tolerance
    )

    expected = by_hand(counts, jets, gen_counts, generated, tolerance)
    assert min(np.mean(found >= 0), np.mean(found < 0)) > 0.02
    np.testing.assert_array_equal(found, expected)


def test_events_without_generator_jets_have_no_match() -> None:
    one = np.ones(3)
    none = Generated(np.zeros(3, int), {name: np.empty(0) for name in ("pt", "eta", "phi")})

    assert match(Directions(one, one, one, np.arange(3)), none, DISTANCE, one).tolist() == [-1, -1, -1]
