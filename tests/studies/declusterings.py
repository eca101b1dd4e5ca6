"""Does `lda` find more in declusterings than in masses and N-subjettiness, and are its topics those of scikit-learn?

QCD and W'(3500) -> 500 + 100 GeV of `cwola simulate` with declusterings, in 3.3-3.7 TeV, selection of `best`. Half of
the background and a tenth of its number in signal are the data, as much as in arXiv:1904.04200; the rest measures.
Words: the cells of the Lund plane that docs/simulate.md prints. Three members per training.

Solvers: 5000 documents drawn from such data, one start each. Time, log likelihood per word of the events that measure
(shares by expectation maximisation), AUC of the log ratio of both topics, and the largest change of the probability of
a word if twice as many passes are made from the same start.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from functools import cache
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from analysis.compute import Serial
from analysis.config import load_config
from analysis.core.plugins import load_plugins
from analysis.events.dataset import Dataset
from analysis.events.table import EventTable
from analysis.learning import Samples
from analysis.learning.metrics import roc_curve
from analysis.methods import get_method
from analysis.methods.without_labels.lda import find_topics
from processors.runner.run import load_table, process_datasets
from processors.simulate import SimulationSettings, simulate
from tests.builders.pages import printed_files
from tests.builders.toy_tables import table_of
from tests.studies.runner import Budget, Point, run, study
from tests.studies.unsupervised import PYTHIA_NAMES, WINDOW, efficiencies, learner, summary

NAME = "declusterings"
SHARE = 0.1
CELLS = tuple(f"lund_{angle}_{kt}" for angle in range(5) for kt in range(5))
FEATURES = {"over m_jj": PYTHIA_NAMES, "declusterings": CELLS}
METHODS = ("lda", "pca", "idealised", "supervised")
SAMPLES = {
    "qcd": SimulationSettings(
        process="qcd", n_events=5000, seed=41, pt_hat_min=1350.0, m_hat_min=3300.0, declusterings=True
    ),
    "signal": SimulationSettings(
        process="wprime", mass_a=3500, mass_b=500, mass_c=100, n_events=1000, seed=42, run_number=2, declusterings=True
    ),
}
PRIOR, N_DOCUMENTS = 0.5, 5000
SOLVERS = {
    "ours, 100 passes": {"passes": 100},
    "ours, 20 passes": {"passes": 20},
    "batch, 20 passes, as they come": {"max_iter": 20},
    "batch, 20 passes, 10 updates": {"max_iter": 20, "max_doc_update_iter": 10},
    "batch, 20 passes, 3 updates": {"max_iter": 20, "max_doc_update_iter": 3},
    "online, 256, 5 passes, 10 updates": {
        "max_iter": 5,
        "max_doc_update_iter": 10,
        "learning_method": "online",
        "batch_size": 256,
    },
}
SLOW = "batch, 20 passes, as they come"
"""Measured once."""

Array = NDArray[np.float64]


@cache
def events() -> dict[str, EventTable]:
    """Selected events in the window."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        plugin = folder / "lund.py"
        plugin.write_text(printed_files("simulate.md")["lund.py"], encoding="utf-8")
        load_plugins([str(plugin)])
        paths = {name: simulate(settings, folder / f"{name}.root", Serial()) for name, settings in SAMPLES.items()}
        datasets = {
            name: Dataset(name, "pseudodata", "nanoaod", ((str(path), "Events"),)) for name, path in paths.items()
        }
        result = process_datasets(datasets, load_config(preset="best"), folder / "parts", Serial())
        tables = {name: load_table(result, datasets, [name]).in_region("search") for name in datasets}
    return {name: table.select(WINDOW.in_signal(table.mjj)) for name, table in tables.items()}


def samples(features: str, draw: int) -> tuple[EventTable, Array, Array]:
    """Data, and the background and signal that measure."""
    rng = np.random.default_rng(draw)
    given = FEATURES[features]
    background, signal = (rng.permutation(events()[name].matrix(given)) for name in SAMPLES)
    half = len(background) // 2
    hidden = round(SHARE * half)
    rows = np.concatenate([background[:half], signal[:hidden]])
    origin = np.repeat(np.array(["background", "signal"], object), [half, hidden])
    data = table_of(np.full(len(rows), 3500.0), rows, names=given, dataset=origin)
    return data, background[half:].astype(float), signal[hidden:].astype(float)


