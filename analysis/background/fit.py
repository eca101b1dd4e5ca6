"""Fit of one function to the sidebands of one spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.background.bins import Interval, Mask, Sidebands, sidebands
from analysis.background.estimate import CALIBRATED_FROM, Estimates, error_of, estimate_bins
from analysis.background.functions import MassFunction
from analysis.background.likelihood import Design, Solution, integrals, make_design, minuit_solution, solve
from analysis.core.notebook import facts
from analysis.errors import FitError

__all__ = ["BackgroundFit", "OrderStep", "WindowEstimate", "fit_background", "fit_sidebands"]

FEWEST_OF_RATIO = 3
"""A pass/fail ratio needs more filled bins than that: a handful of events in one place tells of no spectrum."""

_MOST_BINS = 7000
"""Bins whose covariance is computed; it takes 0.4 GB."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class OrderStep:
    """One step in the choice of the function.

    Attributes
    ----------
    function : str
    deviance : float or None
        -2 log likelihood ratio to the saturated model, over the fitted bins; None if the fit is invalid or was not
        made.
    preferred : bool
        Whether the function was preferred to the previous one, or accepted.
    p_value : float or None
        p-value of the deciding test; None without a test.
    test : str
        Deciding criterion: "likelihood-ratio", "goodness-of-fit" or "events".
    low, high : float or None
        Range of the fit, GeV, if it is part of the choice.
    """

    function: str
    deviance: float | None
    preferred: bool
    p_value: float | None
    test: str = "likelihood-ratio"
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class WindowEstimate:
    """Background estimate in one interval.

    Attributes
    ----------
    value : float
        Events; a background-only count lies above as often as below.
    up, down : float
        Distances of the ends of the 68 % interval from `value`, both positive, events.
    log_error : float
        Standard deviation of the logarithm of the background that stands for the profile likelihood.
    calibrated : bool
        Whether enough events are expected for uniform p-values.
    weight : float
        Sum of weights per effective event, Σw² / Σw, as in the sidebands: a sum of weights divided by this fluctuates
        like a Poisson count (arXiv:1309.1287, Eq. 4). 1 for plain counts.
    """

    value: float
    up: float
    down: float
    log_error: float
    calibrated: bool
    weight: float = 1.0

    def error(self, likelihood: str = "profile") -> float:
        """Return the upward error that a likelihood of the count takes, events: "profile" or "gaussian"."""
        return float(error_of(self.value, self.up, self.log_error, likelihood))


