"""Stage `drift`: how far the features tell m_jj, before anything is trained."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from analysis.compute import Backend, track
from analysis.config import LearningConfig
from analysis.core.fingerprint import fingerprint
from analysis.errors import CwolaError
from analysis.events.table import EventTable
from analysis.regions import Interval, MassWindow
from analysis.stages.inputs import SearchInputs, stage
from analysis.validation.drift import DATA, SIMULATION, WindowDrift, drift_notes, measure_drift

__all__ = ["drift_key", "measure_drifts"]

_log = logging.getLogger("cwola")


def measure_drifts(inputs: SearchInputs, backend: Backend) -> tuple[WindowDrift, ...]:
    """Measure the drift of the features around all windows, unless it is on disk, and warn where CWoLa cannot stand it.

    Parameters
    ----------
    inputs : SearchInputs
        Inputs with the folder for `drift.json`.
    backend : Backend

    Returns
    -------
    tuple of WindowDrift
        One per window and sample: the data, and simulated background where there is any.

    Raises
    ------
    TableError
        If the events lack a feature.
    """
    key = drift_key(inputs)
    found = inputs.folder.load_drift(key)
    if found is None:
        with stage("drift"):
            tables = _tables(inputs)
            found = _measure(inputs, tables, backend)
        if SIMULATION in tables or not inputs.background:
            inputs.folder.save_drift(key, found)
    for note in drift_notes(found, inputs.config):
        _log.warning("%s", note)
    return found


def drift_key(inputs: SearchInputs) -> str:
    """Return the fingerprint of the drifts of all windows."""
    learning = inputs.config.learning
    return fingerprint(
        code=["analysis.validation.drift"],
        events=inputs.identity_with(bool(inputs.background)),
        seed=inputs.config.random_state,
        features=learning.features,
        decorrelation=(learning.decorrelation, learning.decorrelated_features),
        windows=[window.to_json() for window in inputs.regions.windows],
    )


@dataclass(frozen=True)
class _Task:
    """Drift around one window in one sample, for a worker."""

    window: MassWindow
    sample: str
    learning: LearningConfig
    hidden: tuple[Interval, ...]
    seed: int


def _tables(inputs: SearchInputs) -> dict[str, EventTable]:
    """Read data, and simulation where it can be read: no result depends on it here."""
    features, fit_range = inputs.config.learning.features, inputs.config.scan.fit_range
    tables = {DATA: inputs.fitted.table}
    tables[DATA].require_features(features)
    if inputs.background:
        try:
            simulation = inputs.fitted.simulation or inputs.stored_background.read(fit_range, features)
        except (CwolaError, OSError, pa.ArrowException) as error:
            _log.warning("drift: measured in data alone, without simulation: %s", error)
        else:
            tables[SIMULATION] = simulation
    return tables


def _measure(inputs: SearchInputs, tables: Mapping[str, EventTable], backend: Backend) -> tuple[WindowDrift, ...]:
    task = partial(_Task, learning=inputs.config.learning, seed=inputs.config.random_state)
    tasks = [
        task(window, sample, hidden=inputs.hidden if sample == DATA else ())
        for window in inputs.regions.windows
        for sample in tables
    ]
    measured = backend.map(_run, tasks, shared=tables)
    done = dict(track(measured, total=len(tasks), description="Measuring drifts"))
    return tuple(done[index] for index in range(len(tasks)))


def _run(task: _Task, tables: Mapping[str, EventTable]) -> WindowDrift:
    table, sample = tables[task.sample], task.sample
    return measure_drift(table, task.window, task.learning, sample=sample, hidden=task.hidden, seed=task.seed)
