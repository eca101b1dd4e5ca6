"""What a blinded search tells of its windows: two searches whose files differ inside the window alone, compared."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
import hist
import numpy as np
import pytest
import uhi.io.json
import xgboost as xgb
from numpy.typing import NDArray

from analysis import cli
from analysis.errors import ResultsError
from analysis.learning import BoostedTrees, FittedEnsemble, TrainingSet
from analysis.results import ResultsFolder
from tests.builders.html_page import check_structure, csv_table, downloads, parse_page
from tests.builders.toy_search import Cwola, background_event, signal_event
from tests.builders.toy_tables import dijet_masses
from tests.builders.toys import write_nanoaod

WINDOW, MASK = (3300.0, 3700.0), (3200.0, 3800.0)

CONFIG = """
[scan]
windows = [[3300, 3700]]

[learning]
n_folds = 2
n_members = 2
efficiencies = [0.1]
threshold_reference = "{reference}"
classifier = {{n_estimators = 20, max_depth = 3, min_child_weight = 10, subsample = 1.0}}

[background]
functions = ["dijet3"]

[plots]
formats = ["png"]
"""

Paths = set[str]


@dataclass(frozen=True)
class Files:
    """Datasets and configurations of two searches with the same events but for those inside the window."""

    folder: Path

    def options(self, which: str, reference: str) -> list[object]:
        folder = self.folder / which
        return ["--datasets", folder / "datasets.json", "--config", self.folder / f"{reference}.toml"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("blinding")
    for reference in ("spectrum", "sidebands"):
        (folder / f"{reference}.toml").write_text(CONFIG.format(reference=reference))
    rng = np.random.default_rng(11)
    masses = dijet_masses(5000, rng)
    background = [background_event(m, rng) for m in masses]
    further = [signal_event(m, rng) for m in rng.uniform(3350, 3650, 260)]
    for which, extra in (("few", further[:60]), ("many", further)):
        (folder / which).mkdir()
        write_nanoaod(folder / which / "qcd.root", background, run=1)
        write_nanoaod(folder / which / "bump.root", extra, run=2)
        ones = {"gen_weight": np.ones(130), "generator_sums": [130.0]}
        write_nanoaod(folder / which / "point.root", further[::2], run=3, **ones)
        pseudodata = {"kind": "pseudodata", "format": "nanoaod", "pt_hat_min": 1200}
        document = {
            "qcd": {"files": {"qcd.root": "Events"}, "metadata": pseudodata},
            "bump": {"files": {"bump.root": "Events"}, "metadata": {**pseudodata, "masses": {"A": 3500}}},
            "point": {
                "files": {"point.root": "Events"},
                "metadata": {
                    "kind": "signal",
                    "format": "nanoaod",
                    "masses": {"A": 3500},
                    "lumi_ifb": 1,
                    "xsec_pb": 0.1,
                },
            },
        }
        (folder / which / "datasets.json").write_text(json.dumps(document))
    return Files(folder)


class FixedTrees:
    """Trees that were trained elsewhere, so that the window has no part in them."""

    @staticmethod
    def fit(learner: BoostedTrees, training: TrainingSet, *, random_state: np.random.SeedSequence) -> FittedEnsemble:
        rng = np.random.default_rng(5)
        X = rng.uniform(0, 400, (400, training.X.shape[1]))
        data = xgb.DMatrix(X, (X.sum(axis=1) > 800).astype(int))
        booster = xgb.train({"objective": "binary:logistic", "nthread": 1, "max_depth": 3}, data, 5)
        return FittedEnsemble((bytes(booster.save_raw("ubj")),) * learner.n_members)


@dataclass(frozen=True)
class Run:
    folder: Path
    printed: str

    def json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())

    @property
    def selections(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.json("results.json")["windows"][0]["selections"]
        return found


def call(name: str, folder: Path, *arguments: object) -> Run:
    """Run a command in this process, and keep what it prints."""
    out = io.StringIO()
    with redirect_stdout(out):
        cli.cli.main([name, *map(str, arguments), "--output", str(folder), "--jobs", "1"], standalone_mode=False)
    return Run(folder, out.getvalue())


@pytest.fixture(scope="module")
def trained(files: Files, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """Both searches as they are by default, blinded; do not change them."""
    runs = []
    for which in ("few", "many"):
        output = tmp_path_factory.mktemp("trained") / which
        call("process", output, *files.options(which, "spectrum"))
        runs.append(call("scan", output, "--blind", "--config", files.folder / "spectrum.toml"))
    return runs[0], runs[1]


@pytest.fixture(scope="module")
def shown(files: Files, trained: tuple[Run, Run], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same search unblinded, in the same folder."""
    output = tmp_path_factory.mktemp("shown") / "many"
    shutil.copytree(trained[1].folder, output)
    return call("scan", output, "--config", files.folder / "spectrum.toml")