@dataclass(frozen=True)
class BackgroundFit:
    """Valid fit.

    Attributes
    ----------
    function : MassFunction
    sqrt_s_gev : float
    coefficients : (n_parameters,) float64
        Coefficients of the orthonormal basis.
    covariance : (n_parameters, n_parameters) float64
        Covariance of `coefficients`: the inverse of the expected information.
    transform : (n_parameters, n_parameters) float64
        The basis of the function times this matrix is the orthonormal basis.
    deviance : float
        -2 log likelihood ratio to the saturated model (Baker, Cousins, NIM 221 (1984) 437).
    ndof : int
    path : tuple of OrderStep
        Steps of the choice of the order.
    cumulants : (n_parameters, n_parameters, n_parameters) float64 or None
        Third derivatives of the log likelihood, negated. None if they were not stored: estimates then use the
        large-sample limit.
    data : Sidebands or None
        Fitted data. None for a fit that was read from a file; its counts are taken as unweighted.
    function_error : float
        Error of ln b from the choice of the function, part of the errors of all estimates: see
        `analysis.background.function_bias`.
    hidden_shift : float or None
        Shift of n - b in the window, in standard deviations, by a distortion of the spectrum that its sidebands cannot
        exclude. None if it was not measured.

    Examples
    --------
    >>> import numpy as np
    >>> from analysis.background import FUNCTIONS, fit_background
    >>> edges = np.arange(3000.0, 6501.0, 100.0)
    >>> x = (edges[1:] + edges[:-1]) / 2 / 13000
    >>> counts = np.round(40 * (1 - x) ** 9 / x**5)
    >>> fit = fit_background(counts, edges, FUNCTIONS["dijet3"], mask=(3200, 3800), sqrt_s_gev=13000)
    >>> fit.ndof  # 29 bins outside the mask, three parameters
    26
    >>> {name: round(value, 1) for name, value in fit.parameters.items()}
    {'ln_p0': -0.8, 'p1': 9.1, 'p2': 5.0}
    """

    function: MassFunction
    sqrt_s_gev: float
    coefficients: Array
    covariance: Array
    transform: Array
    deviance: float
    ndof: int
    path: tuple[OrderStep, ...] = ()
    cumulants: Array | None = None
    data: Sidebands | None = None
    function_error: float = 0.0
    hidden_shift: float | None = None

    def __repr__(self) -> str:
        return f"BackgroundFit({self.function.name}, deviance {self.deviance:.4g}, ndof {self.ndof})"

    def _repr_html_(self) -> str:
        steps = {step.function: "preferred" if step.preferred else "not needed" for step in self.path}
        shown = {"χ²/ndof": f"{self.deviance:.1f}/{self.ndof}", "p": self.p_value, **self.parameters}
        return facts(f"Fit of {self.function.name}", {**shown, "Choice": steps})

    @property
    def p_value(self) -> float:
        """Goodness of fit from the asymptotic chi-square distribution of the deviance; see `goodness_of_fit`."""
        return float(stats.chi2.sf(self.deviance, self.ndof))

    @property
    def parameters(self) -> dict[str, float]:
        """Parameters of the published formula by name, see `MassFunction.parameters`."""
        return self.function.parameters(self.transform @ self.coefficients)

    def expected(self, edges: Array) -> tuple[Array, Array]:
        """Integrate the fitted curve over bins, as drawn in figures.

        Parameters
        ----------
        edges : (n_bins + 1,) float64
            Any edges, GeV; they need not lie on the fit grid.

        Returns
        -------
        expected : (n_bins,) float64
            Events.
        covariance : (n_bins, n_bins) float64
            From the covariance of the fit.

        Raises
        ------
        FitError
            If there are so many bins that their covariance needs too much memory.
        """
        if len(edges) > _MOST_BINS + 1:
            msg = (
                f"{len(edges) - 1} bins in {edges[0]:g}-{edges[-1]:g} GeV are more than the {_MOST_BINS} that can be "
                "fitted together. Merge bins, or fit a narrower range."
            )
            raise FitError(msg)
        expected, jacobian = integrals(self.design(edges[:-1], edges[1:]), self.coefficients[None])
        return expected[0], jacobian[0] @ self.covariance @ jacobian[0].T

    def expected_both(self, edges: Array) -> tuple[Array, Array]:
        """Integrate the curves of the events that pass and, for a fit of both, of those that fail the selection.

        Parameters
        ----------
        edges : (n_bins + 1,) float64
            GeV.

        Returns
        -------
        expected : (n_bins,) or (2 n_bins,) float64
            Events that pass, then events that fail.
        covariance : (n_bins, n_bins) or (2 n_bins, 2 n_bins) float64
            Their joint covariance.
        """
        if not self.function.n_ratio:
            return self.expected(edges)
        low, high = np.tile(edges[:-1], 2), np.tile(edges[1:], 2)
        failing = np.repeat([False, True], len(edges) - 1)
        expected, jacobian = integrals(self.design(low, high, failing), self.coefficients[None])
        return expected[0], jacobian[0] @ self.covariance @ jacobian[0].T

    @property
    def has_prior(self) -> bool:
        """Whether coefficients have a prior, as those of a Gaussian process."""
        return any(self.function.precision)

    def expected_rest(self, edges: Array) -> Array:
        """(n_bins,) float64: expected events that fail the selection, for a fit of both."""
        every = np.ones(len(edges) - 1, bool)
        expected, _ = integrals(self.design(edges[:-1], edges[1:], every), self.coefficients[None])
        return np.asarray(expected[0])

    def windows(self, intervals: Sequence[Interval]) -> tuple[Array, Array]:
        """Estimate the background in several intervals at once.

        Parameters
        ----------
        intervals : sequence of (low, high)
            GeV. They may be disjoint or overlap.

        Returns
        -------
        value : (n_intervals,) float64
            Events; centred as in `estimate`.
        covariance : (n_intervals, n_intervals) float64
            Covariance to first order.
        """
        estimates = self._estimates(intervals)
        return estimates.value[0], estimates.covariance[0]

    def estimate(self, low: float, high: float) -> WindowEstimate:
        """Estimate the background in [low, high) GeV, corrected for low counts: see `analysis.background.estimate`.

        The difference from the integral of the curve is a fraction of the error that vanishes for many events.
        """
        estimates, weight = self._estimates([(low, high)]), float(self._weights(np.array([(low, high)]))[0])
        arrays = (estimates.value, estimates.up, estimates.down, estimates.log_error)
        value, up, down, log_error = (float(array[0, 0]) for array in arrays)
        return WindowEstimate(value, up, down, log_error, value / weight >= CALIBRATED_FROM, weight)

    def integral(self, low: float, high: float, likelihood: str = "profile") -> tuple[float, float]:
        """Return the background in [low, high) GeV and its upward error, against which an excess is tested."""
        estimate = self.estimate(low, high)
        return estimate.value, estimate.error(likelihood)

    def _estimates(self, intervals: Sequence[Interval]) -> Estimates:
        edges = np.asarray(intervals, np.float64).reshape(-1, 2)
        shape = 3 * (len(self.coefficients),)
        cumulants = np.zeros(shape) if self.cumulants is None else self.cumulants
        solution = Solution(
            self.coefficients[None],
            self.covariance[None],
            cumulants[None],
            np.array([self.deviance]),
            np.array([True]),
        )
        fitted = None
        if self.data is not None:
            fitted = self.design(self.data.low, self.data.high, self.data.rest), self.data.scale[None]
        design = self.design(edges[:, 0], edges[:, 1])
        estimates = estimate_bins(design, solution, self._weights(edges), fitted=fitted)
        return estimates.widened(self.function_error)

    def _weights(self, intervals: Array) -> Array:
        return np.ones(len(intervals)) if self.data is None else self.data.weight(intervals)

    def design(self, low: Array, high: Array, rest: NDArray[np.bool_] | None = None) -> Design:
        """Evaluate the function on bins, see `make_design`; in the basis of the fit."""
        return make_design(self.function, low, high, self.sqrt_s_gev, self.transform, rest=rest)


