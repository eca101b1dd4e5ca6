"""Folder of one window: record, spectrum, workspaces, pass weights, scores and models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import hist
import numpy as np
from numpy.typing import NDArray

from analysis.core.documents import parse_json, to_json
from analysis.core.text_files import load_json, open_regular, read_bytes
from analysis.methods import find_storage
from analysis.results.documents import window_document, window_from_document
from analysis.results.files import read_spectrum, write_json, write_spectrum
from analysis.results.values import WindowDocument
from analysis.search.classifiers import save_classifier
from analysis.search.values import WindowResult

__all__ = ["fill_window", "read_window"]


def fill_window(folder: Path, keys: Mapping[str, str], result: WindowResult) -> None:
    """Write the stored results of a window to an empty folder."""
    models = folder / "models"
    if result.models:
        models.mkdir()
    suffix = find_storage(result.learner, result.selections[0].method).suffix if any(result.models) else ""
    for fold, members in enumerate(result.models):
        for member, document in enumerate(members):
            (models / f"fold{fold}_member{member}{suffix}").write_bytes(document)
    save_classifier(folder, result)
    for name, spectrum in (("spectrum", result.spectrum), ("truth", result.truth)):
        if spectrum is not None:
            write_spectrum(folder / f"{name}.json", spectrum)
    for selection in result.selections:
        if selection.workspace is not None:
            write_json(folder / f"workspace_{selection.name}.json", selection.workspace)
    if result.passes is not None:
        np.savez_compressed(folder / "passes.npz", passes=result.passes)
    if result.scores is not None:
        np.savez_compressed(folder / "scores.npz", scores=result.scores)
    write_json(folder / "window.json", {**keys, **to_json(window_document(result))})


def read_window(folder: Path) -> WindowResult:
    """Read a window written by `fill_window`, without the models.

    Raises
    ------
    OSError, ValueError
        If a file is missing or damaged.
    """
    document = parse_json(WindowDocument, read_bytes(folder / "window.json"))
    workspaces = {
        path.stem.removeprefix("workspace_"): load_json(read_bytes(path), longest=None)
        for path in folder.glob("workspace_*.json")
    }
    spectrum, passes = _read_spectrum(folder / "spectrum.json"), _read_passes(folder / "passes.npz")
    result = window_from_document(document, spectrum, workspaces, passes)
    return replace(result, truth=_read_spectrum(folder / "truth.json"))


def _read_spectrum(path: Path) -> hist.Hist[Any] | None:
    return read_spectrum(path) if path.exists() else None


def _read_passes(path: Path) -> NDArray[Any] | None:
    if not path.exists():
        return None
    with open_regular(path) as stream, np.load(stream, allow_pickle=False) as stored:
        passes: NDArray[Any] = stored["passes"]
    return passes
