"""Methods with normalizing flows: templates, their part of the contract of every method, and the missing extra."""

from __future__ import annotations

import pickle
import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from analysis.compute import Backend, Serial
from analysis.config import ClassifierConfig
from analysis.errors import ConfigError, TableError, WindowError
from analysis.events.table import EventTable
from analysis.learning import (
    BoostedTrees,
    ContrastMethod,
    FoldTask,
    Method,
    ModelAtMass,
    Samples,
    TrainingSet,
    run_fold,
    score_table,
)
from analysis.methods import ANODE, CATHODE, RANODE, CurtainsFlow, LaCATHODE
from analysis.methods.with_flows.lacathode import LatentModel
from analysis.search.requirements import require_known
from tests.builders.flows import LIGHT
from tests.builders.spies import SpyLearner
from tests.builders.toy_tables import WINDOW, table_of, toy_config, toy_table

pytestmark = pytest.mark.thorough

needs_flows = pytest.mark.skipif(find_spec("flowjax") is None, reason="needs the extra `flows`")

NAMES = ("x0", "x1")
CATHODE_LIGHT, CURTAINS_LIGHT = CATHODE(LIGHT, oversampling=2), CurtainsFlow(LIGHT, oversampling=2)
ANODE_LIGHT, R_ANODE_LIGHT = ANODE(LIGHT, n_masses=2), RANODE(LIGHT, n_masses=2, n_splits=2)
LACATHODE_LIGHT = LaCATHODE(LIGHT, oversampling=2)
TREES = BoostedTrees(ClassifierConfig(n_estimators=4, max_depth=3, min_child_weight=5.0), 2)

with_template = pytest.mark.parametrize("method", [CATHODE_LIGHT, CURTAINS_LIGHT], ids=lambda method: method.name)
every_method = pytest.mark.parametrize(
    "method",
    [CATHODE_LIGHT, CURTAINS_LIGHT, ANODE_LIGHT, R_ANODE_LIGHT, LACATHODE_LIGHT],
    ids=lambda method: method.name,
)


def drifting(
    n_background: int = 3000, n_signal: int = 300, *, slope: float = 0.01, random_state: int = 1, **columns: Any
) -> EventTable:
    """Toy whose first feature follows m_jj, by `slope` per GeV."""
    toy = toy_table(n_background, n_signal, random_state=random_state)
    X = toy.matrix(NAMES).astype(float)
    X[:, 0] += slope * (toy.mjj - 3500)
    return table_of(toy.mjj, X, **{"event_id": toy.event_id, "dataset": toy.column("dataset")} | columns)


def contrast(method: ContrastMethod, data: EventTable) -> TrainingSet:
    return method.contrast(Samples(data), WINDOW, NAMES, random_state=np.random.SeedSequence(1))


def template_of(training: TrainingSet) -> TrainingSet:
    return training.rows(training.y == 0)


def sorted_rows(training: TrainingSet) -> list[np.ndarray]:
    order = np.lexsort((*training.X.T, training.y, training.group))
    return [part[order] for part in (training.group, training.y, training.sample_weight, training.X)]


