"""Selections whose significance rests on classifiers that train one another."""

from __future__ import annotations

from analysis.learning import INCLUSIVE
from analysis.methods import METHODS

__all__ = ["needs_calibration"]


def needs_calibration(selection: str, method: str) -> bool:
    """Return whether z of a selection should be calibrated with retraining.

    Parameters
    ----------
    selection : str
        The inclusive one needs no training.
    method : str
        One that trains on the truth learns nothing from fluctuations of the data; one that is not known, such as of a
        plugin that is not loaded, may.
    """
    known = METHODS.get(method)
    return selection != INCLUSIVE and (known is None or not known.uses_truth)
