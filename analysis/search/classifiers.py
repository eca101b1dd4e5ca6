"""Classifiers of a finished search, for events that they were not trained on.

The folder of a window contains everything needed to apply its classifiers: `classifier.json` (features, selections and
the thresholds of every fold), `models/`, and `decorrelation.npz` if features were scaled. Together with `config.json`
and `manifest.json` it can be shared, to test other signals with it. Every file is compared with its SHA-256 in the
manifest before it is read; the learner reads its own documents, and nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.config import SearchConfig, load_config
from analysis.core.documents import ABSENT, parse_json
from analysis.core.text_files import load_json, read_bytes
from analysis.errors import ConfigError, ResultsError
from analysis.events.identity import uniform
from analysis.events.table import EventTable
from analysis.learning import BOOSTED_TREES, Model, ModelStorage, PassWeights, score_table
from analysis.learning.decorrelation import MAPS, FeatureMap
from analysis.methods import find_storage
from analysis.regions import MassWindow
from analysis.search.values import WindowResult

__all__ = [
    "Classifier",
    "ScoredEvents",
    "TrainedOn",
    "load_classifiers",
    "load_origin",
    "save_classifier",
    "score_events",
    "scored_columns",
    "votes",
]

_RECORD = "classifier.json"
_SCALING = "decorrelation.npz"


@dataclass(frozen=True)
class Classifier:
    """Classifiers of one window.

    Attributes
    ----------
    window : MassWindow
    features : tuple of str
    models : tuple of Model
        One per scored fold, trained without the events of that fold.
    scalings : tuple of FeatureMap
        One per scored fold; empty if features are not scaled.
    selections : tuple of str
        Names, inclusive first.
    efficiencies, achieved : tuple of float
        Requested efficiencies of the selections, and efficiencies reached in the search.
    thresholds : (n_folds, n_cuts, n_selections, 2) float64
        See `analysis.learning.PassWeights`.
    random_state : int
        Seed of the search, for the tie-break.
    nested : bool
        Whether folds are equally large in every bin of the dijet mass, as in nested cross-fitting.
    storage : ModelStorage
        Stored form of the models.
    """

    window: MassWindow
    features: tuple[str, ...]
    models: tuple[Model, ...]
    scalings: tuple[FeatureMap, ...]
    selections: tuple[str, ...]
    efficiencies: tuple[float, ...]
    achieved: tuple[float, ...]
    thresholds: NDArray[np.float64]
    random_state: int
    nested: bool = False
    storage: ModelStorage = BOOSTED_TREES

    @property
    def n_folds(self) -> int:
        """Number of folds, the one that only trains in sequential training included."""
        return len(self.thresholds)

    def tested(self, selection: int) -> NDArray[np.bool_]:
        """(n_folds,) bool: folds whose events can pass a selection."""
        finite = self.thresholds[:, :, selection, 0] < np.inf
        return np.asarray(finite.any(axis=1))


@dataclass(frozen=True)
class ScoredEvents:
    """Events scored by the classifiers of one window.

    Attributes
    ----------
    window : MassWindow
    folds : (n_events, n_models) float32
        Member mean of each fold's model; NaN outside the fit range of the window.
    passes : PassWeights
        Mean over folds of each fold's own cut, which no event passes in a fold that is not tested; 0 outside the fit
        range, except for the inclusive selection.
    """

    window: MassWindow
    folds: NDArray[np.float32]
    passes: PassWeights

    def mean(self) -> NDArray[np.float32]:
        """(n_events,) float32: score averaged over the folds."""
        mean: NDArray[np.float32] = self.folds.mean(axis=1, dtype=np.float64).astype(np.float32)
        return mean


@dataclass(frozen=True)
class TrainedOn:
    """Identity of an input file, to recognise events used in the training."""

    dataset: str
    kind: str
    uuid: str
    content: str | None = field(default=None, metadata=ABSENT)


@dataclass(frozen=True)
class Origin:
    """What the manifest of a search tells about its classifiers."""

    sha256: dict[str, str]
    config_digest: str
    plugins: tuple[dict[str, Any], ...] = ()
    inputs: tuple[TrainedOn, ...] = ()


def save_classifier(folder: Path, result: WindowResult) -> None:
    """Write the information needed to apply the classifiers of a window, in addition to the models.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the window.
    result : WindowResult
        Nothing is written without thresholds or stored models.
    """
    if result.thresholds is None or not all(result.models):
        return
    first = result.selections[0]
    document = {
        "window": result.window.to_json(),
        "method": first.method,
        "learner": result.learner,
        "features": list(first.features),
        "selections": [selection.name for selection in result.selections],
        "efficiencies": [selection.efficiency for selection in result.selections],
        "achieved": [selection.efficiency_achieved for selection in result.selections],
        "n_members": [len(members) for members in result.models],
        "decorrelated": list(result.scalings[0].features) if result.scalings else [],
        # Infinite values are stored as text: JSON has no number for them.
        "thresholds": _encode(result.thresholds.tolist()),
    }
    (folder / _RECORD).write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    if result.scalings:
        arrays = {
            f"{name}_{fold}": getattr(scaling, name)
            for fold, scaling in enumerate(result.scalings)
            for name in scaling.PARTS
        }
        np.savez_compressed(folder / _SCALING, **arrays)


def load_classifiers(folder: Path, wanted: tuple[float, float] | None = None) -> tuple[SearchConfig, list[Classifier]]:
    """Read the classifiers of a results folder, or of a copy with the files listed in the module docstring.

    Parameters
    ----------
    folder : pathlib.Path
    wanted : (low, high), optional
        Only this window, GeV.

    Returns
    -------
    config : SearchConfig
        Configuration, with the selection of the training events.
    classifiers : list of Classifier
        Ordered by window.

    Raises
    ------
    ResultsError
        If a file is missing or differs from the file of the search.
    ConfigError
        If the requested window does not exist.
    """
    origin = load_origin(folder)
    config = load_config(path=folder / "config.json")
    if config.digest() != origin.config_digest:
        msg = (
            f"{folder / 'config.json'} is not the configuration that the classifiers were trained with. Copy it again "
            f"from where they come from, or run `cwola scan --output {folder}`."
        )
        raise ResultsError(msg)
    checked = _Checked(folder, origin.sha256)
    names = sorted(Path(path).parent.name for path in checked.sha256 if path.endswith(f"/{_RECORD}"))
    classifiers = [_load_classifier(checked, name, config) for name in names]
    classifiers.sort(key=lambda classifier: classifier.window.signal)
    if wanted is not None:
        available = ", ".join("{:g}:{:g}".format(*classifier.window.signal) for classifier in classifiers)
        classifiers = [classifier for classifier in classifiers if classifier.window.signal == wanted]
        if not classifiers:
            msg = f"--window {wanted[0]:g}:{wanted[1]:g}: {folder} has no classifiers for it. Windows: {available}."
            raise ConfigError(msg)
    if not classifiers:
        msg = (
            f"{folder} holds no classifiers. Its search failed or an older version made it: run `cwola scan` again; or "
            f"method {config.learning.method} keeps none, such as nearest_neighbours while results are blinded."
        )
        raise ResultsError(msg)
    return config, classifiers


def score_events(table: EventTable, classifier: Classifier) -> ScoredEvents:
    """Apply the classifiers of a window to events not used in any training.

    Parameters
    ----------
    table : EventTable
        Events of the search region.
    classifier : Classifier

    Returns
    -------
    ScoredEvents
    """
    rows = np.flatnonzero(classifier.window.in_fit_range(table.mjj))
    inside = EventTable(table.table.take(rows), table.features)
    tie = uniform(inside.event_id, classifier.random_state, "tie-break")
    _, n_cuts, n_selections, _ = classifier.thresholds.shape
    folds = np.full((len(table), len(classifier.models)), np.nan, np.float32)
    values = np.zeros((len(table), n_selections))
    for fold, model in enumerate(classifier.models):
        scaled = classifier.scalings[fold].apply(inside) if classifier.scalings else inside
        members = score_table(model, scaled, classifier.features)
        mean = members.mean(axis=1, dtype=np.float64).astype(np.float32)
        folds[rows, fold] = mean
        cut = mean[:, None] if n_cuts == 1 else members
        values[rows] += votes(cut, tie, classifier.thresholds[fold]).mean(axis=1)
    values /= classifier.n_folds
    values[:, 0] = 1.0
    passes = PassWeights(
        classifier.efficiencies,
        classifier.achieved,
        values,
        classifier.thresholds,
        names=classifier.selections,
    )
    return ScoredEvents(classifier.window, folds, passes)


def scored_columns(table: EventTable, scored: Sequence[ScoredEvents]) -> pa.Table:
    """Append scores and pass weights to the events.

    Returns
    -------
    pyarrow.Table
        Identity, `mjj` (GeV), `abs_dy`, `weight`, the features, and for every window `score_LOW-HIGH` (mean over
        folds), `score_LOW-HIGH_foldK` and `pass_LOW-HIGH_SELECTION`. Undefined values are null.
    """
    names = [name for name in table.table.column_names if name not in ("rapidity_region", *table.feature_names)]
    columns: dict[str, Any] = {name: table.table[name] for name in names}
    columns |= {name: pa.array(table.column(name), from_pandas=True) for name in table.feature_names}
    for events in scored:
        label = events.window.name
        columns[f"score_{label}"] = pa.array(events.mean(), from_pandas=True)
        for fold, values in enumerate(events.folds.T):
            columns[f"score_{label}_fold{fold}"] = pa.array(values, from_pandas=True)
        for name, values in zip(events.passes.names, events.passes.values.T, strict=True):
            columns[f"pass_{label}_{name}"] = values
    return pa.table(columns)


def votes(cut: NDArray[np.float32], tie: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Select events above the thresholds of one fold, by score and then by tie-break.

    Parameters
    ----------
    cut : (n_events, n_cuts) float32
        Scores: the mean of the members, or one per member.
    tie : (n_events,) float64
    thresholds : (n_cuts, n_selections, 2) float64

    Returns
    -------
    (n_events, n_cuts, n_selections) bool
    """
    score = cut[:, :, None].astype(np.float64)
    above: NDArray[np.bool_] = (score > thresholds[None, :, :, 0]) | (
        (score == thresholds[None, :, :, 0]) & (tie[:, None, None] > thresholds[None, :, :, 1])
    )
    return above


