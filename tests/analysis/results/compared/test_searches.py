"""Looks in several folders: their number, and what the choice among folders costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from analysis.results.compared.searches import FolderLooks, bound_over_folders, comparison_sentences
from analysis.results.documents import reported_window
from analysis.results.numbers import SPACE
from analysis.results.words import looks_text
from tests.builders.calibrations import calibrated
from tests.builders.results import results_of
from tests.builders.windows import EDGES, EFFICIENCIES, make_result

FIRST = FolderLooks("a", "25 looks (5 windows, 5 selections)", 25, 4.0, 2e-4)
SECOND = FolderLooks("b", "105 looks (5 windows, 5 selections, 5 trainings)", 105, 4.5, 3e-4)


def test_the_choice_among_folders_multiplies_the_global_p_value_of_the_largest_excess() -> None:
    bound = bound_over_folders([FIRST, SECOND, replace(FIRST, label="c", z=1.0, p0=0.5)])
    assert (bound.n_trials, bound.p0) == (155, pytest.approx(3 * 3e-4))
    assert bound.z == pytest.approx(stats.norm.isf(9e-4))


def test_the_bound_covers_a_choice_by_local_significance() -> None:
    """Of 200 000 times three folders without signal, of 1, 10 and 100 independent looks, at 5 %."""
    rng = np.random.default_rng(3)
    looks, level = np.array([1, 10, 100]), 0.05
    p0 = rng.random((200_000, 3))  # of each folder, uniform
    z = stats.norm.isf(-np.expm1(np.log1p(-p0) / looks))  # the largest local one
    chosen = p0[np.arange(len(p0)), z.argmax(axis=1)]
    assert np.mean(3 * chosen < level) < level
    assert np.mean(chosen < level) > 1.5 * level  # the global p-value of that folder alone does not cover
    for row in range(5):
        folders = [FolderLooks("x", "", int(n), *pair) for n, *pair in zip(looks, z[row], p0[row], strict=True)]
        assert bound_over_folders(folders).p0 == pytest.approx(min(1.0, 3 * chosen[row]))


def test_the_sentences_count_folder_by_folder_and_in_total() -> None:
    text = " ".join(comparison_sentences([FIRST, SECOND])).replace(SPACE, " ")
    assert text == (
        "130 looks in 2 folders are compared (a: 25 looks (5 windows, 5 selections); "
        "b: 105 looks (5 windows, 5 selections, 5 trainings)). "
        "The global p-value of a folder does not pay for the choice among folders. "
        "For the largest excess, local z = 4.5 in b, it is 0.00030; over these folders it is at most 2 times as "
        "large, 0.00060 (z ≥ 3.2)."
    )


def test_folders_without_a_calibration_are_named_and_the_largest_excess_is_written_with_its_nominal_z() -> None:
    plain, *_ = folders = [replace(FIRST, lacks_calibration=True), replace(SECOND, z_text="4.5 ± 0.2 (nominal 5.1)")]
    sentences = comparison_sentences(folders)
    assert "local z = 4.5 ± 0.2 (nominal 5.1) in b" in sentences[2]
    assert sentences[-1] == "z is not calibrated with retraining, which `cwola calibrate` does, in a."
    assert "calibrated" not in " ".join(comparison_sentences([FIRST, SECOND]))
    assert comparison_sentences([plain, replace(SECOND, lacks_calibration=True)])[-1].endswith("in a, b.")


@pytest.mark.parametrize(("make", "text", "lacking"), [(None, "4.1 (not", True), (calibrated, "3.2", False)])
def test_the_looks_of_a_folder_are_ranked_by_calibrated_significances(make: Any, text: str, *, lacking: bool) -> None:
    counts = dict.fromkeys(EFFICIENCIES, np.geomspace(1000.0, 10.0, len(EDGES) - 1).round())
    window = make_result(counts, z={"inclusive": 0.4, "eff_0.01": 4.1})
    found = FolderLooks.of("a", results_of(windows=[reported_window(make(window) if make else window)]))
    assert found is not None
    assert found.z == pytest.approx(float(text.split(maxsplit=1)[0]))
    assert (found.z_text.startswith(text), found.lacks_calibration) == (True, lacking)


def test_the_bound_says_that_bad_fits_of_its_folder_are_taken_as_good() -> None:
    caveat = "It takes every background fit as good."
    assert comparison_sentences([FIRST, replace(SECOND, caveat=caveat)])[-1] == caveat
    assert caveat not in comparison_sentences([replace(FIRST, caveat=caveat), SECOND])  # the bound is from the second


def test_one_folder_is_no_choice_and_an_unknown_p_value_gives_no_bound() -> None:
    assert comparison_sentences([FIRST]) == comparison_sentences([]) == []
    unknown = [FIRST, replace(SECOND, p0=None)]
    assert "times as large" not in " ".join(comparison_sentences(unknown))


def test_looks_are_named_in_singular_and_plural() -> None:
    assert looks_text({"windows": 1, "selections": 1, "total": 1}) == "1 look (1 window, 1 selection)"
    trials = {"windows": 5, "selections": 5, "seeds": 5, "total": 105}
    assert looks_text(trials) == "105 looks (5 windows, 5 selections, 5 trainings)"
