"""What figures call the searched events and the signals."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.config import PlotConfig
from analysis.plots import figure_style
from analysis.plots.drawing import draw_all
from analysis.plots.figure import Sketch
from analysis.plots.style import sample_name
from analysis.plots.words import Words, labels_by_masses, observed_label


class Drawing:
    """A figure with the words in use at the time of drawing."""

    def __call__(self) -> tuple[Figure, Axes]:
        figure = Figure()
        self.ax = figure.subplots()
        self.ax.plot([1, 2], label=observed_label())
        self.ax.set_xlabel(sample_name("one_two$"))
        return figure, self.ax


def drawn(folder: Path, words: Words | None, **config: str) -> Axes:
    drawing = Drawing()
    options = {} if words is None else {"words": words}
    draw_all([Sketch("f", drawing)], folder, PlotConfig(formats=("png",), **config), **options)
    return drawing.ax


@pytest.mark.parametrize("words", [None, Words()])
def test_data_are_observed_and_nothing_is_written_above_the_axes(tmp_path: Path, words: Words | None) -> None:
    ax = drawn(tmp_path, words, status="Preliminary")
    assert ax.get_lines()[0].get_label() == "Observed"
    assert ax.get_xlabel() == r"one two\$"
    assert not ax.texts


@pytest.mark.parametrize(
    ("config", "shown"),
    [
        ({}, ["", "Pseudodata"]),
        ({"status": "Preliminary"}, ["", "Pseudodata"]),  # a status of nobody
        ({"experiment_label": "CMS", "status": "Preliminary"}, ["CMS", "Preliminary Pseudodata"]),
    ],
)
def test_simulated_events_are_never_called_observed(tmp_path: Path, config: dict[str, str], shown: list[str]) -> None:
    ax = drawn(tmp_path, Words(True, {"one_two$": "A B"}), **config)
    assert ax.get_lines()[0].get_label() == "Pseudodata"
    assert ax.get_xlabel() == "A B"
    texts = [text.get_text() for text in ax.get_figure().findobj(lambda one: hasattr(one, "get_text"))]
    assert all(text in texts for text in shown)
    with figure_style():
        assert observed_label() == "Observed"


def test_signals_are_named_by_their_masses_if_these_tell_them_apart() -> None:
    abc = {"A": 3500.0, "B": 500.0, "C": 100.0}
    found = labels_by_masses({"one": abc, "two": abc | {"A": 4000.5}, "pair": {"A": 3000.0, "X": 1.0}, "none": {}})
    assert {name: label.replace("$", "").replace(r"\mathit", "") for name, label in found.items()} == {
        "one": "{A} (3500) → {B} (500) {C} (100)",
        "two": "{A} (4000.5) → {B} (500) {C} (100)",
    }
    assert labels_by_masses({"one": abc, "narrow": dict(abc)}) == {}


def test_labels_of_the_configuration_win(tmp_path: Path) -> None:
    ax = drawn(tmp_path, Words(False, {"one_two$": "A B"}), labels={"one_two$": "C"})
    assert ax.get_xlabel() == "C"
