"""Signal-free samples: what sources make of the events, and what closure is found, against closed forms and toys."""

from __future__ import annotations

from math import cosh
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.background import FUNCTIONS
from analysis.compute import Backend, Serial
from analysis.config import SearchConfig
from analysis.errors import ConfigError
from analysis.events.table import EventTable
from analysis.learning import PassWeights
from analysis.regions import MassWindow, RegionScan
from analysis.search.evaluation import evaluate_window
from analysis.search.values import SearchData
from analysis.validation import NotTestable, Pools, Setting, SignalFreeSample, find_sources, plan_draws, run_draws
from analysis.validation.closure import closure_document, copy_factor, has_copies, sensitivity
from analysis.validation.rapidity import band_edge, place_in_band
from analysis.validation.resampling import choose_parents, exact_null, up_down_sampling
from analysis.validation.samples import fit_counts, smooth_fit
from analysis.validation.simulation import simulation_sample, unweighted
from analysis.validation.verdicts import NOT_VALID, VALID, corrections, window_verdict
from tests.builders.toy_tables import WINDOW, dijet_masses, feature_names, table_of, toy_config, toy_table

EDGES = np.arange(3000.0, 6501.0, 100.0)
DRIFT = ("rapidity", "simulation", "up-down-sampling")


def setting(window: MassWindow = WINDOW, *, simulation: bool = False, draw: int = 0, **sections: Any) -> Setting:
    config = toy_config(**sections)
    functions = tuple(FUNCTIONS[name] for name in config.background.functions)
    return Setting(window, EDGES, config, functions, simulation, draw)


def outside_mask(table: EventTable) -> EventTable:
    return table.select((table.mjj < WINDOW.mask[0]) | (table.mjj >= WINDOW.mask[1]))


def records(pools: Pools, config: SearchConfig, *sources: str, backend: Backend | None = None) -> list[dict[str, Any]]:
    scan = RegionScan.from_config(config.scan)
    draws = plan_draws(scan, config, find_sources(sources), pt_hat_min=None)
    found = dict(run_draws(lambda: pools, draws, backend or Serial()))
    return [found[index] for index in range(len(draws))]


def test_an_efficiency_that_is_higher_in_the_window_is_the_non_closure() -> None:
    # One event in ten passes, in the window thirteen in a hundred: without a bump in m_jj, n / b - 1 is 0.3.
    table, searched = toy_table(200_000, random_state=1), toy_table(50_000, random_state=2)
    u = np.random.default_rng(3).random(len(table))
    inside = WINDOW.in_signal(table.mjj)
    values = np.stack([np.ones(len(table)), u < np.where(inside, 0.13, 0.1)], axis=1).astype(float)
    passes = PassWeights((1.0, 0.1), (1.0, 0.1), values, np.full((1, 1, 2, 2), -np.inf))
    where = setting(statistics={"calculator": "asymptotics"})
    result = evaluate_window(SearchData(table), WINDOW, EDGES, passes, (), where.config, where.functions)
    inclusive, selected = closure_document(result, table, where, smooth_fit(searched, where))
    error = selected["own_variance"] ** 0.5
    assert selected["delta"] == pytest.approx(0.3, abs=3 * error)
    assert 0.01 < error < 0.03
    assert selected["delta"] > 10 * error
    assert abs(inclusive["delta"]) < 3 * inclusive["own_variance"] ** 0.5
    assert selected["shared_variance"] == inclusive["shared_variance"] == 0
    # The search has a quarter of the events, of which a tenth passes; its window was not looked at.
    expected = 0.1 * WINDOW.in_signal(searched.mjj).sum()
    assert selected["search_background"] == pytest.approx(expected, rel=0.05)
    assert selected["efficiency_non_closure"][0] == pytest.approx(0.3, abs=3 * selected["efficiency_non_closure"][1])


def test_variance_of_copies_is_that_of_many_toys() -> None:
    rng = np.random.default_rng(5)
    n_parents, copies, efficiency = 300, 1.7, 0.3
    counts, factors = [], []
    for _ in range(3000):
        passing = rng.random(n_parents) < efficiency
        parent = np.repeat(np.arange(n_parents), rng.poisson(copies, n_parents)).astype(np.uint64)
        passes = passing[parent.astype(int)].astype(float)
        counts.append(passes.sum())
        factors.append(copy_factor(parent, passes))
    ratio = np.var(counts) / np.mean(counts)
    assert ratio == pytest.approx(1 + (1 - efficiency) * copies, rel=0.08)
    assert np.mean(factors) == pytest.approx(ratio, rel=0.08)


