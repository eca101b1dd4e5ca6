"""Methods without labels: scores against closed forms, weights, undefined features, and models of blinded results."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import KDTree

from analysis.compute import Backend
from analysis.errors import ConfigError, TableError, WindowError
from analysis.events.table import EventTable
from analysis.learning import (
    FoldTask,
    Samples,
    choose_working_points,
    collect_folds,
    run_fold,
)
from analysis.methods import LDA, METHODS, PCA, Autoencoder, NearestNeighbours, Unlabelled, find_storage
from analysis.methods.without_labels.base import Scaling
from analysis.methods.without_labels.lda import find_topics
from analysis.regions import RegionScan
from analysis.search.requirements import require_known
from analysis.search.values import SearchData
from analysis.search.window import attempt_fold, fold_tasks, run_window
from tests.builders.toy_tables import WINDOW, feature_names, table_of, toy_config, toy_table

NEEDS_SKLEARN = "needs scikit-learn: pip install 'cwola-dijet[unsupervised]'"
ALL = [
    replace(method, n_events=500) if isinstance(method, LDA) else method
    for method in METHODS.values()
    if isinstance(method, Unlabelled)
]
every = pytest.mark.parametrize("method", ALL, ids=[method.name for method in ALL])


@pytest.fixture(autouse=True)
def installed(request: pytest.FixtureRequest) -> None:
    params = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    if isinstance(params.get("method"), Autoencoder):
        pytest.importorskip("sklearn", reason=NEEDS_SKLEARN)


@dataclass(frozen=True)
class Members:
    """Stands in for the learner, of which only the number of members counts."""

    n_members: int = 2

    def fit(self, *_: Any, **__: Any) -> Any:
        raise AssertionError


def trained(method: Unlabelled, table: EventTable, seed: int = 1, n_members: int = 2) -> Any:
    names = table.feature_names
    return method.fit(Samples(table), WINDOW, names, Members(n_members), np.random.SeedSequence(seed))


def in_window(X: NDArray[Any], **columns: Any) -> EventTable:
    return table_of(np.full(len(X), 3500.0), X.astype(np.float32), **columns)


def correlated(n: int, seed: int = 2) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, 4)) @ rng.normal(size=(4, 4)) + 3).astype(np.float32)


def stored(member: bytes) -> dict[str, NDArray[Any]]:
    with np.load(io.BytesIO(member), allow_pickle=False) as arrays:
        return dict(arrays)


def test_the_residual_of_pca_is_that_of_a_singular_value_decomposition() -> None:
    X, other = correlated(500), correlated(50, 3)
    model = trained(PCA(), in_window(X))
    z, w = ((rows - X.mean(axis=0)) / X.std(axis=0) for rows in (X, other))
    leading = np.linalg.svd(z, full_matrices=False)[2][:2]
    expected = np.linalg.norm(w - w @ leading.T @ leading, axis=1)
    np.testing.assert_allclose(model.predict(other)[:, 0], expected, rtol=1e-4)


def test_pca_counts_an_event_of_weight_three_as_three() -> None:
    X, times = correlated(300), np.random.default_rng(1).integers(1, 4, 300)
    weighted = trained(PCA(), in_window(X, weight=times.astype(float)))
    repeated = trained(PCA(), in_window(np.repeat(X, times, axis=0)))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-4)


def test_nearest_neighbours_agree_with_all_distances() -> None:
    X, other = correlated(400), correlated(60, 3)
    model = trained(NearestNeighbours(n_neighbours=7), in_window(X))
    z = (other - X.mean(axis=0)) / X.std(axis=0)
    for member, scores in zip(model.members, model.predict(other).T, strict=True):
        events = stored(member)["events"]
        distance = np.sort(np.linalg.norm(z[:, None] - events[None], axis=2), axis=1)
        np.testing.assert_allclose(scores, distance[:, :7].mean(axis=1), rtol=1e-4)


def test_nearest_neighbours_hold_training_events_drawn_by_weight() -> None:
    X = correlated(4000)
    weight = np.where(np.arange(4000) < 1000, 3.0, 1.0)
    (member,) = trained(NearestNeighbours(), in_window(X, weight=weight), n_members=1).members
    arrays = stored(member)
    distance, drawn = KDTree((X - arrays["centre"]) / arrays["width"]).query(arrays["events"])
    assert distance.max() < 1e-5
    assert len(drawn) == 4000
    assert abs((drawn < 1000).mean() - 0.5) < 4 * 0.5 / 4000**0.5


def corpus(n: int, share: float, seed: int) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[Any]]:
    """Documents of thirty words of one of two topics, the second one in a fraction of them."""
    rng = np.random.default_rng(seed)
    topics = rng.dirichlet(np.full(20, 0.5), 2)
    rare = rng.random(n) < share
    return np.array([rng.multinomial(30, topics[int(one)]) for one in rare]), rare, topics


@pytest.mark.parametrize("seed", [4, 7])
def test_lda_recovers_the_topics_of_a_corpus(seed: int) -> None:
    documents, rare, truth = corpus(3000, 0.15, seed)
    topics, shares = find_topics(documents.astype(float), 0.5, np.random.default_rng(0))
    order = np.argsort(shares)[::-1]
    assert shares.sum() == pytest.approx(1)
    np.testing.assert_allclose(topics[order], truth, atol=0.03)
    ratio = documents @ np.log(topics[order][1] / topics[order][0])
    assert ((ratio > 0) == rare).mean() > 0.98


def test_topics_are_those_of_scikit_learn_where_it_can_find_them() -> None:
    """Its prior is the same for both topics, so it is here."""
    decomposition = pytest.importorskip("sklearn.decomposition", reason=NEEDS_SKLEARN)
    documents = corpus(400, 0.4, 5)[0]
    topics, shares = find_topics(documents.astype(float), 0.5, np.random.default_rng(0))
    other = decomposition.LatentDirichletAllocation(2, max_iter=30, learning_method="batch", random_state=0)
    their_shares = other.fit_transform(documents).mean(axis=0)
    theirs = other.components_ / other.components_.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(topics[np.argsort(shares)], theirs[np.argsort(their_shares)], atol=1e-3)


def test_lda_scores_declusterings_with_the_likelihood_ratio_of_the_rarer_topic() -> None:
    documents, rare, truth = corpus(3000, 0.1, 4)
    method, names = LDA(), tuple(f"lund_{k}" for k in range(20))
    member = method.train(documents.astype(float), np.ones(3000), names, 3)
    scores = method.score(member, documents.astype(float))
    ratio = documents @ np.log(truth[1] / truth[0])
    assert np.corrcoef(scores, ratio)[0, 1] > 0.98
    assert scores[rare].min() > np.quantile(scores[~rare], 0.99)
    assert method.notes(names) == ()


def test_lda_says_that_other_features_make_a_caricature() -> None:
    (note,) = LDA().notes(("lund_0", "tau21_j1", "mj1_over_mjj"))
    assert "caricature of the published method" in note
    assert "tau21_j1, mj1_over_mjj" in note
    assert PCA().notes(("tau21_j1",)) == ()


def test_the_autoencoder_learns_a_curved_surface() -> None:
    pytest.importorskip("sklearn", reason=NEEDS_SKLEARN)
    rng = np.random.default_rng(6)
    a, b = rng.uniform(-1, 1, (2, 4000))
    on = np.stack([a, b, a**2, a * b], axis=1)
    off = on[:500].copy()
    off[:, 2:] = rng.permutation(off[:, 2:])
    model = trained(Autoencoder(), in_window(on), n_members=1)
    assert np.median(model.predict(off.astype(np.float32))) > 2 * np.median(model.predict(on.astype(np.float32)))


def test_the_autoencoder_weights_its_loss() -> None:
    pytest.importorskip("sklearn", reason=NEEDS_SKLEARN)
    X = np.concatenate([correlated(1500, 2), correlated(1500, 8)])
    first = np.arange(3000) < 1500
    ratios = []
    for heavy in (first, ~first):
        scores = trained(Autoencoder(), in_window(X, weight=np.where(heavy, 1.0, 1e-3)), n_members=1).predict(X)
        ratios.append(scores[first].mean() / scores[~first].mean())
    assert ratios[0] < 0.8 * ratios[1]


@every
def test_members_differ_by_their_seed_and_are_the_same_again(method: Unlabelled) -> None:
    table = in_window(correlated(600))
    model, again, other = (trained(method, table, seed) for seed in (1, 1, 2))
    assert model.members == again.members
    assert len(set(model.members)) == len(model.members) == (1 if isinstance(method, PCA) else 2)
    assert (model.members == other.members) == isinstance(method, PCA)


@every
def test_the_order_of_events_and_events_of_no_weight_or_beside_the_window_do_not_matter(method: Unlabelled) -> None:
    X, rng = correlated(900), np.random.default_rng(3)
    mjj = np.where(np.arange(900) < 600, 3500.0, 3800.0)
    weight = rng.uniform(0.5, 2.0, 900)
    weight[:40] = 0.0
    table = table_of(mjj, X, weight=weight)
    spoiled = X.copy()
    spoiled[(mjj > 3700) | (weight == 0)] = 99.0
    shuffled = table_of(mjj, spoiled, weight=weight)
    shuffled = EventTable(shuffled.table.take(rng.permutation(900)), shuffled.features)
    for other in (shuffled, table.select(weight > 0)):
        assert trained(method, table).members == trained(method, other).members


@every
def test_events_of_negative_weight_are_left_out_at_the_same_sum(method: Unlabelled) -> None:
    X = correlated(600)
    weight = np.ones(600)
    negative, without = (
        table_of(np.full(600, 3500.0), X, weight=np.where(np.arange(600) < 97, value, 1.0)) for value in (-0.5, 0.0)
    )
    assert trained(method, negative).members == trained(method, without).members
    with pytest.raises(WindowError, match="no positive sum of weights"):
        trained(method, table_of(np.full(600, 3500.0), X, weight=-weight))


@every
def test_undefined_and_constant_features_are_not_unusual(method: Unlabelled) -> None:
    X = correlated(600)
    X[::7, 0] = np.nan
    X[:, 1] = 0.25
    X[:, 2] = np.nan
    model = trained(method, in_window(X))
    scores = model.predict(X)
    assert np.isfinite(scores).all()
    if not isinstance(method, LDA):
        filled = X.copy()
        filled[::7, 0] = np.quantile(X[~np.isnan(X[:, 0]), 0], 0.5, method="inverted_cdf")
        np.testing.assert_allclose(model.predict(filled), scores, rtol=1e-5)
    X[5, 3] = np.inf
    with pytest.raises(TableError, match="1 training rows hold an infinite feature"):
        trained(method, in_window(X))


@every
def test_a_single_feature_will_do(method: Unlabelled) -> None:
    table = in_window(correlated(300)[:, :1])
    assert np.isfinite(trained(method, table).predict(table.matrix(("x0",)))).all()


def test_a_feature_is_scaled_by_the_weighted_events() -> None:
    X, weight = np.array([[1.0, 5.0], [3.0, np.nan], [9.0, 5.0]]), np.array([1.0, 1.0, 2.0])
    scaling = Scaling.of(X, weight)
    np.testing.assert_allclose(scaling.centre, [22 / 4, 5.0])
    np.testing.assert_allclose(scaling.width, [np.sqrt((4.5**2 + 2.5**2 + 2 * 3.5**2) / 4), 1.0])
    np.testing.assert_allclose(scaling.apply(X)[:, 1], 0.0)


@every
def test_stored_models_score_as_before_and_are_never_unpickled(method: Unlabelled) -> None:
    X = correlated(600)
    model = trained(method, in_window(X))
    storage = find_storage(None, method.name)
    assert storage.suffix == ".npz"
    np.testing.assert_array_equal(storage.load(model.members).predict(X), model.predict(X))
    np.testing.assert_array_equal(model.pick(0).predict(X), model.predict(X)[:, :1])
    stream = io.BytesIO()
    np.savez(stream, centre=np.array([print], object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        storage.load((stream.getvalue(),)).predict(X)


@every
def test_models_that_are_kept_while_blinded_do_not_tell_the_number_of_events(method: Unlabelled) -> None:
    """Shapes do not depend on it, and in single precision a mean does not tell how many numbers it is the mean of."""
    few, many = (stored(trained(method, in_window(correlated(n))).members[0]) for n in (300, 800))
    same = all(few[name].shape == many[name].shape for name in few)
    assert same == (method.forget_counts is not None)
    assert not [array.dtype for array in many.values() if array.dtype.kind == "f" and array.dtype != np.float32]


@every
@pytest.mark.parametrize("blinded", [False, True])
def test_a_search_keeps_the_models(method: Unlabelled, blinded: bool) -> None:
    config = toy_config(learning={"method": method.name, "efficiencies": (0.1,)})
    data, scan = SearchData(toy_table(4000, 100, random_state=5), blinded), RegionScan.from_config(config.scan)
    result = run_window(data, WINDOW, scan, config)
    assert result.reason is None
    assert result.learner is None
    assert all(result.models) != (blinded and isinstance(method, NearestNeighbours))
    assert (result.selections[1].n_obs is None) == blinded


def test_the_network_is_the_same_in_other_processes(two_processes: Backend) -> None:
    pytest.importorskip("sklearn", reason=NEEDS_SKLEARN)
    config = toy_config(learning={"method": "autoencoder"})
    tasks = fold_tasks(WINDOW, np.arange(3000.0, 6501.0, 100.0), config, 0)
    data = SearchData(toy_table(4000, random_state=5))
    here = [attempt_fold(task, data) for task in tasks]
    there = dict(two_processes.map(attempt_fold, tasks, shared=data))
    assert [one.model.members for one in here] == [there[index].model.members for index in range(len(tasks))]


@every
def test_a_missing_library_is_reported_before_any_work(method: Unlabelled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    config = toy_config(learning={"method": method.name})
    if not isinstance(method, Autoencoder):
        require_known(config)
        return
    with pytest.raises(ConfigError, match=r"autoencoder needs the extra `unsupervised`.*'cwola-dijet\[unsupervised\]'"):
        require_known(config)
    with pytest.raises(ConfigError, match="needs the extra `unsupervised`"):  # on a worker that lacks it
        trained(method, in_window(correlated(100)))


def z_of_toys(method: Unlabelled, n_toys: int) -> NDArray[np.float64]:
    """(n_toys,): significance of the window in the tenth of the highest scores, in five folds, without signal."""
    names, found, fraction, n_events = feature_names(3), [], 0.3, 1500
    for toy in range(n_toys):
        rng = np.random.default_rng(toy)
        inside = rng.random(n_events) < fraction
        mjj = np.where(inside, 3500.0, rng.choice([3200.0, 3800.0], n_events))
        table = table_of(mjj, rng.normal(size=(n_events, 3)).astype(np.float32))
        task = FoldTask(WINDOW, 0, 5, names, method, Members(1), toy)
        fit = collect_folds((run_fold(one, Samples(table)) for one in task.every_fold), table, task)
        given = {"event_id": table.event_id, "weight": table.weight, "random_state": 1}
        passes = choose_working_points(fit.scores, np.ones(n_events, bool), (0.1,), **given).values[:, 1]
        total = passes.sum()
        found.append((passes[inside].sum() - fraction * total) / np.sqrt(total * fraction * (1 - fraction)))
    return np.array(found)


@pytest.mark.parametrize(("method", "n_toys"), [(PCA(), 60), (NearestNeighbours(n_events=500), 40)])
def test_without_signal_z_has_width_one(method: Unlabelled, n_toys: int) -> None:
    """Labels could widen it: tests/analysis/learning/test_cross_fitting_null.py."""
    z = z_of_toys(method, n_toys)
    assert abs(z.mean()) < 3 / n_toys**0.5
    assert abs(z.std() - 1) < 3 / (2 * n_toys) ** 0.5
