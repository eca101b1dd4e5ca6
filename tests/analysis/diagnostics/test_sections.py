"""Features, jet masses and efficiency against m_jj of a window, against loops over its events."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.compute import Backend
from analysis.core.documents import parse_json, to_json
from analysis.diagnostics import ScoredWindow, diagnose_window, diagnose_windows
from analysis.diagnostics.features import features
from analysis.diagnostics.masses import masses, plane_pulls
from analysis.diagnostics.region_events import combine, event_folds, side_scales
from analysis.diagnostics.sections import MassesSection
from analysis.diagnostics.shapes import sculpting
from analysis.events.schema import FeatureSpec
from analysis.events.table import EventTable
from analysis.histograms.spectra import fill_spectrum
from analysis.learning import FoldTask, Nested, PassWeights
from analysis.learning.decorrelation import PercentileScaling
from analysis.methods import get_method
from analysis.regions import MassWindow
from analysis.search.blinding import blind_window
from analysis.search.classifiers import Classifier
from analysis.search.values import SearchData, SelectionResult, WindowResult
from analysis.validation.sculpting import sculpting as sculpting_of_events
from tests.builders.toy_tables import FIT_RANGE, WINDOW, dijet_masses, table_of

EDGES = np.arange(FIT_RANGE[0], FIT_RANGE[1] + 1, 100.0)
NAMES = ("inclusive", "eff_0.2", "eff_0.05")
FEATURES = ("x0", "x1")
NEIGHBOUR = MassWindow((4300.0, 4700.0), (4100.0, 4300.0), (4700.0, 4900.0), (4200.0, 4800.0), FIT_RANGE)


def with_masses(table: EventTable, m1: NDArray[Any], m2: NDArray[Any]) -> EventTable:
    """The table with two jet masses."""
    specs = (FeatureSpec("mj1", "$m_1$", "GeV", (80, 0.0, 800.0)), FeatureSpec("mj2", "$m_2$", "GeV", (50, 0.0, 500.0)))
    columns = {name: table.column(name) for name in table.table.column_names}
    return EventTable.from_columns(columns | {"mj1": m1, "mj2": m2}, (*table.features, *specs))


def events(count: int, seed: int = 1, **columns: Any) -> EventTable:
    """Events whose features do not depend on m_jj; some lack `x1`."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(count, 2)).astype(np.float32)
    X[::17, 1] = np.nan
    table = table_of(dijet_masses(count, rng), X, **columns)
    return with_masses(table, rng.exponential(120, count), rng.exponential(60, count))


def window_of(
    table: EventTable,
    passes: NDArray[Any],
    *,
    window: MassWindow = WINDOW,
    background: float | None = 500.0,
    classifier: Classifier | None = None,
) -> ScoredWindow:
    """A window with given pass weights, of which the first are 1."""
    weights = PassWeights((1.0, 0.2, 0.05), (1.0, 0.2, 0.05), passes.astype(float), np.zeros((1, 1, 3, 2)))
    spectrum = fill_spectrum(table, EDGES, weights)
    selections = tuple(
        SelectionResult(name, "cwola", FEATURES, efficiency, efficiency, 1.0, background=background)
        for name, efficiency in zip(NAMES, weights.efficiencies, strict=True)
    )
    result = WindowResult(window, EDGES, selections, spectrum, passes=passes)
    scores = np.random.default_rng(5).random(len(table)).astype(np.float32)
    return ScoredWindow(result, table, scores, classifier, None, 0)


def random_passes(count: int, *, votes: int = 1, seed: int = 2) -> NDArray[np.float64]:
    """(count, 3): nested selections that do not depend on anything; the mean of some votes."""
    rng = np.random.default_rng(seed)
    drawn = rng.random((count, votes, 1))
    return (drawn < np.array([1.0, 0.2, 0.05])).mean(axis=1)


