"""Figures look the same wherever they are drawn."""

from __future__ import annotations

from typing import get_args

import matplotlib as mpl

from analysis.config import StyleName
from analysis.plots.style import figure_style

LOOK = ("xaxis.labellocation", "yaxis.labellocation", "xtick.top", "ytick.right")
"""What a reader sees at once."""


def test_settings_of_a_matplotlibrc_do_not_reach_a_figure() -> None:
    """One lies in the current folder of a results folder of somebody else; LaTeX can read files and run programs."""
    with mpl.rc_context({"text.usetex": True, "text.latex.preamble": r"\input{secret}", "lines.markersize": 40}):
        with figure_style():
            assert not mpl.rcParams["text.usetex"]
            assert mpl.rcParams["text.latex.preamble"] == ""
            assert mpl.rcParams["lines.markersize"] < 40
        assert mpl.rcParams["text.usetex"]


def test_the_plain_style_is_that_of_no_experiment() -> None:
    looks = {}
    for name in get_args(StyleName):
        with figure_style(name):
            looks[name] = [mpl.rcParams[key] for key in LOOK]
    plain = looks.pop("plain")
    assert all(theirs != ours for look in looks.values() for theirs, ours in zip(look, plain, strict=True))
