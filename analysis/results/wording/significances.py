"""Words on significances: calibrated with retraining beside nominal ones, and where there is no calibration.

A nominal significance is that of the count alone, as if the selection had been fixed beforehand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from analysis.learning import INCLUSIVE
from analysis.limits.values import Sensitivity
from analysis.regions import Interval
from analysis.results.documents import calibration_of
from analysis.results.numbers import SPACE, interval, percent, z_value
from analysis.results.values import SelectionDocument, WindowDocument
from analysis.search.null_distribution import CALIBRATION_SOURCES
from analysis.search.retraining import needs_calibration
from analysis.search.seeds import SeedSpread
from analysis.search.values import SelectionResult, WindowResult
from analysis.signals.values import SignalSelection
from analysis.statistics import GlobalResult

__all__ = [
    "UNCALIBRATED",
    "calibration_caption",
    "calibration_notes",
    "expected_z_remark",
    "hidden_z_notes",
    "local_z_text",
    "nominal_text",
    "retraining_remark",
    "z_spread",
    "z_with_error",
]

Selection = SelectionDocument | SelectionResult
Windows = Sequence[WindowDocument] | Sequence[WindowResult]

UNCALIBRATED = "not calibrated with retraining"

_TOO_FREQUENT = "folds train one another, so that large z are more frequent than p₀ says"
_COMMANDS = "Run `cwola calibrate`, then `cwola scan` again."
_SHOWN_ERROR = 0.05
_MOST = 1
"""Largest number of windows that are named in a figure."""

_SOURCES = {
    "searches": f"is calibrated with retraining, by {CALIBRATION_SOURCES['searches']}",
    "shipped": f"is calibrated with retraining, by {CALIBRATION_SOURCES['shipped']}",
    "exact": "needs no calibration: each test is independent of its training",
}


def z_with_error(z: float | None, error: float | None) -> str:
    """Format a significance with its error, both to 0.1; without an error that would be 0.0."""
    if z is None or error is None or error < _SHOWN_ERROR:
        return z_value(z)
    return f"{z_value(z)}{SPACE}±{SPACE}{error:.1f}"


def local_z_text(selection: Selection) -> str:
    """Return the local significance of a selection, with its error if it is calibrated."""
    return z_with_error(selection.local_z, selection.local_z_error)


def nominal_text(selection: Selection) -> str:
    """Return "nominal 4.5" for the significance before its calibration; empty without one, and if it is exact."""
    return "" if selection.nominal_z is None else f"nominal{SPACE}{z_value(selection.nominal_z)}"


def expected_z_remark(selections: Iterable[SignalSelection]) -> str:
    """Say how the expected significances of signals are calibrated."""
    calibrated = any(one.expected_z_calibrated is not None for one in selections)
    return f"expected z is pre-fit{', calibrated like z of its window' * calibrated}"


def hidden_z_notes(found: Iterable[Sensitivity]) -> list[str]:
    """Say how the significances of hidden signals are calibrated, and which are nominal."""
    curves = [curve for one in found for curve in one.curves if curve.selection != INCLUSIVE]
    sources = dict.fromkeys(curve.calibrated.source for curve in curves if curve.calibrated is not None)
    notes = [f"z of hidden signals {_SOURCES[source]}." for source in sources]
    nominal = [one for one in curves if one.calibrated is None and needs_calibration(one.selection, one.method)]
    lacking = sorted({one.efficiency for one in nominal if one.efficiency is not None}, reverse=True)
    if lacking:
        where = f" at an efficiency of {', '.join(map(percent, lacking))}" if sources else ""
        notes.append(f"z of hidden signals{where} is {UNCALIBRATED}: {_TOO_FREQUENT}.")
    return notes


def z_spread(selection: SelectionDocument) -> SeedSpread | None:
    """Return the spread of z over all trainings, calibrated if possible; None for a single training."""
    spread, calibration = selection.seeds.get("z"), calibration_of(selection)
    return spread if spread is None or calibration is None else spread.calibrated(calibration)


def _uncalibrated_windows(windows: Windows, most: int | None = None) -> str | None:
    """Name the windows with significances that lack a calibration, if there are others; None if none lacks it.

    More windows than `most` are counted.
    """
    trained = [(one.window.signal, _tested(one)) for one in windows]
    lacking = [signal for signal, tested in trained if any(one.lacks_calibration for one in tested)]
    if not lacking:
        return None
    if all(one.calibration is None for _, tested in trained for one in tested):
        return ""
    if most is not None and len(lacking) > most:
        return f" in {len(lacking)} of {len(windows)} windows"
    return _in(lacking)


def calibration_notes(windows: Windows, *, remedy: bool = True) -> list[str]:
    """Return sentences on the calibration with retraining of the significances that are shown.

    Parameters
    ----------
    windows : sequence of WindowDocument or WindowResult
    remedy : bool
        Whether to name the commands that calibrate.

    Returns
    -------
    list of str
        Origin of the calibrations, and where there is none; empty without significances of trained selections.
    """
    selections = [one for window in windows for one in _tested(window)]
    found = _calibrated_windows(windows)
    notes = [
        f"z of trained selections{_in(signals) * (len(found) > 1)} {_SOURCES[source]}."
        for source, signals in found.items()
    ]
    if any(one.nominal_z is not None for one in selections):
        notes[-1] += " Nominal values take the selection as fixed beforehand."
    if (where := _uncalibrated_windows(windows)) is not None:
        notes.append(f"z of trained selections{where} is {UNCALIBRATED}: {_TOO_FREQUENT}.{f' {_COMMANDS}' * remedy}")
    return notes


def calibration_caption(windows: Windows) -> str:
    """Return the note of a figure on significances that lack a calibration; empty if none does."""
    where = _uncalibrated_windows(windows, _MOST)
    return "" if where is None else f"{UNCALIBRATED.capitalize()}{where}: run{SPACE}cwola{SPACE}calibrate"


def retraining_remark(total: GlobalResult, selections: Iterable[Selection]) -> str | None:
    """Return a sentence on how far a global p-value counts that classifiers are trained on fluctuations."""
    if total.method == "retrained-scans":
        return f"It comes from {total.n_toys} scans without signal, in each of which all classifiers were trained anew."
    if total.method.startswith("pseudo-experiments") and any(needs_calibration(s.name, s.method) for s in selections):
        return "Its pseudo-experiments hold the classifiers fixed; `cwola calibrate` counts retraining, too."
    return None


def _calibrated_windows(windows: Windows) -> dict[str, list[Interval]]:
    """Return the windows that have calibrations of each origin."""
    found: dict[str, list[Interval]] = {}
    for window in windows:
        known = [one.calibration for one in _tested(window) if one.calibration is not None]
        for source in dict.fromkeys(one if isinstance(one, str) else one.source for one in known):
            found.setdefault(source, []).append(window.window.signal)
    return found


def _tested(window: WindowDocument | WindowResult) -> list[Selection]:
    return [one for one in window.selections if one.local_z is not None]


def _in(signals: Sequence[Interval]) -> str:
    *first, last = map(interval, signals)
    return f" in {', '.join(first)} and {last}{SPACE}GeV" if first else f" in {last}{SPACE}GeV"
