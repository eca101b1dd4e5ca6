"""Colours of the configuration reach every figure."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from analysis.config import load_config
from analysis.errors import ConfigError
from analysis.limits.values import LimitsFile
from analysis.plots import FigureSources, figure_style
from analysis.plots.catalogue import result_figures
from analysis.plots.style import COLORS
from tests.builders import classifier_documents as classifier
from tests.builders import diagnostic_documents as diagnostics
from tests.builders import overviews
from tests.builders.calibrations import calibrated
from tests.builders.cutflows import CUTFLOW, N_MINUS_ONE
from tests.builders.limit_documents import map_of, masses, scan_of, sensitivity_of, signal
from tests.builders.results import results_of
from tests.builders.toy_tables import dijet_masses
from tests.builders.triggered import measured_turn_on
from tests.builders.windows import sources_of

OTHERS = ("#0072b2", "#e69f01", "#d55e02", "#cc79a7", "#56b4e9", "#009e73")


def searched() -> FigureSources:
    rng = np.random.default_rng(3)
    mjj = np.concatenate([dijet_masses(12_000, rng), rng.normal(3500.0, 60.0, overviews.N_SIGNAL)])
    hidden = np.arange(len(mjj)) >= 12_000
    known = {"mjj": mjj, "signal": hidden, "selected": hidden | (rng.random(len(mjj)) < overviews.EFFICIENCY)}
    first, second = (overviews.evaluated(known, low) for low in (3300.0, 3700.0))
    return sources_of(calibrated(first), second)


def limited() -> FigureSources:
    limits = tuple(one for mass in (3000.0, 3700.0) for one in signal(f"s_{mass:g}", mass / 100, masses(mass, 400.0)))
    scan = replace(scan_of("s_3000"), maps=(map_of(0.0), map_of(30.0)))
    return FigureSources(injections=LimitsFile(limits=limits, injections=(scan,), sensitivity=(sensitivity_of(),)))


def diagnosed() -> FigureSources:
    curves = {
        "performance": classifier.curve(),
        "ensemble": classifier.members(),
        "importance": classifier.shares("mj1", "x_1"),
    }
    return FigureSources(diagnostics=[replace(diagnostics.window(), **curves)])


def others() -> FigureSources:
    point = overviews.sample("point", None, overviews.limited("eff_0.1", 1.0, overviews.impacts(6)))
    verdicts = [overviews.verdict("3300-3700", np.random.default_rng(2).normal(size=200))]
    results = results_of(cutflow=CUTFLOW, n_minus_one=N_MINUS_ONE, signals=[point])
    return FigureSources(results, validation=verdicts, turn_on=measured_turn_on())


@pytest.mark.parametrize("made", [searched, limited, diagnosed, others])
def test_no_figure_keeps_a_colour_of_its_own(made: Callable[[], FigureSources]) -> None:
    drawn = {}
    for sketch in result_figures(made()):
        with figure_style("cms", OTHERS):
            file = io.StringIO()
            sketch.draw()[0].savefig(file, format="svg")
        drawn[sketch.stem] = file.getvalue().lower()
    assert drawn
    assert {stem: found for stem, text in drawn.items() if (found := [one for one in COLORS if one in text])} == {}
    assert any(one in text for text in drawn.values() for one in OTHERS)


@pytest.mark.parametrize(
    ("colors", "message"),
    [
        (["red"] * 6, r"plots.colors.0: .*pattern"),
        (OTHERS[:5], "list 6 different colours or more, or none"),
        ([*OTHERS[:5], OTHERS[0].upper()], "list 6 different colours or more, or none"),
    ],
)
def test_bad_colours_are_refused_with_their_key(colors: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(overrides={"plots": {"colors": colors}})


def test_the_default_is_as_before() -> None:
    assert load_config().plots.colors == ()
    assert load_config(overrides={"plots": {"colors": OTHERS}}).plots.colors == OTHERS
