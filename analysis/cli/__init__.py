"""Command line: `commands` assembles the commands and options of the other modules."""

from analysis.cli.commands import cli, main

__all__ = ["cli", "main"]
