"""Weights and labels as published, and trained scores against the closed-form minimiser of each loss.

The feature takes six values, so trees can reach the minimiser in every cell: f / (1 - f) is the ratio of the total
weights of the two classes there. The minimisers follow from the losses of arXiv:2009.02205 (eq. 2.1 and 2.3).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.config import ClassifierConfig
from analysis.errors import TableError, WindowError
from analysis.events.identity import event_hash
from analysis.events.table import EventTable
from analysis.learning import BoostedTrees, Method, Samples, TrainingSet
from analysis.methods import SALAD, CWoLa, DataVsSimulation, Idealised, SACWoLa, Supervised
from tests.builders.toy_tables import WINDOW, table_of

N_CELLS = 6
PLACES = {"window": 3500.0, "low": 3200.0, "high": 3800.0}
FLEXIBLE = BoostedTrees(
    ClassifierConfig(
        n_estimators=150, learning_rate=0.2, max_depth=3, min_child_weight=0.0, subsample=1.0, reg_lambda=0.0
    ),
    1,
)
SEED = np.random.SeedSequence(3)


def density(tilt: float, bump: float = 0.0) -> np.ndarray:
    cells = np.arange(N_CELLS)
    found = np.exp(tilt * cells) + bump * (cells == 4)
    return found / found.sum()


DATA = {"window": density(-0.3), "low": density(-0.4), "high": density(-0.2)}
SIMULATION = {"window": density(-0.2), "low": density(-0.35), "high": density(-0.05)}
SIGNAL = density(0.0, bump=8.0)
FRACTION = 0.05
DATA_WINDOW = (1 - FRACTION) * DATA["window"] + FRACTION * SIGNAL
TOTALS = {"window": 50.0, "low": 400.0, "high": 10.0}


def table(parts: list[tuple[str, np.ndarray, float, str]], number: int, copies: int = 4) -> EventTable:
    """Rows of equal number in every cell, whose weights make up the densities."""
    cell = np.tile(np.arange(N_CELLS), copies * len(parts))
    size = copies * N_CELLS
    return table_of(
        np.repeat([PLACES[place] for place, *_ in parts], size),
        cell[:, None].astype(np.float32),
        weight=np.concatenate([np.tile(share * total / copies, copies) for _, share, total, _ in parts]),
        dataset=np.repeat(np.array([name for *_, name in parts], object), size),
        event_id=event_hash(number, np.arange(size * len(parts))),
    )


def samples(copies: int = 4) -> Samples:
    data = [(place, share, TOTALS[place], "background") for place, share in DATA.items()]
    data[0] = ("window", DATA["window"], (1 - FRACTION) * TOTALS["window"], "background")
    data.append(("window", SIGNAL, FRACTION * TOTALS["window"], "signal"))
    simulation = [(place, share, 3 * TOTALS[place] ** 0.5, "simulation") for place, share in SIMULATION.items()]
    return Samples(table(data, 1, copies), table(simulation, 2, copies), ("signal",))


def contrast(method: Method, given: Samples | None = None) -> TrainingSet:
    return method.contrast(given or samples(), WINDOW, ("x0",), random_state=SEED)


def trained_odds(method: Method, given: Samples | None = None) -> np.ndarray:
    model = FLEXIBLE.fit(contrast(method, given), random_state=SEED)
    score = model.predict(np.arange(N_CELLS, dtype=np.float32)[:, None])[:, 0].astype(np.float64)
    return score / (1 - score)


def sidebands(part: dict[str, np.ndarray]) -> np.ndarray:
    return (part["low"] + part["high"]) / 2


def sa_cwola(factor: float) -> np.ndarray:
    top = DATA_WINDOW + factor * sidebands(SIMULATION)
    return np.asarray(top / (sidebands(DATA) + factor * SIMULATION["window"]))


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (CWoLa(), DATA_WINDOW / sidebands(DATA)),
        (SACWoLa(0.5), sa_cwola(0.5)),
        (SACWoLa(1.0), sa_cwola(1.0)),
        (SACWoLa(2.0), sa_cwola(2.0)),
        (DataVsSimulation(), DATA_WINDOW / SIMULATION["window"]),
        (Supervised(), SIGNAL / DATA["window"]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_scores_reach_the_minimiser_of_the_loss(method: Method, expected: np.ndarray) -> None:
    np.testing.assert_allclose(trained_odds(method), expected, rtol=0.003)


def test_salad_reaches_its_minimiser_with_weights_interpolated_to_the_window() -> None:
    """log w = mean of those of the sidebands at the middle, 3500 GeV: tilts of -0.05 and -0.15, so -0.1."""
    log_weight = -0.1 * np.arange(N_CELLS)
    template = SIMULATION["window"] * np.exp(log_weight)
    expected = DATA_WINDOW / (template / template.sum())
    odds = trained_odds(SALAD(reweighter=FLEXIBLE), samples(copies=1500))
    np.testing.assert_allclose(odds, expected, rtol=0.03)
    assert abs(odds / (DATA_WINDOW / SIMULATION["window"]) - 1).max() > 0.2


def test_without_signal_the_template_of_salad_is_the_background_of_data() -> None:
    given = samples(copies=1500)
    held_out = table([("window", SIMULATION["window"], 6.0, "s"), ("low", SIMULATION["low"], 5.0, "s")], 9, 50)
    left_out = Samples(given.data, held_out)
    rows = SALAD(reweighter=FLEXIBLE).template(given, left_out, WINDOW, ("x0",), random_state=SEED)
    assert set(rows.group) == set(held_out.event_id[WINDOW.in_signal(held_out.mjj)])
    assert rows.weight.sum() == pytest.approx(6.0)
    cells = rows.X[:, 0].astype(int)
    np.testing.assert_allclose(np.bincount(cells, rows.weight, N_CELLS) / 6.0, DATA["window"], rtol=0.03)


@pytest.mark.parametrize("method", [Idealised(), Idealised(halves=True)], ids=["all", "halves"])
def test_idealised_reaches_the_odds_of_window_and_pure_background(method: Method) -> None:
    odds = trained_odds(method, samples(copies=4000))
    np.testing.assert_allclose(odds, DATA_WINDOW / DATA["window"], rtol=0.06)


def test_halves_of_the_background_are_independent() -> None:
    training = contrast(Idealised(halves=True))
    assert set(training.group[training.y == 0]).isdisjoint(training.group[training.y == 1])


def test_idealised_has_all_the_background_in_both_classes() -> None:
    """The window as it is; of n events n / e have no copy, and those with k copies are n / (e k!) (Poisson)."""
    given = samples(copies=2000)
    training = contrast(Idealised(), given)
    data = given.data
    inside = WINDOW.in_signal(data.mjj)
    one, zero = (training.y == label for label in (1, 0))
    np.testing.assert_array_equal(np.sort(training.group[one]), np.sort(data.event_id[inside]))
    order, own = np.argsort(training.group[one]), np.argsort(data.event_id[inside])
    ratio = training.sample_weight[one][order] / data.weight[inside][own]
    np.testing.assert_allclose(ratio, ratio[0])
    assert training.sample_weight[zero].sum() == pytest.approx(training.sample_weight[one].sum())
    background = inside & ~given.is_signal()
    drawn = dict(zip(training.group[zero].tolist(), training.sample_weight[zero].tolist(), strict=True))
    assert set(drawn) <= set(data.event_id[background].tolist())
    relative = np.array([drawn.get(event, 0.0) for event in data.event_id[background].tolist()])
    relative /= data.weight[background]
    copies = np.rint(relative / relative[relative > 0].min()).astype(int)
    np.testing.assert_allclose(relative, copies * relative[relative > 0].min(), rtol=1e-9)
    n = background.sum()
    for k in range(4):
        expected = n / np.e / (1, 1, 2, 6)[k]
        assert abs((copies == k).sum() - expected) < 4 * np.sqrt(expected)


def test_window_and_template_of_idealised_differ_by_the_fluctuations_of_all_events() -> None:
    """Variance of the weight of n events in a cell of the template: n, in units of one event; 4 n with halves."""
    given = samples(copies=400)
    cells = np.arange(N_CELLS)
    for method, variance in ((Idealised(), 1.0), (Idealised(halves=True), 4.0)):
        spread = []
        for seed in range(60):
            training = method.contrast(given, WINDOW, ("x0",), random_state=np.random.SeedSequence(seed))
            sums = [
                np.bincount(training.X[rows, 0].astype(int), training.sample_weight[rows], N_CELLS)
                for rows in (training.y == 1, training.y == 0)
            ]
            spread.append(np.log(sums[0] / sums[1]))
        # 400 events in each of six cells; normalised to their sum, 5/6 of the variance is left.
        found = np.var(spread, axis=0).mean() * 400 / (5 / 6)
        assert found == pytest.approx(variance, rel=0.25), cells


def test_one_event_without_a_copy_is_no_template() -> None:
    given = table([("window", SIGNAL, 1.0, "signal"), ("window", DATA["window"], 1.0, "background")], 5, 1)
    alone = Samples(given.select(np.arange(len(given)) <= N_CELLS), None, ("signal",))
    refused = 0
    for seed in range(20):
        try:
            Idealised().contrast(alone, WINDOW, ("x0",), random_state=np.random.SeedSequence(seed))
        except WindowError as error:
            assert "1 events, of background in the window of window 3300-3700 GeV, are too few" in str(error)  # noqa: PT017
            refused += 1
    assert 1 < refused < 15  # 20 / e are expected


def test_at_zero_sa_cwola_is_cwola() -> None:
    parts = []
    for method in (CWoLa(), SACWoLa(0.0)):
        training = contrast(method)
        order = np.argsort(training.group)
        parts.append([training.group[order], training.y[order], training.sample_weight[order]])
    for plain, assisted in zip(*parts, strict=True):
        np.testing.assert_allclose(assisted, plain)


@pytest.mark.parametrize("factor", [0.3, 1.0, 2.0])
def test_labels_of_simulation_are_swapped_and_sums_as_published(factor: float) -> None:
    given = samples()
    training = contrast(SACWoLa(factor), given)
    scale = 1.0
    for sample, label, total in ((given.data, 1, 1.0), (given.simulation, 0, factor)):
        for place, share in (("window", 1.0), ("low", 0.5), ("high", 0.5)):
            rows = np.isin(training.group, sample.event_id[sample.mjj == PLACES[place]])
            own = label if place == "window" else 1 - label
            assert (training.y[rows] == own).all()
            found = training.sample_weight[rows].sum()
            scale = found if (label, place) == (1, "window") else scale
            assert found / scale == pytest.approx(total * share)


def test_sa_cwola_is_blind_at_one_where_simulation_is_right_and_there_is_no_signal() -> None:
    """Without signal, and with simulation like data, the minimiser at lambda = 1 is 1/2 everywhere."""
    right = [table([(place, share, 30.0, "background") for place, share in DATA.items()], number) for number in (1, 2)]
    given = Samples(right[0], right[1])
    np.testing.assert_allclose(trained_odds(SACWoLa(1.0), given), 1.0, atol=1e-4)
    assert abs(trained_odds(SACWoLa(0.5), given) - 1).max() > 0.01


@pytest.mark.parametrize("method", [SACWoLa(), SALAD(reweighter=FLEXIBLE), DataVsSimulation()], ids=lambda m: m.name)
def test_negative_weights_of_simulation_keep_the_sum_of_their_region(method: Method) -> None:
    """Simulation with an event of weight -w at every event of weight 2w trains as one of weight w would."""
    given = samples(copies=200)
    plain = given.simulation
    assert plain is not None
    columns = [plain.mjj, plain.matrix(("x0",)), plain.weight, plain.event_id]
    mjj, X, weight, identity = (np.concatenate([column, column]) for column in columns)
    n = len(plain)
    signed = table_of(
        mjj, X, weight=np.where(np.arange(2 * n) < n, 2.0, -1.0) * weight, event_id=identity + (np.arange(2 * n) >= n)
    )
    np.testing.assert_allclose(
        trained_odds(method, replace(given, simulation=signed)), trained_odds(method, given), rtol=0.05
    )


@pytest.mark.parametrize("method", [SACWoLa(), SALAD(), DataVsSimulation()], ids=lambda m: m.name)
def test_simulation_that_is_missing_is_asked_for(method: Method) -> None:
    with pytest.raises(TableError, match="needs simulated background: add datasets of kind background"):
        contrast(method, replace(samples(), simulation=None))


@pytest.mark.parametrize("method", [SACWoLa(), SALAD(), DataVsSimulation()], ids=lambda m: m.name)
def test_simulation_without_events_in_the_window_is_named(method: Method) -> None:
    given = samples()
    assert given.simulation is not None
    beside = given.simulation.select(given.simulation.mjj < 3300)
    with pytest.raises(WindowError, match="window 3300-3700 GeV: no events of simulation to train on in the window"):
        contrast(method, replace(given, simulation=beside))


@pytest.mark.parametrize("method", [Idealised(), Supervised()], ids=lambda m: m.name)
def test_truth_of_real_data_is_refused(method: Method) -> None:
    assert method.uses_truth
    with pytest.raises(TableError, match="real data do not have"):
        contrast(method, replace(samples(), signal_datasets=None))


def test_closure_is_near_one_after_reweighting() -> None:
    found = SALAD().closure(samples(copies=1500), WINDOW, ("x0",), random_state=SEED)
    assert set(found) == {"lower sideband", "upper sideband"}
    before, after = np.array([values["x0"] for values in found.values()]).T
    assert (after < before / 3).all()
