"""Injections against hand-made cross-fitting, counting and scoring, with toys of known truth."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import xgboost as xgb
from scipy import stats

from analysis.config import SearchConfig
from analysis.core.documents import parse_json, to_json
from analysis.errors import TableError
from analysis.events.identity import event_hash, uniform
from analysis.events.table import EventTable
from analysis.learning import assign_folds
from analysis.limits.injection import InjectionData, inject
from analysis.limits.injection_values import Injection, InjectionResult
from analysis.limits.signal_events import add_signal, held_out, sample_signal
from analysis.regions import RegionScan
from analysis.search.values import SearchData
from analysis.search.window import run_window
from analysis.signals.yields import SignalSample
from analysis.statistics import Counting, counting_workspace, discovery, upper_limit
from tests.builders.toy_tables import dijet_masses, feature_names, table_of, toy_config

N_DATA, N_POOL = 8000, 3000


def pool_of(n_events: int, seed: int = 5) -> EventTable:
    rng = np.random.default_rng(seed)
    mjj, X = rng.normal(3500, 80, n_events), rng.normal(1.5, 0.5, (n_events, 2))
    return table_of(mjj, X.astype(np.float32), event_id=event_hash(9, 1, np.arange(n_events)))


def data_of(n_events: int = N_DATA, seed: int = 6) -> EventTable:
    rng = np.random.default_rng(seed)
    return table_of(dijet_masses(n_events, rng), rng.normal(size=(n_events, 2)).astype(np.float32))


def config_of(**learning: object) -> SearchConfig:
    return toy_config(learning=learning, statistics={"calculator": "asymptotics"})


def shared_of(config: SearchConfig, *, blinded: bool = False) -> InjectionData:
    sample = SignalSample("toy", (), {"nominal": pool_of(N_POOL)}, None, None, None, False, ())
    return InjectionData(SearchData(data_of(), blinded=blinded), {"toy": sample}, config)


def task_of(config: SearchConfig, strength: float, *, sampling: int = 0, counted: bool = False) -> Injection:
    (window,) = RegionScan.from_config(config.scan).windows
    return Injection("toy", window, strength, sampling, "cwola", feature_names(2), counted)


def draw(strength: float, sampling: int = 0, pool: EventTable | None = None) -> EventTable:
    return sample_signal(pool or pool_of(N_POOL), strength, sampling, purpose="toy", random_state=3)


def test_the_number_drawn_is_poisson_and_no_event_is_drawn_twice() -> None:
    numbers = np.array([len(draw(40.0, sampling)) for sampling in range(400)])
    assert abs(numbers.mean() - 40) < 4 * np.sqrt(40 / 400)
    assert stats.kstest(stats.poisson.cdf(numbers, 40) - 0.5 * stats.poisson.pmf(numbers, 40), "uniform").pvalue > 1e-3
    drawn = draw(600.0)
    assert len(np.unique(drawn.event_id)) == len(drawn)


def test_stronger_injections_contain_the_weaker_ones() -> None:
    found = [set(draw(strength, 4).event_id.tolist()) for strength in (0.0, 10.0, 60.0, 300.0)]
    assert not found[0]
    assert found[1] < found[2] < found[3]
    assert found[3] != set(draw(300.0, 5).event_id.tolist())


def test_events_are_drawn_as_often_as_their_weight_says() -> None:
    pool = pool_of(N_POOL)
    weight = np.where(np.arange(N_POOL) % 2, 3.0, 1.0)
    index = pool.table.column_names.index("weight")
    weighted = EventTable(pool.table.set_column(index, "weight", [weight]), pool.features)
    drawn = np.concatenate([draw(60.0, sampling, weighted).weight for sampling in range(100)])
    share = (drawn == 3.0).mean()
    assert abs(share - 0.75) < 4 * np.sqrt(0.75 * 0.25 / len(drawn))


def test_order_of_the_pool_does_not_matter() -> None:
    pool = pool_of(N_POOL)
    turned = EventTable(pool.table.take(np.arange(N_POOL)[::-1]), pool.features)
    assert set(draw(50.0, 1, pool).event_id.tolist()) == set(draw(50.0, 1, turned).event_id.tolist())


def test_pools_that_cannot_be_drawn_from_are_refused() -> None:
    pool = pool_of(N_POOL)
    index = pool.table.column_names.index("weight")
    negative = EventTable(pool.table.set_column(index, "weight", [np.full(N_POOL, -1.0)]), pool.features)
    with pytest.raises(TableError, match=r"3000 of 3000 events have negative weights.*positive weights"):
        draw(10.0, pool=negative)
    with pytest.raises(TableError, match=r"only 3000 are there.*limits\.strengths"):
        draw(5000.0)
    with pytest.raises(TableError, match="100 events of signal toy are among the searched ones"):
        add_signal(SearchData(pool), pool.select(np.arange(N_POOL) < 100), "toy")


def test_injected_events_weigh_one_and_carry_their_identity() -> None:
    data = SearchData(data_of(), signal_datasets=("hidden",))
    chosen = draw(30.0)
    joined = add_signal(data, chosen, "toy")
    assert len(joined.table) == N_DATA + len(chosen)
    np.testing.assert_array_equal(joined.table.event_id[N_DATA:], chosen.event_id)
    assert (joined.table.weight[N_DATA:] == 1).all()
    assert joined.signal_datasets == ("hidden", "toy")
    assert joined.table.in_datasets(["toy"]).sum() == len(chosen)


def by_hand(config: SearchConfig, shared: InjectionData, task: Injection, efficiency: float) -> tuple[float, float]:
    """Count data and held-out signal with plain xgboost models: injected events train, and nothing else.

    Follows the documented recipe: folds and tie-breaks by hashes of the identity, sidebands with half the weight of the
    window each, a threshold a fold from the data of that fold.
    """
    data, pool = shared.search.table, shared.samples["toy"].tables["nominal"]
    chosen = sample_signal(pool, task.strength, task.sampling, purpose="toy", random_state=config.random_state)
    rest = pool.select(~np.isin(pool.event_id, chosen.event_id))
    window, n_folds = task.window, config.learning.n_folds
    result_fold = assign_folds(data.event_id, n_folds, random_state=config.random_state)
    models = trained_members(config, shared, task)
    counted = signal = 0.0
    for fold in range(n_folds):
        own = data.select((result_fold == fold) & window.in_fit_range(data.mjj))
        score, tie = predict(models[fold], own), uniform(own.event_id, config.random_state, "tie-break")
        order = np.lexsort((tie, score))[::-1]
        kept = order[: round(efficiency * len(own))]
        counted += window.in_signal(own.mjj[kept]).sum()
        last = order[len(kept)]
        theirs = predict(models[fold], rest)
        signal_tie = uniform(rest.event_id, config.random_state, "tie-break")
        above = (theirs > score[last]) | ((theirs == score[last]) & (signal_tie > tie[last]))
        signal += (above & window.in_signal(rest.mjj)).sum() / n_folds
    return counted, signal / len(rest)


def trained_members(config: SearchConfig, shared: InjectionData, task: Injection) -> list[bytes]:
    """Models by fold of the search of data and injected events together: `run_window` keeps what it trains."""
    pool = shared.samples["toy"].tables["nominal"]
    chosen = sample_signal(pool, task.strength, task.sampling, purpose="toy", random_state=config.random_state)
    scan = RegionScan.from_config(config.scan)
    joined = add_signal(shared.search, chosen, "toy")
    return [members[0] for members in run_window(joined, scan.windows[0], scan, config).models]


def predict(model: bytes, table: EventTable) -> np.ndarray:
    booster = xgb.Booster(model_file=bytearray(model))
    return booster.inplace_predict(table.matrix(feature_names(2))).astype(np.float64)


def test_counts_are_those_of_the_data_and_efficiencies_those_of_the_rest_of_the_pool() -> None:
    config = config_of()
    shared, task = shared_of(config), task_of(config, 120.0)
    found = inject(task, shared)
    assert found.reason is None
    for one in found.selections:
        counted, signal = by_hand(config, shared, task, one.efficiency)
        assert one.n_obs == counted
        assert one.signal == pytest.approx(signal, rel=1e-12)
    assert [one.name for one in found.selections] == ["eff_0.1", "eff_0.02"]
    inclusive = inject(task_of(config, 0.0), shared).selections[0]
    assert (inclusive.name, inclusive.n_obs) == ("inclusive", task.window.in_signal(shared.search.table.mjj).sum())


def test_the_efficiency_and_with_it_the_limit_follow_what_is_injected() -> None:
    config = config_of()
    shared = shared_of(config)
    found = {strength: inject(task_of(config, strength), shared) for strength in (0.0, 40.0, 300.0)}
    efficiency = {strength: result.selections[-1].signal for strength, result in found.items()}
    assert efficiency[0.0] < 0.2
    assert efficiency[300.0] > 0.5
    assert found[300.0].selections[-1].expected[2] < 0.3 * found[0.0].selections[0].expected[2]


def test_limits_and_significance_are_those_of_the_workspace() -> None:
    config = config_of()
    one = inject(task_of(config, 200.0), shared_of(config)).selections[0]
    assert one.background is not None
    assert one.background_error is not None
    assert one.n_obs is not None
    net = one.signal * (1 - (one.absorbed or 0.0))
    observed = counting_workspace(
        Counting(one.n_obs, one.background, one.background_error), channel="c", measurement="m"
    )
    blind = counting_workspace(Counting(None, one.background, one.background_error), channel="c", measurement="m")
    asimov = Counting(one.background + 200.0 * net, one.background, one.background_error)
    assert one.observed == pytest.approx((upper_limit(observed).observed_events or 0.0) / net, rel=1e-3)
    np.testing.assert_allclose(one.expected, np.array(upper_limit(blind).expected_events) / net, rtol=1e-3)
    assert one.z == pytest.approx(discovery(observed).z, abs=2e-3)
    expected = discovery(counting_workspace(asimov, channel="c", measurement="m")).z
    assert one.expected_z == pytest.approx(expected, abs=5e-3)


def test_injections_are_counted_against_the_template_as_a_search_is() -> None:
    config = toy_config(
        learning={"method": "curtains"}, background={"strategy": "template"}, statistics={"calculator": "asymptotics"}
    )
    shared = shared_of(config)
    found = inject(replace(task_of(config, 200.0), method="curtains"), shared)
    whole = inject(replace(task_of(config, 0.0), method="curtains"), shared).selections[0]
    assert found.reason is None
    for one in found.selections:
        assert one.reason is None
        assert one.signal > 0.1
        assert one.background == pytest.approx((whole.background or 0.0) * one.efficiency, rel=0.3)
        assert one.expected is not None


def test_expected_limits_do_not_know_the_counts() -> None:
    """The same spectra outside the mask, blinded or not."""
    config = config_of()
    open_, blind = (inject(task_of(config, 100.0), shared_of(config, blinded=b)) for b in (False, True))
    for one, hidden in zip(open_.selections, blind.selections, strict=True):
        assert hidden.expected == one.expected
        assert hidden.n_obs is hidden.observed is hidden.z is None
        assert hidden.expected_z == one.expected_z


def test_counted_injections_are_a_search_of_data_with_signal() -> None:
    config = config_of()
    config = config.model_copy(
        update={"limits": config.limits.model_copy(update={"display_efficiencies": config.learning.efficiencies})}
    )
    shared = shared_of(config)
    task = task_of(config, 150.0, counted=True)
    found = inject(task, shared)
    chosen = sample_signal(
        shared.samples["toy"].tables["nominal"], 150.0, 0, purpose="toy", random_state=config.random_state
    )
    scan = RegionScan.from_config(config.scan)
    searched = run_window(add_signal(shared.search, chosen, "toy"), scan.windows[0], scan, config)
    for one, other in zip(found.selections, searched.selections, strict=True):
        assert other.discovery is not None
        assert one.n_obs == other.n_obs
        assert one.z == pytest.approx(other.discovery.z, abs=2e-3)
    assert found.selections[-1].z is not None
    assert found.selections[-1].z > 5


def test_variations_of_the_held_out_events_follow_the_nominal_ones() -> None:
    pool = pool_of(N_POOL)
    sample = SignalSample("toy", (), {"nominal": pool, "jmsUp": pool}, None, None, None, False, ())
    chosen = draw(200.0)
    rest = held_out(sample, chosen)
    assert [len(table) for table in rest.tables.values()] == [N_POOL - len(chosen)] * 2
    assert not np.isin(rest.tables["jmsUp"].event_id, chosen.event_id).any()


def test_a_window_without_events_is_a_reason_not_an_exception() -> None:
    config = config_of()
    shared = shared_of(config)
    empty = replace(shared.search, table=shared.search.table.select(shared.search.table.mjj > 4000))
    found = inject(task_of(config, 0.0), replace(shared, search=empty))
    assert not found.selections
    assert "3300-3700" in (found.reason or "")


def test_results_survive_being_written() -> None:
    config = config_of()
    found = inject(task_of(config, 80.0), shared_of(config))
    assert parse_json(InjectionResult, json.dumps(to_json(found), allow_nan=False)) == found
