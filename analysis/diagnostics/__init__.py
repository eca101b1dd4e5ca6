"""What the classifiers of a finished search do to its events: numbers behind figures, none of which enters a result."""

from analysis.diagnostics.ensemble import ensemble
from analysis.diagnostics.importance import importance
from analysis.diagnostics.performance import performance
from analysis.diagnostics.values import ScoredWindow

__all__ = ["ScoredWindow", "ensemble", "importance", "performance"]