@pytest.mark.parametrize("method", ["cathode", "curtains_flow", "anode", "r_anode", "lacathode"])
def test_a_missing_extra_is_one_error_before_any_work(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flowjax", None)
    with pytest.raises(ConfigError) as caught:
        require_known(toy_config(learning={"method": method}))
    assert f"method {method} needs the extra `flows` (" in str(caught.value)
    assert str(caught.value).endswith("): pip install 'cwola-dijet[flows]'.")


@needs_flows
@with_template
def test_classes_are_balanced_and_the_template_follows_the_drift(method: ContrastMethod) -> None:
    data = drifting(12_000, 0)
    training = contrast(method, data)
    template = template_of(training)
    balance = [training.sample_weight[training.y == k].sum() for k in (0, 1)]
    assert balance[0] == pytest.approx(balance[1])
    inside = data.matrix(NAMES)[WINDOW.in_signal(data.mjj)]
    beside = data.matrix(NAMES)[WINDOW.in_lower(data.mjj) | WINDOW.in_upper(data.mjj)]
    mean = np.average(template.X, axis=0, weights=template.sample_weight)
    width = np.sqrt(np.cov(template.X.T, aweights=template.sample_weight).diagonal())
    np.testing.assert_allclose(mean, inside.mean(axis=0), atol=0.08)
    np.testing.assert_allclose(width, inside.std(axis=0), atol=0.08)
    assert abs(beside[:, 0].mean() - inside[:, 0].mean()) > 0.3
    assert beside[:, 0].std() > 1.3 * inside[:, 0].std()


@needs_flows
def test_drawn_events_are_nobody() -> None:
    data = drifting()
    template = template_of(contrast(CATHODE_LIGHT, data))
    assert len(template.group) == 2 * WINDOW.in_signal(data.mjj).sum()
    assert len(set(template.group.tolist())) == len(template.group)
    assert not set(template.group.tolist()) & set(data.event_id.tolist())


@needs_flows
def test_moved_events_have_the_identity_of_their_source() -> None:
    data = drifting()
    template = template_of(contrast(CURTAINS_LIGHT, data))
    beside = data.event_id[WINDOW.in_lower(data.mjj) | WINDOW.in_upper(data.mjj)]
    identities, copies = np.unique(template.group, return_counts=True)
    np.testing.assert_array_equal(identities, np.sort(beside))
    assert (copies == 2).all()


@needs_flows
@with_template
def test_the_window_does_not_shape_its_template(method: ContrastMethod) -> None:
    data = drifting()
    inside = WINDOW.in_signal(data.mjj)
    mjj, X = data.mjj.copy(), data.matrix(NAMES).copy()
    mjj[inside], X[inside] = np.linspace(3300, 3400, inside.sum()), 7.0
    one, two = (template_of(contrast(method, one)) for one in (data, table_of(mjj, X, event_id=data.event_id)))
    np.testing.assert_array_equal(one.X, two.X)
    np.testing.assert_array_equal(one.group, two.group)


@needs_flows
@every_method
def test_order_of_events_does_not_matter(method: Method) -> None:
    data = drifting(weight=np.where(np.arange(3300) % 7, 1.3, -0.4))
    shuffled = EventTable(data.table.take(np.random.default_rng(0).permutation(len(data))), data.features)
    if not isinstance(method, ContrastMethod):
        seed = np.random.SeedSequence(1)
        one, two = (method.fit(Samples(table), WINDOW, NAMES, TREES, seed).members for table in (data, shuffled))
        assert one == two
        return
    for first, second in zip(*(sorted_rows(contrast(method, table)) for table in (data, shuffled)), strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-12)


@needs_flows
@every_method
def test_nothing_that_scores_a_fold_depends_on_its_events(method: Method) -> None:
    data, task = drifting(), FoldTask(WINDOW, 1, 3, NAMES, method, TREES, 3)
    members = run_fold(task, Samples(data)).model.members
    assert members
    assert run_fold(task, Samples(data)).model.members == members
    for held_out in (True, False):
        rows = (task.folds(data) == task.fold) == held_out
        X = data.matrix(NAMES).copy()
        X[rows] = np.random.default_rng(5).normal(3.0, 2.0, size=(rows.sum(), 2))
        changed = run_fold(task, Samples(table_of(data.mjj, X, event_id=data.event_id)))
        assert (changed.model.members == members) == held_out


@needs_flows
@pytest.mark.slow
@every_method
def test_models_do_not_depend_on_where_they_are_trained(
    method: Method, two_processes: Backend, two_dask_workers: Backend
) -> None:
    samples, tasks = Samples(drifting()), FoldTask(WINDOW, 0, 2, NAMES, method, TREES, 3).every_fold
    found = []
    for backend in (Serial(), two_processes, two_dask_workers):
        folds = dict(backend.map(run_fold, tasks, shared=samples))
        found.append([folds[number].model.members for number in range(len(tasks))])
        assert all(members for members in found[-1])
    assert found[0] == found[1] == found[2]


@needs_flows
@with_template
def test_no_event_is_scored_by_a_model_that_saw_it_or_a_copy(method: ContrastMethod) -> None:
    toy = drifting()
    copies = toy.event_id[np.random.default_rng(7).permutation(len(toy)) // 2]
    data = table_of(toy.mjj, toy.matrix(NAMES), event_id=copies)
    task = FoldTask(WINDOW, 0, 3, NAMES, method, SpyLearner(), 3)
    result = run_fold(task, Samples(data))
    scored = set(copies[result.rows].tolist())
    assert len(scored) > 300
    assert not scored & result.model.seen


@needs_flows
@with_template
def test_undefined_features_keep_their_fraction_in_the_template(method: ContrastMethod) -> None:
    data = drifting(6000)
    X = data.matrix(NAMES).copy()
    X[np.arange(len(X)) % 5 == 0, 1] = np.nan
    template = template_of(contrast(method, table_of(data.mjj, X, event_id=data.event_id)))
    undefined = np.isnan(template.X).any(axis=1)
    share = template.sample_weight[undefined].sum() / template.sample_weight.sum()
    beside = WINDOW.in_lower(data.mjj) | WINDOW.in_upper(data.mjj)
    assert share == pytest.approx(np.isnan(X[beside, 1]).mean(), rel=1e-6)
    assert set(template.group[undefined].tolist()) <= set(data.event_id[beside].tolist())


@needs_flows
@with_template
def test_negative_weights_keep_the_balance(method: ContrastMethod) -> None:
    data = drifting(weight=np.where(np.arange(3300) % 5, 1.0, -0.5))
    training = contrast(method, data)
    balance = [training.sample_weight[training.y == k].sum() for k in (0, 1)]
    assert balance[0] == pytest.approx(balance[1])
    assert np.isfinite(training.X).all()


@needs_flows
@every_method
def test_too_few_events_are_one_error_with_the_remedy(method: Method) -> None:
    data = drifting(150, 0)
    with pytest.raises(WindowError, match=r"events with all of x0, x1; flows need 50\. Widen the window"):
        method.fit(Samples(data), WINDOW, NAMES, TREES, np.random.SeedSequence(1))


@needs_flows
@pytest.mark.parametrize("method", [ANODE_LIGHT, R_ANODE_LIGHT], ids=lambda method: method.name)
def test_ratios_order_signal_above_background_and_travel_to_workers(method: Method) -> None:
    data = drifting(10_000, 600)
    model = method.fit(Samples(data), WINDOW, NAMES, TREES, np.random.SeedSequence(1))
    X, signal = data.matrix(NAMES), data.column("dataset") == "signal"
    inside = WINDOW.in_signal(data.mjj)
    scores = model.predict(X)
    above, below = scores[inside & signal, 0], scores[inside & ~signal, 0]
    assert (above[:, None] > below[None, :500]).mean() > 0.85
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X[:50]), scores[:50])
    assert model.predict(np.array([[np.nan, 0.0]], np.float32)).tolist() == [[0.0]]
    assert model.predict(np.empty((0, 2), np.float32)).shape == (0, 1)


