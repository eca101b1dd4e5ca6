"""Yields of a signal sample in the selections of a search, and the modifiers from its systematics.

Nominal and varied events are scored by the nominal models: an event passes by the mean over folds of each fold's own
cut. The ratios of varied to nominal yields become modifiers of the signal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import hist
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.events.schema import weight_column
from analysis.events.table import EventTable
from analysis.histograms.spectra import NOMINAL, fill_spectrum, selection_counts
from analysis.learning import INCLUSIVE
from analysis.regions import MassWindow
from analysis.search.classifiers import Classifier, score_events
from analysis.statistics import SignalSystematic, combined_modifier, signal_statistics, yield_modifier

__all__ = ["SignalSample", "SignalYields", "signal_modifiers", "signal_yields", "varied_sides", "weight_columns"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SignalSample:
    """Events of one signal dataset.

    Attributes
    ----------
    name : str
    masses : tuple of (str, float)
        Masses of the particles, GeV.
    tables : mapping of str to EventTable
        "nominal", with its varied weights, and one table per jet variation; search region, normalised.
    generated : float or None
        Sum of weights before any cut in the same normalisation; None if unknown.
    xsec_pb, lumi_ifb : float or None
    normalised : bool
        Whether weights are normalised to cross-section and luminosity.
    systematics : sequence of mapping
        See `analysis.results.processed_events.ProcessedEvents`.
    """

    name: str
    masses: tuple[tuple[str, float], ...]
    tables: Mapping[str, EventTable]
    generated: float | None
    xsec_pb: float | None
    lumi_ifb: float | None
    normalised: bool
    systematics: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class SignalYields:
    """Yields of one sample in the selections of one window.

    Attributes
    ----------
    window : MassWindow
    selections : tuple of str
    squares : (n_selections,) float64
        Sums of squared weights.
    events : dict of str to (n_selections,) float64
        Sums of weights; "nominal", jet variations such as "jmsUp", and columns of varied weights.
    spectrum : hist.Hist
        Nominal events on the fit grid of the window; axes `mjj`, `selection`, `variation`.
    spectra : dict of str to (n_selections, n_bins) float64
        Sums of weights on the fit grid by the names of `events`; empty unless asked for.
    """

    window: MassWindow
    selections: tuple[str, ...]
    squares: Array
    events: dict[str, Array]
    spectrum: hist.Hist[Any]
    spectra: dict[str, Array] = field(default_factory=dict)

    @property
    def inclusive(self) -> Array:
        """(n_bins,) float64: all events on the fit grid."""
        return selection_counts(self.spectrum, INCLUSIVE)


def signal_yields(sample: SignalSample, classifier: Classifier, edges: Array, *, shapes: bool = False) -> SignalYields:
    """Score nominal and varied events with the nominal classifiers of a window, and count passing events.

    Parameters
    ----------
    sample : SignalSample
    classifier : Classifier
    edges : (n_bins + 1,) float64
        Fit grid, GeV.
    shapes : bool
        Whether to histogram the varied events too.

    Returns
    -------
    SignalYields
    """
    window, nominal = classifier.window, sample.tables[NOMINAL]
    passes = score_events(_joined(sample.tables), classifier).passes
    ends = np.cumsum([len(table) for table in sample.tables.values()])[:-1]
    values = dict(zip(sample.tables, np.split(passes.values, ends), strict=True))
    inside = {name: window.in_signal(table.mjj) for name, table in sample.tables.items()}
    chosen = {name: values[name][mask] for name, mask in inside.items()}
    weights = {name: table.weight[inside[name]] for name, table in sample.tables.items()}
    events = {name: weight @ chosen[name] for name, weight in weights.items()}
    for column in weight_columns(sample.systematics):
        events[column] = nominal.column(column)[inside[NOMINAL]] @ chosen[NOMINAL]
    squares = weights[NOMINAL] ** 2 @ chosen[NOMINAL] ** 2
    spectrum = fill_spectrum(nominal, edges, replace(passes, values=values[NOMINAL]))
    found = SignalYields(window, passes.names, squares, events, spectrum)
    return replace(found, spectra=_spectra(sample, values, edges)) if shapes else found


def _spectra(sample: SignalSample, passes: Mapping[str, Array], edges: Array) -> dict[str, Array]:
    """Histogram m_jj of all variations in all selections, (n_selections, n_bins) each."""
    columns = {name: (table.mjj, table.weight, passes[name]) for name, table in sample.tables.items()}
    nominal = sample.tables[NOMINAL]
    for column in weight_columns(sample.systematics):
        columns[column] = nominal.mjj, nominal.column(column), passes[NOMINAL]
    return {
        name: np.stack([np.histogram(mjj, edges, weights=weight * one)[0] for one in chosen.T])
        for name, (mjj, weight, chosen) in columns.items()
    }


def _joined(tables: Mapping[str, EventTable]) -> EventTable:
    """Concatenate the scoring inputs of all tables, so that every model is read and applied once."""
    features = tables[NOMINAL].features
    names = ["event_id", "mjj", *(feature.name for feature in features)]
    return EventTable(pa.concat_tables(table.table.select(names) for table in tables.values()), features)


def weight_columns(systematics: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the columns with varied weights."""
    return [name for systematic in systematics if systematic["effect"] == "weights" for name in _columns(systematic)]


def varied_sides(systematic: Mapping[str, Any]) -> list[str]:
    """Names in `SignalYields.spectra` of a systematic that varies events up and down; empty for other effects."""
    if systematic["effect"] == "jets":
        return [f"{systematic['name']}{side}" for side in systematic["sides"]]
    return _columns(systematic) if systematic["effect"] == "weights" and not systematic["members"] else []


def _columns(systematic: Mapping[str, Any]) -> list[str]:
    suffixes = [str(member) for member in systematic["members"]] or ["Up", "Down"]
    return [weight_column(systematic["name"], suffix) for suffix in suffixes]


def signal_modifiers(
    yields: SignalYields, selection: str, systematics: Sequence[Mapping[str, Any]]
) -> list[SignalSystematic]:
    """Convert the varied yields of a selection to modifiers, statistical uncertainty of the sample first.

    Raises
    ------
    StatisticsError
        If a yield is not positive.
    """
    index = yields.selections.index(selection)
    events = {name: float(values[index]) for name, values in yields.events.items()}
    statistical = signal_statistics(events[NOMINAL], float(yields.squares[index]))
    return [statistical, *(_modifier(systematic, events) for systematic in systematics)]


def _modifier(systematic: Mapping[str, Any], events: Mapping[str, float]) -> SignalSystematic:
    name, nominal = systematic["name"], events[NOMINAL]
    if systematic["effect"] == "rate":
        size = float(systematic["value"])
        return (
            SignalSystematic("lumi", "lumi", size)
            if systematic["kind"] == "luminosity"
            else SignalSystematic(name, "normsys", 1.0 + size)
        )
    if systematic["effect"] == "jets":
        return yield_modifier(name, nominal, *(events[f"{name}{side}"] for side in systematic["sides"]))
    varied = [events[column] for column in _columns(systematic)]
    if systematic["members"]:
        return combined_modifier(name, nominal, varied, systematic["combine"])
    return yield_modifier(name, nominal, *varied)
