"""All figures of `diagnostics.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from analysis.plots.drawing import Sketch
from analysis.plots.features import feature_figures
from analysis.plots.mass_maps import mass_figures
from analysis.plots.sculpting import sculpting_figures

__all__ = ["diagnostic_figures"]


def diagnostic_figures(windows: Sequence[Mapping[str, Any]], *, blinded: bool = False) -> Iterator[Sketch]:
    """List the figures that there are data for.

    Parameters
    ----------
    windows : sequence of mapping
        "windows" of `diagnostics.json`.
    blinded : bool
        Leave out windows that were diagnosed with the events inside the masks: even their sidebands lie in the masks
        of neighbours.
    """
    shown = [one for one in windows if one["blinded"] or not blinded]
    for family in (feature_figures, mass_figures, sculpting_figures):
        yield from family(shown)
