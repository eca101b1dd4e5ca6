"""Methods that need no labels, and methods of plugins that have nothing but a contrast."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.errors import ConfigError, ResultsError
from analysis.learning import Learner, Samples, TrainingSet
from analysis.methods import METHODS, CWoLa, find_storage, register_method, storage_of, uses_sidebands
from analysis.methods.contrast import adapted
from analysis.regions import MassWindow, RegionScan
from analysis.results.windows import fill_window
from analysis.search.requirements import require_known
from analysis.search.values import SearchData
from analysis.search.window import run_window
from tests.builders.toy_tables import WINDOW, toy_config, toy_table

EDGES = np.linspace(-4.0, 4.0, 17)


@dataclass(frozen=True)
class Ratio:
    """Density in the window over density beside it, of one feature, in bins."""

    ratio: NDArray[np.float64]
    members: tuple[bytes, ...] = ()

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.ratio[np.clip(np.digitize(X[:, 0], EDGES), 0, len(EDGES))].astype(np.float32)[:, None]

    def pick(self, member: int) -> Ratio:
        return self


@dataclass(frozen=True)
class DensityRatio:
    name: str = "density_ratio"
    uses_truth: bool = False
    needs_simulation: bool = False

    def fit(
        self,
        samples: Samples,
        window: MassWindow,
        features: Sequence[str],
        learner: Learner,
        random_state: np.random.SeedSequence,
    ) -> Ratio:
        inside = window.in_signal(samples.data.mjj)
        x = np.digitize(samples.data.matrix(features)[:, 0], EDGES)
        one, zero = (np.bincount(x[rows], minlength=len(EDGES) + 1) + 1.0 for rows in (inside, ~inside))
        ratio = (one / one.sum()) / (zero / zero.sum())
        return Ratio(ratio, (ratio.tobytes(),))


@dataclass(frozen=True)
class StoredRatio(DensityRatio):
    """The same with a stored form, of which blinded results keep the ratios to one digit."""

    name: str = "stored_ratio"
    suffix: str = ".ratio"
    importance: None = None

    def load(self, members: tuple[bytes, ...]) -> Ratio:
        return Ratio(np.frombuffer(members[0]), members)

    def forget_counts(self, document: bytes) -> bytes:
        return np.round(np.frombuffer(document), 1).tobytes()


@dataclass(frozen=True)
class OnlyContrast:
    name: str = "only_contrast"
    uses_truth: bool = False
    needs_simulation: bool = False

    def contrast(self, samples: Samples, window: Any, features: Any, *, random_state: Any) -> TrainingSet:
        return CWoLa().contrast(samples, window, features, random_state=random_state)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    names = ("density_ratio", "only_contrast", "stored_ratio")
    register_method(DensityRatio())
    register_method(StoredRatio())
    register_method(OnlyContrast())
    yield
    for name in names:
        METHODS.remove(name)


def test_a_method_without_labels_finds_the_signal() -> None:
    config = toy_config(learning={"method": "density_ratio", "features": ("x0",), "efficiencies": (0.1,)})
    table = toy_table(20_000, 300, random_state=5)
    result = run_window(SearchData(table), WINDOW, RegionScan.from_config(config.scan), config)
    assert result.reason is None
    assert result.scores is not None
    signal = table.column("dataset") == "signal"
    inside = WINDOW.in_signal(table.mjj)
    assert result.scores[signal & inside].mean() > 1.1 * result.scores[~signal & inside].mean()
    inclusive, cut = result.selections
    assert inclusive.discovery is not None
    assert cut.discovery is not None
    assert cut.discovery.z > inclusive.discovery.z + 1


def test_models_that_the_learner_did_not_make_are_not_kept_and_blinding_leaves_them_alone() -> None:
    config = toy_config(learning={"method": "density_ratio", "features": ("x0",), "efficiencies": (0.1,)})
    table, scan = toy_table(6000, 100, random_state=5), RegionScan.from_config(config.scan)
    for blinded in (False, True):
        result = run_window(SearchData(table, blinded), WINDOW, scan, config)
        assert result.reason is None
        assert not any(result.models)
        assert (result.selections[1].n_obs is None) == blinded


@pytest.mark.parametrize("blinded", [False, True])
def test_models_with_a_stored_form_are_kept_and_read(blinded: bool, tmp_path: Path) -> None:
    config = toy_config(learning={"method": "stored_ratio", "features": ("x0",), "efficiencies": (0.1,)})
    table, scan = toy_table(6000, 100, random_state=5), RegionScan.from_config(config.scan)
    result = run_window(SearchData(table, blinded), WINDOW, scan, config)
    ratios = np.array([np.frombuffer(members[0]) for members in result.models])
    assert ratios.shape == (3, len(EDGES) + 1)
    assert np.array_equal(ratios, np.round(ratios, 1)) == blinded
    fill_window(tmp_path, {}, result)
    assert min(path.name for path in (tmp_path / "models").iterdir()) == "fold0_member0.ratio"
    assert json.loads((tmp_path / "classifier.json").read_text())["learner"] is None
    assert find_storage(None, "stored_ratio") == StoredRatio()


def test_models_without_a_stored_form_cannot_be_read() -> None:
    assert storage_of(DensityRatio(), "boosted_trees") is None
    with pytest.raises(ResultsError, match="method density_ratio has no stored form of models"):
        find_storage(None, "density_ratio")
    with pytest.raises(ConfigError, match="unknown method 'of_a_plugin'"):
        find_storage(None, "of_a_plugin")


@pytest.mark.parametrize(
    ("learning", "message"),
    [
        ({"cross_fitting": "nested"}, 'set learning.cross_fitting = "kfold", found "nested"'),
        ({"tuning": {"criterion": "argos"}}, 'set learning.tuning.criterion = "none", found "argos"'),
        ({"tuning": {"criterion": "log-loss"}}, 'set learning.tuning.criterion = "none", found "log-loss"'),
    ],
)
def test_what_chooses_by_labels_is_refused_before_any_work(learning: dict[str, Any], message: str) -> None:
    config = toy_config(learning={"method": "density_ratio", "features": ("x0",), **learning})
    with pytest.raises(ConfigError, match=f"method density_ratio has no labels to choose by: {message}"):
        require_known(config)
    require_known(toy_config(learning={**learning, "method": "only_contrast", "n_folds": 3}))


@pytest.mark.parametrize("learning", [{"cross_fitting": "half", "n_folds": 2}, {"cross_fitting": "sequential"}])
def test_schemes_that_choose_nothing_need_no_labels(learning: dict[str, Any]) -> None:
    require_known(toy_config(learning={"method": "density_ratio", "features": ("x0",), **learning}))


def test_a_method_with_a_contrast_alone_gives_what_that_contrast_gives() -> None:
    data = SearchData(toy_table(6000, 100, random_state=5))
    found = []
    for method in ("cwola", "only_contrast"):
        config = toy_config(learning={"method": method, "efficiencies": (0.1,)})
        found.append(run_window(data, WINDOW, RegionScan.from_config(config.scan), config).models)
    assert found[0] == found[1]


@pytest.mark.parametrize(("says", "expected"), [({}, True), ({"uses_sidebands": False}, False)])
def test_a_method_that_does_not_say_counts_as_one_with_sidebands(says: dict[str, Any], expected: bool) -> None:
    for method in (adapted(type("Plugin", (), {"name": "of_a_plugin", **says})()), type("Fitted", (), says)()):
        assert uses_sidebands(method) == expected
    assert uses_sidebands(None)
