"""Figures look the same wherever they are drawn."""

from __future__ import annotations

import matplotlib as mpl

from analysis.plots.style import figure_style


def test_settings_of_a_matplotlibrc_do_not_reach_a_figure() -> None:
    """One lies in the current folder of a results folder of somebody else; LaTeX can read files and run programs."""
    with mpl.rc_context({"text.usetex": True, "text.latex.preamble": r"\input{secret}", "lines.markersize": 40}):
        with figure_style():
            assert not mpl.rcParams["text.usetex"]
            assert mpl.rcParams["text.latex.preamble"] == ""
            assert mpl.rcParams["lines.markersize"] < 40
        assert mpl.rcParams["text.usetex"]
