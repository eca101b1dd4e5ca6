"""HEPData submission of a results folder, written with hepdata_lib and checked by the HEPData validator."""

from __future__ import annotations

import re
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

from analysis.config import SearchConfig
from analysis.errors import ConfigError, ResultsError
from analysis.export.covariance import stored_covariance_table
from analysis.export.search_tables import cutflow_table, spectrum_tables, window_tables
from analysis.export.signal_tables import (
    efficiency_table,
    fixed_limit_table,
    limit_tables,
    map_tables,
    strength_tables,
)
from analysis.export.tables import Axis, Column, DataTable
from analysis.export.target import new_folder
from analysis.limits.values import LimitsFile
from analysis.results import ResultsFolder
from analysis.results.values import Results
from analysis.search.values import WindowResult

__all__ = ["collect_tables", "export_hepdata"]

SUBMISSION = "submission"
"""Name of the folder of the files, and of the archive for upload."""

_DIGITS = 8
_UNDEFINED = "-"
_LONGEST_NAME = 64  # of a table
_REACTION = "P P --> JET JET X"
_PHRASES = ["Dijet resonance search", "Weak supervision", "CWoLa", "Anomaly detection"]


def export_hepdata(
    folder: ResultsFolder,
    config: SearchConfig,
    target: Path,
    *,
    abstract: str | None = None,
    further: Sequence[DataTable] = (),
) -> int:
    """Write a HEPData submission.

    Parameters
    ----------
    folder : ResultsFolder
        Results folder of a finished scan.
    config : SearchConfig
        Configuration of the folder.
    target : pathlib.Path
        New folder for `submission/` with the YAML files, and `submission.tar.gz` for upload.
    abstract : str, optional
        Abstract of the paper; by default a text on how the numbers were made.
    further : sequence of DataTable
        Tables of figures added by plugins.

    Returns
    -------
    int
        Number of tables.

    Raises
    ------
    ConfigError
        If hepdata_lib is not installed.
    ResultsError
        If the folder has no results, the target is not empty, or the submission is not valid.
    """
    _require_library()
    results, windows = folder.load_results()
    tables = collect_tables(results, windows, folder.load_injections(), level=config.statistics.cls_level)
    covariance = stored_covariance_table(folder, windows)
    tables.extend([*([covariance] if covariance else []), *further])
    common = [("SQRT(S)", config.background.sqrt_s_gev, "GeV"), *_luminosity(results)]
    text = _comment(results) if abstract is None else abstract
    with new_folder(target) as staged:
        _write(staged, tables, common, text)
        _validate(staged / SUBMISSION)
    return len(tables)


def collect_tables(
    results: Results, windows: Sequence[WindowResult], injected: LimitsFile, *, level: float
) -> list[DataTable]:
    """Build all tables for which the results hold numbers.

    Parameters
    ----------
    results : Results
    windows : sequence of WindowResult
    injected : LimitsFile
        Results of injections; ignored if they belong to another search.
    level : float
        One minus the confidence level of the limits.

    Returns
    -------
    list of DataTable
    """
    injections = injected.injections if injected.limits == results.limits else ()
    tables = [
        *window_tables(windows, results.global_),
        *limit_tables(results.limits, level),
        fixed_limit_table(results.signals),
        efficiency_table(results.signals),
        *strength_tables(injections, results.limits),
        *map_tables(injections),
        cutflow_table(results.cutflow),
        *spectrum_tables(windows),
    ]
    return [table for table in tables if table is not None]


def _luminosity(results: Results) -> list[tuple[str, float, str]]:
    """Return the luminosity qualifier if all signal samples have the same luminosity, else an empty list."""
    luminosities = {sample.lumi_ifb for sample in (*results.signals, *results.limits) if sample.lumi_ifb}
    return [("LUMINOSITY", luminosities.pop(), "fb$^{-1}$")] if len(luminosities) == 1 else []


def _comment(results: Results) -> str:
    names = ", ".join(window.name for window in results.windows)
    versions = ", ".join(f"{name} {number}" for name, number in results.versions.items())
    blinded = "The search is blinded: nothing that follows from counts inside the windows is given. "
    return (
        "Weakly supervised search for resonances in the dijet mass spectrum. Classifiers tell the events of a mass "
        f"window from those of its sidebands, without a signal model. Windows: {names} GeV. "
        f"{blinded if results.blinded else ''}Masses in GeV. Undefined values are '-'. "
        f"Configuration {results.config_digest}, random state {results.random_state}. Made with {versions}."
    )


