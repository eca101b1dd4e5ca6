"""What a datasets file may hold, and how it says what is wrong."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from analysis.errors import DatasetError
from analysis.events.dataset import Dataset, Slice
from analysis.events.datasets import exclude_datasets, load_datasets, observed_datasets
from analysis.events.stitching import generator_threshold, require_tiling


def entry(files=None, **metadata):
    return {"files": files or {"a.root": "Events"}, "metadata": {"kind": "data", "format": "nanoaod", **metadata}}


def write(folder, document):
    path = folder / "datasets.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_paths_are_relative_to_the_file_and_globs_are_sorted(tmp_path, monkeypatch):
    for name in ("b2.root", "b10.root", "b1.root", "c.root"):
        (tmp_path / name).touch()
    path = write(tmp_path, {"x": entry({"b*.root": "Events", "c.root": "T", "root://host//d.root": "E"})})
    monkeypatch.chdir("/")
    files = load_datasets(path)["x"].files
    assert files == (
        (str(tmp_path / "b1.root"), "Events"),
        (str(tmp_path / "b10.root"), "Events"),
        (str(tmp_path / "b2.root"), "Events"),
        (str(tmp_path / "c.root"), "T"),
        ("root://host//d.root", "E"),
    )


def test_name_that_looks_like_a_glob_but_exists_is_a_file(tmp_path):
    (tmp_path / "m[500].root").touch()
    path = write(tmp_path, {"x": entry({"m[500].root": "Events"})})
    assert load_datasets(path)["x"].files == ((str(tmp_path / "m[500].root"), "Events"),)


@pytest.mark.parametrize("folder", ["run[1]", "a*b", "what?", "x#1 100%", "a::b"])
def test_glob_in_a_folder_that_looks_like_one(tmp_path, folder):
    (tmp_path / folder / "in").mkdir(parents=True)
    (tmp_path / "run1" / "in").mkdir(parents=True)
    for name in (folder, "run1"):
        (tmp_path / name / "in" / "b1.root").touch()
    path = write(tmp_path / folder, {"x": entry({"in/../in/b*.root": "Events"})})
    assert load_datasets(path)["x"].files == ((str(tmp_path / folder / "in" / "b1.root"), "Events"),)


def test_everything_that_is_known_of_a_sample(tmp_path):
    meta = {
        "kind": "signal",
        "xsec_pb": 0.5,
        "lumi_ifb": 139,
        "n_generated": 1e5,
        "masses": {"A": 3500, "B": 500},
        "pt_hat_min": 1200,
        "max_entries": 10,
    }
    one = load_datasets(write(tmp_path, {"s": entry(**meta)}))["s"]
    assert (one.xsec_pb, one.lumi_ifb, one.n_generated, one.pt_hat_min, one.max_entries) == (0.5, 139, 1e5, 1200, 10)
    assert one.masses == (("A", 3500), ("B", 500))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"x": entry(lumi_fb=3)}, r"/x/metadata/lumi_fb: unknown key; known keys here: .*lumi_ifb"),
        ({"x": {**entry(), "file": {}}}, r"/x/file: unknown key; known keys here: files, metadata"),
        ({"a/b~c": entry(kindd="data")}, r"/a~1b~0c/metadata/kindd: unknown key"),
        ({"x": entry(kind="dat")}, r"/x/metadata/kind: .*'data', 'pseudodata', 'background' or 'signal'"),
        ({"x": entry(xsec_pb=-1)}, r"/x/metadata/xsec_pb: .*greater than 0"),
        ({"x": entry(masses={"A": "heavy"})}, r"/x/metadata/masses/A: .*number"),
        ({"x": entry(max_entries=0)}, r"/x/metadata/max_entries: .*greater than 0"),
        ({"x": entry(slice={"variable": "LHE_HT", "range": [5, 5]})}, r"/x/metadata/slice: .*\[low, high\]"),
        ({"x": entry(slice={"variable": "LHE_HT", "range": [5]})}, r"/x/metadata/slice/range"),
        (
            {"x": entry(slice={"variable": "LHE_HT", "rang": [0, 5]})},
            r"slice/rang: unknown key; known keys here: variable, range",
        ),
        ({"x": {"files": {"a.root": "E"}}}, r"/x/metadata/kind: Field required.*cwola datasets"),
        ({"x": {"metadata": {"kind": "data"}}}, r"/x/files: Field required"),
        ({"x": entry(xsec_fb=3)}, r"/x/metadata/xsec_fb: unknown key; known keys here: .*xsec_pb"),
        ({"x": entry(Lumi_ifb=3)}, r"/x/metadata/Lumi_ifb: unknown key"),
        ({"x": entry({"a.root": 5})}, r"/x/files/a.root: .*name of the tree"),
        ({"x": entry([["a.root", 5]])}, r"/x/files/0: \['a.root', 5\] is no path"),
        ({"x": {**entry(), "metadata": 3}}, r"/x/metadata: Input should be a valid dictionary"),
        ({"x": {**entry(), "files": {}}}, r"/x/files: .*at least 1"),
        (
            '{"x": {"files": {"a.root": "E"}, "metadata": {"kind": "data", "format": "n", "xsec_pb": NaN}}}',
            r"/x/metadata/xsec_pb",
        ),
        ("[]", r"dictionary"),
        ("{}", r"lists no dataset"),
        ('{"x": ', r"not valid JSON"),
    ],
)
def test_mistake_is_pointed_at(tmp_path, document, message):
    path = write(tmp_path, document)
    with pytest.raises(DatasetError, match=message) as caught:
        load_datasets(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('{"x": %s, "x": %s}', "x"),
        ('{"y": {"files": {"a.root": "E", "a.root": "F"}, "metadata": {}}, "z": %s, "w": %s}', "a.root"),
    ],
)
def test_repeated_key_is_named(tmp_path, text, key):
    """JSON readers keep the last of two equal keys and drop the other dataset."""
    path = write(tmp_path, text % (json.dumps(entry()), json.dumps(entry())))
    with pytest.raises(DatasetError, match=f"key '{key}' occurs twice"):
        load_datasets(path)


def test_glob_that_matches_nothing(tmp_path):
    path = write(tmp_path, {"x": entry({"none/*.root": "Events"})})
    with pytest.raises(DatasetError, match=r"/x/files: no file matches none/\*\.root \(looked for .*none"):
        load_datasets(path)


@pytest.mark.parametrize("other", ["a*.root", "./a.root", "sub/../a.root"])
def test_same_file_twice(tmp_path, other):
    (tmp_path / "a.root").touch()
    path = write(tmp_path, {"x": entry({"a.root": "Events", other: "Events"})})
    with pytest.raises(DatasetError, match=r"/x/files matches a file twice"):
        load_datasets(path)


def test_file_that_cannot_be_read(tmp_path):
    with pytest.raises(DatasetError, match=r"cannot read .*none\.json.*--datasets"):
        load_datasets(tmp_path / "none.json")
    with pytest.raises(DatasetError, match=r"cannot read"):
        load_datasets(tmp_path)


def test_data_and_pseudodata_are_not_searched_together():
    def one(name, kind):
        return Dataset(name, kind, "nanoaod", ())

    datasets = {name: one(name, kind) for name, kind in (("a", "data"), ("b", "pseudodata"), ("s", "signal"))}
    with pytest.raises(DatasetError, match=r"cannot be searched together.*a \(data\), b \(pseudodata\), s \(signal\)"):
        observed_datasets(datasets)
    assert list(observed_datasets(exclude_datasets(datasets, ["b"]))) == ["a"]
    with pytest.raises(DatasetError, match="no dataset of kind data or pseudodata"):
        observed_datasets(exclude_datasets(datasets, ["a", "b"]))
    with pytest.raises(DatasetError, match="cannot exclude typo: the datasets are a, b, s"):
        exclude_datasets(datasets, ["typo"])


def test_scale_is_cross_section_times_luminosity_over_generated_weights():
    """10.45 pb and 139 fb⁻¹ are 1 452 550 events; with 20 000 generated each counts 72.6."""
    sample = Dataset("q", "background", "delphes", (), xsec_pb=10.45, lumi_ifb=139.0)
    assert sample.scale(20_000.0) == pytest.approx(72.6275)
    assert Dataset("q", "pseudodata", "delphes", (), xsec_pb=10.45, lumi_ifb=139.0).scale(20_000.0) == 1.0
    assert Dataset("q", "signal", "delphes", (), lumi_ifb=139.0).scale(20_000.0) == 1.0


def test_signal_mixed_into_pseudodata_counts_as_signal():
    mixed = Dataset("s", "pseudodata", "nanoaod", (), masses=(("A", 3500.0),))
    assert (mixed.is_signal, mixed.is_observed) == (True, True)
    assert not Dataset("q", "pseudodata", "nanoaod", ()).is_signal


def sliced(name, low, high, *, variable="LHE_HT", **options) -> Dataset:
    cut = Slice(variable, (low, high))
    values = {"kind": "background", "format": "nanoaod", "files": (), "stitch": "qcd", "slice": cut, **options}
    return Dataset(name, **values)


def test_a_dataset_survives_its_record():
    one = sliced("a", None, 500.0, files=(("a.root", "Events"),), masses=(("A", 3500.0),), xsec_pb=2.0)
    assert Dataset.from_json(json.loads(json.dumps(asdict(one)))) == one
    assert Dataset.from_json(asdict(Dataset("b", "data", "delphes", ()))) == Dataset("b", "data", "delphes", ())


def test_slices_that_tile_are_taken(tmp_path):
    def one(low, high):
        return entry(kind="background", stitch="qcd", slice={"variable": "LHE_HT", "range": [low, high]})

    path = write(tmp_path, {"high": one(1000, None), "low": one(None, 500), "middle": one(500, 1000)})
    datasets = load_datasets(path)
    assert datasets["high"].slice == Slice("LHE_HT", (1000, None))
    with pytest.raises(DatasetError, match=r"datasets low and high .*group 'qcd'.*hole between 500 and 1000"):
        exclude_datasets(datasets, ["middle"])
    assert list(exclude_datasets(datasets, ["high"])) == ["low", "middle"]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (sliced("b", 400, 900), r"datasets a and b .*slices in LHE_HT overlap between 400 and 500"),
        (sliced("b", 600, 900), r"datasets a and b .*slices in LHE_HT leave a hole between 500 and 600"),
        (sliced("b", 100, 300), r"datasets a and b .*overlap between 100 and 500"),
        (sliced("b", 500, 900, variable="LHE_HTIncoming"), r"a and b .*differ in variable: LHE_HT and LHE_HTIncoming"),
        (sliced("b", 500, 900, kind="signal"), r"a and b .*differ in kind: background and signal"),
        (sliced("b", 500, 900, slice=None), r"a and b .*differ in variable: LHE_HT and None"),
        (sliced("b", 500, 900, xsec_pb=2.0, lumi_ifb=3.0), r"a and b .*differ in luminosity: None and 3"),
    ],
)
def test_slices_that_do_not_fit_together(other, message):
    with pytest.raises(DatasetError, match=message):
        require_tiling([sliced("a", 0, 500), other])
    require_tiling([sliced("a", 0, 500), Dataset("c", "data", "nanoaod", ())])


def test_threshold_of_a_stitched_group_is_its_lowest():
    """A slice generated above 1000 GeV does not shape the spectrum where others of its group begin at 300 GeV."""
    group = [sliced(name, None, None, slice=None, pt_hat_min=low) for name, low in (("a", 300.0), ("b", 1000.0))]
    alone = Dataset("qcd", "background", "nanoaod", (), pt_hat_min=500.0)
    signal = Dataset("s", "pseudodata", "nanoaod", (), masses=(("A", 1.0),), pt_hat_min=9000.0)
    assert generator_threshold(group) == 300.0
    assert generator_threshold([*group, alone, signal]) == 500.0
    inclusive = sliced("c", None, None, slice=None)
    assert generator_threshold([*group, inclusive]) is None
    assert generator_threshold([]) is None


@pytest.mark.parametrize("total", [None, 0.0, -3.0])
def test_a_dataset_is_not_normalised_without_a_sum(total):
    sample = Dataset("q", "background", "delphes", (), xsec_pb=10.45, lumi_ifb=139.0)
    with pytest.raises(DatasetError, match=r"dataset q: .*n_generated"):
        sample.scale(total)
    assert Dataset("q", "background", "delphes", ()).scale(total) == 1.0
