"""Stage `calibrate`: searches without signal, trained anew, and the p-values of the scan that they correct."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

from analysis.background import FUNCTIONS
from analysis.calibration.apply import EXACT, Calibrations, WindowCouplings
from analysis.calibration.coupling import Coupling, Labels, labels_of, template_masses
from analysis.calibration.nulls import NullEvents, null_events
from analysis.calibration.searches import NullTask, run_null_searches
from analysis.calibration.shipped import settings_digest, shipped_couplings
from analysis.calibration.summary import summarise
from analysis.calibration.values import CalibrationFile, NullBatch
from analysis.compute import Backend
from analysis.config import SearchConfig
from analysis.core.documents import to_json
from analysis.core.fingerprint import fingerprint
from analysis.errors import ConfigError
from analysis.learning import LEARNERS
from analysis.methods import METHODS, get_method
from analysis.regions import MassWindow
from analysis.search.requirements import require_known, require_samples
from analysis.search.window import window_task
from analysis.stages.inputs import SearchInputs, stage
from analysis.validation.samples import Setting

__all__ = ["calibrate", "calibration_identity", "calibration_key", "load_calibrations", "load_couplings"]

_log = logging.getLogger("cwola")

_PER_RECORD = 5
_KIND = "calibration"


def calibrate(
    inputs: SearchInputs, backend: Backend, *, searches: int, windows: Sequence[str] | None = None
) -> CalibrationFile:
    """Search pseudo-data without signal that are not on disk yet, and write `calibration.json`.

    Parameters
    ----------
    inputs : SearchInputs
    backend : Backend
    searches : int
        Number of sets of pseudo-data; rounded up to a multiple of five.
    windows : sequence of str, optional
        Names of the windows to calibrate. By default every set is searched in all windows of the scan, which gives the
        global p-value, too.

    Returns
    -------
    CalibrationFile
        From all records on disk, of these and other windows.

    Raises
    ------
    ConfigError
        If a window is unknown, or the method uses the truth, so that it has nothing to learn without signal.
    WindowError
        If no events lie beside the masks of the windows.
    FitError
        If the spectrum beside the mask has no smooth fit.
    """
    config, folder = inputs.config, inputs.folder
    inputs.events.require_selection(config, folder)
    require_known(config)
    require_samples(config, truth=True, simulation=bool(inputs.background))
    if get_method(config.learning.method).uses_truth:
        msg = (
            f"method {config.learning.method} trains on simulated signal, so that its z needs no calibration with "
            "retraining. Choose another learning.method."
        )
        raise ConfigError(msg)
    chosen = inputs.regions.named(windows)
    tasks = {
        _record_key(inputs, window, chosen, first): NullTask(
            window_task(window, inputs.regions, _single(config)), first, _PER_RECORD
        )
        for first in range(0, searches, _PER_RECORD)
        for window in chosen
    }
    with stage("calibrate"):
        done = folder.load_records(NullBatch, _KIND, tasks)
        pending = [key for key in tasks if key not in done]
        events = partial(_null_events, inputs, chosen)
        keys = {id(tasks[key]): key for key in pending}
        for task, batch in run_null_searches([tasks[key] for key in pending], events, backend):
            done[keys[id(task)]] = batch
            folder.save_record(_KIND, keys[id(task)], batch)
        return _save(inputs, [*done.values(), *_further(inputs, chosen, searches)])


def load_calibrations(inputs: SearchInputs) -> Calibrations:
    """Return the calibrations of a search: measured with its own events, or else from the coupling of folds.

    Blinded searches have nothing to calibrate, and methods that train on the truth no coupling.
    """
    config, couplings = inputs.config, shipped_couplings()
    if inputs.blinded or get_method(config.learning.method).uses_truth:
        return Calibrations()
    stored, mjj = _stored(inputs), inputs.fitted.table.mjj
    return Calibrations(
        searched={} if stored is None else _couplings(stored),
        shipped={window.name: couplings.at(config, window.in_signal(mjj).sum()) for window in inputs.regions.windows},
        labels=_Labels(inputs),
        largest=() if stored is None else stored.largest,
        exact=config.learning.cross_fitting in EXACT,
    )


def load_couplings(
    inputs: SearchInputs, window: MassWindow, n_window: int, settings: Iterable[tuple[str, tuple[str, ...]]]
) -> dict[tuple[str, tuple[str, ...]], WindowCouplings]:
    """Return the couplings of folds in a window of `n_window` events, by method and features.

    They are empty where `load_calibrations` has none. Those measured with the search's own events hold for its own
    windows, method and features.
    """
    config, shipped = inputs.config, shipped_couplings()
    own = (config.learning.method, config.learning.features)
    stored = _stored(inputs) if window in inputs.regions.windows and not inputs.blinded else None
    searched = {} if stored is None else _couplings(stored).get(window.name, {})
    found = {}
    for method, features in settings:
        if inputs.blinded or get_method(method).uses_truth:
            found[method, features] = WindowCouplings()
            continue
        learning = config.learning.model_copy(update={"method": method, "features": features})
        found[method, features] = WindowCouplings(
            searched if (method, features) == own else {},
            shipped.at(config.model_copy(update={"learning": learning}), n_window),
            config.learning.cross_fitting in EXACT,
        )
    return found


def _stored(inputs: SearchInputs) -> CalibrationFile | None:
    """Read the searches without signal; None, with a warning if there are others, without those of this search."""
    stored = inputs.folder.load_calibration(calibration_key(inputs))
    if stored is None and inputs.folder.has_calibration:
        _log.warning(
            "calibration.json is of other events, settings or code than this search, or damaged, and is not used. Make "
            "it again: `cwola calibrate --output %s`.",
            inputs.folder.path,
        )
    return stored


class _Labels(Mapping[str, Labels]):
    """Labels of the windows by name, made when they are asked for: they are as large as the events of the window."""

    def __init__(self, inputs: SearchInputs) -> None:
        self._windows = {window.name: window for window in inputs.regions.windows}
        self._mjj = inputs.fitted.table.mjj
        self._template = template_masses(get_method(inputs.config.learning.method), inputs.fitted.simulation)
        self._latest: tuple[str, Labels] | None = None

    def __getitem__(self, name: str) -> Labels:
        if self._latest is None or self._latest[0] != name:
            self._latest = name, labels_of(self._windows[name], self._mjj, self._template)
        return self._latest[1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._windows)

    def __len__(self) -> int:
        return len(self._windows)


def calibration_identity(inputs: SearchInputs) -> Any:
    """Return what `load_calibrations` depends on, beside events, windows and code, without reading events."""
    stored = inputs.folder.load_calibration(calibration_key(inputs))
    settings = settings_digest(inputs.config)
    return to_json(
        {
            "searched": {} if stored is None else _couplings(stored),
            "shipped": [entry for entry in shipped_couplings().entries if entry.settings == settings],
            "blinded": inputs.blinded,
        }
    )


def _couplings(stored: CalibrationFile) -> dict[str, dict[str, Coupling]]:
    return {
        window: {name: one.coupling for name, one in measured.items() if one.coupling is not None}
        for window, measured in stored.windows.items()
    }


def _further(inputs: SearchInputs, chosen: Sequence[MassWindow], searches: int) -> Iterator[NullBatch]:
    """Read the records of an earlier run with more searches."""
    for first in count(-(-searches // _PER_RECORD) * _PER_RECORD, _PER_RECORD):
        keys = [_record_key(inputs, window, chosen, first) for window in chosen]
        found = inputs.folder.load_records(NullBatch, _KIND, keys)
        if not found:
            return
        yield from found.values()


def _save(inputs: SearchInputs, batches: list[NullBatch]) -> CalibrationFile:
    """Write `calibration.json`, with the windows that an earlier run calibrated."""
    key = calibration_key(inputs)
    found = summarise(key, batches, [window.name for window in inputs.regions.windows])
    before = inputs.folder.load_calibration(key)
    if before is not None:
        others = {name: nulls for name, nulls in before.windows.items() if name not in found.windows}
        found = replace(found, windows={**others, **found.windows}, largest=found.largest or before.largest)
    inputs.folder.save_calibration(found)
    return found


def _single(config: SearchConfig) -> SearchConfig:
    """Return the configuration with one training per window."""
    return config.model_copy(update={"learning": config.learning.model_copy(update={"n_seeds": 1})})


def _null_events(inputs: SearchInputs, windows: Sequence[MassWindow]) -> NullEvents:
    """Read the events beside the masks of all chosen windows; the spectrum is fitted beside the middle one."""
    middle, config = windows[len(windows) // 2], _single(inputs.config)
    task = window_task(middle, inputs.regions, config)
    setting = Setting(middle, task.edges, config, task.functions, inputs.needs_simulation)
    data = inputs.read_fitted(inputs.features, simulation=inputs.needs_simulation)  # not kept: pseudo-data are copies
    return null_events(data.table, setting, data.simulation, masks=[window.mask for window in windows])


def calibration_key(inputs: SearchInputs) -> str:
    """Return the fingerprint of everything that a search without signal depends on, but window and number."""
    config, events = _single(inputs.config), inputs.events
    records = [[name, events.scale(name), events.content(name)] for name in inputs.background]
    return fingerprint(
        code=["analysis.calibration.searches"],
        events=[events.digest, records if inputs.needs_simulation else []],
        config=(config, "learning", "background"),
        seed=config.random_state,
        plugins=[
            (METHODS, [config.learning.method]),
            (LEARNERS, [config.learning.learner]),
            (FUNCTIONS, config.background.functions),
        ],
        likelihood=config.statistics.likelihood,
        bin_width=inputs.regions.bin_width,
        windows=[window.to_json() for window in inputs.regions.windows],
    )


def _record_key(inputs: SearchInputs, window: MassWindow, chosen: Iterable[MassWindow], first: int) -> str:
    masked = [one.to_json() for one in chosen]
    return fingerprint(code=(), upstream=[calibration_key(inputs)], window=window.to_json(), masked=masked, first=first)
