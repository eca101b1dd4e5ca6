"""`cwola` alone says where to start, and lists every command once."""

from __future__ import annotations

import re
from collections import Counter

import click
import pytest
from click.testing import CliRunner

from analysis.cli import cli
from analysis.cli.overview.groups import GROUPS, GroupedCommands


def test_every_command_is_in_one_group() -> None:
    assert Counter(name for group in GROUPS.values() for name in group) == Counter(list(cli.commands))


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_the_help_names_the_first_commands_and_all_others_by_purpose(arguments: list[str]) -> None:
    text = CliRunner().invoke(cli, arguments, terminal_width=80).output
    first = [text.index(part) for part in ("Search:", "Start here:", "cwola demo FOLDER", "docs/own-files.md")]
    assert first == sorted(first)
    assert first[1] > len(text) - 800  # seen on a terminal of 24 lines
    assert [title for title in GROUPS if f"\n{title}:\n" in text] == list(GROUPS)
    listed = re.findall(r"^  ([a-z0-9]+) {2,}[A-Z]", text, re.MULTILINE)
    assert sorted(listed) == sorted(cli.commands)
    assert max(map(len, text.splitlines())) <= 80


def test_the_first_commands_exist_with_their_options() -> None:
    text = CliRunner().invoke(cli, []).output
    shown = re.findall(r"^  cwola ([a-z]+)( --[a-z]+)?", text, re.MULTILINE)
    assert [name for name, _ in shown] == ["demo", "inspect", "run", "status"]
    for name, option in shown:
        declared = {one for parameter in cli.commands[name].params for one in parameter.opts}
        assert not option or option.strip() in declared


def test_a_command_without_a_group_is_listed_too() -> None:
    group = GroupedCommands("cwola", commands={"new": click.Command("new", help="Do something new.")})
    text = CliRunner().invoke(group, ["--help"]).output
    assert re.search(r"Others:\n  new +Do something new\.", text)
    assert "\nSearch:\n" not in text
