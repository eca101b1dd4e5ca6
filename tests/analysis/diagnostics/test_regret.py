"""Regret over signals from measured trainings, as tables and files show it."""

from __future__ import annotations

from rich.console import Console

from analysis.cli.tables.methods import regret_table
from analysis.diagnostics.method_values import MethodResult, TrainedMethod, method_regrets
from analysis.diagnostics.regret import Regret, regrets
from analysis.results.numbers import NOTHING
from tests.builders.toy_tables import WINDOW

FOUND = {
    "w": {"two": [0.4, 0.6], "three": [1.0, 1.0], "blind": [2.0, None], "unfinished": [0.1]},
    "z": {"two": [3.0, 3.0], "three": [1.0, 2.0], "blind": [None, None]},
    "hopeless": {"two": [None, None], "three": [None, None], "blind": [None, None]},
}


def test_regret_has_the_mean_of_the_trainings_and_its_worst_signal() -> None:
    assert regrets(FOUND) == (
        Regret(classifier="two", by_signal={"w": 1.0, "z": 2.0}, worst=2.0),
        Regret(classifier="three", by_signal={"w": 2.0, "z": 1.0}, worst=2.0),
        Regret(classifier="blind", by_signal={"w": None, "z": None}, worst=None),
    )
    assert regrets({}) == ()
    nothing = regrets({"hopeless": FOUND["hopeless"]})
    assert [(one.by_signal, one.worst) for one in nothing] == [({}, None)] * 3


def trained(method: str, signal: str, sigma_min: float) -> MethodResult:
    done = TrainedMethod(sic=(1.0, 1.0), auc=0.6, window_sideband_auc=0.5, sigma_min=sigma_min, cpu_seconds=1.0)
    return MethodResult(method=method, signal=signal, window=WINDOW, n_held_out=9, n_hidden=9, trainings=(done,))


def test_methods_that_know_the_truth_are_no_choice() -> None:
    values = {"cwola": (2.0, 1.0), "salad": (1.0, 3.0), "supervised": (0.1, 0.1)}
    results = [
        trained(name, signal, value) for name, pair in values.items() for signal, value in zip("ab", pair, strict=True)
    ]
    found = {one.classifier: one.worst for one in method_regrets(results, left_out=("supervised",))}
    assert found == {"cwola": 2.0, "salad": 3.0}


def test_the_table_names_signals_and_the_worst() -> None:
    console = Console(width=120)
    table = regret_table(regrets(FOUND))
    assert table is not None
    with console.capture() as captured:
        console.print(table)
    lines = [line.split() for line in captured.get().splitlines() if line.strip()]
    assert ["Classifier", "w", "z", "worst"] in lines
    assert ["two", "1.00", "2.00", "2.00"] in lines
    assert [line[0] for line in lines if line[-1] == NOTHING] == ["blind"]
    assert regret_table(regrets({"w": FOUND["w"]})) is None
    assert regret_table(regrets({name: {"two": one["two"]} for name, one in FOUND.items()})) is None
