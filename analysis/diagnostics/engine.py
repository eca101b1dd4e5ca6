"""All diagnostics of all windows, one task per window.

To add a section, write its function, name it in `SECTIONS`, and add a field of that name to `DiagnosedWindow`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.compute import Backend, track
from analysis.diagnostics.ensemble import ensemble
from analysis.diagnostics.features import features
from analysis.diagnostics.importance import importance
from analysis.diagnostics.masses import masses
from analysis.diagnostics.performance import performance
from analysis.diagnostics.sections import (
    DiagnosedWindow,
    EnsembleSection,
    FeaturesSection,
    ImportanceSection,
    MassesSection,
    PerformanceSection,
    SculptingSection,
)
from analysis.diagnostics.shapes import sculpting
from analysis.diagnostics.values import ScoredWindow
from analysis.regions import Interval
from analysis.search.blinding import blind_window
from analysis.search.classifiers import Classifier
from analysis.search.values import SearchData, WindowResult

__all__ = ["SECTIONS", "diagnose_window", "diagnose_windows"]

Section = FeaturesSection | MassesSection | SculptingSection | PerformanceSection | EnsembleSection | ImportanceSection

SECTIONS: dict[str, Callable[[ScoredWindow], Section | None]] = {
    "features": features,
    "masses": masses,
    "sculpting": sculpting,
    "performance": performance,
    "ensemble": ensemble,
    "importance": importance,
}
"""Sections by field of `DiagnosedWindow`; each returns None if it has no content."""


@dataclass(frozen=True)
class _Shared:
    """Inputs shared by all windows; while blinded without the events inside any mask."""

    data: SearchData
    random_state: int
    hidden: tuple[Interval, ...]


@dataclass(frozen=True)
class _Task:
    result: WindowResult
    scores: NDArray[np.float32] | None
    classifier: Classifier | None


def diagnose_windows(
    data: SearchData,
    results: Sequence[WindowResult],
    scores: Mapping[str, NDArray[np.float32]],
    classifiers: Mapping[str, Classifier],
    backend: Backend,
    *,
    random_state: int,
) -> list[DiagnosedWindow]:
    """Run all sections for all searched windows.

    While blinded no section receives events or bins of a spectrum inside the mask of any window.

    Parameters
    ----------
    data : SearchData
    results : sequence of WindowResult
        Failed windows are left out.
    scores : mapping of str to (n_in_fit_range,) float32
        Out-of-fold scores of the events in the fit range, by window name; not used while blinded.
    classifiers : mapping of str to Classifier
        By window name.
    backend : Backend
    random_state : int
        Seed of the search.

    Returns
    -------
    list of DiagnosedWindow
        In the order of the results.
    """
    masks = [result.window.mask for result in results]
    shared = _Shared(_visible(data, masks), random_state, tuple(masks) if data.blinded else ())
    tasks = [
        _Task(
            blind_window(result, masks) if data.blinded else result,
            None if data.blinded else scores[result.window.name],
            classifiers.get(result.window.name),
        )
        for result in results
        if result.status != "failed"
    ]
    diagnosed = dict(track(backend.map(_run, tasks, shared=shared), total=len(tasks), description="Diagnosing"))
    return [diagnosed[index] for index in range(len(tasks))]


def diagnose_window(window: ScoredWindow) -> DiagnosedWindow:
    """Run all sections for one window."""
    sections: dict[str, Any] = {name: section(window) for name, section in SECTIONS.items()}
    return DiagnosedWindow(window=window.result.window, blinded=window.blinded, **sections)


def _run(task: _Task, shared: _Shared) -> DiagnosedWindow:
    data = shared.data.within(task.result.window)
    parts = task.result, data.table, task.scores, task.classifier, data.signal_datasets
    return diagnose_window(ScoredWindow(*parts, random_state=shared.random_state, hidden=shared.hidden))


def _visible(data: SearchData, masks: Sequence[Interval]) -> SearchData:
    if not data.blinded:
        return data
    mjj = data.table.mjj
    beside = np.logical_and.reduce([(mjj < low) | (mjj >= high) for low, high in masks])
    return replace(data, table=data.table.select(np.broadcast_to(beside, mjj.shape)))
