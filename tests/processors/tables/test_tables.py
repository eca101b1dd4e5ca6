"""Tables in all forms against the arrays that were written, and the refusal of what cannot be searched."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tables as pytables

from analysis.config import SearchConfig
from analysis.errors import CwolaError
from analysis.events.dataset import Dataset
from analysis.events.table import EventTable
from processors.files.convert import convert_lhco
from processors.runner.run import load_table
from processors.tables.run import process_tables
from tests.builders.running import dataset, run
from tests.builders.toy_tables import table_of

N = 40
CONFIG = SearchConfig(learning={"features": ("x0", "x1")})
COLUMNS = ("mjj", "x0", "x1")


def columns(**further: Any) -> dict[str, Any]:
    """Forty events of known values, one with an undefined feature; keyword arguments add or replace columns."""
    rng = np.random.default_rng(3)
    x1 = rng.normal(size=N).astype(np.float32)
    x1[7] = np.nan
    return {"mjj": rng.uniform(3000, 6000, N), "x0": rng.normal(size=N).astype(np.float32), "x1": x1} | further


def write(path: Path, values: dict[str, Any], form: str = "") -> Path:
    """Write a table in the form of the suffix; "frame" and "frame-table" of pandas, or "compound", for HDF5."""
    if path.suffix == ".parquet":
        pq.write_table(pa.table(values), path)
    elif path.suffix == ".npz":
        np.savez(path, **values)
    elif path.suffix == ".npy":
        np.save(path, np.rec.fromarrays(list(values.values()), names=list(values)).view(np.ndarray))
    elif form.startswith("frame"):
        pd.DataFrame(values).to_hdf(path, key="df", format="table" if form == "frame-table" else "fixed")
    else:
        with pytables.open_file(str(path), "w") as file:
            if form == "compound":
                fields = np.rec.fromarrays(list(values.values()), names=list(values)).view(np.ndarray)
                file.create_table("/", "events", fields)
            for name, one in values.items() if form != "compound" else ():
                file.create_array("/", name, np.asarray(one))
    return path


def one(path: Path | str, kind: str = "pseudodata", **options: Any) -> Dataset:
    return Dataset("toy", kind, "table", ((str(path), ""),), **options)


def read(datasets: Dataset | list[Dataset], folder: Path, config: SearchConfig = CONFIG, **options: Any) -> EventTable:
    named = {each.name: each for each in ([datasets] if isinstance(datasets, Dataset) else datasets)}
    return load_table(process_tables(named, config, folder, **options), named, named)


def in_order(table: EventTable) -> EventTable:
    return EventTable(table.table.sort_by("event"), table.features)


def require_equal(one: EventTable, other: EventTable) -> None:
    assert one.table.schema == other.table.schema
    for name in one.table.column_names:
        np.testing.assert_array_equal(one.column(name), other.column(name))


@pytest.mark.parametrize(
    ("suffix", "form"),
    [
        ("parquet", ""),
        ("npz", ""),
        ("npy", ""),
        ("h5", "frame"),
        ("h5", "frame-table"),
        ("h5", "arrays"),
        ("hdf5", "compound"),
    ],
)
def test_every_form_of_a_table_gives_the_written_values(tmp_path: Path, suffix: str, form: str) -> None:
    values = columns(weight=np.full(N, 2.0))
    table = in_order(read(one(write(tmp_path / f"events.{suffix}", values, form)), tmp_path))
    for name in COLUMNS:
        np.testing.assert_array_equal(table.column(name), values[name])
    np.testing.assert_array_equal(table.weight, 1.0)
    np.testing.assert_array_equal(table.column("event"), np.arange(N))
    assert set(table.column("rapidity_region")) == {"search"}


def test_a_table_in_memory_is_the_same_as_in_a_file(tmp_path: Path) -> None:
    values = columns()
    from_file = process_tables({"toy": one(write(tmp_path / "events.npz", values))}, CONFIG, tmp_path / "file")
    memory = {"toy": replace(one(""), files=())}
    from_memory = process_tables(memory, CONFIG, tmp_path / "memory", {"toy": values})
    assert from_memory.digest == from_file.digest
    parts = [result.datasets["toy"].parts[0] for result in (from_file, from_memory)]
    assert parts[0].name == parts[1].name
    contents = [result.datasets["toy"].files[0].content for result in (from_file, from_memory)]
    assert contents[0] == contents[1]
    tables = [load_table(result, {"toy": one("")}, ["toy"]) for result in (from_file, from_memory)]
    require_equal(*tables)


def test_an_event_table_keeps_its_identities_and_features(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    table = table_of(rng.uniform(3000, 6000, N), rng.normal(size=(N, 2)).astype(np.float32))
    found = read(replace(one(""), files=()), tmp_path, tables={"toy": table})
    order = np.argsort(table.event_id)
    np.testing.assert_array_equal(found.event_id, table.event_id[order])
    np.testing.assert_array_equal(found.mjj, table.mjj[order])
    assert found.features == table.features


def test_the_digest_covers_every_column_and_the_names_that_are_set(tmp_path: Path) -> None:
    def content(values: dict[str, Any]) -> str:
        memory = {"toy": replace(one(""), files=())}
        return process_tables(memory, CONFIG, tmp_path, {"toy": values}).datasets["toy"].files[0].content

    values = columns(run=np.ones(N, int), event=np.arange(N))
    reference = content(values)
    assert content(dict(reversed(values.items()))) == reference
    for name, old in values.items():
        changed = np.array(old)
        changed[0] = changed[0] + 1 if name != "event" else N
        assert content(values | {name: changed}) != reference, name


def test_events_are_known_by_their_numbers_whatever_the_order_of_rows(tmp_path: Path) -> None:
    event = np.arange(N, dtype=np.uint64) + np.uint64(2**63)
    values = columns(run=np.full(N, 300000), luminosityBlock=np.arange(N), event=event)
    shuffled = {name: np.asarray(one)[::-1] for name, one in values.items()}
    first, second = (
        read(one(write(tmp_path / f"{name}.parquet", each), kind="data"), tmp_path / name)
        for name, each in (("a", values), ("b", shuffled))
    )
    require_equal(first, second)
    assert sorted(first.column("event").tolist()) == event.tolist()


def test_columns_may_have_any_name_and_only_common_numbers_are_features(tmp_path: Path) -> None:
    renamed = columns(text=np.array(["a"] * N), extra=np.arange(N))
    renamed["M"] = renamed.pop("mjj")
    signal = columns(other=np.arange(N))
    signal["M"] = signal.pop("mjj")
    config = CONFIG.model_copy(update={"table": CONFIG.table.model_copy(update={"mjj": "M"})})
    datasets = [
        one(write(tmp_path / "a.parquet", renamed)),
        replace(one(write(tmp_path / "b.npz", signal), kind="signal"), name="point"),
    ]
    table = read(datasets, tmp_path, config)
    assert table.feature_names == ("x0", "x1")
    named = {"toy": datasets[0]}
    result = process_tables(named, config, tmp_path / "alone")
    assert load_table(result, named, named).feature_names == ("x0", "x1", "extra")


def test_rapidity_decides_on_the_region(tmp_path: Path) -> None:
    abs_dy = np.repeat([0.5, -1.1, 1.2, 1.9, 2.0], 8)
    table = in_order(read(one(write(tmp_path / "a.npz", columns(abs_dy=abs_dy))), tmp_path))
    assert len(table) == 32
    np.testing.assert_array_equal(table.column("rapidity_region") == "validation", np.repeat([0, 0, 1, 1], 8))


def test_simulation_is_normalised_by_the_generated_events(tmp_path: Path) -> None:
    weight = np.linspace(-0.5, 2, N)
    sample = one(write(tmp_path / "a.npz", columns(weight=weight)), kind="signal", xsec_pb=0.2, lumi_ifb=30.0)
    with pytest.raises(CwolaError, match="n_generated"):
        read(sample, tmp_path)
    table = in_order(read(replace(sample, n_generated=500.0), tmp_path))
    np.testing.assert_allclose(table.weight, weight * 1000 * 0.2 * 30 / 500)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"mjj": np.where(np.arange(N) == 3, np.nan, 3500)},
            "events.npz: column 'mjj' is not finite in 1 of 40 rows, such as row 3",
        ),
        ({"mjj": np.where(np.arange(N) < 2, -1.0, 3500.0)}, "is not positive in 2 of 40 rows, such as row 0 (-1)"),
        (
            {"mjj": np.linspace(3.1, 6, N)},
            "lies between 3.1 and 6, outside the fit range of 3000 to 6500 GeV. Masses must be in GeV",
        ),
        ({"mjj": np.array(["a"] * N)}, "column 'mjj' holds no numbers"),
        ({"mjj": None}, "there is no column mjj with the dijet mass in GeV. Name it with --column mjj=NAME"),
        ({"weight": np.linspace(1, 2, N)}, "must be unweighted, but column 'weight' holds weights from 1 to 2"),
        ({"weight": np.full(N, np.inf)}, "column 'weight' is not finite in 40 of 40 rows"),
        ({"x0": None}, "x0 is no column of numbers there, but the configuration trains on it"),
        ({"x0": np.array(["a"] * N)}, "x0 is no column of numbers there"),
        ({"x0": np.zeros((N, 2))}, "column 'x0' has the shape (40, 2); expected one value for each event"),
        ({"x0": np.zeros(N - 1)}, "column 'mjj' has 40 rows, but 'x0' has 39"),
        (
            {"event": np.repeat(np.arange(N // 2), 2)},
            "20 of 40 rows repeat an event that another row holds, such as run 0",
        ),
        ({"event": np.arange(N) + 0.5}, "must hold whole numbers from 0 below 2^64 to identify events; 40 of 40 rows"),
        ({"event": np.arange(N), "run": np.full(N, 2**32)}, "column 'run' must hold whole numbers from 0 below 2^32"),
        ({"event": np.arange(N) - 1}, "1 of 40 rows do not, such as row 0 (-1)"),
        ({"run": np.ones(N, int)}, "there is a column 'run' but none with event numbers"),
        (
            {name: np.repeat(columns()[name][:20], 2) for name in COLUMNS},
            "20 of 40 rows agree with another row in the dijet mass",
        ),
        (dict.fromkeys(COLUMNS, np.zeros(0)), "the table has no rows"),
        ({"abs_dy": np.full(N, np.nan)}, "column 'abs_dy' is not finite"),
    ],
)
def test_what_cannot_be_searched_is_refused_with_file_and_rows(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    values = {name: one for name, one in columns(**change).items() if one is not None}
    np.savez(tmp_path / "events.npz", **values)
    with pytest.raises(CwolaError) as error:
        read(one(tmp_path / "events.npz"), tmp_path / "parts")
    assert message in str(error.value)
    assert str(tmp_path / "events.npz") in str(error.value)
    assert not (tmp_path / "parts").exists()


def test_the_same_events_in_two_tables_are_refused(tmp_path: Path) -> None:
    numbers = {"run": np.full(N, 300000), "luminosity_block": np.ones(N, int), "event": np.arange(N)}
    paths = [write(tmp_path / f"{name}.npz", columns(**numbers)) for name in ("one", "two")]
    data = [replace(one(path, kind="data"), name=path.stem) for path in paths]
    with pytest.raises(CwolaError, match=r"one\.npz and .*two\.npz: 40 of 80 rows repeat an event"):
        read(data, tmp_path)
    unnumbered = [write(tmp_path / f"{name}.npz", columns()) for name in ("three", "four")]
    pseudodata = [replace(one(path), name=path.stem) for path in unnumbered]
    with pytest.raises(CwolaError, match=r"three\.npz and .*four\.npz: 40 of 80 rows agree with another row"):
        read(pseudodata, tmp_path)
    # The numbers of simulation repeat from sample to sample.
    other = write(tmp_path / "five.npz", columns(**numbers) | {"mjj": np.linspace(3000, 4000, N)})
    assert len(read([replace(one(paths[0]), name="a"), replace(one(other), name="b")], tmp_path)) == 2 * N


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("events.csv", b"mjj\n1\n", "tables are read from .parquet, .npz, .npy, .h5, .hdf5, not from '.csv'"),
        ("events.parquet", b"PAR1", "cannot be read"),
        ("events.npz", b"PK", "cannot be read"),
        ("events.npy", b"", "cannot be read"),
        ("events.h5", b"\x89HDF\r\n", "not a complete HDF5 file"),
        ("events.h5", None, "there is no such file"),
    ],
)
def test_damaged_and_other_files_are_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CwolaError) as error:
        read(one(tmp_path / name), tmp_path)
    assert message in str(error.value)
    assert name in str(error.value)


def test_arrays_without_names_and_pickled_objects_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "plain.npy", np.zeros((5, 3)))
    with pytest.raises(CwolaError, match=r"no names of columns, only the shape \(5, 3\)"):
        read(one(tmp_path / "plain.npy"), tmp_path)
    np.savez(tmp_path / "objects.npz", mjj=np.array([{}], object))
    with pytest.raises(CwolaError, match=r"objects\.npz: the table cannot be read"):
        read(one(tmp_path / "objects.npz"), tmp_path)
    pd.DataFrame({"mjj": [3500.0], "name": pd.Series(["a"], dtype=object)}).to_hdf(tmp_path / "texts.h5", key="df")
    with pytest.raises(CwolaError, match="could run code"):
        read(one(tmp_path / "texts.h5"), tmp_path)


@pytest.mark.parametrize("suffix", [".parquet", ".npz", ".h5"])
def test_a_column_that_is_there_twice_is_refused(tmp_path: Path, suffix: str) -> None:
    """Libraries take the last one, or fail."""
    path, values = tmp_path / f"toy{suffix}", columns()
    if suffix == ".parquet":
        arrays = [pa.array(one) for one in values.values()]
        pq.write_table(pa.Table.from_arrays([*arrays, arrays[0]], [*values, "mjj"]), path)
    elif suffix == ".h5":
        frame = pd.DataFrame(values)
        pd.concat([frame, frame["mjj"]], axis=1).to_hdf(path, key="df", format="table")
    else:
        write(path, values)
        write(tmp_path / "other.npz", columns(mjj=values["mjj"] + 1.0))
        with ZipFile(path, "a") as file, ZipFile(tmp_path / "other.npz") as other, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the name is there
            file.writestr("mjj.npy", other.read("mjj.npy"))
    with pytest.raises(CwolaError, match=r"toy\.\w+: column 'mjj' is there more than once. Rename"):
        read(one(path), tmp_path)


def test_options_of_root_files_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", columns())
    with pytest.raises(CwolaError, match="max_entries is for ROOT files"):
        read(one(path, max_entries=5), tmp_path)
    with pytest.raises(CwolaError, match="others are tables"):
        read([one(path), Dataset("root", "signal", "nanoaod", (("a.root", "Events"),))], tmp_path)


@pytest.mark.parametrize("order", ["mass", "pt"])
def test_a_table_of_jets_gives_what_its_conversion_to_root_gives(tmp_path: Path, order: str) -> None:
    rng = np.random.default_rng(4)
    values: dict[str, Any] = {}
    for jet in ("j1", "j2"):
        pt, phi, eta = rng.uniform(1200, 2000, N), rng.uniform(-3, 3, N), rng.normal(0, 0.5, N)
        values |= {f"px{jet}": pt * np.cos(phi), f"py{jet}": pt * np.sin(phi), f"pz{jet}": pt * np.sinh(eta)}
        values |= {f"m{jet}": rng.exponential(150, N) + 5, f"tau1{jet}": rng.uniform(50, 100, N)}
        values |= {f"tau2{jet}": rng.uniform(10, 50, N), f"tau3{jet}": rng.uniform(1, 10, N)}
    values["label"] = np.arange(N) % 2
    path = write(tmp_path / "lhco.h5", values, "frame")
    convert_lhco(path, tmp_path / "lhco.root")
    settings = {"pt_min": 0, "leading_pt_min": 0, "abs_eta_max": 10, "abs_dy_validation": 20, "mjj_min": 0}
    _, expected = run(dataset(tmp_path / "lhco.root", name="lhco"), tmp_path / "root", settings | {"jet_order": order})
    config = SearchConfig(
        selection={"abs_dy_validation": 20, "jet_order": order}, scan={"fit_range": (1000, 6500), "first": 2000}
    )
    found = in_order(read(one(path), tmp_path / "table", config))
    assert found.feature_names == ("label", *expected.feature_names)
    expected = in_order(expected)
    for name in ("mjj", "abs_dy", *expected.feature_names):
        np.testing.assert_allclose(found.column(name), expected.column(name), rtol=2e-6, atol=2e-4)
    assert found.table["rapidity_region"].to_pylist() == expected.table["rapidity_region"].to_pylist()
