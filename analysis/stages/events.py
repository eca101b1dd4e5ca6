"""Control figures before the training, and lists of selected events after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.compute import Backend
from analysis.errors import ConfigError, ResultsError, TableError
from analysis.events.dataset import Dataset
from analysis.events.datasets import observed_datasets
from analysis.events.parts import Part
from analysis.export.event_list import pick_events, require_format, write_events
from analysis.histograms.control import ControlHistograms, ControlPlan, ControlSample, fill_control
from analysis.histograms.control_comparison import comparisons
from analysis.results import ResultsFolder
from analysis.results.processed_events import ProcessedEvents, is_blinded, load_processed
from analysis.search.values import WindowResult
from analysis.stages.inputs import SearchInputs, stage

__all__ = ["Selected", "plot_control", "select_events"]


@dataclass(frozen=True)
class Selected:
    """A written list of events.

    Attributes
    ----------
    path : pathlib.Path
    count : int
        Number of events.
    """

    path: Path
    count: int


def plot_control(inputs: SearchInputs, backend: Backend, *, only: Sequence[str] = ()) -> list[Path]:
    """Draw all features in data and simulation, from the selected events.

    Parameters
    ----------
    inputs : SearchInputs
        The windows are blinded if the search is.
    backend : Backend
    only : sequence of str
        Names or kinds of the figures; all if empty.

    Returns
    -------
    list of pathlib.Path
        Files of the figures; the histograms are written to the same folder.

    Raises
    ------
    ConfigError
        If the events were selected with another selection.
    TableError
        If no data events can be drawn.
    """
    from analysis.plots import save_control_figures

    events, folder, config = inputs.events, inputs.folder, inputs.config
    events.require_selection(config, folder)
    with stage("plot --control"):
        filled = fill_control(_samples(events, folder), _plan(inputs), backend)
        contents = list(comparisons(filled))
        if not contents:
            reason = " outside the masks of all windows, and the data are blinded" if filled.plan.blinded else ""
            where = events.parts_folder(folder)
            msg = f"no data event in {where} can be drawn{reason}. Check the cutflow of `cwola process`."
            raise TableError(msg)
        figures = save_control_figures(
            contents, folder.plots / "control", config.plots, only=only, backend=backend.here
        )
        folder.save_control(_document(filled))
    return figures


def _plan(inputs: SearchInputs) -> ControlPlan:
    events, folder = inputs.events, inputs.folder
    parts = [part for name in events.datasets for part in events.part_paths(name, folder)]
    if not parts:
        msg = f"the parts in {events.parts_folder(folder)} hold no event: process again."
        raise TableError(msg)
    # A folder that was blinded for all kinds of data stays so, though another configuration is given for the figures.
    asked = folder.config.exists() and folder.load_config().statistics.blind
    return ControlPlan.from_config(inputs.config, Part.open(parts[0]).features, blinded=asked or inputs.blinded)


def _samples(events: ProcessedEvents, folder: ResultsFolder) -> list[ControlSample]:
    observed_datasets(events.datasets)
    return [
        ControlSample(
            name,
            _role(dataset),
            events.part_paths(name, folder),
            events.scale(name),
            dataset.is_normalised,
            dataset.kind.capitalize() if dataset.is_observed else dataset.stitch or name,
        )
        for name, dataset in events.datasets.items()
    ]


def _role(dataset: Dataset) -> str:
    if dataset.is_observed:
        return "observed"
    return "signal" if dataset.is_signal else "background"


def _document(filled: ControlHistograms) -> dict[str, Any]:
    return {
        "fit_range": list(filled.plan.fit_range),
        "masks": [list(mask) for mask in filled.plan.masks],
        "blinded": filled.plan.blinded,
        "normalised": {sample.name: sample.normalised for sample in filled.samples},
        "roles": {sample.name: sample.role for sample in filled.samples},
        "histograms": filled.histograms,
    }


def select_events(
    folder: ResultsFolder, window: tuple[float, float], selection: str, output: Path | None, *, order: str
) -> Selected:
    """Write the events that pass a selection in a window.

    Parameters
    ----------
    folder : ResultsFolder
        Results folder of a finished scan.
    window : (low, high)
        Window of the scan, GeV.
    selection : str
        Selection of the scan.
    output : pathlib.Path or None
        `.csv`, `.parquet` or `.txt` file; None for a CSV file in the results folder.
    order : str
        One of `analysis.export.event_list.ORDERS`.

    Returns
    -------
    Selected

    Raises
    ------
    ConfigError
        If the window, selection or format is unknown.
    ResultsError
        If the results are blinded, or belong to other events than those on disk.
    """
    results, windows = folder.load_results()
    result = _find(windows, window, selection, folder)
    path = output or folder.path / "selected" / f"{result.window.name}_{selection}.csv"
    require_format(path)
    searched = {file.dataset for file in results.inputs}
    events = load_processed(folder)
    if lost := searched - set(events.datasets):
        msg = f"{folder.path} was searched with {', '.join(sorted(lost))}, which is not processed now. Scan again."
        raise ResultsError(msg)
    events = events.without(set(events.datasets) - searched)
    if results.blinded or is_blinded(events, folder.load_config()):
        msg = (
            f"{folder.path} is blinded: the events inside a window are not listed, and nothing was written. If you may "
            "look, set unblind = true for real data, and blind = false, in [statistics] of the configuration, run "
            f"`cwola scan --output {folder.path} --config FILE`, and select again."
        )
        raise ResultsError(msg)
    scores = folder.load_scores(result.window.name, inputs=events.identity(blinded=False))
    table = events.searched(folder).read(result.window.fit_range)
    picked = pick_events(table, result, selection, scores, order=order)
    write_events(picked, path)
    return Selected(path, picked.num_rows)


def _find(
    windows: list[WindowResult], wanted: tuple[float, float], selection: str, folder: ResultsFolder
) -> WindowResult:
    by_signal = {result.window.signal: result for result in windows}
    if wanted not in by_signal:
        available = ", ".join(f"{low:g}:{high:g}" for low, high in by_signal)
        msg = f"--window {wanted[0]:g}:{wanted[1]:g} is no window of {folder.path}. Windows: {available}."
        raise ConfigError(msg)
    result = by_signal[wanted]
    names = [one.name for one in result.selections]
    if selection not in names:
        detail = f"Selections: {', '.join(names)}." if names else f"The window failed: {result.reason}"
        msg = f"--selection {selection} is no selection of window {result.window.name} GeV. {detail}"
        raise ConfigError(msg)
    return result
