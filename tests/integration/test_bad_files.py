"""Bad input through the command line: what the message says, the exit code, and that all other events are there.

Every row of a table is processed twice beside a good file of the same dataset: without `--skip-bad-files`, where one
message must name the file, and with it, where all events of the good file must be found and the bad one listed.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pyarrow.dataset as pads
import pytest
import uproot

from processors.runner import executor
from tests.builders import toys
from tests.builders.toy_search import Cwola, Outcome, ToySearch

N_GOOD = 20
TREES = {"nanoaod": "Events", "delphes": "Delphes"}
Spoil = Callable[[Path], None]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "PAUSE", 0.0)


def missing(path: Path) -> None:
    assert not path.exists()


def truncated(path: Path) -> None:
    toys.write_nanoaod(path, [toys.dijet()] * 2000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def web_page(path: Path) -> None:
    path.write_bytes(b"<html>404 not found</html>" * 10)


def being_written(path: Path) -> None:
    with uproot.recreate(path):
        pass


def without_tree(path: Path) -> None:
    with uproot.recreate(path) as file:
        file.mktree("LuminosityBlocks", {"run": "uint32"})


def without_luminosity_block(path: Path) -> None:
    toys.write_nanoaod(path, [toys.dijet()], drop=("luminosityBlock",))


def without_eta(path: Path) -> None:
    toys.write_nanoaod(path, [toys.dijet()], drop=("FatJet_eta",))


def without_counter(path: Path) -> None:
    """The branch that counts is gone, and with it what tells the jets of an event apart."""
    names = ("pt", "eta", "phi", "mass", "msoftdrop", "tau1", "tau2")
    columns = {f"FatJet_{name}": np.ones(3, np.float32) for name in names}
    columns |= {name: np.arange(3, dtype=np.uint32) for name in ("run", "luminosityBlock")}
    columns["event"] = np.arange(3, dtype=np.uint64)
    with uproot.recreate(path) as file:
        file.mktree("Events", {name: values.dtype for name, values in columns.items()}).extend(columns)


def without_tau2(path: Path) -> None:
    toys.write_nanoaod(path, [toys.dijet()], drop=("FatJet_tau2",))


def without_softdrop(path: Path) -> None:
    toys.write_nanoaod(path, [toys.dijet()], drop=("FatJet_msoftdrop",))


def spoil_basket(path: Path, branch: str, content: bytes) -> None:
    """Overwrite the beginning of the first basket of a branch."""
    with uproot.open(path) as file:
        key = file["Events"][branch].basket_key(0)
        start, length = key.fSeekKey + key.fKeylen, key.fNbytes - key.fKeylen
    assert len(content) <= length
    with path.open("r+b") as stream:
        stream.seek(start)
        stream.write(content)


def wrong_numbers(path: Path) -> None:
    """Where nothing checks what is read: uproot does not verify the checksums of LZ4 either."""
    toys.write_nanoaod(path, [toys.dijet()] * 500, compressed=False)
    spoil_basket(path, "FatJet_pt", np.random.default_rng(0).bytes(3000))


def wrong_substructure(path: Path) -> None:
    toys.write_nanoaod(path, [toys.dijet()] * 500, compressed=False)
    spoil_basket(path, "FatJet_tau1", np.full(20, 300.0, ">f4").tobytes())


def wrong_bytes(path: Path) -> None:
    toys.write_nanoaod(path, toys.random_events(500, seed=1))
    spoil_basket(path, "FatJet_pt", b"\xff" * 200)


def delphes_under_nanoaod(path: Path) -> None:
    toys.write_delphes(path, [toys.dijet()] * 3)


NANOAOD: list[tuple[Spoil, list[str]]] = [
    (missing, ["there is no such file", "Correct the path"]),
    (truncated, ["cut off", "Download or copy it again"]),
    (web_page, ["not a ROOT file", "Download"]),
    (being_written, ["no tree 'Events'", "still running"]),
    (without_tree, ["no tree 'Events'", "LuminosityBlocks"]),
    (delphes_under_nanoaod, ["no tree 'Events'", "Delphes", "Correct the tree"]),
    (without_luminosity_block, ["luminosityBlock", "missing", "Make the file again"]),
    (without_eta, ["FatJet_eta", "missing"]),
    (without_counter, ["FatJet_pt", "the branch that counts the jets is missing", "Make the file again"]),
    (without_tau2, ["tau21_j1", "FatJet_tau2", "missing"]),
    (without_softdrop, ["FatJet_msoftdrop", "missing", "selection.jet_mass"]),
    (wrong_numbers, ["FatJet_pt", "implausible", "of 1000 leading jets", "damaged"]),
    (wrong_substructure, ["FatJet_tau1", "implausible for 20 of 1000 leading jets", "found 0.5 to 300"]),
    (wrong_bytes, ["cannot be read", "download or make it again"]),
]

EDGES = [
    ("delphes_truncated_download", ["cut off", "900000 of 3208336 bytes"]),
    ("delphes_still_being_written", ["no tree 'Delphes'", "still running"]),
    ("delphes_no_tree", ["no tree 'Delphes'"]),
    ("nanoaod_missing_luminosityblock", ["luminosityBlock"]),
]


def write_good(path: Path, layout: str = "nanoaod", count: int = N_GOOD) -> Path:
    write = toys.write_delphes if layout == "delphes" else toys.write_nanoaod
    return write(path, [toys.dijet()] * count)


def listed(folder: Path, *files: object, layout: str = "nanoaod", tree: str = "", **metadata: object) -> list[object]:
    """Options that name a dataset "qcd" of files, and the output."""
    entry = {
        "files": {str(file): tree or TREES[layout] for file in files},
        "metadata": {"kind": "pseudodata", "format": layout, **metadata},
    }
    path = folder / "datasets.json"
    path.write_text(json.dumps({"qcd": entry}))
    config = folder / "search.toml"
    mass = 'jet_mass = "softdrop"' if layout == "nanoaod" else ""
    config.write_text(f"[selection]\n{mass}\nmjj_min = 500\n")
    return ["--datasets", path, "--config", config, "--output", folder / "results", "--jobs", 1]


def selected(folder: Path) -> int:
    """Events in the table, of the parts that count."""
    record = json.loads((folder / "results" / "process.json").read_text())
    parts = record["datasets"]["qcd"]["parts"]
    paths = [next((folder / "results" / "parts").rglob(f"qcd/{name}")) for name in parts]
    return int(pads.dataset([str(path) for path in paths]).count_rows())


def qcd_record(folder: Path) -> dict[str, object]:
    record: dict[str, object] = json.loads((folder / "results" / "process.json").read_text())["datasets"]["qcd"]
    return record


def assert_one_message(outcome: Outcome, *texts: str) -> None:
    assert outcome.code == 1
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1, outcome.err
    assert "Traceback" not in outcome.err
    for text in texts:
        assert text in outcome.err


def assert_left_out(cwola: Cwola, folder: Path, options: list[object], bad: object, texts: list[str]) -> None:
    """One error without the option; with it all other events, and the file listed with its reason."""
    assert_one_message(cwola("process", *options), str(bad), "dataset qcd", *texts, "--skip-bad-files")
    outcome = cwola("process", *options, "--skip-bad-files")
    assert outcome.code == 0, outcome.err
    assert selected(folder) == N_GOOD
    (line,) = [one for one in outcome.out.splitlines() if one.startswith("skipped ")]
    (record,) = qcd_record(folder)["skipped_files"]  # type: ignore[misc]
    for text in (str(bad), *texts):
        assert text in line
        assert text in record["filename"] + record["reason"]


@pytest.mark.parametrize(("spoil", "texts"), NANOAOD, ids=[spoil.__name__ for spoil, _ in NANOAOD])
def test_a_bad_file_is_named_and_can_be_left_out(cwola: Cwola, tmp_path: Path, spoil: Spoil, texts: list[str]) -> None:
    good, bad = write_good(tmp_path / "good.root"), tmp_path / "bad.root"
    spoil(bad)
    assert_left_out(cwola, tmp_path, listed(tmp_path, bad, good), bad, texts)


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "texts"), EDGES)
def test_a_bad_file_from_elsewhere(
    cwola: Cwola, data: Callable[[str], Path], tmp_path: Path, name: str, texts: list[str]
) -> None:
    layout = name.partition("_")[0]
    good, bad = write_good(tmp_path / "good.root", layout), data(f"edge/{name}.root")
    assert_left_out(cwola, tmp_path, listed(tmp_path, bad, good, layout=layout), bad, texts)


@pytest.mark.parametrize(("name", "layout"), [("nanoaod_zero_events", "nanoaod"), ("delphes_zero_events", "delphes")])
def test_a_file_without_events(
    cwola: Cwola, data: Callable[[str], Path], tmp_path: Path, name: str, layout: str
) -> None:
    """It is no error beside others, but a dataset of nothing else is."""
    empty, good = data(f"edge/{name}.root"), write_good(tmp_path / "good.root", layout)
    assert cwola("process", *listed(tmp_path, empty, good, layout=layout)).code == 0
    assert selected(tmp_path) == N_GOOD
    options = listed(tmp_path, empty, layout=layout)
    for more in ([], ["--skip-bad-files"]):
        assert_one_message(cwola("process", *options, *more), str(empty), "dataset qcd", "hold no events")


@pytest.mark.parametrize(("written", "tagged"), [("nanoaod", "delphes"), ("delphes", "nanoaod")])
def test_a_file_of_another_format(cwola: Cwola, tmp_path: Path, written: str, tagged: str) -> None:
    path = write_good(tmp_path / "x.root", written)
    options = listed(tmp_path, path, layout=tagged, tree=TREES[written])
    assert_one_message(cwola("process", *options), str(path), "dataset qcd", "metadata.format")


def test_an_unknown_format_is_named_with_those_that_there_are(cwola: Cwola, tmp_path: Path) -> None:
    options = listed(tmp_path, write_good(tmp_path / "good.root"), layout="miniaod", tree="Events")
    assert_one_message(cwola("process", *options), "miniaod", "nanoaod", "delphes", "dataset 'qcd'")


def test_missing_branches_matter_only_where_they_are_needed(cwola: Cwola, tmp_path: Path) -> None:
    path = toys.write_nanoaod(tmp_path / "a.root", [toys.dijet()] * N_GOOD, drop=("FatJet_tau2", "FatJet_msoftdrop"))
    options = listed(tmp_path, path)
    (tmp_path / "search.toml").write_text('[learning]\nfeatures = ["mj1", "mj2"]\n[selection]\njet_mass="ungroomed"\n')
    assert cwola("process", *options).code == 0
    assert selected(tmp_path) == N_GOOD


def test_all_bad_files_are_listed_at_once(cwola: Cwola, tmp_path: Path) -> None:
    """Whether they fail when they are opened or later; the others are processed, and not again after the repair."""
    good = write_good(tmp_path / "good.root")
    late, early, gone = (tmp_path / f"{name}.root" for name in ("late", "early", "gone"))
    without_eta(late)
    truncated(early)
    options = listed(tmp_path, late, early, good, gone)
    outcome = cwola("process", *options)
    assert outcome.code == 1
    assert outcome.err.startswith("error: 3 files cannot be used.")
    assert "--skip-bad-files" in outcome.err
    lines = outcome.err.splitlines()[1:]
    assert {line.split()[0] for line in lines} == {str(late), str(early), str(gone)}
    (kept,) = (tmp_path / "results").rglob("*.parquet")
    before = kept.stat().st_mtime_ns
    for number, path in enumerate((late, early, gone), start=2):
        toys.write_nanoaod(path, [toys.dijet()] * number, run=number)
    assert cwola("process", *options).code == 0
    assert selected(tmp_path) == N_GOOD + 2 + 3 + 4
    assert kept.stat().st_mtime_ns == before


def test_a_dataset_of_which_nothing_is_left_is_an_error(cwola: Cwola, tmp_path: Path) -> None:
    one, other = tmp_path / "one.root", tmp_path / "other.root"
    truncated(one)
    without_eta(other)
    outcome = cwola("process", *listed(tmp_path, one, other), "--skip-bad-files")
    assert outcome.code == 1
    for text in ("dataset qcd: no file with events is left", "--exclude qcd", str(one), str(other), "FatJet_eta"):
        assert text in outcome.err


def test_a_file_is_left_out_as_a_whole(cwola: Cwola, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the chunks of it that could be read."""
    monkeypatch.setattr("processors.runner.run.process_datasets.__kwdefaults__", {**_defaults(), "chunksize": 100})
    good, bad = write_good(tmp_path / "good.root"), tmp_path / "bad.root"
    toys.write_nanoaod(bad, [toys.dijet()] * 500, compressed=False, run=2)
    spoil_basket(bad, "FatJet_pt", np.full(20, 1e30, ">f4").tobytes())
    options = listed(tmp_path, good, bad)
    assert cwola("process", *options).code == 1
    assert len(list((tmp_path / "results").rglob("*.parquet"))) == 1 + 4
    assert cwola("process", *options, "--skip-bad-files").code == 0
    assert selected(tmp_path) == N_GOOD
    assert qcd_record(tmp_path)["skipped_files"][0]["n_entries"] == 500  # type: ignore[index]


