"""Simulated samples: agreement with samples made elsewhere, resumption, independence of jobs, the file."""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
import vector.backends.awkward
from scipy.stats import ks_2samp

from analysis.compute import Serial
from analysis.demo import DEMO
from analysis.errors import ConfigError
from processors.simulate import DetectorSettings, SimulationSettings, read_provenance, simulate
from processors.simulate import run as run_module
from tests.builders.pages import printed_files
from tests.builders.running import dataset, run

pytestmark = pytest.mark.thorough

for needed in ("pythia8mc", "fastjet"):
    pytest.importorskip(needed, reason=f"needs {needed}: pip install 'cwola-dijet[simulate]'")

W_PRIME = {"process": "wprime", "mass_a": 3500, "mass_b": 500, "mass_c": 100}
OBSERVABLES = ("mjj", "mj1", "mj2", "tau21_j1", "tau21_j2", "tau32_j1", "tau32_j2")
SMALL = {"process": "qcd", "n_events": 50, "seed": 5, "block_events": 20}


class Stops(Serial):
    """Dies after some tasks, as a killed run does; counts the tasks it was given."""

    def __init__(self, after: int = 10**6) -> None:
        self.after = after
        self.given: list[Any] = []

    def map(self, function: Callable[..., Any], tasks: Any, *, shared: Any = None) -> Iterator[tuple[int, Any]]:
        for done, result in enumerate(super().map(function, tasks, shared=shared), start=1):
            self.given.append(tasks[result[0]])
            yield result
            if done == self.after:
                raise KeyboardInterrupt


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("simulated")


@pytest.fixture(scope="module")
def qcd(folder, two_processes) -> Path:
    return simulate(SimulationSettings(process="qcd", n_events=2000, seed=11), folder / "qcd.root", two_processes)


@pytest.fixture(scope="module")
def wprime(folder, two_processes) -> Path:
    settings = SimulationSettings(n_events=2000, seed=12, run_number=7, **W_PRIME)
    return simulate(settings, folder / "wprime.root", two_processes)


@pytest.fixture(scope="module")
def small(folder) -> Path:
    return simulate(SimulationSettings(**SMALL), folder / "small.root", Serial())


def content(path: Path) -> tuple[Any, Any, Any]:
    with uproot.open(path) as file:
        return file["Events"].arrays().to_list(), file["Runs"].arrays().to_list(), read_provenance(path)


def jets(path: Path) -> ak.Array:
    with uproot.open(path) as file:
        return file["Events"].arrays(filter_name="FatJet_*")


def columns(path: Path, folder: Path, jet_mass: str, **options: Any) -> dict[str, np.ndarray]:
    """Observables of the events with two jets and |Δy| < 1.2, from the real processor."""
    _, table = run(dataset(path, **options), folder, {"jet_mass": jet_mass})
    searched = table.column("abs_dy") < 1.2
    return {name: table.column(name)[searched] for name in OBSERVABLES}


def assert_same_distributions(found: Path, expected: Path, folder: Path, n_expected: int) -> None:
    for jet_mass in ("ungroomed", "softdrop"):
        one = columns(found, folder / "found", jet_mass)
        other = columns(expected, folder / "expected", jet_mass, max_entries=n_expected)
        p_values = {name: ks_2samp(one[name], other[name], nan_policy="omit").pvalue for name in OBSERVABLES}
        assert min(p_values.values()) > 1e-3, (jet_mass, p_values)


def test_qcd_agrees_with_a_sample_made_elsewhere(qcd, data, tmp_path):
    assert_same_distributions(qcd, data("pythia/qcd_a.root"), tmp_path, 20_000)
    found = read_provenance(qcd)
    assert found["xsec_pb"] == pytest.approx(3.006, abs=5 * found["xsec_error_pb"])


