"""The installed wheel, with its own dependencies and pytest and nothing else: what it holds is there and works.

`.ci/run` copies this folder into an empty one and runs it there. The suite leaves it out (`norecursedirs`): in a
checkout these tests would prove nothing that others do not.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sysconfig
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import analysis
import processors
from analysis.config import available_presets, load_config

SCRIPT = Path(sysconfig.get_path("scripts")) / "cwola"
SITE = Path(sysconfig.get_path("purelib")).resolve()

MODULES = sorted(
    module.name
    for package in (analysis, processors)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
)

NEED_AN_EXTRA = {"analysis.compute.worker": "distributed"}
"""Modules that work with an extra only, and its package."""

EXPECTED = json.loads((Path(__file__).parent / "demo.json").read_text())
"""Numbers of the demo with constraints.txt, as `main` writes them. Where they change on purpose, store the new ones."""


def cwola(folder: Path, *arguments: object, path: Path | None = None) -> str:
    """Call the console script in a folder; `path` is a folder of other installed packages. Returns what it prints."""
    environment = os.environ | {"COLUMNS": "120"} | ({} if path is None else {"PYTHONPATH": str(path)})
    done = subprocess.run(
        [SCRIPT, *map(str, arguments)], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("package", [analysis, processors])
def test_what_is_imported_was_installed_from_the_wheel(package: Any) -> None:
    assert Path(package.__file__).resolve().is_relative_to(SITE)


@pytest.mark.parametrize("name", [name for name in MODULES if name not in NEED_AN_EXTRA])
def test_every_module_needs_only_what_the_wheel_requires(name: str) -> None:
    importlib.import_module(name)


@pytest.mark.parametrize("name", NEED_AN_EXTRA)
def test_a_module_of_an_extra_lacks_nothing_else(name: str) -> None:
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module(name)
    assert caught.value.name == NEED_AN_EXTRA[name]


@pytest.mark.parametrize("package", ["analysis", "processors"])
def test_type_checkers_find_the_types(package: str) -> None:
    assert resources.files(package).joinpath("py.typed").is_file()


def test_the_script_is_the_entry_point_and_knows_its_version(tmp_path: Path) -> None:
    (point,) = [
        point for point in metadata.distribution("cwola-dijet").entry_points if point.group == "console_scripts"
    ]
    assert point.name == "cwola"
    assert callable(point.load())
    assert metadata.version("cwola-dijet") in cwola(tmp_path, "--version")


@pytest.mark.parametrize("command", ["run", "limit", "report", "simulate"])
def test_help_needs_no_extra(tmp_path: Path, command: str) -> None:
    assert f"  {command}" in cwola(tmp_path, "--help")
    assert f"Usage: cwola {command}" in cwola(tmp_path, command, "--help")


def test_presets_are_listed_and_can_be_read(tmp_path: Path) -> None:
    listed = cwola(tmp_path, "presets").split()
    assert listed == list(available_presets())
    assert {"best", "demo"} < set(listed)
    for name in listed:
        load_config(preset=name)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the demo."""
    folder = tmp_path_factory.mktemp("demo")
    cwola(folder, "demo", "copy")
    return folder / "copy"


@pytest.fixture(scope="module")
def results(demo: Path) -> Path:
    """Results folder of the demo; its input is another copy."""
    cwola(demo, "run", "--config", "search.toml", "--jobs", 2)
    return demo / "results"


def numbers(document: dict[str, Any]) -> dict[str, Any]:
    """Of `results.json`, in the layout of demo.json."""
    quantities = ("n_obs", "background", "background_error", "z")
    windows = {
        "{:g}-{:g}".format(*window["signal"]): {
            selection["name"]: {name: selection[name] for name in quantities} for selection in window["selections"]
        }
        for window in document["windows"]
    }
    limits = {
        "{}: {:g}-{:g} {}".format(signal["dataset"], *selection["window"], selection["selection"]): selection["limit"][
            "observed_fb"
        ]
        for signal in document["signals"]
        for selection in signal["selections"]
    }
    return {"windows": windows, "limits": limits}


def flat(value: Any, name: str = "") -> dict[str, float]:
    if not isinstance(value, dict):
        return {name: value}
    return {key: number for part, below in value.items() for key, number in flat(below, f"{name}/{part}").items()}


def test_the_demo_gives_the_stored_numbers(results: Path) -> None:
    found = flat(numbers(json.loads((results / "results.json").read_text())))
    expected = flat(EXPECTED)
    counts = {name for name in expected if name.endswith("n_obs")}
    assert len(counts) == 25
    assert {name: found[name] for name in counts} == {name: expected[name] for name in counts}
    assert found == pytest.approx(expected, rel=1e-6)  # minimisers stop at other last digits on other processors


def test_the_results_fit_the_packaged_schema(results: Path) -> None:
    schema = json.loads(resources.files("analysis.results").joinpath("results.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads((results / "results.json").read_text()), schema)


def test_the_report_is_made_of_the_packaged_templates(results: Path) -> None:
    page = (results / "report.html").read_text(encoding="utf-8")
    assert page.rstrip().endswith("</html>")
    first = json.loads((results / "results.json").read_text())["windows"][0]
    shown = next(one for one in first["selections"] if one["name"] == "eff_0.01")
    assert shown["calibration"] == "shipped"  # the table in the package applies to the demo as it is
    assert f'data value="{str(shown["z_calibrated"])[:7]}' in page
    templates = resources.files("analysis.report").joinpath("templates")
    assert {"report.html.j2", "script.js", "style.css"} <= {file.name for file in templates.iterdir()}


PLUGIN = """
from processors.features import feature
from processors.selection import cut


@cut("far_cut", "far")
def far_cut(dijets, selection):
    return dijets.mjj >= 3500


@feature("far_feature", label="x", unit="GeV", bins=(10, 0, 10000))
def far_feature(dijets):
    return dijets.mjj / 2
"""


@pytest.fixture
def signal(demo: Path, tmp_path: Path) -> Path:
    """A folder with one signal sample of the demo, and a search that trains on a feature of the plugin."""
    name = "wprime_3500_500_100"
    entry = json.loads((demo / "datasets.json").read_text())[name]
    entry["files"] = {str(demo / f"{name}.root"): "Events"}
    (tmp_path / "datasets.json").write_text(json.dumps({name: entry}))
    (tmp_path / "search.toml").write_text('[learning]\nfeatures = ["far_feature"]\n')
    return tmp_path


def test_a_plugin_file_from_outside_selects_events(signal: Path) -> None:
    (signal / "far.py").write_text(PLUGIN)
    printed = cwola(signal, "process", "--config", "search.toml", "--plugin", "far.py", "--jobs", 2)
    assert "far_cut" in printed


def test_a_plugin_of_another_package_is_found_by_its_entry_point(signal: Path) -> None:
    site = signal / "site"
    information = site / "far_away-1.0.dist-info"
    information.mkdir(parents=True)
    (site / "far_away.py").write_text(PLUGIN)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: far-away\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[cwola.plugins]\nfar = far_away\n")
    printed = cwola(signal, "process", "--config", "search.toml", "--jobs", 2, path=site)
    assert "far_cut" in printed
