"""Statistics on top of pyhf: workspaces, p-values, limits and the trials factor. The only package that uses pyhf."""

from analysis.statistics.counting_models import LIKELIHOODS, counting_z, log_error
from analysis.statistics.expected import discovery_events, expected_discovery
from analysis.statistics.impacts import STATISTICAL, GroupImpact, Impact, Impacts, group_of, impacts
from analysis.statistics.inference import (
    POST_FIT,
    PRE_FIT,
    DiscoveryResult,
    LimitResult,
    checked,
    discovery,
    upper_limit,
)
from analysis.statistics.modifiers import combined_modifier, yield_modifier
from analysis.statistics.patches import PatchedSignal, background_only, patch_set
from analysis.statistics.samples import SignalSystematic, signal_statistics
from analysis.statistics.shapes import Shape, ShapeWorkspace, shape_workspace
from analysis.statistics.trials import GlobalResult, bonferroni, global_significance, retrained_significance
from analysis.statistics.workspace import Counting, counting_workspace

__all__ = [
    "LIKELIHOODS",
    "POST_FIT",
    "PRE_FIT",
    "STATISTICAL",
    "Counting",
    "DiscoveryResult",
    "GlobalResult",
    "GroupImpact",
    "Impact",
    "Impacts",
    "LimitResult",
    "PatchedSignal",
    "Shape",
    "ShapeWorkspace",
    "SignalSystematic",
    "background_only",
    "bonferroni",
    "checked",
    "combined_modifier",
    "counting_workspace",
    "counting_z",
    "discovery",
    "discovery_events",
    "expected_discovery",
    "global_significance",
    "group_of",
    "impacts",
    "log_error",
    "patch_set",
    "retrained_significance",
    "shape_workspace",
    "signal_statistics",
    "upper_limit",
    "yield_modifier",
]
