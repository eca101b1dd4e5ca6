"""Files with which others pick the package up: recipes, containers, workflows and metadata agree with the package."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from analysis.cli import cli

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONTAINERS, WORKFLOWS = ROOT / "packaging" / "containers", ROOT / "packaging" / "workflows"

ON_CONDA = {"matplotlib": "matplotlib-base"}
"""Names on conda-forge where they differ: matplotlib itself brings a toolkit for windows."""


def check_command(line: str) -> None:
    """Parse a command of cwola, without a call; click raises for unknown commands, options and values."""
    name, *arguments = shlex.split(line)
    assert name == "cwola"
    context = cli.make_context("cwola", [*arguments], resilient_parsing=False)
    (command_name, command, rest) = cli.resolve_command(context, [*context._protected_args, *context.args])
    assert command is not None, command_name
    with command.make_context(command_name, rest, parent=context):
        pass


def test_the_conda_recipe_renders_and_needs_what_the_package_needs() -> None:
    text = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(
        (ROOT / "packaging" / "conda" / "meta.yaml").read_text()
    )
    recipe = yaml.safe_load(text.render(PYTHON="python"))
    assert (recipe["package"]["name"], recipe["package"]["version"]) == (PROJECT["name"], PROJECT["version"])
    assert recipe["build"]["entry_points"] == [f"{name} = {target}" for name, target in PROJECT["scripts"].items()]
    needed = {"python": SpecifierSet(PROJECT["requires-python"]), "py-xgboost": SpecifierSet(">=3.0")}
    for one in map(Requirement, PROJECT["dependencies"]):
        needed[ON_CONDA.get(one.name, one.name)] = one.specifier
    found = dict(entry.split(maxsplit=1) for entry in recipe["requirements"]["run"])
    assert {name: SpecifierSet(versions) for name, versions in found.items()} == needed
    assert (ROOT / "packaging" / "conda" / recipe["source"]["path"]).resolve() == ROOT
    assert (ROOT / recipe["about"]["license_file"]).is_file()
    for command in recipe["test"]["commands"]:
        if "--version" not in command:
            check_command(command)


def installed(text: str) -> Requirement:
    """The package with its extras, as a container installs it from a folder."""
    (found,) = re.findall(r"pip install --no-cache-dir '/opt/([\w-]+\[[\w,]+\])'", text)
    return Requirement(found)


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    lines = [line for line in dockerfile.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_containers_start_from_one_image_and_install_extras_that_exist() -> None:
    docker, apptainer = (CONTAINERS / "Dockerfile").read_text(), (CONTAINERS / "cwola.def").read_text()
    steps = instructions(docker)
    assert {word for word, _ in steps} <= {"FROM", "COPY", "RUN", "WORKDIR", "ENTRYPOINT", "CMD"}
    assert steps[0][0] == "FROM"
    assert json.loads(dict(steps)["ENTRYPOINT"]) == list(PROJECT["scripts"])
    assert json.loads(dict(steps)["CMD"]) == ["--help"]
    header = dict(line.split(": ", 1) for line in apptainer.split("%", 1)[0].splitlines() if line)
    assert header == {"Bootstrap": "docker", "From": dict(steps)["FROM"]}
    (python,) = re.findall(r"py([\d.]+)$", header["From"])
    assert python in SpecifierSet(PROJECT["requires-python"])
    sections = set(re.findall(r"^%(\w+)", apptainer, re.MULTILINE))
    assert sections == {"help", "files", "post", "environment", "runscript", "test"}
    for text in (docker, apptainer):
        assert installed(text).name == PROJECT["name"]
        assert installed(text).extras <= set(PROJECT["optional-dependencies"])


def rules() -> dict[str, dict[str, str]]:
    """Blocks of each rule of the Snakefile, as text."""
    found: dict[str, dict[str, str]] = {}
    for name, body in re.findall(r"^rule (\w+):\n((?: .*\n|\n)+)", (WORKFLOWS / "Snakefile").read_text(), re.MULTILINE):
        blocks = re.split(r"^ {4}(\w+):", body, flags=re.MULTILINE)[1:]
        found[name] = dict(zip(blocks[::2], blocks[1::2], strict=True))
    return found


def files(text: str) -> list[str]:
    return re.findall(r'"([^"]+)"', text)


def test_the_workflow_makes_every_file_that_a_rule_reads_by_commands_that_exist() -> None:
    made: list[str] = [file for rule in rules().values() for file in files(rule.get("output", ""))]
    assert len(made) == len(set(made)) == 6
    for name, rule in rules().items():
        assert set(files(rule.get("input", ""))) <= set(made), name
        if "shell" in rule:
            (shell,) = files(rule["shell"])
            filled = re.sub(r"\{\w+(\.\w+)?\}", "2", shell)
            for command in filled.split(" && "):
                check_command(command)


def test_reana_runs_the_workflow_and_returns_its_results() -> None:
    reana = yaml.safe_load((WORKFLOWS / "reana.yaml").read_text())
    assert reana["workflow"] == {"type": "snakemake", "file": "Snakefile"}
    assert reana["inputs"]["files"] == ["Snakefile"]
    assert sorted(reana["outputs"]["files"]) == sorted(files(rules()["all"]["input"]))


def test_binder_installs_with_the_command_of_the_readme() -> None:
    (readme,) = re.findall(r"pip install --quiet (-c constraints.txt '\.\[cpu\]')", (ROOT / "README.md").read_text())
    script = ROOT / ".binder" / "postBuild"
    assert f"pip install --no-cache-dir {readme}\n" in script.read_text()
    assert script.stat().st_mode & 0o111
    python = (ROOT / ".binder" / "runtime.txt").read_text().strip().removeprefix("python-")
    assert python in SpecifierSet(PROJECT["requires-python"])


def test_metadata_for_archives_say_the_same() -> None:
    zenodo: dict[str, Any] = json.loads((ROOT / ".zenodo.json").read_text())
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert zenodo["title"] == citation["title"] == PROJECT["name"]
    assert zenodo["version"] == citation["version"] == PROJECT["version"]
    assert zenodo["license"] == citation["license"] == PROJECT["license"]
    assert zenodo["description"] == citation["abstract"].strip() == PROJECT["description"]
    assert [one["name"] for one in zenodo["creators"]] == [one["name"] for one in citation["authors"]]
    assert zenodo["keywords"] == citation["keywords"]


@pytest.mark.parametrize("line", ["cwola runn", "cwola run --no-such", "cwola scan --jobs none"])
def test_wrong_commands_are_found(line: str) -> None:
    with pytest.raises(Exception, match=r"No such|not a valid"):
        check_command(line)


def test_every_variable_of_the_environment_is_documented() -> None:
    """All that the code, the tests and the checks read; `CWOLA_` in macros of C++ and in studies is something else."""
    read = r"""(?:environ(?:\.get)?[\[(]|getenv\(|envvar=|setenv\()\s*["'](CWOLA_\w+)"""
    files = [*(ROOT / "analysis").rglob("*.py"), *(ROOT / "processors").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    found = {name for path in files for name in re.findall(read, path.read_text())}
    assert {"CWOLA_REDIRECTOR", "CWOLA_TEST_DATA", "CWOLA_BROWSER"} <= found
    page = (ROOT / "docs" / "automation.md").read_text()
    assert {name for name in found if f"`{name}" not in page} == set()
