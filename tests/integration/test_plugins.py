"""Plugins as the documentation prints them: through the command line, and on workers that do not have them."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot

from analysis.compute import Backend, Serial
from analysis.config import SearchConfig
from analysis.core.plugins import load_plugins
from analysis.methods import METHODS
from analysis.regions import RegionScan
from analysis.search.look_elsewhere import global_result
from analysis.search.scan import run_scan
from analysis.search.values import SearchData
from processors.runner.run import load_table, process_datasets
from tests.builders.pages import printed_commands, printed_files
from tests.builders.running import dataset, run
from tests.builders.toy_search import Cwola, ToySearch
from tests.builders.toy_tables import WINDOW, toy_config, toy_table
from tests.builders.toys import random_events, write_nanoaod

PAGE = "plugins.md"
PRINTED = printed_files(PAGE)

every_backend = pytest.mark.parametrize("backend", ["serial", "two_processes", "two_dask_workers"])


def leading_jets(path: Path) -> dict[str, np.ndarray]:
    """Event numbers, and (n_events, 2) columns of the two leading jets; the files of the demo are ordered in p_T."""
    names = ("pt", "eta", "phi", "mass")
    with uproot.open(path) as file:
        branches = file["Events"].arrays(["event", *(f"FatJet_{name}" for name in names)], library="np")
    two = [len(row) > 1 for row in branches["FatJet_pt"]]
    jets = {name: np.stack([row[:2] for row in branches[f"FatJet_{name}"][two]]).astype(float) for name in names}
    return jets | {"event": branches["event"][two]}


def test_the_page_alone_adds_a_cut_and_a_feature(cwola: Cwola, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly the printed files and command, on the Pythia events of the demo; the truth is plain numpy."""
    assert len(PRINTED["my_search.py"].splitlines()) < 20
    monkeypatch.chdir(tmp_path)
    assert cwola("demo", "mine").code == 0
    monkeypatch.chdir(tmp_path / "mine")
    for name in ("my_search.py", "balanced.toml"):
        Path(name).write_text(PRINTED[name])
    (command,) = printed_commands(PAGE)
    outcome = cwola(*command)
    assert outcome.code == 0, outcome.err
    document = json.loads(Path("results/process.json").read_text())
    record = document["datasets"]["hidden_signal"]
    assert [one["name"] for one in document["plugins"]] == ["my_search.py"]

    jets = leading_jets(Path("hidden_signal.root"))
    pt, mass = jets["pt"], jets["mass"]
    kept = (pt[:, 1] >= 200) & (pt[:, 0] >= 500)
    balanced = abs(pt[:, 0] - pt[:, 1]) < 0.15 * pt.sum(axis=1)
    rows = record["cutflow"]
    assert list(rows)[list(rows).index("leading_pt") :][:3] == ["leading_pt", "pt_balance", "abs_eta"]
    assert rows["leading_pt"]["events"] == kept.sum()
    assert rows["pt_balance"]["events"] == (kept & balanced).sum() < kept.sum()

    p = np.stack([pt * np.cos(jets["phi"]), pt * np.sin(jets["phi"]), pt * np.sinh(jets["eta"])])
    energy = np.sqrt((p**2).sum(axis=0) + mass**2).sum(axis=1)
    mjj = np.sqrt(energy**2 - (p.sum(axis=2) ** 2).sum(axis=0))
    table = pq.read_table(list(Path("results/parts").glob("*/hidden_signal/*.parquet")))
    assert len(table) > 50
    truth = dict(zip(jets["event"], np.maximum(mass, 0).sum(axis=1) / mjj, strict=True))
    expected = [truth[number] for number in table["event"].to_numpy()]
    np.testing.assert_allclose(table["mj_sum_over_mjj"].to_numpy(), expected, rtol=1e-5)


def test_the_printed_format_weighs_simulation(forgotten_plugins: None, tmp_path: Path, cwola: Cwola) -> None:
    events, weight = random_events(300, seed=4), np.linspace(0.5, 2.0, 300).astype(np.float32)
    signs = np.where(np.arange(300) % 7 == 0, -1.0, 1.0)
    path = write_nanoaod(tmp_path / "a.root", events, gen_weight=signs, extra={"puWeight": weight})
    plugin = tmp_path / "my_format.py"
    plugin.write_text(PRINTED["my_format.py"])
    load_plugins([str(plugin)])
    _, plain = run(dataset(path), tmp_path / "plain")
    result, weighted = run(dataset(path, layout="nanoaod", format="nanoaod_pileup"), tmp_path / "weighted")
    assert len(weighted) == len(plain) > 20
    row = weighted.column("event").astype(int)
    np.testing.assert_allclose(weighted.weight, (signs * weight)[row], rtol=1e-6)
    assert result.cutflow["all"].weight == pytest.approx(signs.sum())
    report = json.loads(cwola("inspect", path, "--json", "--plugin", plugin).out)
    assert report["format"] == "nanoaod"