def leaves(document: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Values of a JSON document by path; positions in lists are left out of it."""
    if isinstance(document, Mapping):
        for key, value in document.items():
            yield from leaves(value, f"{path}.{key}")
    elif isinstance(document, list):
        yield f"{path}.length", len(document)
        for value in document:
            yield from leaves(value, path)
    else:
        yield path, document


def differences(first: Any, second: Any) -> Paths:
    a, b = list(leaves(first)), list(leaves(second))
    assert [path for path, _ in a] == [path for path, _ in b]
    return {path for (path, one), (_, other) in zip(a, b, strict=True) if one != other}


def test_templates_are_compared_without_a_look_into_the_mask(files: Files, trained: tuple[Run, Run]) -> None:
    found = []
    options = ("--blind", "--permutations", "9", "--trainings", "2", "--source", "exact-null")
    for run in trained:
        output = run.folder.parent / "compared"
        shutil.copytree(run.folder, output)
        printed = call("twosample", output, *options, "--config", files.folder / "spectrum.toml").printed
        assert "the search is blinded" in printed
        found.append(json.loads((output / "two_sample.json").read_text()))
    keys = {one.pop("key") for one in found}  # of the input files
    assert len(keys) == 2
    assert found[0] == found[1]
    data, without_signal = found[0]["tests"]
    assert data["tests"] == []
    assert data["n_window"] is None
    assert len(without_signal["tests"]) == 3


# What the files are, which is told of them before there is a window, and digests.
OF_INPUTS = {
    "config.json": set(),
    "results.json": {
        ".inputs.file",
        ".inputs.uuid",
        ".inputs.content",
        ".inputs.entries",
        ".cutflow.bump",
        ".n_minus_one.bump",
    },
    "manifest.json": {
        *(".created", ".inputs.file", ".inputs.uuid", ".inputs.content", ".inputs.entries"),
        *(".window_keys", ".seed_keys", ".drawn"),
    },
    "global.json": {".key"},
    "diagnostics.json": {".key", ".window_keys"},
    "drift.json": {".key"},
    "window.json": {".key", ".inputs"},
    "signals.json": {".key"},
    "validation": {".key"},
}
# The events themselves, and times; the report is compared beside.
NOT_COMPARED = ("parts/", "events.json", "process.json", "cwola.log", "plots/cutflow", "report.html")


def unexplained(
    first: Run, second: Run, allowed: Mapping[str, Paths] = OF_INPUTS, *, but: tuple[str, ...] = ()
) -> dict[str, Paths]:
    """Files that differ beyond what is allowed, with the places; without those that `but` names."""
    names = [
        {p.relative_to(run.folder).as_posix() for p in run.folder.rglob("*") if p.is_file()} for run in (first, second)
    ]
    names = [{name for name in found if not name.startswith((*NOT_COMPARED, *but))} for found in names]
    assert names[0] == names[1]
    found: dict[str, Paths] = {}
    for name in sorted(names[0]):
        contents = [(run.folder / name).read_bytes() for run in (first, second)]
        if contents[0] == contents[1]:
            continue
        if not name.endswith(".json"):
            found[name] = {"bytes"}
            continue
        top, base = name.split("/", 1)[0], name.rsplit("/", 1)[-1]
        expected = allowed.get(base, allowed.get(top, set()))
        places = {
            place
            for place in differences(*map(json.loads, contents))
            if not any(place == one or place.startswith(f"{one}.") for one in expected)
            and not place.startswith(".sha256.")  # of files that are compared themselves
        }
        if places:
            found[name] = places
    return found


def reported(run: Run) -> str:
    """Texts, alternatives, data and figures of the report, without what it says of the input files."""
    page = parse_page((run.folder / "report.html").read_text(encoding="utf-8"))
    check_structure(page)
    text = page.without("cutflow", "provenance")
    (written,) = page.find_all("time")
    return text.replace(str(written.attributes["datetime"]), "").replace(written.text, "")


def after_cutflow(run: Run) -> str:
    """What is printed after the cutflow, without the name of the folder."""
    return run.printed[run.printed.index("Expected b (blinded)") :].replace(str(run.folder), "")


@pytest.mark.thorough
def test_with_given_classifiers_and_sideband_thresholds_nothing_depends_on_the_window(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoostedTrees, "fit", FixedTrees.fit)
    few, many = (
        call("run", tmp_path / which, "--blind", "--seeds", 2, *files.options(which, "sidebands"))
        for which in ("few", "many")
    )
    assert unexplained(few, many) == {}
    assert after_cutflow(few) == after_cutflow(many)
    document = many.json("results.json")
    assert document["blinded"] is True
    assert document["signals"][0]["selections"][0]["expected_z"] > 0
    assert document["signals"][0]["selections"][0]["limit"]["observed_events"] is None
    assert few.json("results.json")["cutflow"]["bump"] != document["cutflow"]["bump"]
    assert (many.folder / "plots" / "spectrum_3300-3700_eff_0.1.png").exists()
    assert not (many.folder / "plots" / "scan.png").exists()
    diagnosed = many.json("diagnostics.json")["windows"][0]
    assert diagnosed["blinded"] is True
    assert {"features", "masses", "sculpting"} <= diagnosed.keys()
    assert reported(few) == reported(many)
    assert "Blinded: no count" in reported(many)
    spectrum = csv_table(
        downloads(parse_page((many.folder / "report.html").read_text()))["spectrum_3300-3700_eff_0.1.csv"]
    )
    shown = [float(row["m_jj low [GeV]"]) for row in spectrum if row["observed [events]"]]
    assert not any(MASK[0] <= low < MASK[1] for low in shown)
    assert len(shown) > 10


# What follows from classifiers, which are trained on the events of the window: nothing of it is a count inside.
OF_CLASSIFIERS = {"background", "background_error", "fit", "efficiency_achieved", "limit", "calibrated"}


def test_of_trained_classifiers_only_what_lies_beside_the_window_differs(trained: tuple[Run, Run]) -> None:
    few, many = trained
    found = unexplained(few, many, but=("diagnostics.json",))
    diagnosed = [run.json("diagnostics.json")["windows"][0] for run in trained]
    for section in ("features", "masses"):
        assert diagnosed[0][section] == diagnosed[1][section]
    assert diagnosed[0]["sculpting"] != diagnosed[1]["sculpting"]  # of what passes beside the window
    for name in ("results.json", "windows/3300-3700/window.json"):
        places = {place for place in found[name] if not place.startswith(".signals.")}
        fields = {re.sub(r"^(\.windows)?\.selections\.(\w+).*", r"\2", place) for place in places}
        assert "background" in fields  # the classifiers differ
        assert fields <= OF_CLASSIFIERS
    assert not any(list(many.folder.rglob(name)) for name in ("scores.npz", "passes.npz"))
    assert few.selections[0] == many.selections[0]
    for run in trained:
        workspace = run.json("windows/3300-3700/workspace_eff_0.1.json")
        assert workspace["observations"][0]["data"] == workspace["channels"][0]["samples"][1]["data"]
        for selection in run.selections:
            hidden = ("n_obs", "z", "p0", "p0_toys", "p0_averaged", "asymptotics_trusted", "s_over_sqrt_b")
            assert {selection[key] for key in hidden} == {None}
            assert selection["limit"]["observed_events"] is None
            assert selection["limit"]["expected_events"][2] > 0
        assert "z =" not in run.printed
        assert "threshold_reference" in run.printed


def test_models_of_a_blinded_search_do_not_tell_how_many_events_they_were_trained_on(
    trained: tuple[Run, Run], shown: Run
) -> None:
    X = np.random.default_rng(3).uniform(0, 300, (500, 4)).astype(np.float32)
    path = "windows/3300-3700/models/fold0_member0.ubj"
    models = [xgb.Booster(model_file=run.folder / path) for run in (trained[1], shown)]
    assert (models[0].inplace_predict(X) == models[1].inplace_predict(X)).all()
    contents = [json.loads(bytes(one.save_raw("json")))["learner"] for one in models]
    roots = [one["gradient_booster"]["model"]["trees"][0]["sum_hessian"][0] for one in contents]
    # Weights have mean 1 and h = 1/4 before the first tree: four times the root is the number of rows.
    assert 4 * roots[1] > 500
    assert roots[0] == 0


def test_blinding_changes_no_number_that_it_shows(trained: tuple[Run, Run], shown: Run) -> None:
    for hidden, seen in zip(trained[1].selections, shown.selections, strict=True):
        for key in ("background", "background_error", "fit", "weight"):
            assert hidden[key] == seen[key]
        assert seen["n_obs"] > 0
        assert seen["s_over_sqrt_b"] > 0
    first, second = (run.json("results.json")["signals"][0]["selections"] for run in (trained[1], shown))
    for hidden, seen in zip(first, second, strict=True):
        assert hidden["expected_z"] == pytest.approx(seen["expected_z"], rel=1e-6)
        assert hidden["events_3sigma"] == pytest.approx(seen["events_3sigma"], rel=1e-4)


def test_unblinding_is_on_record_and_stays_there(files: Files, trained: tuple[Run, Run], shown: Run) -> None:
    assert "unblinding" not in trained[1].json("manifest.json")
    before, manifest = trained[1].json("manifest.json"), shown.json("manifest.json")
    assert (before["blinded"], manifest["blinded"]) == (True, False)
    (record,) = manifest["unblinding"]
    assert datetime.fromisoformat(record["when"]).utcoffset() == timedelta(0)
    assert record["event"] == "unblinded after a blinded scan"
    assert record["windows"] == ["3300-3700"]
    assert record["config_digest"] == {"before": before["config_digest"], "after": manifest["config_digest"]}
    assert record["setting"] == "statistics.blind = false"


def test_a_folder_that_was_never_blinded_says_so_and_every_unblinding_is_added(
    files: Files, shown: Run, tmp_path: Path
) -> None:
    output = tmp_path / "never"
    shutil.copytree(shown.folder, output)
    (output / "manifest.json").unlink()
    config = ["--config", files.folder / "spectrum.toml"]
    for flags, events in (
        ([], ["unblinded from the first scan"]),
        ([], ["unblinded from the first scan"]),
        (["--blind"], ["unblinded from the first scan"]),
        (["--blind"], ["unblinded from the first scan"]),
        ([], ["unblinded from the first scan", "unblinded after a blinded scan"]),
    ):
        found = call("scan", output, *flags, *config).json("manifest.json")
        assert [one["event"] for one in found["unblinding"]] == events
        assert found["blinded"] is bool(flags)
    assert found["unblinding"][0]["config_digest"]["before"] is None


@pytest.mark.parametrize(
    ("blinded", "event"), [(True, "unblinded after a blinded scan"), (False, "unblinded before this was recorded")]
)
def test_folders_of_earlier_versions_are_understood(tmp_path: Path, blinded: bool, event: str) -> None:
    (tmp_path / "results.json").write_text(json.dumps({"blinded": blinded}))
    (tmp_path / "manifest.json").write_text(json.dumps({"created": "2026-01-01T00:00:00+00:00", "config_digest": "a"}))
    for _ in range(2):
        ResultsFolder(tmp_path).record_unblinding(["1-2"], config_digest="b", setting="some")
    (record,) = json.loads((tmp_path / "manifest.json").read_text())["unblinding"]
    assert record["event"] == event
    assert record["config_digest"] == {"before": "a", "after": "b"}


def test_an_interrupted_unblinding_is_on_record(
    files: Files, trained: tuple[Run, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "interrupted"
    shutil.copytree(trained[0].folder, output)

    def stop(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("analysis.stages.scan.run_scan", stop)
    with pytest.raises(click.Abort):
        call("scan", output, "--config", files.folder / "spectrum.toml")
    assert len(json.loads((output / "manifest.json").read_text())["unblinding"]) == 1


def test_other_commands_of_a_blinded_folder_show_nothing(
    cwola: Cwola, files: Files, trained: tuple[Run, Run], tmp_path: Path
) -> None:
    output = tmp_path / "others"
    shutil.copytree(trained[1].folder, output)
    states = [cwola("status", run.folder, "--json") for run in trained]
    assert [one.code for one in states] == [0, 0]
    assert len({json.dumps(json.loads(one.out)["tables"][0]["data"]) for one in states}) == 1
    listed = cwola("select", output, "--window", "3300:3700", "--selection", "eff_0.1")
    assert listed.code == 1
    assert "blind = false" in listed.err
    drawn = cwola("plot", "--control", "--output", output, "--config", files.folder / "spectrum.toml", "--jobs", 1)
    assert drawn.code == 0, drawn.err
    document = json.loads(
        (output / "plots" / "control" / "histograms.json").read_text(), object_hook=uhi.io.json.object_hook
    )
    assert document["blinded"] is True
    mjj = hist.Hist(document["histograms"]["mjj"])
    centers = mjj.axes["mjj"].centers
    inside = (centers > MASK[0]) & (centers < MASK[1])
    observed = np.asarray(mjj[{"dataset": "qcd", "region": "search"}].values())
    assert observed[inside].sum() == 0
    assert observed.sum() > 1000


@pytest.mark.thorough
def test_a_report_shows_no_figure_of_what_was_shown_before(files: Files, shown: Run, tmp_path: Path) -> None:
    output = tmp_path / "again"
    shutil.copytree(shown.folder, output)
    config = ["--config", files.folder / "spectrum.toml"]
    call("plot", output, *config)
    assert "local z" in write_page(output)
    call("scan", output, "--blind", *config)
    with pytest.raises(ResultsError, match=r"are of other results\. Run `cwola plot"):
        write_page(output)
    call("plot", output)
    text = write_page(output)
    assert "spectrum_3300-3700_eff_0.1.csv" in text
    assert not re.search(r"local z =|[^a-z]z =|Observed|observed [0-9]|scan\.csv", parse_page(text).without("glossary"))


def write_page(folder: Path) -> str:
    cli.cli.main(["report", "--output", str(folder)], standalone_mode=False)
    return (folder / "report.html").read_text(encoding="utf-8")


def shown_in(run: Run) -> NDArray[np.float64]:
    """(n_bins, 2) float64: spectra of both selections as the folder has them."""
    text = (run.folder / "windows" / "3300-3700" / "spectrum.json").read_text()
    spectrum = hist.Hist(json.loads(text, object_hook=uhi.io.json.object_hook))
    return np.asarray(spectrum.values(), np.float64)[:, :, 0]


def test_thresholds_of_the_whole_spectrum_tell_of_the_window(trained: tuple[Run, Run], shown: Run) -> None:
    """As docs/blinding.md says: 0.1 of all events pass, so that those shown tell of those that are not."""
    hidden, seen = shown_in(trained[1]), shown_in(shown)
    inside = hidden.sum(axis=1) == 0
    beside, truth = hidden.sum(axis=0), seen[inside, 1].sum()
    # Not k / n of all reference events, from which n, and with it what is inside, could be read.
    assert trained[1].selections[1]["efficiency_achieved"] == pytest.approx(beside[1] / beside[0], rel=1e-12)
    mask = trained[1].selections[0]["background"] * (MASK[1] - MASK[0]) / (WINDOW[1] - WINDOW[0])
    guess = 0.1 * (beside[0] + mask) - beside[1]
    # Off by 0.1 of what the inclusive fit does not know: 260 events of signal and the fluctuation of the mask.
    assert abs(guess - truth) < 0.1 * (260 + 3 * np.sqrt(mask)) + 10
    assert guess - 0.1 * mask > 5 * np.sqrt(0.1 * mask)  # it shows a signal


@pytest.mark.thorough
def test_no_spectrum_shows_a_bin_inside_the_mask_of_any_window(files: Files, tmp_path: Path) -> None:
    """The sidebands of a window hold the events of its neighbours: their masks are hidden in its spectrum as well."""
    text = CONFIG.format(reference="sidebands").replace("[[3300, 3700]]", "[[3500, 3700], [3900, 4100], [4500, 4700]]")
    (tmp_path / "three.toml").write_text(text)
    datasets = files.folder / "many" / "datasets.json"
    blinded = call("run", tmp_path / "run", "--blind", "--datasets", datasets, "--config", tmp_path / "three.toml")
    windows = [json.loads(path.read_text()) for path in sorted((blinded.folder / "windows").glob("*/window.json"))]
    masks = [tuple(window["mask"]) for window in windows]
    assert len(set(masks)) == 3
    page = parse_page((blinded.folder / "report.html").read_text(encoding="utf-8"))
    written = {name: content for name, content in downloads(page).items() if name.endswith(".csv")}
    tables = {name: csv_table(content) for name, content in written.items() if name.startswith("spectrum_")}
    assert len(tables) == 6
    for window in windows:
        assert {tuple(mask) for mask in window["hidden"]} == set(masks)
        name = f"{window['signal'][0]:g}-{window['signal'][1]:g}"
        document = (blinded.folder / "windows" / name / "spectrum.json").read_text(encoding="utf-8")
        spectrum = hist.Hist(json.loads(document, object_hook=uhi.io.json.object_hook))
        edges = spectrum.axes["mjj"].edges
        inside = np.any([(edges[1:] > low) & (edges[:-1] < high) for low, high in masks], axis=0)
        assert not spectrum.values()[inside].any()
        assert spectrum.values()[~inside].any()
        for selection in ("inclusive", "eff_0.1"):
            rows = tables[f"spectrum_{name}_{selection}.csv"]
            assert [row["observed [events]"] == "" for row in rows] == inside.tolist()


def test_another_window_hides_its_mask_in_those_that_were_searched_before(files: Files, tmp_path: Path) -> None:
    datasets, output = files.folder / "many" / "datasets.json", tmp_path / "run"
    call("process", output, "--datasets", datasets)
    first, both = "[[3300, 3700]]", "[[3300, 3700], [3900, 4300]]"
    for windows in (first, both):
        config = tmp_path / "search.toml"
        config.write_text(CONFIG.format(reference="sidebands").replace(first, windows))
        call("scan", output, "--blind", "--config", config)
    window = json.loads((output / "windows" / "3300-3700" / "window.json").read_text())
    assert [3800.0, 4400.0] in window["hidden"]
