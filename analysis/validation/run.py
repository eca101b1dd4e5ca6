"""Search of signal-free samples in the same way as the data, each sample in one worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from analysis.background import BackgroundFit
from analysis.compute import Backend, track
from analysis.config import SearchConfig
from analysis.core.documents import to_json
from analysis.errors import FitError
from analysis.events.identity import string_hash
from analysis.events.reading import release_memory
from analysis.methods import get_method
from analysis.regions import MassWindow, RegionScan
from analysis.search.window import WindowTask, search_window, window_task
from analysis.validation.closure import closure_document
from analysis.validation.samples import NotTestable, Pools, Setting, is_beside_mask, smooth_fit
from analysis.validation.sources import Source
from analysis.validation.templates import measure_closure

__all__ = ["Draw", "plan_draws", "run_draws"]


@dataclass(frozen=True)
class Draw:
    """One sample of one source for one window.

    Attributes
    ----------
    window : MassWindow
        Window of the search.
    source : Source
    number : int
        Index of the repetition.
    task : WindowTask or None
        None if the window cannot be tested.
    searched : Setting
        Setting of the search.
    reason : str or None
        Reason why the window cannot be tested.
    """

    window: MassWindow
    source: Source
    number: int
    task: WindowTask | None
    searched: Setting
    reason: str | None = None


def plan_draws(
    scan: RegionScan, config: SearchConfig, sources: Sequence[Source], *, pt_hat_min: float | None
) -> list[Draw]:
    """List the samples to search, window by window.

    Parameters
    ----------
    scan : RegionScan
    config : SearchConfig
    sources : sequence of Source
    pt_hat_min : float or None
        Generator threshold of the searched samples, GeV.

    Returns
    -------
    list of Draw
    """
    return [
        _plan(window, scan, config, source, number, pt_hat_min)
        for window in scan.windows
        for source in sources
        for number in range(config.validation.draws if source.repeated else 1)
    ]


def _plan(
    window: MassWindow,
    scan: RegionScan,
    config: SearchConfig,
    source: Source,
    number: int,
    pt_hat_min: float | None,
) -> Draw:
    method = get_method(config.learning.method)
    task = window_task(window, scan, _own(config, source, number))
    searched = Setting(window, task.edges, task.config, task.functions, method.needs_simulation, number)
    if method.uses_truth:
        reason = f"method {method.name} needs signal events to train on, which a sample without signal has not."
        return Draw(window, source, number, None, searched, reason)
    placed = source.place(window, scan, config, pt_hat_min)
    if isinstance(placed, NotTestable):
        return Draw(window, source, number, None, searched, placed.reason)
    if placed != window:
        task = window_task(placed, scan, task.config)
    return Draw(window, source, number, task, searched)


def _own(config: SearchConfig, source: Source, number: int) -> SearchConfig:
    """Return the configuration of a draw with its own seed."""
    key = (string_hash("validation"), string_hash(source.name), number)
    seed = int(np.random.SeedSequence(config.random_state, spawn_key=key).generate_state(1, np.uint64)[0] >> 1)
    learning = config.learning.model_copy(update={"n_seeds": 1})
    return config.model_copy(update={"random_state": seed, "learning": learning})


def run_draws(
    pools: Callable[[], Pools], draws: Sequence[Draw], backend: Backend
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Search samples in parallel.

    Parameters
    ----------
    pools : callable
        Reads the events, once per worker; not called if no draw can be tested.
    draws : sequence of Draw
    backend : Backend
        Backend of the tasks; the results do not depend on it.

    Yields
    ------
    index : int
        Index in `draws`.
    record : dict
        JSON-ready. "status" is "tested", "not testable" or "failed", with a "reason".
    """
    yield from ((index, _empty(draw)) for index, draw in enumerate(draws) if draw.task is None)
    testable = [index for index, draw in enumerate(draws) if draw.task is not None]
    if testable:
        results = backend.map(_run, [draws[index] for index in testable], shared=pools())
        for position, record in track(results, total=len(testable), description="Searching signal-free samples"):
            yield testable[position], record


def _empty(draw: Draw) -> dict[str, Any]:
    return {
        "window": draw.window.name,
        "source": draw.source.name,
        "draw": draw.number,
        "status": "not testable",
        "reason": draw.reason,
        "notes": [],
        "overlap": 0.0,
        "events": None,
        "search_events": None,
        "fit_range": None,
        "template": None,
        "selections": [],
    }


def _run(draw: Draw, pools: Pools) -> dict[str, Any]:
    assert draw.task is not None
    record = _empty(draw)
    setting = replace(draw.searched, window=draw.task.window, edges=draw.task.edges)
    sample = draw.source.make(pools, setting)
    if isinstance(sample, NotTestable):
        return record | {"reason": sample.reason}
    table = sample.data.table
    record |= {
        "notes": list(sample.notes),
        "overlap": sample.overlap,
        "events": int(is_beside_mask(table.mjj, draw.task.window).sum()),
        "search_events": int(is_beside_mask(pools.searched.mjj, draw.task.window).sum()),
        "fit_range": list(draw.task.window.fit_range),
    }
    record["template"] = to_json(measure_closure(draw.task, sample.data, draw.source.name))
    release_memory()
    result = search_window(draw.task, sample.data, limits=False)
    if result.reason is not None:
        return record | {"status": "failed", "reason": result.reason}
    selections = closure_document(
        result, table.within(result.window.fit_range), draw.searched, _search_fit(pools, draw.searched)
    )
    return record | {"status": "tested", "selections": selections}


def _search_fit(pools: Pools, searched: Setting) -> BackgroundFit | None:
    try:
        return smooth_fit(pools.searched, searched)
    except FitError:
        return None
