"""The public surface: names in `__all__`, commands, and what may be imported when."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

import analysis
import processors
from analysis.cli import cli

MODULES = sorted(
    module.name
    for package in (analysis, processors)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
)

HEAVY = {"awkward", "coffea", "matplotlib", "pyarrow", "pyhf", "scipy", "uproot", "xgboost"}


def imported_by(statement: str) -> set[str]:
    script = f"import sys; {statement}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize("name", MODULES)
def test_every_promised_name_exists_and_is_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    for public in module.__all__:
        value = getattr(module, public)
        if callable(value) and getattr(value, "__module__", "").startswith(("analysis", "processors")):
            assert value.__doc__


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_every_command_explains_itself(command: str) -> None:
    outcome = CliRunner().invoke(cli, [command, "--help"])
    assert outcome.exit_code == 0
    assert len(outcome.output.splitlines()) > 4


def test_help_loads_nothing_heavy() -> None:
    assert not HEAVY & imported_by("import analysis.cli")


def test_search_and_statistics_need_neither_coffea_nor_matplotlib_nor_jax() -> None:
    assert not {"coffea", "uproot", "awkward", "matplotlib", "jax"} & imported_by("import analysis.search.scan")


def test_a_report_needs_matplotlib_only_when_it_is_written() -> None:
    assert "matplotlib" not in imported_by("import analysis.report")


def test_the_version_of_the_package_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert version("cwola-dijet") == analysis.__version__
