"""Selection of events: cuts, jet identification, certified luminosity, jet veto maps."""

from processors.selection.cuts import CUTS, Cut, cut

__all__ = ["CUTS", "Cut", "cut"]