def _defaults() -> dict[str, object]:
    from processors.runner.run import process_datasets

    return dict(process_datasets.__kwdefaults__)


def test_a_file_that_can_be_read_the_second_time(cwola: Cwola, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hiccup of the disk or the network is no bad file; reading that fails three times is."""
    path = write_good(tmp_path / "good.root")
    attempts: list[str] = []
    original = uproot.open

    def failing(times: int) -> None:
        attempts.clear()

        def read(*arguments: object, **options: object) -> object:
            attempts.append("read")
            if len(attempts) <= times:
                raise OSError(5, "Input/output error")
            return original(*arguments, **options)

        monkeypatch.setattr(uproot, "open", read)

    failing(2)
    assert cwola("process", *listed(tmp_path, path)).code == 0
    assert selected(tmp_path) == N_GOOD
    failing(99)
    assert_one_message(cwola("process", *listed(tmp_path, path)), str(path), "Input/output error")
    assert len(attempts) == executor.ATTEMPTS == 3


def test_results_and_terminal_name_what_a_search_left_out(cwola: Cwola, toy: ToySearch, tmp_path: Path) -> None:
    document = json.loads(toy.datasets.read_text())
    bad = tmp_path / "bad.root"
    web_page(bad)
    for entry in document.values():
        entry["files"] = {str(toy.folder / name): tree for name, tree in entry["files"].items()}
    document["qcd"]["files"][str(bad)] = "Events"
    datasets = tmp_path / "datasets.json"
    datasets.write_text(json.dumps(document))
    config = tmp_path / "search.toml"
    config.write_text(toy.config.read_text() + "\n[statistics]\npseudo_experiments = 0\n")
    options = ["--datasets", datasets, "--config", config, "--output", tmp_path / "results", "--jobs", 1]
    outcome = cwola("run", *options, "--skip-bad-files")
    assert outcome.code == 0, outcome.err
    assert "1 files were skipped" in outcome.out
    (record,) = json.loads((tmp_path / "results" / "results.json").read_text())["skipped_files"]
    assert (record["dataset"], record["file"], record["entries"]) == ("qcd", str(bad), None)
    assert "not a ROOT file" in record["reason"]


def test_a_copy_of_a_file_under_another_name(cwola: Cwola, tmp_path: Path) -> None:
    path, copy = write_good(tmp_path / "a.root"), tmp_path / "b.root"
    copy.write_bytes(path.read_bytes())
    texts = [str(path), str(copy), "is a copy of", "dataset qcd", "Remove one"]
    for more in ([], ["--skip-bad-files"]):
        assert_one_message(cwola("process", *listed(tmp_path, path, copy), *more), *texts)


def test_the_same_event_in_two_files(cwola: Cwola, tmp_path: Path) -> None:
    """Equal numbers and equal kinematics are one event; simulation repeats numbers with other kinematics."""
    other = toys.dijet(toys.jet(900.0), toys.jet(900.0, phi=3.0))
    repeated = [
        write_good(tmp_path / "a.root"),
        toys.write_nanoaod(tmp_path / "b.root", [other] * 5, first_event=3),
    ]
    copied = [*repeated, toys.write_nanoaod(tmp_path / "c.root", [toys.dijet()] * 2, first_event=19)]
    scan = ["--output", tmp_path / "results", "--jobs", 1]
    assert cwola("process", *listed(tmp_path, *copied)).code == 0
    assert_one_message(cwola("scan", *scan), "1 event occurs twice", "event 19", "dataset qcd", "remove")
    assert cwola("process", *listed(tmp_path, *repeated)).code == 0
    assert "occur twice" not in cwola("scan", *scan).err


def test_odd_jets_are_counted_and_kept_or_cut(cwola: Cwola, tmp_path: Path) -> None:
    """Not finite: cut. Mass² below zero, τ2 above τ1, a single jet: known oddities of good files."""
    nan, inf = float("nan"), float("inf")
    events = [toys.dijet()] * 15 + [
        toys.dijet(toys.jet(nan)),
        toys.dijet(toys.jet(800.0, mass=inf)),
        toys.dijet(toys.jet(800.0, mass=-1e-3)),
        toys.dijet(toys.jet(800.0, tau2=0.6)),
        [toys.jet()],
    ]
    path = toys.write_nanoaod(tmp_path / "a.root", events)
    outcome = cwola("process", *listed(tmp_path, path))
    assert outcome.code == 0, outcome.err
    record = qcd_record(tmp_path)
    left = {name: count["events"] for name, count in record["cutflow"].items()}  # type: ignore[attr-defined]
    assert (left["all"], left["two_jets"], left["finite_kinematics"], selected(tmp_path)) == (20, 19, 17, 17)
    sanity = record["sanity"]
    assert sanity["implausible_pt"] == sanity["implausible_mass"] == sanity["clipped_tau21"] == 1  # type: ignore[index]


def test_many_jets_that_are_not_finite_are_refused(cwola: Cwola, tmp_path: Path) -> None:
    events = [toys.dijet(toys.jet(float("nan")))] * 4 + [toys.dijet()] * 16
    path = toys.write_nanoaod(tmp_path / "a.root", events)
    texts = [str(path), "FatJet_pt", "implausible for 4 of 40 leading jets", "4 not finite"]
    assert_one_message(cwola("process", *listed(tmp_path, path)), *texts)


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Address of a server that accepts and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(20)
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def empty_server() -> Iterator[str]:
    """Address of a server that has no file."""

    class NotThere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        do_HEAD = do_GET  # noqa: N815 - named by http.server

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), NotThere)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def closed_port() -> str:
    """Address where nobody listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    ("server", "texts"),
    [
        ("silent_server", ["did not answer in time", "--timeout"]),
        ("closed_port", ["the server cannot be reached", "Check the address"]),
        ("empty_server", ["there is no such file"]),
    ],
)
def test_an_address_that_does_not_answer(
    cwola: Cwola,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    server: str,
    texts: list[str],
) -> None:
    monkeypatch.setattr(executor, "ATTEMPTS", 1)
    address = f"http://{request.getfixturevalue(server)}/a.root"
    options = [*listed(tmp_path, address, write_good(tmp_path / "good.root")), "--timeout", 1]
    assert_left_out(cwola, tmp_path, options, address, texts)


