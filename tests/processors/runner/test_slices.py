"""Sliced samples: what is left of each, and that together they are the inclusive spectrum."""

from __future__ import annotations

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
import uproot

from analysis.compute import Serial
from analysis.config import SearchConfig
from analysis.errors import ConfigError, DatasetError, InputFileError
from analysis.events.dataset import Slice
from processors.runner.run import load_table, process_datasets
from tests.builders import toys
from tests.builders.running import dataset, run

SCALE = 200.0
"""Slope of the toy spectrum in H_T, GeV."""

BOUNDARY = 1500.0
LOWEST = 1200.0
XSEC_PB, LUMI_IFB = 4.0, 0.5


def events(rng, count, *, above):
    """Falling H_T; both jets carry half of it, so that m_jj = H_T cosh(Δη / 2) but for masses."""
    ht = above + rng.exponential(SCALE, count)
    return ht, [toys.dijet(toys.jet(h / 2), toys.jet(h / 2, phi=np.pi)) for h in ht]


def sample(folder, name, seed, count, *, above, run_number, low, high):
    """A sample generated above a threshold, of which the slice is to be used; sigma = XSEC exp(-above / scale)."""
    ht, jets = events(np.random.default_rng(seed), count, above=above)
    path = toys.write_nanoaod(
        folder / f"{name}.root", jets, run=run_number, extra={"LHE_HT": ht.astype(np.float32)}, generator_sums=[count]
    )
    options = {"kind": "background", "xsec_pb": XSEC_PB * np.exp(-(above - LOWEST) / SCALE), "lumi_ifb": LUMI_IFB}
    return replace(dataset(path), name=name, slice=Slice("LHE_HT", (low, high)), stitch="qcd", **options)


def test_overlapping_slices_give_the_inclusive_spectrum(tmp_path):
    """An inclusive sample below the boundary and one with more events above: bins in H_T against the exponential."""
    count = {"inclusive": 3000, "high": 2000}
    datasets = {
        "inclusive": sample(
            tmp_path, "inclusive", 1, count["inclusive"], above=LOWEST, run_number=1, low=None, high=BOUNDARY
        ),
        "high": sample(tmp_path, "high", 2, count["high"], above=1400.0, run_number=2, low=BOUNDARY, high=None),
    }
    result = process_datasets(datasets, SearchConfig(selection={"mjj_min": 0}), tmp_path / "parts", Serial())
    table = load_table(result, datasets, datasets)
    flow = result.datasets["high"].cutflow
    ht = events(np.random.default_rng(2), count["high"], above=1400.0)[0]
    assert list(flow)[:3] == ["all", "two_jets", "slice"]
    assert flow["all"].events == result.datasets["high"].sum_of_weights == count["high"]
    assert flow["slice"].events == (ht.astype(np.float32) >= BOUNDARY).sum() < count["high"]

    total = 1000 * XSEC_PB * LUMI_IFB
    weight = {name: 1000 * one.xsec_pb * LUMI_IFB / count[name] for name, one in datasets.items()}
    labels = table.column("dataset")
    for name, expected in weight.items():
        np.testing.assert_allclose(table.weight[labels == name], expected, rtol=1e-12)
    edges = np.array([1200.0, 1300, 1400, 1500, 1600, 1800, 2100, 3000])
    mjj = np.sqrt(edges**2 + 2 * (toys.jet()["mass"] ** 2) * 2)  # (E1 + E2)² with p_T = H_T / 2 back to back
    found, _ = np.histogram(table.mjj, mjj, weights=table.weight)
    variance, _ = np.histogram(table.mjj, mjj, weights=table.weight**2)
    expected = -total * np.diff(np.exp(-(edges - LOWEST) / SCALE))
    pulls = (found - expected) / np.sqrt(variance)
    assert np.abs(pulls).max() < 3.5
    assert (pulls**2).sum() < 24.3  # p > 0.001 for 7 bins
    assert table.weight.sum() == pytest.approx(total, abs=4 * np.sqrt((table.weight**2).sum()))
    assert set(labels[table.mjj >= mjj[3] + 1]) == {"high"}
    assert set(labels[table.mjj < mjj[3] - 1]) == {"inclusive"}


