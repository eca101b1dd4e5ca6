"""What becomes a table, and how HEPData's library writes it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from analysis.errors import ResultsError
from analysis.export.hepdata import _unique_names, _validate, _write
from analysis.export.search_tables import _global_text
from analysis.export.signal_tables import efficiency_table, limit_tables, map_tables
from analysis.export.tables import Axis, Column, DataTable, band_errors, mass_axes, rows_table
from analysis.export.target import new_folder

COMMON = [("SQRT(S)", 13000.0, "GeV")]


def written(folder: Path, *tables: DataTable) -> list[dict[str, Any]]:
    folder.mkdir(exist_ok=True)
    _write(folder, tables, COMMON, "A test.")
    _validate(folder / "submission")
    documents = list(yaml.safe_load_all((folder / "submission" / "submission.yaml").read_text()))[1:]
    return [yaml.safe_load((folder / "submission" / one["data_file"]).read_text()) for one in documents]


def limit(dataset: str, masses: dict[str, float], **changes: Any) -> dict[str, Any]:
    numbers = {"observed_selected": None, "expected_selected": [1.0, 2.0, 4.0, 7.0, None], "strength": 3.0}
    chosen = {"selection": "eff_0.1", "method": "cwola", "window": [3300, 3700], "reason": None}
    fb = {"observed_fb": None, "expected_fb": None}
    return {"dataset": dataset, "masses": masses, "rule": "atlas-2025", **numbers, **chosen, **fb, **changes}


def test_a_band_without_an_end_is_left_out_and_columns_without_numbers_too(tmp_path: Path) -> None:
    (table,) = limit_tables([limit("one", {"A": 3000.0})], 0.05)
    (content,) = written(tmp_path / "out", table)
    found = {one["header"]["name"]: one["values"] for one in content["dependent_variables"]}
    assert "Observed limit on selected signal events" not in found
    assert not [name for name in found if "cross-section" in name]
    (value,) = found["Expected limit on selected signal events"]
    assert value == {"value": 4.0, "errors": [{"asymerror": {"minus": -2.0, "plus": 3.0}, "label": "1 s.d."}]}


def test_signals_without_a_limit_are_named_and_unknown_masses_are_dashes(tmp_path: Path) -> None:
    failed = {"dataset": "bad", "masses": {}, "rule": None, "reason": "no window"}
    points = [limit("one", {"A": 3000.0}), limit("two", {"A": 4000.0, "B": 200.0}), failed]
    (table,) = limit_tables(points, 0.05)
    assert table.description.endswith("No limit: bad.")
    (content,) = written(tmp_path / "out", table)
    axes = {one["header"]["name"]: [v["value"] for v in one["values"]] for one in content["independent_variables"]}
    assert axes == {"$m_{A}$": [3000.0, 4000.0], "$m_{B}$": ["-", 200.0], "Signal sample": ["one", "two"]}


def test_masses_stand_in_the_order_of_the_decay() -> None:
    axes = mass_axes([{"C": 1.0, "D": 4.0, "A": 3.0}, {"B": 2.0}], ["one", "two"])
    assert [axis.name for axis in axes] == ["$m_{A}$", "$m_{B}$", "$m_{C}$", "$m_{D}$", "Signal sample"]


def test_large_counts_keep_all_their_digits_and_small_numbers_eight(tmp_path: Path) -> None:
    column = Column("n", (12_345_678, 1 / 3 * 1e-6, None), "events", {}, {"fit": (1.5, None, None)})
    (content,) = written(tmp_path / "out", DataTable("T", "text", (Axis("x", (1.0, 2.0, 3.0)),), (column,), ("N",)))
    first, second, third = content["dependent_variables"][0]["values"]
    assert first == {"value": 12_345_678, "errors": [{"symerror": 1.5, "label": "fit"}]}
    assert second == {"value": pytest.approx(1 / 3 * 1e-6, rel=1e-8)}
    assert third == {"value": "-"}


def test_the_factors_of_systematics_become_signed_errors_of_the_efficiency() -> None:
    modifiers = [
        {"name": "jes", "up": 0.9, "down": 1.2},
        {"name": "lumi", "up": 1.02, "down": 0.98},
        {"name": "signal_statistics", "up": 1.1, "down": 1 / 1.1},
    ]
    found = {
        "window": [3300, 3700],
        "selection": "eff_0.1",
        "events": 40.0,
        "events_error": 4.0,
        "acceptance_efficiency": 0.5,
        "absorbed_fraction": 0.1,
        "modifiers": modifiers,
    }
    signal = {"dataset": "one", "masses": {"A": 3500.0}, "normalised": False, "yields": [found]}
    table = efficiency_table([signal])
    assert table is not None
    first, absorbed = table.columns  # no expected events without a normalisation
    assert dict(first.errors) == {"stat": (0.05,), "sys, jes": (pytest.approx((0.1, -0.05)),)}
    assert absorbed.values == (0.1,)


def test_maps_of_a_blinded_search_hold_signal_alone() -> None:
    counts = {"inclusive": [[4.0, 0.0], [0.0, 1.0]], "eff_0.1": [[1.0, 0.0], [0.0, 1.0]]}
    one = {"strength": 2.0, "edges": [[0, 100, 200], [0, 50, 100]], "data": {}, "signal": counts}
    (table,) = map_tables([{"dataset": "one", "signal": [3300, 3700], "maps": [one]}])
    assert [axis.values for axis in table.axes] == [((0, 100), (100, 200)), ((0, 50), (50, 100))]
    assert [column.values for column in table.columns] == [(4.0, 1.0), (0.25, 1.0)]
    assert {column.qualifiers["Events"] for column in table.columns} == {"held-out signal"}


def test_names_of_tables_are_short_plain_and_different() -> None:
    names = _unique_names(["a/b", "A-B", "x" * 80, "x" * 90, "Limits é"])
    assert names == ["a-b", "A-B 2", "x" * 64, "x" * 60 + " 2", "Limits -"]


def test_what_the_validator_refuses_is_an_error(tmp_path: Path) -> None:
    column = Column("n", (1.0,))
    written(tmp_path / "out", DataTable("T", "text", (Axis("x", (1.0,)),), (column,), ("N",)))
    path = tmp_path / "out" / "submission" / "t.yaml"
    path.write_text(path.read_text().replace("value: 1.0", "valeu: 1.0"))
    with pytest.raises(ResultsError, match=r"refuses the submission: .*t\.yaml"):
        _validate(path.parent)


def test_bands_of_nothing_are_nothing() -> None:
    bands = band_errors([None, [1.0, 2.0, 4.0, 7.0, 9.0]])
    assert bands == {"1 s.d.": (None, (-2.0, 3.0)), "2 s.d.": (None, (-3.0, 5.0))}
    assert all(math.isfinite(end) for of in bands.values() for one in of[1:] for end in one)


def test_an_export_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"), new_folder(tmp_path / "out") as staged:  # noqa: PT012
        (staged / "half.txt").write_text("half")
        msg = "stop"
        raise ValueError(msg)
    assert not list(tmp_path.iterdir())


def test_a_bound_on_the_global_p_value_is_called_one() -> None:
    found = {"z": 0.5, "p0": 0.31, "method": "bonferroni-upper-bound", "n_trials": 6, "n_toys": None, "interval": None}
    assert "at most 0.31 " in _global_text(found)
    toys = {"z": 1.0, "p0": 0.16, "method": "toys", "n_trials": 6, "n_toys": 100, "interval": [0.1, 0.25]}
    assert "largest excess: 0.16 " in _global_text(toys)
    assert "95 % interval 0.1 to 0.25 from 100 pseudo-experiments" in _global_text(toys)
    assert not _global_text({"z": None, "p0": None, "method": "none"})


def test_an_undefined_pair_is_no_error_of_zero(tmp_path: Path) -> None:
    column = Column("n", (1.0, 2.0), errors={"a": ((-0.5, 0.7), None), "b": ((-0.1, 0.1), (-0.2, 0.3))})
    (content,) = written(tmp_path / "out", DataTable("T", "text", (Axis("x", (1.0, 2.0)),), (column,), ("N",)))
    first, second = content["dependent_variables"][0]["values"]
    assert [error["label"] for error in first["errors"]] == ["a", "b"]
    assert second["errors"] == [{"asymerror": {"minus": -0.2, "plus": 0.3}, "label": "b"}]


def test_rows_of_a_figure_become_a_table_with_units_and_gaps(tmp_path: Path) -> None:
    rows = [
        ("m_jj low [GeV]", "observed [events]", "name"),
        (3000.0, 7, "a"),
        (3100.0, None, "b"),
        (3200.0, math.nan, "c"),
    ]
    table = rows_table("Counts", "Of bins.", rows)
    assert table is not None
    (found,) = written(tmp_path / "out", table)
    (axis,), (observed, names) = found["independent_variables"], found["dependent_variables"]
    assert axis["header"] == {"name": "m_jj low", "units": "GeV"}
    assert [one["value"] for one in axis["values"]] == [3000, 3100, 3200]
    assert observed["header"] == {"name": "observed", "units": "events"}
    assert [one["value"] for one in observed["values"]] == [7, "-", "-"]
    assert [one["value"] for one in names["values"]] == ["a", "b", "c"]
    assert rows_table("Empty", "", rows[:1]) is None
