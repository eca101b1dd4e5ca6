"""`cwola fit` as a user calls it: the numbers it prints, and one line for whatever is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import hist
import numpy as np
import pyhf
import pytest
import uproot

from tests.builders.toy_search import Cwola
from tests.builders.toy_tables import dijet_masses

EDGES = np.arange(3000.0, 6501.0, 100.0)
PROMISED = {"signal", "function", "n", "b", "b_error", "z", "p0", "chi2", "ndof", "p_value", "limit_events"}


def toy_counts(n_events: int = 20_000, seed: int = 3) -> np.ndarray[Any, np.dtype[np.float64]]:
    masses = dijet_masses(n_events, np.random.default_rng(seed))
    return np.histogram(masses, EDGES)[0].astype(float)


def write_csv(path: Path, counts: Any, edges: Any = EDGES) -> Path:
    rows = [f"{low:g},{high:g},{count:g}" for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)]
    path.write_text("\n".join(["low,high,count", *rows]) + "\n")
    return path


@pytest.fixture
def spectrum(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "spectrum.csv", toy_counts())


def windows(cwola: Cwola, *arguments: object) -> list[dict[str, Any]]:
    outcome = cwola("fit", *arguments, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    found: list[dict[str, Any]] = json.loads(outcome.out)["windows"]
    return found


# What it prints


def test_json_is_all_that_is_printed(cwola: Cwola, spectrum: Path) -> None:
    (window,) = windows(cwola, spectrum, "--window", "3300:3700", "--mask", "3200:3800")
    counts = toy_counts()
    inside = (EDGES[:-1] >= 3300) & (EDGES[1:] <= 3700)
    assert set(window) >= PROMISED
    assert window["signal"] == [3300, 3700]
    assert window["mask"] == [3200, 3800]
    assert window["n"] == counts[inside].sum()
    # The spectrum has no signal; its expected content is the integral of the density that it was drawn from.
    assert abs(window["z"]) < 4
    assert abs(window["n"] - window["b"]) < 4 * np.hypot(np.sqrt(window["b"]), window["b_error"])
    assert window["ndof"] == 35 - 6 - int(window["function"].removeprefix("dijet"))
    assert 0 < window["limit_events"] < 4 * np.sqrt(window["b"] + window["b_error"] ** 2)


@pytest.mark.parametrize(("function", "parameters"), [("power-laws4", 4), ("gaussian-process", 3)])
def test_functions_that_are_not_log_linear_are_fitted(
    cwola: Cwola, spectrum: Path, function: str, parameters: int
) -> None:
    """They agree with dijet3, of which the toy is drawn, on the background and nearly on its error."""
    command = (spectrum, "--window", "3300:3700", "--mask", "3200:3800", "--function")
    (window,), (dijet,) = windows(cwola, *command, function), windows(cwola, *command, "dijet3")
    assert window["function"] == function
    assert window["b"] == pytest.approx(dijet["b"], abs=2 * dijet["b_error"])
    assert 0.7 * dijet["b_error"] < window["b_error"] < 2 * dijet["b_error"]
    assert 35 - 6 - parameters - 4 < window["ndof"] <= 35 - 6 - parameters
    assert window["p_value"] > 0.01
    assert {"ln_p0", "p1", "p2", "p3"} <= set(window["parameters"])


def test_a_turn_on_that_the_spectrum_does_not_show_is_one_error(cwola: Cwola, tmp_path: Path) -> None:
    few = write_csv(tmp_path / "few.csv", toy_counts(200))
    outcome = cwola("fit", few, "--window", "3300:3700", "--function", "power-laws")
    assert outcome.code == 1
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert "3300-3700 GeV" in outcome.err
    assert "as power-laws4 where no turn-on is visible" in outcome.err


def test_a_spectrum_with_the_turn_on_of_its_generation(
    cwola: Cwola, data: Callable[[str], Path], tmp_path: Path
) -> None:
    """Real simulation from 2.5 TeV, where the threshold in p_T bends the spectrum: dijet functions fail."""
    found = []
    for name in ("qcd_a.root", "qcd_b.root"):
        names = ["FatJet_pt", "FatJet_eta", "FatJet_phi", "FatJet_mass"]
        jets = uproot.open(data("pythia") / name)["Events"].arrays(names)
        jets = jets[ak.num(jets.FatJet_pt) >= 2][:, :2]
        pt, eta, phi, mass = (ak.to_numpy(jets[key]).astype(float) for key in names)
        energy = np.hypot(pt * np.cosh(eta), mass).sum(axis=1)
        momentum = [(pt * part).sum(axis=1) for part in (np.cos(phi), np.sin(phi), np.sinh(eta))]
        invariant = np.sqrt(energy**2 - sum(one**2 for one in momentum))
        found.append(invariant[abs(eta[:, 0] - eta[:, 1]) < 1.3])
    edges = np.arange(2500.0, 6501.0, 100.0)
    path = write_csv(tmp_path / "qcd.csv", np.histogram(np.concatenate(found), edges)[0], edges)
    command = (path, "--window", "3300:3700", "--mask", "3200:3800", "--function")
    (window,), (dijet,) = windows(cwola, *command, "power-laws"), windows(cwola, *command, "dijet5")
    assert dijet["p_value"] < 1e-3
    assert window["p_value"] > 0.01
    assert abs(window["z"]) < 3
    assert 2400 < window["parameters"]["p4"] < 2900


def test_root_uhi_and_csv_give_the_same_numbers(cwola: Cwola, spectrum: Path, tmp_path: Path) -> None:
    import uhi.io.json

    histogram = hist.Hist(hist.axis.Variable(EDGES, name="mjj"), storage=hist.storage.Weight())
    histogram.view()["value"] = histogram.view()["variance"] = toy_counts()
    with uproot.recreate(tmp_path / "s.root") as file:
        file["dir/mjj"] = histogram
        file["plain"] = (toy_counts(), EDGES)
    (tmp_path / "s.json").write_text(json.dumps(histogram, default=uhi.io.json.default))
    sources = [spectrum, tmp_path / "s.json", f"{tmp_path}/s.root:dir/mjj", f"{tmp_path}/s.root:plain"]
    first, *others = [windows(cwola, source, "--window", "4000:4400") for source in sources]
    assert others == [first, first, first]


def test_counts_over_the_bin_width_give_the_numbers_of_counts(cwola: Cwola, tmp_path: Path) -> None:
    edges = np.array([3e3, 3090, 3185, 3283, 3384, 3490, 3600, 3714, 3833, 3957, 4085, 4218, 4356, 4500, 4650, 4850])
    counts = np.histogram(dijet_masses(20_000, np.random.default_rng(3)), edges)[0].astype(float)
    width = np.diff(edges)
    with uproot.recreate(tmp_path / "s.root") as file:
        for name, scale in {"counts": 1.0, "per_GeV": 1 / width, "per_100_GeV": 100 / width}.items():
            histogram = hist.Hist(hist.axis.Variable(edges), storage=hist.storage.Weight())
            histogram.view()["value"], histogram.view()["variance"] = counts * scale, counts * scale**2
            file[name] = histogram
    command = ["--window", "3600:3833", "--function", "dijet3"]
    names = ("counts", "per_GeV", "per_100_GeV")
    found = [windows(cwola, f"{tmp_path}/s.root:{name}", *command)[0] for name in names]
    notes = [[note for note in one.pop("notes") if "contents" in note] for one in found]
    assert notes == [
        [],
        ["the contents are events per GeV and were multiplied by the bin width"],
        ["the contents are events per 100 GeV and were multiplied by the bin width"],
    ]
    assert found[1:] == [found[0], found[0]]
    out = cwola("fit", f"{tmp_path}/s.root:per_GeV", *command).out
    assert "s.root:per_GeV: the contents are events per GeV and were multiplied by the bin width." in out
    # Stated by hand, the unit changes nothing but the scale.
    (stated,) = windows(cwola, f"{tmp_path}/s.root:per_GeV", *command, "--per", "1")
    assert stated["n"] == found[0]["n"]


def test_expected_events_are_fitted_without_fluctuations(cwola: Cwola, tmp_path: Path) -> None:
    x = (EDGES[1:] + EDGES[:-1]) / 2 / 13000
    expected = (1 - x) ** 9 * x**-5
    expected *= 20_000 / expected.sum()
    rows = [f"{low:g},{high:g},{n!r}" for low, high, n in zip(EDGES[:-1], EDGES[1:], expected.tolist(), strict=True)]
    path = tmp_path / "expected.csv"
    path.write_text("\n".join(["low,high,count", *rows]))
    for window in windows(cwola, path, "--scan", "3400:5800:400:400", "--function", "dijet3"):
        inside = (EDGES[:-1] >= window["signal"][0]) & (EDGES[1:] <= window["signal"][1])
        assert window["n"] == pytest.approx(expected[inside].sum())  # not rounded
        assert abs(window["z"]) < 0.05
        assert window["notes"][0].startswith("the contents are not whole numbers and count as expected events")


def test_names_with_brackets_are_printed_as_they_are(cwola: Cwola, tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "[bold]s[bold].root") as file:
        for name in ("[red]mjj [GeV]", "[bold]"):
            file[name] = (toy_counts(), EDGES)
    for name in ("[red]mjj [GeV]", "[bold]"):
        outcome = cwola("fit", f"{tmp_path}/[bold]s[bold].root:{name}", "--window", "3300:3700")
        assert f"[bold]s[bold].root:{name}: windows in GeV" in " ".join(outcome.out.split())
    outcome = cwola("fit", f"{tmp_path}/[bold]s[bold].root:[/]", "--window", "3300:3700")
    assert "has no object '[/]'. The TH1 in the file: [red]mjj [GeV], [bold]." in outcome.err


def test_several_windows_and_a_scan(cwola: Cwola, spectrum: Path) -> None:
    several = windows(cwola, spectrum, "--window", "3300:3700", "--window", "3500:3900", "--window", "3300:3700")
    scanned = windows(cwola, spectrum, "--scan", "3300:3900:400:200")
    assert [window["signal"] for window in several] == [[3300, 3700], [3500, 3900]]
    assert scanned == several
    document = json.loads(cwola("fit", spectrum, "--scan", "3300:4300:400:200", "--json").out)
    looks = [window["p0"] for window in document["windows"]]
    assert len(looks) == 4
    # Bonferroni's inequality over the windows that were looked at.
    assert document["global"]["p0"] == pytest.approx(min(1.0, 4 * min(looks)))
    assert document["global"]["trials"] == 4


def test_function_range_and_energy_are_taken(cwola: Cwola, spectrum: Path) -> None:
    options = ["--window", "3300:3700", "--function", "dijet4", "--fit-range", "3100:5000", "--sqrt-s", "14000"]
    (window,) = windows(cwola, spectrum, *options)
    assert window["function"] == "dijet4"
    assert window["fit_range"] == [3100, 5000]
    assert window["ndof"] == 19 - 4 - 4
    (other,) = windows(cwola, spectrum, *options[:-2])
    assert other["parameters"]["p1"] != pytest.approx(window["parameters"]["p1"], rel=1e-3)


def test_without_json_there_is_a_table(cwola: Cwola, spectrum: Path) -> None:
    outcome = cwola("fit", spectrum, "--scan", "3300:3900:400:200")
    (first, second) = windows(cwola, spectrum, "--scan", "3300:3900:400:200")
    assert outcome.code == 0
    for window in (first, second):
        line = next(line for line in outcome.out.splitlines() if f"{window['signal'][0]:g}-" in line[:12])
        assert f"{window['n']:.0f}" in line
        assert f"{window['b']:.0f}±{window['b_error']:.0f}" in line
        assert window["function"] in line
    assert "Largest excess" in outcome.out or "No excess" in outcome.out
    assert "for 2 windows" in outcome.out


def test_an_excess_is_found_where_it_is(cwola: Cwola, tmp_path: Path) -> None:
    counts = toy_counts()
    inside = (EDGES[:-1] >= 4200) & (EDGES[1:] <= 4600)
    counts[inside] += round(2 * np.sqrt(counts[inside].sum()))  # eight standard deviations
    command = [write_csv(tmp_path / "bump.csv", counts), "--scan", "3400:5800:400:400", "--function", "dijet3"]
    found = {window["signal"][0]: window["z"] for window in windows(cwola, *command)}
    assert max(found, key=lambda low: found[low]) == 4200
    assert found[4200] > 6
    assert "in 4200-4600 GeV" in cwola("fit", *command).out


def test_what_to_mind_is_said_once_for_all_windows(cwola: Cwola, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "few.csv", toy_counts(300))
    few = windows(cwola, path, "--scan", "3300:5700:400:400", "--function", "dijet3")
    out = cwola("fit", path, "--scan", "3300:5700:400:400", "--function", "dijet3").out
    tail = ", ".join(f"{window['signal'][0]:g}-{window['signal'][1]:g}" for window in few if window["b"] < 10)
    assert [window["calibrated"] for window in few] == [window["b"] >= 10 for window in few]
    assert f"In {tail} GeV fewer than 10 events are expected, z is approximate and p0_averaged conservative." in out
    (last,) = [window for window in few if window["signal"][0] == 5300]
    assert f"toys {last['p0_toys']:.2g}" in out
    assert f"{last['limit_events']:.3g} (toys)" in out


def test_windows_that_work_are_printed_when_another_fails(cwola: Cwola, spectrum: Path) -> None:
    outcome = cwola("fit", spectrum, "--window", "3300:3700", "--window", "3100:6400", "--json")
    good, bad = json.loads(outcome.out)["windows"]
    assert outcome.code == 1
    assert outcome.err.startswith("error: 1 of 2 windows failed. window 3100-6400 GeV: 2 bins, 2 of them filled, are")
    assert outcome.err.count("\n") == 1
    assert good["z"] is not None
    assert set(bad) >= PROMISED
    assert bad["z"] is None
    assert bad["reason"] in outcome.err
    table = cwola("fit", spectrum, "--window", "3300:3700", "--window", "3100:6400")
    assert table.code == 1
    assert "failed" in table.out


# The same as the search


@pytest.mark.parametrize("selection", ["inclusive", "eff_0.1", "eff_0.03"])
@pytest.mark.parametrize("index", [0, 1])
def test_it_gives_the_numbers_of_the_search(cwola: Cwola, finished: Path, selection: str, index: int) -> None:
    window = json.loads((finished / "results.json").read_text())["windows"][index]
    (expected,) = [entry for entry in window["selections"] if entry["name"] == selection]
    places = {
        option: f"{window[key][0]:g}:{window[key][1]:g}"
        for option, key in (("--window", "signal"), ("--mask", "mask"), ("--fit-range", "fit_range"))
    }
    path = finished / "windows" / places["--window"].replace(":", "-") / "spectrum.json"
    function = expected["fit"]["function"]
    options = [part for pair in places.items() for part in pair]
    (found,) = windows(cwola, path, *options, "--selection", selection, "--function", function)
    assert found["n"] == expected["n_obs"] > 0
    assert found["b"] == pytest.approx(expected["background"], rel=1e-9)
    assert found["b_error"] == pytest.approx(expected["background_error"], rel=1e-9)
    assert found["z"] == pytest.approx(expected["z"], rel=1e-6)
    assert found["chi2"] == pytest.approx(expected["fit"]["chi2"], rel=1e-9)
    assert found["limit_events"] == pytest.approx(expected["limit"]["observed_events"], rel=1e-6)
    assert 0 < found["limit_events"] < found["limit_gaussian"]["0.02"] < found["limit_gaussian"]["0.05"]
    if selection != "inclusive":  # with the default functions, and alone
        (chosen,), (alone,) = (
            windows(cwola, path, *options, "--selection", selection, *more) for more in ((), ("--function", "dijet3"))
        )
        assert chosen["function"].endswith("*ratio1")
        assert alone["function"] == "dijet3"
        assert alone["ndof"] < found["ndof"]


def test_a_function_of_events_that_fail_needs_them(cwola: Cwola, finished: Path) -> None:
    spectrum = next((finished / "windows").glob("*/spectrum.json"))
    options = ("--window", spectrum.parent.name.replace("-", ":"), "--selection", "inclusive")
    refused = cwola("fit", spectrum, *options, "--function", "dijet3*ratio1")
    assert refused.code == 1
    assert "is a function of events that pass and fail a selection" in refused.err


def test_a_spectrum_of_a_blinded_search_is_refused(cwola: Cwola, finished: Path, tmp_path: Path) -> None:
    """The search empties the bins of the mask before it writes the spectrum."""
    document = json.loads((finished / "windows" / "3300-3700" / "spectrum.json").read_text())
    (mass,) = [axis for axis in document["axes"] if axis["metadata"]["name"] == "mjj"]
    masked = [0, *(3200 <= low < 3800 for low in mass["edges"][:-1]), 0]
    for key in ("values", "variances"):
        content = np.array(document["storage"][key])
        content[np.array(masked, bool)] = 0
        document["storage"][key] = content.tolist()
    path = tmp_path / "blinded.json"
    path.write_text(json.dumps(document))
    outcome = cwola("fit", path, "--selection", "inclusive", "--window", "3300:3700", "--mask", "3200:3800")
    assert outcome.code == 1
    assert "the bins 3200-3800 GeV are all empty, but the fit expects" in outcome.err
    assert "blinded" in outcome.err


# What is wrong is said in one line


def refused(cwola: Cwola, *arguments: object) -> str:
    for extra in ([], ["--json"]):
        outcome = cwola("fit", *arguments, *extra)
        assert outcome.code == 1
        assert outcome.out == ""
        assert outcome.err.startswith("error: ")
        assert outcome.err.count("\n") == 1
    return outcome.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "which window? Give --window LO:HI"),
        (["--window", "3300"], "--window: expected LO:HI in GeV, such as 3300:3700, found '3300'."),
        (["--window", "3300-3700"], "--window: expected LO:HI in GeV"),
        (["--window", "3300:3700:3900"], "--window: expected LO:HI in GeV"),
        (["--window", "low:high"], "--window: expected LO:HI in GeV"),
        (["--window", "3300:nan"], "--window: expected LO:HI in GeV"),
        (["--window", "3700:3300"], "--window: expected LO:HI with LO below HI, found '3700:3300'."),
        (["--window", "3300:3700", "--mask", "3300"], "--mask: expected LO:HI in GeV"),
        (["--window", "3300:3700", "--fit-range", ":"], "--fit-range: expected LO:HI in GeV"),
        (["--scan", "3300:4500:400"], "--scan: expected FIRST:LAST:WIDTH:STEP in GeV, such as 3300:4500:400:200"),
        (["--scan", "3300:3500:400:200"], "LAST at least FIRST + WIDTH"),
        (["--scan", "3300:4500:400:0"], "positive WIDTH and STEP"),
        (["--scan", "3300:4500:400:1e-9"], "at most 10000 steps"),
        (["--window", "3333:3711"], "is not on the bin edges of"),
        (["--window", "7000:7400"], "the window 7000-7400 GeV is not inside"),
        (["--window", "3000:6500"], "the window 3000-6500 GeV covers the whole fit range"),
        (["--window", "3000:3400"], "the window 3000-3400 GeV leaves no bin below it"),
        (["--window", "6300:6500"], "the window 6300-6500 GeV leaves no bin above it"),
        (["--window", "3300:3700", "--mask", "3400:3700"], "the mask 3400-3700 GeV does not cover the window"),
        (
            ["--window", "3300:3700", "--mask", "3100:6400"],
            "2 bins, 2 of them filled, are left of 3000-6500 GeV outside",
        ),
        (["--window", "3300:3700", "--fit-range", "4000:6500"], "is not inside the fit range 4000-6500 GeV"),
        (
            ["--window", "3300:3700", "--function", "dijet99"],
            "unknown background function 'dijet99'. Functions: dijet2,",
        ),
        (["--window", "3300:3700", "--sqrt-s", "6000"], "does not end below the collision energy 6000 GeV"),
        (["--window", "3300:3700", "--selection", "inclusive"], "has no selections: only UHI JSON files (.json) have"),
    ],
)
def test_wrong_options_are_named(cwola: Cwola, spectrum: Path, options: list[str], message: str) -> None:
    assert message in refused(cwola, spectrum, *options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("low,high,count\n3000,4000,0\n4000,5000,0\n", "is empty: there are no events in its 2 bins."),
        ("low,high,count\n3000,4000,0\n4000,5000,9\n", "the bin 4000-5000 GeV holds all events"),
        ("low,high,count\n3000,4000,9\n4000,5000,-9\n", "has the count -9, which is negative"),
        ("low,high,count\n3000,4000,9.5\n4000,5000,9\n", "has the count 9.5, which is not a whole number"),
        ("low,high,count\n3000,4000,nan\n", "line 2: count is nan, expected a finite number."),
        ("low,high,count\n3000,4000,9\n4500,5000,9\n", "line 3: the bin 4500-5000 GeV leaves a gap of 500 GeV"),
        ("low,high,count\n3000,4000,9\n3500,5000,9\n", "line 3: the bin 3500-5000 GeV overlaps the one before"),
        (
            "low,high,count\n4000,5000,9\n3000,4000,9\n",
            "line 3: the bin 3000-4000 GeV comes after a bin of higher mass",
        ),
        ("mass,count\n3000,9\n", "expected the header 'low,high,count'"),
        ("low,high,count\n3000,4000,many\n", "line 2: count is 'many', expected a number."),
    ],
)
def test_files_that_hold_no_spectrum_are_named(cwola: Cwola, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    error = refused(cwola, path, "--window", "3300:3700")
    assert message in error
    assert str(path) in error


def test_files_that_cannot_be_read_are_named(cwola: Cwola, spectrum: Path, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"windows": []}')
    (tmp_path / "broken.root").write_bytes(b"root")
    with uproot.recreate(tmp_path / "s.root") as file:
        file["square"] = np.histogram2d([1.0, 2.0], [1.0, 2.0])
    for name, message in {
        "missing.csv": "no such file",
        "missing.json": "no such file",
        "missing.root:mjj": "no such file",
        "other.json": "is not a UHI histogram",
        "broken.root:mjj": "as a ROOT file",
        "s.root:mjj": "has no object 'mjj'",
        "s.root:square": "is a TH2D, expected a TH1",
        "s.root": "which histogram of",
        "spectrum.pdf": "cannot tell the format of",
    }.items():
        error = refused(cwola, tmp_path / name, "--window", "3300:3700")
        assert message in error
        assert name.partition(":")[0] in error


def test_help_loads_no_heavy_library() -> None:
    script = (
        "import sys\nfrom click.testing import CliRunner\nfrom analysis.cli import cli\n"
        "outcome = CliRunner().invoke(cli, ['fit', '--help'])\nassert '--fit-range' in outcome.output\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "click" in done.stdout.split()
    assert not {"numpy", "scipy", "pyhf", "hist", "uproot", "rich", "pydantic"} & set(done.stdout.split())


def test_an_output_folder_gets_numbers_workspaces_and_figures(cwola: Cwola, spectrum: Path, tmp_path: Path) -> None:
    """pyhf alone finds the printed limit in the workspace, by its own asymptotic formulae."""
    output = tmp_path / "fits"
    options = [spectrum, "--window", "3300:3700", "--window", "3900:4300", "--output", output]
    printed = cwola("fit", *options, "--json")
    assert printed.code == 0, printed.err
    assert json.loads((output / "fit.json").read_text()) == json.loads(printed.out)
    names = {f"{stem}_{window}" for window in ("3300-3700", "3900-4300") for stem in ("workspace", "fit")}
    assert {path.stem for path in output.iterdir()} == {"fit", *names}
    assert (output / "fit_3300-3700.pdf").read_bytes().startswith(b"%PDF")
    assert (output / "fit_3300-3700.png").read_bytes().startswith(b"\x89PNG")
    document = json.loads((output / "workspace_3300-3700.json").read_text())
    (events_per_mu,) = document["channels"][0]["samples"][0]["data"]
    workspace = pyhf.Workspace(document)
    model = workspace.model()
    data = workspace.data(model)
    limit = json.loads(printed.out)["windows"][0]["limit_events"]
    bounds = model.config.suggested_bounds()
    bounds[model.config.poi_index] = (0.0, 10 * limit / events_per_mu)
    cls = pyhf.infer.hypotest(limit / events_per_mu, data, model, par_bounds=bounds, test_stat="qtilde")
    assert float(cls) == pytest.approx(0.05, abs=0.002)


def test_an_output_folder_that_cannot_be_made_is_one_error(cwola: Cwola, spectrum: Path) -> None:
    done = cwola("fit", spectrum, "--window", "3300:3700", "--output", spectrum / "below")
    assert done.code == 1
    assert "cannot write" in done.err