def measure(point: Point) -> Point:
    """Train one method on one draw, or find topics with one solver."""
    if "solver" in point:
        return _solve(point)
    data, background, signal = samples(point["features"], point["draw"])
    given = FEATURES[point["features"]]
    seed = np.random.SeedSequence(point["draw"])
    model = get_method(point["method"]).fit(Samples(data, None, ("signal",)), WINDOW, given, learner(), seed)
    scores = [model.predict(part.astype(np.float32)).mean(axis=1) for part in (signal, background)]
    n_signal = int((data.column("dataset") == "signal").sum())
    return efficiencies(roc_curve(*scores)) | {"n_background": len(data) - n_signal, "n_signal": n_signal}


def _solve(point: Point) -> Point:
    data, background, signal = samples("declusterings", point["draw"])
    rng = np.random.default_rng(point["draw"])
    documents = data.matrix(CELLS)[rng.integers(len(data), size=N_DOCUMENTS)].astype(float)
    settings = SOLVERS[point["solver"]]
    start = time.process_time()
    topics = _topics(documents, settings, point["draw"])
    seconds = time.process_time() - start
    twice = {key: 2 * value if key in ("passes", "max_iter") else value for key, value in settings.items()}
    change = float(np.abs(topics - _topics(documents, twice, point["draw"])).max())
    rare, usual = np.log(topics)
    curve = roc_curve(signal @ (rare - usual), background @ (rare - usual))
    return {
        "seconds": round(seconds, 2),
        "likelihood": round(_log_likelihood(topics, np.concatenate([background, signal])), 5),
        "change": round(change, 5),
        "auc": round(curve.auc, 4),
    }


def _topics(documents: Array, settings: dict[str, int | str], seed: int) -> Array:
    """(2, n_words) float64: the rarer topic first."""
    if "passes" in settings:
        topics, shares = find_topics(documents, PRIOR, np.random.default_rng(seed), passes=settings["passes"])
        return topics[np.argsort(shares)]
    from sklearn.decomposition import LatentDirichletAllocation

    model = LatentDirichletAllocation(
        2, doc_topic_prior=PRIOR, topic_word_prior=PRIOR, random_state=seed, evaluate_every=-1, **settings
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shares = model.fit_transform(documents).mean(axis=0)
    return (model.components_ / model.components_.sum(axis=1, keepdims=True))[np.argsort(shares)]


def _log_likelihood(topics: Array, documents: Array) -> float:
    """Mean over words, with the shares of each document at their maximum."""
    shares = np.full((len(documents), 2), 0.5)
    for _ in range(100):
        shares = shares * ((documents / (shares @ topics + 1e-100)) @ topics.T)
        shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-100)
    return float((documents * np.log(shares @ topics + 1e-100)).sum() / documents.sum())


def points(draws: int) -> list[Point]:
    """All points, one draw after the other."""
    methods = [
        {"features": features, "method": method, "draw": draw}
        for draw in range(draws)
        for features in FEATURES
        for method in METHODS
    ]
    return [
        *methods,
        *({"solver": solver, "draw": draw} for draw in range(3) for solver in SOLVERS if draw == 0 or solver != SLOW),
    ]


@study(minutes=20.0)
@click.option("--draws", type=int, default=5, show_default=True)
def main(budget: Budget, draws: int) -> None:
    """Run the study and print one line per method and solver."""
    finished = run(NAME, points(draws), measure, budget)
    methods = [point for point in finished if "method" in point]
    for features in FEATURES:
        for method in METHODS:
            chosen = {"features": features, "method": method}
            cells = (summary(methods, key, **chosen)[0] for key in ("auc", "sic_half", "sic_0.01"))
            click.echo(f"{features:14} {method:12} {'  '.join(f'{cell:.2f}' for cell in cells)}")
    for point in finished:
        if "solver" in point:
            click.echo("{solver:36} {seconds:6.2f} s {likelihood:9.5f} {change:.5f} {auc:.3f}".format(**point))


if __name__ == "__main__":
    main()
