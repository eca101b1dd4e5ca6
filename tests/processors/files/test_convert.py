"""The LHC Olympics table against what the processor makes of its conversion; truth is computed from the table."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
import uproot

from analysis.errors import InputFileError, ResultsError
from processors.files import convert
from processors.files.convert import convert_lhco
from tests.builders.running import dataset, run

OPEN = {"pt_min": 0, "leading_pt_min": 0, "abs_eta_max": 10, "abs_dy_validation": 20, "mjj_min": 0}


def table(n_rows: int, seed: int = 5) -> pd.DataFrame:
    """Rows as published: float64, j1 the heavier jet, a label that is 0 or 1, no order in p_T."""
    rng = np.random.default_rng(seed)
    columns = {}
    masses = np.sort(rng.exponential(150, (n_rows, 2)) + 5, axis=1)[:, ::-1]
    for i, jet in enumerate(("j1", "j2")):
        pt, phi, eta = rng.uniform(900, 2000, n_rows), rng.uniform(-3, 3, n_rows), rng.normal(0, 0.7, n_rows)
        columns |= {f"px{jet}": pt * np.cos(phi), f"py{jet}": pt * np.sin(phi), f"pz{jet}": pt * np.sinh(eta)}
        columns[f"m{jet}"] = masses[:, i]
        columns[f"tau1{jet}"] = rng.uniform(0.1, 100, n_rows)
        columns[f"tau2{jet}"] = columns[f"tau1{jet}"] * rng.uniform(0.1, 1, n_rows)
        columns[f"tau3{jet}"] = columns[f"tau2{jet}"] * rng.uniform(0.1, 1, n_rows)
    return pd.DataFrame({**columns, "label": (rng.random(n_rows) < 0.1).astype(float)})


def write(folder, frame: pd.DataFrame, key: str = "df", layout: str = "fixed"):
    path = folder / "events.h5"
    frame.to_hdf(path, key=key, mode="a", format=layout)
    return path


@pytest.mark.parametrize("layout", ["fixed", "table"])
@pytest.mark.parametrize("order", ["mass", "pt"])
def test_events_are_those_of_the_table(tmp_path, monkeypatch, layout, order):
    """m_jj = |p1 + p2| and the other columns from the momenta of the table, whichever jet is heavier."""
    monkeypatch.setattr(convert, "BLOCK", 37)
    frame = table(200)
    output = tmp_path / "out" / "events.root"
    assert convert_lhco(write(tmp_path, frame, layout=layout), output) == 200
    result, events = run(dataset(output, kind="background"), tmp_path, {**OPEN, "jet_order": order})
    assert result.sum_of_weights == 200
    assert result.normalisation == "runs"
    assert sorted(events.column("event").tolist()) == list(range(200))
    rows = frame.iloc[events.column("event").astype(int)]
    p4 = {
        jet: np.column_stack([rows[f"{name}{jet}"] for name in ("px", "py", "pz", "m")]).astype(float)
        for jet in ("j1", "j2")
    }
    energy = sum(np.sqrt((one**2).sum(axis=1)) for one in p4.values())
    momentum = sum(one[:, :3] for one in p4.values())
    np.testing.assert_allclose(events.mjj, np.sqrt(energy**2 - (momentum**2).sum(axis=1)), rtol=1e-6)
    pt = {jet: np.hypot(one[:, 0], one[:, 1]) for jet, one in p4.items()}
    first_is_j1 = pt["j1"] > pt["j2"] if order == "pt" else np.ones(200, bool)
    assert 0.2 < (pt["j1"] > pt["j2"]).mean() < 0.8
    for feature, expected in {
        "mj": lambda jet: rows[f"m{jet}"],
        "tau21_j": lambda jet: rows[f"tau2{jet}"] / rows[f"tau1{jet}"],
        "tau32_j": lambda jet: rows[f"tau3{jet}"] / rows[f"tau2{jet}"],
    }.items():
        found = events.column(f"{feature}1"), events.column(f"{feature}2")
        j1, j2 = expected("j1").to_numpy(), expected("j2").to_numpy()
        np.testing.assert_allclose(found[0], np.where(first_is_j1, j1, j2), rtol=1e-6)
        np.testing.assert_allclose(found[1], np.where(first_is_j1, j2, j1), rtol=1e-6)


def test_label_is_kept_as_truth_and_nothing_else_depends_on_it(tmp_path):
    frame = table(50)
    outputs = [tmp_path / "labelled.root", tmp_path / "turned.root"]
    convert_lhco(write(tmp_path, frame), outputs[0])
    turned = frame.assign(signal=1 - frame["label"]).drop(columns="label")
    convert_lhco(write(tmp_path, turned, key="df"), outputs[1], label_column="signal")
    tables = []
    for output in outputs:
        with uproot.open(output) as file:
            tables.append(file["Events"].arrays(library="np"))
    one, other = tables
    assert one["truth_label"].dtype == np.uint8
    assert one["truth_label"].tolist() == frame["label"].tolist()
    assert (one["truth_label"] + other["truth_label"] == 1).all()
    assert {len(set(columns["run"])) for columns in tables} == {1}
    for name in set(one) - {"truth_label"}:
        for left, right in zip(one[name], other[name], strict=True):
            np.testing.assert_array_equal(left, right)


def test_table_without_a_label(tmp_path):
    output = tmp_path / "events.root"
    convert_lhco(write(tmp_path, table(5).drop(columns="label"), key="box"), output)
    with uproot.open(output) as file:
        assert "truth_label" not in file["Events"]
        assert file["Runs/genEventSumw"].array(library="np").tolist() == [5]


def test_jet_without_momentum_is_left_out_and_undefined_tau_stays_undefined(tmp_path):
    frame = table(3)
    frame.loc[1, ["pxj2", "pyj2", "pzj2", "mj2"]] = 0.0
    frame.loc[2, "tau2j1"] = np.nan
    output = tmp_path / "events.root"
    convert_lhco(write(tmp_path, frame), output)
    with uproot.open(output) as file:
        assert file["Events/nFatJet"].array().tolist() == [2, 1, 2]
        assert file["Events/FatJet_mass"].array()[1].tolist() == pytest.approx([frame.loc[1, "mj1"]], rel=1e-6)
        tau1 = frame.loc[1, "tau1j1"] / np.hypot(frame.loc[1, "pxj1"], frame.loc[1, "pyj1"])
        assert file["Events/FatJet_tau1"].array()[1].tolist() == pytest.approx([tau1], rel=1e-6)
    _, events = run(dataset(output), tmp_path, OPEN)
    undefined = {e: bool(np.isnan(t)) for e, t in zip(events.column("event"), events.column("tau21_j1"), strict=True)}
    assert undefined == {0: False, 2: True}


def not_hdf5(folder):
    path = folder / "events.h5"
    path.write_text("pxj1,pyj1\n1,2\n")
    return path


def cut_off(folder):
    path = write(folder, table(100))
    path.write_bytes(path.read_bytes()[:5000])
    return path


def with_nan(folder):
    frame = table(100)
    frame.loc[[60, 70], "pzj2"] = np.nan
    return write(folder, frame)


def two_tables(folder):
    write(folder, table(3), key="a")
    return write(folder, table(3), key="b")


def with_bytes(folder, content):
    path = folder / "events.h5"
    path.write_bytes(content)
    return path


def subfolder(folder):
    path = folder / "events.h5"
    path.mkdir()
    return path


WRONG = {
    "missing": (lambda folder: folder / "events.h5", "no such file"),
    "not HDF5": (not_hdf5, "not a complete HDF5 file.*again"),
    "empty": (lambda folder: with_bytes(folder, b""), "the file is empty"),
    "ROOT": (lambda folder: with_bytes(folder, b"root" + bytes(900)), "a ROOT file, not HDF5.*in the datasets file"),
    "folder": (subfolder, "a folder, not a file"),
    "cut off": (cut_off, "not a complete HDF5 file.*again"),
    "NaN": (with_nan, r"column pzj2 is not finite in row 60 and 1 of"),
    "two tables": (two_tables, "found a, b"),
    "no column": (lambda folder: write(folder, table(3).drop(columns=["tau2j1"])), "tau2j1 are missing; found pxj1"),
    "particles": (lambda folder: write(folder, pd.DataFrame(np.ones((2, 2101)))), "missing.*2101.*high-level"),
    "no rows": (lambda folder: write(folder, table(3).iloc[:0]), "no rows"),
    "no label": (lambda folder: write(folder, table(3).assign(label=0.5)), "column label is not a label: 3 values"),
    "a series": (lambda folder: write(folder, table(3)["pxj1"]), "expected one table.*found none"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_table_is_named_and_leaves_no_file(tmp_path, monkeypatch, name):
    monkeypatch.setattr(convert, "BLOCK", 37)
    make, message = WRONG[name]
    path = make(tmp_path)
    output = tmp_path / "out" / "events.root"
    with pytest.raises(InputFileError, match=rf"events\.h5: .*{message}"):
        convert_lhco(path, output)
    assert not list(tmp_path.glob("out/*")) + list(tmp_path.glob("out/.*"))


def test_unknown_label_column(tmp_path):
    with pytest.raises(InputFileError, match=r"no label column 'truth'.*tau3j2, label.*--label-column"):
        convert_lhco(write(tmp_path, table(3)), tmp_path / "out.root", label_column="truth")


def test_output_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match=r"cannot write .*out\.root"):
        convert_lhco(write(tmp_path, table(3)), tmp_path / "file" / "out.root")


def test_extra_that_is_missing_is_named(tmp_path, monkeypatch):
    path = write(tmp_path, table(3))
    monkeypatch.setitem(sys.modules, "tables", None)
    with pytest.raises(InputFileError, match=r"extra lhco.*pip install 'cwola-dijet\[lhco\]'"):
        convert_lhco(path, tmp_path / "out.root")
