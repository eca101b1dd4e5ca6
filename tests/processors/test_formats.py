"""What an adapter does with branches, odd values and weights."""

from __future__ import annotations

import numpy as np
import pytest
import uproot

from analysis.errors import DatasetError, InputFileError
from processors.formats import ADAPTERS, find_adapter
from processors.objects import Tally, leading_pair
from tests.builders import plain, toys
from tests.builders.running import dataset, read, run


def toy(tmp_path, *events, **options):
    return toys.write_nanoaod(tmp_path / "toy.root", events, **options)


def test_jets_are_taken_in_order_of_pt(tmp_path):
    jets = [toys.jet(300, mass=1), toys.jet(900, mass=2), toys.jet(400, mass=3), toys.jet(900, mass=4)]
    path = toy(tmp_path, [toys.jet()], jets, [], toys.dijet())
    dijets = read(path)
    assert dijets.entry.tolist() == [1, 3]
    assert dijets.first.mass.tolist() == [2, 100]
    assert dijets.second.mass.tolist() == [4, 100]
    assert dijets.read == Tally(4, 4.0, 0.0)


@pytest.mark.parametrize("seed", range(5))
def test_leading_pair_is_what_sorting_each_event_gives(seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 5, 300)
    jets = [rng.integers(1, 6, n).astype(np.float32) for n in counts]  # many ties
    entry, first, second = leading_pair(counts, np.concatenate(jets))
    starts = np.concatenate([[0], np.cumsum(counts)])
    expected = [
        (i, *(starts[i] + np.array(sorted(range(len(pt)), key=lambda j, pt=pt: -pt[j])[:2])))
        for i, pt in enumerate(jets)
        if len(pt) >= 2
    ]
    assert [tuple(row) for row in zip(entry, first, second, strict=True)] == expected


def test_jet_without_a_pt_spoils_its_event_whatever_the_order_of_others():
    """NaN sorts as leading, in a chunk that needs sorting and in one that does not."""
    nan = np.nan
    alone = leading_pair(np.array([3]), np.array([3.0, 2.0, nan]))
    beside = leading_pair(np.array([3, 2]), np.array([3.0, 2.0, nan, 1.0, 2.0]))
    assert 2 in {int(alone[1][0]), int(alone[2][0])}
    assert (beside[1][0], beside[2][0]) == (alone[1][0], alone[2][0])


def test_masses(tmp_path):
    """Rounding below zero is zero; -1 and below is missing."""
    masses = [(5.0, 80.0), (-1e-5, 3.0), (-0.4, -1.0), (7.0, -999.0), (-1.0, np.nan)]
    path = toy(tmp_path, *(toys.dijet(toys.jet(mass=m, msoftdrop=g)) for m, g in masses))
    dijets = read(path, jet_mass="softdrop")
    np.testing.assert_array_equal(dijets.first.mass, [5, 0, 0, 7, np.nan])
    np.testing.assert_array_equal(dijets.first.jet_mass, [80, 3, np.nan, np.nan, np.nan])
    ungroomed = read(path)
    np.testing.assert_array_equal(ungroomed.first.jet_mass, ungroomed.first.mass)


def test_mjj_uses_the_ungroomed_mass(tmp_path):
    path = toy(
        tmp_path, toys.dijet(toys.jet(900, mass=300, msoftdrop=5), toys.jet(900, phi=np.pi, mass=400, msoftdrop=6))
    )
    energies = np.sqrt(900.0**2 + np.array([300.0, 400.0]) ** 2)
    assert read(path, jet_mass="softdrop").mjj[0] == pytest.approx(energies.sum(), rel=1e-6)


def test_rapidity_is_not_pseudorapidity(tmp_path):
    """A heavy jet at η = 2 has y = asinh(pz / m_T), well below 2."""
    path = toy(tmp_path, toys.dijet(toys.jet(500, eta=2.0, mass=500), toys.jet(500, eta=0.0, phi=3)))
    y = np.arcsinh(500 * np.sinh(2.0) / np.hypot(500, 500))
    assert read(path).abs_dy[0] == pytest.approx(y, rel=1e-6)
    assert y < 1.7


def test_tau2_is_the_branch(data):
    """`vector` has a property `tau2`, the squared mass, that hides a branch of this name."""
    path = data("nanoaod/nano_v12_tt.root")
    dijets = read(path)
    with uproot.open(path) as file:
        branch = file["Events/FatJet_tau2"].array(library="np")
    assert dijets.first.tau(2).tolist() == [float(branch[entry][0]) for entry in dijets.entry]
    assert (dijets.first.tau(2) < 1).all()


