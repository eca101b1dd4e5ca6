"""Stage `validate`: search of signal-free samples, their records, and the verdicts on the windows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from analysis.background import FUNCTIONS
from analysis.compute import Backend
from analysis.config import SearchConfig
from analysis.core.fingerprint import fingerprint
from analysis.errors import ConfigError
from analysis.events.reading import release_memory
from analysis.events.schema import VALIDATION_REGION
from analysis.events.stored import StoredEvents
from analysis.events.table import EventTable
from analysis.learning import LEARNERS
from analysis.methods import METHODS
from analysis.regions import MassWindow
from analysis.search.requirements import require_known
from analysis.stages.inputs import SearchInputs, stage
from analysis.validation import SOURCES, Draw, Pools, Source, find_sources, plan_draws, run_draws
from analysis.validation.rapidity import band_limit
from analysis.validation.values import WindowVerdict
from analysis.validation.verdicts import AFTER, BEFORE, window_verdict

__all__ = ["load_verdicts", "read_pools", "run_validation", "sample_keys", "validate"]

_log = logging.getLogger("cwola")


def validate(inputs: SearchInputs, backend: Backend, *, sources: Sequence[str] | None = None) -> list[WindowVerdict]:
    """Test all windows on signal-free samples; see `analysis.stages.validation.validate.run_validation`.

    Raises
    ------
    ConfigError
        If the events were selected with another selection.

    Examples
    --------
    >>> from analysis.compute import open_backend
    >>> from analysis.stages.inputs import SearchInputs
    >>> from analysis.stages.validation.validate import validate
    >>> with open_backend(1) as backend:
    ...     verdicts = validate(SearchInputs.load("results"), backend, sources=["rapidity"])
    >>> verdicts[0].verdict
    'not testable'
    >>> verdicts[0].reason
    'rapidity: the spectrum up to |Δy| = 2 is smooth only from 3703 GeV, and the lower sideband starts at 3100 GeV'
    """
    inputs.events.require_selection(inputs.config, inputs.folder)
    require_known(inputs.config)
    with stage("validate"):
        return run_validation(inputs, backend, sources=sources)


def run_validation(
    inputs: SearchInputs, backend: Backend, *, sources: Sequence[str] | None = None
) -> list[WindowVerdict]:
    """Search the signal-free samples that are not on disk yet, and judge all windows.

    Parameters
    ----------
    inputs : SearchInputs
        Inputs with the folder for the records of the samples and `validation.json`.
    backend : Backend
    sources : sequence of str, optional
        Names of the sources; defaults to the configured ones.

    Returns
    -------
    list of WindowVerdict
        One per window, from all records on disk; see `analysis.validation.verdicts`.

    Raises
    ------
    ConfigError
        If a source is unknown, or the band in |Δy| exceeds the selected range.
    """
    config, folder, scan = inputs.config, inputs.folder, inputs.regions
    chosen = find_sources(config.validation.sources if sources is None else sources)
    _require_band(config)
    key = sample_keys(inputs)
    draws = plan_draws(scan, config, chosen, pt_hat_min=inputs.threshold)
    keys = {_file(draw): key(draw.source, draw.window, draw.number) for draw in draws}
    todo = [draw for draw in draws if folder.load_validation(_file(draw), keys[_file(draw)]) is None]
    if todo:
        decided = {window.name: AFTER if folder.has_window(window.name) else BEFORE for window in scan.windows}
        for index, record in run_draws(partial(read_pools, inputs, chosen), todo, backend):
            draw = todo[index]
            record["decided"] = decided[draw.window.name]
            folder.save_validation(_file(draw), keys[_file(draw)], record)
            _log.info("%s, draw %d, window %s: %s", draw.source.name, draw.number, draw.window.name, record["status"])
        release_memory()
    verdicts = load_verdicts(inputs)
    folder.save_verdicts(verdicts)
    return verdicts


def load_verdicts(inputs: SearchInputs) -> list[WindowVerdict]:
    """Judge the windows by the records on disk that match the events, configuration and code.

    Returns
    -------
    list of WindowVerdict
        Verdicts as in `run_validation`, for windows with at least one record.
    """
    key = sample_keys(inputs)
    drift = [source.name for source in SOURCES if source.keeps_drift]
    verdicts = []
    for window in inputs.regions.windows:
        records = [
            record
            for source in SOURCES
            for record in inputs.folder.load_validations(f"{window.name}_{source.name}", partial(key, source, window))
        ]
        if records:
            before = all(record["decided"] == BEFORE for record in records)
            decided = BEFORE if before else AFTER
            verdicts.append(window_verdict(window.name, records, drift, inputs.config.validation, decided=decided))
    return verdicts


def _require_band(config: SearchConfig) -> None:
    if not config.selection.abs_dy_search < band_limit(config) <= config.selection.abs_dy_validation:
        if config.validation.abs_dy_max is None:
            return  # no band was selected; reported by the source
        msg = (
            f"validation.abs_dy_max = {config.validation.abs_dy_max:g} must lie above selection.abs_dy_search = "
            f"{config.selection.abs_dy_search:g} and not above selection.abs_dy_validation = "
            f"{config.selection.abs_dy_validation:g}, up to which events are kept."
        )
        raise ConfigError(msg)


def _file(draw: Draw) -> str:
    return f"{draw.window.name}_{draw.source.name}_{draw.number}"


def sample_keys(inputs: SearchInputs) -> Callable[[Source, MassWindow, int], str]:
    """Return a function for the fingerprint of one repetition, independent of the number of repetitions."""
    events, config = inputs.events, inputs.config
    records = [
        [name, dataset.kind, dataset.is_signal, dataset.stitch, events.scale(name), events.content(name)]
        for name, dataset in events.datasets.items()
        if dataset.kind != "signal"
    ]
    # Settings for making the samples, without the number of samples and the criteria of the verdict.
    judging = {"sources", "in_run", "draws", "max_shift", "established", "min_fit_p"}
    learning = config.learning.model_copy(update={"n_seeds": 1})
    return partial(
        _numbered,
        code=["analysis.validation.run"],
        events=[events.digest, records],
        config=(config.model_copy(update={"learning": learning}), "learning", "background"),
        seed=config.random_state,
        plugins=[
            (METHODS, [config.learning.method]),
            (LEARNERS, [config.learning.learner]),
            (FUNCTIONS, config.background.functions),
        ],
        bin_width=inputs.regions.bin_width,
        samples=config.validation.model_dump(mode="json", exclude=judging),
        band=[band_limit(config), config.scan.smooth_edge, inputs.threshold],
    )


def _numbered(source: Source, window: MassWindow, number: int, **common: Any) -> str:
    return fingerprint(**common, source=source.name, window=window.to_json(), draw=number)


def read_pools(inputs: SearchInputs, sources: Sequence[Source]) -> Pools:
    """Read the events in the fit range, and their columns, that the sources and the method need."""
    needed, banded = inputs.needs_simulation, any(source.needs_band for source in sources)
    simulated = needed or any(source.needs_background for source in sources)
    return Pools(
        inputs.fitted.table,
        _band(inputs, inputs.stored) if banded else None,
        tuple(_units(inputs)) if simulated else (),
        _band(inputs, inputs.stored_background) if banded and needed and inputs.background else None,
    )


def _band(inputs: SearchInputs, stored: StoredEvents) -> EventTable:
    band = replace(stored, region=VALIDATION_REGION, abs_dy_max=band_limit(inputs.config))
    return band.read(inputs.config.scan.fit_range, inputs.features)


def _units(inputs: SearchInputs) -> Iterator[tuple[str, EventTable]]:
    """Yield the simulated datasets or groups of stitched ones; those that a search reads are not read again."""
    units: dict[str, list[str]] = {}
    for name, dataset in inputs.background.items():
        units.setdefault(dataset.stitch or name, []).append(name)
    whole = inputs.fitted.simulation
    for unit, names in units.items():
        if whole is None:
            stored = inputs.events.stored(names, inputs.folder)
            yield unit, stored.read(inputs.config.scan.fit_range, inputs.features)
        else:
            yield unit, whole if len(units) == 1 else whole.select(whole.in_datasets(names))
