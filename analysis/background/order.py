"""Choice of the fitted function: strategies by name, all blind to the masked bins."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.background.bins import Interval, Mask, Sidebands, pass_and_fail, sidebands
from analysis.background.fit import BackgroundFit, OrderStep, fit_sidebands
from analysis.background.functions import MassFunction, PassFailFunction, function_family, look_up, times_ratio
from analysis.background.goodness import chi_square_p_value, goodness_of_fit
from analysis.errors import ConfigError, FitError

__all__ = [
    "BY_TEMPLATE",
    "DEFAULT_STRATEGY",
    "STRATEGIES",
    "TRANSFER_FACTOR",
    "choose_order",
    "events_needed",
    "ratio_order",
    "require_functions",
    "supported",
]

Array = NDArray[np.float64]
Functions = Sequence[MassFunction]

_EVENTS_OF_THREE_PARAMETERS = 75.0
_GROWTH = 4.0

_RATIO_EVENTS = (10.0, 5_000.0, 50_000.0)
"""Passing events from which the pass/fail ratio has one, two and three parameters beside its normalisation."""

_MORE = 2  # parameters of a freer ratio
_SMOOTH = 1e-3
"""p-value below which a ratio is not smooth; seldom enough for an error that does not cover the choice."""

TRANSFER_FACTOR = "transfer-factor"
"""Strategy that fits a selection together with the events that fail it."""

BY_TEMPLATE = "template"
"""Strategy that fits all events, and counts a selection against the template of the method."""

_SHRINK = 200.0  # GeV on each side, 400 GeV in total: ATLAS' first search
_LEVER = 0.5
"""Part of the width of the mask that stays on either side of it: in shorter ranges functions dive into the mask."""
_GOOD_FIT = 0.05


def choose_order(  # noqa: PLR0913 - a spectrum, the events beside it, and how to fit them
    counts: Array,
    edges: Array,
    *,
    mask: Mask,
    functions: Sequence[str | MassFunction],
    alpha: float,
    sqrt_s_gev: float,
    strategy: str = "events",
    variances: Array | None = None,
    rest: tuple[Array, Array | None] | None = None,
) -> BackgroundFit:
    """Choose a function on the sidebands and fit it.

    Strategies, with their requirement on `functions`:

    "events" (default; nested)
        The highest order supported by the events outside the mask (`events_needed`): 300 for four parameters, 1200 for
        five. The choice does not depend on the shape of the spectrum, so that the fit error is the full error and
        p-values are uniform. The price is a larger error than for a stiff function that happens to be right.
    "likelihood-ratio" (nested)
        Take the next order while the likelihood-ratio test prefers it with p < alpha. The most sensitive; but if the
        sidebands cannot reveal that a function is too stiff, the error does not include its bias.
    "transfer-factor" (nested)
        Events that pass a selection are those that fail it, `rest`, times a smooth ratio, exp of a polynomial in ln m.
        Both are fitted together: the many that fail determine the shape, with the order of "events", so that those that
        pass determine no more than the ratio, two numbers below 5,000 events (`ratio_order`). If two more are better
        with p < 0.001, the ratio is not smooth, as of classifiers that know m_jj from their features: the selection is
        then fitted alone. Without `rest`, as for the inclusive selection, it is "events".
    "template" (nested)
        "events" for all events. A selection has no fit: its background is that of all events times the fraction of the
        template of the method that passes, see `analysis.background.from_template`.
    "raise" (nested)
        Raise the order until the goodness of fit is p > 0.05, at most to the last: the loop of ATLAS' second search,
        arXiv:2502.09770. Its criterion is not published; the criterion used here is our own.
    "chi2-acceptance" (any list)
        The first function with goodness of fit p > 0.05; if none has, shrink the range of the fit by 400 GeV, half on
        each side, and try again: ATLAS' first search, arXiv:2005.02983. On either side of the mask half of its width
        is kept, where the range has it (ours).

    Parameters
    ----------
    counts : (n_bins,) float64
        Events per bin. The masked bins are never read.
    edges : (n_bins + 1,) float64
        Bin edges, GeV.
    mask : (low, high), or a sequence of them
        Overlapping bins are removed, GeV.
    functions : sequence of str or MassFunction
        Fewest parameters first.
    alpha : float
        Threshold on the p-value of the likelihood-ratio test.
    sqrt_s_gev : float
        Collision energy, GeV.
    strategy : str
    variances : (n_bins,) float64, optional
        Sums of squared weights, for weighted counts.
    rest : ((n_bins,) float64, (n_bins,) float64 or None), optional
        Events that fail the selection, and their variances, for the strategy "transfer-factor"; the other strategies
        ignore them.

    Returns
    -------
    BackgroundFit
        With the steps of the choice.

    Raises
    ------
    ConfigError
        If the strategy or a function is unknown, or a function is not the next in its family.
    FitError
        If a bin cannot be fitted, no function has a valid fit, or none is accepted.

    Examples
    --------
    >>> import numpy as np
    >>> from analysis.background import choose_order
    >>> edges = np.arange(3000.0, 6501.0, 100.0)
    >>> x = (edges[1:] + edges[:-1]) / 2 / 13000
    >>> functions = ["dijet3", "dijet4", "dijet5"]
    >>> options = {"functions": functions, "mask": (3200, 3800), "alpha": 0.05, "sqrt_s_gev": 13000}
    >>> for scale in (0.5, 1, 4):
    ...     counts = np.round(scale * (1 - x) ** 9 / x**5)
    ...     beside = counts[(edges[:-1] < 3200) | (edges[:-1] >= 3800)].sum()
    ...     print(int(beside), choose_order(counts, edges, **options).function.name)
    157 dijet3
    319 dijet4
    1274 dijet5
    """
    family = require_functions(functions, strategy)
    data = sidebands(counts, edges, mask=mask, variances=variances)
    if rest is not None and strategy == TRANSFER_FACTOR:
        data = pass_and_fail(data, sidebands(rest[0], edges, mask=mask, variances=rest[1]))
    return STRATEGIES[strategy](data, family, alpha, sqrt_s_gev)


def require_functions(names: Sequence[str | MassFunction], strategy: str) -> tuple[MassFunction, ...]:
    """Look up functions as required by a strategy.

    Raises
    ------
    ConfigError
        If the strategy or a function is unknown, or the strategy needs nested functions and one does not extend the one
        before it.
    """
    if strategy not in STRATEGIES:
        msg = f"unknown strategy '{strategy}' for the order of the background. Strategies: {', '.join(STRATEGIES)}."
        raise ConfigError(msg)
    return look_up(names) if strategy == "chi2-acceptance" else function_family(names)


def events_needed(n_parameters: int) -> float:
    """Minimum number of events outside the mask for the strategy "events" to use a function other than the first.

    A function that is too stiff is wrong by a fixed fraction, which grows relative to the statistical error as the
    square root of the number of events. Below these numbers the bias is at most about 0.1 standard deviations for any
    of five functions that describe 52 000 simulated QCD events equally well (`tests/studies/fit_calibration.py`).
    """
    return _EVENTS_OF_THREE_PARAMETERS * _GROWTH ** (n_parameters - 3)


def supported(family: Functions, filled: NDArray[np.int64], events: Array) -> NDArray[np.int64]:
    """(n_spectra,): index of the highest order supported by filled bins and events, (n_spectra,), outside the mask."""
    index = np.zeros(len(events), np.int64)
    for k, function in enumerate(family[1:], start=1):
        enough = (events >= events_needed(function.n_parameters)) & (filled > function.n_parameters)
        index[enough] = k
    return index


def ratio_order(events: Array) -> NDArray[np.int64]:
    """Order of the polynomial of a pass/fail ratio for these numbers of passing events outside the mask.

    A constant for a handful of events, a straight line up to 5,000, one order more for every factor of ten. In searches
    of 240,000 simulated QCD events the second derivative of ln ratio by ln m was -0.5 to 0.2 with errors of 0.3; one of
    0.3 shifts the background by less than 0.2 standard deviations below these numbers: `tests/studies/p_values.py`.
    """
    return np.searchsorted(_RATIO_EVENTS, events, side="right")


def transfer_function(family: Functions, data: Sidebands) -> tuple[int, int]:
    """Return the index of the shape in the family and the order of the ratio for events that pass and fail."""
    failing, passing = data.failing, data.part(~data.rest)
    filled = np.array([(failing.observed > 0).sum()])
    shape, ratio = supported(family, filled, np.array([failing.events])), ratio_order(np.array([passing.events]))
    return int(shape[0]), int(ratio[0])


def _fitted_ratio(data: Sidebands, family: Functions, sqrt_s_gev: float) -> BackgroundFit:
    """Fit events that pass and fail, with fewer parameters if the first choice has no valid fit."""
    shape, ratio = transfer_function(family, data)
    errors = []
    for order in range(ratio, -1, -1):
        for index in range(shape, -1, -1):
            try:
                return fit_sidebands(data, times_ratio(family[index], order), sqrt_s_gev)
            except FitError as error:
                errors.append(error)
    raise errors[0]


def _smoothness(data: Sidebands, fit: BackgroundFit, sqrt_s_gev: float) -> float:
    """p-value of the likelihood-ratio test of the pass/fail ratio against one with two parameters more."""
    assert isinstance(fit.function, PassFailFunction)
    try:
        freer = fit_sidebands(data, times_ratio(fit.function.shape, fit.function.order + _MORE), sqrt_s_gev)
    except FitError:
        return 1.0
    return chi_square_p_value(fit.deviance - freer.deviance, _MORE)


def _by_transfer_factor(data: Sidebands, family: Functions, alpha: float, sqrt_s_gev: float) -> BackgroundFit:
    if not data.rest.any():
        return _by_events(data, family, alpha, sqrt_s_gev)
    if family[0].n_ratio:
        only = OrderStep(family[0].name, None, preferred=True, p_value=None, test="events")
        return _with_path(fit_sidebands(data, family[0], sqrt_s_gev), [only])
    fit = _fitted_ratio(data, family, sqrt_s_gev)
    p_value = _smoothness(data, fit, sqrt_s_gev)
    step = OrderStep(fit.function.name, None, preferred=p_value >= _SMOOTH, p_value=p_value)
    if step.preferred:
        return _with_path(fit, [step])
    alone = _by_events(data.part(~data.rest), family, alpha, sqrt_s_gev)
    return _with_path(alone, [step, *alone.path])


def _by_events(data: Sidebands, family: Functions, _alpha: float, sqrt_s_gev: float) -> BackgroundFit:
    filled = np.array([(data.observed > 0).sum()])
    top = int(supported(family, filled, np.array([data.events]))[0])
    for index in range(top, 0, -1):
        try:
            return _with_path(fit_sidebands(data, family[index], sqrt_s_gev), _event_path(family, top, index))
        except FitError:
            continue
    return _with_path(fit_sidebands(data, family[0], sqrt_s_gev), _event_path(family, top, 0))


def _event_path(family: Functions, top: int, chosen: int) -> list[OrderStep]:
    return [OrderStep(family[k].name, None, preferred=k <= chosen, p_value=None, test="events") for k in range(top + 1)]


def _by_likelihood_ratio(data: Sidebands, family: Functions, alpha: float, sqrt_s_gev: float) -> BackgroundFit:
    best = fit_sidebands(data, family[0], sqrt_s_gev)
    path = [OrderStep(family[0].name, best.deviance, preferred=True, p_value=None)]
    for function in family[1:]:
        try:
            fit = fit_sidebands(data, function, sqrt_s_gev)
        except FitError:
            path.append(OrderStep(function.name, None, preferred=False, p_value=None))
            break
        extra = function.n_parameters - best.function.n_parameters
        p_value = chi_square_p_value(best.deviance - fit.deviance, extra)
        path.append(OrderStep(function.name, fit.deviance, preferred=p_value < alpha, p_value=p_value))
        if p_value >= alpha:
            break
        best = fit
    return _with_path(best, path)


def _by_raising(data: Sidebands, family: Functions, _alpha: float, sqrt_s_gev: float) -> BackgroundFit:
    accepted, tried = _first_accepted(data, family, sqrt_s_gev)
    if accepted is None:
        msg = f"no function describes {_range(data)}: {_tried(tried)}. {_ADVICE}"
        raise FitError(msg)
    return _with_path(accepted, tried)


def _by_acceptance(data: Sidebands, family: Functions, _alpha: float, sqrt_s_gev: float) -> BackgroundFit:
    attempts: list[list[OrderStep]] = []
    for part in _shrinking(data):
        accepted, tried = _first_accepted(part, family, sqrt_s_gev)
        attempts.append(tried)
        if accepted is not None:
            return _with_path(accepted, [step for attempt in attempts for step in attempt])
    shorter = f", nor a shorter range, at last: {_tried(attempts[-1])}" if len(attempts) > 1 else ""
    msg = f"no function describes {_range(data)}: {_tried(attempts[0])}{shorter}. {_ADVICE}"
    raise FitError(msg)


Strategy = Callable[[Sidebands, Functions, float, float], BackgroundFit]

STRATEGIES: Mapping[str, Strategy] = {
    "events": _by_events,
    TRANSFER_FACTOR: _by_transfer_factor,
    BY_TEMPLATE: _by_events,
    "likelihood-ratio": _by_likelihood_ratio,
    "raise": _by_raising,
    "chi2-acceptance": _by_acceptance,
}
"""Strategies for the order by name: map checked bins, functions, alpha and collision energy (GeV) to a fit."""

DEFAULT_STRATEGY = "events"

_ADVICE = "Add a function to background.functions, or use another scan.fit_range or scan.bin_width."


def _first_accepted(
    data: Sidebands, functions: Functions, sqrt_s_gev: float
) -> tuple[BackgroundFit | None, list[OrderStep]]:
    """Return the first function with p > 0.05, or None, and the steps."""
    path: list[OrderStep] = []
    for function in functions:
        fit, p_value = _tested(data, function, sqrt_s_gev)
        accepted = p_value is not None and p_value > _GOOD_FIT
        path.append(
            OrderStep(
                function.name,
                None if fit is None else fit.deviance,
                preferred=accepted,
                p_value=p_value,
                test="goodness-of-fit",
                low=float(data.low[0]),
                high=float(data.high[-1]),
            )
        )
        if accepted:
            return fit, path
    return None, path


def _tested(data: Sidebands, function: MassFunction, sqrt_s_gev: float) -> tuple[BackgroundFit | None, float | None]:
    try:
        fit = fit_sidebands(data, function, sqrt_s_gev)
        return fit, goodness_of_fit(fit).p_value
    except FitError:
        return None, None


def _shrinking(data: Sidebands) -> Sequence[Sidebands]:
    """Return the data in successively shorter ranges that keep whole bins next to the mask on both sides."""
    low, high = min(low for low, _ in data.mask), max(high for _, high in data.mask)
    lever = _LEVER * (high - low)
    limit_low = float(data.low[data.low <= low - lever].max(initial=data.low[0]))
    limit_high = float(data.high[data.high >= high + lever].min(initial=data.high[-1]))
    parts = [data]
    fit_range: Interval = (float(data.low[0]), float(data.high[-1]))
    while True:
        shorter = (min(fit_range[0] + _SHRINK, limit_low), max(fit_range[1] - _SHRINK, limit_high))
        shorter = (max(shorter[0], fit_range[0]), min(shorter[1], fit_range[1]))
        if shorter == fit_range:
            return parts
        fit_range = shorter
        parts.append(data.within(fit_range))


def _range(data: Sidebands) -> str:
    return f"{data.low[0]:g}-{data.high[-1]:g} GeV with p > {_GOOD_FIT:g}"


def _tried(path: Sequence[OrderStep]) -> str:
    return ", ".join(
        f"{step.function} over {step.low:g}-{step.high:g} GeV "
        + ("has no valid fit" if step.p_value is None else f"has p = {step.p_value:.2g}")
        for step in path
    )


def _with_path(fit: BackgroundFit, path: Sequence[OrderStep]) -> BackgroundFit:
    return dataclasses.replace(fit, path=tuple(path))
