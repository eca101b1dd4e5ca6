"""Chunks, resumption, normalisation and duplicates."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from analysis.compute import Serial
from analysis.config import SearchConfig
from analysis.errors import ConfigError, DatasetError, InputFileError, TableError
from analysis.events.dataset import Dataset
from analysis.events.parts import read_part_info
from processors import dijet, preparation
from processors.features import FEATURES, Feature
from processors.runner.run import load_table, process_datasets, processing_digest
from processors.selection.cuts import CUTS
from tests.builders import toys
from tests.builders.running import dataset, run


@pytest.fixture(scope="module")
def weighted(tmp_path_factory) -> list[Path]:
    """Two files of 700 and 400 odd events, with weights that float64 cannot add exactly."""
    folder = tmp_path_factory.mktemp("weighted")
    rng = np.random.default_rng(5)
    paths = []
    for i, count in enumerate((700, 400)):
        weights = rng.normal(0.5, 1, count) * 10.0 ** rng.integers(-5, 6, count)
        events = toys.random_events(count, seed=i)
        paths.append(toys.write_nanoaod(folder / f"{i}.root", events, run=i + 1, gen_weight=weights))
    return paths


def part_times(result) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in result.parts}


@pytest.mark.parametrize("chunksize", [19, 64, 333, 10_000])
def test_chunk_size_does_not_show(weighted, tmp_path, chunksize):
    selection = {"mjj_min": 300, "jet_mass": "softdrop"}
    expected, table = run(dataset(*weighted), tmp_path / "one", selection, chunksize=699)
    found, other = run(dataset(*weighted), tmp_path / "other", selection, chunksize=chunksize)
    assert len(table) > 100
    toys.assert_identical(table, other)
    for name in ("cutflow", "n_minus_one", "sum_of_weights", "sanity", "files", "n_entries"):
        assert replace_residuals(getattr(found, name)) == replace_residuals(getattr(expected, name))


def replace_residuals(value):
    """What a rounded sum left over may differ: only the sum is stated."""
    if isinstance(value, dict):
        return {key: replace(one, residual=0) if hasattr(one, "residual") else one for key, one in value.items()}
    return value


def test_weight_of_all_events_is_summed_exactly(weighted, tmp_path):
    weights = [value for path in weighted for value in uproot.open(path)["Events/genWeight"].array().to_list()]
    result, _ = run(dataset(*weighted), tmp_path, chunksize=50)
    assert result.cutflow["all"].weight == math.fsum(weights)
    assert result.n_entries == result.cutflow["all"].events == 1100


def test_second_run_processes_nothing(weighted, tmp_path):
    first, _ = run(dataset(*weighted), tmp_path, chunksize=300)
    times = part_times(first)
    second, _ = run(dataset(*weighted), tmp_path, chunksize=300)
    assert part_times(second) == times
    assert len(times) == 3
    assert second == first


@pytest.mark.parametrize("damage", ["delete", "truncate", "overwrite", "foreign"])
def test_only_a_lost_or_damaged_part_is_made_again(weighted, tmp_path, damage):
    first, table = run(dataset(*weighted), tmp_path, chunksize=300)
    times, victim = part_times(first), first.parts[1]
    if damage == "delete":
        victim.unlink()
    elif damage == "truncate":
        victim.write_bytes(victim.read_bytes()[:-20])
    elif damage == "overwrite":
        victim.write_bytes(b"\0" * 5000)
    else:
        pq.write_table(pa.table({"x": [1]}), victim)
    second, again = run(dataset(*weighted), tmp_path, chunksize=300)
    changed = {name for name, time in part_times(second).items() if times[name] != time}
    assert changed == {victim.name}
    toys.assert_identical(table, again)


def test_interrupted_run_keeps_what_is_done(weighted, tmp_path):
    """A file that cannot be used stops the run; the parts of the others stay and are used once it is mended."""
    one = dataset(weighted[0], tmp_path / "z.root")
    (tmp_path / "z.root").write_bytes(weighted[1].read_bytes())
    complete, table = run(one, tmp_path / "complete", chunksize=200)
    toys.write_nanoaod(tmp_path / "z.root", [toys.dijet()], drop=("FatJet_phi",))
    with pytest.raises(InputFileError, match=r"z\.root"):
        run(one, tmp_path / "parts", chunksize=200)
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "parts").rglob("*.parquet")}
    assert len(kept) == len(complete.parts) - 2
    (tmp_path / "z.root").write_bytes(weighted[1].read_bytes())
    result, again = run(one, tmp_path / "parts", chunksize=200)
    assert {name: part_times(result)[name] for name in kept} == kept
    toys.assert_identical(table, again)
    assert result.cutflow == complete.cutflow


def test_another_selection_has_another_folder(weighted, tmp_path):
    loose, _ = run(dataset(*weighted), tmp_path, {"mjj_min": 500})
    tight, _ = run(dataset(*weighted), tmp_path, {"mjj_min": 2000})
    again, _ = run(dataset(*weighted), tmp_path, {"mjj_min": 500})
    assert loose.parts[0].parent.parent != tight.parts[0].parent.parent
    assert loose.cutflow["mjj_min"].events > tight.cutflow["mjj_min"].events
    assert again == loose


def test_part_from_another_configuration_is_not_used(weighted, tmp_path):
    """Even where someone copies it into the folder of this one."""
    loose, _ = run(dataset(*weighted), tmp_path, {"mjj_min": 500})
    tight, table = run(dataset(*weighted), tmp_path, {"mjj_min": 2000})
    tight.parts[0].write_bytes(loose.parts[0].read_bytes())
    _, again = run(dataset(*weighted), tmp_path, {"mjj_min": 2000})
    toys.assert_identical(table, again)


def test_digest_follows_what_decides_the_parts(monkeypatch):
    config = SearchConfig()
    before = processing_digest(config)
    assert processing_digest(SearchConfig(random_state=5, learning={"n_folds": 3})) == before
    assert processing_digest(SearchConfig(selection={"pt_min": 201})) != before
    monkeypatch.setattr(preparation.analysis, "__version__", "9.9")
    assert processing_digest(config) != before
    monkeypatch.undo()
    monkeypatch.setattr(preparation, "_sources", lambda functions: ["other"])
    assert processing_digest(config) != before


def test_code_hash_covers_functions_from_elsewhere(tmp_path):
    """A feature of an analyst's own module counts as code."""

    def load(text: str):
        path = tmp_path / "plugin.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location("plugin", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return preparation._sources([module.feature])

    first = load("def feature(dijets):\n    return dijets.mjj\n")
    assert load("def feature(dijets):\n    return dijets.mjj\n") == first
    assert load("def feature(dijets):\n    return 2 * dijets.mjj\n") != first


