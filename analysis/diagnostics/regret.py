"""Regret over signals: how much more signal a classifier needs than the best one would, whichever signal there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np

from analysis.learning.metrics import regret

__all__ = ["Regret", "mean_discovery", "regrets"]


@dataclass(frozen=True, kw_only=True)
class Regret:
    """Ratios of σ_min of one classifier to the smallest of all classifiers; see `analysis.learning.metrics.regret`.

    Attributes
    ----------
    classifier : str
    by_signal : dict of str to float or None
        None where this classifier discovers nothing. Signals that no classifier discovers are left out.
    worst : float or None
        Largest ratio; None if it discovers nothing of some signal that another one discovers, and without any.
    """

    classifier: str
    by_signal: Mapping[str, float | None]
    worst: float | None


def mean_discovery(trainings: Sequence[float | None]) -> float | None:
    """Mean of σ_min over trainings; None if one of them discovers nothing."""
    known = [value for value in trainings if value is not None]
    return mean(known) if trainings and len(known) == len(trainings) else None


def regrets(found: Mapping[str, Mapping[str, Sequence[float | None]]]) -> tuple[Regret, ...]:
    """Compare classifiers over signals.

    Parameters
    ----------
    found : mapping of signal to mapping of classifier to sequence of float or None
        σ_min of each training. A classifier that was not trained for every signal is not compared.

    Returns
    -------
    tuple of Regret
        By classifier, in the order of the first signal.
    """
    names = [name for name in next(iter(found.values()), {}) if all(name in one for one in found.values())]
    if not names:
        return ()
    means = [[mean_discovery(one[name]) for one in found.values()] for name in names]
    ratios = regret([[np.inf if value is None else value for value in row] for row in means])
    return tuple(
        Regret(
            classifier=name,
            by_signal={
                signal: float(ratio) if np.isfinite(ratio) else None
                for signal, ratio in zip(found, row, strict=True)
                if not np.isnan(ratio)
            },
            worst=_worst(row[~np.isnan(row)].tolist()),
        )
        for name, row in zip(names, ratios, strict=True)
    )


def _worst(ratios: Sequence[float]) -> float | None:
    return max(ratios) if ratios and np.isfinite(max(ratios)) else None
