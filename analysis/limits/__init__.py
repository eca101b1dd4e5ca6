"""Limits on signal samples that account for the classifiers learning more from more signal."""

from analysis.limits.documents import NAIVE, failed_document, limit_documents, scan_document
from analysis.limits.points import LimitPoint, prepare_point, strength_of_significance
from analysis.limits.rules import RULES, RuleLimit, StrengthLimits, StrengthScan, apply_rule, atlas_2020, atlas_2025
from analysis.limits.scans import Candidate, FinalTask, candidates, naive_selection, with_uncertainties
from analysis.limits.sensitivity import sensitivity_document

__all__ = [
    "NAIVE",
    "RULES",
    "Candidate",
    "FinalTask",
    "LimitPoint",
    "RuleLimit",
    "StrengthLimits",
    "StrengthScan",
    "apply_rule",
    "atlas_2020",
    "atlas_2025",
    "candidates",
    "failed_document",
    "limit_documents",
    "naive_selection",
    "prepare_point",
    "scan_document",
    "sensitivity_document",
    "strength_of_significance",
    "with_uncertainties",
]
