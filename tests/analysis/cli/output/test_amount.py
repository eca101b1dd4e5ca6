"""--verbose, --quiet and --json of every command, and names that the shell completes."""

from __future__ import annotations

import json
import logging
import warnings
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from rich.table import Table
from rich.text import Text

from analysis.cli import cli
from analysis.cli.output.amount import add_output_options
from analysis.cli.output.console import open_console

PRESETS = Path(__file__).parents[4] / "analysis" / "presets"


@click.command()
def example() -> None:
    table = Table("window", "events\nabove", "z", title="Found [GeV]", caption=Text("one note"))
    table.add_row("3300-3700", "12", Text("−1.5"))
    table.add_row("[b]", "1e-3", "2.0 ± 0.1")
    console = open_console()
    console.print(table)
    console.print("A note: [GeV]")
    click.echo("A line")
    logging.getLogger("cwola").info("opened s3://user:password@host/file")


add_output_options(example)


def run(*arguments: str, command: click.Command = example, code: int = 0) -> tuple[str, str]:
    """Return what a command writes to the two streams, which click's own runner tells apart from 8.2 on only."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err, pytest.raises(SystemExit) as left:
        command.main(list(arguments), prog_name=command.name)
    assert left.value.code == code
    return out.getvalue(), err.getvalue()


def test_tables_and_notes_are_one_document_and_the_rest_is_beside_it() -> None:
    out, err = run("--json")
    table = {
        "title": "Found [GeV]",
        "columns": ["window", "events above", "z"],
        "data": [["3300-3700", 12, -1.5], ["[b]", 0.001, "2.0 ± 0.1"]],
        "caption": "one note",
    }
    assert json.loads(out) == {"command": "example", "tables": [table], "notes": ["A note: [GeV]"]}
    assert err == "A line\n"


def test_a_document_is_written_though_the_command_fails() -> None:
    @click.command()
    def failing() -> None:
        open_console().print("before")
        raise click.ClickException("no")

    add_output_options(failing)
    out, err = run("--json", command=failing, code=1)
    assert json.loads(out)["notes"] == ["before"]
    assert "no" in err


def test_quiet_prints_nothing_and_quiet_json_only_the_document() -> None:
    assert run("-q") == ("", "")
    out, err = run("--quiet", "--json")
    assert json.loads(out)["command"] == "example"
    assert err == ""


def test_verbose_shows_the_log_without_secrets_only_while_the_command_runs() -> None:
    before = logging.getLogger("cwola").handlers[:]
    out, err = run("-v")
    assert "A line" in out
    assert "opened s3://" in err
    assert "password" not in err
    assert logging.getLogger("cwola").handlers == before
    assert run()[1] == ""


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_has_the_options_once(name: str) -> None:
    declared = [option for parameter in cli.commands[name].params for option in parameter.opts]
    assert [declared.count(option) for option in ("-v", "--verbose", "-q", "--quiet", "--json")] == [1] * 5


def test_presets_for_programs() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out, _ = run("presets", "--json", command=cli)
    assert json.loads(out)["notes"] == sorted(path.stem for path in PRESETS.glob("*.toml"))


def complete(arguments: list[str], incomplete: str) -> list[str]:
    found = ShellComplete(cli, {}, "cwola", "_CWOLA_COMPLETE").get_completions(arguments, incomplete)
    return [one.value for one in found]


def test_the_shell_completes_presets_and_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert complete(["run", "--preset"], "atlas") == ["atlas-2020", "atlas-2025"]
    assert complete(["run", "--exclude"], "") == []
    (tmp_path / "datasets.json").write_text('{"qcd_1": {}, "qcd_2": {}, "signal": {}}')
    (tmp_path / "other.json").write_text('{"data": {}}')
    assert complete(["run", "--exclude"], "qcd") == ["qcd_1", "qcd_2"]
    assert complete(["run", "--datasets", "other.json", "--exclude"], "") == ["data"]
    (tmp_path / "datasets.json").write_text("[1")
    assert complete(["process", "--exclude"], "") == []