def test_only_needed_branches_are_read(data):
    log: list = []
    dijets = read(data("nanoaod/nano_v15_tt.root"), log=log, jet_mass="softdrop")
    kinematics = {f"FatJet_{name}" for name in ("pt", "eta", "phi", "mass")}
    always = kinematics | {"nFatJet", "run", "luminosityBlock", "event", "genWeight"}
    assert kinematics <= {one.branch for one in log} <= always
    assert (dijets.first.tau(2) <= dijets.first.tau(1)).all()
    assert (dijets.first.jet_mass < 1000).all()
    assert {one.branch for one in log} - always == {"FatJet_msoftdrop", "FatJet_tau1", "FatJet_tau2"}


def test_any_other_branch_can_be_asked_for(data):
    """What a cut or a feature of an analyst needs: a column of the jets, or of the event, by its name in the file."""
    path = data("nanoaod/nano_v15_tt.root")
    dijets = read(path)
    with uproot.open(path) as file:
        lsf3 = file["Events/FatJet_lsf3"].array(library="np")
        filters, ht = (file[f"Events/{name}"].array(library="np") for name in ("Flag_goodVertices", "LHE_HT"))
    assert dijets.second.column("lsf3").tolist() == [float(lsf3[entry][1]) for entry in dijets.entry]
    assert dijets.column("Flag_goodVertices").tolist() == filters[dijets.entry].tolist()
    assert dijets.column("LHE_HT").tolist() == ht[dijets.entry].tolist()
    some = dijets.take(np.arange(len(dijets)) % 2 == 0)
    assert some.column("LHE_HT").tolist() == dijets.column("LHE_HT")[::2].tolist()
    assert some.first.column("lsf3").tolist() == dijets.first.column("lsf3")[::2].tolist()


def test_event_branch_that_is_absent_is_named(data):
    dijets = read(data("nanoaod/nano_v12_tt.root"))
    with pytest.raises(InputFileError, match=r"nano_v12_tt\.root.*branch HLT_PFHT1051 is missing.*HLT_PFHT1050"):
        dijets.column("HLT_PFHT1051")
    delphes = read(data("delphes/stock_cms_card_r08.root"), "delphes")
    assert (delphes.column("ScalarHT.HT") > 0).all()
    with pytest.raises(InputFileError, match=r"branch ScalarHT\.H is missing.*ScalarHT\.HT"):
        delphes.column("ScalarHT.H")


def test_stock_delphes_card_with_unreadable_branches(data):
    """Some branches of the stock card cannot be read at all; the ones that are needed can."""
    path = data("delphes/stock_cms_card_r08.root")
    dijets = read(path, "delphes", jet_mass="trimmed")
    assert len(dijets) == sum(len(event["jets"]) >= 2 for event in plain.delphes_events(path))


def test_delphes_collection_of_any_name(tmp_path):
    path = toys.write_delphes(tmp_path / "toy.root", [toys.dijet(toys.jet(mass=120))], collection="MyBigJets")
    assert read(path, "delphes", jet_collection="MyBigJets").first.mass.tolist() == [120]


def test_nanoaod_collection_of_any_name(tmp_path):
    path = toy(tmp_path, toys.dijet(toys.jet(mass=120)), collection="BigJet")
    assert read(path, jet_collection="BigJet").first.mass.tolist() == [120]


def test_tau_branch_that_is_absent_is_named_when_it_is_asked_for(tmp_path):
    path = toy(tmp_path, toys.dijet(), drop=("FatJet_tau3",))
    first = read(path).first
    assert first.tau(2).tolist() == [0.25]
    with pytest.raises(
        InputFileError, match=r"toy\.root \(dataset sample\): branch FatJet_tau3 is missing.*FatJet_tau2"
    ):
        first.tau(3)


@pytest.mark.parametrize("branch", ["pt", "eta", "phi", "mass", "msoftdrop"])
def test_missing_kinematics_are_named(tmp_path, branch):
    path = toy(tmp_path, toys.dijet(), drop=(f"FatJet_{branch}",))
    with pytest.raises(InputFileError, match=rf"toy\.root \(dataset sample\): branch FatJet_{branch} is missing"):
        _ = read(path, jet_mass="softdrop").first.jet_mass


def test_missing_groomed_delphes_branch_is_spelled_as_in_the_file(tmp_path):
    path = toys.write_delphes(tmp_path / "toy.root", [toys.dijet()])
    with pytest.raises(InputFileError, match=r"branch FatJet\.SoftDroppedP4\[5\] is missing"):
        _ = read(path, "delphes", jet_mass="softdrop").first.jet_mass