PACKAGE = {
    "__init__.py": "",
    "numbers.py": "FACTOR = 0.25\n\n\ndef scale(values):\n    return FACTOR * values\n",
    "cwola.py": """
from dataclasses import dataclass

from processors.features import feature
from processors.formats import adapter, nanoaod
from processors.objects import Dijets
from processors.selection import cut
from far_away.numbers import scale


class Schema(nanoaod.PlainNanoAODSchema):
    pass


@adapter("far", schema=Schema, layout=nanoaod.LAYOUT)
def read(events, selection):
    return nanoaod.read_nanoaod(events, selection)


@cut("heavy", "heavy")
def heavy(dijets: Dijets, selection):
    return scale(dijets.mjj) >= 400


@feature("quarter", label="m/4", unit="GeV", bins=(10, 0, 2000))
def quarter(dijets: Dijets):
    return scale(dijets.mjj)
""",
}


def _can_import(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package on the path of this process alone, and only until it is loaded."""
    package = folder / "site" / "far_away"
    package.mkdir(parents=True)
    for name, text in PACKAGE.items():
        (package / name).write_text(text)
    with monkeypatch.context() as patch:
        patch.syspath_prepend(package.parent)
        load_plugins(["far_away.cwola"])
    shutil.rmtree(package.parent)
    return package


@every_backend
def test_cuts_features_and_formats_work_on_workers_that_cannot_import_them(
    backend: str, request: pytest.FixtureRequest, forgotten_plugins: None, tmp_path: Path, monkeypatch: Any
) -> None:
    where: Backend = request.getfixturevalue(backend)
    install(tmp_path, monkeypatch)
    if backend != "serial":
        assert dict(where.map(_can_import, ["far_away", "numpy"])) == {0: False, 1: True}
    paths = [write_nanoaod(tmp_path / f"{n}.root", random_events(200, seed=n), run=n + 1) for n in range(2)]
    one = dataset(*paths, format="far")
    config = SearchConfig(learning={"features": ["quarter"]})
    result = process_datasets({"sample": one}, config, tmp_path / "parts", where)
    table = load_table(result, {"sample": one}, ["sample"])
    before, after = (result.datasets["sample"].cutflow[name].events for name in ("mjj_min", "heavy"))
    assert 0 < after < before
    assert table.mjj.min() >= 1600
    np.testing.assert_allclose(table.column("quarter"), table.mjj / 4, rtol=1e-6)


def test_methods_and_functions_work_on_workers_that_cannot_import_them(
    two_processes: Backend, two_dask_workers: Backend, forgotten_plugins: None, tmp_path: Path
) -> None:
    """Windows and pseudo-experiments come out on workers as they do in this process."""
    names = ("my_method.py", "my_function.py")
    for name in names:
        (tmp_path / name).write_text(PRINTED[name])
    load_plugins([str(tmp_path / name) for name in names])
    for name in names:
        (tmp_path / name).unlink()
    config = toy_config(
        learning={"method": "upper_sideband", "efficiencies": (0.1,)},
        background={"functions": ["dijet3", "bent4"]},
        statistics={"pseudo_experiments": 200},
    )
    data, regions = SearchData(toy_table(6000, random_state=3)), RegionScan.from_config(config.scan)
    found = []
    for where in (Serial(), two_processes, two_dask_workers):
        ((_, result),) = run_scan(data, regions, config, where)
        found.append((result, global_result(data, [result], regions, config, where)))
    (reference, total), *others = found
    assert [one.fit.function.name for one in reference.selections if one.fit is not None] == [
        "bent4",
        "bent4*ratio1",
    ]
    assert total.n_toys == 200
    for result, other_total in others:
        assert result.models == reference.models
        assert [replace(one, fit=None) for one in result.selections] == [
            replace(one, fit=None) for one in reference.selections
        ]
        assert other_total == total


def test_the_printed_method_learns_from_the_upper_sideband_alone(forgotten_plugins: None, tmp_path: Path) -> None:
    path = tmp_path / "my_method.py"
    path.write_text(PRINTED["my_method.py"])
    load_plugins([str(path)])
    table = toy_table(3000, 300, random_state=1)
    training = METHODS["upper_sideband"].contrast(
        SearchData(table).samples(METHODS["upper_sideband"]), WINDOW, ("x0",), random_state=np.random.SeedSequence(1)
    )
    inside = (table.mjj >= 3300) & (table.mjj < 3700)
    above = (table.mjj >= 3700) & (table.mjj < 3900)
    assert set(training.group[training.y == 1]) == set(table.event_id[inside])
    assert set(training.group[training.y == 0]) == set(table.event_id[above])
    sums = [training.sample_weight[training.y == label].sum() for label in (0, 1)]
    assert sums[0] == pytest.approx(sums[1])


ALL_OF_THEM = """
plugins = ["my_search.py", "my_method.py", "my_function.py"]

[scan]
windows = [[3300, 3700]]

[learning]
method = "upper_sideband"
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
only = ["scan"]
"""


def check_scoring(cwola: Cwola, models: Path, plugins: list[Path]) -> None:
    """Plugins that a folder names are loaded only by who names them."""
    own = write_nanoaod(models.parent / "own.root", random_events(200, seed=3), run=9)
    scoring = ["score", own, "--models", models, "--output", models.parent / "scored.csv", "--jobs", 1]
    refused = cwola(*scoring)
    assert "with the plugin my_search.py (SHA-256 " in refused.err
    assert "read those that others give you" in refused.err
    named = [part for path in plugins for part in ("--plugin", path)]
    assert "unknown method 'upper_sideband'" in cwola(*scoring, *named[:2]).err
    scored = cwola(*scoring, *named)
    assert scored.code == 0, scored.err


def test_a_results_folder_knows_its_plugins(cwola: Cwola, toy: ToySearch, tmp_path: Path) -> None:
    """Made with three; found again, refused with others or none, and never run for somebody else."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("my_search.py", "my_method.py", "my_function.py"):
        (home / name).write_text(PRINTED[name])
    config, output = home / "search.toml", tmp_path / "results"
    config.write_text(ALL_OF_THEM)
    made = cwola("run", "--datasets", toy.datasets, "--config", config, "--output", output, "--jobs", 1)
    assert made.code == 0, made.err

    document = json.loads((output / "results.json").read_text())
    assert document["plugins"] == json.loads((output / "manifest.json").read_text())["plugins"]
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in PRINTED.items()}
    made_with = {one["name"]: one["sha256"] for one in document["plugins"]}
    assert list(made_with) == ["my_search.py", "my_method.py", "my_function.py"]
    assert made_with == {name: digests[name] for name in made_with}
    (window,) = document["windows"]
    assert {one["fit"]["function"] for one in window["selections"]} == {"bent4", "bent4*ratio1"}

    record = output / "windows" / "3300-3700" / "window.json"
    before = record.stat().st_mtime_ns
    assert cwola("scan", "--output", output, "--jobs", 1).code == 0
    assert record.stat().st_mtime_ns == before
    listed = cwola("select", output, "--window", "3300:3700", "--selection", "eff_0.1", "--order", "identity")
    assert listed.code == 0, listed.err

    check_scoring(cwola, output, [home / name for name in made_with])
    moved = home / "moved" / "my_search.py"
    moved.parent.mkdir()
    shutil.move(home / "my_search.py", moved)
    assert "there is no file" in cwola("scan", "--output", output, "--jobs", 1).err
    assert cwola("scan", "--output", output, "--jobs", 1, "--plugin", moved).code == 0
    assert record.stat().st_mtime_ns == before

    moved.write_text(PRINTED["my_search.py"].replace("0.15", "0.2"))
    unnamed = cwola("scan", "--output", output, "--jobs", 1)
    assert f"is not run: {moved}, SHA-256 {hashlib.sha256(moved.read_bytes()).hexdigest()}" in unnamed.err
    changed = cwola("scan", "--output", output, "--jobs", 1, "--plugin", moved)
    assert "selected with another version of the plugin my_search.py" in changed.err
    without = cwola("scan", "--output", output, "--jobs", 1, "--config", toy.config)
    assert without.code == 1
    assert "were selected with the plugin my_search.py" in without.err
    assert "`cwola process` with this configuration" in without.err


