"""How much do methods without labels find of a hidden W'(3500), next to CWoLa and to full supervision?

LHC Olympics: real events of the R&D data set in 3.3-3.7 TeV (arXiv:2109.00546). Half of the background and 395 signal
events are the data, as in the published sample; the other half of the background and the other signal measure. There
are no sidebands, so `idealised` stands for CWoLa. Features: lighter mass, mass difference, tau21 of both, also with
0.1 m_jj added to both masses as where the autoencoder was published (arXiv:2009.02205: AUC 0.644, SIC(0.5) 0.96), and
masses over m_jj.

Pythia: QCD and signal as in `tests.studies.shift_test`, without shift, S / sqrt(B) = 1 in the window, features of
`best`, five folds.

Three members per training, boosted trees of `best` where there are classifiers.
Target: SIC(0.5) of the autoencoder between 0.7 and 1.2, as of a control that finds nothing.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from analysis.compute import Serial
from analysis.config import load_config
from analysis.diagnostics.gains import Benchmark, separations
from analysis.events.table import EventTable
from analysis.learning import BoostedTrees, FoldTask, Samples
from analysis.learning.metrics import RocCurve, roc_curve
from analysis.methods import METHODS as REGISTERED
from analysis.methods import Idealised
from analysis.regions import MassWindow
from tests.builders.toy_tables import feature_names, table_of
from tests.studies import shift_test
from tests.studies.runner import Budget, Point, data_folder, run, study

NAME = "unsupervised"
WITHOUT_LABELS = ("autoencoder", "pca", "nearest_neighbours", "lda")
METHODS = {**REGISTERED, "idealised": Idealised(halves=True)}
REFERENCES = {"lhco": ("idealised", "supervised"), "pythia": ("cwola", "supervised")}
FEATURES = {"lhco": ("GeV", "shifted", "over m_jj"), "pythia": ("over m_jj",)}
PYTHIA_NAMES = ("mj1_over_mjj", "mj2_over_mjj", "tau21_j1", "tau21_j2")
N_SIGNAL, SHIFT, STRENGTH = 395, 0.1, 1.0
N_MEMBERS = 3

WINDOW = MassWindow((3300.0, 3700.0), (3100.0, 3300.0), (3700.0, 3900.0), (3300.0, 3700.0), (3100.0, 3900.0))

Array = NDArray[np.float64]


@cache
def lhco() -> tuple[Array, Array]:
    """Background and signal: m_jj, lighter mass, mass difference (TeV), tau21 of the lighter and of the heavier jet."""
    names = ("inner_train", "inner_val", "extra_signal")
    rows = np.concatenate([np.load(data_folder() / "lhco" / f"{name}.npy", allow_pickle=False) for name in names])
    signal = rows[:, 5] == 1
    return rows[~signal, :5].astype(float), rows[signal, :5].astype(float)


def table(rows: Array, features: str, *, n_signal: int, first: int) -> EventTable:
    """Event table of LHC Olympics events whose last `n_signal` are signal; identities count from `first`."""
    mjj, light, difference, tau_light, tau_heavy = rows.T
    masses = {
        "GeV": (light, difference),
        "shifted": (light + SHIFT * mjj, difference + SHIFT * mjj),
        "over m_jj": ((light + difference) / mjj, light / mjj),
    }[features]
    X = np.stack([*masses, tau_light, tau_heavy], axis=1).astype(np.float32)
    origin = np.full(len(rows), "background", object)
    origin[len(rows) - n_signal :] = "signal"
    return table_of(1000 * mjj, X, dataset=origin, event_id=np.arange(first, first + len(rows), dtype=np.uint64))


def learner() -> BoostedTrees:
    """Trees of `best`, as many as members."""
    return BoostedTrees(load_config(preset="best").learning.classifier, N_MEMBERS)


def measure(point: Point) -> Point:
    """Train one method on one draw."""
    return efficiencies(_lhco_curve(point) if point["sample"] == "lhco" else _pythia_curve(point))


def efficiencies(curve: RocCurve) -> Point:
    """AUC and significance improvement at a signal efficiency of one half and a background efficiency of 1 %."""
    half = float(np.interp(0.5, curve.signal, curve.background))
    return {
        "auc": round(curve.auc, 4),
        "sic_half": round(0.5 / max(half, 1e-5) ** 0.5, 3),
        "sic_0.01": round(float(curve.sic(1e-2)), 3),
    }


def _lhco_curve(point: Point) -> RocCurve:
    rng = np.random.default_rng(point["draw"])
    background, signal = (rng.permutation(rows) for rows in lhco())
    half = len(background) // 2
    given = np.concatenate([background[:half], signal[:N_SIGNAL]])
    data = table(given, point["features"], n_signal=N_SIGNAL, first=0)
    names = feature_names(4)
    samples = Samples(data, None, ("signal",))
    model = METHODS[point["method"]].fit(samples, WINDOW, names, learner(), np.random.SeedSequence(point["draw"]))
    beside, hidden = (
        model.predict(table(rows, point["features"], n_signal=0, first=len(given)).matrix(names)).mean(axis=1)
        for rows in (background[half:], signal[N_SIGNAL:])
    )
    return roc_curve(hidden, beside)


def _pythia_curve(point: Point) -> RocCurve:
    where = shift_test.window(200.0)
    data, held_out = shift_test.inject(shift_test.events(), where, point["draw"], STRENGTH)
    benchmark = Benchmark(Samples(data, None, (shift_test.SIGNAL,)), held_out)
    task = FoldTask(
        where, 0, shift_test.N_FOLDS, PYTHIA_NAMES, METHODS[point["method"]], learner(), 100 + point["draw"]
    )
    return separations([task], benchmark, Serial())[0].signal


def points(draws: int) -> list[Point]:
    """All points, one draw after the other."""
    return [
        {"sample": sample, "features": features, "method": method, "draw": draw}
        for draw in range(draws)
        for sample, sets in FEATURES.items()
        for features in sets
        for method in (*WITHOUT_LABELS, *REFERENCES[sample])
    ]


def summary(finished: list[Point], key: str, **chosen: Any) -> tuple[float, float, float, int]:
    """Median, quantiles 0.16 and 0.84, and the number of draws."""
    values = [p[key] for p in finished if all(p[name] == value for name, value in chosen.items())]
    low, median, high = np.quantile(values, [0.16, 0.5, 0.84]) if values else (np.nan,) * 3
    return float(median), float(low), float(high), len(values)


@study(minutes=20.0)
@click.option("--draws", type=int, default=5, show_default=True)
def main(budget: Budget, draws: int) -> None:
    """Run the study and print one line per method."""
    finished = run(NAME, points(draws), measure, budget)
    for sample, sets in FEATURES.items():
        for features in sets:
            click.echo(f"{sample}, {features}")
            for method in (*WITHOUT_LABELS, *REFERENCES[sample]):
                chosen = {"sample": sample, "features": features, "method": method}
                parts = [
                    "{} {:.2f} [{:.2f}, {:.2f}]".format(key, *summary(finished, key, **chosen)[:3])
                    for key in ("auc", "sic_half", "sic_0.01")
                ]
                click.echo(f"  {method:18} {'  '.join(parts)}")


if __name__ == "__main__":
    main()
