"""Words on calibrated and nominal significances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from analysis.results.blinding import blind, blind_windows
from analysis.results.documents import reported_window, with_calibrations
from analysis.results.numbers import SPACE
from analysis.results.verdict import search_verdict
from analysis.results.wording.significances import (
    calibration_caption,
    calibration_notes,
    local_z_text,
    nominal_text,
    retraining_remark,
    z_spread,
    z_with_error,
)
from analysis.results.words import largest_excess
from analysis.search.seeds import SeedSpread
from analysis.search.values import SelectionResult, WindowResult
from analysis.statistics import DiscoveryResult, GlobalResult
from tests.builders.calibrations import NULL, calibrated, calibrated_selection
from tests.builders.results import results_of
from tests.builders.windows import EDGES, make_window


def selection_of(name: str, z: float | None, *seeds: float, method: str = "cwola", **more: Any) -> SelectionResult:
    test = None if z is None else DiscoveryResult(z, float(stats.norm.sf(z)))
    further = tuple(selection_of(name, other, method=method) for other in seeds)
    counts: dict[str, Any] = {"n_obs": 50.0, "background": 30.0, "background_error": 3.0}
    return SelectionResult(name, method, (), 0.1, 0.1, discovery=test, seeds=further, **(counts | more))


def window(*selections: SelectionResult, low: float = 3300.0) -> WindowResult:
    return WindowResult(make_window(low), EDGES, selections)


BOTH = window(selection_of("inclusive", 0.4), selection_of("eff_0.1", 4.1))


def both_kinds(result: WindowResult) -> list[Any]:
    """The window in memory and in `results.json`, which have the same words."""
    return [result, reported_window(result)]


@pytest.mark.parametrize(
    ("z", "error", "text"),
    [
        (4.13, None, "4.1"),
        (4.13, 0.0, "4.1"),
        (4.13, 0.22, "4.1 ± 0.2"),
        (-4.136, 0.034, "−4.1"),
        (4.13, 0.05, "4.1 ± 0.1"),
        (4.13, 1.7, "4.1 ± 1.7"),
        (4.13, 0.098, "4.1 ± 0.1"),
        (-0.01, 0.2, "0.0 ± 0.2"),
        (None, None, "–"),
    ],
)
def test_a_significance_is_written_to_a_tenth_without_an_error_below_half_of_that(
    z: float | None, error: float | None, text: str
) -> None:
    assert z_with_error(z, error).replace(SPACE, " ") == text


@pytest.mark.parametrize(
    ("make", "local", "nominal"),
    [
        (lambda one: one, "4.1", ""),
        (calibrated_selection, "3.2 ± 0.1", "nominal 4.1"),
        (lambda one: calibrated_selection(one, "shipped"), "3.2 ± 0.1", "nominal 4.1"),
        (lambda one: calibrated_selection(one, "exact"), "4.1", ""),
    ],
    ids=["without", "searches", "shipped", "exact"],
)
def test_the_calibrated_significance_comes_first_and_the_nominal_one_beside_it(
    make: Callable[[SelectionResult], SelectionResult], local: str, nominal: str
) -> None:
    for one in both_kinds(window(make(selection_of("eff_0.1", 4.1)))):
        (selection,) = one.selections
        assert local_z_text(selection).replace(SPACE, " ") == local
        assert nominal_text(selection).replace(SPACE, " ") == nominal
        assert selection.local_p0 == pytest.approx(stats.norm.sf(3.2 if nominal else 4.1))


OTHER = window(selection_of("inclusive", 0.1), selection_of("eff_0.1", 1.0), low=3700.0)
LACKING = "z of trained selections{} is not calibrated with retraining: folds train one another, so that large z"


@pytest.mark.parametrize(
    ("results", "starts", "caption"),
    [
        ([window(selection_of("inclusive", 5.0))], [], ""),
        ([window(selection_of("inclusive", 5.0), selection_of("eff_0.1", 5.0, method="supervised"))], [], ""),
        ([window(selection_of("eff_0.1", None))], [], ""),
        ([BOTH, OTHER], [LACKING.format("")], "Not calibrated with retraining: run cwola calibrate"),
        (
            [calibrated(BOTH), OTHER],
            [
                "z of trained selections is calibrated with retraining, by searches of",
                LACKING.format(" in 3700–4100 GeV"),
            ],
            "Not calibrated with retraining in 3700–4100 GeV: run cwola calibrate",
        ),
        (
            [calibrated(BOTH), calibrated(OTHER, "shipped")],
            [
                "z of trained selections in 3300–3700 GeV is calibrated with retraining, by searches of",
                "z of trained selections in 3700–4100 GeV is calibrated with retraining, by the",
            ],
            "",
        ),
        ([calibrated(BOTH, "exact")], ["z of trained selections needs no calibration"], ""),
    ],
    ids=["inclusive", "supervised", "untested", "none", "one of two", "all", "exact"],
)
def test_notes_say_where_calibrations_come_from_and_where_there_is_none(
    results: list[WindowResult], starts: list[str], caption: str
) -> None:
    for windows in (results, [reported_window(one) for one in results]):
        notes = [note.replace(SPACE, " ") for note in calibration_notes(windows)]
        assert len(notes) == len(starts)
        assert all(note.startswith(start) for note, start in zip(notes, starts, strict=True))
        assert calibration_caption(windows).replace(SPACE, " ") == caption
        assert ("Nominal values take" in " ".join(notes)) == ("by searches" in " ".join(notes))
        assert any("`cwola calibrate`" in note for note in notes) == bool(caption)
        assert "`" not in " ".join(calibration_notes(windows, remedy=False))


def test_a_figure_names_few_windows_without_a_calibration_and_counts_many() -> None:
    several = [calibrated(BOTH), *(window(selection_of("eff_0.1", 1.0), low=3700.0 + 400 * i) for i in range(3))]
    assert calibration_caption(several[:2]).replace(SPACE, " ") == (
        "Not calibrated with retraining in 3700–4100 GeV: run cwola calibrate"
    )
    assert "retraining in 3 of 4 windows: run" in calibration_caption(several)
    assert "in 3700–4100, 4100–4500 and 4500–4900 GeV" in calibration_notes(several)[-1].replace(SPACE, " ")


def test_blinded_searches_have_nothing_to_calibrate() -> None:
    results = results_of(windows=[reported_window(BOTH), reported_window(calibrated(OTHER))])
    assert (
        calibration_notes(blind(results).windows) == calibration_notes(blind_windows([BOTH, calibrated(OTHER)])) == []
    )
    assert calibration_caption(blind(results).windows) == ""
    assert {local_z_text(one) for one in blind(results).selections} == {"–"}
    assert not any(one.local_z_error or one.nominal_z or one.lacks_calibration for one in blind(results).selections)


SEEDS = window(selection_of("inclusive", 0.4), selection_of("eff_0.1", 2.6, 4.1, 1.1))


def test_further_trainings_are_calibrated_like_the_first() -> None:
    plain, shown = (reported_window(one).selections[1] for one in (SEEDS, calibrated(SEEDS)))
    spread = z_spread(shown)
    assert spread is not None
    assert spread.values == pytest.approx([(z - 0.1) / 1.25 for z in (2.6, 4.1, 1.1)])
    assert spread.median == spread.values[0]
    assert (spread.low, spread.high) == pytest.approx(tuple(np.quantile(spread.values, [0.16, 0.84])))
    assert z_spread(plain) == plain.seeds["z"]
    assert z_spread(reported_window(calibrated(SEEDS, "exact")).selections[1]) == plain.seeds["z"]
    assert z_spread(replace(plain, seeds={})) is None
    assert SeedSpread((None, 0.1), 0.1, 0.1, 0.1).calibrated(NULL.calibration(1.0, "searches")).values == (None, 0.0)


def test_windows_from_disk_get_the_calibration_of_every_training_from_the_results() -> None:
    results = results_of(windows=[reported_window(calibrated(SEEDS)), reported_window(OTHER)])
    assert with_calibrations([SEEDS, OTHER], results) == [calibrated(SEEDS), OTHER]


def headline(*windows: WindowResult, total: GlobalResult | None = None) -> tuple[str, str]:
    found = results_of(windows=[reported_window(one) for one in windows], global_=total or GlobalResult(None, None, ""))
    verdict = search_verdict(found)
    return verdict.headline.replace(SPACE, " "), " ".join(verdict.sentences).replace(SPACE, " ")


def test_the_largest_excess_is_the_one_with_the_largest_calibrated_significance() -> None:
    """Of nominal 4.1, calibrated 3.2, and 3.5 of all events, which need no training."""
    others = window(selection_of("inclusive", 3.5), low=3700.0)
    assert headline(BOTH, others)[0].startswith(
        "Excess whose global significance is not known well: largest local z = 4.1 (not calibrated with retraining) in "
        "3300–3700 GeV at efficiency 10 %,"
    )
    assert "largest local z = 3.5 in 3700–4100 GeV at inclusive," in headline(calibrated(BOTH), others)[0]
    first, text = headline(calibrated(BOTH), OTHER)
    assert "largest local z = 3.2 ± 0.1 (nominal 4.1) in 3300–3700 GeV at efficiency 10 %," in first
    assert "(local p₀ = 0.00069, nominal 2.1 × 10⁻⁵)" in text


def test_an_excess_that_only_the_nominal_significance_claims_is_none() -> None:
    found = window(selection_of("eff_0.1", 3.5))
    assert headline(found)[0].startswith("Excess")
    assert headline(calibrated(found))[0].startswith("No significant excess: largest local z = 2.7 ± 0.1 (nominal 3.5)")


def test_the_largest_excess_of_a_further_training_is_calibrated_too() -> None:
    largest = largest_excess([reported_window(calibrated(SEEDS))])
    assert largest is not None
    assert (largest.seed, largest.z, largest.nominal_z) == (1, pytest.approx(3.2), 4.1)
    assert largest.p0 == pytest.approx(stats.norm.sf(3.2))
    assert largest.p0_text.replace(SPACE, " ") == "0.00069, nominal 2.1 × 10⁻⁵"
    exact = largest_excess([reported_window(calibrated(SEEDS, "exact"))])
    assert exact is not None
    assert (exact.z, exact.z_text, exact.nominal_z) == (4.1, "4.1", None)


PSEUDO = GlobalResult(1.0, 0.16, "pseudo-experiments", 2, 1000, (0.14, 0.18), 2.0)
SCANS = GlobalResult(1.0, 0.16, "retrained-scans", 2, 300, (0.14, 0.18), 2.4)


@pytest.mark.parametrize(
    ("total", "result", "text"),
    [
        (PSEUDO, BOTH, "hold the classifiers fixed; `cwola calibrate` counts retraining"),
        (replace(PSEUDO, method="pseudo-experiments-upper-bound"), BOTH, "hold the classifiers fixed"),
        (PSEUDO, window(selection_of("inclusive", 1.0)), None),
        (PSEUDO, window(selection_of("eff_0.1", 1.0, method="supervised")), None),
        (SCANS, BOTH, "300 scans without signal, in each of which all classifiers were trained anew"),
        (replace(PSEUDO, method="bonferroni-upper-bound"), BOTH, None),
    ],
)
def test_the_global_p_value_says_whether_it_counts_retraining(
    total: GlobalResult, result: WindowResult, text: str | None
) -> None:
    remark = retraining_remark(total, result.selections)
    assert remark is None if text is None else text in (remark or "")
    sentences = headline(result, total=total)[1]
    assert ("classifiers" in sentences) == (text is not None)
    assert text is None or text in sentences


def test_the_looks_of_retrained_scans_are_worth_independent_ones_of_scans() -> None:
    assert "looks" not in (SCANS.worth or "")
    assert SCANS.worth == "worth 2 independent ones within the error of 300 scans"
    assert PSEUDO.worth == "worth 2 independent ones"
