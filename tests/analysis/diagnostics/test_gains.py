from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm

from analysis.compute import Serial
from analysis.config import ClassifierConfig
from analysis.diagnostics.gains import Benchmark, scan_features, scan_simulation_weight, separations
from analysis.errors import TableError
from analysis.events.identity import event_hash
from analysis.events.table import EventTable
from analysis.learning import BoostedTrees, FoldTask, Samples, assign_folds
from analysis.methods import CWoLa, Supervised
from tests.builders.spies import SpyLearner
from tests.builders.toy_tables import WINDOW, feature_names, table_of
from tests.studies.gaussian_example import (
    MEANS,
    SIGNAL_FRACTION,
    SIGNAL_MEAN,
    SIGNAL_VARIANCE,
    auc_and_sic,
    gaussian,
    odds_at_optimum,
)

TREES = BoostedTrees(ClassifierConfig(n_estimators=50, max_depth=3, min_child_weight=40.0), 1)
WINDOW_MASS, LOWER_MASS, UPPER_MASS = 3500.0, 3200.0, 3800.0


def table(number: int, *parts: tuple[float, Any, str]) -> EventTable:
    """Events of a mass, of features and of a dataset; tables of different numbers share no event."""
    mjj = np.concatenate([np.full(len(X), mass) for mass, X, _ in parts])
    dataset = np.concatenate([np.full(len(X), name, object) for _, X, name in parts])
    X = np.concatenate([X for _, X, _ in parts]).astype(np.float32)
    return table_of(mjj, X, dataset=dataset, event_id=event_hash(number, np.arange(len(mjj))))


def pairwise_auc(high: Any, low: Any, high_weight: Any, low_weight: Any) -> float:
    above = (high[:, None] > low) + 0.5 * (high[:, None] == low)
    return float(high_weight @ above @ low_weight / high_weight.sum() / low_weight.sum())


def weighted_benchmark() -> Benchmark:
    rng = np.random.default_rng(8)
    data = table(
        1,
        (WINDOW_MASS, rng.normal(0.0, 1, (400, 1)), "background"),
        (LOWER_MASS, rng.normal(-1.0, 1, (300, 1)), "background"),
        (UPPER_MASS, rng.normal(0.5, 1, (60, 1)), "background"),
        (5000.0, rng.normal(9.0, 1, (100, 1)), "background"),
        (WINDOW_MASS, rng.normal(7.0, 1, (50, 1)), "signal"),
    )
    held_out = table(
        2, (WINDOW_MASS, rng.normal(1.0, 1, (200, 1)), "signal"), (LOWER_MASS, rng.normal(-5.0, 1, (90, 1)), "signal")
    )
    data, held_out = (with_weight(part, rng.uniform(0.2, 2.0, len(part))) for part in (data, held_out))
    return Benchmark(Samples(data, signal_datasets=("signal",)), held_out)


def with_weight(events: EventTable, weight: Any) -> EventTable:
    X = events.matrix(events.feature_names)
    return table_of(events.mjj, X, dataset=events.column("dataset"), event_id=events.event_id, weight=weight)


def test_curves_are_those_of_all_pairs_of_events_fold_by_fold():
    benchmark = weighted_benchmark()
    data, held_out = benchmark.samples.data, benchmark.held_out
    found = separations([FoldTask(WINDOW, 0, 3, ("x0",), CWoLa(), SpyLearner(), 4)], benchmark, Serial())[0]
    fold = assign_folds(data.event_id, 3, random_state=4)
    x, mjj, weight = data.column("x0"), data.mjj, data.weight
    background = data.column("dataset") == "background"
    tested = held_out.mjj == WINDOW_MASS
    aucs, flat = [], []
    for k in range(3):
        inside, lower, upper = (
            background & (fold == k) & (mjj == mass) for mass in (WINDOW_MASS, LOWER_MASS, UPPER_MASS)
        )
        signal = held_out.column("x0")[tested], held_out.weight[tested]
        aucs.append(pairwise_auc(signal[0], x[inside], signal[1], weight[inside]))
        flat += [pairwise_auc(x[inside], x[side], weight[inside], weight[side]) for side in (lower, upper)]
    assert_allclose(found.signal.auc, np.mean(aucs), atol=1e-6)
    # Each sideband is one half, though the lower one has five times the events.
    assert_allclose(found.sculpting.auc, np.mean(flat), atol=1e-6)


def test_each_feature_gives_what_gaussians_give_in_closed_form():
    shift = np.array([1.2, 0.6, 0.0])
    rng = np.random.default_rng(3)
    data = table(
        1,
        (WINDOW_MASS, rng.normal(size=(12_000, 3)), "background"),
        (LOWER_MASS, rng.normal(size=(2000, 3)), "background"),
        (UPPER_MASS, rng.normal(size=(2000, 3)), "background"),
        (WINDOW_MASS, rng.normal(size=(4000, 3)) + shift, "signal"),
    )
    held_out = table(2, (WINDOW_MASS, rng.normal(size=(20_000, 3)) + shift, "signal"))
    benchmark = Benchmark(Samples(data, signal_datasets=("signal",)), held_out)
    task = FoldTask(WINDOW, 0, 2, feature_names(3), Supervised(), TREES, 1)
    found = scan_features(task, benchmark, Serial())

    def exact(*features: int) -> float:
        return float(norm.cdf(np.linalg.norm(shift[list(features)]) / 2**0.5))

    # Errors of the areas are below 0.004; the trees fall short of the optimum by less than 0.01.
    assert found.together.signal.auc == pytest.approx(exact(0, 1, 2), abs=0.012)
    others = {0: (1, 2), 1: (0, 2), 2: (0, 1)}
    for index, name in enumerate(task.features):
        assert found.alone[name].signal.auc == pytest.approx(exact(index), abs=0.012)
        assert found.without[name].signal.auc == pytest.approx(exact(*others[index]), abs=0.012)
        assert found.alone[name].sculpting.auc == pytest.approx(0.5, abs=0.015)
    # The feature that means nothing costs nothing.
    assert found.without["x2"].signal.auc - found.together.signal.auc == pytest.approx(0, abs=0.006)
    eps_b = 0.1
    assert found.alone["x0"].signal.sic(eps_b) == pytest.approx(
        norm.cdf(norm.ppf(eps_b) + shift[0]) / eps_b**0.5, rel=0.05
    )


