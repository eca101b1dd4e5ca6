"""Do templates made of sidebands agree with the background in the window, and what do they keep of the sensitivity?

Pythia QCD with soft-drop masses in GeV: of 200k events about 16k are in 3.3 to 3.7 TeV, 25k and 5k in sidebands of 300
GeV. Closure: the AUC of trees, in five folds by source event, that separate the window from its template on QCD alone.
0.5 is perfect, and its statistical error about 0.003. Each sample has its own events. Methods with flows, and `salad`
by its weights, repeat the fluctuations of their sidebands in every fold: trees are trained on one sample, and tested on
another with a template of its own, and the other way round. `salad` takes one half of another tune with each sample.
`lacathode` tells the window from normal numbers in the variables of a flow; a second sample is mapped by the flow of
the first.

Sensitivity: a W' of 3.5 TeV to 500 and 100 GeV is hidden in window and sidebands of the first sample, as in
`tests.studies.shift_test`, and every method trained with the trees of the preset `best`, five members.

Counts: z of selections in samples of 100k events without signal, three members, with backgrounds from the fit of the
selection and from the template, and with thresholds on the spectrum and on the template.

A drift changes the features of data and signal: the shift of arXiv:2009.02205 and half of it, the same slope at 3.5 TeV
in m_jj squared, and tau21 to a power that grows with m_jj.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import zip_longest
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from analysis.compute import Serial
from analysis.config import ClassifierConfig, SearchConfig, load_config
from analysis.diagnostics.gains import Benchmark, separations
from analysis.events.table import EventTable
from analysis.learning import BoostedTrees, ContrastMethod, FoldTask, Samples, TrainingSet, assign_folds
from analysis.learning.metrics import roc_curve
from analysis.methods import CATHODE, SALAD, Curtains, CurtainsFlow, CWoLa, Idealised, InterpolatedSidebands, LaCATHODE
from analysis.methods.with_flows.lacathode import LatentModel
from analysis.regions import RegionScan
from analysis.search.evaluation import evaluate_window
from analysis.search.values import SearchData
from analysis.search.window import fold_tasks, train_folds, working_points
from tests.studies.pythia import selected_events
from tests.studies.runner import Budget, Point, run, study
from tests.studies.shift_test import inject
from tests.studies.shift_test import window as window_with

NAME = "templates"
SIGNAL = "wprime_3500_500_100"
FEATURES = ("mj1", "mj2", "tau21_j1", "tau21_j2")
QCD = {
    "ab": ("qcd_a", "qcd_b"),
    **{f"{n}{n + 1}": (f"qcd_{n}", f"qcd_{n + 1}") for n in (1, 3, 5, 7)},
}
"""Samples of 200k events."""
GROOMED = {"selection": {"jet_mass": "softdrop"}, "learning": {"features": list(FEATURES)}}
WIDTH = 300.0
N_FOLDS = 5
CLOSING = BoostedTrees(ClassifierConfig(n_estimators=60, max_depth=4, min_child_weight=20.0, max_bin=64), 2)

METHODS: dict[str, ContrastMethod] = {
    "cwola": CWoLa(),
    "interpolated_sidebands": InterpolatedSidebands(),
    "curtains": Curtains(),
    "curtains, 4 copies": Curtains(copies=4),
    "idealised": Idealised(halves=True),
    "salad": SALAD(),
    "curtains_flow": CurtainsFlow(),
    "cathode": CATHODE(),
}
HUNDRED_THOUSAND = tuple(f"qcd_{number}" for number in range(1, 9))
"""Samples without signal whose selections are counted."""
COUNTING = [(s, r) for s in ("transfer-factor", "template") for r in ("spectrum", "background-template")]
"""Strategies of the background, and references of the thresholds."""
TEMPLATES = ("cwola", "interpolated_sidebands", "curtains")
WITH_FLOWS = ("curtains_flow", "cathode", "lacathode")
PAIR = ("ab", "12")
"""Samples of which one trains trees and the other tests them."""
SEARCHED = ("cwola", "curtains", "idealised")
STRENGTHS = (1.0, 2.2)
WITH_SIGNAL = "ab"
"""Sample in which signal is hidden."""

Columns = dict[str, NDArray[np.float64]]


def _linear(columns: Columns, mjj: NDArray[np.float64], share: float) -> Columns:
    return {"mj1": columns["mj1"] + 0.2 * share * mjj, "mj2": columns["mj2"] + 0.1 * share * mjj}


def _power(columns: Columns, mjj: NDArray[np.float64]) -> Columns:
    power = 1 + 0.5 * ((mjj - 2500) / 1000) ** 2
    return {name: columns[name] ** power for name in ("tau21_j1", "tau21_j2")}


DRIFTS: dict[str, Callable[[Columns, NDArray[np.float64]], Columns]] = {
    "none": lambda columns, mjj: {},
    "half": lambda columns, mjj: _linear(columns, mjj, 0.5),
    "full": lambda columns, mjj: _linear(columns, mjj, 1.0),
    "quadratic": lambda columns, mjj: _linear(columns, mjj**2 / 7000, 1.0),
    "tau21": _power,
}


@cache
def events() -> dict[str, EventTable]:
    """Selected events with soft-drop masses in window and sidebands, by sample."""
    where = window_with(WIDTH)
    samples = {**QCD, "signal": (SIGNAL,), "simulation": ("qcd_alt",)}
    return selected_events(samples, where.lower[0], where.upper[1], overrides=GROOMED)


@cache
def whole_spectra() -> dict[str, EventTable]:
    """Selected events with soft-drop masses in the fit range, by sample."""
    return selected_events(
        {name: (name,) for name in HUNDRED_THOUSAND}, *load_config().scan.fit_range, overrides=GROOMED
    )


def with_drift(table: EventTable, drift: str) -> EventTable:
    """Change the features."""
    columns = {name: table.column(name).astype(np.float64) for name in FEATURES}
    return table.replaced({name: c.astype(np.float32) for name, c in DRIFTS[drift](columns, table.mjj).items()})


@cache
def drifted(sample: str, drift: str) -> EventTable:
    """Events of a sample with a drift of their features."""
    return with_drift(events()[sample], drift)


def measure(point: Point) -> Point:
    """Measure what the point asks for."""
    kinds = {"closure": closure, "independent": independent, "sensitivity": sensitivity, "counts": counts}
    return kinds[point["kind"]](point)


def closure(point: Point) -> Point:
    """AUC of window against template, out of fold, without signal."""
    samples = Samples(drifted(point["data"], point["drift"]))
    seed = np.random.SeedSequence(1)
    training = METHODS[point["method"]].contrast(samples, window_with(WIDTH), FEATURES, random_state=seed)
    return {"auc": round(auc_of_labels(training), 4)}


def independent(point: Point) -> Point:
    """AUC of window against template on events that trained neither trees nor flow, without signal; mean of two."""
    tables, simulation = [drifted(name, point["drift"]) for name in PAIR], drifted("simulation", point["drift"])
    if point["method"] == "lacathode":
        areas = [_latent_area(*pair) for pair in (tables, tables[::-1])]
    else:
        method, seed = METHODS[point["method"]], np.random.SeedSequence(1)
        half = np.arange(len(simulation)) % len(tables)
        samples = [Samples(one, simulation.select(half == number)) for number, one in enumerate(tables)]
        sets = [method.contrast(one, window_with(WIDTH), FEATURES, random_state=seed) for one in samples]
        areas = []
        for training, test in (sets, sets[::-1]):
            score = CLOSING.fit(training, random_state=seed).predict(test.X).mean(axis=1)
            areas.append(area(score, test))
    n_window = np.mean([window_with(WIDTH).in_signal(one.mjj).sum() for one in tables])
    n_template = np.mean([len(one) for one in tables]) - n_window
    if point["method"] == "salad":
        n_template = window_with(WIDTH).in_signal(simulation.mjj).sum() / len(tables)
    error = ((1 / n_window + 1 / n_template) / (12 * len(tables))) ** 0.5
    return {"auc": round(float(np.mean(areas)), 4), "auc_error": round(float(error), 4)}


def _latent_area(first: EventTable, second: EventTable) -> float:
    """Tell the window of a second sample from normal numbers, with the flow and the trees of a first one."""
    where, rng = window_with(WIDTH), np.random.default_rng(1)
    model = LaCATHODE().fit(Samples(first), where, FEATURES, CLOSING, np.random.SeedSequence(1))
    assert isinstance(model, LatentModel)
    inside = second.select(where.in_signal(second.mjj))
    X = inside.matrix(FEATURES).astype(np.float64)
    defined = np.isfinite(X).all(axis=1)
    latent = model.density.to_latent(X[defined], inside.mjj[defined], random_state=rng)
    normal = rng.normal(size=(4 * len(latent), len(FEATURES)))
    one, other = (model.classifier.predict(rows.astype(np.float32)).mean(axis=1) for rows in (latent, normal))
    return roc_curve(one, other).auc


def auc_of_labels(training: TrainingSet) -> float:
    """AUC of the two classes of a training set, in folds by event."""
    fold, scores = assign_folds(training.group, N_FOLDS, random_state=1), np.zeros(len(training.y))
    for left_out in range(N_FOLDS):
        inside = fold == left_out
        model = CLOSING.fit(training.rows(~inside), random_state=np.random.SeedSequence(left_out))
        scores[inside] = model.predict(training.X[inside]).mean(axis=1)
    return area(scores, training)


def area(scores: NDArray[Any], training: TrainingSet) -> float:
    """AUC of scores of the rows of a training set."""
    parts = [(scores[training.y == k], training.sample_weight[training.y == k]) for k in (1, 0)]
    (data, weight), (template, template_weight) = parts
    return roc_curve(data, template, signal_weight=weight, background_weight=template_weight).auc


def sensitivity(point: Point) -> Point:
    """SIC of one method on one draw of hidden signal."""
    where, best = window_with(WIDTH), load_config(preset="best").learning.classifier
    tables = {"data": drifted(WITH_SIGNAL, point["drift"]), "signal": drifted("signal", point["drift"])}
    data, held_out = inject(tables, where, point["draw"], point["strength"])
    task = FoldTask(where, 0, N_FOLDS, FEATURES, METHODS[point["method"]], BoostedTrees(best, 5), 100 + point["draw"])
    roc = separations([task], Benchmark(Samples(data, None, (SIGNAL,)), held_out), Serial())[0].signal
    eps_s = float(np.interp(1e-2, roc.background, roc.signal))
    eps_b = float(np.interp(0.5, roc.signal, roc.background))
    return {"sic": round(eps_s / 0.1, 3), "sic_half": round(0.5 / max(eps_b, 1e-5) ** 0.5, 3)}


def counts(point: Point) -> Point:
    """Measure z of every selection and the excess over the background, by strategy and thresholds; trained once."""
    data = SearchData(with_drift(whole_spectra()[point["data"]], point["drift"]))
    scan = RegionScan.from_config(searched(point["method"], *COUNTING[-1]).scan)
    window, edges = scan.windows[0], scan.edges(scan.windows[0])
    fit = train_folds(fold_tasks(window, edges, searched(point["method"], *COUNTING[-1]), 0), data)
    found: Point = {}
    for counting in COUNTING:
        config = searched(point["method"], *counting)
        passes = working_points(fit, window, data.table, config)
        result = evaluate_window(data, window, edges, passes, (), config, limits=False)
        for one in result.selections[1:]:
            excess = (one.n_obs or 0) / one.background - 1 if one.background else None
            z = None if one.discovery is None else round(one.discovery.z, 3)
            found[", ".join((*counting, one.name))] = [z, None if excess is None else round(excess, 4)]
    return found


def searched(method: str, strategy: str, reference: str) -> SearchConfig:
    """Configuration of a search of 3.3 to 3.7 TeV."""
    learning = {
        "n_members": 3,
        "features": list(FEATURES),
        "method": method,
        "efficiencies": [0.1, 0.01],
        "threshold_reference": reference,
    }
    overrides = {
        "learning": learning,
        "scan": {"windows": [[3300.0, 3700.0]]},
        "background": {"strategy": strategy},
        "statistics": {"calculator": "asymptotics"},
    }
    return load_config(preset="best", overrides=overrides)


def points(draws: int) -> list[Point]:
    """All points, in rounds of one sample and one draw of signal."""
    cells = [(method, drift, s) for s in STRENGTHS for drift in ("none", "full", "quadratic") for method in SEARCHED]
    cells += [("curtains, 4 copies", drift, 1.0) for drift in ("none", "full")]
    keys = ("method", "drift", "strength", "draw")
    closures = [
        [{"kind": "closure", "method": m, "drift": drift, "data": data} for drift in DRIFTS for m in TEMPLATES]
        for data in QCD
    ]
    signals = [
        [{"kind": "sensitivity", **dict(zip(keys, (*cell, draw), strict=True))} for cell in cells]
        for draw in range(draws)
    ]
    spectra = [
        [{"kind": "counts", "method": "curtains", "drift": drift, "data": data} for drift in ("none", "full")]
        for data in HUNDRED_THOUSAND
    ]
    rounds = zip_longest(closures, signals, spectra[::2], spectra[1::2], fillvalue=[])
    others = [
        {"kind": "independent", "method": method, "drift": drift}
        for drift in ("tau21", "quadratic", "none")
        for method in WITH_FLOWS
    ]
    others += [{"kind": "independent", "method": "salad", "drift": drift} for drift in DRIFTS]
    return [point for parts in rounds for part in parts for point in part] + others


def of_kind(finished: list[Point], kind: str, **values: Any) -> list[Point]:
    """Points of a kind with given values."""
    wanted = {"kind": kind, **values}
    return [p for p in finished if all(p.get(key) == value for key, value in wanted.items())]


@study(minutes=20.0)
@click.option("--draws", type=int, default=5, show_default=True)
def main(budget: Budget, draws: int) -> None:
    """Run the study and print one line per method and drift."""
    finished = run(NAME, points(draws), measure, budget)
    for method in METHODS:
        for drift in DRIFTS:
            if found := of_kind(finished, "closure", method=method, drift=drift):
                auc = np.array([p["auc"] for p in found])
                click.echo(f"closure {method:24} {drift:10} AUC {auc.mean():.4f}, {auc.tolist()}")
            for strength in STRENGTHS:
                if found := of_kind(finished, "sensitivity", method=method, drift=drift, strength=strength):
                    sic, half = (np.median([p[key] for p in found]) for key in ("sic", "sic_half"))
                    click.echo(f"S/sqrt(B) {strength:g} {method:20} {drift:10} SIC {sic:.2f}, {half:.2f}, {len(found)}")
    for point in of_kind(finished, "independent"):
        click.echo("independent {method:15} {drift:10} AUC {auc} +- {auc_error}".format(**point))
    for drift in DRIFTS:
        found = of_kind(finished, "counts", drift=drift)
        for name in (f"{', '.join(counting)}, {cut}" for counting in COUNTING for cut in ("eff_0.1", "eff_0.01")):
            if z := [p[name][0] for p in found if p[name][0] is not None]:
                excess = np.mean([p[name][1] for p in found])
                click.echo(
                    f"{drift:10} {name:45} z {np.mean(z):+.2f}, {np.std(z, ddof=1):.2f}, {excess:+.3f}, {len(z)}"
                )


if __name__ == "__main__":
    main()
