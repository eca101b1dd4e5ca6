"""Varied jets and weights against the selection written event by event in plain Python (`tests.builders.plain`)."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist
from typing import Any

import awkward as ak
import correctionlib.schemav2 as cs
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot

from analysis.compute import Backend, Serial
from analysis.config import SearchConfig, load_config
from analysis.core.plugins import load_plugins, unload_plugins
from analysis.errors import ConfigError, InputFileError
from analysis.events.dataset import Dataset
from analysis.events.table import EventTable
from processors.runner.run import DatasetResult, process_datasets
from processors.systematics import object_systematic
from tests.builders import plain, toys
from tests.builders.running import dataset

Jet = dict[str, float]
Vary = Callable[[Jet, int], Jet]

LOOSE = {"jet_mass": "softdrop", "mjj_min": 300}
BINS = {"pt": [200, 700, 1500], "abs_eta": [0, 1.0, 2.5], "sizes": [[0.05, 0.1], [0.2, 0.3]]}


def run(
    one: Dataset, folder: Path, *systematics: dict[str, Any], selection: dict[str, Any] = LOOSE, **options: Any
) -> DatasetResult:
    config = SearchConfig(selection=selection, systematics=systematics, random_state=options.pop("seed", 0))
    return process_datasets({one.name: one}, config, folder, Serial(), **options).datasets[one.name]


@pytest.fixture(scope="module")
def odd(tmp_path_factory) -> Path:
    """Events with up to four jets in no order, some without a groomed mass."""
    folder = tmp_path_factory.mktemp("odd")
    return toys.write_nanoaod(folder / "odd.root", toys.random_events(900, seed=4), gen_weight=np.full(900, 0.5))


def varied_truth(path: Path, selection: dict[str, Any], vary: Vary) -> dict[str, np.ndarray]:
    """The plain table of the search region after a function of (jet, identity with place) has changed every jet."""

    def events():
        for event in plain.nanoaod_events(path):
            number = plain.identity(*event["key"], plain.text_hash("sample"))
            jets = [vary(jet, (number + place) & plain.MASK) for place, jet in enumerate(event["jets"])]
            yield {**event, "jets": jets}

    table = plain.table(events(), SearchConfig(selection=selection).selection)
    searched = table["rapidity_region"] == "search"
    return {name: values[searched] for name, values in table.items()}


def scaled(jet: Jet, factor: float, *names: str) -> Jet:
    """Missing masses, which the file marks by negative numbers, stay missing."""
    return {**jet, **{name: jet[name] * factor for name in names if jet[name] > -1}}


def binned_size(jet: Jet) -> float:
    row = 0 if jet["pt"] < 700 else 1
    return BINS["sizes"][row][0 if abs(jet["eta"]) < 1.0 else 1]


def noise(number: int, name: str, seed: int) -> float:
    bits = plain.identity(number ^ plain.identity(seed, plain.text_hash(name)))
    return NormalDist().inv_cdf(((bits >> 11) + 0.5) * 2.0**-53)


MASSES, ENERGY = ("mass", "msoftdrop"), ("pt", "mass", "msoftdrop")

CASES: list[tuple[dict[str, Any], str, Vary]] = [
    ({"kind": "jet-mass-scale", "value": 0.1}, "xUp", lambda jet, _: scaled(jet, 1.1, *MASSES)),
    ({"kind": "jet-mass-scale", "value": 0.1}, "xDown", lambda jet, _: scaled(jet, 0.9, *MASSES)),
    ({"kind": "jet-energy-scale", "value": 0.2}, "xDown", lambda jet, _: scaled(jet, 0.8, *ENERGY)),
    ({"kind": "jet-energy-scale", "bins": BINS}, "xUp", lambda jet, _: scaled(jet, 1 + binned_size(jet), *ENERGY)),
    ({"kind": "jet-energy-scale", "bins": BINS}, "xDown", lambda jet, _: scaled(jet, 1 - binned_size(jet), *ENERGY)),
    ({"kind": "jet-mass-scale", "bins": BINS}, "xUp", lambda jet, _: scaled(jet, 1 + binned_size(jet), *MASSES)),
    (
        {"kind": "jet-energy-resolution", "value": 0.3},
        "xUp",
        lambda jet, number: scaled(jet, max(1 + 0.3 * noise(number, "x", 7), 0), *ENERGY),
    ),
    (
        {"kind": "jet-mass-resolution", "bins": BINS},
        "xUp",
        lambda jet, number: scaled(jet, max(1 + binned_size(jet) * noise(number, "x", 7), 0), *MASSES),
    ),
]


@pytest.mark.parametrize("chunksize", [137, 900])
@pytest.mark.parametrize(("entry", "name", "vary"), CASES)
def test_varied_tables_are_those_of_varied_events(odd, tmp_path, entry, name, vary, chunksize):
    """Cuts, order, m_jj and features follow the varied jets; another pair may lead. In any chunking."""
    result = run(dataset(odd), tmp_path, {"name": "x", **entry}, seed=7, chunksize=chunksize)
    table = EventTable.from_parts(result.variations[name])
    truth = varied_truth(odd, LOOSE, vary)
    order = {tuple(map(int, key)): row for row, key in enumerate(truth["key"])}
    keys = zip(*(table.column(one).tolist() for one in ("run", "luminosity_block", "event")), strict=True)
    rows = np.array([order[key] for key in keys])
    assert len(rows) == len(order) > 100
    np.testing.assert_allclose(table.mjj, truth["mjj"][rows], rtol=1e-9)
    np.testing.assert_allclose(table.column("abs_dy"), truth["abs_dy"][rows], rtol=1e-8, atol=1e-8)
    assert table.weight.tolist() == truth["weight"][rows].tolist()
    for feature in table.feature_names:
        np.testing.assert_allclose(table.column(feature), truth[feature][rows], rtol=3e-7, atol=1e-4, err_msg=feature)


def test_real_signal_varied_in_energy(data, tmp_path):
    path = data("pythia/wprime_3500_500_100.root")
    result = run(dataset(path), tmp_path, {"name": "x", "kind": "jet-energy-scale", "value": 0.03}, selection={})
    table, nominal = (EventTable.from_parts(parts) for parts in (result.variations["xUp"], result.parts))
    truth = varied_truth(path, {}, lambda jet, _: scaled(jet, 1.03, *ENERGY))
    assert len(table) == len(truth["mjj"]) > 1000
    np.testing.assert_allclose(np.sort(table.mjj), np.sort(truth["mjj"]), rtol=1e-9)
    common, one, two = np.intersect1d(table.event_id, nominal.event_id, return_indices=True)
    assert len(common) > 1000
    np.testing.assert_allclose(table.mjj[one], 1.03 * nominal.mjj[two], rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "layout", "mass"),
    [
        ("delphes/wprime_3500_500_100_r10_small.root", "delphes", "softdrop"),
        ("physlite/physlite_mc_100.root", "physlite", "ungroomed"),
    ],
)
def test_an_energy_scale_multiplies_all_masses_in_every_format(data, tmp_path, name, layout, mass):
    one = dataset(data(name), layout=layout, max_entries=600)
    selection = {**dict.fromkeys(("pt_min", "leading_pt_min", "mjj_min"), 0.0), "jet_mass": mass}
    result = run(one, tmp_path, {"name": "x", "kind": "jet-energy-scale", "value": 0.2}, selection=selection)
    nominal = EventTable.from_parts(result.parts).in_region("search")
    assert len(nominal) > 10
    for side, factor in (("xUp", 1.2), ("xDown", 0.8)):
        table = EventTable.from_parts(result.variations[side])
        assert table.event_id.tolist() == nominal.event_id.tolist()
        np.testing.assert_allclose(table.mjj, factor * nominal.mjj, rtol=1e-9)
        np.testing.assert_allclose(table.column("abs_dy"), nominal.column("abs_dy"), rtol=1e-9)
        for feature in table.feature_names:
            expected = nominal.column(feature) * (factor if feature in ("mj1", "mj2", "delta_mj") else 1)
            np.testing.assert_allclose(table.column(feature), expected, rtol=1e-5, atol=1e-4, err_msg=feature)


@pytest.mark.parametrize(
    ("kind", "moved"),
    [
        ("jet-energy-scale", {"groomed_mass_j1": 1.2, "ungroomed_mass_j1": 1.2, "third_jet_pt": 1.2}),
        ("jet-mass-scale", {"groomed_mass_j1": 1.2, "ungroomed_mass_j1": 1.2}),
    ],
)
def test_optional_masses_and_the_third_jet_follow_their_systematic(tmp_path, kind, moved):
    event = [toys.jet(900, mass=90), toys.jet(800, phi=3.0, mass=50), toys.jet(300, phi=1.5)]
    path = toys.write_nanoaod(tmp_path / "toy.root", [event], gen_weight=[1.0])
    names = ("groomed_mass_j1", "ungroomed_mass_j1", "groomed_fraction_j1", "tau43_j1", "third_jet_pt")
    entry = {"name": "x", "kind": kind, "value": 0.2}
    result = run(dataset(path), tmp_path / "out", entry, selection={"mjj_min": 0, "optional_features": names})
    nominal, table = (EventTable.from_parts(parts) for parts in (result.parts, result.variations["xUp"]))
    assert len(table) == 1
    for name in names:
        expected = nominal.column(name) * moved.get(name, 1.0)
        np.testing.assert_allclose(table.column(name), expected, rtol=1e-6, err_msg=name)


def test_smearing_has_the_width_of_the_entry_and_up_and_down_are_symmetric(tmp_path):
    """m²_12 of two heavy jets back to back moves as the mean of their factors: relative width size / √2."""
    count = 20_000
    pair = toys.dijet(toys.jet(1500.0, phi=0.0), toys.jet(1500.0, phi=math.pi))
    path = toys.write_nanoaod(tmp_path / "same.root", [pair] * count)
    entries = [
        {"name": "jer", "kind": "jet-energy-resolution", "value": 0.05},
        {"name": "jmr", "kind": "jet-mass-resolution", "value": 0.2},
        {"name": "jms", "kind": "jet-mass-scale", "value": 0.02},
        {"name": "jes", "kind": "jet-energy-scale", "value": 0.02},
    ]
    result = run(dataset(path), tmp_path / "parts", *entries, selection={"jet_order": "pt"})
    tables = {name: EventTable.from_parts(paths) for name, paths in result.variations.items()}
    assert list(tables) == ["jerUp", "jmrUp", "jmsUp", "jmsDown", "jesUp", "jesDown"]
    nominal = EventTable.from_parts(result.parts)
    assert all(len(table) == count for table in tables.values())
    ratio = tables["jerUp"].mjj / nominal.mjj
    precision = 1 / math.sqrt(2 * count)
    assert ratio.std() == pytest.approx(0.05 / math.sqrt(2), rel=4 * precision)
    assert ratio.mean() == pytest.approx(1, abs=4 * 0.05 / math.sqrt(2 * count))
    masses = [tables["jmrUp"].column(name) / nominal.column(name) for name in ("mj1", "mj2")]
    for values in masses:
        assert values.std() == pytest.approx(0.2, rel=5 * precision)
    assert abs(np.corrcoef(*masses)[0, 1]) < 4 / math.sqrt(count)  # the two jets are smeared apart
    assert abs(np.corrcoef(masses[0], ratio)[0, 1]) < 4 / math.sqrt(count)  # and so are two systematics
    for name, column in (("jms", "mj1"), ("jes", "mjj")):
        up, down, middle = (one.column(column) for one in (tables[f"{name}Up"], tables[f"{name}Down"], nominal))
        np.testing.assert_allclose(up + down, 2 * middle, rtol=1e-6)
        np.testing.assert_allclose(up, 1.02 * middle, rtol=1e-6)


def test_nominal_tables_do_not_know_of_systematics(odd, tmp_path):
    jets = {"name": "jms", "kind": "jet-mass-scale", "value": 0.1}
    weights = {"name": "w", "kind": "event-weight", "up": "genWeight", "down": "genWeight"}
    without = run(dataset(odd), tmp_path / "none", chunksize=400)
    for number, entries in enumerate(([jets], [jets, weights])):
        result = run(dataset(odd), tmp_path / str(number), *entries, chunksize=400)
        assert [path.parent.parent.name for path in result.parts] == [path.parent.parent.name for path in without.parts]
        assert (result.cutflow, result.n_minus_one) == (without.cutflow, without.n_minus_one)
        toys.assert_identical(EventTable.from_parts(result.parts), EventTable.from_parts(without.parts))
        for part, other in zip(result.parts, without.parts, strict=True):
            one, two = pq.read_table(part), pq.read_table(other)
            for name in two.schema.names:
                assert one[name].to_numpy().tolist() == pytest.approx(two[name].to_numpy().tolist(), abs=0, nan_ok=True)


@pytest.mark.parametrize("kind", ["data", "pseudodata"])
def test_observed_events_are_not_varied(tmp_path, kind):
    """The files are the same bytes with and without systematics, although the branch of the weight is missing."""
    path = toys.write_nanoaod(tmp_path / "a.root", toys.random_events(300, seed=1))
    one = dataset(path, kind=kind)
    entries = [
        {"name": "jms", "kind": "jet-mass-scale", "value": 0.1},
        {"name": "w", "kind": "event-weight", "up": "noUp", "down": "noDown"},
    ]
    without, result = (run(one, tmp_path / str(len(some)), *some) for some in ([], entries))
    assert result.variations == result.varied_sums == {}
    assert [path.read_bytes() for path in result.parts] == [path.read_bytes() for path in without.parts]
    assert not list((tmp_path / "2").rglob("variation=*"))


def test_varied_parts_are_kept_and_made_again_as_nominal_ones(odd, tmp_path):
    entry = {"name": "jms", "kind": "jet-mass-scale", "value": 0.1}
    first = run(dataset(odd), tmp_path, entry, chunksize=300)
    paths = [*first.parts, *first.variations["jmsUp"], *first.variations["jmsDown"]]
    times = {path: path.stat().st_mtime_ns for path in paths}
    assert run(dataset(odd), tmp_path, entry, chunksize=300) == first
    assert {path: path.stat().st_mtime_ns for path in paths} == times
    victim = first.variations["jmsDown"][1]
    before = victim.read_bytes()
    victim.write_bytes(before[:-20])
    run(dataset(odd), tmp_path, entry, chunksize=300)
    changed = {path for path in paths if path.stat().st_mtime_ns != times[path]}
    assert changed == {first.parts[1], first.variations["jmsUp"][1], victim}
    assert victim.read_bytes() == before
    larger = run(dataset(odd), tmp_path, {**entry, "value": 0.2}, chunksize=300)
    assert larger.parts == first.parts  # no other nominal table, so nothing is trained again
    assert victim.read_bytes() != before


@pytest.fixture(scope="module")
def weighted(tmp_path_factory) -> Path:
    """Events with pile-up, six generator weights and a pair of factors; every third has one jet only."""
    rng = np.random.default_rng(2)
    events = [toys.dijet() if i % 3 else [toys.jet()] for i in range(600)]
    extra = {
        "Pileup_nTrueInt": rng.integers(0, 60, 600).astype(np.float32),
        "LHEScaleWeight": ak.from_regular(ak.Array(rng.uniform(0.5, 1.5, (600, 6)).astype(np.float32))),
        "btagUp": rng.uniform(1, 1.2, 600).astype(np.float32),
        "btagDown": rng.uniform(0.8, 1, 600).astype(np.float32),
        "zero": np.zeros(600, np.float32),
        "infinite": np.full(600, np.inf, np.float32),
    }
    weights = rng.normal(1, 0.5, 600)
    return toys.write_nanoaod(tmp_path_factory.mktemp("w") / "w.root", events, gen_weight=weights, extra=extra)


def pile_up_file(folder: Path) -> Path:
    """A correction in the form of CMS' puWeights: number of interactions, and a text that says which."""
    values = {"nominal": [0.5, 1.5], "up": [0.6, 1.2], "down": [0.4, 1.8]}
    content = [
        cs.CategoryItem(
            key=key,
            value=cs.Binning(nodetype="binning", input="NumTrueInteractions", edges=[0, 30, 99], content=two, flow=0.0),
        )
        for key, two in values.items()
    ]
    correction = cs.Correction(
        name="Collisions",
        version=1,
        inputs=[{"name": "NumTrueInteractions", "type": "real"}, {"name": "weights", "type": "string"}],
        output={"name": "weight", "type": "real"},
        data=cs.Category(nodetype="category", input="weights", content=content),
    )
    path = folder / "pu.json.gz"
    text = cs.CorrectionSet(schema_version=2, corrections=[correction]).model_dump_json(exclude_unset=True)
    path.write_bytes(gzip.compress(text.encode()))
    return path


