"""A scan that is interrupted in the training of a window: only the folds that are missing are trained again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.compute import Serial
from analysis.learning import Choice, FittedEnsemble, FoldResult, KeptFolds, Template
from analysis.learning.crossfit import Scores
from analysis.regions import RegionScan
from analysis.search import evaluation
from analysis.search.scan import run_scan, window_key
from analysis.search.values import SearchData, WindowResult
from analysis.statistics import LimitResult
from tests.builders.toy_tables import WINDOW, toy_config, toy_table

CONFIG = toy_config(learning={"n_folds": 3, "n_members": 2})
SCAN = RegionScan.from_config(CONFIG.scan)
DATA = SearchData(toy_table(3000, 60, random_state=3), signal_datasets=("signal",))
KEY = window_key(WINDOW, SCAN, CONFIG, "x")


@pytest.fixture(scope="module", autouse=True)
def without_limits() -> Iterator[None]:
    """The slowest step, which does not depend on where the folds come from."""
    limit = LimitResult("visible-events", "none", None, (1.0,) * 5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "upper_limit", lambda workspace, *, level, blinded, calculator: limit)
        yield


class StoppedError(Exception):
    pass


class Counting:
    """Backend in this process that counts the trainings of folds, and dies after some."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.jobs = 1
        self.trained: list[int] = []
        self.other_versions: dict[str, tuple[str, ...]] = {}
        self._dies_after = dies_after

    @property
    def here(self) -> Serial:
        return Serial()

    def map(
        self, function: Callable[..., Any], tasks: Sequence[Any], *, shared: Any = None
    ) -> Iterator[tuple[int, Any]]:
        for index, result in Serial().map(function, tasks, shared=shared):
            if isinstance(result, FoldResult):
                if len(self.trained) == self._dies_after:
                    raise StoppedError
                self.trained.append(result.fold)
            yield index, result


def scan(folder: Path, backend: Counting) -> list[WindowResult]:
    found = run_scan(DATA, SCAN, CONFIG, backend, inputs="x", kept=KeptFolds(folder))
    return [result for _, result in found]


@pytest.fixture
def interrupted(tmp_path: Path) -> Path:
    """Folder of a scan that died when two of three folds were trained."""
    folder = tmp_path / "folds"
    with pytest.raises(StoppedError):
        scan(folder, Counting(dies_after=2))
    assert sorted(path.name for path in folder.iterdir()) == [f"{KEY}-0.fold", f"{KEY}-1.fold"]
    return folder


@pytest.fixture(scope="module")
def whole() -> WindowResult:
    ((_, result),) = run_scan(DATA, SCAN, CONFIG, Serial(), inputs="x")
    return result


def assert_same(found: WindowResult, expected: WindowResult) -> None:
    assert found.models == expected.models
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.passes, expected.passes)
    assert [one.n_obs for one in found.selections] == [one.n_obs for one in expected.selections]
    assert [one.local_z for one in found.selections] == [one.local_z for one in expected.selections]


def test_finished_folds_are_not_trained_again_and_the_result_is_the_same(
    interrupted: Path, whole: WindowResult
) -> None:
    backend = Counting()
    (found,) = scan(interrupted, backend)
    assert backend.trained == [2]
    assert_same(found, whole)
    assert not interrupted.exists()


def test_damaged_folds_are_trained_again(interrupted: Path, whole: WindowResult) -> None:
    damaged, cut = interrupted / f"{KEY}-0.fold", interrupted / f"{KEY}-1.fold"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    cut.write_bytes(cut.read_bytes()[:100])
    backend = Counting()
    (found,) = scan(interrupted, backend)
    assert backend.trained == [0, 1, 2]
    assert_same(found, whole)


def test_folds_stay_until_the_window_was_taken(tmp_path: Path) -> None:
    """The caller may die while it writes the window."""
    results = run_scan(DATA, SCAN, CONFIG, Counting(), inputs="x", kept=KeptFolds(tmp_path / "folds"))
    next(results)
    assert len(list((tmp_path / "folds").iterdir())) == 3
    assert list(results) == []
    assert not (tmp_path / "folds").exists()


def test_other_events_do_not_use_the_folds(interrupted: Path) -> None:
    backend = Counting()
    list(run_scan(DATA, SCAN, CONFIG, backend, inputs="y", kept=KeptFolds(interrupted)))
    assert backend.trained == [0, 1, 2]
    assert len(list(interrupted.iterdir())) == 2


def test_what_members_and_scores_do_not_restore_is_not_kept(tmp_path: Path) -> None:
    scores = np.zeros((2, 1), np.float32)
    plain = FoldResult(0, np.arange(2), scores, FittedEnsemble((b"model",)))
    template = Template(Scores(scores, np.zeros(2, np.int8), "m"), np.arange(2, dtype=np.uint64), np.ones(2))
    chosen = FittedEnsemble((b"model",), Choice(CONFIG.learning.classifier, 1.0))
    kept = KeptFolds(tmp_path / "folds")
    for other in (replace(plain, template=template), replace(plain, model=chosen), replace(plain, scaling=object())):
        kept.save("other", other)
        assert kept.load("other") is None
    kept.save("plain", plain)
    found = kept.load("plain")
    assert found is not None
    assert found.model == plain.model
    assert found.rows.dtype == np.int64
    np.testing.assert_array_equal(found.rows, plain.rows)


def test_a_full_disk_does_not_stop_the_training(tmp_path: Path, whole: WindowResult) -> None:
    (tmp_path / "folds").write_text("in the way")
    (found,) = scan(tmp_path / "folds", Counting())
    assert_same(found, whole)