def test_a_score_that_needs_the_mass_is_not_given_without_it() -> None:
    assert not isinstance(ANODE_LIGHT, ModelAtMass)
    with pytest.raises(TableError, match="need the m_jj of events"):
        LatentModel(None, None).predict(np.zeros((1, 2), np.float32))  # type: ignore[arg-type]


@needs_flows
def test_scores_in_the_latent_space_do_not_sculpt_the_spectrum_outside_the_window() -> None:
    trees = BoostedTrees(ClassifierConfig(n_estimators=20, max_depth=3, min_child_weight=5.0), 2)
    data, fresh = (drifting(8000, 200, slope=2e-3, random_state=seed) for seed in (1, 2))
    signal, inside = fresh.column("dataset") == "signal", WINDOW.in_signal(fresh.mjj)
    efficiencies, errors = {}, []
    for method in (CATHODE_LIGHT, LACATHODE_LIGHT):
        model = method.fit(Samples(data), WINDOW, NAMES, trees, np.random.SeedSequence(1))
        score = score_table(model, fresh, NAMES).mean(axis=1)
        passes = score > np.quantile(score[inside & ~signal], 0.9)
        parts = [fresh.mjj < 3300, (fresh.mjj >= 3700) & (fresh.mjj < 4200), fresh.mjj >= 4200]
        efficiencies[method.name] = [passes[part & ~signal].mean() for part in parts]
        errors = [0.3 / np.sqrt((part & ~signal).sum()) for part in parts]
        assert passes[inside & signal].mean() > 0.85
    below, above, far = efficiencies["cathode"]
    assert far > above > 1.5 * 0.1 > 0.1 > 1.5 * below
    # At 10 % the error of an efficiency is 0.3 over the root of the events; the flow and the cut have their own.
    assert (np.abs(np.array(efficiencies["lacathode"]) - 0.1) < 3 * np.hypot(errors, 0.005)).all()


@needs_flows
def test_events_without_a_feature_have_one_score_in_the_latent_space() -> None:
    data = drifting()
    X = data.matrix(NAMES).copy()
    X[np.arange(len(X)) % 5 == 0, 1] = np.nan
    table = table_of(data.mjj, X, event_id=data.event_id)
    model = LACATHODE_LIGHT.fit(Samples(table), WINDOW, NAMES, TREES, np.random.SeedSequence(1))
    scores = score_table(model, table, NAMES)
    assert np.isfinite(scores).all()
    assert len(np.unique(scores[::5, 0])) == 1
    assert len(np.unique(scores[1::5, 0])) > 10
    np.testing.assert_array_equal(score_table(model.pick(1), table, NAMES), scores[:, 1:])
    order = np.random.default_rng(3).permutation(len(X))
    np.testing.assert_allclose(model.predict_at(X[order], data.mjj[order]), scores[order], rtol=1e-6)