def test_missing_collection_names_the_similar_ones(tmp_path):
    path = toy(tmp_path, toys.dijet())
    with pytest.raises(
        InputFileError, match=r"toy\.root.*no jet collection 'FatJets'.*FatJet\b.*selection\.jet_collection"
    ):
        read(path, jet_collection="FatJets")


@pytest.mark.parametrize("mass", ["trimmed", "pruned"])
def test_nanoaod_has_only_soft_drop(tmp_path, mass):
    path = toy(tmp_path, toys.dijet())
    with pytest.raises(InputFileError, match=rf"'{mass}' is not in NanoAOD.*FatJet_msoftdrop"):
        read(path, jet_mass=mass)


@pytest.mark.parametrize("name", ["run", "luminosityBlock", "event"])
def test_missing_event_number_is_named(tmp_path, name):
    path = toy(tmp_path, toys.dijet(), drop=(name,))
    with pytest.raises(InputFileError, match=rf"toy\.root.*branch {name} is missing"):
        read(path)


def test_unknown_format_names_the_known_ones():
    with pytest.raises(DatasetError, match=r"'mine'.*'miniaod'.*delphes, nanoaod, physlite"):
        find_adapter("miniaod", "mine")
    assert set(ADAPTERS) >= {"delphes", "nanoaod", "physlite"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("nanoaod/nano_v9_dy", 15166686735.858717), ("nanoaod/pfnano", 10.0), ("nanoaod/nano_v12_tt", None)],
)
def test_sum_of_generator_weights_is_that_of_the_tree_runs(data, name, expected):
    """Numbers as `TTree::Scan` shows them; the v9 branch ends in an underscore, the v12 file has lost its `Runs`."""
    path = data(f"{name}.root")
    with uproot.open(path) as file:
        branches = [] if "Runs" not in file else [b for b in file["Runs"].branches if b.name.startswith("genEventSumw")]
        plainly = {b.name: float(np.sum(b.array(library="np"))) for b in branches if "Sumw2" not in b.name}
    assert list(plainly.values()) == ([] if expected is None else [expected])
    assert find_adapter("nanoaod", "toy").generator_sum(str(path)) == expected


def test_physlite_columns(data):
    """GeV for momentum and mass; anything else by its name, in the unit of the file."""
    path = data("physlite/physlite_mc_100.root")
    log: list = []
    dijets = read(path, "physlite", log=log)
    assert "AnalysisLargeRJetsAuxDyn.Tau1_wta" not in {one.branch for one in log}
    with uproot.open(path) as file:
        tree = file["CollectionTree"]
        pt, d2 = (tree[f"AnalysisLargeRJetsAuxDyn.{name}"].array().to_list() for name in ("pt", "D2"))
        pileup = tree["EventInfoAuxDyn.averageInteractionsPerCrossing"].array().to_list()
    entries = [i for i, jets in enumerate(pt) if len(jets) >= 2]
    assert len(entries) == 32
    assert dijets.entry.tolist() == entries
    np.testing.assert_allclose(dijets.first.pt, [pt[i][0] / 1000 for i in entries], rtol=1e-12)
    assert dijets.second.column("D2").tolist() == [d2[i][1] for i in entries]
    assert dijets.column("EventInfoAuxDyn.averageInteractionsPerCrossing").tolist() == [pileup[i] for i in entries]
    assert "AnalysisLargeRJetsAuxDyn.Tau1_wta" not in {one.branch for one in log}


def test_physlite_has_no_tau4_and_one_mass(data):
    path = data("physlite/physlite_mc_100.root")
    with pytest.raises(InputFileError, match=r"AnalysisLargeRJetsAuxDyn\.Tau4_wta is missing.*Tau3_wta"):
        read(path, "physlite").first.tau(4)
    with pytest.raises(InputFileError, match=r"'trimmed' is not in PHYSLITE.*AuxDyn\.m\b.*'ungroomed'"):
        read(path, "physlite", jet_mass="trimmed")


@pytest.mark.parametrize("name", ["AnalysisBigJets", "AnalysisBigJetsAuxDyn"])
def test_physlite_jets_in_no_order(tmp_path, name):
    events = toys.random_events(500, seed=4)
    path = toys.write_physlite(tmp_path / "toy.root", events, collection="AnalysisBigJets")
    dijets = read(path, "physlite", jet_collection=name)
    pairs = [sorted(event, key=lambda one: -one["pt"])[:2] for event in events if len(event) >= 2]
    np.testing.assert_allclose(dijets.first.pt, [one["pt"] for one, _ in pairs], rtol=1e-6)
    np.testing.assert_allclose(dijets.second.mass, [max(two["mass"], 0) for _, two in pairs], rtol=1e-6)
    with pytest.raises(InputFileError, match=r"no jet collection.*AnalysisBigJetsAuxDyn"):
        read(path, "physlite")


