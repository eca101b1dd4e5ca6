"""Options that describe the simulated files of one sample."""

from __future__ import annotations

import click

__all__ = ["POSITIVE", "format_option", "generated_option", "tree_option"]

POSITIVE = click.FloatRange(0, min_open=True)
"""Type of cross-sections, luminosities and sums of weights."""

format_option = click.option(
    "--format", "format_name", metavar="NAME", help="Format of the files.  [default: detected]"
)

tree_option = click.option("--tree", metavar="NAME", help="Tree of the events.  [default: tree of the format]")

generated_option = click.option(
    "--generated",
    "n_generated",
    type=POSITIVE,
    metavar="NUMBER",
    help="Sum of generator weights before any cut, for files that do not record it.",
)
