"""Templates of the background in the window, most of them made of sideband events: what such methods share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.errors import WindowError
from analysis.events.table import EventTable
from analysis.learning.mass_spectrum import MassSpectrum, fit_spectrum
from analysis.learning.training_set import Rows, TrainingSet, positive_weights
from analysis.methods.contrast import SIDEBANDS, find_region
from analysis.regions import MassWindow

__all__ = [
    "LEAST_EVENTS",
    "SidebandEvents",
    "against_template",
    "joined_halves",
    "sideband_events",
    "spectrum_beside",
    "window_rows",
]

LEAST_EVENTS = 30
"""Events of a sideband below which no template is made of them."""


@dataclass(frozen=True)
class SidebandEvents:
    """Events of one sideband.

    Attributes
    ----------
    rows : Rows
        With non-negative weights.
    mass : (n_rows,) float64
        GeV.
    side : int
        0 is the lower and 1 the upper sideband.
    """

    rows: Rows
    mass: NDArray[np.float64]
    side: int


def sideband_events(
    data: EventTable, window: MassWindow, features: Sequence[str], *, least: int = LEAST_EVENTS
) -> list[SidebandEvents]:
    """Take the events of the lower and the upper sideband.

    Parameters
    ----------
    data : EventTable
    window : MassWindow
    features : sequence of str
    least : int
        Smallest number of events. With 0, a sideband without a positive sum of weights is left out.

    Returns
    -------
    list of SidebandEvents

    Raises
    ------
    WindowError
        If a sideband has fewer events, or no positive sum of weights.
    """
    found = []
    for side, (place, interval) in enumerate(zip(SIDEBANDS, (window.lower, window.upper), strict=True)):
        if not least and data.weight[_inside(data, interval)].sum() <= 0:
            continue
        region = find_region(data, place, window, "data")
        if len(region.rows) < least:
            msg = (
                f"window {window.name} GeV: {len(region.rows)} events of data to train on in the {place}, "
                f"{interval[0]:g}-{interval[1]:g} GeV, are too few to make a template of; at least {least} are needed. "
                'Lower scan.last, widen scan.sideband_width, add events, or set learning.method = "cwola".'
            )
            raise WindowError(msg)
        weight = positive_weights(region.rows.weight, region.name)
        rows = Rows(region.rows.matrix(features), weight, region.rows.event_id)
        found.append(SidebandEvents(rows, region.rows.mjj, side))
    return found


def spectrum_beside(sides: Sequence[SidebandEvents], window: MassWindow) -> MassSpectrum:
    """Fit the smooth spectrum to the sidebands of a window."""
    mass, weight = (np.concatenate(parts) for parts in zip(*((s.mass, s.rows.weight) for s in sides), strict=True))
    return fit_spectrum(mass, weight, (window.lower, window.upper))


def joined_halves(parts: Sequence[Rows]) -> Rows:
    """Join the templates of the sidebands, each of the same sum of weights, to a sum of 1; none gives no rows.

    Each sideband has one half, so that errors of first order in the distance to the window cancel.
    """
    if not parts:
        return Rows(np.empty((0, 0), np.float32), np.empty(0), np.empty(0, np.uint64))
    scale = [1 / (len(parts) * part.weight.sum()) for part in parts]
    return Rows(
        np.concatenate([part.X for part in parts]),
        np.concatenate([part.weight * factor for part, factor in zip(parts, scale, strict=True)]),
        np.concatenate([part.group for part in parts]),
    )


def window_rows(data: EventTable, window: MassWindow, features: Sequence[str]) -> Rows:
    """Take the events of the window, with non-negative weights.

    Raises
    ------
    WindowError
        If there are none, or their sum of weights is not positive.
    """
    region = find_region(data, "window", window, "data")
    weight = positive_weights(region.rows.weight, region.name)
    return Rows(region.rows.matrix(features), weight, region.rows.event_id)


def against_template(inside: Rows, template: Rows) -> TrainingSet:
    """Label data in the window 1 and a template of the background 0, scaled to the same sum of weights."""
    return TrainingSet.build(
        np.concatenate([inside.X, template.X]),
        np.repeat([1, 0], [len(inside.weight), len(template.weight)]),
        np.concatenate([inside.weight, template.weight * (inside.weight.sum() / template.weight.sum())]),
        np.concatenate([inside.group, template.group]),
    )


def _inside(data: EventTable, interval: tuple[float, float]) -> NDArray[np.bool_]:
    return (data.mjj >= interval[0]) & (data.mjj < interval[1])