def test_physlite_identity_tells_processes_apart_but_not_in_data(tmp_path):
    paths = [toys.write_physlite(tmp_path / f"{i}.root", [toys.dijet()] * 3, channel=i) for i in (1, 2)]
    found = {
        kind: [read(path, "physlite", kind).event_id.tolist() for path in paths] for kind in ("background", "data")
    }
    assert found["data"][0] == found["data"][1]
    assert not set(found["background"][0]) & set(found["background"][1])


def test_physlite_event_without_a_weight_is_refused(tmp_path):
    path = toys.write_physlite(tmp_path / "toy.root", [toys.dijet()] * 3, weights=[[1.0], [], [2.0, 3.0]])
    with pytest.raises(InputFileError, match=r"toy\.root.*1 events have no weight in EventInfoAuxDyn\.mcEventWeights"):
        read(path, "physlite")
    weighted = toys.write_physlite(tmp_path / "weighted.root", [toys.dijet()] * 2, weights=[[1.0, 7.0], [2.0]])
    with pytest.raises(InputFileError, match=r"must be unweighted.*1 to 2"):
        read(weighted, "physlite", kind="data")


@pytest.mark.parametrize("layout", ["nanoaod", "delphes"])
def test_simulation_keeps_negative_weights(tmp_path, layout):
    weights = [1.5, -0.5, 2.25, -3.0]
    events = [toys.dijet(), [], toys.dijet(), toys.dijet()]
    if layout == "nanoaod":
        path = toy(tmp_path, *events, gen_weight=weights)
    else:
        path = toys.write_delphes(tmp_path / "toy.root", events, weights=weights)
    result, table = run(dataset(path, layout=layout), tmp_path)
    assert sorted(table.weight.tolist()) == [-3.0, 1.5, 2.25]
    assert (result.cutflow["all"].events, result.cutflow["all"].weight) == (4, 0.25)
    assert (result.cutflow["search"].events, result.cutflow["search"].weight) == (3, 0.75)
    assert (result.cutflow["mjj_min"].events, result.cutflow["mjj_min"].weight) == (3, 0.75)


def test_equal_weights_of_observed_events_become_one(tmp_path):
    path = toy(tmp_path, *[toys.dijet()] * 3, gen_weight=[0.3] * 3)
    result, table = run(dataset(path, kind="pseudodata"), tmp_path)
    assert table.weight.tolist() == [1, 1, 1]
    assert (result.cutflow["all"].events, result.cutflow["all"].weight) == (3, 3)


@pytest.mark.parametrize("kind", ["data", "pseudodata"])
@pytest.mark.parametrize(("weights", "span"), [([1, 1, -1], "-1 to 1"), ([1, 2, 1], "1 to 2")])
def test_observed_events_with_different_weights_are_refused(tmp_path, kind, weights, span):
    path = toy(tmp_path, *[toys.dijet()] * 3, gen_weight=weights)
    with pytest.raises(InputFileError, match=rf"toy\.root.*kind '{kind}' must be unweighted.*{span}.*Unweight"):
        run(dataset(path, kind=kind), tmp_path)


def test_observed_files_with_different_weights_are_refused(tmp_path):
    paths = [
        toys.write_nanoaod(tmp_path / f"{i}.root", [toys.dijet()], run=i, gen_weight=[weight])
        for i, weight in enumerate([1.0, 2.0])
    ]
    with pytest.raises(InputFileError, match=r"sample.*weight 1 in .*0\.root and 2 in .*1\.root"):
        run(dataset(*paths, kind="pseudodata"), tmp_path)


def test_weights_that_are_not_numbers_are_refused(tmp_path):
    path = toy(tmp_path, toys.dijet(), toys.dijet(), gen_weight=[1, np.inf])
    with pytest.raises(InputFileError, match=r"toy\.root.*1 generator weights are not finite"):
        run(dataset(path), tmp_path)


def test_tally_does_not_depend_on_how_events_are_split():
    """Weights of very different size that cancel: float64 sums depend on their order, these do not."""
    rng = np.random.default_rng(3)
    weights = rng.normal(size=5000) * 10.0 ** rng.integers(-6, 7, 5000)
    splits = [np.array_split(weights, n) for n in (1, 2, 7, 100)]
    sums = [sum((Tally.of(part) for part in parts), Tally()) for parts in splits]
    assert len({(one.events, one.weight) for one in sums}) == 1
    naive = {float(sum(part.sum() for part in parts)) for parts in splits}
    assert len(naive) > 1
