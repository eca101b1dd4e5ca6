"""Search of one window of one spectrum: fit the sideband background, test for an excess, set a limit.

This is the last part of the search for a histogram of any source. It neither reads files nor prints.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.background import (
    BAD_FIT,
    CALIBRATED_FROM,
    DEFAULT_STRATEGY,
    RESTS_ON_SMOOTHNESS,
    TRANSFER_FACTOR,
    BackgroundFit,
    GoodnessOfFit,
    MassFunction,
    choose_order,
    goodness_of_fit,
    is_bad_fit,
    outside,
    with_function_error,
)
from analysis.background.functions import look_up
from analysis.errors import ConfigError, FitError, WindowError
from analysis.histograms.spectrum import Spectrum
from analysis.regions import Interval, bins_of, edges_of
from analysis.search.sideband_toys import checked_discovery
from analysis.statistics import Counting, DiscoveryResult, LimitResult, counting_workspace, upper_limit

__all__ = ["Bump", "FitPlan", "bump_document", "fit_bump", "plan_fit"]

Array = NDArray[np.float64]

_TINY = 1e-6
"""A limit is on a bin edge if it differs by less than this fraction of a bin."""

_SURELY_FILLED = 15.0
"""Expected events above which a run of empty bins is rejected as missing data (probability exp(-15) = 3e-7)."""


@dataclass(frozen=True)
class FitPlan:
    """Signal region, mask and fit range of one window, all on bin edges.

    Attributes
    ----------
    signal : (low, high)
        Interval of the counted events, GeV.
    mask : (low, high)
        Interval excluded from the fit, GeV; contains `signal`.
    fit_range : (low, high)
        Range of the fit, GeV; contains `mask`, with at least one bin on either side.
    """

    signal: Interval
    mask: Interval
    fit_range: Interval

    @property
    def name(self) -> str:
        """Name for messages, such as `3300-3700`."""
        return _name(self.signal)


@dataclass(frozen=True)
class Bump:
    """Result of one window.

    Attributes
    ----------
    plan : FitPlan
    n_obs : float
        Events in the window, or sum of their weights.
    background, background_error : float
        Integral of the sideband fit over the window, in the unit of `n_obs`.
    fit : BackgroundFit
    goodness : GoodnessOfFit
    discovery : DiscoveryResult
    limit : LimitResult
        In the unit of `n_obs`.
    workspace : dict
        pyhf workspace, in effective events.
    weight : float
        Sum of weights per effective event, Σw² / Σw; 1 for plain counts.
    spectrum_notes : tuple of str
        Remarks on how the contents of the spectrum were understood.
    """

    plan: FitPlan
    n_obs: float
    background: float
    background_error: float
    fit: BackgroundFit
    goodness: GoodnessOfFit
    discovery: DiscoveryResult
    limit: LimitResult
    workspace: dict[str, Any]
    weight: float = 1.0
    spectrum_notes: tuple[str, ...] = ()

    @property
    def calibrated(self) -> bool:
        """Whether enough events are expected in the window for uniform p-values."""
        return self.background / self.weight >= CALIBRATED_FROM

    @property
    def has_bad_fit(self) -> bool:
        """Whether the fit does not describe the fitted bins."""
        return is_bad_fit(self.goodness.p_value)

    @property
    def notes(self) -> tuple[str, ...]:
        """Human-readable remarks on the spectrum and warnings about this result."""
        return (*self.spectrum_notes, *self.own_notes)

    @property
    def own_notes(self) -> tuple[str, ...]:
        """Human-readable warnings about this window alone."""
        return tuple(_notes(self))


def plan_fit(
    spectrum: Spectrum, signal: Interval, *, mask: Interval | None = None, fit_range: Interval | None = None
) -> FitPlan:
    """Place a window on the bins of a spectrum.

    Parameters
    ----------
    spectrum : Spectrum
    signal : (low, high)
        Signal region, GeV.
    mask : (low, high), optional
        Interval excluded from the fit, GeV; the window itself by default.
    fit_range : (low, high), optional
        Range of the fit, GeV; the whole spectrum by default.

    Returns
    -------
    FitPlan

    Raises
    ------
    WindowError
        If a limit is not on a bin edge, if the window is not inside the spectrum, the fit range or its mask, or if no
        bins remain to fit on one side.
    """
    edges = spectrum.edges
    whole = (float(edges[0]), float(edges[-1]))
    signal = _on_edges(spectrum, signal, "window")
    mask = signal if mask is None else _on_edges(spectrum, mask, "mask")
    fit_range = whole if fit_range is None else _on_edges(spectrum, fit_range, "fit range")
    plan = FitPlan(signal, mask, fit_range)
    if not _holds(mask, signal):
        msg = f"the mask {_name(mask)} GeV does not cover the window {plan.name} GeV. Widen the mask."
        raise WindowError(msg)
    if not _holds(fit_range, signal):
        msg = (
            f"the window {plan.name} GeV is not inside the fit range {_name(fit_range)} GeV. Move or widen one of them."
        )
        raise WindowError(msg)
    _require_sidebands(spectrum, plan)
    return plan


def fit_bump(
    spectrum: Spectrum,
    plan: FitPlan,
    *,
    functions: Sequence[str],
    alpha: float = 0.05,
    sqrt_s_gev: float = 13000.0,
    level: float = 0.05,
    likelihood: str = "profile",
    function_error: str = "spurious",
) -> Bump:
    """Fit the bins outside the mask, and compare the fit with the events of the window.

    Parameters
    ----------
    spectrum : Spectrum
    plan : FitPlan
        From `plan_fit`.
    functions : sequence of str
        One background function, or nested functions whose order is chosen on the fitted bins. With several, a selection
        is fitted together with the events that fail it if the spectrum has them.
    alpha : float
        The next function is taken if the likelihood-ratio test prefers it with p < alpha.
    sqrt_s_gev : float
        Collision energy, GeV.
    level : float
        Signals with CLs < level are excluded.
    likelihood : str
        Model of the background: "profile" or "gaussian", see `analysis.statistics.Counting`.
    function_error : str
        "spurious" or "none", see `analysis.config.BackgroundConfig`.

    Returns
    -------
    Bump

    Raises
    ------
    ConfigError
        If a function is unknown, or the collision energy is incompatible with the masses.
    FitError
        If the fitted bins do not determine the function, no valid minimum is found, or bins are empty despite many
        expected events.
    StatisticsError
        If the p-value or the limit cannot be computed.
    """
    smallest, strategy, rest = look_up(functions)[0], DEFAULT_STRATEGY, None
    _require_energy(plan, sqrt_s_gev)
    inside = bins_of(spectrum.edges, plan.fit_range)
    edges, counts = edges_of(spectrum.edges, inside), spectrum.counts[inside]
    variances = counts if spectrum.expected else None if spectrum.variances is None else spectrum.variances[inside]
    _require_bins(edges, counts, plan, smallest.name, smallest.n_parameters)
    if len(functions) > 1 or smallest.n_ratio:
        strategy, rest = TRANSFER_FACTOR, _rest(spectrum, inside, smallest)
    fit = choose_order(
        counts,
        edges,
        mask=plan.mask,
        functions=functions,
        alpha=alpha,
        sqrt_s_gev=sqrt_s_gev,
        strategy=strategy,
        variances=variances,
        rest=rest,
    )
    if function_error == "spurious":
        fit = with_function_error(fit, plan.signal)
    expected = fit.estimate(*plan.signal)
    _require_data(edges, counts, fit, expected.weight)
    n_obs = float(counts[bins_of(edges, plan.signal)].sum())
    counting = Counting(n_obs, expected.value, expected.error(likelihood), likelihood)
    workspace = counting_workspace(
        counting.effective(expected.weight), channel=f"window_{plan.name}", measurement="fit"
    )
    return Bump(
        plan=plan,
        n_obs=n_obs,
        background=expected.value,
        background_error=counting.background_error,
        fit=fit,
        goodness=goodness_of_fit(fit),
        discovery=checked_discovery(workspace, fit, plan.signal, n_obs, likelihood),
        limit=upper_limit(workspace, level=level).scaled(expected.weight),
        workspace=workspace,
        weight=expected.weight,
        spectrum_notes=spectrum.notes,
    )


def bump_document(bump: Bump) -> dict[str, Any]:
    """Return a result as a JSON-ready dict, with at least the documented keys of `cwola fit --json`."""
    fit, limit = bump.fit, bump.limit
    return {
        "signal": list(bump.plan.signal),
        "mask": list(bump.plan.mask),
        "fit_range": list(bump.plan.fit_range),
        "function": fit.function.name,
        "n": bump.n_obs,
        "b": bump.background,
        "b_error": bump.background_error,
        "z": bump.discovery.z,
        "p0": bump.discovery.p0,
        "p0_toys": bump.discovery.p0_toys,
        "p0_averaged": bump.discovery.p0_averaged,
        "asymptotics_trusted": bump.discovery.asymptotics_trusted,
        "calibrated": bump.calibrated,
        "chi2": fit.deviance,
        "ndof": fit.ndof,
        "p_value": bump.goodness.p_value,
        "p_value_method": bump.goodness.method,
        "limit_events": limit.observed_events,
        "limit_expected_events": list(limit.expected_events),
        "limit_expectation": limit.expectation,
        "limit_calculator": limit.calculator,
        "function_error": fit.function_error,
        "hidden_shift": fit.hidden_shift,
        "parameters": fit.parameters,
        "path": [asdict(step) for step in fit.path],
        "notes": list(bump.notes),
    }


def _rest(spectrum: Spectrum, inside: slice, function: MassFunction) -> tuple[Array, Array | None] | None:
    """Bins of the events that fail the selection, if the spectrum has them."""
    if spectrum.rest is None:
        if function.n_ratio:
            msg = (
                f"{function.name} is a function of events that pass and fail a selection, and {spectrum.source} does "
                "not say which fail. Use another function, or a selection of a spectrum.json with the inclusive one."
            )
            raise FitError(msg)
        return None
    counts, variances = spectrum.rest
    return counts[inside], None if variances is None else variances[inside]


def _on_edges(spectrum: Spectrum, interval: Interval, what: str) -> Interval:
    """Return the bin edges of an interval, or raise if it is not on bin edges."""
    edges = spectrum.edges
    name = f"the {what} {_name(interval)} GeV"
    if not (np.isfinite(interval).all() and interval[0] < interval[1]):
        msg = f"{name} is not an interval. Expected low < high."
        raise WindowError(msg)
    slack = _TINY * float(np.diff(edges).min())
    if interval[0] < edges[0] - slack or interval[1] > edges[-1] + slack:
        msg = f"{name} is not inside {spectrum.source}, which covers {edges[0]:g}-{edges[-1]:g} GeV."
        raise WindowError(msg)
    low, high = (float(edges[np.argmin(abs(edges - limit))]) for limit in interval)
    if max(abs(low - interval[0]), abs(high - interval[1])) > slack:
        around = " and ".join(_around(edges, limit, slack) for limit in interval)
        msg = (
            f"{name} is not on the bin edges of {spectrum.source}: the nearest edges are {around}. Events of a part of "
            "a bin cannot be counted: use one of these edges."
        )
        raise WindowError(msg)
    return low, high


def _around(edges: Array, limit: float, slack: float) -> str:
    """Return the edge at a limit, or the two edges that enclose it, as text."""
    if abs(edges - limit).min() <= slack:
        return f"{edges[np.argmin(abs(edges - limit))]:g}"
    i = int(np.searchsorted(edges, limit))
    return f"{edges[i - 1]:g} or {edges[i]:g}"


def _require_sidebands(spectrum: Spectrum, plan: FitPlan) -> None:
    below, above = plan.fit_range[0] < plan.mask[0], plan.mask[1] < plan.fit_range[1]
    what = f"the {'window' if plan.mask == plan.signal else 'mask'} {_name(plan.mask)} GeV"
    if not below and not above:
        msg = f"{what} covers the whole fit range {_name(plan.fit_range)} GeV: nothing is left to fit. Narrow it."
        raise WindowError(msg)
    if not (below and above):
        msg = (
            f"{what} leaves no bin {'above' if below else 'below'} it in the fit range {_name(plan.fit_range)} GeV. "
            "The background is fitted on both sides: widen the fit range, or move the window."
        )
        raise WindowError(msg)
    lower = bins_of(spectrum.edges, (plan.fit_range[0], plan.mask[0]))
    if not spectrum.counts[lower].any():
        msg = (
            f"{what} has no events below it in the fit range {_name(plan.fit_range)} GeV, so there is no falling "
            "spectrum to fit. Move the window, or check the spectrum."
        )
        raise WindowError(msg)


def _require_energy(plan: FitPlan, sqrt_s_gev: float) -> None:
    low, high = plan.fit_range
    if low <= 0:
        msg = f"the fit range {_name(plan.fit_range)} GeV starts at {low:g}; masses are positive. Use --fit-range."
        raise WindowError(msg)
    if not (np.isfinite(sqrt_s_gev) and high < sqrt_s_gev):
        msg = (
            f"the fit range {_name(plan.fit_range)} GeV does not end below the collision energy {sqrt_s_gev:g} GeV. "
            "Narrow --fit-range, or give the right --sqrt-s."
        )
        raise ConfigError(msg)


def _require_bins(edges: Array, counts: Array, plan: FitPlan, function: str, n_parameters: int) -> None:
    fitted = outside(edges, plan.mask)
    where = f"{_name(plan.fit_range)} GeV outside the mask {_name(plan.mask)} GeV"
    if (negative := fitted & (counts < 0)).any():
        i = int(np.argmax(negative))
        msg = (
            f"the bin {edges[i]:g}-{edges[i + 1]:g} GeV holds a negative sum of weights, {counts[i]:g}: it cannot be "
            "fitted. Merge it with its neighbours, or narrow the fit range."
        )
        raise FitError(msg)
    filled = int((counts[fitted] > 0).sum())
    if filled <= n_parameters:
        msg = (
            f"{int(fitted.sum())} bins, {filled} of them filled, are left of {where}: too few for the {n_parameters} "
            f"parameters of {function}. Narrow the mask, widen the fit range, or use finer bins or a function with "
            "fewer parameters."
        )
        raise FitError(msg)


def _require_data(edges: Array, counts: Array, fit: BackgroundFit, weight: float) -> None:
    """Raise for runs of empty bins with many expected events: a blinded window, or a gap in the data."""
    expected = fit.expected(edges)[0] / weight
    for empty, run in groupby(range(len(counts)), key=lambda i: counts[i] == 0):
        bins = list(run)
        if empty and expected[bins].sum() > _SURELY_FILLED:
            msg = (
                f"the bins {edges[bins[0]]:g}-{edges[bins[-1] + 1]:g} GeV are all empty, but the fit expects "
                f"{expected[bins].sum():.0f} events there. A blinded spectrum hides its events: use one that is not "
                "blinded, or a fit range without the gap."
            )
            raise FitError(msg)


def _notes(bump: Bump) -> Iterator[str]:
    if bump.has_bad_fit:
        yield f"the fit is bad (p < {BAD_FIT:g}), do not trust b, z, p0 and the limit"
    if (bump.fit.hidden_shift or 0.0) > RESTS_ON_SMOOTHNESS:
        shift = f"{bump.fit.hidden_shift:.2g}"
        yield f"a distortion of the spectrum that the fitted bins cannot exclude would shift z by {shift}"
    if not bump.calibrated:
        yield f"fewer than {CALIBRATED_FROM:g} events are expected, z is approximate and p0_averaged conservative"
    if not bump.discovery.asymptotics_trusted:
        yield "asymptotic formulae do not hold, take p0 from toys"


def _holds(outer: Interval, inner: Interval) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def _name(interval: Interval) -> str:
    return f"{interval[0]:g}-{interval[1]:g}"
