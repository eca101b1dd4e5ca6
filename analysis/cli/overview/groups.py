"""Help of `cwola`: where to start, and the commands by their purpose."""

from __future__ import annotations

import click

__all__ = ["GROUPS", "GroupedCommands"]

_START = {
    "cwola demo FOLDER": "copy a demo, and see how to search it",
    "cwola inspect FILE.root": "get the entry of your file in datasets.json",
    "cwola run --config search.toml": "search the files of datasets.json",
    "cwola status": "see what is finished in results/",
}
"""First commands, in order."""

GROUPS: dict[str, dict[str, str]] = {
    "Search": {
        "run": "Run the whole search, with figures and a report.",
        "process": "Select events.",
        "scan": "Train and fit in all windows.",
        "status": "Show what is finished, running and stale.",
        "report": "Write the report as one HTML file.",
        "plot": "Draw figures, or compare several searches.",
        "select": "List the events that pass a selection.",
    },
    "Checks": {
        "validate": "Test the search on samples without signal.",
        "calibrate": "Correct p-values for retraining.",
        "twosample": "Test windows against the template of the method.",
        "turnon": "Measure the turn-on of the triggers.",
        "performance": "Measure the gain of each feature.",
        "compare": "Compare all methods on the same pseudodata.",
    },
    "Signals and limits": {
        "limit": "Set limits, with classifiers trained again.",
        "inject": "Show the significance of hidden signals.",
        "impacts": "Print limits and impacts of systematics.",
        "simulate": "Generate a sample with Pythia.",
        "grid": "Simulate, search and limit a grid of masses.",
    },
    "Other searches of a spectrum": {
        "fit": "Fit a spectrum, test a window and set a limit.",
        "bump3d": "Search cells of two features, without training.",
    },
    "Share": {
        "export": "Export HEPData tables, workspaces, classifiers.",
        "score": "Apply the classifiers of a search to events.",
        "reinterpret": "Set limits on your signal with an archived search.",
    },
    "Prepare": {
        "demo": "Copy the packaged demo.",
        "inspect": "Show the content of a ROOT file.",
        "datasets": "Make datasets.json of lists of files.",
        "convert": "Convert files of other formats.",
        "presets": "List the presets.",
        "trust": "List the plugins that may run, or add some.",
    },
}
"""Commands and what they do in a few words, by purpose."""

_DOCUMENTATION = (
    "Documentation: docs/index.md in the source; docs/first-result.md takes five minutes, docs/own-files.md goes on "
    "with files of your own. `cwola COMMAND --help` lists the options of a command."
)


class GroupedCommands(click.Group):
    """Group of commands whose help says where to start, and lists the commands by their purpose."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by purpose."""
        known = {name for group in GROUPS.values() for name in group}
        others = {
            name: command.get_short_help_str()
            for name in self.list_commands(ctx)
            if name not in known and (command := self.get_command(ctx, name)) is not None
        }
        width = max(map(len, known))
        for title, group in {**GROUPS, "Others": others}.items():
            rows = [(name.ljust(width), text) for name, text in group.items() if name in self.commands]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the first commands at the end, where they are seen on a small terminal."""
        with formatter.section("Start here"):
            formatter.write_dl(list(_START.items()))
        formatter.write_paragraph()
        formatter.write_text(_DOCUMENTATION)
        super().format_epilog(ctx, formatter)