def test_an_event_more_changes_the_background_as_the_covariance_says() -> None:
    where = setting(background={"functions": ("dijet3",)})
    counts = np.histogram(toy_table(50_000, random_state=9).mjj, EDGES)[0].astype(float)
    fit = fit_counts(counts, where)
    change = sensitivity(fit, EDGES, WINDOW)
    # Scaled counts scale the background, and inside the mask nothing is fitted.
    assert (change * fit.expected(EDGES)[0]).sum() == pytest.approx(1, rel=1e-3)
    assert (change[2:8] == 0).all()
    for index in (0, 9, 14, 25):
        more = counts + np.where(np.arange(len(counts)) == index, 10.0, 0.0)
        before, after = (one.expected(np.array(WINDOW.signal))[0][0] for one in (fit, fit_counts(more, where)))
        assert np.log(after / before) / 10 == pytest.approx(change[index], rel=0.05, abs=2e-7)


def test_what_is_not_copied_or_passes_whole_is_poisson() -> None:
    parent = np.array([1, 2, 3, 3, 3], np.uint64)
    assert copy_factor(parent[:3], np.array([1.0, 0.0, 1.0])) == 1
    assert copy_factor(parent, np.ones(5)) == 1
    assert has_copies(parent)
    assert not has_copies(parent[:3])
    assert not has_copies(parent[:0])
    # By bin, copies in different bins do not fluctuate together.
    passes = np.array([0.0, 0.0, 1.0, 1.0, 1.0])
    assert copy_factor(parent, passes) == pytest.approx(1 + 0.4 * 2)
    assert copy_factor(parent, passes, np.array([0, 0, 0, 1, 2])) == 1


@pytest.fixture(scope="module")
def parents() -> NDArray[np.float64]:
    masses = dijet_masses(300_000, np.random.default_rng(11))
    return masses[(masses < WINDOW.mask[0]) | (masses >= WINDOW.mask[1])]


def test_a_linear_trend_keeps_its_mean_everywhere(parents: NDArray[np.float64]) -> None:
    rng = np.random.default_rng(12)
    masses = dijet_masses(300_000, rng)
    rows = choose_parents(parents, masses, WINDOW, 0.08, rng)
    assert rows is not None
    taken = parents[rows]
    assert not ((taken >= WINDOW.mask[0]) & (taken < WINDOW.mask[1])).any()
    for low, high in ((3000, 3100), (3100, 3250), (3250, 3400), (3400, 3600), (3600, 3750), (3750, 3950), (4500, 4700)):
        chosen = (masses >= low) & (masses < high)
        difference = taken[chosen] - masses[chosen]
        assert abs(difference.mean()) < 4 * difference.std() / chosen.sum() ** 0.5 + 0.5


def test_a_narrow_structure_is_washed_out(parents: NDArray[np.float64]) -> None:
    rng = np.random.default_rng(13)
    masses = dijet_masses(200_000, rng)
    rows = choose_parents(parents, masses, WINDOW, 0.08, rng)
    assert rows is not None
    tagged = (abs(parents - 4300) < 40)[rows]
    peak = tagged[abs(masses - 4300) < 40].mean()
    # Triangular kernel of half-width 344 GeV: at its centre it holds 80 GeV x 1 / 344 GeV, less a little at the sides.
    assert peak == pytest.approx(80 / 344, rel=0.15)
    assert tagged[abs(masses - 4300) > 400].sum() == 0


def test_a_side_without_events_has_no_sample(parents: NDArray[np.float64]) -> None:
    rng = np.random.default_rng(14)
    few = parents[parents < WINDOW.mask[0]]
    assert choose_parents(few, np.array([3500.0]), WINDOW, 0.08, rng) is None


def test_up_down_sampling_has_a_smooth_spectrum_of_full_size_and_the_folds_of_its_parents() -> None:
    table = toy_table(20_000, 1500, random_state=4)
    sample = up_down_sampling(Pools(table), setting())
    assert isinstance(sample, SignalFreeSample)
    drawn = sample.data.table
    beside = outside_mask(table)
    assert set(drawn.event_id) <= set(beside.event_id)
    assert len(set(drawn.event_id)) < 0.53 * len(beside)
    # The hidden signal is not in it: the window holds what the smooth fit expects, 20 000 events in all.
    background = toy_table(20_000, random_state=4)
    assert len(drawn) == pytest.approx(20_000, abs=4 * 20_000**0.5)
    in_window = WINDOW.in_signal(drawn.mjj).sum()
    assert in_window == pytest.approx(WINDOW.in_signal(background.mjj).sum(), rel=0.06)
    other = up_down_sampling(Pools(table), setting(draw=1))
    assert isinstance(other, SignalFreeSample)
    shared = len(set(drawn.event_id) & set(other.data.table.event_id)) / len(set(drawn.event_id))
    assert shared == pytest.approx(0.5, abs=0.05)