def test_code_hash_of_a_notebook_sees_constants():
    """A function without a source file is known by its bytecode."""
    hashes = set()
    for factor in (2, 3, 3):
        space: dict = {}
        exec(compile(f"def feature(dijets):\n    return {factor} * dijets.mjj\n", "<cell>", "exec"), space)
        hashes.add(tuple(preparation._sources([space["feature"]])))
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("settings", "again"),
    [
        ({"plots": {"formats": ["svg"]}}, False),
        ({"random_state": 7, "learning": {"n_folds": 3}, "statistics": {"unblind": True}}, False),
        ({"scan": {"bin_width": 50}}, False),
        ({"selection": {"pt_min": 300}}, True),
        ({"selection": {"jet_mass": "softdrop"}}, True),
        ({"background": {"sqrt_s_gev": 14000}}, True),
    ],
)
def test_only_settings_that_decide_the_parts_make_them_again(weighted, tmp_path, settings, again):
    one = {"sample": dataset(*weighted)}
    first = process_datasets(one, SearchConfig(), tmp_path, Serial())
    times = part_times(first.datasets["sample"])
    second = process_datasets(one, SearchConfig(**settings), tmp_path, Serial())
    assert (second.digest != first.digest) == again
    assert part_times(first.datasets["sample"]) == times
    assert (part_times(second.datasets["sample"]) != times) == again