def test_a_function_of_a_plugin_fits_any_histogram(cwola: Cwola, tmp_path: Path) -> None:
    plugin, spectrum = tmp_path / "my_function.py", tmp_path / "counts.csv"
    plugin.write_text(PRINTED["my_function.py"])
    counts = np.random.default_rng(1).poisson(3000 * np.exp(-np.arange(30) / 6))
    rows = [f"{3000 + 100 * i},{3100 + 100 * i},{n}" for i, n in enumerate(counts)]
    spectrum.write_text("\n".join(["low,high,count", *rows]) + "\n")
    options = ["fit", spectrum, "--window", "3500:3900", "--json", "--function", "bent4"]
    assert "unknown background function 'bent4'" in cwola(*options).err
    outcome = cwola(*options, "--plugin", plugin)
    (window,) = json.loads(outcome.out)["windows"]
    assert window["function"] == "bent4"
    assert window["ndof"] == 30 - 4 - 4


NANOAOD = ("nanoaod_content.py", "Events", "Muon_pt Muon_eta Electron_pt FatJet_pt Jet_pt PuppiMET_pt")
DELPHES = ("delphes_content.py", "Delphes", "Muon.PT Muon.Eta Electron.PT FatJet.PT Jet.PT MissingET.MET")
CONTENT = {
    "toy": NANOAOD,
    "nanoaod/nano_v12_tt": NANOAOD,
    "nanoaod/nano_v15_tt": NANOAOD,
    "delphes/stock_cms_card_r08": DELPHES,
}


