"""Limits on signal samples, with classifiers that learn more from more signal.

With weak supervision the signal efficiency depends on the amount of signal in the data. One injection hides a Poisson
number of simulated signal events among the data, drawn without replacement, and trains the classifiers of a window on
both. For a limit the injected events are used in training only. They are removed before thresholds, counts and fits,
so that the data alone are counted, scored by models that expect the signal. The efficiency is measured with signal
events that were not injected. For the display of sensitivity the injected events are kept and searched like data.
"""

from analysis.limits.documents import failed_limit, injection_limits, injection_scan
from analysis.limits.injection import InjectionData, inject
from analysis.limits.injection_values import EfficiencyMap, InjectedSelection, Injection, InjectionResult
from analysis.limits.points import LimitPoint, prepare_point, strength_of_significance
from analysis.limits.rules import (
    INCLUSIVE_RULE,
    NAIVE,
    RULES,
    LimitRule,
    RuleLimit,
    StrengthLimits,
    StrengthScan,
    apply_rule,
    atlas_2020,
    atlas_2025,
    chosen_limits,
    limit_rules,
    register_limit_rule,
    rule_text,
)
from analysis.limits.scans import Candidate, FinalTask, candidates, candidates_of, naive_selection, with_uncertainties
from analysis.limits.sensitivity import search_sensitivity
from analysis.limits.signal_events import add_signal, held_out, sample_signal

__all__ = [
    "INCLUSIVE_RULE",
    "NAIVE",
    "RULES",
    "Candidate",
    "EfficiencyMap",
    "FinalTask",
    "InjectedSelection",
    "Injection",
    "InjectionData",
    "InjectionResult",
    "LimitPoint",
    "LimitRule",
    "RuleLimit",
    "StrengthLimits",
    "StrengthScan",
    "add_signal",
    "apply_rule",
    "atlas_2020",
    "atlas_2025",
    "candidates",
    "candidates_of",
    "chosen_limits",
    "failed_limit",
    "held_out",
    "inject",
    "injection_limits",
    "injection_scan",
    "limit_rules",
    "naive_selection",
    "prepare_point",
    "register_limit_rule",
    "rule_text",
    "sample_signal",
    "search_sensitivity",
    "strength_of_significance",
    "with_uncertainties",
]
