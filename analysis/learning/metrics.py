"""Separation of signal and background by scores; requires truth, and thus simulation.

The figure of merit of a search is the significance improvement SIC = ε_S / √ε_B of a cut. Its maximum over cuts is
dominated by noise if few background events remain, so it is taken above a floor of ε_B at which the relative error of
ε_B is 20 % (arXiv:2309.13111). What this means for a discovery is σ_min, the smallest S/√B before the cut that reaches
five standard deviations behind the best cut; the regret of a classifier is its σ_min over the smallest one that another
classifier has for the same signal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import lambertw

from analysis.errors import TableError

__all__ = ["Band", "RocCurve", "background_floor", "band", "mean_roc", "regret", "roc_curve", "sigma_min"]

MAX_RELATIVE_ERROR = 0.2
"""Relative error of ε_B above which the maximum of SIC is not quoted (arXiv:2309.13111)."""


@dataclass(frozen=True)
class RocCurve:
    """Signal efficiency against background efficiency for all cuts, piecewise linear.

    A block of equal scores is one straight segment: its events pass in random order, like the tie-breaks of
    `choose_working_points`.

    Attributes
    ----------
    background, signal : (n_vertices,) float64
        Non-decreasing efficiencies, from (0, 0) to (1, 1).
    """

    background: NDArray[np.float64]
    signal: NDArray[np.float64]

    @property
    def auc(self) -> float:
        """Area under the curve: the probability that signal scores higher than background, with ties counted half."""
        return float(np.trapezoid(self.signal, self.background))

    def signal_at(self, background: ArrayLike, *, side: Literal["left", "right"] = "right") -> NDArray[np.float64]:
        """Signal efficiency at given background efficiencies.

        Parameters
        ----------
        background : array_like
            Background efficiencies, 0 to 1.
        side : str
            End of vertical segments: upper ("right", the best cut) or lower ("left").

        Returns
        -------
        float64, with the shape of `background`
        """
        wanted = np.asarray(background, np.float64)
        position = np.searchsorted(self.background, wanted, side=side)
        right = np.clip(position, 1, len(self.background) - 1)
        left = right - 1
        width = self.background[right] - self.background[left]
        fraction = np.divide(wanted - self.background[left], width, out=np.ones_like(wanted), where=width > 0)
        efficiency: NDArray[np.float64] = self.signal[left] + fraction * (self.signal[right] - self.signal[left])
        return efficiency

    def sic(self, background: float) -> float:
        """Significance improvement ε_S / √ε_B at a background efficiency above 0."""
        return float(self.signal_at(background) / np.sqrt(background))

    def max_sic(self, floor: float) -> tuple[float, float]:
        """Largest significance improvement at a background efficiency of at least `floor`.

        Parameters
        ----------
        floor : float
            Smallest background efficiency, above 0, at most 1; see `background_floor`.

        Returns
        -------
        sic, background : float
            The maximum and its background efficiency.
        """
        # Between vertices, a/√x + b√x has no maximum.
        candidates = np.append(self.background[self.background > floor], floor)
        values = self.signal_at(candidates) / np.sqrt(candidates)
        best = int(values.argmax())
        return float(values[best]), float(candidates[best])


def roc_curve(
    signal: NDArray[Any],
    background: NDArray[Any],
    *,
    signal_weight: NDArray[Any] | None = None,
    background_weight: NDArray[Any] | None = None,
) -> RocCurve:
    """Efficiencies of all cuts on a score.

    Parameters
    ----------
    signal : (n_signal,) float
        Scores; higher is more signal-like.
    background : (n_background,) float
    signal_weight : (n_signal,) float, optional
        Non-negative weights; 1 by default.
    background_weight : (n_background,) float, optional

    Returns
    -------
    RocCurve

    Raises
    ------
    TableError
        If a class has zero total weight, a weight is negative or not finite, or a score is NaN.
    """
    parts = (("signal", signal, signal_weight), ("background", background, background_weight))
    weights = [_checked(name, scores, weight) for name, scores, weight in parts]
    score = np.concatenate([signal, background])
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    efficiencies = []
    for own, (above, below) in zip(weights, ((0, len(background)), (len(signal), 0)), strict=True):
        passed = np.cumsum(np.pad(own, (above, below))[order])[last]
        efficiencies.append(np.concatenate([[0.0], passed / passed[-1]]))
    return RocCurve(background=efficiencies[1], signal=efficiencies[0])


def _checked(name: str, scores: NDArray[Any], weight: NDArray[Any] | None) -> NDArray[np.float64]:
    """Weights of one class, after checks; errors name the class."""
    if bad := int(np.isnan(scores).sum()):
        msg = f"{bad} of {len(scores)} scores of the {name} are NaN: leave out events that were not scored."
        raise TableError(msg)
    weights = np.ones(len(scores)) if weight is None else np.asarray(weight, np.float64)
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        msg = (
            f"the weights of the {name} ({len(weights)} events) must be finite, not negative, and not all 0 to measure "
            "an efficiency; see `positive_weights`."
        )
        raise TableError(msg)
    return weights


def mean_roc(curves: Sequence[RocCurve]) -> RocCurve:
    """Average the signal efficiency of several curves at equal background efficiency.

    This is the efficiency if each fold is cut at its own quantile.

    Parameters
    ----------
    curves : sequence of RocCurve
        At least one.

    Returns
    -------
    RocCurve
    """
    grid = np.unique(np.concatenate([curve.background for curve in curves]))
    ends = [np.mean([curve.signal_at(grid, side=side) for curve in curves], axis=0) for side in ("left", "right")]
    return RocCurve(background=np.repeat(grid, 2), signal=np.stack(ends, axis=1).ravel())


def background_floor(background_weight: NDArray[Any], max_relative_error: float = MAX_RELATIVE_ERROR) -> float:
    """Background efficiency below which its relative error exceeds `max_relative_error`: 1 / (N_B δ²).

    Parameters
    ----------
    background_weight : (n_background,) float
        Weights of the events of the curve; N_B is their effective number (Σw)² / Σw².
    max_relative_error : float

    Returns
    -------
    float

    Raises
    ------
    TableError
        If the events are too few for any cut.
    """
    weight = np.asarray(background_weight, np.float64)
    effective = weight.sum() ** 2 / np.square(weight).sum() if weight.any() else 0.0
    if effective * max_relative_error**2 < 1:
        msg = (
            f"{effective:.3g} effective background events give no efficiency with an error below "
            f"{max_relative_error:.0%}; at least {1 / max_relative_error**2:.0f} are needed."
        )
        raise TableError(msg)
    return float(1 / (effective * max_relative_error**2))


def sigma_min(curve: RocCurve, background: float, floor: float, *, z: float = 5.0) -> float | None:
    """Return the smallest S/√B before the cut that is discovered behind the best cut.

    By the Asimov significance of a known background, √(2 [(s + b) ln(1 + s/b) − s]) (arXiv:1007.1727).

    Parameters
    ----------
    curve : RocCurve
    background : float
        Expected events before the cut, B.
    floor : float
        Smallest background efficiency; with `background_floor` of events of weight 1, at least 25 events are left.
    z : float
        Standard deviations of a discovery.

    Returns
    -------
    float or None
        None if no cut keeps signal, or all are below the floor.
    """
    if floor > 1:
        return None
    # The signal that is needed is concave in b, so the best cut is at a vertex.
    efficiency = np.append(curve.background[curve.background > floor], floor)
    kept = curve.signal_at(efficiency)
    found = _needed_signal(efficiency[kept > 0] * background, z) / (kept[kept > 0] * background**0.5)
    return float(found.min()) if len(found) else None


def _needed_signal(background: NDArray[np.float64], z: float) -> NDArray[np.float64]:
    """Signal events with an Asimov significance of z: (1 + x) ln(1 + x) − x = z²/2b for x = s/b."""
    wanted = z**2 / (2 * background)
    x = np.expm1(1 + lambertw((wanted - 1) / np.e).real)
    x = np.maximum(x, np.sqrt(2 * wanted))  # its lower bound, for the many events at which W is inexact
    for _ in range(3):
        x -= ((1 + x) * np.log1p(x) - x - wanted) / np.log1p(x)
    signal: NDArray[np.float64] = x * background
    return signal


def regret(found: ArrayLike) -> NDArray[np.float64]:
    """Ratio of each σ_min to the smallest one of any classifier for the same signal.

    Parameters
    ----------
    found : (n_classifiers, n_signals) float
        σ_min; infinite where no cut discovers the signal.

    Returns
    -------
    (n_classifiers, n_signals) float64
        At least 1. NaN for a signal that no classifier discovers. The regret of a classifier over all signals, chosen
        before one knows which there is, is its largest one (L. J. Savage, J. Am. Stat. Assoc. 46 (1951) 55).
    """
    values = np.asarray(found, np.float64)
    best = values.min(axis=0)
    ratio: NDArray[np.float64] = np.divide(values, best, out=np.full(values.shape, np.nan), where=np.isfinite(best))
    return ratio


@dataclass(frozen=True)
class Band:
    """Median and central 68 % interval of repeats.

    Attributes
    ----------
    median, low, high : (...) float64
        Quantiles 0.5, 0.16 and 0.84.
    """

    median: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def band(repeats: ArrayLike) -> Band:
    """Summarise repeats.

    Parameters
    ----------
    repeats : (n_repeats, ...) float
        Values of the repeats, such as the ratio of two methods on the same draws: for paired repeats, use the band of
        ratios, not the ratio of bands.

    Returns
    -------
    Band
    """
    low, median, high = np.quantile(np.asarray(repeats, np.float64), [0.16, 0.5, 0.84], axis=0)
    return Band(np.asarray(median), np.asarray(low), np.asarray(high))
