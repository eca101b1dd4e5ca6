"""What the classifiers of a finished search do to its events: numbers behind figures, none of which enters a result."""

from analysis.diagnostics.values import ScoredWindow

__all__ = ["ScoredWindow"]