PILE_UP = {
    "name": "pu",
    "kind": "event-weight",
    "inputs": {"NumTrueInteractions": "Pileup_nTrueInt"},
    "up": "up",
    "down": "down",
    "nominal": "nominal",
}


def columns_of(result: DatasetResult, *names: str) -> dict[str, np.ndarray]:
    table = EventTable.from_parts(result.parts, weights=names, weight_paths=result.weight_parts)
    order = np.argsort(table.column("event"))
    return {name: table.column(name)[order] for name in (*names, "event", "weight")}


def test_weight_variations_are_columns(weighted, tmp_path):
    entries = [
        PILE_UP | {"file": str(pile_up_file(tmp_path))},
        {"name": "btag", "kind": "event-weight", "up": "btagUp", "down": "btagDown"},
        {
            "name": "scale",
            "kind": "generator-weights",
            "branch": "LHEScaleWeight",
            "members": [1, 4],
            "combine": "envelope",
        },
    ]
    names = [f"weight_{name}" for name in ("puUp", "puDown", "btagUp", "btagDown", "scale_1", "scale_4")]
    result = run(dataset(weighted), tmp_path / "parts", *entries, chunksize=170)
    found = columns_of(result, *names)
    tree = uproot.open(weighted)["Events"]
    read = {name: tree[name].array(library="np") for name in ("genWeight", "Pileup_nTrueInt", "btagUp", "btagDown")}
    weight = read["genWeight"].astype(float)
    members = np.stack(tree["LHEScaleWeight"].array().to_numpy()).astype(float)
    rows = found["event"].astype(int)
    assert len(rows) == 400
    high = (read["Pileup_nTrueInt"] >= 30).astype(int)
    expected = {
        "weight_puUp": weight * np.array([0.6 / 0.5, 1.2 / 1.5])[high],
        "weight_puDown": weight * np.array([0.4 / 0.5, 1.8 / 1.5])[high],
        "weight_btagUp": weight * read["btagUp"],
        "weight_btagDown": weight * read["btagDown"],
        "weight_scale_1": weight * members[:, 1],
        "weight_scale_4": weight * members[:, 4],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values[rows], rtol=1e-7, err_msg=name)
    # Generator weights keep the sum of all events, those without two jets included; the others do not.
    assert list(result.varied_sums) == ["weight_scale_1", "weight_scale_4"]
    for member in (1, 4):
        ratio = math.fsum(weight * members[:, member]) / math.fsum(weight)
        assert result.varied_sums[f"weight_scale_{member}"] == pytest.approx(ratio, rel=1e-12)


