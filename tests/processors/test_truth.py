"""All of processing against the same selection written event by event in plain Python (`tests.builders.plain`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from analysis.compute import Backend, Serial
from analysis.config import SearchConfig
from analysis.events.table import EventTable
from processors.runner.run import load_table, process_datasets
from tests.builders import plain, toys
from tests.builders.running import dataset, run

FEATURES = (
    "mj1",
    "mj2",
    "delta_mj",
    "tau21_j1",
    "tau21_j2",
    "tau32_j1",
    "tau32_j2",
    "mj1_over_mjj",
    "mj2_over_mjj",
)

READERS: dict[str, Callable[..., Iterator[dict[str, Any]]]] = {
    "nanoaod": plain.nanoaod_events,
    "delphes": plain.delphes_events,
    "physlite": plain.physlite_events,
}

OPEN = {"pt_min": 0, "leading_pt_min": 0, "abs_eta_max": 10, "abs_dy_validation": 20, "mjj_min": 0}
"""Cuts that let low-p_T events of ordinary CMS simulation through."""


def assert_same(
    table: EventTable,
    truth: dict[str, np.ndarray],
    *,
    mass_tolerance: float,
    layout: str = "nanoaod",
    kind: str = "background",
) -> None:
    """Same events, and the same numbers for each; the table is sorted by identity, the truth as in the file."""
    expected_keys = [tuple(map(int, key)) for key in truth["key"]]
    found = [table.column(name).tolist() for name in ("run", "luminosity_block", "event")]
    order = {key: row for row, key in enumerate(zip(*found, strict=True))}
    assert len(expected_keys) > 0
    assert set(order) == set(expected_keys)
    rows = np.array([order[key] for key in expected_keys])
    one_by_one = [dict(zip(truth, row, strict=True)) for row in zip(*truth.values(), strict=True)]
    identities = [plain.expected_identity(layout, kind, "sample", row) for row in one_by_one]
    assert table.event_id[rows].tolist() == identities
    assert table.weight[rows].tolist() == (np.ones(len(rows)) if kind == "pseudodata" else truth["weight"]).tolist()
    assert set(table.column("dataset").tolist()) == {"sample"}
    np.testing.assert_allclose(table.mjj[rows], truth["mjj"], rtol=1e-10)
    np.testing.assert_allclose(table.column("abs_dy")[rows], truth["abs_dy"], rtol=1e-9, atol=1e-9)
    assert table.column("rapidity_region")[rows].tolist() == truth["rapidity_region"].tolist()
    assert {spec.name for spec in table.features} == set(FEATURES)
    for name in FEATURES:
        atol = mass_tolerance if name.startswith(("mj", "delta")) else 0
        np.testing.assert_allclose(table.column(name)[rows], truth[name], rtol=3e-7, atol=atol, err_msg=name)


PYTHIA = [
    {},
    {"jet_mass": "softdrop", "jet_mass_min": 30, "jet_mass_max": 500},
    {"jet_mass": "softdrop", "jet_order": "pt", "pt_min": 1000, "abs_dy_search": 0.5, "abs_dy_validation": 1.2},
]


@pytest.mark.parametrize("selection", PYTHIA)
@pytest.mark.parametrize(("name", "entries"), [("qcd_a", 20_000), ("wprime_3500_500_100", 8000)])
def test_pythia(data, tmp_path, name, entries, selection):
    path = data(f"pythia/{name}.root")
    config = SearchConfig(selection=selection).selection
    _, table = run(dataset(path, kind="pseudodata", max_entries=entries), tmp_path, selection)
    truth = plain.table(plain.nanoaod_events(path, entries), config)
    assert_same(table, truth, mass_tolerance=1e-4, kind="pseudodata")


@pytest.mark.parametrize(
    "selection",
    [
        {},
        {"jet_mass": "softdrop"},
        {"jet_mass": "trimmed", "jet_mass_min": 30, "jet_mass_max": 500},
        {"jet_mass": "pruned", "jet_order": "pt"},
    ],
)
def test_delphes(data, tmp_path, selection):
    path = data("delphes/qcd_r10.root")
    config = SearchConfig(selection=selection).selection
    _, table = run(dataset(path, layout="delphes", max_entries=1500), tmp_path, selection)
    # A groomed mass is a small difference of large numbers: of order 1e-4 GeV it depends on the order of operations.
    truth = plain.table(plain.delphes_events(path, 1500), config)
    assert_same(table, truth, mass_tolerance=1e-3, layout="delphes")


@pytest.mark.parametrize(
    ("name", "entries", "selection"),
    [
        ("stock_cms_card_r08", 200, {**OPEN, "jet_mass": "softdrop"}),
        ("stock_cms_card_r08", 200, {**OPEN, "jet_mass": "trimmed", "jet_order": "pt"}),
        ("qcd_low_pt_r10", 500, {**OPEN, "jet_mass": "pruned"}),
        ("zprime_tt_3500_r10", 500, {**OPEN, "jet_mass": "softdrop"}),
    ],
)
def test_delphes_without_cuts(data, tmp_path, name, entries, selection):
    """The unmodified stock card with its unreadable branches, and events without a fat jet."""
    path = data(f"delphes/{name}.root")
    truth = plain.table(plain.delphes_events(path, entries), SearchConfig(selection=selection).selection)
    _, table = run(dataset(path, layout="delphes", max_entries=entries), tmp_path, selection)
    assert_same(table, truth, mass_tolerance=1e-3, layout="delphes")


def test_delphes_chunks_without_a_fat_jet(data, tmp_path):
    """Some of these chunks hold no jet at all, most no pair; four-vectors of nothing are read all the same."""
    path = data("delphes/qcd_low_pt_r10.root")
    jets = [len(event["jets"]) for event in plain.delphes_events(path, 40)]
    assert any(sum(jets[i : i + 4]) == 0 for i in range(0, 40, 4))
    selection = {**OPEN, "jet_mass": "softdrop"}
    truth = plain.table(plain.delphes_events(path, 40), SearchConfig(selection=selection).selection)
    _, table = run(dataset(path, layout="delphes", max_entries=40), tmp_path, selection, chunksize=4)
    assert_same(table, truth, mass_tolerance=1e-3, layout="delphes")


@pytest.mark.parametrize("collection", ["Jet", "GenJet"])
def test_delphes_collection_by_name(data, tmp_path, collection):
    path = data("delphes/stock_cms_card_r08.root")
    selection = {**OPEN, "jet_collection": collection}
    truth = plain.table(plain.delphes_events(path, None, collection), SearchConfig(selection=selection).selection)
    _, table = run(dataset(path, layout="delphes"), tmp_path, selection)
    assert_same(table, truth, mass_tolerance=1e-4, layout="delphes")


@pytest.mark.parametrize(
    ("name", "selection"),
    [
        ("nano_v12_tt", OPEN),
        ("nano_v12_tt", {**OPEN, "jet_mass": "softdrop", "jet_mass_min": 5}),
        ("nano_v15_tt", OPEN),
        pytest.param("nano_v15_tt", {**OPEN, "jet_mass": "softdrop"}, marks=pytest.mark.thorough),
        ("pfnano", OPEN),
        pytest.param("pfnano", {**OPEN, "jet_mass": "softdrop", "jet_order": "pt"}, marks=pytest.mark.thorough),
    ],
)
def test_cms_simulation(data, tmp_path, name, selection):
    path = data(f"nanoaod/{name}.root")
    truth = plain.table(plain.nanoaod_events(path), SearchConfig(selection=selection).selection)
    _, table = run(dataset(path), tmp_path, selection)
    assert_same(table, truth, mass_tolerance=1e-4)


def test_cms_simulation_of_version_9(data, tmp_path):
    """No event of this file has two fat jets, but 38 have two small ones, which have no τ_N."""
    path = data("nanoaod/nano_v9_dy.root")
    selection = {**OPEN, "jet_collection": "Jet"}
    truth = plain.table(plain.nanoaod_events(path, None, "Jet"), SearchConfig(selection=selection).selection)
    config = SearchConfig(selection=selection, learning={"features": ["mj1", "mj2"]})
    one = dataset(path)
    result = process_datasets({"sample": one}, config, tmp_path, Serial())
    assert_same(load_table(result, {"sample": one}, ["sample"]), truth, mass_tolerance=1e-4)
    assert len(truth["mjj"]) == 38
    assert result.datasets["sample"].sum_of_weights == 15166686735.858717


def test_file_without_a_selected_event_gives_an_empty_table(data, tmp_path):
    path = data("nanoaod/nano_v9_dy.root")
    assert not plain.table(plain.nanoaod_events(path), SearchConfig(selection=OPEN).selection)
    _, table = run(dataset(path), tmp_path, OPEN)
    assert len(table) == 0


@pytest.mark.parametrize("order", ["mass", "pt"])
@pytest.mark.parametrize(
    "cuts",
    [{}, pytest.param({"pt_min": 100, "leading_pt_min": 150, "jet_mass_min": 20}, marks=pytest.mark.thorough)],
)
def test_atlas_simulation(data, tmp_path, order, cuts):
    path = data("physlite/physlite_mc_100.root")
    selection = {**OPEN, **cuts, "jet_order": order}
    truth = plain.table(plain.physlite_events(path), SearchConfig(selection=selection).selection)
    _, table = run(dataset(path, layout="physlite"), tmp_path, selection)
    assert_same(table, truth, mass_tolerance=1e-4, layout="physlite")
    assert table.mjj.max() < 13_000


@pytest.mark.parametrize("layout", ["nanoaod", "delphes"])
@pytest.mark.parametrize("order", ["mass", "pt"])
def test_toys_with_odd_values(tmp_path, layout, order):
    """Unsorted jets, 0 to 4 of them, τ = 0, τ_N > τ_{N-1}, m < 0, msoftdrop = -1."""
    write = {"nanoaod": toys.write_nanoaod, "delphes": toys.write_delphes}[layout]
    path = write(tmp_path / "toy.root", toys.random_events(3000, seed=1))
    selection = {"jet_order": order, "jet_mass": "softdrop" if layout == "nanoaod" else "ungroomed", "mjj_min": 500}
    truth = plain.table(READERS[layout](path), SearchConfig(selection=selection).selection)
    _, table = run(dataset(path, layout=layout), tmp_path, selection)
    assert_same(table, truth, mass_tolerance=1e-4, layout=layout)
    assert np.isnan(truth["tau21_j1"]).any()
    assert (truth["tau21_j1"] == 1).any()
    assert layout == "delphes" or np.isnan(truth["mj2"]).any()


@pytest.mark.parametrize(("kind", "extra"), [("data", ()), ("pseudodata", ("sample",)), ("signal", ("sample",))])
def test_identity_of_nanoaod_events(tmp_path, kind, extra):
    """Run, luminosity block and event; for simulation also the dataset, since samples reuse the numbers."""
    path = toys.write_nanoaod(tmp_path / "toy.root", [toys.dijet()] * 250, run=7, first_event=1000)
    _, table = run(dataset(path, kind=kind), tmp_path)
    expected = [plain.identity(7, i // 100, 1000 + i, *map(plain.text_hash, extra)) for i in range(250)]
    assert sorted(table.event_id.tolist()) == sorted(expected)


def test_identity_of_delphes_events(tmp_path):
    """Dataset, file and entry in the file, wherever the chunk begins."""
    path = toys.write_delphes(tmp_path / "toy.root", [[], *[toys.dijet()] * 9])
    uuid = next(plain.delphes_events(path))["uuid"]
    _, table = run(dataset(path, layout="delphes"), tmp_path, chunksize=4)
    expected = {
        plain.identity(plain.text_hash("sample"), plain.text_hash(uuid), entry): entry for entry in range(1, 10)
    }
    found = dict(zip(table.event_id.tolist(), table.column("event").tolist(), strict=True))
    assert found == expected


@pytest.mark.parametrize("name", ["pythia/zprime_tt_3600", "nanoaod/nano_v12_tt", "delphes/zprime_tt_3500_r10"])
def test_ratios_of_real_jets_lie_between_zero_and_one(data, tmp_path, name):
    """A reader that takes `.tau2` gets m² (a property of `vector`) and fails here by orders of magnitude."""
    layout = "delphes" if name.startswith("delphes") else "nanoaod"
    _, table = run(dataset(data(f"{name}.root"), layout=layout), tmp_path, OPEN)
    for feature in ("tau21_j1", "tau21_j2", "tau32_j1", "tau32_j2"):
        values = table.column(feature)
        defined = values[np.isfinite(values)]
        assert len(defined) > 0.9 * len(table) > 0
        assert defined.min() >= 0
        assert defined.max() <= 1
        assert 0.1 < np.median(defined) < 0.95


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("layout", "name", "chunksize"),
    [("nanoaod", "pythia/wprime_3500_500_100", 3000), ("physlite", "physlite/physlite_mc_100", 50)],
)
def test_two_processes_give_the_same_table(data, tmp_path, two_processes: Backend, layout, name, chunksize):
    one = dataset(data(f"{name}.root"), layout=layout, kind="signal")
    backends = {"serial": Serial(), "processes": two_processes}
    found = [
        run(one, tmp_path / label, {"mjj_min": 0, "leading_pt_min": 0}, backend=backend, chunksize=chunksize)
        for label, backend in backends.items()
    ]
    assert len(found[0][1]) > 0
    toys.assert_identical(found[0][1], found[1][1])
    assert found[0][0].to_json() == found[1][0].to_json()
