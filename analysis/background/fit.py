"""Fit of one function to the sidebands of one spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.background.bins import Interval, Mask, Sidebands, sidebands
from analysis.background.estimate import CALIBRATED_FROM, Estimates, estimate_bins
from analysis.background.functions import MassFunction
from analysis.background.likelihood import Design, Solution, integrals, make_design, minuit_solution, solve
from analysis.core.notebook import facts
from analysis.errors import FitError

__all__ = ["BackgroundFit", "OrderStep", "WindowEstimate", "fit_background", "fit_sidebands"]

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
    calibrated : bool
        Whether enough events are expected for uniform p-values.
    weight : float
        Sum of weights per effective event, Σw² / Σw, as in the sidebands: a sum of weights divided by this fluctuates
        like a Poisson count (arXiv:1309.1287, Eq. 4). 1 for plain counts.
    """

    value: float
    up: float
    down: float
    calibrated: bool
    weight: float = 1.0


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
        """Parameters of the published formula by name; `ln_p0` is the log of the density in events per GeV."""
        values = (self.transform @ self.coefficients).tolist()
        return {"ln_p0" if k == 0 else f"p{k}": value for k, value in enumerate(values)}

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
        expected, jacobian = integrals(self._design(edges[:-1], edges[1:]), self.coefficients[None])
        return expected[0], jacobian[0] @ self.covariance @ jacobian[0].T

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
        value, up, down = (float(array[0, 0]) for array in (estimates.value, estimates.up, estimates.down))
        return WindowEstimate(value, up, down, value / weight >= CALIBRATED_FROM, weight)

    def integral(self, low: float, high: float) -> tuple[float, float]:
        """Return the background in [low, high) GeV and its upward error, against which an excess is tested."""
        estimate = self.estimate(low, high)
        return estimate.value, estimate.up

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
        return estimate_bins(self._design(edges[:, 0], edges[:, 1]), solution, self._weights(edges))

    def _weights(self, intervals: Array) -> Array:
        return np.ones(len(intervals)) if self.data is None else self.data.weight(intervals)

    def _design(self, low: Array, high: Array) -> Design:
        return make_design(self.function, low, high, self.sqrt_s_gev, self.transform)


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
    """
    return fit_sidebands(sidebands(counts, edges, mask=mask, variances=variances), function, sqrt_s_gev)


def fit_sidebands(data: Sidebands, function: MassFunction, sqrt_s_gev: float) -> BackgroundFit:
    """Fit one function to validated bins; see `fit_background`."""
    _require_information(data, function)
    design = make_design(function, data.low, data.high, sqrt_s_gev)
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
        ndof=len(data.low) - function.n_parameters,
        cumulants=solution.cumulants[0],
        data=data,
    )


def _require_information(data: Sidebands, function: MassFunction) -> None:
    filled = int((data.observed > 0).sum())
    if filled <= function.n_parameters:
        masked = " and ".join(f"{low:g}-{high:g}" for low, high in data.mask)
        where = f"{data.low[0]:g}-{data.high[-1]:g} GeV outside" if len(data.low) else "the spectrum outside"
        msg = (
            f"{filled} filled bins of {where} the mask {masked} GeV are too few for the {function.n_parameters} "
            f"parameters of {function.name}. Use a looser selection or widen scan.fit_range."
        )
        raise FitError(msg)
