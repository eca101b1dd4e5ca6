"""Spectra from files: what is read is what was written, and what is not a spectrum is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hist
import numpy as np
import pytest
import uhi.io.json
import uproot

from analysis.errors import InputFileError
from analysis.histograms.spectrum_file import Spectrum, read_spectrum

EDGES = np.array([1000.0, 1100.0, 1250.0, 1500.0, 2000.0])
COUNTS = np.array([410.0, 205.0, 33.0, 0.0])
WEIGHTS = np.array([0.5, 1.5, 2.0])
"""Each of them once in every bin but the last: Σw = 4, Σw² = 6.5."""


def counted(storage: Any) -> hist.Hist[Any]:
    """COUNTS in bins of EDGES, and an event in the underflow."""
    histogram = hist.Hist(hist.axis.Variable(EDGES, name="mjj"), storage=storage)
    histogram.fill(np.repeat((EDGES[1:] + EDGES[:-1]) / 2, COUNTS.astype(int)))
    histogram.fill([900.0])
    return histogram


def weighted() -> hist.Hist[Any]:
    histogram = hist.Hist(hist.axis.Variable(EDGES, name="mjj"), storage=hist.storage.Weight())
    for centre in (EDGES[1:] + EDGES[:-1])[:-1] / 2:
        histogram.fill(np.full(len(WEIGHTS), centre), weight=WEIGHTS)
    return histogram


def by_selection(**axes: list[str]) -> hist.Hist[Any]:
    """Every cell of category index i holds (i + 1) COUNTS."""
    categories = [hist.axis.StrCategory(names, name=axis) for axis, names in axes.items()]
    histogram = hist.Hist(hist.axis.Variable(EDGES, name="mjj"), *categories, storage=hist.storage.Weight())
    shape = [len(names) for names in axes.values()]
    content = np.multiply.outer(COUNTS, np.arange(1, np.prod(shape) + 1).reshape(shape))
    histogram.view(flow=False)["value"] = histogram.view(flow=False)["variance"] = content
    return histogram


def write_json(path: Path, content: Any) -> str:
    path.write_text(json.dumps(content, default=uhi.io.json.default))
    return str(path)


def write_text(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def write_root(path: Path, **objects: Any) -> str:
    with uproot.recreate(path) as file:
        for name, content in objects.items():
            file[name] = content
    return str(path)


def refused(source: str, selection: str | None = None) -> str:
    with pytest.raises(InputFileError) as caught:
        read_spectrum(source, selection=selection)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What is written is read


@pytest.mark.parametrize("storage", [hist.storage.Double(), hist.storage.Int64(), hist.storage.Weight()])
def test_counts_come_back_from_uhi_json_and_from_root(tmp_path: Path, storage: Any) -> None:
    histogram = counted(storage)
    sources = [write_json(tmp_path / "s.json", histogram)]
    if not isinstance(storage, hist.storage.Int64):  # uproot does not write those
        sources += [f"{write_root(tmp_path / 's.root', mjj=histogram)}:{name}" for name in ("mjj", "mjj;1")]
    for source in sources:
        spectrum = read_spectrum(source)
        np.testing.assert_array_equal(spectrum.edges, EDGES)
        np.testing.assert_array_equal(spectrum.counts, COUNTS)
        # Poisson counts, whether or not a sum of squared weights says so too.
        assert spectrum.variances is None
        assert spectrum.source == source


def test_sums_of_squared_weights_come_back(tmp_path: Path) -> None:
    root = write_root(tmp_path / "s.root", **{"folder/mjj": weighted()})
    csv = ["low, high, count, variance", "1000,1100,4,6.5", "1100,1250,4,6.5", "1250,1500,4,6.5", "1500,2000,0,0"]
    sources = [f"{root}:folder/mjj", write_json(tmp_path / "s.json", weighted()), write_text(tmp_path / "s.csv", *csv)]
    for source in sources:
        spectrum = read_spectrum(source)
        np.testing.assert_array_equal(spectrum.counts, [4, 4, 4, 0])
        assert spectrum.variances is not None
        np.testing.assert_array_equal(spectrum.variances, [6.5, 6.5, 6.5, 0])


def test_a_th1_of_integers_with_even_bins_comes_back(tmp_path: Path) -> None:
    numbers = np.array([1000.0, 1050.0, 1350.0])
    root = write_root(tmp_path / "s.ROOT", mjj=np.histogram(numbers, bins=4, range=(1000, 1400)))
    spectrum = read_spectrum(f"{root}:mjj")
    np.testing.assert_array_equal(spectrum.edges, [1000, 1100, 1200, 1300, 1400])
    np.testing.assert_array_equal(spectrum.counts, [2, 0, 0, 1])


def test_csv_may_hold_comments_blank_lines_and_a_byte_order_mark(tmp_path: Path) -> None:
    lines = ["\ufeff# made by hand, GeV", "", "low,high,count", "1000,1100,3", " , ,", "# tail", "1.1e3 , 1250.0 , 2"]
    spectrum = read_spectrum(write_text(tmp_path / "s.CSV", *lines))
    np.testing.assert_array_equal(spectrum.edges, [1000, 1100, 1250])
    np.testing.assert_array_equal(spectrum.counts, [3, 2])
    assert spectrum.variances is None


def test_the_wanted_selection_is_taken_without_variation(tmp_path: Path) -> None:
    names = {"selection": ["inclusive", "eff_0.1"], "variation": ["jesUp", "nominal"]}
    source = write_json(tmp_path / "s.json", by_selection(**names))
    # In the order of `by_selection`: (inclusive, jesUp) 1, (inclusive, nominal) 2, (eff_0.1, jesUp) 3, the last 4.
    np.testing.assert_array_equal(read_spectrum(source, selection="inclusive").counts, 2 * COUNTS)
    chosen = read_spectrum(source, selection="eff_0.1")
    np.testing.assert_array_equal(chosen.counts, 4 * COUNTS)
    assert chosen.source == f"{source} (eff_0.1)"
    assert refused(source) == (
        f"{source}: none was asked for; the selections are inclusive, eff_0.1. Name one of them (--selection)."
    )
    assert "there is no 'eff_0.2'" in refused(source, "eff_0.2")


def test_one_category_needs_no_choice_but_others_do(tmp_path: Path) -> None:
    one = write_json(tmp_path / "one.json", by_selection(selection=["inclusive"], dataset=["data"]))
    np.testing.assert_array_equal(read_spectrum(one).counts, COUNTS)
    two = write_json(tmp_path / "two.json", by_selection(dataset=["a", "b"]))
    assert "cannot choose from the axis 'dataset' (a, b)" in refused(two)
    assert "has no axis 'selection'" in refused(two, "inclusive")


@pytest.mark.parametrize("per", [1.0, 100.0])
@pytest.mark.parametrize("storage", [np.float64, np.float32])
def test_counts_over_the_bin_width_come_back_from_every_format(tmp_path: Path, per: float, storage: type) -> None:
    edges = np.array([3e3, 3090, 3185, 3283, 3384, 3490, 3600, 3714, 3833, 3957, 4085, 4218, 4356, 4500, 4650, 4850])
    counts = np.array([7860, 6394, 5346, 4270, 3558, 2842, 2084, 1794, 1335, 989, 745, 530, 389, 275, 223.0])
    content = (counts * per / np.diff(edges)).astype(storage)
    weighted = hist.Hist(hist.axis.Variable(edges), storage=hist.storage.Weight())
    weighted.view()["value"], weighted.view()["variance"] = content, counts * (per / np.diff(edges)) ** 2
    plain = hist.Hist(hist.axis.Variable(edges), storage=hist.storage.Double())
    plain.view()[:] = content
    rows = [f"{a},{b},{c:.6g}" for a, b, c in zip(edges[:-1], edges[1:], content, strict=True)]
    root = write_root(tmp_path / "s.root", weighted=weighted, plain=plain, numpy=(content, edges))
    for source in (
        *(f"{root}:{name}" for name in ("weighted", "plain", "numpy")),
        write_json(tmp_path / "weighted.json", weighted),
        write_json(tmp_path / "plain.json", plain),
        write_text(tmp_path / "s.csv", "low,high,count", *rows),
    ):
        read = read_spectrum(source)
        np.testing.assert_array_equal(read.counts, counts)
        assert read.variances is None
        unit = "GeV" if per == 1 else "100 GeV"
        assert read.notes == (f"the contents are events per {unit} and were multiplied by the bin width",)


# Files that are not there, or are something else


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    for name in ("no.csv", "no.json", "no.root:mjj"):
        path = str(tmp_path / name)
        assert refused(path) == f"cannot read {path.removesuffix(':mjj')}: " + (
            "there is no such file." if "root" in name else "no such file or directory."
        )
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    assert refused(str(folder)) == f"cannot read {folder}: it is a folder, not a regular file."
    assert "expected FILE.json (UHI), FILE.csv or FILE.root:NAME" in refused("spectrum.txt")


@pytest.mark.parametrize("name", ["s.json", "s.csv"])
def test_bytes_are_not_text(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\xff\x00")
    assert "is not a text file in UTF-8" in refused(str(tmp_path / name))


@pytest.mark.parametrize(
    "name", ["a:b.root", "a::b.root", "a.root:mjj.root", "a.root_x/s.root", "x#1 50%.root", "m[1]*?.root", "s.root"]
)
def test_a_file_of_any_name_is_read(tmp_path: Path, name: str) -> None:
    """Beside a file that another reading of the name leads to."""
    (tmp_path / "a").write_text("another file")
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    Path(write_root(tmp_path / "plain", mjj=counted(hist.storage.Double()))).rename(path)
    assert read_spectrum(f"{path}:mjj").counts.tolist() == counted(hist.storage.Double()).values().tolist()


def test_a_broken_root_file_is_named_or_the_histogram_is_intact(tmp_path: Path) -> None:
    good = Path(write_root(tmp_path / "good.root", mjj=counted(hist.storage.Weight()))).read_bytes()
    rng = np.random.default_rng(0)
    contents = [b"", b"not ROOT at all" * 30, *(good[:size] for size in range(50, 1500, 50))]
    contents += [good[:start] + rng.bytes(50) + good[start + 50 :] for start in range(0, 1500, 50)]
    errors = []
    for i, content in enumerate(contents):
        path = tmp_path / f"bad{i}.root"
        path.write_bytes(content)
        try:
            np.testing.assert_array_equal(read_spectrum(f"{path}:mjj").counts, COUNTS)
        except InputFileError as error:
            errors.append((str(path), str(error)))
    assert len(errors) > 20
    assert all(path in message and "\n" not in message for path, message in errors)


def test_a_root_object_that_is_not_there_or_no_th1_is_named(tmp_path: Path) -> None:
    square = np.histogram2d([1.0, 2.0], [1.0, 2.0])
    path = write_root(tmp_path / "s.root", mjj=counted(hist.storage.Double()), square=square, **{"d/text": "hello"})
    there = "The TH1 in the file: mjj."
    assert refused(f"{path}:nothing") == f"{path} has no object 'nothing'. {there}"
    assert refused(f"{path}:d/nothing") == f"{path} has no object 'd/nothing'. {there}"
    assert refused(f"{path}:square") == f"'square' in {path} is a TH2D, expected a TH1. {there}"
    assert refused(f"{path}:d/text") == f"'d/text' in {path} is a TObjString, expected a TH1. {there}"
    assert refused(f"{path}:d") == f"'d' in {path} is a TDirectory, expected a TH1. {there}"
    assert refused(path) == f"which histogram of {path}? Expected {path}:NAME. {there}"
    assert "has no selections" in refused(f"{path}:mjj", "inclusive")


@pytest.mark.parametrize(
    "name",
    [
        "m jj",
        "m;jj",
        "m:jj",
        "[mjj]",
        "[/]",
        "mjj [GeV]",
        "Mäße",
        "質量",
        "mjj.csv",
        "s.json",
        "x.root:y",
        "d/e/mjj",
        "d/e/m;2",
    ],
)
def test_every_name_that_root_allows_is_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "my.root.files").mkdir()
    path = write_root(tmp_path / "my.root.files" / "s.root", **{name: counted(hist.storage.Double())})
    for asked in (name, f"/{name}", f"{name};1"):
        np.testing.assert_array_equal(read_spectrum(f"{path}:{asked}").counts, COUNTS)


def test_a_slash_may_be_part_of_a_name_and_the_newest_cycle_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "s.root"
    with uproot.recreate(path) as file:
        for times in (1, 3, 2):
            file["dXmjj"] = (times * COUNTS, EDGES)
    path.write_bytes(path.read_bytes().replace(b"dXmjj", b"d/mjj"))  # uproot cannot write such a name, ROOT can
    for asked, times in (("d/mjj", 2), ("d/mjj;1", 1), ("d/mjj;2", 3), ("d/mjj;3", 2)):
        np.testing.assert_array_equal(read_spectrum(f"{path}:{asked}").counts, times * COUNTS)
    assert "has no object 'd/mjj;4'" in refused(f"{path}:d/mjj;4")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "is not JSON: "),
        ("[1, 2]", "is not a UHI histogram: expected an object with uhi_schema, axes and storage, found list."),
        ('{"a": 1, "b": 2}', "found the keys a, b."),
        ('{"uhi_schema": 2, "axes": [], "storage": {}}', "is not a valid UHI histogram: "),
        ('{"uhi_schema": 1}', "is not a valid UHI histogram: KeyError: "),
        (
            '{"uhi_schema": 1, "axes": [3], "storage": {"type": "double", "values": [1]}}',
            "is not a valid UHI histogram",
        ),
        ('{"uhi_schema": 1, "axes": [], "storage": {"type": "double", "values": 1}}', "has 0 numerical axes"),
    ],
)
def test_json_that_is_no_histogram_is_refused(tmp_path: Path, text: str, found: str) -> None:
    path = write_text(tmp_path / "s.json", text)
    assert refused(path).startswith(path)
    assert found in refused(path)


@pytest.mark.parametrize("edges", [[1, 2, 1.5], [1, 1, 2], [2, 1, 0]])
def test_uhi_edges_must_rise(tmp_path: Path, edges: list[float]) -> None:
    document = json.loads(json.dumps(hist.Hist(hist.axis.Variable([1, 2, 3])), default=uhi.io.json.default))
    document["axes"][0]["edges"] = edges
    assert "is not a valid UHI histogram: ValueError" in refused(write_json(tmp_path / "s.json", document))


def test_histograms_of_means_or_of_two_variables_are_refused(tmp_path: Path) -> None:
    axis = hist.axis.Regular(3, 1, 4)
    means = write_json(tmp_path / "means.json", hist.Hist(axis, storage=hist.storage.Mean()))
    assert "holds means, not counts" in refused(means)
    square = write_json(tmp_path / "square.json", hist.Hist(axis, axis))
    assert "has 2 numerical axes, expected one, the mass" in refused(square)


def test_a_histogram_that_says_it_is_blinded_is_refused(tmp_path: Path) -> None:
    histogram = counted(hist.storage.Weight())
    histogram.blinded = False
    read_spectrum(write_json(tmp_path / "open.json", histogram))
    histogram.blinded = True
    path = write_json(tmp_path / "s.json", histogram)
    assert refused(path).startswith(f"{path} is blinded")


HEADER = "low,high,count"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([""], ": expected the header 'low,high,count' or 'low,high,count,variance', found no line."),
        (
            ["1000,1100,4"],
            ": expected the header 'low,high,count' or 'low,high,count,variance', found '1000,1100,4' in",
        ),
        (["", "low,up,count"], "found 'low,up,count' in line 2."),
        ([HEADER], " is empty: there are no bins below the header."),
        ([HEADER, "1000,1100,4", "1100,1200"], ", line 3: expected 3 values (low,high,count), found 2."),
        ([HEADER, "1000,1100,4,4"], ", line 2: expected 3 values (low,high,count), found 4."),
        ([HEADER, "# x", "1000,1100,four"], ", line 3: count is 'four', expected a number."),
        ([HEADER, "1000,,4"], ", line 2: high is '', expected a number."),
        ([HEADER, "1000,1100,nan"], ", line 2: count is nan, expected a finite number."),
        ([HEADER, "1000,inf,4"], ", line 2: high is inf, expected a finite number."),
        ([HEADER, "1000,1000,4"], ", line 2: the bin 1000-1000 GeV has no width. Expected low < high."),
        ([HEADER, "1100,1000,4"], ", line 2: the bin 1100-1000 GeV has no width. Expected low < high."),
        ([HEADER, "1000,1100,4", "1050,1200,3"], ", line 3: the bin 1050-1200 GeV overlaps the one before, which ends"),
        (
            [HEADER, "1000,1100,4", "1150,1200,3"],
            ", line 3: the bin 1150-1200 GeV leaves a gap of 50 GeV after the one",
        ),
        ([HEADER, "1100,1200,4", "1000,1100,3"], ", line 3: the bin 1000-1100 GeV comes after a bin of higher mass."),
    ],
)
def test_csv_that_is_no_spectrum_is_refused_with_its_line(tmp_path: Path, lines: list[str], message: str) -> None:
    path = write_text(tmp_path / "s.csv", *lines)
    assert refused(path).startswith(path)
    assert message in refused(path)


def test_a_csv_with_a_monstrous_field_is_refused(tmp_path: Path) -> None:
    assert "line 1: not CSV" in refused(write_text(tmp_path / "s.csv", "x" * 200_000))


# Contents that are no spectrum, wherever they come from


def spectrum(counts: list[float], variances: list[float] | None = None, edges: list[float] | None = None) -> Spectrum:
    return Spectrum(
        np.array([1000.0, 1100.0, 1200.0, 1300.0] if edges is None else edges),
        np.array(counts),
        None if variances is None else np.array(variances),
    )


@pytest.mark.parametrize(
    ("counts", "variances", "message"),
    [
        ([0, 0, 0], None, "is empty: there are no events in its 3 bins."),
        ([0, 7, 0], None, "the bin 1100-1200 GeV holds all events: a spectrum in one bin cannot be fitted."),
        ([3, -2, 1], None, "the bin 1100-1200 GeV has the count -2, which is negative. Sums of weights need variances"),
        ([3, 2.5, 1], None, "the bin 1100-1200 GeV has the count 2.5, which is not a whole number."),
        ([3, np.nan, 1], None, "the bin 1100-1200 GeV has the count nan, expected a finite number."),
        ([3, np.inf, 1], None, "the bin 1100-1200 GeV has the count inf, expected a finite number."),
        ([3, 2, 1], [3, np.nan, 2], "the bin 1100-1200 GeV has the variance nan, expected a finite number."),
        ([3, 2, 1], [3, -1, 2], "has the variance -1 for the sum of weights 2; expected the sum of squared weights."),
        ([3, 2, 1], [3, 0, 2], "has the variance 0 for the sum of weights 2; expected the sum of squared weights."),
        ([3, 2], None, "4 edges need one count, and one variance if any, for each bin; found (2,)."),
        ([3, 2, 1], [1, 2], "4 edges need one count, and one variance if any, for each bin; found (2,), (3,)."),
    ],
)
def test_contents_that_are_no_spectrum_are_refused(
    counts: list[float], variances: list[float] | None, message: str
) -> None:
    with pytest.raises(InputFileError) as caught:
        spectrum(counts, variances)
    assert str(caught.value).startswith("the spectrum")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([1000, 1200, 1100, 1300], "bin edges must rise, but after 1200 GeV comes 1100 GeV."),
        ([1000, 1100, 1100, 1300], "bin edges must rise, but after 1100 GeV comes 1100 GeV."),
        ([1000, 1100, 1200, np.inf], "the bin edges are not all finite."),
    ],
)
def test_edges_that_do_not_rise_are_refused(edges: list[float], message: str) -> None:
    with pytest.raises(InputFileError) as caught:
        spectrum([3, 2, 1], edges=edges)
    assert message in str(caught.value)


def test_fractional_counts_with_the_variances_of_counts_are_expected_events() -> None:
    assert spectrum([3, 2.5, 1], [3, 2.5, 1]).expected
    assert not spectrum([3, 2, 1], [3, 2, 1]).expected


def test_negative_and_fractional_sums_are_fine_with_variances() -> None:
    assert spectrum([3.5, -0.5, 1], [4, 2, 1]).variances is not None