def test_exclusive_slices_add_up(tmp_path):
    """Samples that do not overlap need no slice: each counts with its own cross-section."""
    one = toys.write_nanoaod(tmp_path / "a.root", [toys.dijet()] * 4, generator_sums=[8.0])
    other = toys.write_nanoaod(tmp_path / "b.root", [toys.dijet()] * 5, generator_sums=[50.0], run=2)
    datasets = {
        "low": replace(dataset(one), name="low", xsec_pb=4.0, lumi_ifb=1.0, stitch="qcd"),
        "high": replace(dataset(other), name="high", xsec_pb=0.1, lumi_ifb=1.0, stitch="qcd"),
    }
    result = process_datasets(datasets, SearchConfig(), tmp_path / "parts", Serial())
    table = load_table(result, datasets, datasets)
    assert table.weight.sum() == pytest.approx(4 * 4000 / 8 + 5 * 100 / 50)


def test_variable_of_a_real_file(data, tmp_path):
    """p̂_T of a CMS sample; events and weights against a plain count of the branch."""
    path = data("nanoaod/pfnano.root")
    tree = uproot.open(path)["Events"]
    binvar, jets = tree["Generator_binvar"].array(library="np"), tree["nFatJet"].array(library="np")
    middle = float(np.median(binvar))
    loose = {"pt_min": 0, "leading_pt_min": 0, "mjj_min": 0, "abs_eta_max": 9, "abs_dy_validation": 9}
    left = {}
    for name, limits in {"all": (None, None), "below": (None, middle), "above": (middle, None)}.items():
        one = dataset(path, slice=Slice("Generator_binvar", limits))
        left[name] = run(one, tmp_path / name, loose)[0].cutflow
    assert left["above"]["all"] == left["all"]["all"]
    assert left["above"]["slice"].events == ((binvar >= middle) & (jets >= 2)).sum() > 0
    assert left["below"]["slice"].events == ((binvar < middle) & (jets >= 2)).sum() > 0
    assert left["below"]["slice"] + left["above"]["slice"] == left["all"]["slice"]


def test_a_change_of_the_slice_makes_the_parts_again(tmp_path):
    extra = {"LHE_HT": [100.0, 200.0, 300.0]}
    path = toys.write_nanoaod(tmp_path / "a.root", [toys.dijet()] * 3, extra=extra)
    for limits, count in [((None, None), 3), ((200.0, None), 2), ((None, 200.0), 1), ((200.0, 300.0), 1)]:
        _, table = run(dataset(path, slice=Slice("LHE_HT", limits)), tmp_path / "parts")
        assert len(table) == count
    assert len(run(dataset(path), tmp_path / "parts")[1]) == 3


def test_a_variable_that_the_file_lacks_is_named(tmp_path):
    path = toys.write_nanoaod(tmp_path / "a.root", [toys.dijet()] * 3, extra={"LHE_HT": [1.0, 2.0, 3.0]})
    with pytest.raises(InputFileError, match=r"a\.root \(dataset sample\): branch LHE_Ht is missing.*LHE_HT"):
        run(dataset(path, slice=Slice("LHE_Ht", (1.0, 2.0))), tmp_path / "parts")


SETTINGS = {
    "slice.variable": ({"slice": Slice("PSWeight", (1.0, 2.0))}, {}),
    "selection.triggers": ({}, {"triggers": ["PSWeight"]}),
    "selection.event_filters": ({}, {"event_filters": ["PSWeight"]}),
}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("lists", [[[1.0], [], [2.0, 3.0]], [[1.0, 2.0]] * 3])
def test_a_setting_that_names_a_list_is_refused(tmp_path, setting, lists):
    options, selection = SETTINGS[setting]
    path = toys.write_nanoaod(tmp_path / "a.root", [toys.dijet()] * 3, extra={"PSWeight": ak.Array(lists)})
    message = rf"a\.root \(dataset sample\): {setting} names PSWeight, which holds a list .*one number for each"
    with pytest.raises(ConfigError, match=message):
        run(dataset(path, **options), tmp_path / "parts", selection)


def test_slices_that_overlap_are_refused_before_anything_is_read(tmp_path):
    def one(name, low, high):
        files = (("nowhere.root", "Events"),)
        return replace(dataset(), name=name, files=files, slice=Slice("LHE_HT", (low, high)), stitch="g")

    with pytest.raises(DatasetError, match=r"datasets a and b .*overlap between 4 and 5"):
        process_datasets({"a": one("a", 0, 5), "b": one("b", 4, 9)}, SearchConfig(), tmp_path, Serial())