def test_wprime_agrees_with_a_sample_made_elsewhere(wprime, data, tmp_path):
    assert_same_distributions(wprime, data("pythia/wprime_3500_500_100.root"), tmp_path, 8000)
    found = read_provenance(wprime)
    assert found["xsec_pb"] == pytest.approx(0.00599, abs=5 * found["xsec_error_pb"])


def test_zprime_agrees_with_a_sample_made_elsewhere(data, two_processes, folder, tmp_path):
    settings = SimulationSettings(process="zprime_tt", mass_a=3600, n_events=1000, seed=13)
    found = simulate(settings, folder / "zprime.root", two_processes)
    assert_same_distributions(found, data("pythia/zprime_tt_3600.root"), tmp_path, 6000)
    made = read_provenance(found)
    assert made["xsec_pb"] == pytest.approx(0.00193, abs=5 * made["xsec_error_pb"])


def test_qcd_agrees_with_the_packaged_demo(qcd, tmp_path):
    assert_same_distributions(qcd, DEMO / "qcd.root", tmp_path, 20_000)


def test_generated_masses_are_the_ones_asked_for():
    from processors.simulate.generator import Generator

    generator = Generator(SimulationSettings(n_events=1, seed=1, **W_PRIME), 1)
    particles = ak.concatenate(list(generator.batches(200)))
    resonances = particles[abs(particles.status) == 22]
    for identifier, mass in ((34, 3500), (24, 500), (23, 100)):
        found = ak.to_numpy(ak.flatten(resonances.m[abs(resonances.id) == identifier]))
        assert len(found) == 200
        assert np.median(found) == pytest.approx(mass, rel=0.02)
    quarks = particles[abs(particles.status) == 23]
    assert set(np.abs(ak.to_numpy(ak.flatten(quarks.id)))) <= {1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    ("process", "particles"), [("wprime_narrow", (34, 24, 23)), ("a0", (36, 25, 23)), ("wprime", (34, 24, 23))]
)
@pytest.mark.parametrize("masses", [(3500, 400, 200), (5000, 800, 100), (3000, 1000, 1000)])
def test_masses_of_resonances_and_prongs_are_the_ones_asked_for(process, particles, masses):
    """The masses that Pythia writes, and those of the sum of the two quarks of each prong."""
    given = dict(zip(("mass_a", "mass_b", "mass_c"), masses, strict=True))
    events = generated(SimulationSettings(process=process, n_events=1, seed=1, **given), 300)
    quarks = events[abs(events.status) == 23]
    assert set(np.unique(np.abs(ak.to_numpy(ak.flatten(quarks.id))))) == {1, 2, 3, 4, 5}
    for particle, mass in zip(particles, masses, strict=True):
        assert np.median(masses_of(events, particle)) == pytest.approx(mass, rel=0.01)
    for prong, mass in zip(particles[1:], masses[1:], strict=True):
        assert np.median(daughters_of(events, prong)) == pytest.approx(mass, rel=0.01)


@pytest.mark.parametrize("process", ["wprime_narrow", "a0"])
def test_narrow_signals_stay_within_twenty_widths(process):
    settings = SimulationSettings(process=process, n_events=1, seed=1, mass_a=4000, mass_b=200, mass_c=200)
    events = generated(settings, 300)
    for particle, mass in ((34 if process == "wprime_narrow" else 36, 4000), (23, 200)):
        found = masses_of(events, particle) / mass
        assert 0.8 <= found.min() <= found.max() <= 1.2
        assert np.ptp(np.quantile(found, (0.25, 0.75))) == pytest.approx(0.01, abs=0.005)  # of a width of 1 %


def generated(settings: SimulationSettings, n_events: int) -> ak.Array:
    """All particles of some events."""
    from processors.simulate.generator import Generator
    from processors.simulate.jets import silent_stdout

    with silent_stdout():
        return ak.concatenate(list(Generator(settings, 1).batches(n_events)))


