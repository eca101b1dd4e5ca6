"""Members of an archive, from the files of a results folder: without paths, plugins, scores and unneeded datasets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from analysis.config import SearchConfig
from analysis.core.address import hide_secrets
from analysis.core.documents import to_json
from analysis.core.location import Location
from analysis.events.parts import variation_folder, weights_folder
from analysis.export.portable import portable_config
from analysis.limits.values import LimitsFile
from analysis.results import ResultsFolder
from analysis.results.manifest import Manifest
from analysis.results.processed_events import ProcessedEvents
from analysis.results.values import InputFile
from analysis.signals.yields import weight_columns

__all__ = ["SEARCH", "event_members", "portable_process", "search_members"]

SEARCH = "search"
"""Folder of the results of the archived search."""

_OF_EVENTS = ("scores.npz", "passes.npz", "truth.json")
"""Files of a window with one value per event, or with the truth of the events."""

_TRAINED = ("models", "classifier.json", "decorrelation.npz")
"""Files and folders of a window that were made of its events."""


def event_members(events: ProcessedEvents, folder: ResultsFolder, names: Iterable[str]) -> dict[str, Location]:
    """List the selected events of some datasets, with their varied weights and jets.

    Parameters
    ----------
    events : ProcessedEvents
    folder : ResultsFolder
    names : iterable of str
        Names of the datasets.

    Returns
    -------
    dict of str to Location
        Files by the names that they have below a results folder.
    """
    top, here = events.parts_folder(folder) / events.digest, Path("parts") / events.digest
    found: dict[str, Location] = {}
    for name in names:
        record = events.records[name]
        for part, path in zip(record.parts, events.part_paths(name, folder), strict=True):
            found[_posix(here, top, path)] = path
            further = [variation_folder(top, variation, name) for variation in record.variations]
            if not events.datasets[name].is_observed and weight_columns(events.systematics_of(name)):
                further.append(weights_folder(top, name))
            for place in further:
                found[_posix(here.parent, top.parent, place / part)] = place / part
    return found


def _posix(here: Path, top: Location, path: Location) -> str:
    return f"{here.as_posix()}/{str(path)[len(str(top)) + 1 :]}".replace("\\", "/")


def portable_process(document: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the content of `process.json` for some datasets, without paths and metadata of the analysts' own.

    Parameters
    ----------
    document : mapping
        Content of `process.json`.
    names : iterable of str

    Returns
    -------
    dict
    """
    datasets = {name: _portable_dataset(document["datasets"][name]) for name in names}
    return {**document, "datasets": datasets, "parts": None}


def _portable_dataset(record: Mapping[str, Any]) -> dict[str, Any]:
    dataset = record["dataset"]
    return {
        **record,
        "files": [{**file, "filename": _base(file["filename"])} for file in record["files"]],
        "skipped_files": [
            {**file, "filename": _base(file["filename"]), "reason": "not used"} for file in record["skipped_files"]
        ],
        "weights": {row: {**one, "file": _base(one["file"])} for row, one in record.get("weights", {}).items()},
        "dataset": {**dataset, "files": [[_base(path), tree] for path, tree in dataset["files"]], "own": {}},
    }


def search_members(
    folder: ResultsFolder, config: SearchConfig, limits: LimitsFile | None, *, of_events: bool, models: bool
) -> dict[str, Location | bytes]:
    """List the results of a search, below `search/`: configuration, windows with their models, limits and signals.

    Parameters
    ----------
    folder : ResultsFolder
    config : SearchConfig
    limits : LimitsFile or None
        Limits of this search; None without any.
    of_events : bool
        Include files with one value per event.
    models : bool
        Include the classifiers.

    Returns
    -------
    dict of str to Location or bytes
        Files, or content, by name in the archive; the configuration alone if the search has not run.
    """
    found: dict[str, Location | bytes] = dict(portable_config(config, plugins=False))
    if limits is not None:
        found["limits.json"] = _json(limits)
    if folder.has_results:
        manifest = folder.load_manifest()
        left_out = {*(() if of_events else _OF_EVENTS), *(() if models else _TRAINED)}
        kept = {
            path: digest
            for path, digest in (manifest.sha256 or {}).items()
            if not left_out.intersection(PurePath(path).parts)
        }
        found |= {path: folder.path / path for path in kept}
        found["manifest.json"] = _json(_portable_manifest(manifest, kept))
        results = folder.read_results()
        shown = (limits.limits, limits.sensitivity) if limits is not None else ((), ())
        found["results.json"] = _json(
            replace(
                results,
                inputs=tuple(map(_portable_input, results.inputs)),
                skipped_files=tuple(
                    replace(file, file=_base(file.file), reason="not used") for file in results.skipped_files
                ),
                limits=shown[0],
                sensitivity=shown[1],
            )
        )
        signals = folder.path / "signals"
        found |= {
            path.relative_to(folder.path).as_posix(): path for path in sorted(signals.rglob("*.json")) if path.is_file()
        }
    return {f"{SEARCH}/{name}": content for name, content in found.items()}


def _portable_manifest(manifest: Manifest, kept: Mapping[str, str]) -> Manifest:
    return replace(manifest, inputs=tuple(map(_portable_input, manifest.inputs or ())), sha256=dict(kept), drawn=None)


def _portable_input(file: InputFile) -> InputFile:
    return replace(file, file=_base(file.file))


def _base(path: str) -> str:
    """Last part of a path or address, without its parameters."""
    return hide_secrets(path).partition("?")[0].replace("\\", "/").rstrip("/").rpartition("/")[2]


def _json(value: object) -> bytes:
    return (json.dumps(to_json(value), indent=1, allow_nan=False) + "\n").encode()
