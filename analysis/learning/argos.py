"""Model selection without labels: ARGOS, and a number of rounds that a whole ensemble agrees on.

Early stopping of single members on weak labels follows noise: the loss of a validation split is nearly flat where only
a percent of class 1 differs from class 0. Averaged over members the noise of the curve is smaller. A search does not
choose its rounds by itself: they are fixed in the presets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["RoundChoice", "argos", "choose_rounds"]


@dataclass(frozen=True)
class RoundChoice:
    """A number of rounds for all members.

    Attributes
    ----------
    rounds : int
    curve : (n_checkpoints,) float64
        Criterion averaged over members; larger is better.
    """

    rounds: int
    curve: NDArray[np.float64]


def argos(score: NDArray[np.float32], y: NDArray[np.int8], weight: NDArray[np.float64], *, floor: float) -> float:
    """Largest ε₁ / √ε₀ - √ε₀ over thresholds (arXiv:2511.14832).

    ε₁ and ε₀ are the weighted fractions of class 1 (signal region of data) and class 0 (background template) above a
    threshold. Where class 1 is the template with a fraction f of signal, it is f (ε_S / √ε₀ - √ε₀): the significance
    improvement, up to a factor and a term that is small for tight cuts, without labels.

    Parameters
    ----------
    score : (n_rows,) float32
        Out-of-fold scores; a group of equal scores passes as a whole.
    y : (n_rows,) int8
        1 or 0, both present.
    weight : (n_rows,) float64
        Not negative.
    floor : float
        Thresholds with ε₀ below it are not looked at: they are noise.

    Returns
    -------
    float
        At least 0: the value where everything passes.
    """
    _, block = np.unique(-score, return_inverse=True)
    n_blocks = int(block.max()) + 1
    passing = [np.cumsum(np.bincount(block[y == k], weight[y == k], minlength=n_blocks)) for k in (0, 1)]
    zero, one = (fraction / fraction[-1] for fraction in passing)
    looked_at = zero >= floor
    root = np.sqrt(zero[looked_at])
    return float((one[looked_at] / root - root).max())


def choose_rounds(curves: NDArray[np.float64], checkpoints: Sequence[int]) -> RoundChoice:
    """Choose the number of rounds whose criterion, averaged over members, is best.

    Parameters
    ----------
    curves : (n_members, n_checkpoints) float64
        Criterion of every member on events that it was not trained on; larger is better.
    checkpoints : sequence of int
        Numbers of rounds.

    Returns
    -------
    RoundChoice
        The fewest rounds of equally good ones.
    """
    curve: NDArray[np.float64] = curves.mean(axis=0)
    return RoundChoice(int(checkpoints[int(curve.argmax())]), curve)
