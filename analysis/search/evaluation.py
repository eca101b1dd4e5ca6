"""Evaluation of one window after the cut: count, fit the sideband background, test for an excess, set a limit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import hist
import numpy as np
from numpy.typing import NDArray

from analysis.background import (
    TRANSFER_FACTOR,
    BackgroundFit,
    GoodnessOfFit,
    MassFunction,
    choose_order,
    goodness_of_fit,
    outside,
    require_functions,
    with_function_error,
)
from analysis.background.from_template import Background, PassingFraction, count_in_template
from analysis.config import SearchConfig
from analysis.core.fractions import fraction
from analysis.errors import FitError, StatisticsError
from analysis.histograms.spectra import (
    failing_counts,
    fill_spectrum,
    selection_counts,
    selection_variances,
    window_counts,
)
from analysis.learning import INCLUSIVE, PassWeights
from analysis.regions import MassWindow
from analysis.search.blinding import blind_window
from analysis.search.member_spread import MemberSpread, member_spread
from analysis.search.non_closure import NonClosure
from analysis.search.sideband_toys import checked_discovery
from analysis.search.values import SearchData, SelectionResult, WindowResult
from analysis.statistics import (
    DiscoveryResult,
    LimitResult,
    discovery,
    upper_limit,
)

__all__ = ["evaluate_window"]


def evaluate_window(  # noqa: PLR0913 - the parts of a window, and three switches
    data: SearchData,
    window: MassWindow,
    edges: NDArray[np.float64],
    passes: PassWeights,
    models: tuple[tuple[bytes, ...], ...],
    config: SearchConfig,
    functions: tuple[MassFunction, ...] | None = None,
    *,
    training_seed: int = 0,
    limits: bool = True,
    tests: bool = True,
) -> WindowResult:
    """Test every selection of a window.

    Parameters
    ----------
    data : SearchData
    window : MassWindow
    edges : (n_bins + 1,) float64
        Fit bins, GeV.
    passes : PassWeights
        Pass weights of the events in `data`.
    models : tuple of tuple of bytes
        Models of the classifiers, stored in the result.
    config : SearchConfig
    functions : tuple of MassFunction, optional
        Background functions of the configuration. Default: looked up by name.
    training_seed : int
        If above 0, the result has no inclusive selection, which needs no training, no limits, which dominate the run
        time, and no models.
    limits : bool
        Whether limits are computed.
    tests : bool
        Whether fits and counts are tested; without, selections have a background and a count, enough for
        `SelectionResult.counting`, and neither workspace, p-values nor goodness of fit.

    Returns
    -------
    WindowResult

    Examples
    --------
    >>> from analysis.learning import PassWeights
    >>> from analysis.search.evaluation import evaluate_window
    >>> from analysis.stages.inputs import SearchInputs
    >>> inputs = SearchInputs.load("results")
    >>> window, table = inputs.regions.windows[0], inputs.fitted.table
    >>> passes = PassWeights.everything(len(table))  # no classifier: the inclusive search
    >>> result = evaluate_window(inputs.fitted, window, inputs.regions.edges(window), passes, (), inputs.config)
    >>> selection = result.selections[0]
    >>> int(selection.n_obs), round(selection.background), round(selection.background_error)
    (8279, 8188, 214)
    >>> round(selection.discovery.z, 1)
    0.4
    """
    spectrum = fill_spectrum(data.table, edges, passes)
    family = functions or require_functions(config.background.functions, config.background.strategy)
    together = config.background.strategy == TRANSFER_FACTOR
    cut = _Cut(data, window, passes, spectrum, config, family, together, tests=tests)
    counts = _counts(data, window, passes)
    truth = _truth(data, window, passes)
    first = training_seed == 0
    tested = slice(0 if first else 1, None)
    if passes.template is not None and INCLUSIVE not in passes.names[tested]:
        cut = replace(cut, of_all=_fit_of_all(cut))
    found: dict[int, SelectionResult] = {}
    for i in sorted(range(len(passes.names))[tested], key=lambda index: -passes.efficiencies[index]):
        found[i] = _evaluate_selection(cut, i, counts[i], truth[i], with_limit=first and limits)
        if passes.names[i] == INCLUSIVE:
            cut = replace(cut, of_all=found[i].fit)
        elif cut.together and _ratio_is_given_up(found[i]):
            cut = replace(cut, together=False)
    selections = tuple(found[i] for i in sorted(found))
    result = WindowResult(
        window,
        edges,
        selections,
        spectrum,
        models if first else (),
        _compact(passes.values[:, tested])[window.in_fit_range(data.table.mjj)],
        thresholds=passes.thresholds if first else None,
        training_seed=training_seed,
        truth=_true_spectrum(data, edges, passes) if first else None,
    )
    return blind_window(result, data.hidden) if data.blinded else result


def _ratio_is_given_up(selection: SelectionResult) -> bool:
    """Whether a selection is no smooth fraction of all events; those that are tighter are not either.

    A classifier that knows m_jj from its features sculpts all its selections, which shows where there are more events.
    """
    return selection.fit is None or not selection.fit.function.n_ratio


@dataclass(frozen=True)
class _Cut:
    """One window and its events after the cut.

    `together` if selections are fitted with the events that fail them; `of_all` is the fit of all events, once known.
    """

    data: SearchData
    window: MassWindow
    passes: PassWeights
    spectrum: hist.Hist[Any]
    config: SearchConfig
    functions: tuple[MassFunction, ...]
    together: bool = False
    of_all: BackgroundFit | None = None
    tests: bool = True

    @property
    def hidden(self) -> tuple[tuple[float, float], ...]:
        """Masks whose bins are hidden: the masks of all windows while blinded, otherwise empty."""
        return (self.window.mask, *self.data.hidden) if self.data.blinded else ()


def _counts(data: SearchData, window: MassWindow, passes: PassWeights) -> list[float | None]:
    """Observed events of each selection; None while blinded, so that later steps cannot use them."""
    if data.blinded:
        return [None] * len(passes.names)
    counts: list[float | None] = window_counts(data.table, window, passes).astype(float).tolist()
    return counts


def _compact(passes: NDArray[np.float64]) -> NDArray[Any]:
    """Return weights that are all 0 or 1 as bool, which takes an eighth of the memory."""
    flags = passes.astype(bool)
    return flags if (flags == passes).all() else passes


def _evaluate_selection(
    cut: _Cut, index: int, count: float | None, s_over_sqrt_b: float | None, *, with_limit: bool
) -> SelectionResult:
    data, window, passes, config = cut.data, cut.window, cut.passes, cut.config
    name = passes.names[index]
    common: dict[str, Any] = {
        "name": name,
        "method": config.learning.method,
        "features": config.learning.features,
        "efficiency": passes.efficiencies[index],
        "efficiency_achieved": _achieved(cut, index),
        "n_obs": count,
        "s_over_sqrt_b": s_over_sqrt_b,
        "non_closure": data.corrections.get(window.name, {}).get(name),
        "likelihood": config.statistics.likelihood,
        "template": _passing_fraction(passes, index),
    }
    try:
        fit, expected = _background(cut, index)
        correction = common["non_closure"] or NonClosure(0.0, 0.0)
        background, error = correction.corrected(expected.value, expected.error)
        result = SelectionResult(
            **common,
            background=background,
            background_error=error,
            calibrated=expected.calibrated,
            fit=fit,
            weight=expected.weight,
        )
        if not cut.tests:
            return result
        if fit is not None:
            members = _members(cut, index, together=fit.function.n_ratio > 0)
            result = replace(result, goodness=_goodness(fit), members=members)
        workspace = result.counting_workspace(window)
        return replace(
            result,
            discovery=None if count is None else _discovery(result, workspace, window, count),
            limit=_limit(cut, workspace, result.weight) if with_limit else None,
            workspace=workspace,
        )
    except (FitError, StatisticsError) as error:
        return SelectionResult(**common, reason=f"window {window.name} GeV, selection {name}: {error}")


def _background(cut: _Cut, index: int) -> tuple[BackgroundFit | None, Background]:
    """Estimate the background of a selection by its fit, or from the template of the method without one."""
    window, spectrum, settings = cut.window, cut.spectrum, cut.config.background
    name, likelihood = cut.passes.names[index], cut.config.statistics.likelihood
    if (passing := _passing_fraction(cut.passes, index)) is not None:
        if cut.of_all is None:
            msg = "the inclusive spectrum has no fit to multiply the fraction of the background template with."
            raise FitError(msg)
        return None, count_in_template(cut.of_all, window.signal, passing, likelihood)
    fit = choose_order(
        selection_counts(spectrum, name),
        np.asarray(spectrum.axes["mjj"].edges, np.float64),
        mask=window.mask,
        functions=cut.functions,
        alpha=settings.alpha,
        sqrt_s_gev=settings.sqrt_s_gev,
        strategy=settings.strategy,
        variances=selection_variances(spectrum, name),
        rest=_rest(cut, index),
    )
    if settings.function_error == "spurious":
        fit = with_function_error(fit, window.signal, of_all=cut.of_all)
    found = fit.estimate(*window.signal)
    return fit, Background(found.value, found.error(likelihood), found.calibrated, found.weight)


def _fit_of_all(cut: _Cut) -> BackgroundFit | None:
    """Fit the inclusive spectrum for selections that are counted in a template, where it is no result itself."""
    everything = PassWeights.everything(len(cut.data.table))
    edges = np.asarray(cut.spectrum.axes["mjj"].edges, np.float64)
    try:
        return _background(
            replace(cut, passes=everything, spectrum=fill_spectrum(cut.data.table, edges, everything)), 0
        )[0]
    except FitError:
        return None


def _passing_fraction(passes: PassWeights, index: int) -> PassingFraction | None:
    """Fraction of the template that a selection is counted in; None for the inclusive one, which has its own fit."""
    if passes.template is None or passes.names[index] == INCLUSIVE:
        return None
    return PassingFraction(*passes.template[index].tolist())


def _rest(cut: _Cut, index: int) -> tuple[NDArray[np.float64], NDArray[np.float64] | None] | None:
    """Count the events that fail a selection, as `failing_counts`; None for the inclusive selection."""
    if not cut.together or cut.passes.names[index] == INCLUSIVE:
        return None
    return failing_counts(cut.data.table, np.asarray(cut.spectrum.axes["mjj"].edges), cut.passes.values[:, index])


def _goodness(fit: BackgroundFit) -> GoodnessOfFit | None:
    try:
        return goodness_of_fit(fit)
    except FitError:
        return None


def _discovery(result: SelectionResult, workspace: dict[str, Any], window: MassWindow, count: float) -> DiscoveryResult:
    if result.fit is None or result.background_variations:  # toys of the sidebands know nothing of further errors
        return discovery(workspace)
    return checked_discovery(workspace, result.fit, window.signal, count, result.likelihood)


def _achieved(cut: _Cut, index: int) -> float:
    """Efficiency on the reference events; while blinded, in the visible bins.

    k / n over all reference events would reveal the number of events inside the mask.
    """
    if not cut.data.blinded or cut.config.learning.threshold_reference == "background-template":
        return cut.passes.achieved[index]
    shown = outside(cut.spectrum.axes["mjj"].edges, cut.hidden)
    kept, everything = (selection_counts(cut.spectrum, cut.passes.names[i])[shown].sum() for i in (index, 0))
    return fraction(float(kept), float(everything)) if everything > 0 else 0.0


def _limit(cut: _Cut, workspace: dict[str, Any], weight: float) -> LimitResult:
    settings = cut.config.statistics
    return upper_limit(
        workspace, level=settings.cls_level, blinded=cut.data.blinded, calculator=settings.calculator
    ).scaled(weight)


def _members(cut: _Cut, index: int, *, together: bool) -> MemberSpread | None:
    if cut.passes.members is None or index == 0 or cut.data.blinded:
        return None
    edges, table = np.asarray(cut.spectrum.axes["mjj"].edges, np.float64), cut.data.table
    selected = cut.passes.members[:, :, index].T
    spectra, rest = (
        np.stack([np.histogram(table.mjj[m], edges, weights=table.weight[m])[0].astype(np.float64) for m in chosen])
        for chosen in (selected, ~selected)
    )
    try:
        return member_spread(
            spectra,
            edges,
            window=cut.window.signal,
            mask=cut.window.mask,
            functions=cut.functions,
            sqrt_s_gev=cut.config.background.sqrt_s_gev,
            rest=rest if together else None,
        )
    except FitError:
        return None


def _truth(data: SearchData, window: MassWindow, passes: PassWeights) -> list[float | None]:
    """S/√B of each selection from the simulated truth; None while blinded, because it reveals the counts."""
    if data.signal_datasets is None or data.blinded:
        return [None] * len(passes.names)
    inside = window.in_signal(data.table.mjj)
    weights = data.table.weight[inside, None] * passes.values[inside]
    is_signal = data.table.in_datasets(data.signal_datasets)[inside]
    signal, background = weights[is_signal].sum(axis=0), weights[~is_signal].sum(axis=0)
    return [float(s / np.sqrt(b)) if b > 0 else None for s, b in zip(signal, background, strict=True)]


def _true_spectrum(data: SearchData, edges: NDArray[np.float64], passes: PassWeights) -> hist.Hist[Any] | None:
    if not data.signal_datasets:
        return None
    return fill_spectrum(data.table, edges, passes, of=data.table.in_datasets(data.signal_datasets))