def test_exact_null_permutes_features_without_replacement_and_forgets_the_mass() -> None:
    rng = np.random.default_rng(6)
    mjj = dijet_masses(20_000, rng)
    table = table_of(mjj, np.stack([mjj / 1000, rng.normal(size=len(mjj))], axis=1))
    sample = exact_null(Pools(table), setting())
    assert isinstance(sample, SignalFreeSample)
    drawn, beside = sample.data.table, outside_mask(table)
    assert np.array_equal(np.sort(drawn.column("x0")), np.sort(beside.column("x0")))
    correlation = stats.spearmanr(drawn.mjj, drawn.column("x0")).statistic
    assert abs(correlation) < 4 / len(drawn) ** 0.5
    assert stats.spearmanr(beside.mjj, beside.column("x0")).statistic > 0.99


def test_z_of_the_exact_null_is_a_unit_gaussian() -> None:
    config = toy_config(validation={"draws": 16}, learning={"n_folds": 2, "efficiencies": (0.1,)})
    found = records(Pools(toy_table(7_000, random_state=8)), config, "exact-null")
    z = np.array([[one["z"] for one in record["selections"]] for record in found])
    assert z.shape == (16, 2)
    for column in z.T:
        assert abs(column.mean()) < 3.5 / 16**0.5
        assert stats.chi2.ppf(1e-3, 15) < 15 * column.var(ddof=1) < stats.chi2.ppf(1 - 1e-3, 15)


@pytest.mark.parametrize("source", ["rapidity", "simulation", "up-down-sampling", "exact-null"])
def test_the_events_inside_the_mask_do_not_matter(source: str) -> None:
    config = toy_config(validation={"draws": 1}, learning={"n_folds": 2, "efficiencies": (0.1,)})
    table, simulation, band = (toy_table(5_000, random_state=seed) for seed in (21, 22, 23))
    found = [
        records(Pools(one, band, (("qcd", simulation),)), config, source)
        for one in (table, outside_mask(table), _crowded(table))
    ]
    assert found[0][0]["status"] == "tested"
    assert found[1:] == [found[0], found[0]]
    verdicts = [window_verdict("3300-3700", one, DRIFT, config.validation) for one in found]
    assert verdicts[1:] == [verdicts[0], verdicts[0]]
    assert source == "exact-null" or "shift" in str(verdicts[0].combined)


def _crowded(table: EventTable) -> EventTable:
    """The same events, and as many once more inside the mask, with a signal."""
    extra = toy_table(5_000, 600, random_state=99)
    return EventTable.joined([table, extra.select((extra.mjj >= WINDOW.mask[0]) & (extra.mjj < WINDOW.mask[1]))])


def test_the_band_is_smooth_only_above_its_own_kinematic_edge() -> None:
    config = SearchConfig()
    assert band_edge(config, 1200.0) == pytest.approx(2 * 1200 * cosh(1.0))
    assert band_edge(config, None) is None
    stated = SearchConfig.model_validate({"scan": {"smooth_edge": 3000.0}, "validation": {"abs_dy_max": 1.8}})
    assert band_edge(stated, 1200.0) == pytest.approx(3000 * cosh(0.9) / cosh(0.6))


def test_windows_of_the_band_start_at_the_first_smooth_bin() -> None:
    scan = RegionScan.from_config(SearchConfig().scan)
    narrow = SearchConfig.model_validate({"validation": {"abs_dy_max": 1.8}})  # smooth from 3439.4 GeV
    placed = [place_in_band(window, scan, narrow, 1200.0) for window in scan.windows]
    assert [window.name for window in scan.windows] == [
        "3300-3700", "3500-3900", "3700-4100", "3900-4300", "4100-4500",
    ]  # fmt: skip
    assert isinstance(placed[0], NotTestable)
    assert "3439 GeV" in placed[0].reason
    assert "lower sideband starts at 3100 GeV" in placed[0].reason
    assert isinstance(placed[1], NotTestable)
    fitted = [one.fit_range for one in placed if isinstance(one, MassWindow)]
    assert fitted == [(3500.0, 6500.0)] * 3
    # A mask that begins where the smooth part does leaves no bin to fit.
    tight = MassWindow((3700.0, 4100.0), (3500.0, 3700.0), (4100.0, 4300.0), (3500.0, 4200.0), (3000.0, 6500.0))
    found = place_in_band(tight, scan, narrow, 1200.0)
    assert isinstance(found, NotTestable)
    assert "no fit bin below the mask" in found.reason
    assert place_in_band(scan.windows[0], scan, narrow, None) == scan.windows[0]


