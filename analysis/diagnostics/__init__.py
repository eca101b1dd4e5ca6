"""Diagnostics of the classifiers of a finished search, for figures; none of them enters a result."""

from analysis.diagnostics.engine import SECTIONS, diagnose_window, diagnose_windows
from analysis.diagnostics.values import ScoredWindow

__all__ = ["SECTIONS", "ScoredWindow", "diagnose_window", "diagnose_windows"]
