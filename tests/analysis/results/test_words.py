"""The words on the background fits of a search, and the mark of a bad one."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.learning import selection_text
from analysis.results.numbers import SPACE
from analysis.results.values import WindowDocument
from analysis.results.words import bad_looks, fit_mark, fit_quality, fit_text, global_caveat
from tests.builders.results import results_of


def fitted(p_value: float | None, name: str = "eff_0.1", **more: Any) -> dict[str, Any]:
    fit = None if p_value is None else {"function": "dijet3", "chi2": 50.0, "ndof": 30, "p_value": p_value}
    settings = {"method": "cwola", "features": [], "efficiency": 0.1, "efficiency_achieved": 0.1}
    counts = {"n_obs": 1.0, "background": 1.0, "background_error": 1.0, "s_over_sqrt_b": None, "limit": None}
    return {"name": name, **settings, **counts, "z": 0.0, "p0": 0.5, "fit": fit, **more}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("inclusive", "inclusive"),
        ("eff_0.05", "efficiency 5 %"),
        ("eff_0.05_a", "efficiency 5 %, half a"),
        ("argos_b", "efficiency by ARGOS, half b"),
        ("my_cut", "my cut"),
    ],
)
def test_selections_are_named_for_readers(name: str, text: str) -> None:
    assert selection_text(name).replace(SPACE, " ") == text


def windows(*selections: dict[str, Any]) -> tuple[WindowDocument, ...]:
    """One window per selection, 100 GeV apart."""
    regions = {"lower": [0, 1], "upper": [3, 4], "mask": [1, 3], "fit_range": [0, 4], "status": "ok", "reason": None}
    documents = [
        {"signal": [3000 + 100 * i, 3100 + 100 * i], **regions, "selections": [one]} for i, one in enumerate(selections)
    ]
    return results_of(windows=documents).windows


@pytest.mark.parametrize(
    ("p_values", "n_bad", "together"),
    [
        ([], 0, False),
        ([None], 0, False),
        ([0.02, 0.5], 0, False),
        ([0.009], 1, True),
        # the smallest of 200 is below 0.01 in 87 of 100 searches with good fits, below 0.00005 in one
        ([0.5] * 199 + [0.004], 1, False),
        ([0.5] * 199 + [0.00004], 1, True),
        ([1e-9] * 3, 3, True),
    ],
)
def test_all_fits_together_are_judged_by_their_number(
    p_values: list[float | None], n_bad: int, *, together: bool
) -> None:
    found = windows(*map(fitted, p_values))
    quality = fit_quality(found)
    assert (quality.n_fits, quality.n_bad, quality.is_bad) == (len([p for p in p_values if p]), n_bad, together)
    text = fit_text(found)
    assert (text is None) == (n_bad == 0) == (global_caveat(found) == "")
    if text is not None:
        assert ("Chance alone explains" in text) == (not together)
        assert ("not to be trusted" in text) == together


def test_the_sentence_names_the_worst_fit_and_what_chance_gives() -> None:
    text = fit_text(windows(fitted(0.5), fitted(5e-26, "inclusive"), fitted(0.001), fitted(0.3)))
    assert text is not None
    assert text.replace(SPACE, " ").startswith(
        "2 of 4 background fits are bad (p < 0.01; 0.04 expected by chance); "
        "the smallest p is 5.0 × 10⁻²⁶ in 3100–3200 GeV, inclusive."
    )


def test_all_trainings_are_counted_and_the_first_is_marked() -> None:
    seeds = {
        name: {"values": values, "median": 0.5, "low": 0.5, "high": 0.5}
        for name, values in {"z": [0.0, 1.0, 2.0], "fit_p_value": [0.3, None, 0.001]}.items()
    }
    found = windows(fitted(0.3, seeds={**seeds, "n_obs": None, "background": None}), fitted(1e-4))
    assert (fit_quality(found).n_fits, fit_quality(found).n_bad) == (3, 2)
    assert [fit_mark(one.selections[0]) for one in found] == ["", "!"]
    assert bad_looks(found) == {((3100.0, 3200.0), "eff_0.1")}