def test_a_change_of_the_code_of_a_feature_or_a_cut_makes_the_parts_again(weighted, tmp_path, monkeypatch):
    """Every function counts, with all of its module: here a feature, and then a cut, come from another one."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two texts of one size and one second share bytecode
    one = {"sample": dataset(*weighted)}

    def plugin(text: str):
        path = tmp_path / "plugin.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location("plugin", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.function

    def process():
        result = process_datasets(one, SearchConfig(), tmp_path / "parts", Serial())
        return result, load_table(result, one, one)

    digests = [process()[0].digest]
    for factor in (1, 2, 2):
        function = plugin(f"def function(dijets):\n    return {factor} * dijets.mjj\n")
        monkeypatch.setitem(FEATURES, "mj1", Feature(FEATURES["mj1"].spec, function))
        result, table = process()
        digests.append(result.digest)
        np.testing.assert_allclose(table.column("mj1"), factor * table.mjj, rtol=1e-6)
    assert len(set(digests)) == 3
    assert digests[2] == digests[3]
    times = part_times(result.datasets["sample"])
    function = plugin("def function(dijets, selection):\n    return dijets.mjj > 3000\n")
    monkeypatch.setitem(CUTS, "mjj_min", replace(CUTS["mjj_min"], passes=function))
    assert process()[0].digest not in digests
    assert part_times(result.datasets["sample"]) == times


def test_a_repaired_file_is_picked_up_and_the_others_are_not_touched(weighted, tmp_path):
    one = dataset(weighted[0], tmp_path / "z.root")
    (tmp_path / "z.root").write_bytes(weighted[1].read_bytes()[:-5000])
    skipping, _ = run(one, tmp_path / "parts", chunksize=200, skip_bad_files=True)
    assert [Path(bad.filename).name for bad in skipping.skipped] == ["z.root"]
    (tmp_path / "z.root").write_bytes(weighted[1].read_bytes())
    result, table = run(one, tmp_path / "parts", chunksize=200, skip_bad_files=True)
    assert result.skipped == ()
    times = part_times(skipping)
    assert {name: time for name, time in part_times(result).items() if name in times} == times
    toys.assert_identical(table, run(dataset(*weighted), tmp_path / "all")[1])


def test_change_of_kind_makes_the_parts_again(tmp_path):
    """The kind decides weights and identities, but is no part of the selection."""
    path = toys.write_nanoaod(tmp_path / "a.root", [toys.dijet()] * 5, gen_weight=[2.0] * 5)
    _, simulated = run(dataset(path), tmp_path / "parts")
    _, observed = run(dataset(path, kind="pseudodata"), tmp_path / "parts")
    assert set(simulated.weight) == {2.0}
    assert set(observed.weight) == {1.0}


@pytest.mark.parametrize(("limit", "entries"), [(300, [300]), (700, [700]), (900, [700, 200]), (5000, [700, 400])])
def test_max_entries_counts_over_the_files_in_order(weighted, tmp_path, limit, entries):
    result, table = run(dataset(*weighted, max_entries=limit), tmp_path, {"mjj_min": 0}, chunksize=250)
    infos = [read_part_info(path) for path in result.parts]
    read = [sum(i["entrystop"] - i["entrystart"] for i in infos if i["file"] == str(path)) for path in weighted]
    assert [n for n in read if n] == entries
    assert result.n_entries == result.cutflow["all"].events == sum(entries)
    assert [record.n_entries for record in result.files] == [700, 400]
    _, everything = run(dataset(*weighted), tmp_path / "all", {"mjj_min": 0})
    numbers = everything.column("event")
    inside = np.where(everything.column("run") == 1, numbers < limit, numbers < limit - 700)
    toys.assert_identical(table, everything.select(inside))


def test_empty_file_among_others_is_no_error(weighted, tmp_path):
    empty = toys.write_nanoaod(tmp_path / "empty.root", [])
    expected, table = run(dataset(*weighted), tmp_path / "one")
    found, other = run(dataset(empty, *weighted), tmp_path / "two")
    toys.assert_identical(table, other)
    assert [record.n_entries for record in found.files] == [0, 700, 400]
    assert [path.name for path in found.parts] == [path.name for path in expected.parts]
    assert found.cutflow == expected.cutflow


def test_empty_delphes_file_among_others(data, tmp_path):
    """coffea cannot read groomed four-vectors of an empty file; such a file must not get that far."""
    full, empty = data("delphes/wprime_3500_500_100_r10_small.root"), data("edge/delphes_zero_events.root")
    result, table = run(dataset(empty, full, layout="delphes"), tmp_path, {"jet_mass": "trimmed"})
    assert [record.n_entries for record in result.files] == [0, 300]
    assert len(table) > 100


def test_dataset_without_events_is_named(tmp_path):
    empty = toys.write_nanoaod(tmp_path / "empty.root", [])
    with pytest.raises(InputFileError, match=r"dataset sample: its files hold no events: .*empty\.root"):
        run(dataset(empty), tmp_path)


def test_copy_of_a_file_is_refused(weighted, tmp_path):
    copy = tmp_path / "copy.root"
    copy.write_bytes(weighted[0].read_bytes())
    with pytest.raises(InputFileError, match=r"copy\.root is a copy of .*0\.root"):
        run(dataset(weighted[0], copy), tmp_path)


WRITERS = {"nanoaod": toys.write_nanoaod, "delphes": toys.write_delphes}


def with_one_uuid(folder, layout):
    """Two files with other events and the same UUID, and a copy of the first."""
    events = [[toys.dijet()] * 3, [toys.dijet(toys.jet(900))] * 4]
    paths = [toys.set_uuid(WRITERS[layout](folder / f"{n}.root", one)) for n, one in enumerate(events)]
    copy = folder / "copy.root"
    copy.write_bytes(paths[0].read_bytes())
    return *paths, copy


@pytest.mark.parametrize("layout", WRITERS)
def test_different_files_with_one_uuid_are_both_read(tmp_path, layout):
    first, second, _ = with_one_uuid(tmp_path, layout)
    for order in ((first, second), (second, first)):
        result, table = run(dataset(*order, layout=layout), tmp_path, {"mjj_min": 0})
        assert [file.n_entries for file in result.files] == [3 if path is first else 4 for path in order]
        assert len(set(result.parts)) == 2
        assert np.unique(table.mjj, return_counts=True)[1].tolist() == [3, 4]
    if layout == "delphes":  # where an event is known by its file
        assert len(np.unique(table.column("event_id"))) == 7


@pytest.mark.parametrize("layout", WRITERS)
def test_different_files_with_one_uuid_in_two_datasets(tmp_path, layout):
    first, second, copy = with_one_uuid(tmp_path, layout)
    names = {"one": first, "two": second}
    both = {n: replace(dataset(path, layout=layout), name=n, kind="pseudodata") for n, path in names.items()}
    result = process_datasets(both, SearchConfig(selection={"mjj_min": 0}), tmp_path, Serial())
    table = load_table(result, both, ["one", "two"])
    assert sorted(table.column("dataset").tolist()) == ["one"] * 3 + ["two"] * 4
    if layout == "delphes":
        assert len(np.unique(table.column("event_id"))) == 7
    both["two"] = replace(both["two"], files=((str(copy), both["two"].files[0][1]),))
    with pytest.raises(DatasetError, match=r"one and two hold the same file"):
        process_datasets(both, SearchConfig(), tmp_path, Serial())


@pytest.mark.parametrize("layout", WRITERS)
def test_copy_among_files_with_one_uuid_is_found(tmp_path, layout):
    with pytest.raises(InputFileError, match=r"copy\.root is a copy of .*0\.root"):
        run(dataset(*with_one_uuid(tmp_path, layout), layout=layout), tmp_path)


def test_file_in_two_observed_datasets_is_refused(weighted, tmp_path):
    path = toys.write_nanoaod(tmp_path / "a.root", [toys.dijet()])
    both = {name: replace(dataset(path), name=name, kind="pseudodata") for name in ("one", "two")}
    with pytest.raises(DatasetError, match=r"one and two hold the same file"):
        process_datasets(both, SearchConfig(), tmp_path, Serial())
    both["two"] = replace(both["two"], kind="background")
    result = process_datasets(both, SearchConfig(), tmp_path, Serial())
    assert set(result.datasets) == {"one", "two"}


def test_same_event_in_two_data_files_is_refused(tmp_path):
    paths = [toys.write_nanoaod(tmp_path / f"{i}.root", [toys.dijet()] * 3, first_event=2 * i) for i in range(2)]
    with pytest.raises(TableError, match=r"1 event occurs twice, such as run 1, luminosity block 0, event 2"):
        run(dataset(*paths, kind="data"), tmp_path)


def test_datasets_of_two_formats_in_one_go(tmp_path):
    nano = toys.write_nanoaod(tmp_path / "n.root", [toys.dijet()] * 3)
    delphes = toys.write_delphes(tmp_path / "d.root", [toys.dijet()] * 4)
    both = {
        "d": Dataset("d", "signal", "delphes", ((str(delphes), "Delphes"),)),
        "n": Dataset("n", "background", "nanoaod", ((str(nano), "Events"),), xsec_pb=3.0, lumi_ifb=0.01, n_generated=3),
    }
    result = process_datasets(both, SearchConfig(), tmp_path, Serial())
    assert list(result.datasets) == ["d", "n"]
    table = load_table(result, both, ["d", "n"])
    labels = table.column("dataset")
    assert (labels == "d").sum() == 4
    assert set(table.weight[labels == "d"]) == {1.0}
    np.testing.assert_allclose(table.weight[labels == "n"], 1000 * 3.0 * 0.01 / 3)
    assert (load_table(result, both, ["n"]).column("dataset") == "n").all()
    with pytest.raises(DatasetError, match=r"'x' was not processed\. Processed: d, n"):
        load_table(result, both, ["x"])


def test_unknown_feature_is_named_before_anything_is_read(tmp_path):
    one = {"a": Dataset("a", "signal", "nanoaod", (("nowhere.root", "Events"),))}
    config = SearchConfig(learning={"features": ("mj1", "mass9")})
    with pytest.raises(ConfigError, match=r"learning\.features: there is no feature 'mass9'.*mj1"):
        process_datasets(one, config, tmp_path, Serial())


def test_feature_that_the_file_cannot_give_matters_only_if_it_is_needed(tmp_path):
    """Also where the parts were made when it did not matter."""
    path = toys.write_nanoaod(tmp_path / "a.root", [toys.dijet()], drop=("FatJet_tau3",))
    one = {"sample": dataset(path)}
    result = process_datasets(one, SearchConfig(), tmp_path, Serial())
    assert np.isnan(load_table(result, one, ["sample"]).column("tau32_j1")).all()
    config = SearchConfig(learning={"features": ("mj1", "tau32_j1")})
    with pytest.raises(InputFileError, match=r"feature 'tau32_j1' cannot be computed.*a\.root.*FatJet_tau3"):
        process_datasets(one, config, tmp_path, Serial())


def test_part_that_vanishes_is_made_again_and_then_reported(tmp_path, monkeypatch):
    path = toys.write_nanoaod(tmp_path / "a.root", [toys.dijet()] * 3)
    calls = []
    write = dijet.write_part

    def write_and_lose(target, table, info, *, losses):
        calls.append(target)
        write(target, table, info)
        if len(calls) <= losses:
            target.unlink()

    monkeypatch.setattr(dijet, "write_part", lambda *args: write_and_lose(*args, losses=2))
    _, table = run(dataset(path), tmp_path / "two")
    assert (len(calls), len(table)) == (3, 3)
    calls.clear()
    monkeypatch.setattr(dijet, "write_part", lambda *args: write_and_lose(*args, losses=99))
    with pytest.raises(InputFileError, match=r"1 parts are missing although they were processed 3 times.*parquet"):
        run(dataset(path), tmp_path / "all")
    assert len(calls) == 3


def test_record_of_the_run_is_plain_json(weighted, tmp_path):
    one = {"sample": dataset(*weighted)}
    result = process_datasets(one, SearchConfig(), tmp_path, Serial(), chunksize=300)
    document = json.loads(json.dumps(result.to_json(), allow_nan=False))
    record = document["datasets"]["sample"]
    assert [file["n_entries"] for file in record["files"]] == [700, 400]
    assert all((result.folder / "sample" / name).is_file() for name in record["parts"])
    assert record["cutflow"]["all"] == {"events": 1100, "weight": result.datasets["sample"].cutflow["all"].weight}
    assert (record["sum_of_weights"], record["normalisation"], record["skipped_files"]) == (None, "none", [])