def masses_of(events: ak.Array, particle: int) -> np.ndarray:
    """Masses of a resonance of the hard process, in Pythia's record."""
    return ak.to_numpy(ak.flatten(events.m[(abs(events.status) == 22) & (abs(events.id) == particle)]))


def daughters_of(events: ak.Array, particle: int) -> np.ndarray:
    """Invariant masses of the two particles of the hard process that a resonance decays to."""
    found = []
    for event in events:
        kind, status = np.abs(ak.to_numpy(event.id)), np.abs(ak.to_numpy(event.status))
        mother = ak.to_numpy(event.mother1)
        pair = np.flatnonzero((status == 23) & (kind[mother] == particle))
        assert len(pair) == 2
        px, py, pz, e = (float(ak.sum(event.p[name][pair])) for name in ("px", "py", "pz", "e"))
        found.append(np.sqrt(e**2 - px**2 - py**2 - pz**2))
    return np.array(found)


EXAMPLES = {
    "three-prong.cmnd": {32: 3500.0, 6: 400.0},
    "four-prong.cmnd": {36: 3500.0, 25: 400.0},
    "semi-visible.cmnd": {4900023: 3500.0},
}
"""Resonances of the command files on the page, and their masses in GeV."""


@pytest.mark.parametrize("name", EXAMPLES)
def test_command_files_of_the_page_make_what_they_say(name):
    settings = SimulationSettings(process="pythia", n_events=1, seed=1, cmnd=printed_files("simulate.md")[name])
    events = generated(settings, 200)
    for particle, mass in EXAMPLES[name].items():
        found = masses_of(events, particle)
        assert len(found) >= 200
        assert np.median(found) == pytest.approx(mass, rel=0.01)


def test_invisible_particles_are_not_seen(tmp_path, serial):
    """The sum of all that is seen of a semi-visible signal lacks the energy of its dark particles and neutrinos."""
    from processors.simulate.detector import detect
    from processors.simulate.generator import Generator
    from processors.simulate.jets import silent_stdout

    text = printed_files("simulate.md")["semi-visible.cmnd"]
    exact = DetectorSettings(
        charged=0, photon_stochastic=0, hadron_stochastic=0, hadron_constant=0, eta_max=10, pt_min=0
    )
    with silent_stdout():
        generator = Generator(SimulationSettings(process="pythia", n_events=1, seed=1, cmnd=text), 2)
        (events,) = generator.batches(50)
    final = events[events.status > 0]
    hidden = np.isin(np.abs(ak.to_numpy(ak.flatten(final.id))), [12, 14, 16, 51])
    assert {51} < set(generator.invisible(events)) <= {12, 14, 16, 51}
    momenta = ak.to_numpy(ak.flatten(final.p.px))
    seen = detect(events, np.random.default_rng(1), exact, generator.invisible(events))
    assert float(ak.sum(seen.px)) == pytest.approx(momenta[~hidden].sum(), rel=1e-3)
    assert np.abs(momenta[hidden]).sum() > 0.1 * np.abs(momenta).sum()