def blinded(window: ScoredWindow) -> ScoredWindow:
    """The same while blinded: by the rules of the engine."""
    data = SearchData(window.table, blinded=True)
    mjj, mask = data.table.mjj, window.result.window.mask
    result = replace(window.result, passes=None)
    assert result.spectrum is not None
    hidden = result.spectrum.copy()
    hidden.view()[(EDGES[:-1] >= mask[0]) & (EDGES[1:] <= mask[1])] = np.zeros((1, 1, 1, 2))
    table = window.table.select((mjj < mask[0]) | (mjj >= mask[1]))
    return replace(window, table=table, scores=None, result=replace(result, spectrum=hidden))


def test_histograms_of_features_are_those_of_a_loop_over_events() -> None:
    table = events(400, weight=np.random.default_rng(3).uniform(0.5, 2, 400))
    passes = random_passes(400, votes=4)
    section = features(window_of(table, passes))
    assert section is not None
    names = [feature.name for feature in section.features]
    assert names == ["x0", "x1", "mj1", "mj2"]
    assert [feature.trained for feature in section.features] == [True, True, False, False]
    assert [len(feature.original.edges) for feature in section.features] == [21, 21, 61, 51]
    rows: list[dict[str, Any]] = table.table.to_pylist()
    inside = {"window": WINDOW.signal, "lower": WINDOW.lower, "upper": WINDOW.upper}
    for feature in section.features:
        original, edges = feature.original, feature.original.edges
        expected = {name: np.zeros((len(edges), 2)) for name in (*inside, *NAMES[1:])}
        for row, kept in zip(rows, passes, strict=True):
            value = row[feature.name]
            place = [i for i in range(len(edges) - 1) if edges[i] <= value < edges[i + 1]] or [-1]
            for name, (low, high) in inside.items():
                if low <= row["mjj"] < high:
                    expected[name][place[0]] += row["weight"], row["weight"] ** 2
                    for number in (1, 2) if name == "window" else ():
                        weight = row["weight"] * kept[number]
                        expected[NAMES[number]][place[0]] += weight, weight**2
        for name, histogram in {**original.regions, **original.selections}.items():
            np.testing.assert_allclose(histogram.values, expected[name][:-1, 0], atol=1e-9)
            np.testing.assert_allclose(histogram.variances, expected[name][:-1, 1], atol=1e-9)
            assert histogram.outside == pytest.approx(expected[name][-1, 0])
    assert all(feature.scaled is None for feature in section.features)


def classifier_of(table: EventTable, n_folds: int, *, nested: bool = False, scaled: bool = True) -> Classifier:
    """One with scalings that were learnt without each fold, and no models."""
    one = Classifier(
        WINDOW, FEATURES, (None,) * n_folds, (), NAMES, (1,), (1,), np.zeros((n_folds, 1, 1, 2)), 0, nested
    )  # type: ignore[arg-type]
    if not scaled:
        return one
    fold = event_folds(ScoredWindow(WindowResult(WINDOW, EDGES), table, None, None, None, 0), one)
    scaling = PercentileScaling.of_window(WINDOW, EDGES)
    return replace(one, scalings=tuple(scaling.fit(table.select(fold != k), FEATURES) for k in range(n_folds)))


@pytest.mark.parametrize("nested", [False, True])
def test_folds_are_those_of_the_training(nested: bool) -> None:
    table = events(2000)
    task = FoldTask(
        WINDOW,
        0,
        4,
        FEATURES,
        get_method("cwola"),
        None,
        0,
        Nested(2, 0.1, tuple(EDGES)) if nested else None,  # type: ignore[arg-type]
    )
    window = window_of(table, random_passes(2000))
    one = classifier_of(table, 4, nested=nested, scaled=False)
    np.testing.assert_array_equal(event_folds(window, one), task.folds(table))


