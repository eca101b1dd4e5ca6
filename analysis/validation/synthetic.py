"""Synthetic events of the background model, which stand for events that may not be given away. The recipe is our own.

Masses are drawn from the smooth fit outside the masks, as many as it expects. Outside the masks each gets the features
of another event of nearby mass; inside, those of any event of the strips beside the masks, so that events are used
several times (`analysis.validation.resampling.choose_parents`). Features are moved to the new mass along their drift
(`analysis.learning.transport`). Where nothing is masked, the spectrum of all events is fitted.

How good they are is measured beside the masks with events that they are not made of: a classifier tells events of one
half from synthetic events made of the other, given features and m_jj (`analysis.statistics.two_sample`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.background import BackgroundFit, choose_order, require_functions
from analysis.config import SearchConfig
from analysis.errors import TableError
from analysis.events.identity import event_hash, string_hash, uniform
from analysis.events.schema import SEARCH_REGION
from analysis.events.table import EventTable, labels
from analysis.learning.training_set import TrainingSet
from analysis.learning.transport import Forest, Sideband, Transport, fit_transport
from analysis.regions import Interval, MassWindow, RegionScan, in_any
from analysis.statistics.two_sample import Union
from analysis.validation.resampling import LEAST_PARENTS, choose_parents
from analysis.validation.samples import draw_masses, take_rows

__all__ = ["SYNTHETIC", "SyntheticTable", "closure_union", "make_synthetic"]

SYNTHETIC = "synthetic"
"""Name of the dataset."""

Array = NDArray[np.float64]

_REACHES = (0.02, 0.05, 0.1, 0.2)
"""Relative widths of the strips beside the masks; the first that holds enough events is taken."""
_ENOUGH = 1000
_FOREST = Forest()


@dataclass(frozen=True)
class SyntheticTable:
    """Synthetic events.

    Attributes
    ----------
    table : EventTable
        In the fit range; all of the search region, with weight 1.
    n_parents : int
        Events whose features they have.
    """

    table: EventTable
    n_parents: int


@dataclass(frozen=True)
class _Model:
    """Fitted spectrum and transport, and the events that give features."""

    fit: BackgroundFit
    transport: Transport
    parents: EventTable
    order: tuple[str, ...]
    X: NDArray[np.float32]
    side: NDArray[np.int64]
    window: MassWindow
    reach: float
    random_state: int

    def rng(self, purpose: str) -> np.random.Generator:
        key = (string_hash("synthetic events"), string_hash(purpose))
        return np.random.default_rng(np.random.SeedSequence(self.random_state, spawn_key=key))

    def events(self, masses: Array, purpose: str) -> EventTable:
        """Give features to masses, (n_events,) in GeV."""
        rng = self.rng(purpose)
        rows = self._rows(masses, rng)
        moved = np.empty((len(masses), len(self.order)), np.float32)
        tie = rng.random(len(masses))
        for side in (0, 1):
            chosen = self.side[rows] == side
            own = rows[chosen]
            X = self.X[own]
            image = self.transport.image(X, side, tie[chosen])
            moved[chosen] = self.transport.move(X, image, side, self.parents.mjj[own], masses[chosen])
        return self._table(masses, rows, moved)

    def _rows(self, masses: Array, rng: np.random.Generator) -> NDArray[np.int64]:
        """Choose the event that gives its features, outside the masks each event once as far as they suffice.

        Copies fall into or out of a selection together, so that its spectrum would fluctuate more than that of events.
        """
        low, high = self.window.mask
        rows = np.empty(len(masses), np.int64)
        for side, chosen in enumerate((masses < low, masses >= high)):
            rows[chosen] = _in_order(
                self.parents.mjj, np.flatnonzero(self.side == side), masses[chosen], self.reach, rng
            )
        inside = (masses >= low) & (masses < high)
        if inside.any():
            found = choose_parents(self.parents.mjj, masses[inside], self.window, self.reach, rng)
            assert found is not None
            rows[inside] = found
        return rows

    def _table(self, masses: Array, rows: NDArray[np.int64], moved: NDArray[np.float32]) -> EventTable:
        """Build the table; copies of an event share an identity, and with it the fold, that is not the event's own."""
        n, parents = len(masses), rows.astype(np.uint64)
        constant = np.zeros(n, np.int32)
        columns = {
            "event_id": event_hash(parents, string_hash(SYNTHETIC), self.random_state),
            "run": np.ones(n, np.uint32),
            "luminosity_block": np.ones(n, np.uint32),
            "event": parents,
            "dataset": labels(constant, [SYNTHETIC]),
            "rapidity_region": labels(constant, [SEARCH_REGION]),
            "mjj": masses,
            "abs_dy": self.parents.column("abs_dy")[rows],
            "weight": np.ones(n),
        }
        columns |= dict(zip(self.order, moved.T, strict=True))
        return EventTable.from_columns(columns, self.parents.features)