@dataclass(frozen=True)
class _Checked:
    """Files of a folder, read only if their SHA-256 matches the manifest."""

    folder: Path
    sha256: dict[str, str]

    def read(self, name: str) -> bytes:
        path = self.folder / name
        try:
            content = read_bytes(path)
        except OSError as error:
            msg = f"cannot read {path}, which the classifiers need: {error.strerror}. Copy the folder again."
            raise ResultsError(msg) from error
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.sha256.get(name):
            msg = (
                f"{path} is not the file that the search wrote: its SHA-256 is {digest[:16]}…, manifest.json has "
                f"{self.sha256.get(name, 'none')[:16]}…. It was not loaded. Copy the folder again from its origin."
            )
            raise ResultsError(msg)
        return content


def load_origin(folder: Path) -> Origin:
    """Read the manifest of a results folder, or of exported classifiers.

    Raises
    ------
    ResultsError
        If it is missing or damaged.
    """
    path = folder / "manifest.json"
    try:
        return parse_json(Origin, read_bytes(path))
    except (OSError, ValueError) as error:
        msg = (
            f"cannot read {path}: {getattr(error, 'strerror', None) or error}. --models takes the folder of a finished "
            "`cwola run`, or its config.json, manifest.json and windows/."
        )
        raise ResultsError(msg) from error