def test_percentiles_are_those_of_the_fold_that_scores_the_event() -> None:
    table = events(3000)
    classifier = classifier_of(table, 3)
    window = window_of(table, random_passes(3000), classifier=classifier)
    section = features(window)
    assert section is not None
    fold = event_folds(window, classifier)
    expected = np.zeros(20)
    for row in np.flatnonzero(WINDOW.in_signal(table.mjj)):
        one = slice(row, row + 1)
        (rank,) = classifier.scalings[fold[row]].transform(table.mjj[one], table.matrix(FEATURES)[one])[:, 0]
        expected[int(rank * 20)] += 1
    scaled, lacking = section.features[0].scaled, section.features[1].scaled
    assert scaled is not None
    assert lacking is not None
    assert scaled.regions["window"].values == tuple(expected)
    assert scaled.regions["window"].outside == 0
    # ranks among nearly the same events are more uniform than independent numbers, for which this is 19 in the mean
    for region in scaled.regions.values():
        values = np.array(region.values)
        assert ((values - values.mean()) ** 2 / values.mean()).sum() < 15
    assert [feature.scaled is None for feature in section.features] == [False, False, True, True]
    assert lacking.regions["window"].outside == np.isnan(table.column("x1")[WINDOW.in_signal(table.mjj)]).sum()


def test_sidebands_predict_a_shape_that_changes_along_a_line_however_many_events_they_hold() -> None:
    # parts of the first of two bins: 0.25, 0.5 and 0.75
    counts = {3200.0: (100, 300), 3500.0: (500, 500), 3800.0: (60, 20)}
    mjj = np.concatenate([np.full(sum(pair), mass) for mass, pair in counts.items()])
    x = np.concatenate([np.repeat([-1.0, 1.0], pair) for pair in counts.values()])
    table = table_of(mjj, np.stack([x, x], axis=1).astype(np.float32))
    section = features(window_of(table, np.ones((len(mjj), 3))))
    assert section is not None
    test = section.features[0].original.difference
    assert test is not None
    assert test.ndof == 1
    assert test.chi2 == pytest.approx(0, abs=1e-9)
    lopsided = replace(WINDOW, lower=(2900.0, 3300.0))
    scales = side_scales(lopsided, 400, 80, 1000)
    # the centres are 400 below and 300 above that of the window
    assert scales == (pytest.approx(1000 * 3 / 7 / 400), pytest.approx(1000 * 4 / 7 / 80))
    lower, upper = (np.array(counts[mass], float) for mass in (3200.0, 3800.0))
    values, variances = combine((lower, lower), (upper, 2 * upper), (2.0, 3.0))
    assert values.tolist() == [380, 660]
    assert variances.tolist() == [4 * 100 + 9 * 120, 4 * 300 + 9 * 40]


