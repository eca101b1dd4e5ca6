"""What every anomaly method must do, whatever it trains on."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.compute import Backend, Serial
from analysis.config import ClassifierConfig, TuningConfig
from analysis.errors import ConfigError, TableError
from analysis.events.identity import event_hash
from analysis.events.table import EventTable
from analysis.learning import (
    BoostedTrees,
    FittedEnsemble,
    FoldTask,
    Method,
    Nested,
    OptionalMethod,
    Samples,
    TemplateMethod,
    TrainingSet,
    TunedTrees,
    collect_folds,
    run_fold,
)
from analysis.learning.decorrelation import PercentileScaling, QuantileScaling
from analysis.learning.groups import Combination, FeatureGroup, GroupedLearner
from analysis.methods import LDA, METHODS, FromContrast, get_method, uses_sidebands
from analysis.search.values import SearchData
from tests.builders.spies import Ledger, SpyLearner
from tests.builders.toy_tables import WINDOW, table_of, toy_table

NAMES = ("x0", "x1")

FLOWS = ("cathode", "lacathode", "curtains_flow", "anode", "r_anode")
"""They need an extra, and seconds to compile: tests/analysis/methods/test_flows.py has their part of this contract."""

WITHOUT_FLOWS = {name: method for name, method in METHODS.items() if name not in FLOWS}
every_method = pytest.mark.parametrize("method", WITHOUT_FLOWS.values(), ids=list(WITHOUT_FLOWS))
WITH_CONTRAST = {name: method for name, method in WITHOUT_FLOWS.items() if isinstance(method, FromContrast)}
every_contrast = pytest.mark.parametrize("method", WITH_CONTRAST.values(), ids=list(WITH_CONTRAST))


@pytest.fixture(autouse=True)
def installed(request: pytest.FixtureRequest) -> None:
    method = getattr(request.node, "callspec", None) and request.node.callspec.params.get("method")
    if isinstance(method, OptionalMethod):
        pytest.importorskip("sklearn", reason="needs scikit-learn: pip install 'cwola-dijet[unsupervised]'")


def simulated(n_events: int, *, random_state: int, n_features: int = 2) -> EventTable:
    """Background events with identities that no event of a toy has."""
    toy = toy_table(n_events, random_state=random_state, n_features=n_features)
    identity = event_hash(2, np.arange(n_events))
    return table_of(toy.mjj, toy.matrix(toy.feature_names), event_id=identity)


def samples_of(method: Method, data: EventTable, *, random_state: int = 50) -> Samples:
    """What the method asks for: simulation and truth only where it says so."""
    simulation = simulated(4000, random_state=random_state, n_features=len(data.features))
    return SearchData(data, signal_datasets=("signal",), simulation=simulation).samples(method)


def toy_samples(method: Method, *, n_features: int = 2) -> Samples:
    return samples_of(method, toy_table(3000, 300, random_state=1, n_features=n_features))


def contrast(method: Method, samples: Samples, names: Sequence[str] = NAMES) -> TrainingSet:
    return method.contrast(samples, WINDOW, names, random_state=np.random.SeedSequence(1))


def shuffled(samples: Samples) -> Samples:
    rng = np.random.default_rng(0)
    tables = [
        table and EventTable(table.table.take(rng.permutation(len(table))), table.features)
        for table in (samples.data, samples.simulation)
    ]
    return replace(samples, data=tables[0], simulation=tables[1])


def rows_by_event(training: TrainingSet) -> list[np.ndarray]:
    """Columns sorted by event, so that training sets compare without regard to the order of rows."""
    order = np.lexsort((training.y, training.group))
    return [part[order] for part in (training.group, training.y, training.sample_weight, training.X)]


@pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
def test_name_is_the_key(method: Method) -> None:
    assert METHODS[method.name] is method
    assert get_method(method.name) is method


def test_unknown_method_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"unknown method 'cwolla' in learning\.method\. Methods: .*cwola"):
        get_method("cwolla")


@every_contrast
def test_training_sets_are_fit_for_training(method: Method) -> None:
    samples = toy_samples(method)
    table = samples.data
    training = contrast(method, samples)
    assert training.sample_weight.mean() == pytest.approx(1)
    assert training.sample_weight.min() > 0
    assert set(training.y.tolist()) == {0, 1}
    data = np.isin(training.group, table.event_id)
    assert set(training.group[data & (training.y == 1)]) <= set(table.event_id[WINDOW.in_signal(table.mjj)])
    balance = [training.sample_weight[training.y == k].sum() for k in (0, 1)]
    assert balance[0] == pytest.approx(balance[1])


@every_contrast
def test_methods_that_compare_sidebands_as_they_are_say_so(method: Method) -> None:
    samples = toy_samples(method)
    beside = samples.data.select(WINDOW.in_lower(samples.data.mjj) | WINDOW.in_upper(samples.data.mjj))
    known = dict(zip(beside.event_id.tolist(), beside.matrix(NAMES)[:, 0].tolist(), strict=True))
    training = contrast(method, samples)
    pairs = zip(training.group.tolist(), training.X[:, 0].tolist(), strict=True)
    assert any(known.get(event) == value for event, value in pairs) == uses_sidebands(method)


@every_contrast
def test_training_sets_hold_given_events_alone(method: Method) -> None:
    samples = toy_samples(method)
    given = [table.event_id for table in (samples.data, samples.simulation) if table is not None]
    assert set(contrast(method, samples).group) <= set(np.concatenate(given))


@every_contrast
def test_order_of_events_does_not_matter(method: Method) -> None:
    samples = toy_samples(method)
    for first, second in zip(
        rows_by_event(contrast(method, samples)),
        rows_by_event(contrast(method, shuffled(samples))),
        strict=True,
    ):
        np.testing.assert_allclose(second, first, rtol=1e-12)


@every_contrast
def test_only_the_named_features_are_used(method: Method) -> None:
    samples = toy_samples(method, n_features=3)
    both = contrast(method, samples, ("x2", "x0"))
    alone = contrast(method, samples, ("x2",))
    assert both.X.shape[1] == 2
    np.testing.assert_array_equal(both.X[:, :1], alone.X)
    for forbidden in ("mjj", "event_id", "weight", "dataset"):
        with pytest.raises(TableError, match=f"'{forbidden}' may not be trained on"):
            contrast(method, samples, ("x0", forbidden))


@every_contrast
def test_what_a_method_needs_is_what_it_says(method: Method) -> None:
    samples = toy_samples(method)
    for needed, without in (
        (method.needs_simulation, replace(samples, simulation=None)),
        (method.uses_truth, replace(samples, signal_datasets=None)),
    ):
        if needed:
            with pytest.raises(TableError, match="this method"):
                contrast(method, without)
        else:
            assert without == samples


@every_contrast
def test_no_event_is_scored_by_a_model_that_saw_it(method: Method) -> None:
    rng = np.random.default_rng(7)
    toy = toy_table(4000, random_state=2)
    copies = toy.event_id[rng.permutation(4000) // 2]  # every event twice, with different masses: injection, bootstrap
    origin = np.where(copies % np.uint64(9) == 0, "signal", "background").astype(object)
    table = table_of(toy.mjj, toy.matrix(NAMES), event_id=copies, dataset=origin)
    samples = samples_of(method, table)
    task = FoldTask(WINDOW, 0, 3, NAMES, method, SpyLearner(), 3)
    results = [run_fold(replace(task, fold=fold), samples) for fold in range(3)]
    crossfit = collect_folds(results, table, task)
    assert np.isfinite(crossfit.scores.values).all()
    for fold, model in enumerate(crossfit.models):
        scored = set(table.event_id[crossfit.scores.fold == fold].tolist())
        assert len(scored) > 300
        assert len(model.seen) > 300
        assert not scored & model.seen


LIGHT = ClassifierConfig(n_estimators=4, max_depth=3, min_child_weight=5.0)
TUNING = TuningConfig(criterion="argos", grid={"n_estimators": (2, 4), "max_depth": (1, 3)}, n_folds=2, n_members=2)


def grouped(trees: BoostedTrees, combine: Combination) -> GroupedLearner:
    """Trees with the first feature, which tells the row, and with both."""
    groups = tuple(FeatureGroup(columns, trees, replace(trees, n_members=1)) for columns in ((0,), (0, 1)))
    return GroupedLearner(groups, combine, trees.n_members, FittedEnsemble)


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "early stopping": {"learner": BoostedTrees(LIGHT.model_copy(update={"early_stopping_rounds": 2}), 2)},
    "tuned": {"learner": TunedTrees(BoostedTrees(LIGHT, 2), TUNING, (0.5, 0.1))},
    "bagged": {"learner": BoostedTrees(LIGHT, 2, bagged_features=1)},
    "groups": {"learner": grouped(BoostedTrees(LIGHT, 2), "rank")},
    "nested groups": {
        "learner": grouped(BoostedTrees(LIGHT, 2), "likelihood"),
        "nested": Nested(2, 0.1, tuple(np.arange(3000.0, 6501.0, 100.0))),
    },
    "nested": {"nested": Nested(2, 0.1, tuple(np.arange(3000.0, 6501.0, 100.0)))},
    "sequential": {"sequential": True},
    "scaled": {"decorrelation": PercentileScaling.of_window(WINDOW, np.arange(3000.0, 6501.0, 100.0))},
    "quantiles": {"decorrelation": QuantileScaling.of_window(WINDOW, 3)},
}
every_variant = pytest.mark.parametrize("variant", VARIANTS)
WITHOUT_LABELS = ("plain", "sequential", "scaled", "quantiles")
unscaled = pytest.mark.parametrize("variant", [name for name in VARIANTS if name not in ("scaled", "quantiles")])


def task_of(method: Method, variant: str) -> FoldTask:
    if isinstance(method, LDA):
        method = replace(method, n_events=300)
    if hasattr(method, "reweighter"):
        method = replace(method, reweighter=BoostedTrees(LIGHT, 1))  # type: ignore[type-var]
    task = FoldTask(WINDOW, 1, 3, NAMES, method, BoostedTrees(LIGHT, 2), 3)
    return replace(task, template=isinstance(method, TemplateMethod), **VARIANTS[variant])


def spoiled(table: EventTable, rows: NDArray[np.bool_]) -> EventTable:
    """Another event in some rows: features, weight and origin, while identity and mass stay."""
    rng = np.random.default_rng(5)
    X, weight, origin = table.matrix(NAMES).copy(), table.weight.copy(), table.column("dataset").copy()
    X[rows] = rng.normal(3.0, 2.0, size=(rows.sum(), 2))
    weight[rows] *= rng.uniform(0.5, 4.0, rows.sum())
    origin[rows] = rng.permutation(np.array(["signal", "background"], object)[rng.integers(0, 2, rows.sum())])
    return table_of(table.mjj, X, event_id=table.event_id, weight=weight, dataset=origin)


@every_variant
@every_method
def test_nothing_that_scores_a_fold_depends_on_its_events(method: Method, variant: str) -> None:
    """Models, reweighters, early stopping, scaling and choice of candidates: all of it is in the stored members."""
    if not isinstance(method, FromContrast) and variant not in WITHOUT_LABELS:
        pytest.skip("methods without labels have no trees, and nothing to choose by")
    samples, task = toy_samples(method), task_of(method, variant)
    members = run_fold(task, samples).model.members
    for held_out in (True, False):
        tables = [
            None if table is None else spoiled(table, (task.folds(table) == task.fold) == held_out)
            for table in (samples.data, samples.simulation)
        ]
        assert tables[0] is not None
        changed = run_fold(task, replace(samples, data=tables[0], simulation=tables[1]))
        assert (changed.model.members == members) == held_out


@unscaled  # scaling hides the row numbers; the test above has it
@every_contrast
def test_no_boosted_tree_scores_an_event_that_it_saw(
    method: Method, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inner reweighters and candidates as well; data and simulation hold their row number as a feature."""
    samples = toy_samples(method)
    tables, events, start = [], {}, 0
    for table in (samples.data, samples.simulation):
        if table is None:
            tables.append(None)
            continue
        X = table.matrix(NAMES).copy()
        X[:, 0] = np.arange(start, start + len(table))
        start += len(table)
        events |= dict(zip(X[:, 0].tolist(), table.event_id.tolist(), strict=True))
        tables.append(table_of(table.mjj, X, event_id=table.event_id, dataset=table.column("dataset")))
    assert tables[0] is not None
    samples = replace(samples, data=tables[0], simulation=tables[1])
    ledger = Ledger(events)
    ledger.watch(monkeypatch)
    task = task_of(method, variant)
    for one in task.every_fold:
        run_fold(one, samples)
    assert len(ledger.scored) >= 2 * len(task.every_fold)
    for scored, seen in ledger.scored:
        assert len(seen) > 100
        assert scored
        assert not scored & seen


@pytest.mark.thorough
@every_method
def test_models_do_not_depend_on_where_they_are_trained(
    method: Method, two_processes: Backend, two_dask_workers: Backend
) -> None:
    samples, tasks = toy_samples(method), task_of(method, "plain").every_fold
    found = []
    for backend in (Serial(), two_processes, two_dask_workers):
        folds = dict(backend.map(run_fold, tasks, shared=samples))
        found.append([folds[number].model.members for number in range(len(tasks))])
        assert all(members for members in found[-1])
    assert found[0] == found[1] == found[2]


@every_method
def test_methods_travel_to_workers(method: Method) -> None:
    samples = toy_samples(method)
    models = [
        one.fit(samples, WINDOW, NAMES, BoostedTrees(LIGHT, 2), np.random.SeedSequence(1))
        for one in (method, pickle.loads(pickle.dumps(method)))
    ]
    assert models[0].members == models[1].members