def test_a_command_file_makes_a_sample(tmp_path, serial):
    """Pythia's own top pairs through our file: the numbers of the built-in process with the same settings and seed."""
    from processors.simulate.processes import commands

    built_in = SimulationSettings(process="zprime_tt", mass_a=3600, n_events=20, seed=3)
    shared = {"Print", "Random", "Beams", "PartonLevel"}
    lines = [line for line in commands(built_in, 1) if line.split(":", maxsplit=1)[0] not in shared]
    own = SimulationSettings(process="pythia", cmnd="\n".join(["! Z' -> t t", *lines]), n_events=20, seed=3)
    one, other = (
        jets(simulate(settings, tmp_path / name, serial)) for settings, name in ((built_in, "a.root"), (own, "b.root"))
    )
    assert one.to_list() == other.to_list()


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("include = /etc/passwd", "expected `Group:name"),
        ("Init:plugins = {x}", "loads libraries"),
        ("Init:plugins = {libx.so::Main}", "without paths"),
        ("Beams:eCM = 14000.", "sqrt_s_gev"),
        ("Random:seed = 4", "the seed is --seed"),
        ("partonlevel:mpi = on", "multiple interactions"),
        ("Main:subrun = 1", "subruns"),
        ("SLHA:file = spectrum", "other files"),
        ("/* comment", "one line each"),
        ("Top:all = ../x", "without paths"),
        ("! nothing", "has no setting"),
    ],
)
def test_command_files_that_reach_beyond_the_process_are_refused(line, text, tmp_path, serial):
    with pytest.raises(ConfigError, match=text):
        SimulationSettings(process="pythia", cmnd=line, n_events=1, seed=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("PDF:pSet = LHAPDF6_x", "takes for the name of a file"),
        ("HIPDF:pSet = x", "takes for the name of a file"),
        ("Vincia:MEplugin = x", "takes for the name of a file"),
        ("UncertaintyBands:List = {a 1}", "takes for the name of a file"),
        ("Top:unheard = on", "refused 'Top:unheard = on'"),
    ],
)
def test_text_and_unknown_settings_are_refused_before_anything_is_made(line, text, tmp_path, serial, capfd):
    settings = SimulationSettings(process="pythia", cmnd=f"Top:all = on\n{line}", n_events=1, seed=1)
    with pytest.raises(ConfigError, match=text):
        simulate(settings, tmp_path / "sample.root", serial)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().out == ""


def test_numbers_of_parton_densities_may_be_given(tmp_path, serial):
    settings = SimulationSettings(process="pythia", cmnd="Top:all = on\nPDF:pSet = 14", n_events=2, seed=1)
    assert len(jets(simulate(settings, tmp_path / "sample.root", serial))) == 2


def test_no_setting_of_text_passes(tmp_path):
    """All that Pythia holds as text, except numbers of parton densities, is refused by the one or the other check."""
    import pythia8mc

    from processors.simulate.command_file import parse_commands, require_no_text

    settings = pythia8mc.Pythia("", False).settings
    texts = [*dict(settings.getWordMap("")), *dict(settings.getWVecMap(""))]
    assert len(texts) > 40
    for name in texts:
        with pytest.raises(ConfigError):
            require_no_text(parse_commands(f"{name} = value"), settings)


def test_the_alternative_tune_differs(qcd, folder, two_processes, tmp_path):
    settings = SimulationSettings(process="qcd", n_events=800, seed=11, tune="alternative", block_events=400)
    other = columns(simulate(settings, folder / "other.root", two_processes), tmp_path / "other", "ungroomed")
    one = columns(qcd, tmp_path / "one", "ungroomed")
    assert ks_2samp(one["mj1"], other["mj1"]).pvalue < 1e-3


@pytest.mark.parametrize("process", [{"process": "zprime_tt", "mass_a": 3600}, {"process": "qcd", "tune": "vincia"}])
def test_other_processes_and_showers_run_silently(process, tmp_path, serial, capfd):
    path = simulate(SimulationSettings(n_events=20, seed=3, **process), tmp_path / "some.root", serial)
    assert len(jets(path)) == 20
    assert capfd.readouterr().out == ""


def test_jets_are_ordered_and_substructure_is_sound(qcd):
    found = jets(qcd)
    assert ak.all(found.FatJet_pt[:, :-1] >= found.FatJet_pt[:, 1:])
    assert ak.all(found.FatJet_pt >= 150)
    assert ak.max(ak.num(found.FatJet_pt)) == 3
    assert ak.all(found.FatJet_msoftdrop <= found.FatJet_mass * (1 + 1e-4) + 0.01)
    assert ak.all((found.FatJet_tau1 > 0) & (found.FatJet_tau1 < 1))


