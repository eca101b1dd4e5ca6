"""Averages of the study of held-out samples, and that choice and test share nothing."""

from __future__ import annotations

import numpy as np
import pytest

from tests.studies.held_out import CHOICE, FILES, POINTS, QUOTE, jackknife, log_ratio
from tests.studies.runner import Point


def point(entrant: str, file: str, sic: float, signal: str = "a") -> Point:
    common = {"signal": signal, "strength": 0.35, "draw": 0, "n_held_out": 100}
    return {"entrant": entrant, "files": [file], "sic_0.01": sic, **common}


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(1).normal(size=5)
    mean, error = jackknife(dict(zip("abcde", values.tolist(), strict=True)))
    assert mean == pytest.approx(values.mean())
    assert error == pytest.approx(values.std(ddof=1) / np.sqrt(5))


def test_log_ratios_are_paired_and_averaged_by_sample() -> None:
    ours = [point("x", "1", 2.0), point("x", "1", 8.0, "b"), point("x", "2", 3.0), point("x", "3", 50.0)]
    theirs = [point("y", "1", 1.0), point("y", "1", 1.0, "b"), point("y", "2", 3.0)]
    mean, error, count = log_ratio([*ours, *theirs], "x", "y", "sic_0.01")
    assert count == 3  # the third sample has no partner
    assert mean == pytest.approx(np.log(4.0) / 2)  # of log 4 and 0
    assert error == pytest.approx(np.log(4.0) / 2)


def test_no_signal_event_counts_as_one() -> None:
    mean, _, _ = log_ratio([point("x", "1", 1.0), point("y", "1", 0.0)], "x", "y", "sic_0.01")
    assert mean == pytest.approx(np.log(10.0))  # 1 of 100 events at 1e-2 is a SIC of 0.1


def test_choice_and_test_share_no_sample() -> None:
    assert not set(FILES[CHOICE]) & set(FILES[QUOTE])
    for one in POINTS:
        if one["phase"] in FILES:
            assert set(one["files"]) <= set(FILES[one["phase"]])
