"""Statistics on top of pyhf: workspaces, p-values, limits, and the price of many looks. The only users of pyhf."""

from analysis.statistics.inference import DiscoveryResult, LimitResult, discovery, upper_limit
from analysis.statistics.trials import GlobalResult, bonferroni
from analysis.statistics.workspace import Counting, counting_workspace

__all__ = [
    "Counting",
    "DiscoveryResult",
    "GlobalResult",
    "LimitResult",
    "bonferroni",
    "counting_workspace",
    "discovery",
    "upper_limit",
]
