"""Selected events of a results folder for other programs and notebooks: a reader, and a pointer to their folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from analysis.core.location import Location
from analysis.errors import ConfigError, writing
from analysis.events.table import EventTable
from analysis.results.files import write_json, write_text
from analysis.results.folder import ResultsFolder
from analysis.results.part_folders import remove_outdated, restore_unlisted, set_aside
from analysis.results.processed_events import ProcessedEvents, load_processed

__all__ = ["load_events", "point_to_events", "withdraw_pointer"]

_POINTER = "events.json"
_README = """Selected events: one folder for each selection, former ones too, so do not read this folder as one table.
`events.json` in the results folder names the folder and the files of the last `cwola process`; in Python,
`analysis.results.load_events` reads them. The page "The results folder" of the documentation says more.
"""


def load_events(results: ResultsFolder | Path | str, datasets: Iterable[str] | None = None) -> EventTable:
    """Read the selected events of a results folder: those of the last `cwola process`, each once.

    Parameters
    ----------
    results : ResultsFolder, pathlib.Path or str
    datasets : iterable of str, optional
        Names of the datasets to read; by default all, in the order of the datasets file.

    Returns
    -------
    EventTable
        Both rapidity regions, see the column `rapidity_region`; dataset by dataset, sorted by `event_id`. `weight` is
        normalised to cross-section and luminosity where a dataset has both; the files hold raw weights. Events of
        blinded data are not hidden.

    Raises
    ------
    ConfigError
        If a dataset was not processed.
    ResultsError
        If the folder has no selected events, or a file is missing or damaged.
    TableError
        If `datasets` is empty, or an event of a dataset occurs twice.

    Examples
    --------
    >>> from analysis.results import load_events
    >>> events = load_events("results", ["hidden_signal"])
    >>> len(events), int((events.column("rapidity_region") == "search").sum())
    (253, 207)
    """
    folder = results if isinstance(results, ResultsFolder) else ResultsFolder(Path(results))
    events = load_processed(folder)
    names = list(events.datasets if datasets is None else datasets)
    if unknown := [name for name in names if name not in events.datasets]:
        msg = f"{folder.path} holds no dataset '{unknown[0]}'. Datasets: {', '.join(events.datasets)}."
        raise ConfigError(msg)
    return EventTable.joined([events.read_all(name, folder) for name in names])


def withdraw_pointer(folder: ResultsFolder) -> None:
    """Remove the pointer until the next processing is done, which may use files that were moved aside.

    Raises
    ------
    ResultsError
        If files cannot be moved.
    """
    with writing(folder.parts):
        (folder.path / _POINTER).unlink(missing_ok=True)
    restore_unlisted(folder.parts)


def point_to_events(folder: ResultsFolder, events: ProcessedEvents) -> None:
    """Write the pointer to the current folder, and clear away other files, unless other results may share them.

    Parameters
    ----------
    folder : ResultsFolder
    events : ProcessedEvents
        Result of the processing.

    Raises
    ------
    ResultsError
        If files cannot be written, moved or removed.
    """
    current = events.parts_folder(folder) / events.digest
    paths = [path for name in events.datasets for path in events.part_paths(name, folder)]
    if isinstance(current, Path) and events.location is None:
        with writing(current):
            current.mkdir(parents=True, exist_ok=True)  # there is none without a dataset
        set_aside(current, set(paths))
        remove_outdated(current)
        write_text(folder.parts / "README.txt", _README)
        where = current.relative_to(folder.path).as_posix()
    else:
        where = str(current)
    write_json(folder.path / _POINTER, {"folder": where, "files": [_below(current, path) for path in paths]})


def _below(current: Location, path: Location) -> str:
    return str(path)[len(str(current)) + 1 :].replace("\\", "/")
