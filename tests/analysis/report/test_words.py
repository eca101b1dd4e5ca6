"""The verdict: what a physicist would say of these numbers."""

from __future__ import annotations

from typing import Any

import pytest
from scipy import stats

from analysis.report.words import search_verdict
from analysis.results.numbers import SPACE
from analysis.results.words import largest_excess, total_error

PSEUDO = {
    "method": "pseudo-experiments",
    "n_trials": 4,
    "n_toys": 1000,
    "interval": [0.1, 0.3],
    "effective_trials": 11.0,
}
BOUND = {"method": "bonferroni-upper-bound", "n_trials": 4, "n_toys": 1000}


def selection(name: str, z: float | None, **more: Any) -> dict[str, Any]:
    counts = {"n_obs": 110.0, "background": 100.0, "background_error": 10.0}
    return {"name": name, "z": z, "p0": None if z is None else stats.norm.sf(z), **counts, **more}


def window(low: float, *selections: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"signal": [low, low + 400], "status": "ok", "reason": None, "selections": list(selections), **more}


def search(*windows: dict[str, Any], total: dict[str, Any], z: float | None, blinded: bool = False) -> dict[str, Any]:
    p0 = None if z is None else float(stats.norm.sf(z))
    trials = {"windows": len(windows), "selections": 2, "seeds": 1, "total": 4}
    return {"windows": list(windows), "blinded": blinded, "global": {"z": z, "p0": p0, **total}, "trials": trials}


def headline(document: dict[str, Any]) -> str:
    return search_verdict(document).headline.replace(SPACE, " ")


def test_the_largest_local_significance_and_the_global_one() -> None:
    windows = (
        window(3300, selection("inclusive", 0.4), selection("eff_0.01", 2.1)),
        window(3700, selection("inclusive", -2.5), selection("eff_0.01", 1.9)),
    )
    document = search(*windows, total=PSEUDO, z=0.8)
    assert headline(document) == (
        "No significant excess: largest local z = 2.1 in 3300–3700 GeV at efficiency 1 %, global z = 0.8 "
        "(1000 pseudo-experiments)."
    )
    found = search_verdict(document)
    assert found.kind == "none"
    text = " ".join(found.sentences).replace(SPACE, " ")
    assert "110 events are observed and 100 ± 10 expected" in text
    assert "global p₀ = 0.21 accounts for 4 looks (2 windows, 2 selections), worth 11 independent ones." in text


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
    document = search(window(3300, selection("eff_0.1", local)), total=total, z=z)
    assert search_verdict(document).kind == kind
    assert headline(document).startswith(begin)
    assert ("z ≥" in headline(document)) == ("bound" in total["method"])


def test_a_p_value_too_small_for_a_significance_is_significant() -> None:
    document = search(window(3300, selection("eff_0.1", 39.0)), total=BOUND, z=None)
    document["global"]["p0"] = 0.0
    assert headline(document).startswith("Significant excess")


def test_an_excess_in_a_window_that_is_not_valid_says_so_first() -> None:
    judged = {"verdict": "not valid", "reason": "shift of z 3.1 ± 0.9", "flags": [], "decided": "after-scan"}
    document = search(window(3300, selection("eff_0.1", 5.0), validation=judged), total=PSEUDO, z=4.0)
    assert headline(document).startswith("Significant excess in a window that is not valid:")
    assert "The window is not valid, decided after it had been searched: shift of z 3.1 ± 0.9." in (
        search_verdict(document).sentences
    )
    judged["verdict"] = "valid"
    assert headline(document).startswith("Significant excess: ")


def test_the_largest_is_looked_for_among_all_trainings() -> None:
    seeds = {"z": {"values": [1.0, None, 2.6], "median": 1.8, "low": 1.0, "high": 2.6}}
    document = search(
        window(3300, selection("inclusive", 2.0), selection("eff_0.1", 1.0, seeds=seeds)), total=PSEUDO, z=1
    )
    found = largest_excess(document["windows"])
    assert found is not None
    assert (found.z, found.seed, found.selection["name"]) == (2.6, 2, "eff_0.1")
    assert "training seed 2" in search_verdict(document).sentences[0]


def test_blinded_failed_and_empty_searches() -> None:
    hidden = {"n_obs": None, "p0": None}
    failed = window(3700, reason="no events", status="failed")
    blinded = search(window(3300, selection("eff_0.1", None) | hidden), failed, total={"method": "blinded"}, z=None)
    blinded["blinded"] = True
    found = search_verdict(blinded)
    assert found.kind == "blinded"
    assert "z =" not in " ".join([found.headline, *found.sentences])
    assert any("1 of 2 windows failed" in sentence for sentence in found.sentences)
    assert headline(search(failed, total={"method": "none"}, z=None)) == "No window has a result."


def test_the_error_of_a_corrected_background_is_that_of_the_search() -> None:
    from analysis.search.non_closure import NonClosure
    from analysis.search.values import SelectionResult

    values = {"background": 105.0, "background_error": 8.0}
    result = SelectionResult("eff_0.1", "cwola", (), 0.1, 0.1, 100.0, **values, non_closure=NonClosure(0.05, 0.1))
    document = {**values, "non_closure": {"delta": 0.05, "error": 0.1}}
    assert total_error(document) == pytest.approx(result.total_error, rel=1e-12)
    assert total_error({**values, "non_closure": None}) == 8.0