def _load_classifier(checked: _Checked, name: str, config: SearchConfig) -> Classifier:
    folder = f"windows/{name}"
    document = load_json(checked.read(f"{folder}/{_RECORD}"), longest=None)
    if config.learning.decorrelation != "none" and not document["decorrelated"]:
        msg = (
            f"{checked.folder / folder} lacks the scaling of the features: it is not kept while results are blinded, "
            "since it tells how many events are in the window. Use classifiers of an unblinded search."
        )
        raise ResultsError(msg)
    storage = find_storage(document.get("learner", BOOSTED_TREES.name), document["method"])
    files = (
        [f"{folder}/models/fold{fold}_member{member}{storage.suffix}" for member in range(n_members)]
        for fold, n_members in enumerate(document["n_members"])
    )
    models = tuple(storage.load(tuple(map(checked.read, of_fold))) for of_fold in files)
    features = tuple(document["features"])
    scalings: tuple[FeatureMap, ...] = ()
    if scaled := document["decorrelated"]:
        kind = MAPS[config.learning.decorrelation]
        with np.load(io.BytesIO(checked.read(f"{folder}/{_SCALING}")), allow_pickle=False) as stored:
            scalings = tuple(
                kind.from_arrays(scaled, {name: stored[f"{name}_{fold}"] for name in kind.PARTS})
                for fold in range(len(models))
            )
    return Classifier(
        MassWindow.from_json(document["window"]),
        features,
        models,
        scalings,
        tuple(document["selections"]),
        tuple(document["efficiencies"]),
        tuple(document["achieved"]),
        np.array(document["thresholds"], object).astype(np.float64),
        config.random_state,
        config.learning.cross_fitting == "nested",
        storage,
    )


def _encode(values: Any) -> Any:
    if isinstance(values, list):
        return [_encode(value) for value in values]
    return values if np.isfinite(values) else str(values)
