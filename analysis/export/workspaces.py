"""Background-only pyhf workspaces, and patch sets with all signal samples, for each window and selection."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.errors import ConfigError, ResultsError
from analysis.export.target import new_folder, write_json
from analysis.results import ResultsFolder
from analysis.results.values import Results
from analysis.search.values import SelectionResult, WindowResult
from analysis.signals.points import SHAPE
from analysis.signals.values import SignalResult, SignalYield
from analysis.statistics import PatchedSignal, background_only, patch_set

__all__ = ["export_workspaces"]

PLACEHOLDER = "ins0000000"
"""INSPIRE record in the patch sets before publication."""

_PARTICLES = ("A", "B", "C")


@dataclass(frozen=True)
class _Point:
    """A signal sample in one selection of one window."""

    signal: SignalResult
    selected: SignalYield
    strength_per_mu: float
    name: str
    """Name of its workspace."""
    by_shape: bool = False


def export_workspaces(folder: ResultsFolder, target: Path, *, hepdata: str = PLACEHOLDER) -> int:
    """Write background-only workspaces and patch sets.

    Parameters
    ----------
    folder : ResultsFolder
        Results folder of a finished scan.
    target : pathlib.Path
        New folder for a folder LOW-HIGH_SELECTION per window and selection, with `BkgOnly.json` and, given signal
        samples, `patchset.json`.
    hepdata : str
        INSPIRE record of the publication, "ins" and seven digits, as required by the schema of pyhf.

    Returns
    -------
    int
        Number of workspaces.

    Raises
    ------
    ConfigError
        If `hepdata` is not a valid record name.
    ResultsError
        If the results hold no workspaces, or the target is not empty.
    StatisticsError
        If workspaces of signal samples belong to another search.
    """
    if not re.fullmatch(r"ins[0-9]{7}", hepdata):
        msg = f"--hepdata: expected `ins` and seven digits, such as ins1234567, found '{hepdata}'."
        raise ConfigError(msg)
    results, windows = folder.load_results()
    cells = [
        (window, selection, selection.workspace)
        for window in windows
        for selection in window.selections
        if selection.workspace is not None
    ]
    if not cells:
        msg = f"{folder.path} has no workspace: no selection has a background. See `reason` in its results.json."
        raise ResultsError(msg)
    with new_folder(target) as staged:
        for window, selection, workspace in cells:
            place = staged / _folder(window, selection)
            background = background_only(workspace)
            write_json(place / "BkgOnly.json", background)
            counted, by_shape = _points(results.signals, window, selection)
            notes = _relations(window, selection, [(one, other) for one, other, _ in cells])
            if counted:
                patches = _patch_set(folder, background, counted, window, selection, hepdata, notes)
                write_json(place / "patchset.json", patches)
            if by_shape:
                first = by_shape[0]
                background = background_only(folder.load_signal_workspace(first.signal.dataset, first.name))
                background["measurements"][0]["name"] = "search"
                shaped = staged / f"{_folder(window, selection)}_{SHAPE}"
                write_json(shaped / "BkgOnly.json", background)
                patches = _patch_set(folder, background, by_shape, window, selection, hepdata, notes)
                write_json(shaped / "patchset.json", patches)
        (staged / "README.md").write_text(_readme(results), encoding="utf-8")
    return len(cells)


def _points(
    signals: Sequence[SignalResult], window: WindowResult, selection: SelectionResult
) -> tuple[list[_Point], list[_Point]]:
    """Signal samples with a workspace of the counts, and those with one of the shape model."""
    counted, by_shape = [], []
    name = _folder(window, selection)
    for signal in signals:
        for one in signal.yields:
            if one.window != window.window.signal or one.selection != selection.name:
                continue
            if one.strength_per_mu is not None:
                counted.append(_Point(signal, one, one.strength_per_mu, name))
            if one.shape_strength_per_mu is not None:
                by_shape.append(_Point(signal, one, one.shape_strength_per_mu, f"{name}_{SHAPE}", by_shape=True))
    return counted, by_shape


def _folder(window: WindowResult, selection: SelectionResult) -> str:
    return f"{window.window.name}_{selection.name}"


def _relations(
    window: WindowResult, selection: SelectionResult, cells: Sequence[tuple[WindowResult, SelectionResult]]
) -> dict[str, Any]:
    """Say which workspaces share events with one of them, and must not be combined with it."""
    low, high = window.window.signal
    shared: dict[str, list[str]] = {"shares_events_with": [], "shares_sidebands_with": []}
    for other, its_selection in cells:
        if (other.window, its_selection.name) == (window.window, selection.name):
            continue
        overlaps = other.window.signal[0] < high and low < other.window.signal[1]
        shared["shares_events_with" if overlaps else "shares_sidebands_with"].append(_folder(other, its_selection))
    return {
        "window_gev": list(window.window.signal),
        "selection": selection.name,
        **shared,
        "combination": (
            "must not be combined with `shares_events_with`, whose counts hold the same events; the backgrounds of "
            "`shares_sidebands_with` are correlated, since their fits and classifiers use the same sidebands"
        ),
    }


def _patch_set(
    folder: ResultsFolder,
    background: Mapping[str, Any],
    points: Sequence[_Point],
    window: WindowResult,
    selection: SelectionResult,
    hepdata: str,
    notes: Mapping[str, Any],
) -> dict[str, Any]:
    labels, values = _grid(points)
    names = _names([point.signal.dataset for point in points])
    signals = []
    for point, name, place in zip(points, names, values, strict=True):
        workspace = folder.load_signal_workspace(point.signal.dataset, point.name)
        signals.append(PatchedSignal(name, place, workspace, _notes(point, workspace, selection.weight)))
    description = (
        f"Signal samples in the selection {selection.name} of the window {window.window.name} GeV, at the efficiency "
        "of the classifiers of the search. Masses in GeV."
    )
    return patch_set(background, signals, labels=labels, description=description, hepdata=hepdata, notes=notes)


def _grid(points: Sequence[_Point]) -> tuple[list[str], list[tuple[float | str, ...]]]:
    """Label the points by the masses given for all of them, and also by their names if masses alone are ambiguous."""
    common = [name for name in _PARTICLES if all(name in point.signal.masses for point in points)]
    values: list[tuple[float | str, ...]] = [tuple(point.signal.masses[name] for name in common) for point in points]
    labels = [f"m_{name}" for name in common]
    if not labels or len(set(values)) < len(values):
        labels.append("dataset")
        values = [(*place, point.signal.dataset) for place, point in zip(values, points, strict=True)]
    return labels, values


def _names(datasets: Sequence[str]) -> list[str]:
    """Return unique names of the patches, with letters, digits and underscores as pyhf allows."""
    names: list[str] = []
    for dataset in datasets:
        plain = name = re.sub(r"\W", "_", dataset, flags=re.ASCII)
        while name in names:
            name = f"{plain}_{len(names)}"
        names.append(name)
    return names


def _notes(point: _Point, workspace: Mapping[str, Any], weight: float) -> dict[str, Any]:
    """Return the normalisation at mu = 1 as metadata of a patch."""
    selected, signal = point.selected, point.signal
    (sample,) = [sample for sample in workspace["channels"][0]["samples"] if sample["name"] == "signal"]
    net = float(sum(sample["data"])) * weight
    notes = {
        "dataset": signal.dataset,
        "events_per_mu": point.strength_per_mu * selected.events if point.by_shape else net,
        "strength_per_mu": point.strength_per_mu,
    }
    if selected.acceptance_efficiency and signal.lumi_ifb:
        generated = selected.events / selected.acceptance_efficiency
        notes["fb_per_mu"] = point.strength_per_mu * generated / signal.lumi_ifb
    return notes


def _readme(results: Results) -> str:
    observed = (
        "The search is blinded: the observation of every workspace is its expected background.\n"
        if results.blinded
        else ""
    )
    return f"""# Workspaces

