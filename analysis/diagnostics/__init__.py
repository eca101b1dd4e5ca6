"""What the classifiers of a finished search do to its events: numbers behind figures, none of which enters a result."""

from analysis.diagnostics.engine import SECTIONS, diagnose_window, diagnose_windows
from analysis.diagnostics.values import ScoredWindow

__all__ = ["SECTIONS", "ScoredWindow", "diagnose_window", "diagnose_windows"]