def test_normalisation_of_a_weight_is_a_choice(weighted, tmp_path):
    entry = {"name": "btag", "kind": "event-weight", "up": "btagUp", "down": "btagDown", "normalise": True}
    assert list(run(dataset(weighted), tmp_path, entry).varied_sums) == ["weight_btagUp", "weight_btagDown"]


@pytest.mark.parametrize("name", ["nano_v12_tt", "nano_v15_tt"])
def test_generator_weights_of_cms_simulation(data, tmp_path, name):
    path = data(f"nanoaod/{name}.root")
    wide = {"pt_min": 0, "leading_pt_min": 0, "abs_eta_max": 10, "abs_dy_validation": 20, "mjj_min": 0}
    entries = [
        {"name": "ps", "kind": "generator-weights", "branch": "PSWeight", "members": [0, 2], "combine": "envelope"},
        PILE_UP | {"file": str(pile_up_file(tmp_path))},
    ]
    result = run(dataset(path), tmp_path / "parts", *entries, selection=wide)
    found = columns_of(result, "weight_ps_2", "weight_puUp")
    tree = uproot.open(path)["Events"]
    numbers, members = tree["event"].array(library="np"), tree["PSWeight"].array().to_numpy()
    weight = tree["genWeight"].array(library="np").astype(float)
    row = {int(number): i for i, number in enumerate(numbers)}
    rows = [row[int(number)] for number in found["event"]]
    assert len(rows) > 2
    np.testing.assert_allclose(found["weight_ps_2"], (weight * members[:, 2])[rows], rtol=1e-7)
    assert result.varied_sums["weight_ps_2"] == pytest.approx((weight * members[:, 2]).sum() / weight.sum())