def test_a_single_feature_leaves_nothing_to_leave_out():
    benchmark = weighted_benchmark()
    found = scan_features(FoldTask(WINDOW, 0, 2, ("x0",), CWoLa(), SpyLearner(), 4), benchmark, Serial())
    assert found.without == {}
    assert found.alone["x0"].signal.auc == found.together.signal.auc


def gaussian_benchmark(n_events: int = 80_000) -> Benchmark:
    """The example of arXiv:2009.02205, eq. 3.1-3.3."""
    rng = np.random.default_rng(12)
    n_signal = round(n_events * SIGNAL_FRACTION / (1 - SIGNAL_FRACTION))
    hidden, held_out = (rng.normal(SIGNAL_MEAN, SIGNAL_VARIANCE**0.5, (n, 2)) for n in (n_signal, 20_000))

    def background(kind: str) -> list[tuple[float, Any, str]]:
        window, side = (rng.normal(MEANS[f"{kind}_{place}"], 1.0, (n_events, 2)) for place in ("window", "side"))
        lower, upper = np.array_split(side, 2)
        return [
            (WINDOW_MASS, window, "background"),
            (LOWER_MASS, lower, "background"),
            (UPPER_MASS, upper, "background"),
        ]

    data = table(1, *background("data"), (WINDOW_MASS, hidden, "signal"))
    samples = Samples(data, table(2, *background("sim")), ("signal",))
    return Benchmark(samples, table(3, (WINDOW_MASS, held_out, "signal")))


def sculpting_at_optimum(loss: str) -> float:
    """Area of window against sidebands, by the integral over the densities of both."""
    score = odds_at_optimum(loss).ravel()
    window, side = (gaussian(MEANS[name]).ravel() for name in ("data_window", "data_side"))
    order = np.argsort(score)
    below = np.cumsum(side[order]) - side[order] / 2
    return float(window[order] @ below / window.sum() / side.sum())


def test_the_scan_of_lambda_follows_the_population_optimum():
    weights = (0.0, 1.0, 1.5)
    few = ClassifierConfig(n_estimators=40, learning_rate=0.15, max_depth=3, min_child_weight=100.0, max_bin=64)
    task = FoldTask(WINDOW, 0, 2, feature_names(2), CWoLa(), BoostedTrees(few, 1), 1)
    found = scan_simulation_weight(task, weights, gaussian_benchmark(), Serial())
    assert tuple(found) == weights
    for weight, separation in found.items():
        loss = f"SA-CWoLa {weight:g}"
        assert separation.signal.auc == pytest.approx(auc_and_sic(odds_at_optimum(loss))[0], abs=0.02), loss
        assert separation.sculpting.auc == pytest.approx(sculpting_at_optimum(loss), abs=0.015), loss
    # Published and integrated elsewhere: 0.129 and 0.938, and CWoLa tells unit Gaussians at a distance of 1 apart.
    assert found[0.0].signal.auc == pytest.approx(0.129, abs=0.01)
    assert found[1.5].signal.auc == pytest.approx(0.938, abs=0.02)
    assert found[0.0].sculpting.auc == pytest.approx(norm.cdf(2**-0.5), abs=0.01)


def test_worker_processes_give_the_same_curves(two_processes):
    benchmark = weighted_benchmark()
    tasks = [FoldTask(WINDOW, 0, 2, ("x0",), method, TREES, 7) for method in (Supervised(), CWoLa())]
    parallel = separations(tasks, benchmark, two_processes)
    for one, other in zip(parallel, separations(tasks, benchmark, Serial()), strict=True):
        for kind in ("signal", "sculpting"):
            np.testing.assert_array_equal(getattr(one, kind).signal, getattr(other, kind).signal)
            np.testing.assert_array_equal(getattr(one, kind).background, getattr(other, kind).background)


def test_signal_that_was_trained_on_measures_nothing():
    samples = weighted_benchmark().samples
    injected = samples.data.select(samples.is_signal())
    with pytest.raises(TableError, match="50 of 50 held-out signal events are among the data"):
        Benchmark(samples, injected)


def test_real_data_are_refused():
    benchmark = weighted_benchmark()
    with pytest.raises(TableError, match="truth"):
        replace(benchmark, samples=replace(benchmark.samples, signal_datasets=None))


def test_an_empty_sideband_is_named():
    benchmark = weighted_benchmark()
    data = benchmark.samples.data
    without_upper = replace(benchmark.samples, data=data.select(data.mjj != UPPER_MASS))
    task = FoldTask(WINDOW, 0, 2, ("x0",), Supervised(), SpyLearner(), 4)
    with pytest.raises(TableError, match=r"3300-3700 GeV: no background of fold 0 in one of the sidebands"):
        separations([task], replace(benchmark, samples=without_upper), Serial())