def test_weighted_simulation_is_thinned_out_in_proportion() -> None:
    table = toy_table(20_000, random_state=31)
    weight = np.where(np.arange(len(table)) % 2 == 0, 0.2, 0.05)
    kept, note = unweighted(table_of(table.mjj, table.matrix(("x0", "x1")), weight=weight), 7)
    assert (kept.weight == 1).all()
    even = kept.column("event") % 2 == 0
    assert even.sum() == 10_000
    assert (~even).sum() == pytest.approx(2500, abs=4 * (10_000 * 0.25 * 0.75) ** 0.5)
    assert note.startswith(f"{len(kept)} of 20000 events")


def test_simulation_that_plays_data_and_simulation_shares_no_event() -> None:
    one, two = toy_table(4_000, random_state=32), toy_table(3_000, random_state=33)
    halves = simulation_sample(Pools(one, simulation=(("qcd", one),)), setting(simulation=True))
    assert isinstance(halves, SignalFreeSample)
    assert halves.data.simulation is not None
    data, simulation = set(halves.data.table.event_id), set(halves.data.simulation.event_id)
    assert not data & simulation
    assert len(data | simulation) == len(one)
    assert "half of qcd" in halves.notes[0]
    pair = simulation_sample(Pools(one, simulation=(("a", one), ("b", two))), setting(simulation=True))
    assert isinstance(pair, SignalFreeSample)
    assert pair.data.simulation is not None
    assert (len(pair.data.table), len(pair.data.simulation)) == (4_000, 3_000)


def test_simulation_that_cannot_play_data() -> None:
    table = toy_table(500, random_state=34)
    negative = table_of(table.mjj, table.matrix(("x0", "x1")), weight=np.where(np.arange(500) == 3, -1.0, 1.0))
    for simulation, word in (((), "no dataset of kind background"), ((("qcd", negative),), "negative weight")):
        found = simulation_sample(Pools(table, simulation=simulation), setting())
        assert isinstance(found, NotTestable)
        assert word in found.reason


def test_methods_that_need_the_truth_cannot_be_tested() -> None:
    config = toy_config(learning={"method": "idealised"})
    (record,) = records(Pools(toy_table(500, random_state=35)), config, "simulation")
    assert record["status"] == "not testable"
    assert "signal events" in record["reason"]


def test_unknown_source_names_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"unknown source 'side'.*rapidity, simulation, up-down-sampling, exact-null"):
        find_sources(["side"])


@pytest.mark.thorough
def test_two_processes_give_the_records_of_one(two_processes: Backend) -> None:
    config = toy_config(validation={"draws": 2}, learning={"n_folds": 2})
    pools = Pools(toy_table(6_000, random_state=41), simulation=(("qcd", toy_table(5_000, random_state=42)),))
    sources = ("simulation", "up-down-sampling")
    assert records(pools, config, *sources, backend=two_processes) == records(pools, config, *sources)


@pytest.mark.thorough
def test_a_drift_makes_cwola_not_valid_and_leaves_salad_valid() -> None:
    """The statement of the shift test of arXiv:2009.02205, on toys: simulation depends on m_jj as the data do."""

    names = feature_names(9)

    def drifting(seed: int) -> EventTable:
        rng = np.random.default_rng(seed)
        mjj = dijet_masses(24_000, rng)
        X = rng.normal(size=(len(mjj), len(names)))
        X[:, 0] += 0.2 * np.exp(-(((mjj - 3500) / 250) ** 2))
        return table_of(mjj, X)

    pools = Pools(drifting(91), drifting(92), (("one", drifting(93)), ("two", drifting(94))), drifting(95))
    classifier = {"n_estimators": 25, "max_depth": 3, "min_child_weight": 100.0}
    verdicts = {}
    for method in ("cwola", "salad"):
        learning = {"features": names, "n_folds": 2, "efficiencies": (0.2,), "classifier": classifier}
        config = toy_config(learning={"method": method, **learning})
        found = records(pools, config, "rapidity", "simulation")
        verdicts[method] = window_verdict("3300-3700", found, DRIFT, config.validation)
    assert verdicts["cwola"].verdict == NOT_VALID
    assert "shift of z" in verdicts["cwola"].reason
    assert verdicts["salad"].verdict == VALID
    measured = {method: corrections([one])["3300-3700"]["eff_0.2"] for method, one in verdicts.items()}
    assert measured["cwola"].delta > 4 * measured["cwola"].error
    assert abs(measured["salad"].delta) < 3 * measured["salad"].error