def test_the_test_of_shapes_is_calibrated_where_window_and_sidebands_agree() -> None:
    p_values = []
    for seed in range(60):
        section = features(window_of(events(2500, seed), np.ones((2500, 3))))
        assert section is not None
        test = section.features[0].original.difference
        assert test is not None
        p_values.append(test.p_value)
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_planes_are_those_of_a_loop_over_events() -> None:
    table = events(600, weight=np.random.default_rng(3).uniform(0.5, 2, 600))
    passes = random_passes(600)
    window = window_of(table, passes)
    section = masses(window)
    assert section is not None
    assert window.scores is not None
    first, second = (np.array(edges) for edges in section.edges)
    sums: dict[str, NDArray[np.float64]] = {
        name: np.zeros((20, 20)) for name in ("window", "lower", "upper", "squares", "score", *NAMES[1:])
    }
    for row, kept, score in zip(table.table.to_pylist(), passes, window.scores.tolist(), strict=True):
        place = tuple(int(row[name] // (edges[1] - edges[0])) for name, edges in (("mj1", first), ("mj2", second)))
        if max(place) >= 20:
            continue
        for name, (low, high) in {"window": WINDOW.signal, "lower": WINDOW.lower, "upper": WINDOW.upper}.items():
            if low <= row["mjj"] < high:
                sums[name][place] += row["weight"]
        if WINDOW.signal[0] <= row["mjj"] < WINDOW.signal[1]:
            sums["score"][place] += row["weight"] * score
            for number in (1, 2):
                sums[NAMES[number]][place] += row["weight"] * kept[number]
    for name in ("window", "lower", "upper"):
        np.testing.assert_allclose(section.regions[name], sums[name], atol=1e-6)
    filled = sums["window"] > 0
    for name, found in (*section.passing.items(), ("score", section.score)):
        values = np.array(found, float)
        np.testing.assert_allclose(values[filled], (sums[name] / np.maximum(sums["window"], 1e-9))[filled], atol=1e-5)
        assert np.isnan(values[~filled]).all()
        assert np.array(found, object)[~filled].tolist() == [None] * (~filled).sum()
    sides = {"lower": WINDOW.in_lower, "upper": WINDOW.in_upper}
    totals = {name: table.weight[inside(table.mjj)].sum() for name, inside in sides.items()}
    expected = 500 / 2 * sum(sums[name] / totals[name] for name in totals)
    np.testing.assert_allclose(np.array(section.combined, float), expected, atol=1e-5)
    assert parse_json(MassesSection, json.dumps(to_json(section), allow_nan=False)) == section


def test_pulls_have_unit_width_where_the_sidebands_predict_the_window() -> None:
    rng = np.random.default_rng(4)
    count = 60_000
    mjj = rng.uniform(3100, 3900, count)
    table = with_masses(table_of(mjj, np.zeros((count, 2))), rng.uniform(0, 200, count), rng.uniform(0, 200, count))
    section = masses(window_of(table, np.ones((count, 3)), background=count / 2))
    assert section is not None
    pulls = np.array(section.pull, float)
    # 400 cells: the standard deviation is known to 3.5 %
    assert pulls.std() == pytest.approx(1, abs=0.12)
    assert pulls.mean() == pytest.approx(0, abs=0.15)


def test_pulls_of_empty_cells_take_one_event_as_the_error_of_nothing() -> None:
    observed, expected = np.array([[0.0, 4.0, 12.0]]), np.array([[0.0, 0.0, 9.0]])
    pulls = plane_pulls(observed, 1.0, expected, np.array([[0.25, 0.25, 7.0]]))
    np.testing.assert_allclose(pulls, [[np.nan, 8.0, 3 / 4]])


def test_without_jet_masses_or_a_fit_there_is_less_to_show() -> None:
    table = events(500)
    plain = table_of(table.mjj, table.matrix(FEATURES))
    assert masses(window_of(plain, np.ones((500, 3)))) is None
    section = masses(window_of(table, np.ones((500, 3)), background=None))
    assert section is not None
    assert section.combined is None
    assert section.pull is None
    assert section.expected is None


@pytest.mark.parametrize(("votes", "weight"), [(1, 1.0), (4, 1.0), (1, 0.3)])
def test_the_test_of_sculpting_from_the_spectrum_is_that_of_the_events_beside_the_mask(
    votes: int, weight: float
) -> None:
    table = events(6000, weight=np.full(6000, weight))
    passes = random_passes(6000, votes=votes)
    passes[WINDOW.in_signal(table.mjj), 1:] = 1.0
    window = window_of(table, passes)
    section = sculpting(window)
    assert section is not None
    beside = (table.mjj < WINDOW.mask[0]) | (table.mjj >= WINDOW.mask[1])
    weights = PassWeights((1.0, 0.2, 0.05), (1.0, 0.2, 0.05), passes[beside], np.zeros((1, 1, 3, 2)))
    for found, expected in zip(
        section.selections, sculpting_of_events(table.select(beside), weights, EDGES), strict=True
    ):
        assert found.name == expected.selection
        assert found.average == pytest.approx(expected.average)
        assert found.chi2 == pytest.approx(expected.chi2)
        assert found.ndof == expected.ndof > 2
        assert found.p_value == pytest.approx(expected.p_value)


def test_efficiencies_are_joined_beside_and_in_the_mask_apart() -> None:
    table, passes = events(6000), random_passes(6000)
    section = sculpting(window_of(table, passes))
    assert section is not None
    for index, selection in enumerate(section.selections, 1):
        edges = selection.edges
        assert set(edges) <= set(EDGES)
        assert {FIT_RANGE[0], *WINDOW.mask, FIT_RANGE[1]} <= set(edges)
        for low, high, efficiency in zip(edges[:-1], edges[1:], selection.efficiency, strict=True):
            inside = (table.mjj >= low) & (table.mjj < high)
            assert efficiency == pytest.approx(passes[inside, index].mean())
            assert selection.average * inside.sum() >= 10
    loose, tight = (selection.edges for selection in section.selections)
    assert len(loose) > len(tight)


def test_blinding_hides_the_window_and_changes_nothing_beside_it() -> None:
    table, passes = events(6000), random_passes(6000)
    shown = window_of(table, passes)
    seen, hidden = diagnose_window(shown), diagnose_window(blinded(shown))
    assert (seen.blinded, hidden.blinded) == (False, True)
    assert seen.sculpting is not None
    assert hidden.sculpting is not None
    for one, other in zip(seen.sculpting.selections, hidden.sculpting.selections, strict=True):
        assert (one.average, one.chi2, one.ndof, one.p_value) == (other.average, other.chi2, other.ndof, other.p_value)
        mask = other.edges.index(WINDOW.mask[0])
        assert other.edges[mask + 1] == WINDOW.mask[1]
        assert other.efficiency[mask] is None
        assert sum(value is None for value in other.efficiency) == 1
    assert hidden.features is not None
    assert set(hidden.features.features[0].original.regions) == {"lower", "upper"}
    assert hidden.features.features[0].original.selections == {}
    assert hidden.masses is not None
    assert hidden.masses.passing == {}
    assert hidden.masses.score is hidden.masses.pull is None


def results_of(table: EventTable, passes: NDArray[Any]) -> list[WindowResult]:
    return [window_of(table, passes, window=window).result for window in (WINDOW, NEIGHBOUR)]


@pytest.mark.parametrize("alone", [False, True], ids=["shown", "blinded alone"])
def test_blinded_sections_hold_nothing_of_the_events_in_any_mask(serial: Backend, *, alone: bool) -> None:
    """Events that lie in the mask of a neighbour are in the spectrum of a window, also where it was blinded alone."""
    table, passes = events(6000), random_passes(6000)
    low, high = np.array([WINDOW.mask, NEIGHBOUR.mask]).T
    masked = np.logical_or.reduce([(table.mjj >= a) & (table.mjj < b) for a, b in zip(low, high, strict=True)])
    fewer = ~masked | (np.random.default_rng(8).random(6000) < 0.2)
    found = [
        diagnose_windows(
            SearchData(table.select(kept), blinded=True),
            [
                blind_window(one, ()) if alone else replace(one, passes=None)
                for one in results_of(table.select(kept), passes[kept])
            ],
            {},
            {},
            serial,
            random_state=0,
        )
        for kept in (np.ones(6000, bool), fewer)
    ]
    assert found[0] == found[1]
    assert [diagnosed.window for diagnosed in found[0]] == [WINDOW, NEIGHBOUR]
    assert all(one is not None for one in (found[0][0].features, found[0][0].masses, found[0][0].sculpting))


def test_windows_that_failed_are_left_out_and_workers_make_no_difference(
    serial: Backend, two_processes: Backend
) -> None:
    table, passes = events(1500), random_passes(1500)
    first, second = results_of(table, passes)
    failed = WindowResult(NEIGHBOUR, EDGES, reason="no events")
    scores = {one.window.name: np.ones(1500, np.float32) for one in (first, second)}
    found = [
        diagnose_windows(SearchData(table), results, scores, {}, backend, random_state=0)
        for backend, results in ((serial, [first, second]), (two_processes, [first, second]), (serial, [first, failed]))
    ]
    assert found[0] == found[1]
    assert found[2] == found[0][:1]
