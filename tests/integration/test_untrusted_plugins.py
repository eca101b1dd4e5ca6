"""A results folder of somebody else: its plugins run only for who named them before, and only unchanged."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis import cli
from analysis.core.plugins import unload_plugins
from tests.builders.commands import REPOSITORY
from tests.builders.pages import printed_files
from tests.builders.toy_search import Cwola, ToySearch

pytestmark = pytest.mark.thorough

PRINTED = printed_files("plugins.md")

MARKER = "from pathlib import Path\nPath({marker!r}).touch()\n"

CONFIG = """
plugins = ["mine.py"]

[scan]
windows = [[3300, 3700]]

[learning]
features = ["mj_sum_over_mjj", "tau21_j1"]
n_folds = 3
n_members = 1
efficiencies = [0.1]
classifier = {n_estimators = 20, max_depth = 3, min_child_weight = 10}

[background]
functions = ["dijet3", "bent4"]

[statistics]
pseudo_experiments = 100

[plots]
formats = ["png"]
only = ["scan", "spectrum_*", "counts_of_windows"]
"""


class Theirs:
    """A results folder with a plugin that leaves a mark when it is executed, as its author made it."""

    def __init__(self, folder: Path) -> None:
        self.marker, self.plugin, self.results = folder / "executed", folder / "mine.py", folder / "results"

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.plugin.read_bytes()).hexdigest()

    def executed(self) -> bool:
        found = self.marker.exists()
        self.marker.unlink(missing_ok=True)
        return found


@pytest.fixture(scope="module")
def made(toy: ToySearch, tmp_path_factory: pytest.TempPathFactory) -> Theirs:
    folder = tmp_path_factory.mktemp("theirs")
    theirs = Theirs(folder)
    parts = [PRINTED[name] for name in ("my_search.py", "my_function.py", "my_figure.py")]
    theirs.plugin.write_text(MARKER.format(marker=str(theirs.marker)) + "\n".join(parts))
    config = folder / "search.toml"
    config.write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "author"))
        options = ["--datasets", toy.datasets, "--config", config, "--output", theirs.results, "--jobs", 1]
        cli.cli.main(["run", *map(str, options)], standalone_mode=False)
    unload_plugins()
    assert theirs.executed()
    assert "bent4" in (theirs.results / "results.json").read_text()
    return theirs


@pytest.fixture
def theirs(made: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Theirs:
    """For another user, in an empty current folder; each test changes a copy."""
    copy = Theirs(made.plugin.parent)
    copy.marker.unlink(missing_ok=True)
    copy.results = tmp_path / "results"
    shutil.copytree(made.results, copy.results)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return copy


Arguments = Callable[[Path], list[object]]

SELECTION = ["--window", "3300:3700", "--selection", "eff_0.1"]

REFUSED: dict[str, Arguments] = {
    "scan": lambda results: ["scan", "--output", results, "--jobs", 1],
    "scan by its configuration": lambda results: ["scan", "--output", results, "--config", results / "config.json"],
    "validate": lambda results: ["validate", "--output", results, "--jobs", 1],
    "limit": lambda results: ["limit", "--output", results, "--jobs", 1],
    "inject": lambda results: ["inject", "--output", results, "--jobs", 1],
    "performance": lambda results: ["performance", "--output", results, "--jobs", 1],
    "select": lambda results: ["select", results, *SELECTION],
    "export hepdata": lambda results: ["export", "hepdata", "--output", results, "--to", "hepdata"],
    "export pyhf": lambda results: ["export", "pyhf", "--output", results, "--to", "pyhf"],
    "export classifiers": lambda results: ["export", "classifiers", "--output", results, "--to", "classifiers"],
}


@pytest.mark.parametrize("command", REFUSED)
def test_a_plugin_of_somebody_else_is_refused_with_path_and_hash(command: str, theirs: Theirs, cwola: Cwola) -> None:
    outcome = cwola(*REFUSED[command](theirs.results))
    assert not theirs.executed()
    assert outcome.code == 1
    assert outcome.err.startswith("error: plugin mine.py, named in ")
    assert f"{theirs.plugin}, SHA-256 {theirs.digest}" in outcome.err
    assert f"--plugin {theirs.plugin}, or say `cwola trust {theirs.plugin}`" in outcome.err


def _toml(path: Path) -> Path:
    plugin = path.with_name("evil.py")
    path.parent.mkdir(exist_ok=True)
    path.write_text(CONFIG.replace("mine.py", str(plugin)))
    plugin.write_text(MARKER.format(marker=str(path.with_name("executed"))) + PRINTED["my_search.py"])
    return path


def _linked(results: Path) -> Path:
    (link := results.parent / "own.toml").symlink_to(_toml(results / "their.toml"))
    return link


PLACES: dict[str, Callable[[Path], object]] = {
    "in the folder": lambda results: _toml(results / "their.toml"),
    "relative": lambda results: _toml(results / "their.toml").relative_to(results.parent),
    "without an ending": lambda results: _toml(results / "their"),
    "below": lambda results: _toml(results / "configuration" / "their.toml"),
    "through a link": _linked,
    "by a detour": lambda results: results / "plots" / ".." / _toml(results / "their.toml").name,
}


@pytest.mark.parametrize("command", ["scan", "run"])
@pytest.mark.parametrize("place", PLACES)
def test_a_configuration_in_a_results_folder_is_not_taken_for_one_of_the_user(
    place: str, command: str, theirs: Theirs, toy: ToySearch, cwola: Cwola
) -> None:
    output = ["--output", theirs.results] if command == "scan" else ["--output", "new", "--datasets", toy.datasets]
    outcome = cwola(command, *output, "--config", PLACES[place](theirs.results), "--jobs", 1)
    assert not list(theirs.results.parent.rglob("executed"))
    assert outcome.code == 1
    assert outcome.err.startswith("error: plugin evil.py, named in ")
    assert "is code that you have not named so far" in outcome.err


@pytest.mark.parametrize("named", ["mine.py", "plugins/../mine.py", "link.py", "/absolute"])
def test_a_plugin_is_recognised_however_the_folder_names_it(named: str, theirs: Theirs, cwola: Cwola) -> None:
    """Unknown, then known, and unknown again when the file that it leads to has changed."""
    plugin = theirs.results / "mine.py"
    shutil.copy(theirs.plugin, plugin)
    (theirs.results / "plugins").mkdir()
    (theirs.results / "link.py").symlink_to("mine.py")
    stored = theirs.results / "config.json"
    source = str(plugin) if named == "/absolute" else named
    stored.write_text(json.dumps(json.loads(stored.read_text()) | {"plugins": [source]}))
    process = theirs.results / "process.json"
    process.write_text(process.read_text().replace('"name": "mine.py"', f'"name": "{Path(source).name}"'))
    for text, known in ((None, False), (None, True), ("# changed\n", False)):
        if known:
            assert cwola("trust", plugin).code == 0
        if text is not None:
            plugin.write_text(plugin.read_text() + text)
        outcome = cwola("select", theirs.results, *SELECTION)
        assert theirs.executed() == known, outcome.err
        assert ("SHA-256" in outcome.err) != known, outcome.err


def _copied(results: Path) -> Path:
    return Path(shutil.copytree(results, results.with_name("copy")))


SHOWN: dict[str, Arguments] = {
    "plot": lambda results: ["plot", results, "--jobs", 1],
    "plot --control": lambda results: ["plot", results, "--control", "--only", "sideband", "--jobs", 1],
    "plot of two": lambda results: ["plot", results, _copied(results), "--only", "scan", "--jobs", 1],
    "report": lambda results: ["report", "--output", results],
    "impacts": lambda results: ["impacts", "--output", results],
}


@pytest.mark.parametrize("command", SHOWN)
def test_figures_and_reports_show_what_is_stored_and_run_nothing(command: str, theirs: Theirs, cwola: Cwola) -> None:
    outcome = cwola(*SHOWN[command](theirs.results))
    assert not theirs.executed()
    if command == "impacts":
        assert "holds no results of a signal" in outcome.err
        return
    assert outcome.code == 0, outcome.err
    note = f"note: plugin mine.py, named in {theirs.results / 'config.json'}, is code that you have not named so far"
    assert outcome.err.startswith(note)
    assert theirs.digest in outcome.err
    assert outcome.err.endswith("The stored results are shown without it.\n")


def test_the_spectrum_without_the_plugin_is_that_of_its_author(theirs: Theirs, made: Theirs, cwola: Cwola) -> None:
    drawn = made.results / "plots"
    assert {path.name for path in drawn.glob("*.png")} > {"counts_of_windows.png"}
    assert cwola("plot", theirs.results, "--jobs", 1).code == 0
    again = theirs.results / "plots"
    assert not (again / "counts_of_windows.png").exists()
    spectra = sorted(path.name for path in drawn.glob("spectrum_*.png"))
    assert len(spectra) == 2
    for name in spectra:
        assert (again / name).read_bytes() == (drawn / name).read_bytes()


@pytest.mark.parametrize("how", ["--plugin", "cwola trust", "own configuration"])
def test_a_plugin_that_was_named_once_is_known_until_it_changes(
    how: str, theirs: Theirs, cwola: Cwola, tmp_path: Path
) -> None:
    plugin = tmp_path / "mine.py"
    shutil.copy(theirs.plugin, plugin)
    stored = theirs.results / "config.json"
    stored.write_text(json.dumps(json.loads(stored.read_text()) | {"plugins": [str(plugin)]}))
    (tmp_path / "own.toml").write_text(CONFIG)
    naming = {
        "--plugin": ["plot", theirs.results, "--plugin", "mine.py", "--jobs", 1],
        "cwola trust": ["trust", "mine.py"],
        "own configuration": ["plot", theirs.results, "--config", "own.toml", "--jobs", 1],
    }
    named = cwola(*naming[how])
    assert named.code == 0, named.err
    assert theirs.executed() == (how != "cwola trust")
    listed = cwola("select", theirs.results, *SELECTION)
    assert listed.code == 0, listed.err
    assert theirs.executed()
    assert cwola("trust").out == f"{theirs.digest}  {plugin}\n"
    plugin.write_text(plugin.read_text() + "# changed\n")
    changed = cwola("select", theirs.results, *SELECTION)
    assert "mine.py, named in" in changed.err
    assert "has changed since you named it" in changed.err
    assert hashlib.sha256(plugin.read_bytes()).hexdigest() in changed.err
    assert not theirs.executed()


def test_a_plugin_that_is_forgotten_is_refused_again(theirs: Theirs, cwola: Cwola) -> None:
    assert cwola("trust", theirs.plugin).code == 0
    assert cwola("trust", "--remove", theirs.digest).out == f"forgotten: {theirs.plugin}\n"
    assert cwola("trust").out == "No plugin is known.\n"
    assert "is not known" in cwola("trust", "--remove", theirs.plugin).err
    assert cwola("select", theirs.results, *SELECTION).code == 1
    assert not theirs.executed()


def test_a_plugin_that_moved_keeps_no_figure_from_being_drawn(theirs: Theirs, cwola: Cwola) -> None:
    stored = theirs.results / "config.json"
    stored.write_text(json.dumps(json.loads(stored.read_text()) | {"plugins": ["gone.py"]}))
    outcome = cwola("plot", theirs.results, "--only", "scan", "--jobs", 1)
    assert outcome.code == 0, outcome.err
    assert f"is not run: there is no file {theirs.results / 'gone.py'}" in outcome.err


def test_an_unwritable_configuration_folder_is_warned_of_once(
    theirs: Theirs, cwola: Cwola, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    outcome = cwola("select", theirs.results, *SELECTION, "--plugin", theirs.plugin)
    assert outcome.code == 0, outcome.err
    assert outcome.err.count("warning: the plugins that you named cannot be remembered: ") == 1


@pytest.mark.parametrize("source", ["theirs_module", "theirs_package.cwola", "beside.py"])
def test_modules_and_what_they_import_are_refused_like_files(
    source: str, theirs: Theirs, cwola: Cwola, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All on the import path of this process, as with PYTHONPATH or `python -m` in the folder."""
    mark = MARKER.format(marker=str(theirs.marker))
    text = PRINTED["my_search.py"]
    (tmp_path / "theirs_package").mkdir()
    for name in ("theirs_module.py", "theirs_package/__init__.py", "theirs_package/cwola.py", "helper.py"):
        (tmp_path / name).write_text(mark + ("" if name == "helper.py" else text))
    (tmp_path / "theirs_package" / "__init__.py").write_text(mark)
    (tmp_path / "beside.py").write_text("import helper\n" + text)
    monkeypatch.syspath_prepend(tmp_path)
    if source == "beside.py":
        assert cwola("trust", "beside.py").code == 0
        (tmp_path / "helper.py").write_text(mark + "# changed\n")
    stored = theirs.results / "config.json"
    named = str(tmp_path / source) if source.endswith(".py") else source
    stored.write_text(json.dumps(json.loads(stored.read_text()) | {"plugins": [named]}))
    outcome = cwola("select", theirs.results, *SELECTION)
    assert outcome.code == 1
    assert "SHA-256" in outcome.err
    assert str(tmp_path) in outcome.err
    assert not theirs.executed()


def test_modules_in_the_current_folder_are_not_imported_by_workers(theirs: Theirs, tmp_path: Path) -> None:
    """The console script does not look there, but `python -m`, which starts the workers, does by default."""
    for name in (
        "loky",
        "numpy",
        "click",
        "pickle",
        "cloudpickle",
        "site",
        "sitecustomize",
        "typing",
        "multiprocessing",
    ):
        (tmp_path / f"{name}.py").write_text(f"open({str(theirs.marker)!r}, 'w')\n")
    script = tmp_path / "bin" / "cwola"
    script.parent.mkdir()
    script.write_text("from cwola import main\nmain()\n")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "MPLBACKEND": "Agg"}
    command = [sys.executable, str(script), "plot", "results", "--only", "scan", "--only", "spectrum", "--jobs", "2"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not theirs.executed()
