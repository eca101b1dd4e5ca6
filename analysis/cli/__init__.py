"""The command line: `commands` puts the groups of commands and options of the other modules together."""

from analysis.cli.commands import cli, main

__all__ = ["cli", "main"]
