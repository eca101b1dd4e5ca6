"""pyhf's likelihood for many data sets at once, its fits, and its known problems (pyhf 0.7.6, numpy 2.4).

- The default bounds of the parameter of interest, [0, 10], cut off small templates: it is bounded only from below.
- Negative rates: pyhf's logarithm of them is not a number in bins with events, and unbounded in bins without. Rates are
  clipped from below, by pyhf's own `clip_bin_data`: a background cannot be negative.
- A bin without any expectation breaks the minimiser: it is rejected here, and merged by the workspace builder.
- `upper_limit` returns the edge of its grid if CLs does not cross the level, and in its other mode ignores `level` and
  leaves the bounds: crossings are found in `crossings`, and a missing crossing is an error.
- Toys through `hypotest` call `numpy.percentile` with an argument that numpy 2.4 removed: they run in `toys`.
- One fit at a time from a cold start is slow: all rows are evaluated together, by `rates` or in pyhf's batched mode,
  and minimised by Newton steps. Rows without convergence are fitted again by pyhf, with scipy's minimiser, then Minuit.
- `staterror` on nearly empty signal bins makes fits fail, and a `histosys` with unequal sides has a kink at zero: the
  builders in `samples` write neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import pyhf
from numpy.typing import NDArray
from scipy import special

from analysis.core.text_files import one_line
from analysis.errors import StatisticsError
from analysis.statistics.draws import poisson_quantiles
from analysis.statistics.newton import newton_steps
from analysis.statistics.rates import Rates, recognise

__all__ = ["Fits", "Likelihood"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

_PYHF = Lock()  # pyhf has one minimiser for all threads, and a dask worker may have several threads
_BATCHES = (8, 32, 128)
_SMALLEST_RATE = 1e-9
_STEP = 1e-5
_MAX_ITERATIONS = 60
_MAX_HALVINGS = 30
_CONVERGED = 1e-7  # tolerance on the expected decrease of twice the negative log likelihood
_STALLED = 1e-4
_UNBOUNDED = 1e9
_SIGNAL_CORE = 1e-2  # bins with a smaller fraction of the largest signal bin do not limit a negative signal


@dataclass(frozen=True)
class Fits:
    """Minima of twice the negative log likelihood.

    Attributes
    ----------
    parameters : (n_rows, n_parameters) float64
    twice_nll : (n_rows,) float64
    """

    parameters: Array
    twice_nll: Array


class Likelihood:
    """Model of a workspace, evaluated by pyhf.

    Parameters
    ----------
    workspace : dict
        pyhf workspace whose parameter of interest scales the first sample of its first channel.

    Attributes
    ----------
    model : pyhf.Model
    poi : int
        Index of the parameter of interest.
    data : (n_data,) float64
        Observed counts, then auxiliary data.
    events : float
        Signal events at one unit of the parameter of interest.
    bounds : (n_parameters, 2) float64
    lowest_mu : float
        Signal strength where the expectation vanishes; the lower bound of a signed signal.

    Raises
    ------
    StatisticsError
        If the workspace does not follow the schema, lacks a parameter of interest, or has a bin without expectation.
    """

    def __init__(self, workspace: dict[str, Any]) -> None:
        with _PYHF:
            pyhf.set_backend("numpy")
        try:
            checked = pyhf.Workspace(workspace)
            measurement = checked["measurements"][0]["config"]
            self._specification = {"channels": checked["channels"], "parameters": measurement["parameters"]}
            self._poi_name = measurement["poi"]
            self.model = self._batched(None)
            self.data: Array = np.asarray(checked.data(self.model), dtype=float)
        except (pyhf.exceptions.InvalidSpecification, pyhf.exceptions.InvalidModel, KeyError, IndexError) as error:
            msg = f"the workspace is not one that pyhf can use: {one_line(error)}. Build it with counting_workspace."
            raise StatisticsError(msg) from error
        if self.model.config.poi_index is None:
            msg = "the workspace names no parameter of interest in its measurement: set 'poi'."
            raise StatisticsError(msg)
        self.poi = int(self.model.config.poi_index)
        self.start: Array = np.array(self.model.config.suggested_init(), dtype=float)
        self.start[self.poi] = 0.0
        self.bounds = self._wide_bounds()
        self._models: dict[int, pyhf.Model] = {}
        self._fixed = np.array(self.model.config.suggested_fixed(), dtype=bool)
        self._is_poisson, self._variance = self._kinds()
        floor = np.where(np.arange(len(self.data)) < self.n_bins, _SMALLEST_RATE, -np.inf)
        self.rates: Rates | None = None
        self.rates = recognise(self.expected, self.start, self.poi, bounds=self.bounds, floor=floor)
        self._require_expectation()
        signal = self.signal()
        self.events = float(signal.sum())
        core = signal > _SIGNAL_CORE * signal.max()
        self.lowest_mu = -float((self.background()[core] / signal[core]).max())

    @property
    def n_bins(self) -> int:
        """Number of bins, summed over the channels."""
        return int(self.model.config.nmaindata)

    def background(self) -> Array:
        """(n_bins,) float64: expected events without signal, with nuisance parameters at their nominal values."""
        return self.expected(self.start[None])[0, : self.n_bins]

    def signal(self) -> Array:
        """(n_bins,) float64: signal events at one unit of the parameter of interest."""
        parameters = self.start.copy()
        parameters[self.poi] = 1.0
        return self.expected(parameters[None])[0, : self.n_bins] - self.background()

    def background_variance(self) -> Array:
        """(n_bins,) float64: variance of the expectation without signal, from all constrained parameters."""
        start = self.start[None]
        shifts = self.slopes(start, self.expected(start))[0, : self.n_bins] * self.prior_errors()
        return np.asarray((np.delete(shifts, self.poi, axis=1) ** 2).sum(axis=1))

    def names(self) -> list[str]:
        """Names of the parameters, one for each value."""
        config = self.model.config
        return [name for name in config.par_order for _ in range(config.param_set(name).n_parameters)]

    def prior_errors(self) -> Array:
        """(n_parameters,) float64: widths of the constraints; 0 for unconstrained parameters."""
        config = self.model.config
        errors = np.zeros(len(self.start))
        for name in config.auxdata_order:
            widths = config.param_set(name).width()
            errors[config.par_slice(name)] = widths
        return errors

    def has_unit_normals(self) -> bool:
        """Whether every constrained parameter has a Gaussian of width 1, and no parameter is fixed."""
        auxiliary = slice(self.n_bins, None)
        return not (self._is_poisson[auxiliary].any() or self._fixed.any() or (self._variance[auxiliary] != 1.0).any())

    def auxiliary_pulls(self) -> Array:
        """(n_parameters,) float64: auxiliary datum of each parameter; 0 for parameters without one."""
        config, pulls = self.model.config, np.zeros(len(self.start))
        datum = self.n_bins
        for name in config.auxdata_order:
            where = config.par_slice(name)
            pulls[where] = self.data[datum : datum + where.stop - where.start]
            datum += where.stop - where.start
        return pulls

    def expected(self, parameters: Array) -> Array:
        """(n_rows, n_data) float64: expected counts and auxiliary data."""
        return self.evaluate(parameters, None)[1]

    def evaluate(self, parameters: Array, data: Array | None) -> tuple[Array, Array]:
        """Evaluate pyhf's model row by row.

        Parameters
        ----------
        parameters : (n_rows, n_parameters) float64
        data : (n_rows, n_data) float64, or None
            If None, only the expectation is computed.

        Returns
        -------
        twice_nll : (n_rows,) float64
        expected : (n_rows, n_data) float64
        """
        if self.rates is not None:
            rates = self.rates.expected(parameters)
            return np.empty(0) if data is None else self._twice_nll(rates, data), rates
        values, expected = [], []
        size = next((size for size in _BATCHES if size >= len(parameters)), _BATCHES[-1])
        for first in range(0, len(parameters), size):
            rows = slice(first, first + size)
            n_rows = len(parameters[rows])
            pdf = self._batch(size).make_pdf(_padded(parameters[rows], size))
            expected.append(np.asarray(pdf.expected_data())[:n_rows])
            if data is not None:
                values.append(-2.0 * np.asarray(pdf.log_prob(_padded(data[rows], size)))[:n_rows])
        return np.concatenate(values) if values else np.empty(0), np.concatenate(expected)

    def fit(
        self,
        data: Array,
        mu: Array | None = None,
        *,
        start: Array | None = None,
        lowest_mu: float = 0.0,
        held: int | None = None,
    ) -> Fits:
        """Fit many data sets.

        Parameters
        ----------
        data : (n_rows, n_data) float64
        mu : (n_rows,) float64, or None
            Fixed value of the parameter of interest; None to fit it.
        start : (n_rows, n_parameters) float64, or None
        lowest_mu : float
            Lower bound of the parameter of interest.
        held : int, optional
            Nuisance parameter that is fixed at its starting value.

        Returns
        -------
        Fits

        Raises
        ------
        StatisticsError
            If neither the batched minimiser nor pyhf's two find a minimum.
        """
        parameters = np.tile(self.start, (len(data), 1)) if start is None else start.copy()
        bounds = self.bounds.copy()
        bounds[self.poi, 0] = lowest_mu
        fixed = self._fixed.copy()
        if held is not None:
            fixed[held] = True
        if mu is not None:
            fixed[self.poi] = True
            bounds[self.poi, 0] = -_UNBOUNDED
            parameters[:, self.poi] = mu
        parameters = np.clip(parameters, bounds[:, 0], bounds[:, 1])
        twice_nll, valid = self._minimise(parameters, data, fixed, bounds)
        for row in np.flatnonzero(~valid):
            parameters[row], twice_nll[row] = self._refit(data[row], parameters[row], fixed, bounds)
        return Fits(parameters, twice_nll)

    def saturated(self, data: Array) -> Array:
        """(n_rows,) float64: twice_nll with every rate equal to its datum; a lower bound for all fits."""
        return self._twice_nll(data, data)

    def _twice_nll(self, expected: Array, data: Array) -> Array:
        counts = self._is_poisson
        poisson = pyhf.probability.Poisson(expected[:, counts]).log_prob(data[:, counts])
        normal = pyhf.probability.Normal(expected[:, ~counts], np.sqrt(self._variance[~counts]))
        return np.asarray(-2.0 * (poisson.sum(axis=1) + normal.log_prob(data[:, ~counts]).sum(axis=1)))

    def draw(self, parameters: Array, uniform: Array) -> Array:
        """Draw data sets around the expectation of one parameter point.

        Parameters
        ----------
        parameters : (n_parameters,) float64
        uniform : (n_rows, n_data) float64
            Random numbers in [0, 1).

        Returns
        -------
        (n_rows, n_data) float64
        """
        expected = self.expected(parameters[None])[0]
        data = np.empty_like(uniform)
        counts = self._is_poisson
        for index in np.flatnonzero(counts):
            data[:, index] = poisson_quantiles(uniform[:, index], float(expected[index]))
        spread = np.sqrt(self._variance[~counts]) * special.ndtri(np.maximum(uniform[:, ~counts], _SMALLEST_RATE))
        data[:, ~counts] = expected[~counts] + spread
        return data

    def slopes(self, parameters: Array, expected: Array) -> Array:
        """(n_rows, n_data, n_parameters) float64: derivatives of the expectation."""
        if self.rates is not None:
            return self.rates.slopes(parameters, expected)
        n_rows, n_parameters = parameters.shape
        shifted = parameters[:, None, :] + _STEP * np.eye(n_parameters)
        values = self.expected(shifted.reshape(-1, n_parameters)).reshape(n_rows, n_parameters, -1)
        slopes: Array = np.swapaxes(values - expected[:, None, :], 1, 2) / _STEP
        return slopes

    def derivatives(self, parameters: Array, data: Array, expected: Array) -> tuple[Array, Array]:
        """Gradient (n_rows, n_parameters) and Hessian (n_rows, n_parameters, n_parameters) of twice_nll.

        The Hessian is exact if rates are linear in the parameters, as for `histosys` and signal strength.
        """
        slopes = self.slopes(parameters, expected)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            first = np.where(self._is_poisson, 1.0 - data / expected, (expected - data) / self._variance)
            second = np.where(self._is_poisson, np.maximum(data, 1e-6 * expected) / expected**2, 1.0 / self._variance)
        gradient = 2.0 * np.matmul(first[:, None, :], slopes)[:, 0]
        hessian = 2.0 * np.matmul((slopes * second[:, :, None]).transpose(0, 2, 1), slopes)
        return gradient, hessian

    def mu_error(self, parameters: Array, data: Array) -> float:
        """Error of the parameter of interest from the curvature of the likelihood at one parameter point."""
        _, hessian = self.derivatives(parameters[None], data[None], self.expected(parameters[None]))
        held = self._fixed[:, None] | self._fixed[None, :]
        inverse = np.linalg.pinv(np.where(held, 0.0, hessian[0]) / 2.0)
        return float(np.sqrt(max(inverse[self.poi, self.poi], 0.0)))

    def _minimise(self, parameters: Array, data: Array, fixed: Flags, bounds: Array) -> tuple[Array, Flags]:
        """Take Newton steps inside the bounds; changes `parameters` in place."""
        twice_nll, expected = self.evaluate(parameters, data)
        valid = np.zeros(len(data), dtype=bool)
        rows = np.arange(len(data))
        for _ in range(_MAX_ITERATIONS):
            gradient, hessian = self.derivatives(parameters[rows], data[rows], expected[rows])
            step, decrease = newton_steps(parameters[rows], gradient, hessian, fixed, bounds)
            moving = decrease > _CONVERGED
            valid[rows[~moving]] = True
            rows, step, decrease = rows[moving], step[moving], decrease[moving]
            if not len(rows):
                break
            moved = self._descend(parameters, twice_nll, expected, data, rows, step, bounds)
            best_possible = twice_nll[rows[~moved]] - self.saturated(data[rows[~moved]]) < _STALLED
            valid[rows[~moved]] = (decrease[~moved] < _STALLED) | best_possible
            rows = rows[moved]
            if not len(rows):
                break
        return twice_nll, valid & np.isfinite(twice_nll)

    def _descend(
        self,
        parameters: Array,
        twice_nll: Array,
        expected: Array,
        data: Array,
        rows: NDArray[np.intp],
        step: Array,
        bounds: Array,
    ) -> Flags:
        """Halve the steps of rows until the likelihood rises; return which rows moved."""
        moved = np.zeros(len(rows), dtype=bool)
        for halving in range(_MAX_HALVINGS):
            pending = np.flatnonzero(~moved)
            trial = np.clip(parameters[rows[pending]] + step[pending] * 0.5**halving, bounds[:, 0], bounds[:, 1])
            values, rates = self.evaluate(trial, data[rows[pending]])
            better = values < twice_nll[rows[pending]]
            good = rows[pending[better]]
            parameters[good], twice_nll[good], expected[good] = trial[better], values[better], rates[better]
            moved[pending[better]] = True
            if moved.all():
                break
        return moved

    def _refit(self, data: Array, start: Array, fixed: Flags, bounds: Array) -> tuple[Array, float]:
        """Fit one data set with pyhf's minimisers."""
        failure: Exception | None = None
        options: dict[str, Any] = {
            "init_pars": start.tolist(),
            "par_bounds": [tuple(pair) for pair in bounds.tolist()],
            "fixed_params": fixed.tolist(),
            "return_fitted_val": True,
        }
        for optimizer in (pyhf.optimize.scipy_optimizer(), pyhf.optimize.minuit_optimizer()):
            try:
                with _PYHF:
                    pyhf.set_backend("numpy", optimizer)
                    best, value = pyhf.infer.mle.fit(data.tolist(), self.model, **options)
            except (pyhf.exceptions.FailedMinimization, ValueError) as error:
                failure = error
                continue
            if np.isfinite(float(value)):
                return np.asarray(best), float(value)
        msg = f"a fit of the workspace failed: {failure}. Check the background and its error; use a looser selection."
        raise StatisticsError(msg) from failure

    def _batched(self, size: int | None) -> pyhf.Model:
        # The workspace has been validated: validating it again for every model would dominate the run time.
        model = pyhf.Model(self._specification, poi_name=self._poi_name, batch_size=size, validate=False)
        model.main_model.clip_bin_data = _SMALLEST_RATE
        return model

    def _batch(self, size: int) -> pyhf.Model:
        if size not in self._models:
            self._models[size] = self._batched(size)
        return self._models[size]

    def _wide_bounds(self) -> Array:
        bounds = np.array(self.model.config.suggested_bounds(), dtype=float)
        bounds[self.poi] = (0.0, _UNBOUNDED)
        return bounds

    def _kinds(self) -> tuple[Flags, Array]:
        """Return which data are Poisson counts, and the variance of the others."""
        poisson, variance = [True] * self.n_bins, [1.0] * self.n_bins
        for name in self.model.config.auxdata_order:
            constraint = self.model.config.param_set(name)
            poisson += [constraint.pdf_type == "poisson"] * constraint.n_parameters
            sigmas = getattr(constraint, "sigmas", None) or [1.0] * constraint.n_parameters
            variance += [float(sigma) ** 2 for sigma in sigmas]
        return np.array(poisson), np.array(variance)

    def _require_expectation(self) -> None:
        background = self.background()
        if (background <= 2 * _SMALLEST_RATE).any() or not np.isfinite(background).all():
            empty = int(np.flatnonzero(~(background > 2 * _SMALLEST_RATE))[0])
            msg = (
                f"bin {empty} of the workspace expects {background[empty]:g} background events: every bin needs a "
                "positive expectation. Merge it with its neighbour."
            )
            raise StatisticsError(msg)
        if not (self.signal().sum() > 0 and np.isfinite(self.signal()).all()):
            msg = f"the signal template sums to {self.signal().sum():g} events: a limit needs a positive one."
            raise StatisticsError(msg)


def _padded(rows: Array, size: int) -> Array:
    return rows if len(rows) == size else np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), axis=0)])