def test_the_file_reads_as_nanoaod_with_its_generator_sum(wprime, tmp_path):
    result, table = run(dataset(wprime), tmp_path)
    assert result.normalisation == "runs"
    assert result.sum_of_weights == result.n_entries == 2000
    assert len(np.unique(table.column("event_id"))) == len(table) > 1200
    with uproot.open(wprime) as file:
        assert file.classnames()["Events;1"] == "TTree"
        events = file["Events"].arrays(["run", "luminosityBlock", "event", "genWeight"], library="np")
        assert file["Runs"].arrays().to_list() == [
            {"run": 7, "genEventCount": 2000, "genEventSumw": 2000.0, "genEventSumw2": 2000.0}
        ]
    dtypes = {name: str(values.dtype) for name, values in events.items()}
    assert dtypes == {"run": "uint32", "luminosityBlock": "uint32", "event": "uint64", "genWeight": "float32"}
    assert set(events["run"]) == {7}
    assert len(set(events["event"])) == 2000


def test_jobs_do_not_show(small, tmp_path, two_processes):
    parallel = simulate(SimulationSettings(**SMALL), tmp_path / "parallel.root", two_processes)
    assert content(parallel) == content(small)


def test_a_second_call_generates_nothing(small, monkeypatch):
    before = small.stat().st_mtime_ns
    monkeypatch.setattr(run_module, "_write_sample", lambda *_: pytest.fail("made again"))
    backend = Stops()
    simulate(SimulationSettings(**SMALL), small, backend)
    assert backend.given == []
    assert small.stat().st_mtime_ns == before


def test_an_interrupted_run_resumes(small, tmp_path):
    output = tmp_path / "sample.root"
    with pytest.raises(KeyboardInterrupt):
        simulate(SimulationSettings(**SMALL), output, Stops(after=2))
    assert not output.exists()
    blocks = tmp_path / "sample.root.blocks"
    (blocks / "000001.npz").write_bytes(b"cut short")
    (blocks / ".000002.1.npz").write_bytes(b"left by a killed worker")
    backend = Stops()
    simulate(SimulationSettings(**SMALL), output, backend)
    assert backend.given == [1, 2]
    assert content(output) == content(small)
    assert list(tmp_path.iterdir()) == [output]


def test_blocks_of_other_settings_are_made_again(tmp_path):
    output = tmp_path / "sample.root"
    with pytest.raises(KeyboardInterrupt):
        simulate(SimulationSettings(**SMALL), output, Stops(after=2))
    backend = Stops()
    simulate(SimulationSettings(**{**SMALL, "seed": 6}), output, backend)
    assert backend.given == [0, 1, 2]


def test_a_file_from_elsewhere_is_not_overwritten(tmp_path, serial):
    output = tmp_path / "data.root"
    with uproot.recreate(output) as file:
        file.mktree("Events", {"x": np.float64}).extend({"x": np.zeros(3)})
    with pytest.raises(ConfigError, match="was not made by"):
        simulate(SimulationSettings(**SMALL), output, serial)


def test_mantissa_rounding_keeps_the_promised_precision(small, tmp_path, serial):
    rounded = jets(simulate(SimulationSettings(**SMALL, mantissa_bits=10), tmp_path / "rounded.root", serial))
    exact = jets(small)
    for name in exact.fields:
        values = ak.to_numpy(ak.flatten(rounded[name]))
        assert np.all(values.view(np.uint32) & np.uint32(2**13 - 1) == 0)
        np.testing.assert_allclose(values, ak.to_numpy(ak.flatten(exact[name])), rtol=2.0**-11)