def test_xrootd_without_its_extra(cwola: Cwola, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processors.runner.server_problems.find_spec", lambda name: None)
    monkeypatch.setitem(__import__("sys").modules, "fsspec_xrootd", None)
    address = "root://127.0.0.1:1//store/a.root"
    options = listed(tmp_path, address, write_good(tmp_path / "good.root"))
    assert_left_out(cwola, tmp_path, options, address, ["need the extra xrootd", "pip install"])


def test_jets_are_counted_by_their_branches_where_the_counter_is_missing(cwola: Cwola, tmp_path: Path) -> None:
    """A slimmed file without `nFatJet` whose branches still know their lengths."""
    path, good = tmp_path / "slim.root", write_good(tmp_path / "good.root")
    with uproot.open(good) as file:
        names = sorted(set(file["Events"].keys()) - {"nFatJet"})
        columns = {name: file["Events"][name].array() for name in names}
    types = {name: values.type.content for name, values in columns.items()}
    with uproot.recreate(path) as file:
        file.mktree("Events", types, counter_name=lambda name: f"counter_{name}").extend(columns)
    assert cwola("process", *listed(tmp_path, path)).code == 0
    assert selected(tmp_path) == N_GOOD


@pytest.mark.thorough
def test_a_window_without_sideband_events_is_named(cwola: Cwola, toy: ToySearch, tmp_path: Path) -> None:
    config = toy.configured("no_sideband", "")
    config.write_text(config.read_text().replace("[scan]", "[scan]\nsideband_width = 1e-6"))
    outcome = cwola("run", "--datasets", toy.datasets, "--config", config, "--output", tmp_path / "results")
    assert outcome.code == 1
    assert "3300-3700" in outcome.err
    assert "sideband" in outcome.err
    assert "scan.sideband_width" in outcome.err
    assert outcome.err.count("\n") == 1
