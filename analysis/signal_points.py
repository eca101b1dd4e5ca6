"""Mass points after a search: yields, systematic uncertainties and limits of the signal samples.

Nominal and varied events are scored by the nominal models; each event passes a selection by the mean over folds of
each fold's own cut. The ratios of varied to nominal yields become modifiers of the signal in the workspace. The rule is
"fixed-efficiency": the classifiers are those of the search, without credit for what they would learn from as much
signal as the limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.config import SearchConfig
from analysis.errors import FitError, StatisticsError, WindowError
from analysis.evaluation import SelectionResult, WindowResult
from analysis.mass_point import approximate_limit
from analysis.published import Classifier, score_events
from analysis.regions import MassWindow
from analysis.schema import weight_column
from analysis.signal import net_yield
from analysis.spectra import NOMINAL, window_counts
from analysis.statistics import (
    Counting,
    Impacts,
    LimitResult,
    SignalSystematic,
    combined_modifier,
    counting_workspace,
    impacts,
    signal_statistics,
    upper_limit,
    yield_modifier,
)
from analysis.table import EventTable

__all__ = [
    "RULE",
    "PointTask",
    "SignalSample",
    "SignalYields",
    "evaluate_point",
    "signal_modifiers",
    "signal_yields",
    "weight_columns",
]

Array = NDArray[np.float64]

RULE = "fixed-efficiency"

_TOYS = 1000


@dataclass(frozen=True)
class SignalSample:
    """Events of one signal dataset.

    Attributes
    ----------
    name : str
    masses : tuple of (str, float)
        GeV.
    tables : mapping of str to EventTable
        "nominal", with its varied weights, and one per variation of jets; search region, normalised.
    generated : float or None
        Sum of weights before any cut in the same normalisation; None where it is not known.
    xsec_pb, lumi_ifb : float or None
    normalised : bool
        Whether weights are normalised to cross-section and luminosity.
    systematics : sequence of mapping
        See `analysis.processed.ProcessedEvents`.
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
    """What is left of a sample in the selections of one window.

    Attributes
    ----------
    window : MassWindow
    selections : tuple of str
    squares : (n_selections,) float64
        Sums of squared weights.
    events : dict of str to (n_selections,) float64
        Sums of weights; "nominal", variations of jets such as "jmsUp", and columns of varied weights.
    spectra : (n_selections, n_bins) float64
        Nominal events on the fit grid of the window.
    """

    window: MassWindow
    selections: tuple[str, ...]
    squares: Array
    events: dict[str, Array]
    spectra: Array


def signal_yields(sample: SignalSample, classifier: Classifier, edges: Array) -> SignalYields:
    """Score nominal and varied events with the nominal classifiers of a window, and count those that pass.

    Parameters
    ----------
    sample : SignalSample
    classifier : Classifier
    edges : (n_bins + 1,) float64
        Fit grid, GeV.

    Returns
    -------
    SignalYields
    """
    window, events = classifier.window, {}
    for name, table in sample.tables.items():
        passes = score_events(table, classifier).passes
        events[name] = window_counts(table, window, passes)
        if name == NOMINAL:
            inside, names = window.in_signal(table.mjj), passes.names
            squares = (table.weight[inside] ** 2) @ passes.values[inside] ** 2
            spectra = np.stack(
                [np.histogram(table.mjj, edges, weights=table.weight * column)[0] for column in passes.values.T]
            )
            for column in weight_columns(sample.systematics):
                events[column] = table.column(column)[inside] @ passes.values[inside]
    return SignalYields(window, names, squares, events, spectra)