def test_pseudodata_follows_the_luminosity_or_is_refused(small, tmp_path, serial):
    sigma = read_provenance(small)["xsec_pb"]
    output = tmp_path / "pseudodata.root"
    with pytest.raises(ConfigError, match=r"n_events is 50\. Raise n_events"):
        simulate(SimulationSettings(**SMALL, pseudodata_lumi_ifb=500 / (1000 * sigma)), output, serial)
    backend = Stops()
    simulate(SimulationSettings(**SMALL, pseudodata_lumi_ifb=25 / (1000 * sigma)), output, backend)
    assert backend.given == []
    events, runs, provenance = content(output)
    assert 5 < len(events) <= 50
    assert len(events) == provenance["n_events"] == runs[0]["genEventSumw"]
    assert [one["FatJet_pt"] for one in events] == [one["FatJet_pt"] for one in content(small)[0]][: len(events)]


def test_pseudodata_of_another_cross_section_are_as_many(small, tmp_path, serial):
    sigma = read_provenance(small)["xsec_pb"]
    one, other = (
        content(simulate(SimulationSettings(**SMALL, **options), tmp_path / "pseudodata.root", serial))[0]
        for options in (
            {"pseudodata_lumi_ifb": 25 / (1000 * sigma)},
            {"pseudodata_lumi_ifb": 250 / (1000 * sigma), "pseudodata_xsec_pb": 0.1 * sigma},
        )
    )
    assert one == other


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"process": "wprime", "mass_a": 3000}, "takes masses"),
        ({**W_PRIME, "mass_b": 3450}, "must lie between"),
        ({"n_events": 0}, "n_events"),
        ({"tune": "monash"}, "tune"),
        ({"colour": 1}, "colour"),
        ({"pseudodata_xsec_pb": 0.1}, "needs pseudodata_lumi_ifb"),
        ({"process": "pythia"}, "go together"),
        ({"cmnd": "Top:all = on"}, "go together"),
        ({"detector": {"charged": -0.1}}, r"detector\.charged"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, text):
    with pytest.raises(ConfigError, match=text):
        SimulationSettings(**{**SMALL, **change})