def toy_content(path: Path) -> Path:
    rng = np.random.default_rng(8)

    def objects(most: int) -> ak.Array:
        counts = rng.integers(0, most, 300)
        values = {"pt": rng.exponential(30, counts.sum()), "eta": rng.normal(0, 2, counts.sum())}
        return ak.zip({name: ak.unflatten(one.astype(np.float32), counts) for name, one in values.items()})

    collections = {"Muon": objects(3), "Electron": objects(3), "Jet": objects(9)}
    extra = {**collections, "PuppiMET_pt": rng.exponential(50, 300).astype(np.float32)}
    return write_nanoaod(path, random_events(300, seed=4, max_jets=5), extra=extra)


@pytest.mark.thorough
@pytest.mark.parametrize("name", CONTENT)
def test_the_printed_cuts_and_features_read_other_collections(
    forgotten_plugins: None, request: pytest.FixtureRequest, tmp_path: Path, name: str
) -> None:
    """On real files; the truth is a loop over the events with plain uproot."""
    toy = name == "toy"
    path = toy_content(tmp_path / "toy.root") if toy else request.getfixturevalue("data")(f"{name}.root")
    page, tree, branches = CONTENT[name]
    plugin = tmp_path / page
    plugin.write_text(PRINTED[page])
    load_plugins([str(plugin)])
    loose = {"pt_min": 0.0, "leading_pt_min": 0.0, "mjj_min": 0.0, "abs_eta_max": 10.0, "abs_dy_validation": 10.0}
    layout = "nanoaod" if tree == "Events" else "delphes"
    result, table = run(dataset(path, layout=layout), tmp_path, {**loose, "jet_mass_min": 0.0, "jet_mass_max": 1e4})

    with uproot.open(path) as file:
        columns = [file[tree][branch].array().tolist() for branch in branches.split()]
    expected, without_lepton = [], 0
    for muon, eta, electron, fat, jets, met in zip(*columns, strict=True):
        if len(fat) < 2:
            continue
        muons = [pt for pt, y in zip(muon, eta, strict=True) if pt > 30 and (abs(y) < 2.4 or tree == "Delphes")]
        if muons or [pt for pt in electron if pt > 30]:
            continue
        without_lepton += 1
        if len(fat) <= 3:
            third = sorted(fat)[-3] if len(fat) == 3 else np.nan
            expected.append((third, sum(pt for pt in jets if pt > 30), met[0] if tree == "Delphes" else met))
    assert result.cutflow["lepton_veto"].events == without_lepton <= result.cutflow["two_jets"].events
    assert result.cutflow["three_jets"].events == len(expected) > 5
    found = np.stack([table.column(column) for column in ("pt_j3", "ht", "met")], axis=1)
    order, other = np.argsort(found[:, 2]), np.argsort([row[2] for row in expected])
    np.testing.assert_allclose(found[order], np.array(expected)[other], rtol=1e-5)
