"""Non-closure of the background estimate: bias measured without signal, and its correction.

The relative non-closure of a selection, delta = (n - b) / b, is measured on samples without signal. A search with
correction (`statistics.non_closure = "correct"`) expects b (1 + delta), and the error of delta is a further error of
the background, with its own nuisance parameter. Unlike the error of the fit, it does not decrease with the number of
events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from analysis.errors import ConfigError
from analysis.learning import INCLUSIVE

__all__ = ["NON_CLOSURE", "Corrections", "NonClosure", "check_corrections", "total_error"]

NON_CLOSURE = "non_closure"
"""Name of the nuisance parameter."""


@dataclass(frozen=True)
class NonClosure:
    """Relative non-closure of one selection in one window.

    Attributes
    ----------
    delta : float
        (n - b) / b, above -1.
    error : float
        One standard deviation of delta.
    """

    delta: float
    error: float

    def corrected(self, background: float, error: float) -> tuple[float, float]:
        """Return the corrected background and the correspondingly scaled fit error, in events."""
        return background * (1.0 + self.delta), error * (1.0 + self.delta)

    def events(self, corrected: float) -> float:
        """Error of delta in events, for a background that is already corrected."""
        return corrected / (1.0 + self.delta) * self.error


Corrections = Mapping[str, Mapping[str, NonClosure | tuple[float, float] | None]]
"""Maps window, such as "3300-3700", to selection to (delta, error); None or missing if not measured."""


def total_error(background: float | None, error: float | None, non_closure: NonClosure | None) -> float | None:
    """Error of a corrected background from the fit and from the correction, events; None without a fit."""
    correction = 0.0 if non_closure is None else non_closure.events(background or 0.0)
    return None if error is None else float(np.hypot(error, correction))


def check_corrections(
    found: Corrections | None, windows: Iterable[str], selections: Sequence[str]
) -> dict[str, dict[str, NonClosure]]:
    """Validate measured corrections and select the entries of a search.

    Parameters
    ----------
    found : mapping of window to selection to (delta, error), or None
        None if nothing was measured.
    windows, selections : names
        Names in the search. Inclusive selections without an entry stay uncorrected.

    Returns
    -------
    dict of str to dict of str to NonClosure

    Raises
    ------
    ConfigError
        If no corrections are given, a selection of a window has none (e.g. the window was not testable), or one is not
        finite, at or below -1, or has a negative error.
    """
    remedy = 'Measure it with `cwola validate`, or set non_closure = "none" in [statistics] of the configuration.'
    if found is None:
        msg = f'statistics.non_closure = "correct" needs the measured non-closure of every window. {remedy}'
        raise ConfigError(msg)
    checked: dict[str, dict[str, NonClosure]] = {}
    for window in windows:
        given = {name: pair for name, pair in found.get(window, {}).items() if pair is not None}
        if lacking := [name for name in selections if name not in given and name != INCLUSIVE]:
            msg = (
                f"window {window} GeV, selection {lacking[0]}: its non-closure was not measured, so the background "
                f"cannot be corrected. {remedy} Or leave the window out of [scan]."
            )
            raise ConfigError(msg)
        checked[window] = {name: _checked(given[name], window, name) for name in selections if name in given}
    return checked


def _checked(pair: NonClosure | tuple[float, float], window: str, selection: str) -> NonClosure:
    closure = pair if isinstance(pair, NonClosure) else NonClosure(*map(float, pair))
    if not (isfinite(closure.delta) and isfinite(closure.error) and closure.delta > -1 and closure.error >= 0):
        msg = (
            f"window {window} GeV, selection {selection}: expected a relative non-closure above -1 and an error of at "
            f"least 0, found {closure.delta:g} ± {closure.error:g}. Validate with more events."
        )
        raise ConfigError(msg)
    return closure
