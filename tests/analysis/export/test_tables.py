"""What becomes a table, and how HEPData's library writes it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from analysis.background import GoodnessOfFit
from analysis.core.documents import from_json
from analysis.errors import ResultsError
from analysis.export.covariance import covariance_table
from analysis.export.hepdata import _unique_names, _validate, _write
from analysis.export.search_tables import _global_text, spectrum_tables, window_tables
from analysis.export.signal_tables import efficiency_table, limit_tables, map_tables, strength_tables
from analysis.export.tables import Axis, Column, DataTable, band_errors, mass_axes, rows_table
from analysis.export.target import new_folder
from analysis.limits.values import FailedLimit, InjectionLimit, InjectionScan
from analysis.regions import MassWindow
from analysis.results.blinding import blind_windows
from analysis.search.values import SelectionResult, WindowResult
from analysis.signals.values import SignalResult
from analysis.statistics import GlobalResult
from tests.builders.calibrations import calibrated
from tests.builders.toy_tables import WINDOW
from tests.builders.windows import EDGES, EFFICIENCIES, make_result

COMMON = [("SQRT(S)", 13000.0, "GeV")]


def written(folder: Path, *tables: DataTable) -> list[dict[str, Any]]:
    folder.mkdir(exist_ok=True)
    _write(folder, tables, COMMON, "A test.")
    _validate(folder / "submission")
    documents = list(yaml.safe_load_all((folder / "submission" / "submission.yaml").read_text()))[1:]
    return [yaml.safe_load((folder / "submission" / one["data_file"]).read_text()) for one in documents]


def limit(dataset: str, masses: dict[str, float]) -> InjectionLimit:
    numbers = {"observed_selected": None, "expected_selected": [1.0, 2.0, 4.0, 7.0, None], "strength": 3.0}
    chosen = {"selection": "eff_0.1", "method": "cwola", "features": ["x"], "window": [3300, 3700]}
    others = {"mask": [3200, 3800], "level": 0.05, "spread_selected": 0.5, "reason": None}
    fb = {"observed_fb": None, "expected_fb": None, "fb_per_selected": None}
    document = {"dataset": dataset, "masses": masses, "rule": "atlas-2025", **numbers, **chosen, **others, **fb}
    return from_json(InjectionLimit, document)


def test_a_band_without_an_end_is_left_out_and_columns_without_numbers_too(tmp_path: Path) -> None:
    (table,) = limit_tables([limit("one", {"A": 3000.0})], 0.05)
    (content,) = written(tmp_path / "out", table)
    found = {one["header"]["name"]: one["values"] for one in content["dependent_variables"]}
    assert "Observed limit on selected signal events" not in found
    assert not [name for name in found if "cross-section" in name]
    (value,) = found["Expected limit on selected signal events"]
    assert value == {"value": 4.0, "errors": [{"asymerror": {"minus": -2.0, "plus": 3.0}, "label": "1 s.d."}]}


def test_signals_without_a_limit_are_named_and_unknown_masses_are_dashes(tmp_path: Path) -> None:
    failed = FailedLimit(dataset="bad", masses={}, rule=None, reason="no window")
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
    selected = {
        "window": [3300, 3700],
        "selection": "eff_0.1",
        "events": 40.0,
        "events_error": 4.0,
        "acceptance_efficiency": 0.5,
        "absorbed_fraction": 0.1,
        "modifiers": modifiers,
        "reason": None,
    }
    signal = {"dataset": "one", "masses": {"A": 3500.0}, "rule": "", "normalised": False, "selections": []}
    table = efficiency_table([from_json(SignalResult, {**signal, "yields": [selected], "reason": None})])
    assert table is not None
    first, absorbed = table.columns  # no expected events without a normalisation
    assert dict(first.errors) == {"stat": (0.05,), "sys, jes": (pytest.approx((0.1, -0.05)),)}
    assert absorbed.values == (0.1,)


def test_maps_of_a_blinded_search_hold_signal_alone() -> None:
    counts = {"inclusive": [[4.0, 0.0], [0.0, 1.0]], "eff_0.1": [[1.0, 0.0], [0.0, 1.0]]}
    plane = {"strength": 2.0, "edges": [[0, 100, 200], [0, 50, 100]], "data": {}, "signal": counts}
    scan = {"dataset": "one", **WINDOW.to_json(), "candidates": [], "maps": [plane]}
    (table,) = map_tables([from_json(InjectionScan, scan)])
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
    assert "at most 0.31 (z = 0.5)" in _global_text(GlobalResult(0.5, 0.31, "bonferroni-upper-bound", 6), [])
    toys = GlobalResult(1.0, 0.16, "toys", 6, 100, (0.1, 0.25))
    assert "largest excess: 0.16 (z = 1)" in _global_text(toys, [])
    assert "95 % interval 0.1 to 0.25 from 100 pseudo-experiments" in _global_text(toys, [])
    assert not _global_text(GlobalResult(None, None, "none"), [])
    worse = replace(toys, miscalibration=2.3)
    assert "pseudo-experiments. The local p-value of the largest excess is too small, by a factor of 2.3" in (
        _global_text(worse, [])
    )
    bad = make_result(dict.fromkeys(EFFICIENCIES, np.geomspace(1000.0, 10.0, len(EDGES) - 1).round()))
    bad = replace(
        bad, selections=(replace(bad.selections[0], goodness=GoodnessOfFit(5e-26, 210.0, 30, "asymptotics")),)
    )
    assert _global_text(worse, [bad]) == f"{_global_text(worse, [])} It takes every background fit as good."


def test_the_global_p_value_says_whether_it_counts_retraining() -> None:
    counts = dict.fromkeys(EFFICIENCIES, np.geomspace(1000.0, 10.0, len(EDGES) - 1).round())
    fixed = GlobalResult(1.0, 0.16, "pseudo-experiments", 6, 100, (0.1, 0.25))
    assert "pseudo-experiments hold the classifiers fixed" in _global_text(fixed, [make_result(counts)])
    anew = _global_text(replace(fixed, method="retrained-scans"), [make_result(counts)])
    assert "from 100 scans. It comes from 100 scans without signal" in anew


@pytest.mark.parametrize("source", [None, "searches", "exact"])
def test_calibrated_p_values_stand_before_the_nominal_ones(source: Any, tmp_path: Path) -> None:
    counts = dict.fromkeys(EFFICIENCIES, np.geomspace(1000.0, 10.0, len(EDGES) - 1).round())
    plain = make_result(counts, z={"inclusive": 0.4, "eff_0.01": 4.1})
    result = plain if source is None else calibrated(plain, source)
    (table,) = [one for one in window_tables([result], GlobalResult(None, None, "none")) if one.name == "p-values"]
    cut = [one for one in table.columns if one.qualifiers["Selection"] == "eff_0.01"]
    names = [one.name for one in cut]
    expected = ["Local significance, calibrated", "Local p-value, calibrated"] if source else []
    assert names == [*expected, "Local significance", "Local p-value"]
    assert all("calibrated" not in one.name for one in table.columns if one.qualifiers["Selection"] == "inclusive")
    assert cut[-2].values == (4.1,)
    if source:
        assert cut[0].values == (pytest.approx(3.2 if source == "searches" else 4.1),)
        assert (cut[0].errors == {}) == (cut[1].errors == {}) == (source == "exact")
    if source == "searches":
        assert cut[0].errors["calibration"] == (result.selections[1].local_z_error,)
    assert ("is not calibrated with retraining" in table.description) == (source is None)
    assert ("is calibrated with retraining, by searches" in table.description) == (source == "searches")
    assert "`" not in table.description
    written(tmp_path / "out", table)


def test_a_global_p_value_without_a_significance_is_written_alone() -> None:
    text = _global_text(GlobalResult(None, 1.0, "bonferroni-upper-bound", 6), [])
    assert text == "Global p-value of the largest excess: at most 1, bonferroni-upper-bound, 6 looks of this search."


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


def test_a_spectrum_of_a_blinded_search_has_no_counts_in_the_masks_of_all_windows(tmp_path: Path) -> None:
    counts = {name: np.arange(100, 100 - len(EDGES) + 1, -1) for name in EFFICIENCIES}
    window, neighbour = make_result(counts), make_result(counts, low=3900.0)
    (open_one, *_) = spectrum_tables([window])
    assert open_one.columns[0].values == tuple(counts["inclusive"])
    assert set(open_one.columns[2].values[2:8]) == {"mask", "window"}
    assert "blinded" not in open_one.description
    blinded, _ = blind_windows([window, neighbour])
    for table in spectrum_tables([blinded]):
        data, fit, _ = table.columns
        hidden = [3200 <= low < 4400 for low in EDGES[:-1]]
        assert [value is None for value in data.values] == [error is None for error in data.errors["stat"]] == hidden
        assert None not in fit.values
        assert table.description.endswith("The search is blinded: no data inside the mask.")
    written(tmp_path / "out", *spectrum_tables([blinded]))


def test_tables_of_a_blinded_search_have_no_observation() -> None:
    counts = {name: np.full(len(EDGES) - 1, 100) for name in EFFICIENCIES}
    results, nothing = [make_result(counts)], GlobalResult(None, None, "none")
    made_blinded = [make_result(counts, observed=False)]
    tables = {table.name: {column.name for column in table.columns} for table in window_tables(results, nothing)}
    blinded = {table.name: {column.name for column in table.columns} for table in window_tables(made_blinded, nothing)}
    assert set(tables) == {"Events in windows", "p-values", "Limits on visible events"}
    assert blinded == {
        "Events in windows": tables["Events in windows"] - {"Observed"},
        "Limits on visible events": tables["Limits on visible events"] - {"Observed limit"},
    }


def test_counts_covary_by_the_events_that_they_share() -> None:
    """Event by event: every pair of looks, with weights and fractions of members."""
    rng = np.random.default_rng(4)
    mjj, weight = rng.uniform(3000, 5000, 200), rng.choice([1.0, 0.5], 200)
    windows, looks = [], {}
    for low in (3300.0, 3500.0, 4300.0):
        passes = np.stack([np.ones(200), rng.choice([0.0, 0.5, 1.0], 200)], axis=1)
        window = MassWindow(
            (low, low + 400), (low - 200, low), (low + 400, low + 600), (low, low + 400), (3000.0, 6000.0)
        )
        found = tuple(SelectionResult(name, "cwola", (), 1.0, 1.0, 1.0) for name in ("inclusive", "eff_0.1"))
        windows.append(WindowResult(window, np.array([3000.0, 6000.0]), found, passes=passes))
        for index, one in enumerate(found):
            looks[window.signal, one.name] = [
                w * p if low <= m < low + 400 else 0.0 for m, w, p in zip(mjj, weight, passes[:, index], strict=True)
            ]
    table = covariance_table([*windows, replace(windows[0], passes=None)], mjj, weight)
    assert table is not None
    first, second = (list(zip(table.axes[k].values, table.axes[k + 1].values, strict=True)) for k in (0, 2))
    covariance, correlation = (column.values for column in table.columns)
    for one, other, value, rho in zip(first, second, covariance, correlation, strict=True):
        shared = sum(a * b for a, b in zip(looks[one], looks[other], strict=True))
        norm = sum(a * a for a in looks[one]) * sum(b * b for b in looks[other])
        assert value == pytest.approx(shared)
        assert rho == pytest.approx(shared / math.sqrt(norm))
    assert len(first) == 10 + 3  # the first two windows overlap, the third shares no event with them
    assert covariance_table([replace(windows[0], passes=None)], mjj, weight) is None


def test_efficiencies_are_given_against_the_cross_section_too() -> None:
    candidate = {
        "method": "cwola",
        "features": ["x"],
        "selection": "eff_0.1",
        "strengths": [0.0, 20.0],
        "efficiency": [[0.1], [0.3]],
        "expected": [[50.0], [20.0]],
    }
    place = {"signal": [3300, 3700], "lower": [3100, 3300], "upper": [3700, 3900], "mask": [3300, 3700]}
    scan = from_json(InjectionScan, {"dataset": "one", **place, "fit_range": [3000, 6000], "candidates": [candidate]})
    known = replace(limit("one", {"A": 3500.0}), fb_per_selected=0.05)
    (table,) = strength_tables([scan], [known])
    assert [(axis.name, axis.values, axis.units) for axis in table.axes] == [
        ("Injected signal events", (0.0, 20.0), "events"),
        ("Cross-section", (0.0, 1.0), "fb"),
    ]
    (unknown,) = strength_tables([scan], [limit("one", {"A": 3500.0})])
    assert [axis.name for axis in unknown.axes] == ["Injected signal events"]
