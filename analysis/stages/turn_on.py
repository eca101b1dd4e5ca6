"""Stage `turnon`: efficiency of the triggers against m_jj, from events of a reference trigger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.compute import Backend
from analysis.config import SearchConfig
from analysis.errors import ConfigError, DatasetError
from analysis.events.dataset import Dataset
from analysis.events.datasets import observed_datasets
from analysis.regions import Interval, RegionScan, in_any
from analysis.results import ResultsFolder
from analysis.results.turn_on import TurnOnFile
from analysis.stages.inputs import stage
from analysis.statistics.efficiencies import measure_turn_on

__all__ = ["TurnOnRequest", "measure"]


@dataclass(frozen=True)
class TurnOnRequest:
    """Options of a measurement.

    Attributes
    ----------
    reference : tuple of str
        Reference triggers, at least one of which fired.
    samples : tuple of str
        Names of the datasets; by default all that are searched.
    interval : (low, high), optional
        Range of m_jj, GeV; by default that of the reference events.
    bin_width : float
        GeV.
    loss : float
        Largest loss at the smooth edge, a fraction of the plateau.
    """

    reference: tuple[str, ...]
    samples: tuple[str, ...] = ()
    interval: Interval | None = None
    bin_width: float = 25.0
    loss: float = 0.01


def measure(
    datasets: Mapping[str, Dataset],
    config: SearchConfig,
    folder: ResultsFolder,
    backend: Backend,
    request: TurnOnRequest,
    **options: Any,
) -> TurnOnFile:
    """Measure the turn-on of `selection.triggers`, and write `turnon.json`.

    The events are selected twice with all other cuts but the one on m_jj, once with the reference triggers and once
    with those of the search: an event of both passes. Masks of blinded windows are left out.

    Parameters
    ----------
    datasets : mapping of str to Dataset
    config : SearchConfig
    folder : ResultsFolder
    backend : Backend
    request : TurnOnRequest
    **options
        `skip_bad_files`, `timeout` and `parts` of `analysis.stages.process.process`.

    Returns
    -------
    TurnOnFile

    Raises
    ------
    ConfigError
        If the configuration has no triggers, or a reference trigger is one of them.
    DatasetError
        If there is no dataset of a name, or none that is searched.
    StatisticsError
        If there is nothing to measure.
    """
    triggers = config.selection.triggers
    _require_independent(triggers, request.reference)
    chosen = _chosen(datasets, request.samples)
    with stage("turnon"):
        mass, identity = _select(chosen, config, folder, backend, request, request.reference, options)
        _, passing = _select(chosen, config, folder, backend, request, triggers, options)
        hidden = _hidden(chosen, config)
        kept = ~in_any(mass, hidden)
        mass, passes = mass[kept], np.isin(identity[kept], passing)
        found = measure_turn_on(mass, passes, _edges(mass, request), loss=request.loss, step=config.scan.bin_width)
        document = TurnOnFile(triggers, request.reference, tuple(chosen), tuple(hidden), found)
        folder.save_turn_on(document)
    return document


def _require_independent(triggers: Sequence[str], reference: Sequence[str]) -> None:
    if not triggers:
        msg = "there is no trigger to measure: set selection.triggers to those of the search."
        raise ConfigError(msg)
    if both := [name for name in reference if name in triggers]:
        msg = (
            f"--reference {both[0]} is one of selection.triggers, so that every event of it passes. Name a trigger "
            "with a lower threshold, or one on other objects, such as muons."
        )
        raise ConfigError(msg)


def _chosen(datasets: Mapping[str, Dataset], samples: Sequence[str]) -> dict[str, Dataset]:
    if unknown := [name for name in samples if name not in datasets]:
        msg = f"there is no dataset '{unknown[0]}'. Datasets: {', '.join(datasets) or 'none'}."
        raise DatasetError(msg)
    chosen = {name: datasets[name] for name in samples} or observed_datasets(dict(datasets))
    if not chosen:
        msg = (
            "no dataset is searched, that is of kind data or pseudodata. Name simulated ones with --sample to measure "
            "the turn-on in them."
        )
        raise DatasetError(msg)
    return chosen


def _select(
    datasets: Mapping[str, Dataset],
    config: SearchConfig,
    folder: ResultsFolder,
    backend: Backend,
    request: TurnOnRequest,
    triggers: Sequence[str],
    options: Mapping[str, Any],
) -> tuple[NDArray[np.float64], NDArray[np.uint64]]:
    """Return m_jj (GeV) and identity of the events of the search region that pass triggers."""
    from analysis.events.schema import SEARCH_REGION
    from processors.runner.run import load_table, process_datasets

    low, high = request.interval or (0.0, None)
    selection = config.selection.model_copy(
        update={"triggers": tuple(triggers), "mjj_min": max(low, 0.0), "mjj_max": high}
    )
    chosen = config.model_copy(update={"selection": selection, "systematics": ()})
    rest = dict(options)
    parts = rest.pop("parts", None) or folder.parts
    result = process_datasets(datasets, chosen, parts, backend, **rest)
    table = load_table(result, datasets, datasets).in_region(SEARCH_REGION)
    return table.mjj, table.event_id


def _hidden(datasets: Mapping[str, Dataset], config: SearchConfig) -> list[Interval]:
    """Return the masks of all windows, GeV, if the events are to be blinded."""
    blinded = any(one.kind == "data" for one in datasets.values()) and not config.statistics.unblind
    if not (blinded or config.statistics.blind):
        return []
    return [window.mask for window in RegionScan.from_config(config.scan).windows]


def _edges(mass: NDArray[np.float64], request: TurnOnRequest) -> NDArray[np.float64]:
    low, high = request.interval or ((float(mass.min()), float(mass.max())) if len(mass) else (0.0, request.bin_width))
    first, last = np.floor(low / request.bin_width), np.floor(high / request.bin_width) + 1
    if request.interval is not None:
        last = max(np.ceil(high / request.bin_width), first + 1)
    edges: NDArray[np.float64] = np.arange(first, last + 1) * request.bin_width
    return edges