def _require_library() -> None:
    try:
        import hepdata_lib  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        msg = f"a HEPData submission needs the extra `hepdata` ({error}): pip install 'cwola-dijet[hepdata]'."
        raise ConfigError(msg) from error


def _write(staged: Path, tables: Sequence[DataTable], common: Sequence[tuple[str, float, str]], text: str) -> None:
    """Write the YAML files and the archive; hepdata_lib writes the archive to the current folder."""
    import hepdata_lib  # noqa: PLC0415 - an extra

    submission = hepdata_lib.Submission()
    submission.comment = text
    for table, name in zip(tables, _unique_names([one.name for one in tables]), strict=True):
        submission.add_table(_table(table, name, common))
    with tempfile.TemporaryDirectory(dir=staged) as scratch:
        with chdir(scratch):
            submission.create_files(SUBMISSION, validate=False)
        for name in (SUBMISSION, f"{SUBMISSION}.tar.gz"):
            shutil.move(Path(scratch) / name, staged / name)


def _unique_names(names: Sequence[str]) -> list[str]:
    """Return unique names of tables, short and without special characters since they are also file names."""
    by_key: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9 ._+-]", "-", name)
        unique, number = plain[:_LONGEST_NAME], 2
        while unique.lower() in by_key:
            unique, number = f"{plain[: _LONGEST_NAME - 4]} {number}", number + 1
        by_key[unique.lower()] = unique
    return list(by_key.values())


def _table(table: DataTable, name: str, common: Sequence[tuple[str, float, str]]) -> Any:
    import hepdata_lib  # noqa: PLC0415 - an extra

    made = hepdata_lib.Table(name)
    made.description = table.description
    made.location = "Supplementary material"
    energy = next(value for key, value, _ in common if key == "SQRT(S)")
    made.keywords = {
        "cmenergies": [energy],
        "reactions": [_REACTION],
        "observables": list(table.observables),
        "phrases": _PHRASES,
    }
    for axis in table.axes:
        made.add_variable(_axis(axis))
    for column in table.columns:
        made.add_variable(_column(column, common))
    return made


def _axis(axis: Axis) -> Any:
    import hepdata_lib  # noqa: PLC0415 - an extra

    made = hepdata_lib.Variable(
        axis.name, is_independent=True, is_binned=axis.is_binned, units=axis.units, values=list(axis.values)
    )
    made.digits = _DIGITS
    return made


def _column(column: Column, common: Sequence[tuple[str, float, str]]) -> Any:
    import hepdata_lib  # noqa: PLC0415 - an extra

    values = [_UNDEFINED if value is None else value for value in column.values]
    made = hepdata_lib.Variable(
        column.name,
        is_independent=False,
        is_binned=False,
        units=column.units,
        values=values,
        zero_uncertainties_warning=False,
    )
    made.digits = _DIGITS
    for name, value, units in common:
        made.add_qualifier(name, value, units)
    for name, text in column.qualifiers.items():
        made.add_qualifier(name, text)
    for label, errors in column.errors.items():
        if any(error is not None for error in errors):
            made.add_uncertainty(_uncertainty(label, errors))
    return made


def _uncertainty(label: str, errors: Sequence[Any]) -> Any:
    import hepdata_lib  # noqa: PLC0415 - an extra

    paired = any(isinstance(error, tuple) for error in errors)
    made = hepdata_lib.Uncertainty(label, is_symmetric=not paired)
    made.values = [(0.0, 0.0) if paired and error is None else error for error in errors]
    # The library omits an error that is None, but its setter does not accept None in place of a pair.
    made.values[:] = [None if error is None else value for error, value in zip(errors, made.values, strict=True)]
    return made


def _validate(folder: Path) -> None:
    """Raise if the HEPData validator, a dependency of hepdata_lib, finds an error."""
    from hepdata_validator.full_submission_validator import FullSubmissionValidator  # noqa: PLC0415 - an extra

    validator = FullSubmissionValidator()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves files to the garbage collector
        valid = validator.validate(directory=str(folder))
    if not valid:
        errors = [message.message for of_file in validator.get_messages().values() for message in of_file]
        msg = f"the validator of HEPData refuses the submission: {'; '.join(errors)}. Please report this."
        raise ResultsError(msg)
