"""Correction for measured non-closure: closed forms, and pseudo-experiments of which the truth is known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyhf
import pytest
from scipy import stats

from analysis.compute import Serial
from analysis.config import SearchConfig
from analysis.core.documents import from_json, to_json
from analysis.errors import ConfigError
from analysis.regions import RegionScan
from analysis.results.documents import window_document, window_from_document
from analysis.results.values import WindowDocument
from analysis.search.look_elsewhere import _add_correction_errors, _correction_error, global_result
from analysis.search.non_closure import NonClosure, check_corrections
from analysis.search.scan import run_scan, window_key
from analysis.search.values import SearchData, SelectionResult, WindowResult
from analysis.search.window import run_window
from analysis.statistics import Counting, counting_workspace, discovery
from analysis.statistics.counting_models import counting_z
from tests.builders.closed_forms import asymptotic_limits, quadrature, signed_z
from tests.builders.toy_tables import WINDOW, toy_config, toy_table

NAME = WINDOW.name
MEASURED = {NAME: {"eff_0.1": (0.2, 0.05), "eff_0.02": (-0.3, 0.1)}}


def config(non_closure: str = "correct", **statistics: Any) -> SearchConfig:
    settings = {"non_closure": non_closure, "calculator": "asymptotics", "pseudo_experiments": 200}
    return toy_config(statistics={**settings, **statistics})


SCAN = RegionScan.from_config(config().scan)
DATA = SearchData(toy_table(15_000, random_state=4))


@pytest.fixture(scope="module")
def plain() -> WindowResult:
    return run_window(DATA, WINDOW, SCAN, config("none"))


@pytest.fixture(scope="module")
def corrected() -> WindowResult:
    return run_window(DATA, WINDOW, SCAN, config(), corrections=MEASURED)


def pairs(plain: WindowResult, corrected: WindowResult) -> list[tuple[SelectionResult, SelectionResult]]:
    return list(zip(plain.selections, corrected.selections, strict=True))


def test_background_and_errors_are_those_written_down(plain: WindowResult, corrected: WindowResult) -> None:
    for before, after in pairs(plain, corrected)[1:]:
        delta, error = MEASURED[NAME][after.name]
        assert after.non_closure == NonClosure(delta, error)
        assert after.n_obs == before.n_obs
        assert before.background is not None
        assert before.background_error is not None
        assert after.background == pytest.approx(before.background * (1 + delta))
        assert after.background_error == pytest.approx(before.background_error * (1 + delta))
        assert after.non_closure_error == pytest.approx(before.background * error)
        assert after.total_error == pytest.approx(
            np.hypot(before.background_error * (1 + delta), before.background * error)
        )


def test_z_and_limits_are_the_closed_forms_with_all_errors_in_quadrature(corrected: WindowResult) -> None:
    for one in corrected.selections[1:]:
        assert one.discovery is not None
        assert one.limit is not None
        assert one.n_obs is not None
        assert one.background is not None
        assert one.total_error is not None
        error = quadrature(one.background, "profile", one.background_error or 0, one.non_closure_error)
        assert error == pytest.approx(one.total_error, rel=0.03)
        assert one.discovery.z == pytest.approx(signed_z(one.n_obs, one.background, error), abs=1e-4)
        limits = asymptotic_limits(one.n_obs, one.background, error, 0.05)
        assert [one.limit.observed_events, *one.limit.expected_events] == pytest.approx(limits, rel=5e-3)


def test_the_workspace_has_a_parameter_of_its_own(plain: WindowResult, corrected: WindowResult) -> None:
    for before, after in pairs(plain, corrected)[1:]:
        model = pyhf.Workspace(after.workspace).model()
        assert sorted(model.config.parameters) == ["background_fit", "mu", "non_closure"]
        shifted = np.array(model.config.suggested_init())
        shifted[model.config.par_map["non_closure"]["slice"]] = 1.0
        shift = model.expected_actualdata(shifted)[0] - (after.background or 0)
        assert shift == pytest.approx(MEASURED[NAME][after.name][1] * (before.background or 0))


def test_the_inclusive_selection_is_corrected_only_where_it_was_measured(
    plain: WindowResult, corrected: WindowResult
) -> None:
    assert corrected.selections[0].non_closure is None
    assert corrected.selections[0].workspace == plain.selections[0].workspace
    measured = {NAME: {**MEASURED[NAME], "inclusive": (0.01, 0.0)}}
    one = run_window(DATA, WINDOW, SCAN, config(), corrections=measured).selections[0]
    assert one.background == pytest.approx(1.01 * (plain.selections[0].background or 0))
    assert one.background_variations == {}  # known exactly: no parameter without effect


def test_it_is_in_the_results_and_comes_back(corrected: WindowResult) -> None:
    document = json.loads(json.dumps(to_json(window_document(corrected)), allow_nan=False))
    found = [one["non_closure"] for one in document["selections"]]
    assert found == [None, {"delta": 0.2, "error": 0.05}, {"delta": -0.3, "error": 0.1}]
    again = window_from_document(from_json(WindowDocument, document), corrected.spectrum, {}, corrected.passes)
    assert [one.total_error for one in again.selections] == [one.total_error for one in corrected.selections]


def test_a_window_is_searched_again_when_its_correction_changes() -> None:
    def key(non_closure: str, corrections: Mapping[str, Mapping[str, tuple[float, float]]] | None) -> str:
        ((found, _),) = run_scan(DATA, SCAN, config(non_closure), Serial(), inputs="a", corrections=corrections)
        return found

    other = {NAME: {**MEASURED[NAME], "eff_0.1": (0.2, 0.06)}}
    assert len({key("none", None), key("correct", MEASURED), key("correct", other)}) == 3
    assert window_key(WINDOW, SCAN, config("none"), "a") == key("none", MEASURED)


@pytest.mark.parametrize(
    ("measured", "texts"),
    [
        (None, ["needs the measured non-closure of every window"]),
        ({}, [f"window {NAME} GeV, selection eff_0.1", "was not measured"]),
        ({NAME: {"eff_0.1": (0.1, 0.1)}}, [f"window {NAME} GeV, selection eff_0.02", "was not measured"]),
        ({NAME: {"eff_0.1": (0.1, 0.1), "eff_0.02": None}}, [f"window {NAME} GeV, selection eff_0.02"]),
    ],
)
def test_what_was_not_measured_is_named_before_anything_is_trained(
    measured: Any, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analysis.search.window.run_fold", lambda *_: pytest.fail("trained"))
    with pytest.raises(ConfigError) as caught:
        next(iter(run_scan(DATA, SCAN, config(), Serial(), corrections=measured)))
    for text in [*texts, "`cwola validate`", 'non_closure = "none"']:
        assert text in str(caught.value)


@pytest.mark.parametrize("pair", [(-1.0, 0.1), (0.1, -0.1), (np.nan, 0.1), (0.1, np.inf)])
def test_impossible_corrections_are_refused(pair: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match=r"window 1-2 GeV, selection a: expected a relative non-closure above -1"):
        check_corrections({"1-2": {"a": pair}}, ["1-2"], ["a"])


def toys(n_toys: int, b: float, true: float, fit_error: float, error: float) -> tuple[np.ndarray, ...]:
    """Counts, fitted backgrounds and measured corrections of a window whose fit is off by the fraction `true`."""
    rng = np.random.default_rng(8)
    n = rng.poisson(b * (1 + true), n_toys)
    return n, rng.normal(b, fit_error, n_toys), rng.normal(true, error, n_toys)


@pytest.mark.parametrize("true", [0.15, -0.1])
def test_z_of_background_alone_is_standard_normal_with_it_and_biased_without(true: float) -> None:
    n_toys, b, fit_error, error = 20_000, 400.0, 12.0, 0.05
    n, fitted, measured = toys(n_toys, b, true, fit_error, error)
    without = counting_z(n, fitted, np.full(n_toys, fit_error), "gaussian")
    both = np.hypot(fit_error * (1 + measured), fitted * error)
    with_it = counting_z(n, fitted * (1 + measured), both, "gaussian")
    delta_only = counting_z(n, fitted * (1 + measured), fit_error * (1 + measured), "gaussian")
    # Without: off by b * true over the error of n - b.
    assert without.mean() == pytest.approx(b * true / np.sqrt(b * (1 + true) + fit_error**2), rel=0.1)
    assert abs(with_it.mean()) < 0.05
    assert with_it.std() == pytest.approx(1.0, abs=0.03)
    assert (stats.norm.sf(with_it) < 0.05).mean() == pytest.approx(0.05, abs=0.008)
    assert delta_only.std() > 1.2  # its error is needed
    # The workspace gives the same z.
    for i in range(3):
        one = NonClosure(float(measured[i]), error)
        counting = Counting(float(n[i]), *one.corrected(float(fitted[i]), fit_error), "gaussian")
        variations = {"non_closure": one.events(counting.background)}
        spec = counting_workspace(counting, channel="c", measurement="m", background_variations=variations)
        assert discovery(spec).z == pytest.approx(with_it[i], abs=1e-3)


def test_p_values_of_few_events_take_both_errors_in_quadrature() -> None:
    options = {"channel": "c", "measurement": "m"}
    for n in (4.0, 9.0):
        two = counting_workspace(Counting(n, 4.0, 0.6), background_variations={"non_closure": 0.8}, **options)
        one = Counting(n, 4.0, quadrature(4.0, "profile", 0.6, 0.8))
        found, truth = (discovery(spec) for spec in (two, counting_workspace(one, **options)))
        assert found.z == pytest.approx(truth.z, abs=1e-4)
        assert found.p0_toys == pytest.approx(truth.p0_toys, rel=1e-2)
        assert found.p0_averaged == pytest.approx(truth.p0_averaged, rel=1e-6)


def test_global_p_values_count_that_corrections_are_independent() -> None:
    """Ten windows of events that they largely share: their z are alike, the errors of their corrections are not."""
    rng = np.random.default_rng(9)
    n_looks, rho, share = 10, 0.95, 0.8

    def events(n: int) -> np.ndarray:
        common, own = rng.standard_normal((n, 1)), rng.standard_normal((n, n_looks))
        return np.sqrt(rho) * common + np.sqrt(1 - rho) * own

    toys = events(20_000)
    searched = np.sqrt(1 - share**2) * events(4000) + share * rng.standard_normal((4000, n_looks))
    full = _add_correction_errors(toys, [(f"window {i}", share) for i in range(n_looks)], 3)
    assert full.std(axis=0) == pytest.approx(np.ones(n_looks), abs=0.02)
    assert np.corrcoef(full[:, 0], full[:, 1])[0, 1] == pytest.approx(rho * (1 - share**2), abs=0.02)
    largest = searched.max(axis=1)
    uniform, wrong = ((toy.max(axis=1)[None] >= largest[:, None]).mean(axis=1) for toy in (full, toys))
    assert (uniform < 0.05).mean() == pytest.approx(0.05, abs=0.012)
    assert (wrong < 0.05).mean() > 0.15


def test_trainings_of_a_window_share_its_correction() -> None:
    z = np.zeros((1000, 3))
    found = _add_correction_errors(z, [("3300-3700 eff_0.1", 0.5), ("3300-3700 eff_0.1", 0.5), ("other", 0.0)], 1)
    assert (found[:, 0] == found[:, 1]).all()
    assert (found[:, 2] == 0).all()
    assert (found == _add_correction_errors(z, [("3300-3700 eff_0.1", 0.5)] * 2 + [("other", 0.0)], 1)).all()


def test_the_global_p_value_of_a_corrected_scan_comes_from_toys(corrected: WindowResult) -> None:
    share = _correction_error(corrected, 1)
    one = corrected.selections[1]
    variance = (one.background or 0) + (one.background_error or 0) ** 2 + one.non_closure_error**2
    assert share == (f"{NAME} eff_0.1", pytest.approx(one.non_closure_error / np.sqrt(variance)))
    found = global_result(DATA, [corrected], SCAN, config(), Serial())
    local = min(one.discovery.p0 for one in corrected.selections if one.discovery is not None)
    assert found.method.startswith(("pseudo-experiments", "bonferroni"))
    assert found.p0 is not None
    assert found.p0 > local / 2