def _in_order(
    mjj: Array, parents: NDArray[np.intp], masses: Array, reach: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Give masses, smeared by a triangle of relative half-width `reach`, to events in the same order."""
    copies, rest = divmod(len(masses), len(parents))
    used = np.concatenate([np.tile(parents, copies), rng.choice(parents, rest, replace=False)])
    smeared = masses * (1 + reach * (rng.random(len(masses)) + rng.random(len(masses)) - 1))
    rows = np.empty(len(masses), np.int64)
    rows[np.argsort(smeared, kind="stable")] = used[np.argsort(mjj[used], kind="stable")]
    return rows


def make_synthetic(table: EventTable, config: SearchConfig, masks: Sequence[Interval]) -> SyntheticTable:
    """Make synthetic events of the background model.

    Parameters
    ----------
    table : EventTable
        Unweighted events of the search region. Those inside the masks are not used.
    config : SearchConfig
    masks : sequence of (low, high)
        Masked windows, GeV; empty if nothing is hidden.

    Returns
    -------
    SyntheticTable

    Raises
    ------
    TableError
        If events have weights, or too few are left on a side of the masks.
    FitError
        If the spectrum has no smooth fit.
    """
    regions = RegionScan.from_config(config.scan)
    edges = regions.edges(regions.windows[0])
    model = _model(table, config, masks, edges)
    rng = model.rng("masses")
    masses = draw_masses(model.fit, edges, int(rng.poisson(model.fit.expected(edges)[0].sum())), rng)
    return SyntheticTable(model.events(masses, "features"), len(model.parents))


def closure_union(
    table: EventTable, config: SearchConfig, masks: Sequence[Interval], features: Sequence[str], *, most: int
) -> Union:
    """Make the union of half of the events beside the masks and of synthetic events made of the other half.

    Parameters
    ----------
    table, config, masks
        As of `make_synthetic`.
    features : sequence of str
        Columns to compare; m_jj is added.
    most : int
        Largest number of events of either sample.

    Returns
    -------
    Union
        The events of the search first.
    """
    regions = RegionScan.from_config(config.scan)
    edges = regions.edges(regions.windows[0])
    half = uniform(table.event_id, config.random_state, "synthetic halves") < 0.5
    model = _model(table.select(half), config, masks, edges)
    rest = table.select(~half & _is_free(table.mjj, masks, model.window.fit_range))
    masses = draw_masses(model.fit, edges, round(model.fit.expected(edges)[0].sum()), model.rng("closure masses"))
    made = model.events(masses[_is_free(masses, masks, model.window.fit_range)], "closure features")
    # Copies of an event are not independent: one of each.
    made = take_rows(made, np.sort(np.unique(made.event_id, return_index=True)[1]))
    X = [np.column_stack([one.matrix(features), one.mjj.astype(np.float32)]) for one in (rest, made)]
    y = np.repeat([1, 0], [len(rest), len(made)])
    group = np.concatenate([rest.event_id, made.event_id])
    return Union.of(
        TrainingSet.build(np.concatenate(X), y, np.ones(len(y)), group), seed=config.random_state, most=most
    )


def _is_free(mjj: Array, masks: Sequence[Interval], fit_range: Interval) -> NDArray[np.bool_]:
    return (mjj >= fit_range[0]) & (mjj < fit_range[1]) & ~in_any(mjj, masks)


def _model(table: EventTable, config: SearchConfig, masks: Sequence[Interval], edges: Array) -> _Model:
    fit_range = (float(edges[0]), float(edges[-1]))
    free = table.select(_is_free(table.mjj, masks, fit_range))
    if len(free) and not (free.weight == 1.0).all():
        msg = "synthetic events are made of unweighted events, and those of the search have weights."
        raise TableError(msg)
    hidden = _hidden(free, masks)
    parents = free.select(~((free.mjj >= hidden[0]) & (free.mjj < hidden[1])))
    window = MassWindow(hidden, (fit_range[0], hidden[0]), (hidden[1], fit_range[1]), hidden, fit_range)
    side = (parents.mjj >= hidden[1]).astype(np.int64)
    reach = _reach(parents.mjj, window)
    settings = config.background
    fit = choose_order(
        np.histogram(free.mjj, edges)[0].astype(np.float64),
        edges,
        mask=tuple(masks) or (edges[0], edges[0]),
        functions=require_functions(settings.functions, settings.strategy),
        alpha=settings.alpha,
        sqrt_s_gev=settings.sqrt_s_gev,
        strategy=settings.strategy,
    )
    # The features that are learned from come first: each is moved given those before it.
    used = dict.fromkeys([*config.learning.features, *(n for names in config.limits.feature_sets for n in names)])
    parents.require_features(tuple(used))
    order = (*used, *(name for name in parents.feature_names if name not in used))
    X = parents.matrix(order)
    lower, upper = (
        Sideband(X[side == one], np.ones(int((side == one).sum())), parents.mjj[side == one]) for one in (0, 1)
    )
    seed = np.random.SeedSequence(config.random_state, spawn_key=(string_hash("synthetic transport"),))
    transport = fit_transport(lower, upper, _FOREST, seed)
    return _Model(fit, transport, parents, order, X, side, window, reach, config.random_state)


def _hidden(free: EventTable, masks: Sequence[Interval]) -> Interval:
    """Return the interval from the first to the last mask; without masks an empty one at the median mass."""
    if masks:
        return min(low for low, _ in masks), max(high for _, high in masks)
    middle = float(np.median(free.mjj)) if len(free) else 0.0
    return middle, middle


def _reach(parents: Array, window: MassWindow) -> float:
    low, high = window.mask
    counts = [
        min(
            int(((parents >= low * (1 - reach)) & (parents < low)).sum()),
            int(((parents >= high) & (parents < high * (1 + reach))).sum()),
        )
        for reach in _REACHES
    ]
    if counts[-1] < LEAST_PARENTS:
        msg = (
            f"no synthetic events can be made: fewer than {LEAST_PARENTS} events lie on one side of "
            f"{low:g}-{high:g} GeV, from the first to the last masked window, in the fit range "
            f"{window.fit_range[0]:g}-{window.fit_range[1]:g} GeV. Hide fewer windows, or widen scan.fit_range."
        )
        raise TableError(msg)
    return next((reach for reach, n in zip(_REACHES, counts, strict=True) if n >= _ENOUGH), _REACHES[-1])
