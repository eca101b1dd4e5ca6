"""The verdict: what a physicist would say of these numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from scipy import stats

from analysis.core.documents import from_json
from analysis.results.blinding import blind
from analysis.results.numbers import SPACE
from analysis.results.values import Results, SelectionDocument
from analysis.results.verdict import closing_lines, search_verdict
from analysis.results.words import largest_excess
from analysis.search.non_closure import NonClosure
from analysis.search.values import SelectionResult
from tests.builders.limit_documents import signal
from tests.builders.results import results_of

PSEUDO = {
    "method": "pseudo-experiments",
    "n_trials": 4,
    "n_toys": 1000,
    "interval": [0.1, 0.3],
    "effective_trials": 3.0,
}
BOUND = {"method": "bonferroni-upper-bound", "n_trials": 4, "n_toys": 1000}


def selection(name: str, z: float | None, **more: Any) -> dict[str, Any]:
    settings = {"method": "cwola", "features": [], "efficiency": 0.1, "efficiency_achieved": 0.1}
    counts = {"n_obs": 110.0, "background": 100.0, "background_error": 10.0, "s_over_sqrt_b": None}
    tested = {"z": z, "p0": None if z is None else float(stats.norm.sf(z))}
    return {"name": name, **settings, **counts, **tested, "fit": None, "limit": None, **more}


def window(low: float, *selections: dict[str, Any], **more: Any) -> dict[str, Any]:
    regions = {
        "signal": [low, low + 400],
        "lower": [low - 200, low],
        "upper": [low + 400, low + 600],
        "mask": [low - 100, low + 500],
        "fit_range": [3000.0, 6500.0],
    }
    return {**regions, "status": "ok", "reason": None, "selections": list(selections), **more}


def search(*windows: dict[str, Any], total: dict[str, Any], z: float | None) -> Results:
    p0 = None if z is None else float(stats.norm.sf(z))
    trials = {"windows": len(windows), "selections": 2, "seeds": 1, "total": 4}
    return results_of(windows=list(windows), global_={"z": z, "p0": p0, **total}, trials=trials)


def headline(results: Results) -> str:
    return search_verdict(results).headline.replace(SPACE, " ")


def test_the_largest_local_significance_and_the_global_one() -> None:
    windows = (
        window(3300, selection("inclusive", 0.4), selection("eff_0.01", 2.1)),
        window(3700, selection("inclusive", -2.5), selection("eff_0.01", 1.9)),
    )
    results = search(*windows, total=PSEUDO, z=0.8)
    assert headline(results) == (
        "No significant excess: largest local z = 2.1 (not calibrated with retraining) in 3300–3700 GeV at efficiency "
        "1 %, global z = 0.8 (1000 pseudo-experiments)."
    )
    found = search_verdict(results)
    assert found.kind == "none"
    text = " ".join(found.sentences).replace(SPACE, " ")
    assert "110 events are observed and 100 ± 10 expected" in text
    looks = "4 looks (2 windows, 2 selections) in this folder, worth 3 independent ones."
    assert f"global p₀ = 0.21 accounts for {looks}" in text


def test_a_local_p_value_that_is_too_small_is_called_so() -> None:
    total = {**PSEUDO, "effective_trials": 11.0, "miscalibration": 2.3}
    found = search_verdict(search(window(3300, selection("eff_0.1", 2.1)), total=total, z=0.8))
    text = " ".join(found.sentences).replace(SPACE, " ")
    assert "accounts for 4 looks (1 window, 2 selections) in this folder, worth 11 independent ones, more" in text
    assert "The local p-value of the largest excess is too small, by a factor of 2.3 or more: 4 looks cannot" in text


def test_bad_fits_and_a_local_p_value_that_is_too_small_are_both_named_behind_the_global_one() -> None:
    total = {**PSEUDO, "effective_trials": 11.0, "miscalibration": 2.3}
    found = search_verdict(search(window(3300, of_bad_fit("eff_0.1", 2.1)), total=total, z=0.8))
    (sentence,) = [text for text in found.sentences if text.startswith("The global p₀")]
    assert "too small, by a factor of 2.3 or more" in sentence
    assert sentence.endswith("does not rely on it. It takes every background fit as good.")


@pytest.mark.parametrize(
    ("local", "total", "z", "kind", "begin"),
    [
        (8.1, BOUND, 7.7, "excess", "Significant excess: largest local z = 8.1"),
        (4.5, PSEUDO, 3.2, "excess", "Significant excess"),
        (4.5, PSEUDO, 2.9, "none", "No significant excess"),
        (4.5, {**PSEUDO, "method": "pseudo-experiments-upper-bound"}, 2.9, "excess", "Excess whose global"),
        (2.0, BOUND, 0.1, "none", "No significant excess"),
        (-0.3, PSEUDO, -2.0, "none", "No excess: largest local z = −0.3"),
        (3.4, {"method": "none"}, None, "excess", "Excess whose global significance is not known well"),
    ],
)
def test_what_is_called_significant(
    local: float, total: dict[str, Any], z: float | None, kind: str, begin: str
) -> None:
    results = search(window(3300, selection("eff_0.1", local)), total=total, z=z)
    assert search_verdict(results).kind == kind
    assert headline(results).startswith(begin)
    assert ("z ≥" in headline(results)) == ("bound" in total["method"])


def test_a_p_value_too_small_for_a_significance_is_significant() -> None:
    results = search(window(3300, selection("eff_0.1", 39.0)), total={**BOUND, "p0": 0.0}, z=None)
    assert headline(results).startswith("Significant excess")


def judged(verdict: str) -> Results:
    validation = {
        "verdict": verdict,
        "reason": "shift of z 3.1 ± 0.9",
        "flags": [],
        "decided": "after-scan",
        "combined": [],
        "sources": {},
    }
    return search(window(3300, selection("eff_0.1", 5.0), validation=validation), total=PSEUDO, z=4.0)


def test_an_excess_in_a_window_that_is_not_valid_says_so_first() -> None:
    results = judged("not valid")
    assert headline(results).startswith("Significant excess in a window that is not valid:")
    assert "The window is not valid, decided after it had been searched: shift of z 3.1 ± 0.9." in (
        search_verdict(results).sentences
    )
    assert headline(judged("valid")).startswith("Significant excess: ")


def test_the_largest_is_looked_for_among_all_trainings() -> None:
    seeds = {
        "z": {"values": [1.0, None, 2.6], "median": 1.8, "low": 1.0, "high": 2.6},
        "n_obs": {"values": [110.0, None, 130.0], "median": 120.0, "low": 110.0, "high": 130.0},
        "background": {"values": [100.0, None, 101.0], "median": 100.5, "low": 100.0, "high": 101.0},
    }
    windows = [window(3300, selection("inclusive", 2.0), selection("eff_0.1", 1.0, seeds=seeds))]
    results = search(*windows, total=PSEUDO, z=1)
    largest = largest_excess(results.windows)
    assert largest is not None
    assert (largest.z, largest.seed, largest.selection.name) == (2.6, 2, "eff_0.1")
    assert (largest.n_obs, largest.background, largest.p0) == (130.0, 101.0, pytest.approx(stats.norm.sf(2.6)))
    found = search_verdict(results)
    assert "training seed 2" in found.sentences[0]
    assert found.largest == largest


def test_blinded_failed_and_empty_searches() -> None:
    failed = window(3700, reason="no events", status="failed")
    found = search_verdict(blind(search(window(3300, selection("eff_0.1", 5.0)), failed, total=PSEUDO, z=4.0)))
    assert (found.kind, found.sentences, found.largest) == ("blinded", (), None)
    assert "z =" not in found.headline
    assert found.failed == "1 of 2 windows failed or are incomplete"
    empty = search_verdict(search(failed, total={"method": "none"}, z=None))
    assert (empty.kind, empty.headline) == ("empty", "No window has a result.")
    assert search_verdict(search(window(3300), total=PSEUDO, z=None)).failed is None


def test_the_error_of_a_corrected_background_is_that_of_the_search() -> None:
    values = {"background": 105.0, "background_error": 8.0}
    result = SelectionResult("eff_0.1", "cwola", (), 0.1, 0.1, 100.0, **values, non_closure=NonClosure(0.05, 0.1))
    corrected = selection("eff_0.1", 1.0, **values, non_closure={"delta": 0.05, "error": 0.1})
    assert from_json(SelectionDocument, corrected).total_error == result.total_error
    assert result.total_error == pytest.approx((8.0**2 + (0.1 * 100.0) ** 2) ** 0.5)
    assert from_json(SelectionDocument, selection("eff_0.1", 1.0, **values)).total_error == 8.0


def of_bad_fit(name: str, z: float, p_value: float = 5e-26) -> dict[str, Any]:
    return selection(name, z, fit={"function": "dijet3", "chi2": 210.0, "ndof": 30, "p_value": p_value})


@pytest.mark.parametrize(
    ("local", "total", "kind", "begin"),
    [
        (
            8.1,
            7.7,
            "doubtful",
            "Excess from a bad background fit: largest local z = 8.1 in 3300–3700 GeV at inclusive, g",
        ),
        (2.1, 0.1, "none", "No significant excess: largest local z = 2.1 in 3300–3700 GeV at inclusive, from a bad"),
        (-0.1, -2.0, "none", "No excess: largest local z = −0.1 in 3300–3700 GeV at inclusive, from a bad background"),
    ],
)
def test_the_largest_excess_of_a_bad_fit_says_so_and_names_the_largest_of_a_good_one(
    local: float, total: float, kind: str, begin: str
) -> None:
    good = window(3700, selection("eff_0.01", local - 1), of_bad_fit("eff_0.1", local - 0.5))
    results = search(window(3300, of_bad_fit("inclusive", local)), good, total=PSEUDO, z=total)
    found = search_verdict(results)
    assert found.kind == kind
    assert headline(results).startswith(begin)
    assert headline(results).endswith("with bad fits taken as good.")
    text = " ".join(found.sentences).replace(SPACE, " ")
    assert "Its background fit has p = 5.0 × 10⁻²⁶: b, z and p₀ are not to be trusted." in text
    assert (
        f"good fit is {local - 1:.1f}".replace("-", "−")
        + " (not calibrated with retraining) in 3700–4100 GeV at efficiency 1 %."
        in text
    )
    assert "It takes every background fit as good. 2 of 2 background fits are bad" in text


def test_a_deficit_of_a_bad_fit_is_mentioned_beside_a_good_excess() -> None:
    results = search(
        window(3300, selection("eff_0.1", 2.0)), window(3700, of_bad_fit("inclusive", -2.5)), total=PSEUDO, z=0.5
    )
    assert headline(results).startswith(
        "No significant excess: largest local z = 2.0 (not calibrated with retraining) in 3300–3700 GeV at efficiency "
    )
    assert "bad fits taken as good" in headline(results)
    assert "in 3700–4100 GeV, inclusive" in " ".join(search_verdict(results).sentences).replace(SPACE, " ")


def test_without_a_good_fit_no_other_excess_is_named() -> None:
    found = search_verdict(search(window(3300, of_bad_fit("inclusive", 5.0)), total={"method": "none"}, z=None))
    assert found.sentences[1].endswith("No fit is good.")


def test_bad_fits_are_named_while_blinded_too() -> None:
    blinded = blind(search(window(3300, of_bad_fit("inclusive", 5.0)), total=PSEUDO, z=4.0))
    (sentence,) = search_verdict(blinded).sentences
    assert sentence.startswith("1 of 1 background fit is bad")


def test_a_training_is_judged_by_its_own_fit() -> None:
    band = {"median": 0.5, "low": 0.5, "high": 0.5}
    seeds = {"z": {"values": [1.0, 4.0], **band}, "n_obs": None, "background": None}
    bad = {**seeds, "fit_p_value": {"values": [0.5, 1e-9], **band}}
    largest = largest_excess(search(window(3300, selection("eff_0.1", 1.0, seeds=bad)), total=PSEUDO, z=1).windows)
    assert largest is not None
    assert (largest.seed, largest.has_bad_fit) == (1, True)
    good = largest_excess(
        search(window(3300, selection("eff_0.1", 1.0, seeds=bad)), total=PSEUDO, z=1).windows, good_fits=True
    )
    assert good is not None
    assert (good.seed, good.z) == (0, 1.0)


VALID = {
    "verdict": "valid",
    "reason": "no shift is established",
    "flags": ["a flag"],
    "decided": "before-scan",
    "combined": [],
    "sources": {},
}


def file_of(dataset: str, kind: str, number: int = 1) -> dict[str, Any]:
    return {"dataset": dataset, "kind": kind, "file": f"{dataset}_{number}.root", "tree": "t", "uuid": "", "entries": 9}


def sample(name: str, observed: float | None, expected: float, *, fb: bool = True, **more: Any) -> dict[str, Any]:
    """Result of a signal sample; its limits in fb are eight times those on the strength."""
    strengths = [0.5 * expected, 0.7 * expected, expected, 1.4 * expected, 2.0 * expected]
    limit = {
        "rule": "fixed-efficiency",
        "calculator": "asymptotics",
        "observed_events": observed and 100 * observed,
        "expected_events": [100 * one for one in strengths],
        "observed_strength": observed,
        "expected_strength": strengths,
        **({"observed_fb": observed and 8 * observed, "expected_fb": [8 * one for one in strengths]} if fb else {}),
    }
    tested = {"window": [3300.0, 3700.0], "selection": "eff_0.1", "events": 1.0, "events_error": 0.1}
    rest = {"acceptance_efficiency": None, "modifiers": [], "reason": None, "impacts": None}
    selections = [{**tested, **rest, "limit": limit}]
    document = {"dataset": name, "masses": {}, "rule": "fixed-efficiency", "normalised": fb, "xsec_pb": 0.008}
    return {**document, "lumi_ifb": 1.0, "selections": selections, "yields": [], "reason": None, **more}


def whole_search(**more: Any) -> Results:
    inputs = [file_of("jets", "data"), file_of("jets", "data", 2), file_of("mc", "background"), file_of("s", "signal")]
    cutflow = {
        name: {"all": {"events": 90, "weight": 90.0}, "search": {"events": events, "weight": 1.0}}
        for name, events in {"jets": 71, "mc": 1000, "s": 500}.items()
    }
    windows = [window(3300, selection("eff_0.1", 2.1), validation=VALID), window(3900, selection("eff_0.1", 0.3))]
    trials = {"windows": 2, "selections": 3, "seeds": 1, "total": 6}
    total = {"z": 0.8, "p0": 0.21, **PSEUDO}
    document = {"inputs": inputs, "cutflow": cutflow, "windows": windows, "trials": trials, "global_": total}
    return results_of(**{**document, **more})


def closing(results: Results) -> list[str]:
    return [line.replace(SPACE, " ") for line in closing_lines(results)]


def test_the_closing_lines_say_what_was_searched_found_and_checked() -> None:
    searched, found, checked = closing(whole_search())
    assert searched == (
        "Searched 71 events of data (jets): 2 windows of m_jj in 3300–4300 GeV, at 2 working points and inclusively."
    )
    assert found == headline(whole_search())
    assert checked == (
        "Validation: 1 of 2 windows valid, sensitive to no shift (1 with flags). There is no signal sample; limits on "
        "visible events are in results.json."
    )


def test_the_closing_lines_name_few_of_many_datasets() -> None:
    names = [f"jets_{letter}" for letter in "abcde"]
    cutflow = {name: {"search": {"events": 10, "weight": 10.0}} for name in names}
    searched, _, _ = closing(whole_search(inputs=[file_of(name, "data") for name in names], cutflow=cutflow))
    assert searched.startswith("Searched 50 events of data (jets_a, jets_b, jets_c and 2 more): ")


def test_the_closing_lines_without_validation_and_with_failed_windows() -> None:
    failed = window(3700, reason="no events", status="failed")
    _, found, checked = closing(whole_search(windows=[window(3300, selection("eff_0.1", 2.1)), failed]))
    assert found.endswith(". 1 of 2 windows failed or are incomplete.")
    assert checked.startswith("No window was validated. ")
    _, found, _ = closing(whole_search(windows=[failed], global_={"z": None, "p0": None, "method": "none"}))
    assert found == "No window has a result. 1 of 1 windows failed or are incomplete."


@pytest.mark.parametrize(
    ("signals", "text"),
    [
        (
            [sample("a", 1.4, 0.3), sample("b", 1.2, 1.3)],
            "No signal sample is excluded at 95 % CL (2 tested); best limit: b (σ < 9.60 fb observed, 10.4 fb",
        ),
        (
            [sample("a", 0.5, 0.4), sample("b", 1.2, 0.9)],
            "Excluded at 95 % CL: a (σ < 4.00 fb observed, 3.20 fb expected).",
        ),
        (
            [sample(name, 0.5, 0.4) for name in "abcde"],
            (
                "Excluded at 95 % CL: a (σ < 4.00 fb observed, 3.20 fb expected); b (σ < 4.00 fb observed, 3.20 fb "
                "expected); c (σ < 4.00 fb observed, 3.20 fb expected) and 2 more."
            ),
        ),
        (
            [sample("raw", 0.2, 0.3, fb=False)],
            (
                "No signal sample is excluded at 95 % CL (1 tested); best limit: raw (N < 20.0 events in the window "
                "observed, 30.0 events in the window expected)."
            ),
        ),
        ([sample("a", 0.5, 0.4, selections=[], reason="it failed")], "No signal sample has a limit; limits on"),
    ],
)
def test_the_closing_lines_name_excluded_signals_or_the_best_limit(signals: list[dict[str, Any]], text: str) -> None:
    assert f" {text}" in closing(whole_search(signals=signals))[2]


def test_the_closing_lines_prefer_the_limits_of_retrained_classifiers() -> None:
    (first, *others) = signal("s", 100.0, observed=0.9)
    limits = [replace(one, xsec_pb=0.02) for one in (first, *others)]
    results = whole_search(signals=[sample("s", 0.5, 0.4)], limits=limits)
    # 0.25 fb per event: 25 fb expected and 22.5 fb observed by atlas-2025, for 20 fb; the naive limit is left out.
    assert closing(results)[2].endswith(
        "No signal sample is excluded at 95 % CL (1 tested); best limit: s (σ < 22.5 fb observed, 25.0 fb expected)."
    )


def test_the_closing_lines_of_a_blinded_search_hold_nothing_observed() -> None:
    limits = [replace(one, xsec_pb=0.02) for one in signal("s", 60.0, observed=7.7)]
    searched, found, checked = closing(replace(whole_search(limits=limits), blinded=True))
    assert searched == (
        "Searched data (jets), blinded: 2 windows of m_jj in 3300–4300 GeV, at 2 working points and inclusively."
    )
    assert found == "Blinded: no count, significance or observed limit inside the windows is shown."
    assert checked.endswith("Expected limit at 95 % CL: s (σ < 15.0 fb expected); 1 of 1 would be excluded.")
