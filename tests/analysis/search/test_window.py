from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import uhi.io.json
import xgboost as xgb

from analysis.compute import Backend, Serial
from analysis.config import SearchConfig
from analysis.core.documents import from_json, to_json
from analysis.errors import ConfigError
from analysis.events.identity import event_hash, uniform
from analysis.events.table import EventTable
from analysis.histograms.spectra import NOMINAL
from analysis.learning import Samples, TrainingSet, assign_folds
from analysis.learning.training_set import Rows
from analysis.methods import METHODS, FromContrast
from analysis.regions import RegionScan
from analysis.results.documents import window_document, window_from_document
from analysis.results.values import WindowDocument
from analysis.search import evaluation
from analysis.search import window as search
from analysis.search.requirements import measured_corrections
from analysis.search.scan import n_trials, run_scan, window_key
from analysis.search.values import SearchData, WindowResult
from analysis.search.window import run_window
from analysis.statistics import LimitResult
from tests.builders.spies import SpyLearner
from tests.builders.toy_tables import WINDOW, table_of, toy_config, toy_table

CONFIG = toy_config()
SCAN = RegionScan.from_config(CONFIG.scan)
SIGNAL_TOY = SearchData(toy_table(16_000, 240, random_state=21), signal_datasets=("signal",))


@pytest.fixture(scope="module")
def found() -> WindowResult:
    """The search in a toy with a planted signal."""
    return run_window(SIGNAL_TOY, WINDOW, SCAN, CONFIG)