def test_missing_programs_are_named_with_the_remedy(monkeypatch, tmp_path, serial):
    genuine = builtins.__import__

    def without_pythia(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "pythia8mc":
            raise ImportError("No module named 'pythia8mc'")
        return genuine(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_pythia)
    with pytest.raises(ConfigError, match=r"pip install \"cwola-dijet\[simulate\]\""):
        simulate(SimulationSettings(**SMALL), tmp_path / "sample.root", serial)


def test_resolutions_follow_the_table():
    from processors.simulate.detector import energy_resolution

    found = energy_resolution(np.array([211, -11, 22, 130, 2112], np.int32), np.full(5, 100.0))
    np.testing.assert_allclose(found, [0.01, 0.01, 0.01, np.hypot(0.08, 0.05), np.hypot(0.08, 0.05)])


def test_the_detector_is_configured():
    from processors.simulate.detector import energy_resolution

    worse = DetectorSettings(charged=0.02, photon_stochastic=0.2, photon_constant=0.03, hadron_stochastic=1.0)
    found = energy_resolution(np.array([211, 22, 130], np.int32), np.full(3, 100.0), worse)
    np.testing.assert_allclose(found, [0.02, np.hypot(0.02, 0.03), np.hypot(0.10, 0.05)])


def test_a_coarser_detector_measures_worse(small, tmp_path, serial):
    worse = simulate(SimulationSettings(**SMALL, detector={"charged": 0.3}), tmp_path / "worse.root", serial)
    one, other = jets(small), jets(worse)
    ratio = ak.to_numpy(other.FatJet_pt[:, 0] / one.FatJet_pt[:, 0])
    assert 0.01 < np.std(ratio) < 0.3


def test_provenance_is_json_in_the_file(small):
    with uproot.open(small) as file:
        found = json.loads(str(file["cwola_simulation"]))
    assert found["settings"]["seed"] == 5
    assert found["xsec_error_pb"] > 0


def massless(pt: float, rapidity: float, phi: float) -> dict[str, float]:
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(rapidity)
    return {"px": px, "py": py, "pz": pz, "E": float(np.sqrt(px**2 + py**2 + pz**2))}


def test_declusterings_follow_the_harder_branch():
    """Angle and kT = pT of the softer branch times the angle; a kT of 0.6 GeV is below the lowest one."""
    from processors.simulate.jets import DECLUSTERING_FIELDS, declusterings

    hard, wide, near, soft = (massless(*one) for one in ((900, 0, 0), (100, 0, 0.4), (50, 0.05, 0), (1, 0, 0.6)))
    found = declusterings(ak.Array([[hard], [hard, wide], [hard, wide, near, soft]]))
    assert tuple(found) == DECLUSTERING_FIELDS
    np.testing.assert_allclose(found["lundDelta1"], [0, 0.4, 0.4], rtol=0.01)
    np.testing.assert_allclose(found["lundKt1"], [0, 40.0, 40.0], rtol=0.02)
    np.testing.assert_allclose(found["lundDelta2"], [0, 0, 0.05], rtol=1e-6)
    np.testing.assert_allclose(found["lundKt2"], [0, 0, 2.5], rtol=1e-6)
    assert not np.any([found[name] for name in DECLUSTERING_FIELDS[4:]])
    assert all(len(column) == 0 for column in declusterings(ak.Array([])).values())


def test_declusterings_are_written_on_request_and_change_nothing_else(small, folder):
    more = simulate(SimulationSettings(**SMALL, declusterings=True), folder / "more.root", Serial())
    one, other = jets(small), jets(more)
    assert not [name for name in one.fields if "lund" in name]
    assert ak.all(one.FatJet_tau2 == other.FatJet_tau2)
    angle, kt = other.FatJet_lundDelta1, other.FatJet_lundKt1
    assert ak.min(kt[angle > 0]) >= 1.0
    assert ak.mean(other.FatJet_lundDelta2 <= angle) > 0.95  # the sum of two branches may lie elsewhere
    assert ak.mean(kt[:, :2]) > 5.0


@pytest.mark.parametrize("bits", [None, 12])
def test_constituents_add_up_to_their_jets_and_change_nothing_else(small, folder, bits):
    settings = SimulationSettings(**(SMALL | {"mantissa_bits": bits}), constituents=True)
    path = simulate(settings, folder / f"constituents_{bits}.root", Serial())
    plain = simulate(SimulationSettings(**(SMALL | {"mantissa_bits": bits})), folder / f"plain_{bits}.root", Serial())
    with uproot.open(path) as file:
        names = file["Events"].keys(filter_name=["FatJet_*", "*PFCands_*"])
        found = file["Events"].arrays(names)
    one = jets(plain)
    assert {name for name in names if name not in one.fields} == {
        *(f"PFCands_{name}" for name in ("pt", "eta", "phi", "mass")),
        "FatJetPFCands_jetIdx",
        "FatJetPFCands_pFCandsIdx",
    }
    assert all(ak.all(one[name] == found[name]) for name in one.fields if name.startswith("FatJet_"))
    assert ak.all(found.FatJetPFCands_pFCandsIdx == ak.local_index(found.PFCands_pt))
    parts = ak.zip(
        {name: ak.values_astype(found[f"PFCands_{name}"], np.float64) for name in ("pt", "eta", "phi", "mass")},
        with_name="Momentum4D",
        behavior=vector.backends.awkward.behavior,
    )
    tolerance = 2e-3 if bits else 2e-6
    for number in range(3):
        rows = ak.num(found.FatJet_pt) > number
        inside = parts[found.FatJetPFCands_jetIdx == number][rows]
        total = ak.sum(inside, axis=1)
        assert ak.min(ak.num(inside)) > 1
        for name in ("pt", "eta", "phi"):
            np.testing.assert_allclose(
                getattr(total, name), found[f"FatJet_{name}"][rows][:, number], atol=tolerance, rtol=tolerance
            )
        np.testing.assert_allclose(total.mass, found.FatJet_mass[rows][:, number], rtol=50 * tolerance, atol=0.05)
