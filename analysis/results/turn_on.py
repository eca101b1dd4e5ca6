"""Content of `turnon.json`, and what it says about the windows of a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.regions import Interval, RegionScan
from analysis.statistics.efficiencies import TurnOn

__all__ = ["TurnOnFile", "turn_on_notes"]


@dataclass(frozen=True)
class TurnOnFile:
    """Measured turn-on of the triggers of a search.

    Attributes
    ----------
    triggers, reference : tuple of str
    datasets : tuple of str
    hidden : tuple of (low, high)
        Masses that were left out since they are blinded, GeV.
    measured : TurnOn
    """

    triggers: tuple[str, ...]
    reference: tuple[str, ...]
    datasets: tuple[str, ...]
    hidden: tuple[Interval, ...]
    measured: TurnOn


def turn_on_notes(found: TurnOnFile | None, triggers: Sequence[str], regions: RegionScan) -> tuple[str, ...]:
    """Return a note if windows reach below the smooth edge, or if the measurement is of other triggers.

    Parameters
    ----------
    found : TurnOnFile or None
        None without a measurement.
    triggers : sequence of str
        Triggers of the search.
    regions : RegionScan

    Returns
    -------
    tuple of str
    """
    if found is None:
        return ()
    if sorted(found.triggers) != sorted(triggers):
        note = (
            f"The turn-on in turnon.json is that of {', '.join(found.triggers)}, not of the triggers of this search: "
            "run `cwola turnon` again."
        )
        return (note,)
    edge, loss = found.measured.smooth_edge, found.measured.loss
    start = min(min(window.lower[0], window.fit_range[0]) for window in regions.windows)
    if start >= edge:
        return ()
    note = (
        f"The fit range or a sideband begins at {start:g} GeV, below {edge:g} GeV, from where the triggers lose less "
        f"than {loss:.2g} of their plateau (turnon.json). A fit that reaches into the turn-on can shift z by several "
        f"standard deviations: move scan.first and scan.fit_range up, and set scan.smooth_edge = {edge:g}."
    )
    return (note,)