Each folder LOW-HIGH_SELECTION belongs to one selection in one window of m_jj (GeV):

- `BkgOnly.json`: pyhf workspace with the background alone
- `patchset.json`: pyhf patch set; each patch adds one signal sample, with its uncertainties

LOW-HIGH_SELECTION_shape, if the search had `statistics.model = "shape"`, holds the same with all bins of the fit,
sidebands included, and templates of the signals. Then `events_per_mu` counts all signal events in the window, and every
folder shares events with every other.

```python
import json
import pyhf

background = json.load(open("LOW-HIGH_SELECTION/BkgOnly.json"))
patches = pyhf.PatchSet(json.load(open("LOW-HIGH_SELECTION/patchset.json")))
workspace = patches.apply(background, (3500, 500, 100))  # the masses, or the name of a patch
model = workspace.model()
data = workspace.data(model)
limit, expected = pyhf.infer.intervals.upper_limits.toms748_scan(data, model, 0.01, 50, level=0.05, rtol=1e-4)
```

Limits on mu are of order 1; pyhf cannot test mu = 0, so bracket them as above. The metadata of a patch say what mu = 1
is: `events_per_mu` in signal events in the window, net of what the fit to the sidebands absorbs; `strength_per_mu` in
units of the sample's normalisation; `fb_per_mu`, where luminosity and number of generated events are known, as a
cross-section.
The metadata of a patch set name the workspaces that share events with it, which must not be combined, and those that
share only sidebands, whose backgrounds are correlated.
The limits are at the efficiency of these classifiers: none of what they would learn from a stronger signal is in them.
{observed}"""