def weight_columns(systematics: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the columns with varied weights."""
    return [name for one in systematics if one["effect"] == "weights" for name in _columns(one)]


def _columns(systematic: Mapping[str, Any]) -> list[str]:
    suffixes = [str(member) for member in systematic["members"]] or ["Up", "Down"]
    return [weight_column(systematic["name"], suffix) for suffix in suffixes]


def signal_modifiers(
    yields: SignalYields, selection: str, systematics: Sequence[Mapping[str, Any]]
) -> list[SignalSystematic]:
    """Turn the varied yields of a selection into modifiers, the statistical uncertainty of the sample first.

    Raises
    ------
    StatisticsError
        If a yield is not positive.
    """
    index = yields.selections.index(selection)
    events = {name: float(values[index]) for name, values in yields.events.items()}
    statistical = signal_statistics(events[NOMINAL], float(yields.squares[index]))
    return [statistical, *(_modifier(one, events) for one in systematics)]


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


@dataclass(frozen=True)
class PointTask:
    """One signal sample in all windows of the search.

    Attributes
    ----------
    sample : SignalSample
    classifiers : tuple of Classifier
    windows : tuple of WindowResult
        In the same order.
    config : SearchConfig
    blinded : bool
    """

    sample: SignalSample
    classifiers: tuple[Classifier, ...]
    windows: tuple[WindowResult, ...]
    config: SearchConfig
    blinded: bool


def evaluate_point(task: PointTask) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Count a signal in all selections of all windows, and limit it where each selection is most sensitive.

    The window of a selection is the one with the best `approximate_limit` on the signal; no observed count enters.

    Returns
    -------
    document : dict
        JSON-ready, as an item of "signals" in `results.schema.json`.
    workspaces : dict of str to dict
        pyhf workspaces by the name "<window>_<selection>", for every selection of every window with signal events.
    """
    sample = task.sample
    found = [
        _count(sample, signal_yields(sample, classifier, window.edges), window, task.config.background.sqrt_s_gev)
        for classifier, window in zip(task.classifiers, task.windows, strict=True)
    ]
    counts = [one for of_window in found for one in of_window]
    ranked = [one for one in counts if one.rank() is not None]
    document = {
        "dataset": sample.name,
        "masses": dict(sample.masses),
        "rule": RULE,
        "normalised": sample.normalised,
        "xsec_pb": sample.xsec_pb,
        "lumi_ifb": sample.lumi_ifb,
        "selections": [_limit(one, task) for one in _most_sensitive(ranked)],
        "yields": [one.to_json() for one in counts],
        "reason": None,
    }
    return document, {f"{one.window.name}_{one.selection.name}": one.workspace() for one in ranked}


def _most_sensitive(counts: Sequence[_Count]) -> list[_Count]:
    """Of every selection, the window with the best rank."""
    names = dict.fromkeys(one.selection.name for one in counts)
    return [min((one for one in counts if one.selection.name == name), key=_Count.rank_value) for name in names]


@dataclass(frozen=True)
class _Count:
    """A signal in one selection of one window."""

    sample: SignalSample
    window: MassWindow
    selection: SelectionResult
    events: float
    error: float
    modifiers: tuple[SignalSystematic, ...]
    absorbed: float | None
    reason: str | None

    @property
    def net(self) -> float:
        """Events that stand out over the fitted background."""
        return self.events * (1.0 - (self.absorbed or 0.0))

    def rank(self) -> float | None:
        """Approximate expected limit in units of the sample's normalisation; None where there can be none."""
        background, error = self.selection.background, self.selection.background_error
        if self.reason is not None or background is None or error is None or self.net <= 0:
            return None
        return float(approximate_limit(background, error) / self.net)

    def rank_value(self) -> float:
        """Rank, infinite where there is none."""
        rank = self.rank()
        return np.inf if rank is None else rank

    def workspace(self) -> dict[str, Any]:
        one = self.selection
        counting = Counting(one.n_obs, one.background or 0.0, one.background_error or 0.0)
        return counting_workspace(
            counting.effective(one.weight),
            channel=f"window_{self.window.name}_{one.name}",
            measurement=self.sample.name,
            signal_systematics=self.modifiers,
        )

    def strength_per_mu(self, workspace: Mapping[str, Any]) -> float:
        """Return the signal strength at mu = 1 of a workspace."""
        return _signal_events(workspace) * self.selection.weight / self.net

    @property
    def efficiency(self) -> float | None:
        """Acceptance times efficiency: of all generated events."""
        generated = self.sample.generated
        return None if not generated else self.events / generated

    def to_json(self) -> dict[str, Any]:
        return {
            "window": list(self.window.signal),
            "selection": self.selection.name,
            "events": self.events,
            "events_error": self.error,
            "acceptance_efficiency": self.efficiency,
            "absorbed_fraction": self.absorbed,
            "strength_per_mu": None if self.rank() is None else self.strength_per_mu(self.workspace()),
            "modifiers": [_factors(one) for one in self.modifiers],
            "reason": self.reason,
        }


def _factors(one: SignalSystematic) -> dict[str, Any]:
    up = float(one.up)
    if one.kind == "lumi":
        return {"name": one.name, "up": 1.0 + up, "down": 1.0 - up}
    return {"name": one.name, "up": up, "down": 1.0 / up if one.down is None else float(one.down)}


def _count(sample: SignalSample, yields: SignalYields, window: WindowResult, sqrt_s_gev: float) -> list[_Count]:
    counts = []
    for selection in window.selections:
        index = yields.selections.index(selection.name)
        events = float(yields.events[NOMINAL][index])
        absorbed = _absorbed(selection, events, yields.spectra[index], window, sqrt_s_gev)
        modifiers: list[SignalSystematic] = []
        reason = selection.reason
        try:
            modifiers = signal_modifiers(yields, selection.name, sample.systematics)
        except StatisticsError as error:
            reason = reason or str(error)
        if absorbed is not None and absorbed >= 1:
            reason = reason or "the sideband fit takes all of the signal for background: the mask lies beside its peak."
        counts.append(
            _Count(
                sample,
                window.window,
                selection,
                events,
                float(np.sqrt(yields.squares[index])),
                tuple(modifiers),
                absorbed,
                reason,
            )
        )
    return counts


def _limit(one: _Count, task: PointTask) -> dict[str, Any]:
    workspace, settings, weight = one.workspace(), task.config.statistics, one.selection.weight
    document, per_mu = one.to_json(), one.strength_per_mu(workspace)
    try:
        limit = upper_limit(
            workspace,
            level=settings.cls_level,
            blinded=task.blinded,
            calculator=settings.calculator,
            n_toys=_TOYS,
            random_state=task.config.random_state,
        ).scaled(weight)
        median = limit.expected_events[2] / (_signal_events(workspace) * weight)
        ranked: dict[str, Any] = {"expected": _impacts(impacts(workspace, strength=median), per_mu)}
        ranked["observed"] = None if task.blinded else _impacts(impacts(workspace), per_mu)
    except StatisticsError as error:
        return document | {"limit": None, "impacts": None, "reason": str(error)}
    return document | {"limit": _limit_document(one, limit), "impacts": ranked}


def _signal_events(workspace: Mapping[str, Any]) -> float:
    (signal,) = [one for one in workspace["channels"][0]["samples"] if one["name"] == "signal"]
    return float(sum(signal["data"]))


def _limit_document(one: _Count, limit: LimitResult) -> dict[str, Any]:
    """Limits in events, in units of the sample's normalisation and, where that is possible, in fb."""
    generated, lumi = one.sample.generated, one.sample.lumi_ifb
    factors = {"strength": 1.0 / one.net}
    if generated and lumi:
        factors["fb"] = generated / (one.net * lumi)
    document: dict[str, Any] = {**asdict(limit), "rule": RULE, "expected_events": list(limit.expected_events)}
    for unit, factor in factors.items():
        observed = limit.observed_events
        document[f"observed_{unit}"] = None if observed is None else observed * factor
        document[f"expected_{unit}"] = [value * factor for value in limit.expected_events]
    return document


def _absorbed(
    selection: SelectionResult, events: float, spectrum: Array, window: WindowResult, sqrt_s_gev: float
) -> float | None:
    """Fraction of the yield that the sideband fit takes for background, for a signal about as strong as the limit."""
    if selection.fit is None or selection.background is None or events <= 0:
        return None
    strength = approximate_limit(selection.background, selection.background_error or 0.0) / events
    try:
        found = net_yield(
            selection.fit.expected(window.edges)[0],
            strength * spectrum,
            window.edges,
            selection.fit.function.name,
            window=window.window.signal,
            mask=window.window.mask,
            sqrt_s_gev=sqrt_s_gev,
        )
    except (FitError, WindowError):
        return None
    return found.absorbed_fraction


def _impacts(found: Impacts, per_mu: float) -> dict[str, Any]:
    return {
        "strength": found.strength * per_mu,
        "strength_error": found.strength_error * per_mu,
        "parameters": [asdict(one) | {"up": one.up * per_mu, "down": one.down * per_mu} for one in found.parameters],
    }
