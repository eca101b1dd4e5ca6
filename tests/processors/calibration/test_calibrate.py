"""Calibrated jets against the published prescriptions in plain Python, event by event (`tests.builders.jerc`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.compute import Serial
from analysis.config import SearchConfig
from analysis.errors import ConfigError, InputFileError
from analysis.events.table import EventTable
from processors.runner.run import load_table, process_datasets, processing_digest
from tests.builders import jerc, plain
from tests.builders.running import dataset

LOOSE = {"jet_mass": "softdrop", "mjj_min": 300, "leading_pt_min": 300, "abs_eta_max": 4.0}
NAMES = {"jec": f"{jerc.TAG}_L1L2L3Res_AK8PFPuppi"}
SMEARING = {
    "jer_resolution": f"{jerc.TAG}_PtResolution_AK8PFPuppi",
    "jer_scale_factor": f"{jerc.TAG}_ScaleFactor_AK8PFPuppi",
}
SUBJETS = {"subjet_jec": f"{jerc.TAG}_L1L2L3Res_AK4PFPuppi"}
MASS = {"jms": 0.98, "jmr": 1.15, "jmr_resolution": 0.1}
RUNS = [
    {"runs": jerc.RUN_A, "jec": "Toy18_RunA_V5_DATA_L1L2L3Res_AK8PFPuppi"},
    {"runs": jerc.RUN_B, "jec": "Toy18_RunB_V5_DATA_L1L2L3Res_AK8PFPuppi"},
]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("jerc")
    return {
        "file": jerc.write_corrections(folder / "fatJet_jerc.json.gz"),
        "subjet_file": jerc.write_corrections(folder / "jet_jerc.json.gz", jerc.SUBJETS),
    }


@pytest.fixture(scope="module")
def simulation(tmp_path_factory) -> Path:
    return jerc.write_nanoaod(tmp_path_factory.mktemp("simulation") / "mc.root", 400, seed=1)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    return jerc.write_nanoaod(tmp_path_factory.mktemp("recorded") / "data.root", 200, seed=2, data=True)


def config(files: dict[str, Path], *parts: dict[str, Any], systematics=(), **selection: Any) -> SearchConfig:
    keys = {name: value for part in parts for name, value in part.items()}
    used = files if "subjet_jec" in keys else {"file": files["file"]}
    return SearchConfig(selection={**LOOSE, "calibration": {**used, **keys}, **selection}, systematics=systematics)


def process(path: Path, folder: Path, chosen: SearchConfig, kind: str = "background", **options: Any):
    one = {"sample": dataset(path, kind=kind)}
    return process_datasets(one, chosen, folder, Serial(), **options), one


def table(path: Path, folder: Path, chosen: SearchConfig, kind: str = "background", **options: Any) -> EventTable:
    result, one = process(path, folder, chosen, kind, **options)
    return load_table(result, one, ["sample"])


def truth(path: Path, chosen: SearchConfig, *parts: dict[str, Any], stop: int | None = None, **vary: Any):
    keys = {name: value for part in parts for name, value in part.items()}
    events = (jerc.calibrated(event, keys, **vary) for event in jerc.read(path, stop))
    return plain.table(events, chosen.selection)


def assert_same(found: EventTable, expected: dict[str, np.ndarray]) -> None:
    assert len(found) == len(expected["mjj"]) > 5
    event = found.column("event")
    order, rows = np.argsort(event), np.argsort(expected["key"][:, 2])
    np.testing.assert_array_equal(event[order], expected["key"][rows, 2])
    np.testing.assert_allclose(found.mjj[order], expected["mjj"][rows], rtol=1e-9)
    np.testing.assert_allclose(found.column("abs_dy")[order], expected["abs_dy"][rows], atol=1e-9)
    for name in ("mj1", "mj2", "tau21_j1"):
        np.testing.assert_allclose(
            found.column(name)[order], expected[name][rows].astype(np.float32), rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((NAMES,), id="energy scale"),
        pytest.param((SMEARING,), id="smearing of the stored jets"),
        pytest.param((NAMES, SMEARING), id="energy scale and smearing"),
        pytest.param((NAMES, SMEARING, {"seed": 7}), id="another seed"),
        pytest.param((NAMES, SUBJETS), id="mass from subjets"),
        pytest.param((NAMES, SUBJETS, {"subjet_area": 0.5}), id="area of subjets as given"),
        pytest.param((NAMES, {"jms": 0.98}), id="mass scale"),
        pytest.param((NAMES, {"jmr": 0.9}), id="resolution of the mass reduced"),
        pytest.param((NAMES, SMEARING, SUBJETS, MASS), id="everything"),
    ],
)
def test_calibrated_simulation_is_that_of_plain_loops(parts, files, simulation, tmp_path) -> None:
    chosen = config(files, *parts)

    assert_same(table(simulation, tmp_path, chosen), truth(simulation, chosen, *parts))


def test_the_toy_has_all_cases_of_the_smearing(simulation) -> None:
    cases = {"matched": 0, "too different": 0, "far": 0}
    for event in jerc.read(simulation):
        for jet in event["FatJet"]:
            raw = 1 - jet["rawFactor"]
            pt = jet["pt"] * raw * jerc.energy_factor(jet["eta"], jet["pt"] * raw, jet["area"], event["rho"])
            width = jerc.resolution(jet["eta"], pt, event["rho"])
            near = jerc.matched(jet, event["GenJetAK8"]) is not None
            close = jerc.matched({**jet, "pt": pt}, event["GenJetAK8"], 3 * width * pt) is not None
            cases["matched" if close else "too different" if near else "far"] += 1
    assert min(cases.values()) > 20, cases


def test_data_are_corrected_by_run_and_never_smeared(files, recorded, tmp_path) -> None:
    subjets = [{**one, "subjet_jec": one["jec"].replace("AK8", "AK4")} for one in RUNS]
    chosen = config(files, NAMES, SMEARING, SUBJETS, MASS, {"data": subjets})

    found = table(recorded, tmp_path, chosen, kind="data")

    assert {100, 150, 200, 250} <= set(found.column("run").tolist())
    assert_same(found, truth(recorded, chosen, SUBJETS, data=True))


def test_smearing_does_not_depend_on_chunks(files, simulation, tmp_path) -> None:
    chosen = config(files, NAMES, SMEARING, SUBJETS, MASS)

    whole, pieces = (table(simulation, tmp_path / str(size), chosen, chunksize=size) for size in (200_000, 37))

    np.testing.assert_array_equal(np.sort(whole.mjj), np.sort(pieces.mjj))
    assert dict(zip(whole.event_id, whole.mjj, strict=True)) == dict(zip(pieces.event_id, pieces.mjj, strict=True))


@pytest.mark.parametrize(
    ("entry", "vary"),
    [
        ({"kind": "jec-source", "sources": ["Total"]}, {"source": ("Total", 1)}),
        ({"kind": "jec-source", "sources": ["FlavorQCD"]}, {"source": ("FlavorQCD", 1)}),
        ({"kind": "jer-scale-factor"}, {"side": "up"}),
        ({"kind": "softdrop-mass-scale", "value": 0.01}, {"jms": 0.01}),
        ({"kind": "softdrop-mass-resolution", "value": 0.1}, {"jmr": 0.1}),
    ],
    ids=lambda one: one.get("kind", ""),
)
def test_variations_are_calibrations_with_one_thing_moved(entry, vary, files, simulation, tmp_path) -> None:
    parts = (NAMES, SMEARING, SUBJETS, MASS)
    chosen = config(files, *parts, systematics=[{"name": "v", **entry}])
    down = {name: -value if isinstance(value, float) else "down" for name, value in vary.items()}
    down |= {"source": (vary["source"][0], -1)} if "source" in vary else {}

    result, _ = process(simulation, tmp_path, chosen)

    name = "_".join(["v", *entry.get("sources", [])])
    for side, moved in (("Up", vary), ("Down", down)):
        found = EventTable.from_parts(result.datasets["sample"].variations[f"{name}{side}"])
        expected = truth(simulation, chosen, *parts, **moved)
        searched = expected["rapidity_region"] == "search"
        assert_same(found, {key: values[searched] for key, values in expected.items()})


def test_a_scale_factor_with_its_uncertainty_apart_gives_the_same(files, simulation, tmp_path) -> None:
    entry = {"name": "jer", "kind": "jer-scale-factor"}
    apart = {
        "jer_scale_factor": f"{jerc.TAG}_NewScaleFactor_AK8PFPuppi",
        "jer_uncertainty": f"{jerc.TAG}_SFUncertainty_AK8PFPuppi",
    }
    results = [
        process(simulation, tmp_path / str(i), config(files, NAMES, SMEARING, part, systematics=[entry]))[0]
        for i, part in enumerate(({}, apart))
    ]

    for name in ("jerUp", "jerDown"):
        one, two = (EventTable.from_parts(result.datasets["sample"].variations[name]) for result in results)
        np.testing.assert_allclose(one.mjj, two.mjj, rtol=1e-12)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "area"), [("nano_v15_tt.root", None), ("pfnano.root", 0.5)], ids=["NanoAOD v15", "PFNano"]
)
def test_real_files_are_calibrated_as_by_plain_loops(name, area, files, data, tmp_path) -> None:
    path = data(f"nanoaod/{name}")
    extra = {} if area is None else {"subjet_area": area}
    parts = (NAMES, SMEARING, SUBJETS, MASS, extra)
    chosen = config(files, *parts, pt_min=100, mjj_min=0, leading_pt_min=100, abs_eta_max=5)

    assert_same(table(path, tmp_path, chosen), truth(path, chosen, *parts))


def test_stored_soft_drop_masses_are_those_of_the_stored_subjets(data) -> None:
    pairs = [
        (jet["msoftdrop"], jerc.pair_mass([event["SubJet"][int(jet[f"subJetIdx{k}"])] for k in (1, 2)]))
        for event in jerc.read(data("nanoaod/nano_v15_tt.root"))
        for jet in event["FatJet"]
        if jet["subJetIdx1"] >= 0 and jet["subJetIdx2"] >= 0
    ]
    stored, computed = np.array(pairs).T
    # Stored with 10 bits of mantissa: the recomputation is the one that NanoAOD was made with.
    np.testing.assert_allclose(computed, stored, rtol=0.03, atol=0.1)
    assert np.median(np.abs(computed / stored - 1)) < 2e-3


def test_the_digest_of_the_events_follows_the_content_of_the_files(files, tmp_path) -> None:
    copy = tmp_path / "elsewhere.json.gz"
    copy.write_bytes(files["file"].read_bytes())
    other = jerc.write_corrections(tmp_path / "other.json.gz", central_source=0.03)

    digests = [processing_digest(config({"file": path}, NAMES)) for path in (files["file"], copy, other)]

    assert digests[0] == digests[1] != digests[2]
    assert processing_digest(config(files, NAMES, {"seed": 1})) != digests[0]


TYPO = {"jec": f"{jerc.TAG}_L1L2L3Ress_AK8PFPuppi"}


@pytest.mark.parametrize(
    ("parts", "options", "kind", "message"),
    [
        (
            (TYPO,),
            {},
            "background",
            r"no correction 'Toy18_V5_MC_L1L2L3Ress_AK8PFPuppi'.* one of Toy18_V5_MC_L1L2L3Res_",
        ),
        (({"jec": "Odd_Charge"},), {}, "background", r"calibration\.jec: .*takes JetCharge; known inputs are JetPt"),
        ((NAMES,), {}, "data", r"Add \[\[selection\.calibration\.data\]\]"),
        ((NAMES, {"jms": 0.9}), {"jet_mass": "ungroomed"}, "background", r"Set selection\.jet_mass to 'softdrop'"),
    ],
)
def test_what_does_not_fit_is_said_before_any_file_is_read(parts, options, kind, message, files, tmp_path) -> None:
    with pytest.raises(ConfigError, match=message):
        process(tmp_path / "no.root", tmp_path, config(files, *parts, **options), kind)


def test_a_missing_file_is_named_with_its_key(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"selection\.calibration\.file: cannot read .*gone\.json\.gz"):
        process(tmp_path / "no.root", tmp_path, config({"file": tmp_path / "gone.json.gz"}, NAMES))


@pytest.mark.parametrize(
    ("branch", "key"),
    [
        ("FatJet_rawFactor", "jec"),
        ("FatJet_area", "jec"),
        ("Rho_fixedGridRhoFastjetAll", "rho"),
        ("GenJetAK8", "gen_jets"),
        ("SubJet", "subjet_jec"),
        ("SubJet_area", "subjet_jec"),
        ("FatJet_subJetIdx2", "subjet_jec"),
        ("SubGenJetAK8", "gen_subjets"),
    ],
)
def test_a_missing_branch_is_named_with_the_key_that_needs_it(branch, key, files, tmp_path) -> None:
    path = jerc.write_nanoaod(tmp_path / "mc.root", 20, seed=3, drop=(branch,))
    chosen = config(files, NAMES, SMEARING, SUBJETS, MASS)

    with pytest.raises(InputFileError, match=rf"selection\.calibration\.{key}: branch \w+ is missing") as caught:
        process(path, tmp_path / "out", chosen)

    assert branch.removeprefix("Rho_") in str(caught.value)


def test_an_uncovered_run_is_named_unless_the_golden_json_cuts_it(files, recorded, tmp_path) -> None:
    only_a = {"data": [RUNS[0]]}
    with pytest.raises(ConfigError, match=r"run 2[05]0 is in no entry .* which cover runs 100 to 199"):
        process(recorded, tmp_path, config(files, NAMES, only_a), "data")

    golden = tmp_path / "golden.json"
    golden.write_text('{"100": [[1, 9]], "150": [[1, 9]]}')
    found = table(recorded, tmp_path / "cut", config(files, NAMES, only_a, lumi_mask=golden), "data")

    assert set(found.column("run").tolist()) == {100, 150}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"kind": "jec-source", "sources": ["FlavorQCDs"]},
            r"no correction 'Toy18_V5_MC_FlavorQCDs_AK8.* one of Toy18_V5_MC_FlavorQCD_AK8",
        ),
        ({"kind": "jec-source"}, r"needs the key source"),
        ({"kind": "softdrop-mass-resolution", "value": 0.1}, r"add \[selection\.calibration\] with jmr_resolution"),
        ({"kind": "jer-scale-factor"}, r"add \[selection\.calibration\] with jer_scale_factor"),
    ],
)
def test_systematics_name_what_the_calibration_lacks(entry, message, files, tmp_path) -> None:
    chosen = config(files, NAMES, systematics=[{"name": "v", **entry}])

    with pytest.raises(ConfigError, match=message):
        process(tmp_path / "no.root", tmp_path, chosen)


def test_a_scale_factor_without_sides_needs_its_uncertainty(files, tmp_path) -> None:
    lone = {**SMEARING, "jer_scale_factor": f"{jerc.TAG}_NewScaleFactor_AK8PFPuppi"}
    chosen = config(files, NAMES, lone, systematics=[{"name": "jer", "kind": "jer-scale-factor"}])

    with pytest.raises(ConfigError, match=r"Set selection\.calibration\.jer_uncertainty"):
        process(tmp_path / "no.root", tmp_path, chosen)


def test_a_subjet_number_beyond_its_event_is_damage(files, tmp_path) -> None:
    path = jerc.write_nanoaod(tmp_path / "mc.root", 20, seed=3, first_subjet=90)

    with pytest.raises(
        InputFileError, match=r"jets have in subJetIdx1 the number of a subjet that their event does not"
    ):
        process(path, tmp_path / "out", config(files, NAMES, SUBJETS))
