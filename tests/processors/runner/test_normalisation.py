"""What simulation is normalised by: sums that the files hold, or one given by hand, never a sum over events."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.core.address import parse_address
from analysis.errors import DatasetError, InputFileError
from processors.runner.normalisation import _Generated
from processors.runner.plan import FileRecord
from tests.builders import toys
from tests.builders.running import dataset, run

NORMALISED = {"xsec_pb": 2.0, "lumi_ifb": 0.5}
"""1000 events."""


def write(folder, name="a", *, events=4, sums=None, weight=0.5, signs=None, **options):
    path = folder / f"{name}.root"
    weights = [weight * sign for sign in signs or [1] * events]
    return toys.write_nanoaod(path, [toys.dijet()] * events, gen_weight=weights, generator_sums=sums, **options)


@pytest.mark.parametrize("branch", ["genEventSumw", "genEventSumw_"])
def test_sum_in_the_files_is_used(tmp_path, branch):
    """A skim keeps the sum of the weights of all generated events; an empty skim counts too."""
    one = write(tmp_path, "a", events=3, sums=[10.0, 5.5], weight=2.0, sums_branch=branch)
    other = write(tmp_path, "b", events=0, sums=[4.5], sums_branch=branch)
    result, table = run(dataset(one, other, **NORMALISED), tmp_path)
    assert (result.sum_of_weights, result.normalisation) == (20.0, "runs")
    assert table.weight.tolist() == [2.0 * 1000 / 20.0] * 3


def test_sum_by_hand_is_used_where_the_files_have_none(tmp_path):
    path = write(tmp_path)
    result, table = run(dataset(path, n_generated=50.0, **NORMALISED), tmp_path)
    assert (result.sum_of_weights, result.normalisation) == (50.0, "n_generated")
    assert table.weight.tolist() == [0.5 * 1000 / 50.0] * 4


def test_delphes_needs_the_sum_by_hand(tmp_path):
    path = toys.write_delphes(tmp_path / "d.root", [toys.dijet()] * 4)
    one = dataset(path, layout="delphes", **NORMALISED)
    with pytest.raises(InputFileError, match=r"d\.root \(dataset sample\): there is no sum .*n_generated"):
        run(one, tmp_path)
    _, table = run(replace(one, n_generated=8), tmp_path)
    assert table.weight.tolist() == [125.0] * 4


def test_without_a_sum_nothing_is_normalised(tmp_path):
    path = write(tmp_path)
    with pytest.raises(InputFileError, match=r"a\.root \(dataset sample\): there is no sum .*n_generated.*xsec_pb"):
        run(dataset(path, **NORMALISED), tmp_path)
    for options in ({}, {"xsec_pb": 2.0}, {"lumi_ifb": 2.0}, {"kind": "pseudodata", **NORMALISED}):
        result, table = run(dataset(path, **options), tmp_path)
        assert (result.sum_of_weights, result.normalisation) == (None, "none")
        assert len(set(table.weight)) == 1


def test_sum_that_only_some_files_have_is_refused(tmp_path):
    paths = [write(tmp_path, "with", sums=[2.0]), write(tmp_path, "without", run=2)]
    with pytest.raises(InputFileError, match=r"without\.root \(dataset sample\): there is no sum.*n_generated"):
        run(dataset(*paths, **NORMALISED), tmp_path)
    result, _ = run(dataset(*paths, n_generated=9), tmp_path)
    assert (result.sum_of_weights, result.normalisation) == (9, "n_generated")


def test_sums_that_contradict_each_other_are_refused(tmp_path):
    """A number of events where the sum of weights belongs."""
    path = write(tmp_path, sums=[2.0])
    with pytest.raises(DatasetError, match=r"sample: metadata\.n_generated is 4, but the files hold 2 .*not a number"):
        run(dataset(path, n_generated=4, **NORMALISED), tmp_path)
    result, _ = run(dataset(path, n_generated=2.0001, **NORMALISED), tmp_path)
    assert (result.sum_of_weights, result.normalisation) == (2.0, "runs")


@pytest.mark.parametrize("given", [None, 40.0])
def test_part_of_the_events_has_that_part_of_the_sum(tmp_path, given):
    """Of 10 events 7 are read: all of the first file and 3 of the second."""
    paths = [
        write(tmp_path, "a", sums=None if given else [30.0]),
        write(tmp_path, "b", events=6, sums=None if given else [10.0], run=2),
    ]
    options = NORMALISED if given is None else {**NORMALISED, "n_generated": given}
    part, table = run(dataset(*paths, max_entries=7, **options), tmp_path)
    assert part.sum_of_weights == pytest.approx(40.0 * 0.7, rel=1e-15)
    assert table.weight.sum() == pytest.approx(0.5 * 7 * 1000 / 28)
    whole, table = run(dataset(*paths, max_entries=10, **options), tmp_path)
    assert whole.sum_of_weights == 40.0
    assert table.weight.sum() == pytest.approx(0.5 * 10 * 1000 / 40)


def test_negative_weights_stay(tmp_path):
    path = toys.write_nanoaod(
        tmp_path / "a.root", [toys.dijet()] * 4, gen_weight=[1.0, -1.0, 1.0, 1.0], generator_sums=[20.0]
    )
    _, table = run(dataset(path, **NORMALISED), tmp_path)
    assert sorted(table.weight) == [-50.0, 50.0, 50.0, 50.0]


def test_sum_that_is_not_positive_is_refused(tmp_path):
    path = write(tmp_path, sums=[-2.0])
    with pytest.raises(DatasetError, match=r"dataset sample: the sum of generator weights before cuts is -2"):
        run(dataset(path, **NORMALISED), tmp_path)


def test_files_left_out_do_not_count(tmp_path):
    """The sum in the files is that of the others; one by hand covers all, so it is scaled by events where known."""
    good = write(tmp_path, "a", sums=[30.0])
    lacking = write(tmp_path, "b", events=6, sums=[10.0], run=2, drop=("FatJet_eta",))
    result, _ = run(dataset(good, lacking, **NORMALISED), tmp_path, skip_bad_files=True)
    assert (result.sum_of_weights, result.normalisation) == (30.0, "runs")
    assert [(file.filename, file.n_entries) for file in result.skipped] == [(str(lacking), 6)]
    good = write(tmp_path, "a")
    result, _ = run(dataset(good, lacking, n_generated=50, **NORMALISED), tmp_path, skip_bad_files=True)
    assert (result.sum_of_weights, result.normalisation) == (20.0, "n_generated")


def test_sum_by_hand_does_not_cover_files_of_unknown_size(tmp_path):
    good, page = write(tmp_path, "a"), tmp_path / "page.root"
    page.write_text("<html>404 not found</html>" * 10)
    one = dataset(good, page, n_generated=50, **NORMALISED)
    with pytest.raises(DatasetError, match=r"n_generated covers all its files, but .*page\.root is left out"):
        run(one, tmp_path, skip_bad_files=True)
    result, table = run(dataset(good, page, n_generated=50), tmp_path, skip_bad_files=True)
    assert (result.sum_of_weights, result.normalisation, len(table)) == (None, "none", 4)


@pytest.mark.parametrize(("sums", "held"), [([2.0], "2"), ([], "0"), ([1.0, 6.9], "7.9")])
def test_a_file_whose_events_weigh_more_than_its_sum_is_refused(tmp_path, sums, held):
    """Rows of Runs are lost by merging; the sum over all files hides it."""
    good = write(tmp_path, "good", events=4, sums=[400.0], weight=2.0)
    lossy = write(tmp_path, "lossy", events=4, sums=sums, weight=2.0, run=2)
    with pytest.raises(
        InputFileError, match=rf"lossy\.root \(dataset sample\): .* weights of 8, .* only {held} for all"
    ):
        run(dataset(good, lossy, **NORMALISED), tmp_path)


def test_a_sum_as_large_as_the_events_is_enough(tmp_path):
    path = write(tmp_path, events=4, sums=[8.0 * (1 - 1e-6)], weight=2.0)
    result, _ = run(dataset(path, **NORMALISED), tmp_path)
    assert result.sum_of_weights == pytest.approx(8.0, rel=1e-5)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_sum_that_is_not_finite_names_its_file(tmp_path, value):
    path = write(tmp_path, events=4, sums=[8.0, value])
    with pytest.raises(InputFileError, match=r"a\.root.*Runs/genEventSumw holds a value that is not finite"):
        run(dataset(path, **NORMALISED), tmp_path)


CONTRADICTIONS = {
    "fewer rows": ({"sums": [4.0], "counts": [2]}, "only 4 for all generated events.*Rows of Runs were lost"),
    "fewer rows, no numbers": ({"sums": [4.0]}, "only 4 for all generated events"),
    "no rows": ({"sums": [], "counts": []}, "only 0 for all generated events"),
    "a number of events": ({"sums": [8.0], "counts": [8]}, "only 8 for all generated events"),
    "another weight": ({"sums": [800.0], "counts": [8]}, "800 for the same 8 events. It is not the sum"),
    "of a part": ({"sums": [4.0], "max_entries": 3}, "only 4 for all generated events"),
    "of a part, by number": (
        {"sums": [90.0], "counts": [4], "max_entries": 3},
        "4 generated events .* has 8",
    ),
    "of either sign": ({"sums": [12.0], "counts": [6], "negative": 2}, "6 generated events .* has 8"),
    "NaN": ({"sums": [16.0, float("nan")]}, "not finite"),
    "infinity": ({"sums": [float("inf")]}, "not finite"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
@pytest.mark.parametrize("others", [0, 1])
def test_file_whose_events_contradict_its_sum_is_named(tmp_path, name, others):
    """Eight events of weight 2, alone and beside a sound file, which is read first."""
    options, message = CONTRADICTIONS[name]
    negative = options.get("negative", 0)
    signs = {"weight": 2.0, "signs": [-1] * negative + [1] * (8 - negative)}
    bad = write(tmp_path, "bad", events=8, sums=options["sums"], generator_counts=options.get("counts"), run=2, **signs)
    good = [write(tmp_path, f"good{i}", events=4, sums=[8.0], weight=2.0) for i in range(others)]
    limit = options.get("max_entries")
    one = dataset(*good, bad, max_entries=limit and limit + 4 * others, **NORMALISED)
    with pytest.raises(InputFileError, match=rf"bad\.root \(dataset sample\): .*{message}"):
        run(one, tmp_path)


CONSISTENT = {
    "all events": {"sums": [16.0], "counts": [8]},
    "rows of several files": {"sums": [6.0, 10.0], "counts": [3, 5]},
    "a skim": {"sums": [1600.0], "counts": [800]},
    "rounded": {"sums": [16.0 * (1 - 1e-6)], "counts": [8]},
    "a skim that lost negative weights": {"sums": [15.0], "counts": [10], "negative": 1},
    "no numbers of events": {"sums": [16.0]},
}


@pytest.mark.parametrize("name", CONSISTENT)
def test_file_whose_events_fit_its_sum_is_read(tmp_path, name):
    options = CONSISTENT[name]
    negative = options.get("negative", 0)
    signs = [-1] * negative + [1] * (8 - negative)
    path = write(
        tmp_path, events=8, sums=options["sums"], generator_counts=options.get("counts"), weight=2.0, signs=signs
    )
    result, table = run(dataset(path, **NORMALISED), tmp_path)
    assert result.sum_of_weights == sum(options["sums"])
    assert table.weight.sum() == pytest.approx(2.0 * sum(signs) * 1000 / sum(options["sums"]))


def test_part_of_events_of_unequal_weights_may_weigh_more_than_its_share(tmp_path):
    weights = [4.0, 3.0, 1.0, 2.0]
    path = toys.write_nanoaod(
        tmp_path / "a.root", [toys.dijet()] * 4, gen_weight=weights, generator_sums=[10.0], generator_counts=[4]
    )
    result, _ = run(dataset(path, max_entries=2, **NORMALISED), tmp_path)
    assert result.sum_of_weights == 5.0


def test_sum_by_hand_below_the_weight_of_the_events_is_refused(tmp_path):
    path = toys.write_delphes(tmp_path / "d.root", [toys.dijet()] * 4, weights=[5.0] * 4)
    one = dataset(path, layout="delphes", n_generated=4, **NORMALISED)
    with pytest.raises(DatasetError, match=r"dataset sample: .*n_generated allows for 4 .*weights of 20.*correct it"):
        run(one, tmp_path)
    result, _ = run(replace(one, n_generated=20), tmp_path)
    assert result.sum_of_weights == 20


def test_the_reader_of_a_format_gets_the_address_with_its_secrets():
    """A format of a plugin may open the file by itself."""
    full = "https://me:password@host/a.root"
    record, opened = FileRecord("sample", parse_address(full), "Events", "uuid", 1, "content"), []
    assert "password" not in record.filename
    _Generated(lambda address: opened.append(address) or 1.0, lambda address: opened.append(address) or 1)(record)
    assert opened == [full, full]