@pytest.fixture
def without_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the limits, the slowest step, where a test is not about them."""
    limit = LimitResult("visible-events", "none", None, (1.0,) * 5)
    monkeypatch.setattr(evaluation, "upper_limit", lambda workspace, *, level, blinded, calculator: limit)


fast = pytest.mark.usefixtures("without_limits")


def assert_same(first: WindowResult, second: WindowResult) -> None:
    assert first.window == second.window
    assert first.reason == second.reason
    assert first.models == second.models
    np.testing.assert_array_equal(first.edges, second.edges)
    assert first.spectrum == second.spectrum
    for one, other in zip(first.selections, second.selections, strict=True):
        assert replace(one, fit=None) == replace(other, fit=None)
        assert one.fit is not None
        assert other.fit is not None
        np.testing.assert_array_equal(one.fit.coefficients, other.fit.coefficients)


def scan_results(data: SearchData, scan: RegionScan, config: SearchConfig, **options: Any) -> list[WindowResult]:
    return [result for _, result in run_scan(data, scan, config, Serial(), **options)]


# What is found


def test_the_layout_of_the_toy() -> None:
    assert SCAN.windows == (WINDOW,)


def test_a_signal_stands_out_more_the_tighter_the_cut(found: WindowResult) -> None:
    assert found.status == "ok"
    inclusive, loose, tight = (selection.discovery.z for selection in found.selections if selection.discovery)
    assert 1.5 < inclusive < 5
    assert loose > inclusive + 1
    assert tight > loose + 1


@fast
@pytest.mark.parametrize(
    ("seed", "classifier"),
    [(0, {}), (5, {"n_estimators": 1, "max_depth": 1})],
    ids=["trees", "two scores alone, so that ties decide"],
)
def test_counts_are_those_of_scores_recomputed_by_hand(seed: int, classifier: dict[str, int]) -> None:
    # xgboost, the stored models and the definition of the working point alone.
    config = toy_config(learning={"classifier": {"n_estimators": 25, "max_depth": 3} | classifier})
    result = run_window(SIGNAL_TOY, WINDOW, SCAN, config.model_copy(update={"random_state": seed}))
    table = SIGNAL_TOY.table
    fold = assign_folds(table.event_id, 3, random_state=seed)
    X, tie = table.matrix(("x0", "x1")), uniform(table.event_id, seed, "tie-break")
    counts = np.zeros(2)
    for k, members in enumerate(result.models):
        boosters = [xgb.Booster(model_file=bytearray(member)) for member in members]
        rows = np.flatnonzero(fold == k)
        score = np.mean([booster.predict(xgb.DMatrix(X[rows])) for booster in boosters], axis=0)
        ranked = rows[np.lexsort((tie[rows], score))[::-1]]
        for i, efficiency in enumerate((0.1, 0.02)):
            selected = ranked[: round(efficiency * len(rows))]
            counts[i] += WINDOW.in_signal(table.mjj[selected]).sum()
    inclusive, *cut = (selection.n_obs for selection in result.selections)
    assert inclusive == WINDOW.in_signal(table.mjj).sum()
    assert cut == counts.tolist()


def test_each_selection_is_told_completely(found: WindowResult) -> None:
    names = ["inclusive", "eff_0.1", "eff_0.02"]
    assert [selection.name for selection in found.selections] == names
    assert found.spectrum is not None
    for selection, efficiency in zip(found.selections, (1, 0.1, 0.02), strict=True):
        assert selection.efficiency == efficiency
        assert selection.efficiency_achieved == pytest.approx(efficiency, abs=2 / 16_000)
        assert selection.workspace is not None
        assert selection.fit is not None
        assert selection.limit is not None
        assert selection.workspace["observations"][0]["data"] == [selection.n_obs]
        assert (selection.background, selection.background_error) == selection.fit.integral(3300, 3700)
        filled = found.spectrum[:, selection.name, NOMINAL].values()
        assert filled.sum() == pytest.approx(16_240 * efficiency, abs=2)
        outside = (found.edges[:-1] < 3200) | (found.edges[:-1] >= 3800)
        fitted = selection.fit.expected(found.edges)[0]
        assert fitted[outside].sum() == pytest.approx(filled[outside].sum(), rel=1e-3)


def test_truth_of_the_inclusive_selection(found: WindowResult) -> None:
    table = SIGNAL_TOY.table
    inside = WINDOW.in_signal(table.mjj)
    is_signal = table.column("dataset") == "signal"
    truth = (inside & is_signal).sum() / np.sqrt((inside & ~is_signal).sum())
    inclusive, *cut = (selection.s_over_sqrt_b for selection in found.selections)
    assert inclusive == pytest.approx(truth)
    assert all(value > inclusive for value in cut if value is not None)


@pytest.mark.parametrize("seed", [31, 32])
@fast
def test_nothing_is_found_where_nothing_is(seed: int) -> None:
    config = toy_config(scan={"first": 3300.0, "last": 4100.0, "step": 400.0})
    scan = RegionScan.from_config(config.scan)
    results = scan_results(SearchData(toy_table(15_000, random_state=seed)), scan, config)
    z = [selection.discovery.z for result in results for selection in result.selections if selection.discovery]
    assert len(z) == 6
    assert max(np.abs(z)) < 3.5
    assert np.ptp(z) > 0.1


@fast
def test_thresholds_can_come_from_the_sidebands_alone() -> None:
    config = toy_config(learning={"threshold_reference": "sidebands", "efficiencies": (0.1,)})
    result = run_window(SIGNAL_TOY, WINDOW, SCAN, config)
    assert result.spectrum is not None
    inside, selected = (
        sum(
            result.spectrum[low * 1j : high * 1j, name, NOMINAL].values().sum()
            for low, high in (WINDOW.lower, WINDOW.upper)
        )
        for name in ("inclusive", "eff_0.1")
    )
    # Exact to half an event a fold there; the whole spectrum is 25 events more or less uncertain.
    assert inside > 3000
    assert selected == pytest.approx(0.1 * inside, abs=3 * 0.51)
    assert result.selections[1].efficiency_achieved == pytest.approx(selected / inside)


# Ensembles


@fast
def test_averaged_counts_through_the_whole_search() -> None:
    learning = {"ensemble": "mean-count", "n_members": 3, "efficiencies": (0.1,)}
    result = run_window(SIGNAL_TOY, WINDOW, SCAN, toy_config(learning=learning))
    inclusive, cut = result.selections
    assert result.passes is not None
    table, weight = SIGNAL_TOY.table, result.passes[:, 1]
    assert set(np.unique(np.rint(3 * weight))) == {0, 1, 2, 3}
    inside = WINDOW.in_signal(table.mjj)
    assert cut.n_obs == pytest.approx(weight[inside].sum())
    beside = WINDOW.in_fit_range(table.mjj) & ~((table.mjj >= 3200) & (table.mjj < 3800))
    assert cut.weight == pytest.approx((weight[beside] ** 2).sum() / weight[beside].sum(), rel=0.05)
    assert inclusive.members is None
    assert cut.members is not None
    assert cut.members.n_members == 3
    assert cut.background is not None
    assert cut.members.mean == pytest.approx((cut.n_obs or 0) - cut.background, abs=0.1 * cut.background)
    assert 0 < cut.members.spread < cut.background
    document = json.loads(json.dumps(to_json(window_document(result))))
    again = window_from_document(from_json(WindowDocument, document), result.spectrum, {}, result.passes)
    for before, after in zip(result.selections, again.selections, strict=True):
        assert before.goodness is not None
        assert after.goodness == replace(before.goodness, n_toys=0)  # read back without the toys
    assert [selection.members for selection in again.selections] == [None, cut.members]


@fast
def test_members_are_not_told_while_blinded() -> None:
    learning = {"ensemble": "mean-count", "n_members": 2, "efficiencies": (0.1,)}
    hidden = replace(SIGNAL_TOY, blinded=True, signal_datasets=None)
    result = run_window(hidden, WINDOW, SCAN, toy_config(learning=learning))
    assert result.status == "ok"
    assert [selection.members for selection in result.selections] == [None, None]


@fast
def test_nested_folds_find_the_signal_too() -> None:
    learning = {"cross_fitting": "nested", "n_candidates": 2, "n_folds": 4, "candidate_efficiency": 0.05}
    config = toy_config(learning=learning)
    result = run_window(SIGNAL_TOY, WINDOW, SCAN, config)
    inclusive, loose, tight = (selection.discovery.z for selection in result.selections if selection.discovery)
    assert min(loose, tight) > inclusive + 1
    assert [len(members) for members in result.models] == [3] * 4
    ((_, again),) = run_scan(SIGNAL_TOY, SCAN, config, Serial())
    assert_same(again, result)


@pytest.mark.parametrize(
    ("learning", "names", "n_models"),
    [
        ({"cross_fitting": "half", "n_folds": 2}, ["eff_0.05_a", "eff_0.05_b"], 2),
        ({"cross_fitting": "sequential", "n_folds": 4, "ensemble": "mean-count"}, ["eff_0.05"], 3),
    ],
)
def test_exact_schemes_find_the_signal_too_on_every_backend(
    learning: dict[str, Any], names: list[str], n_models: int, two_processes: Backend
) -> None:
    config = toy_config(learning={"efficiencies": (0.05,), **learning})
    result = run_window(SIGNAL_TOY, WINDOW, SCAN, config)
    inclusive, *cuts = result.selections
    assert inclusive.discovery is not None
    assert [one.name for one in cuts] == names
    for one in cuts:
        assert one.discovery is not None
        assert one.discovery.z > inclusive.discovery.z + 0.5
    assert len(result.models) == n_models
    assert config.learning.n_selections == len(result.selections)
    assert n_trials(SCAN, config) == len(result.selections)
    ((_, again),) = run_scan(SIGNAL_TOY, SCAN, config, two_processes)
    assert_same(again, result)


@fast
@pytest.mark.parametrize("scheme", ["half", "sequential"])
def test_each_look_of_an_exact_scheme_needs_its_correction(scheme: str) -> None:
    config = toy_config(
        learning={"cross_fitting": scheme, "n_folds": 2, "efficiencies": (0.1,)}, statistics={"non_closure": "correct"}
    )
    names = {"half": ["eff_0.1_a", "eff_0.1_b"], "sequential": ["eff_0.1"]}[scheme]
    found = {WINDOW.name: dict.fromkeys(names, (0.1, 0.05))}
    assert list(measured_corrections(found, SCAN, config)[WINDOW.name]) == names
    with pytest.raises(ConfigError, match=names[-1]):
        measured_corrections({WINDOW.name: dict.fromkeys(names[:-1], (0.1, 0.05))}, SCAN, config)


# Methods that need more than the data


@dataclass(frozen=True)
class Needy(FromContrast):
    """A window of data against a window of simulation, with the simulation as its template."""

    name: str = "needy"
    uses_truth: bool = False
    needs_simulation: bool = True

    def contrast(self, samples: Samples, window: Any, features: Any, *, random_state: Any) -> TrainingSet:
        tables = [table.select(window.in_signal(table.mjj)) for table in (samples.data, samples.require_simulation())]
        X, group = (
            np.concatenate(parts) for parts in zip(*((t.matrix(features), t.event_id) for t in tables), strict=True)
        )
        y = np.repeat([1, 0], [len(table) for table in tables])
        return TrainingSet.build(X, y, np.where(y == 1, 1 / y.sum(), 1 / (1 - y).sum()), group)

    def template(self, samples: Any, held_out: Samples, window: Any, features: Any, *, random_state: Any) -> Rows:
        simulation = held_out.require_simulation()
        inside = simulation.select(window.in_signal(simulation.mjj))
        return Rows(inside.matrix(features), inside.weight, inside.event_id)


@pytest.fixture
def needy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "needy", Needy())


def pure_background(n_events: int = 20_000) -> EventTable:
    toy = toy_table(n_events, random_state=77)
    return table_of(toy.mjj, toy.matrix(("x0", "x1")), event_id=event_hash(2, np.arange(n_events)))


@fast
@pytest.mark.usefixtures("needy")
def test_a_template_in_the_window_fixes_the_false_positive_rate() -> None:
    learning = {"method": "needy", "threshold_reference": "background-template", "efficiencies": (0.1,)}
    config = toy_config(learning=learning)
    data = replace(SIGNAL_TOY, simulation=pure_background())
    result = run_window(data, WINDOW, SCAN, config)
    inclusive, cut = result.selections
    n_template = WINDOW.in_signal(pure_background().mjj).sum()
    assert cut.efficiency_achieved == pytest.approx(0.1, abs=3 * 0.51 / n_template)
    assert result.passes is not None
    # Background of the same distribution passes as often as the template: binomial errors of both.
    background = SIGNAL_TOY.table.column("dataset") == "background"
    inside = WINDOW.in_fit_range(SIGNAL_TOY.table.mjj) & background
    rate = result.passes[inside, 1].mean()
    assert rate == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / inside.sum() + 0.09 / n_template))
    signal = ~background & WINDOW.in_signal(SIGNAL_TOY.table.mjj)
    assert result.passes[signal, 1].mean() > 0.4
    assert cut.discovery is not None
    assert inclusive.discovery is not None
    assert cut.discovery.z > inclusive.discovery.z + 1


@pytest.mark.usefixtures("needy")
def test_a_method_without_what_it_needs_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "run_fold", lambda *_: pytest.fail("trained"))
    config = toy_config(learning={"method": "needy"})
    with pytest.raises(ConfigError, match="method needy needs datasets of kind background, and there are none"):
        run_window(SIGNAL_TOY, WINDOW, SCAN, config)
    monkeypatch.setitem(METHODS, "needy", Needy(uses_truth=True, needs_simulation=False))
    with pytest.raises(ConfigError, match="method needy uses the truth of simulated events, which datasets of kind d"):
        scan_results(replace(SIGNAL_TOY, signal_datasets=None), SCAN, config)


def test_a_method_without_a_template_cannot_cut_on_one() -> None:
    config = toy_config(learning={"threshold_reference": "background-template"})
    with pytest.raises(ConfigError, match="method cwola has no template of the background"):
        scan_results(SIGNAL_TOY, SCAN, config)


@pytest.mark.usefixtures("needy")
def test_methods_see_simulation_and_truth_only_where_they_ask_for_them() -> None:
    data = replace(SIGNAL_TOY, simulation=pure_background(100))
    for uses_truth, needs_simulation in ((False, False), (True, False), (False, True)):
        samples = data.samples(Needy(uses_truth=uses_truth, needs_simulation=needs_simulation))
        assert (samples.signal_datasets is not None) == uses_truth
        assert (samples.simulation is not None) == needs_simulation


# Leakage, through the whole search


@fast
def test_no_event_is_scored_by_a_model_that_saw_it(monkeypatch: pytest.MonkeyPatch) -> None:
    scored: list[tuple[Any, set[int]]] = []
    collect = search.collect_folds

    def spy(results: Any, table: EventTable, task: Any) -> Any:
        crossfit = collect(results, table, task)
        scored.extend(
            (model, set(table.event_id[crossfit.scores.fold == fold].tolist()))
            for fold, model in enumerate(crossfit.models)
        )
        return crossfit

    monkeypatch.setattr(search, "configured_learner", lambda *_: SpyLearner())
    monkeypatch.setattr(search, "collect_folds", spy)
    toy = toy_table(6000, random_state=1)
    copies = table_of(toy.mjj, toy.matrix(("x0", "x1")), event_id=np.repeat(toy.event_id[::2], 2))
    run_window(SearchData(copies), WINDOW, SCAN, CONFIG)
    assert len(scored) == 3
    for model, events in scored:
        assert len(model.seen) > 100
        assert len(events) > 100
        assert not model.seen & events


# Same result wherever and however it runs


def test_a_scan_gives_what_its_windows_give(found: WindowResult) -> None:
    ((key, result),) = run_scan(SIGNAL_TOY, SCAN, CONFIG, Serial(), inputs="abc")
    assert key == window_key(WINDOW, SCAN, CONFIG, "abc")
    assert_same(result, found)


@fast
def test_windows_of_one_batch_are_not_mixed_up() -> None:
    config = toy_config(scan={"first": 3300.0, "last": 4100.0, "step": 400.0}, learning={"n_folds": 2})
    scan, data = RegionScan.from_config(config.scan), SearchData(toy_table(6000, random_state=3))
    results = scan_results(data, scan, config)
    assert [result.window for result in results] == list(scan.windows)
    for result in results:
        assert_same(result, run_window(data, result.window, scan, config))


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["two_processes", "two_dask_workers"])
def test_other_processes_give_what_one_gives(name: str, found: WindowResult, request: pytest.FixtureRequest) -> None:
    ((_, result),) = run_scan(SIGNAL_TOY, SCAN, CONFIG, request.getfixturevalue(name))
    assert_same(result, found)


@fast
def test_order_of_events_does_not_matter_without_subsampling() -> None:
    config = toy_config(learning={"efficiencies": (0.05,), "classifier": {"n_estimators": 10, "subsample": 1.0}})
    table = toy_table(8000, 150, random_state=4)
    mixed = EventTable(table.table.take(np.random.default_rng(0).permutation(len(table))), table.features)
    first, second = (run_window(SearchData(t), WINDOW, SCAN, config) for t in (table, mixed))
    assert [s.n_obs for s in first.selections] == [s.n_obs for s in second.selections]
    assert first.spectrum == second.spectrum
    assert [s.discovery for s in first.selections] == [s.discovery for s in second.selections]


@fast
def test_the_seed_of_the_search_matters(found: WindowResult) -> None:
    other = run_window(SIGNAL_TOY, WINDOW, SCAN, CONFIG.model_copy(update={"random_state": 1}))
    assert other.models != found.models
    assert other.selections[0].n_obs == found.selections[0].n_obs
    assert other.selections[2].n_obs != found.selections[2].n_obs


# Faults stay where they are


@fast
def test_a_window_without_events_fails_alone() -> None:
    config = toy_config(scan={"windows": ((3300.0, 3700.0), (5900.0, 6300.0)), "sideband_width": 150.0})
    table = toy_table(8000, random_state=3)
    table = table.select(table.mjj < 5800)
    good, bad = scan_results(SearchData(table), RegionScan.from_config(config.scan), config)
    assert good.status == "ok"
    assert (bad.status, bad.selections, bad.spectrum) == ("failed", (), None)
    assert bad.reason is not None
    assert "window 5900-6300 GeV" in bad.reason
    assert "no events to train on in the window" in bad.reason


@fast
def test_a_selection_that_cannot_be_fitted_says_why_and_the_others_stay() -> None:
    config = toy_config(learning={"efficiencies": (0.1, 0.0005)})
    result = run_window(SearchData(toy_table(4000, random_state=3)), WINDOW, SCAN, config)
    assert result.status == "incomplete"
    inclusive, loose, hopeless = result.selections
    assert inclusive.reason is None
    assert loose.discovery is not None
    assert hopeless.reason is not None
    assert "window 3300-3700 GeV, selection eff_0.0005: " in hopeless.reason
    assert "looser selection" in hopeless.reason
    assert (hopeless.background, hopeless.discovery, hopeless.limit, hopeless.workspace) == (None,) * 4
    assert hopeless.n_obs is not None


@fast
def test_undefined_features_are_fine(found: WindowResult) -> None:
    table = SIGNAL_TOY.table
    X = table.matrix(("x0", "x1")).copy()
    X[np.random.default_rng(0).random(len(X)) < 0.2, 1] = np.nan
    holes = table_of(table.mjj, X, event_id=table.event_id)
    result = run_window(SearchData(holes), WINDOW, SCAN, CONFIG)
    assert result.status == "ok"
    inclusive, loose, _ = (selection.discovery.z for selection in result.selections if selection.discovery)
    assert loose > inclusive + 1


# Blinding


@pytest.fixture(scope="module")
def blinded() -> WindowResult:
    return run_window(replace(SIGNAL_TOY, blinded=True, signal_datasets=None), WINDOW, SCAN, CONFIG)


def hidden_spectrum_says_so(result: WindowResult) -> bool:
    """Also after a round trip through the file."""
    text = json.dumps(result.spectrum, default=uhi.io.json.default)
    return bool(json.loads(text)["metadata"]["blinded"])


def test_blinded_results_hold_no_observation(blinded: WindowResult, found: WindowResult) -> None:
    assert blinded.status == "ok"
    for hidden, open_ in zip(blinded.selections, found.selections, strict=True):
        assert (hidden.n_obs, hidden.discovery, hidden.s_over_sqrt_b) == (None, None, None)
        assert hidden.limit is not None
        assert hidden.limit.observed_events is None
        assert all(value > 0 for value in hidden.limit.expected_events)
        assert (hidden.background, hidden.background_error) == (open_.background, open_.background_error)
        assert hidden.workspace is not None
        assert hidden.workspace["observations"][0]["data"] == [hidden.background]
    assert hidden_spectrum_says_so(blinded)
    assert blinded.passes is None


def test_blinded_spectra_are_empty_inside_the_mask_alone(blinded: WindowResult, found: WindowResult) -> None:
    assert blinded.spectrum is not None
    assert found.spectrum is not None
    hidden, shown = (result.spectrum.view(flow=True) for result in (blinded, found))
    masked = np.concatenate([[False], (found.edges[:-1] >= 3200) & (found.edges[1:] <= 3800), [False]])
    assert (hidden["value"][masked] == 0).all()
    assert (hidden["variance"][masked] == 0).all()
    assert (shown["value"][masked][:, :3, 0] > 0).all()
    np.testing.assert_array_equal(hidden[~masked], shown[~masked])


# Keys


def test_keys_change_with_all_that_matters() -> None:
    other_window = replace(WINDOW, mask=(3100.0, 3900.0))
    keys = [
        window_key(WINDOW, SCAN, CONFIG, "inputs"),
        window_key(WINDOW, SCAN, CONFIG, "others"),
        window_key(other_window, SCAN, CONFIG, "inputs"),
        window_key(WINDOW, replace(SCAN, bin_width=50.0), CONFIG, "inputs"),
        window_key(WINDOW, SCAN, CONFIG.model_copy(update={"random_state": 1}), "inputs"),
        window_key(WINDOW, SCAN, toy_config(learning={"n_members": 2}), "inputs"),
        window_key(WINDOW, SCAN, toy_config(learning={"classifier": {"max_depth": 2}}), "inputs"),
        window_key(WINDOW, SCAN, toy_config(background={"alpha": 0.1}), "inputs"),
        window_key(WINDOW, SCAN, toy_config(statistics={"cls_level": 0.1}), "inputs"),
    ]
    assert len(set(keys)) == len(keys)


def test_keys_do_not_change_with_what_does_not_matter() -> None:
    key = window_key(WINDOW, SCAN, CONFIG, "inputs")
    assert window_key(WINDOW, SCAN, toy_config(plots={"formats": ("svg",)}), "inputs") == key
    wider = toy_config(scan={"first": 3300.0, "last": 4500.0})
    assert window_key(WINDOW, RegionScan.from_config(wider.scan), wider, "inputs") == key


@fast
def test_windows_that_are_done_are_not_searched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "configured_learner", lambda *_: SpyLearner())
    config = toy_config(scan={"first": 3300.0, "last": 4100.0, "step": 200.0}, learning={"n_folds": 2})
    scan = RegionScan.from_config(config.scan)
    data = SearchData(toy_table(3000, random_state=3))
    keys = [window_key(window, scan, config, "x") for window in scan.windows]
    results = dict(run_scan(data, scan, config, Serial(), inputs="x", done={keys[1]}))
    assert list(results) == [keys[0], keys[2]]
    assert [result.window for result in results.values()] == [scan.windows[0], scan.windows[2]]
    assert list(run_scan(data, scan, config, Serial(), inputs="x", done=set(keys))) == []


# Trials


def test_every_look_counts_as_a_trial() -> None:
    ladder = toy_config(scan={"first": 3300.0, "last": 4500.0})
    assert n_trials(RegionScan.from_config(ladder.scan), ladder) == 5 * 3


TUNED = toy_config(
    learning={
        "features": CONFIG.learning.features,
        "n_folds": 3,
        "n_members": 1,
        "efficiencies": (0.5, 0.1, 0.02),
        "working_point": "argos",
        "classifier": CONFIG.learning.classifier.model_dump(),
        "tuning": {"criterion": "argos", "grid": {"n_estimators": (5, 25)}, "n_folds": 2, "n_members": 1},
    }
)


@fast
def test_one_selection_whose_working_points_are_chosen_without_labels() -> None:
    result = run_window(SIGNAL_TOY, WINDOW, SCAN, TUNED)
    assert [selection.name for selection in result.selections] == ["inclusive", "argos"]
    assert n_trials(SCAN, TUNED) == 2
    inclusive, chosen = result.selections
    assert inclusive.discovery is not None
    assert chosen.discovery is not None
    assert chosen.discovery.z > inclusive.discovery.z + 2
    # Each fold is cut at the efficiency that it chose, so the mean over the equal folds is what is reached.
    kept = [TUNED.learning.efficiencies[choice.working_point or 0] for choice in result.choices]
    assert len(kept) == 3
    assert chosen.efficiency == pytest.approx(np.mean(kept))
    assert chosen.efficiency_achieved == pytest.approx(np.mean(kept), rel=0.03)
    assert result.passes is not None
    assert result.passes[:, 1].sum() == pytest.approx(chosen.efficiency_achieved * len(SIGNAL_TOY.table), rel=1e-6)
    restored = window_from_document(from_json(WindowDocument, to_json(window_document(result))), None, {}, None)
    assert restored.choices == result.choices
    blinded = run_window(replace(SIGNAL_TOY, blinded=True), WINDOW, SCAN, TUNED)
    assert not blinded.choices  # their values tell how large the excess is