def jet_correction(folder: Path) -> Path:
    """A relative size that depends on p_T through a formula, with a text input."""
    formula = {"nodetype": "formula", "expression": "0.01+0.00002*x", "parser": "TFormula", "variables": ["JetPt"]}
    document = {
        "schema_version": 2,
        "corrections": [
            {
                "name": "unc",
                "version": 1,
                "inputs": [{"name": "JetPt", "type": "real"}, {"name": "source", "type": "string"}],
                "output": {"name": "size", "type": "real"},
                "data": {
                    "nodetype": "category",
                    "input": "source",
                    "content": [{"key": "Total", "value": formula}],
                },
            }
        ],
    }
    path = folder / "unc.json"
    path.write_text(json.dumps(document))
    return path


def test_size_from_a_correctionlib_file_named_in_the_configuration(odd, tmp_path):
    path = tmp_path / "search.toml"
    jet_correction(tmp_path)
    path.write_text(
        '[[systematics]]\nname = "jes"\nkind = "jet-energy-scale"\nfile = "unc.json"\n'
        'inputs = {JetPt = "pt", source = "Total"}\n[selection]\njet_mass = "softdrop"\nmjj_min = 300\n'
    )
    config = load_config(path=path)
    one = dataset(odd)
    result = process_datasets({one.name: one}, config, tmp_path / "parts", Serial()).datasets[one.name]
    truth = varied_truth(odd, LOOSE, lambda jet, _: scaled(jet, 1 + 0.01 + 0.00002 * jet["pt"], *ENERGY))
    table = EventTable.from_parts(result.variations["jesUp"])
    np.testing.assert_allclose(np.sort(table.mjj), np.sort(truth["mjj"]), rtol=1e-9)
    assert load_config(overrides=json.loads(config.model_dump_json())) == config


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"kind": "jet-flavour"},
            "there is no such kind. Kinds: event-weight, generator-weights, jec-source, ",
        ),
        ({"kind": "jet-mass-scale"}, "needs the key value, or bins, or file"),
        ({"kind": "generator-weights", "branch": "x"}, "needs the key branch and members and combine"),
        ({"kind": "jet-mass-scale", "value": 0.1, "datasets": ["other"]}, "'other', which is no dataset of kind sig"),
        ({"kind": "jet-mass-scale", "file": "/nowhere.json"}, "cannot read /nowhere.json"),
    ],
)
def test_an_entry_that_cannot_be_used_is_an_error(odd, tmp_path, entry, message):
    with pytest.raises(ConfigError, match=r"systematics, entry 'x'") as caught:
        run(dataset(odd), tmp_path, {"name": "x", **entry})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"kind": "event-weight", "up": "btagUpp", "down": "btagDown"},
            "branch btagUpp is missing. Similar branches",
        ),
        ({"kind": "event-weight", "up": "infinite", "down": "btagDown"}, "600 factors on the weight are not finite"),
        (
            {"kind": "generator-weights", "branch": "LHEScaleWeight", "members": [6], "combine": "envelope"},
            "has 6 weights an event, and `members` names number 6",
        ),
        ({"kind": "event-weight", "up": "zero", "down": "btagDown", "normalise": True}, "cannot be normalised"),
    ],
)
def test_a_branch_that_cannot_be_used_is_an_error(weighted, tmp_path, entry, message):
    with pytest.raises(InputFileError) as caught:
        run(dataset(weighted), tmp_path, {"name": "x", **entry})
    assert message in str(caught.value)