def fit_background(
    counts: Array,
    edges: Array,
    function: MassFunction,
    *,
    mask: Mask,
    sqrt_s_gev: float,
    variances: Array | None = None,
) -> BackgroundFit:
    """Fit one function to the bins outside the mask.

    Parameters
    ----------
    counts : (n_bins,) float64
        Events per bin. The masked bins are never read.
    edges : (n_bins + 1,) float64
        Bin edges, GeV; bins may differ in width.
    function : MassFunction
    mask : (low, high), or a sequence of them
        Overlapping bins are removed, GeV.
    sqrt_s_gev : float
        Collision energy, GeV.
    variances : (n_bins,) float64, optional
        Sums of squared weights, for weighted counts: the likelihood is then the scaled Poisson likelihood of
        arXiv:1309.1287.

    Returns
    -------
    BackgroundFit

    Raises
    ------
    FitError
        If a bin cannot be fitted, too few bins are filled, or no valid minimum is found.

    Examples
    --------
    >>> import numpy as np
    >>> from analysis.background import FUNCTIONS, fit_background
    >>> edges = np.arange(3000.0, 6501.0, 100.0)
    >>> x = (edges[1:] + edges[:-1]) / 2 / 13000
    >>> counts = np.round(40 * (1 - x) ** 9 / x**5)
    >>> fit = fit_background(counts, edges, FUNCTIONS["dijet3"], mask=(3200, 3800), sqrt_s_gev=13000)
    >>> background, error = fit.integral(3300, 3700)
    >>> int(counts[3:7].sum()), round(background), round(error)
    (6976, 6979, 87)
    """
    return fit_sidebands(sidebands(counts, edges, mask=mask, variances=variances), function, sqrt_s_gev)


def fit_sidebands(data: Sidebands, function: MassFunction, sqrt_s_gev: float) -> BackgroundFit:
    """Fit one function to validated bins; see `fit_background`."""
    _require_information(data, function)
    function = function.adapted(data, sqrt_s_gev)
    design = make_design(function, data.low, data.high, sqrt_s_gev, rest=data.rest)
    observed, scale = data.observed[None], data.scale[None]
    solution = solve(observed, design, scale)
    if not solution.valid[0]:
        solution = minuit_solution(observed, design, scale)
    if not solution.valid[0]:
        msg = (
            f"the fit of {function.name} to {data.low[0]:g}-{data.high[-1]:g} GeV found no valid minimum "
            f"({len(data.low)} bins, {data.observed.sum():g} events). Use fewer parameters, wider bins or another "
            "scan.fit_range."
        )
        raise FitError(msg)
    return BackgroundFit(
        function=function,
        sqrt_s_gev=sqrt_s_gev,
        coefficients=solution.coefficients[0],
        covariance=solution.covariance[0],
        transform=design.transform,
        deviance=float(solution.deviance[0]),
        ndof=_degrees_of_freedom(design, solution),
        cumulants=solution.cumulants[0],
        data=data,
    )


def _degrees_of_freedom(design: Design, solution: Solution) -> int:
    """Return the expected deviance of a correct function: coefficients with a prior are fitted only in part."""
    fitted = len(solution.coefficients[0])
    if design.precision is None:
        return len(design.weight) - fitted
    held = solution.covariance[0] @ design.precision
    return len(design.weight) - fitted + round(float(np.trace(held @ held)))


def _require_information(data: Sidebands, function: MassFunction) -> None:
    if data.rest.any():
        _require_bins(data, data.rest, function.n_parameters - function.n_ratio, f"the shape of {function.name}")
        _require_bins(
            data, ~data.rest, max(function.n_ratio, FEWEST_OF_RATIO), f"the pass/fail ratio of {function.name}"
        )
    else:
        what = f"the {function.n_parameters} parameters of {function.name}"
        _require_bins(data, ~data.rest, function.n_parameters, what)


def _require_bins(data: Sidebands, bins: NDArray[np.bool_], fewest: int, what: str) -> None:
    filled = int((data.observed[bins] > 0).sum())
    if filled <= fewest:
        masked = " and ".join(f"{low:g}-{high:g}" for low, high in data.mask)
        where = f"{data.low[0]:g}-{data.high[-1]:g} GeV outside" if len(data.low) else "the spectrum outside"
        msg = (
            f"{filled} filled bins of {where} the mask {masked} GeV are too few for {what}. Use a looser selection or "
            "widen scan.fit_range."
        )
        raise FitError(msg)
