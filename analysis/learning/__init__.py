"""Machinery of weakly supervised learning that knows no physics: training sets, folds, ensembles, working points."""

from analysis.learning.crossfit import (
    CrossFit,
    FoldResult,
    FoldTask,
    Method,
    Scores,
    TemplateMethod,
    collect_folds,
    run_fold,
)
from analysis.learning.ensemble import BoostedTrees, FittedEnsemble
from analysis.learning.folds import assign_folds
from analysis.learning.samples import Samples
from analysis.learning.training_set import TrainingSet
from analysis.learning.working_points import INCLUSIVE, PassWeights, choose_working_points, selection_name

__all__ = [
    "INCLUSIVE",
    "BoostedTrees",
    "CrossFit",
    "FittedEnsemble",
    "FoldResult",
    "FoldTask",
    "Method",
    "PassWeights",
    "Samples",
    "Scores",
    "TemplateMethod",
    "TrainingSet",
    "assign_folds",
    "choose_working_points",
    "collect_folds",
    "run_fold",
    "selection_name",
]