def test_keys_of_the_configuration_are_checked(tmp_path):
    path = tmp_path / "search.toml"
    for text, message in (
        (
            'name = "a"\nkind = "jet-mass-scale"\nsize = 1',
            "unknown key 'systematics.0.size'. Keys there: bins,",
        ),
        ('name = "a b"\nkind = "jet-mass-scale"', "systematics.0.name"),
        ('name = "a"\nkind = "k"\nbins = {pt = [1, 0], abs_eta = [0, 1], sizes = [[1]]}', "rising bin edges"),
        ('name = "a"\nkind = "k"\n[[systematics]]\nname = "a"\nkind = "k"', "two entries of the name 'a'"),
    ):
        path.write_text(f"[[systematics]]\n{text}\n")
        with pytest.raises(ConfigError) as caught:
            load_config(path=path)
        assert message in str(caught.value)


PLUGIN = """
from processors.systematics import object_systematic

@object_systematic("tau21-scale", sides=("Up",))
def tau21_scale(jets):
    return {"tau2": FACTOR + jets.sign * jets.size}
"""


def test_a_kind_of_a_plugin_also_on_workers(odd, tmp_path, two_processes: Backend):
    """An edited plugin makes the varied parts again, and leaves the nominal ones where they are."""
    path, one = tmp_path / "mine.py", dataset(odd)
    entry = {"name": "tau", "kind": "tau21-scale", "value": 0.1}
    places = []
    for factor in (1.0, 0.8):
        path.write_text(PLUGIN.replace("FACTOR", str(factor)))
        load_plugins([str(path)])
        try:
            config = SearchConfig(selection=LOOSE, systematics=[entry])
            result = process_datasets({"sample": one}, config, tmp_path / "parts", two_processes).datasets["sample"]
        finally:
            unload_plugins()
        nominal, table = (EventTable.from_parts(parts) for parts in (result.parts, result.variations["tauUp"]))
        nominal = nominal.in_region("search")
        assert table.mjj.tolist() == nominal.mjj.tolist()
        expected = np.minimum((factor + 0.1) * nominal.column("tau21_j1"), 1)
        chosen = nominal.column("tau21_j1") < 0.9  # beyond, the nominal ratio may have been clipped
        assert chosen.sum() > 50
        np.testing.assert_allclose(table.column("tau21_j1")[chosen], expected[chosen], rtol=1e-6)
        places.append(result.parts)
    assert places[0] == places[1]
    with pytest.raises(ConfigError, match="there is no such kind"):
        run(one, tmp_path, entry)


def test_a_kind_is_not_replaced():
    with pytest.raises(ConfigError, match="a systematic 'jet-mass-scale' exists already"):
        object_systematic("jet-mass-scale")(lambda jets: {})


def test_any_backend_gives_the_same_tables(odd, tmp_path, two_processes: Backend):
    entries = ({"name": "jer", "kind": "jet-energy-resolution", "value": 0.1},)
    config = SearchConfig(selection=LOOSE, systematics=entries)
    one = dataset(odd)
    found = [
        process_datasets({one.name: one}, config, tmp_path / str(i), backend, chunksize=300).datasets[one.name]
        for i, backend in enumerate((Serial(), two_processes))
    ]
    toys.assert_identical(*(EventTable.from_parts(result.variations["jerUp"]) for result in found))
