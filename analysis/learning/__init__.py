"""Weakly supervised learning without physics: training sets, folds, ensembles, working points."""

from analysis.learning.crossfit import (
    CrossFit,
    FoldResult,
    FoldTask,
    Scores,
    Template,
    collect_folds,
    run_fold,
)
from analysis.learning.ensemble import BoostedTrees, Choice, FittedEnsemble
from analysis.learning.folds import assign_folds, stratified_folds
from analysis.learning.kept_folds import KeptFolds
from analysis.learning.learners import (
    BOOSTED_TREES,
    LEARNERS,
    LearnerEntry,
    configured_learner,
    get_learner,
    register_learner,
    stored_form,
    stored_name,
)
from analysis.learning.nested import Nested
from analysis.learning.protocols import (
    ContrastMethod,
    Learner,
    Method,
    Model,
    ModelStorage,
    OptionalMethod,
    TemplateMethod,
)
from analysis.learning.samples import Samples
from analysis.learning.scoring import ModelAtMass, score_table
from analysis.learning.training_set import TrainingSet
from analysis.learning.tuning import TunedTrees
from analysis.learning.working_points import (
    ARGOS,
    HALVES,
    INCLUSIVE,
    PassWeights,
    choose_working_points,
    selection_name,
    selection_names,
    selection_text,
    split_half,
)

__all__ = [
    "ARGOS",
    "BOOSTED_TREES",
    "HALVES",
    "INCLUSIVE",
    "LEARNERS",
    "BoostedTrees",
    "Choice",
    "ContrastMethod",
    "CrossFit",
    "FittedEnsemble",
    "FoldResult",
    "FoldTask",
    "KeptFolds",
    "Learner",
    "LearnerEntry",
    "Method",
    "Model",
    "ModelAtMass",
    "ModelStorage",
    "Nested",
    "OptionalMethod",
    "PassWeights",
    "Samples",
    "Scores",
    "Template",
    "TemplateMethod",
    "TrainingSet",
    "TunedTrees",
    "assign_folds",
    "choose_working_points",
    "collect_folds",
    "configured_learner",
    "get_learner",
    "register_learner",
    "run_fold",
    "score_table",
    "selection_name",
    "selection_names",
    "selection_text",
    "split_half",
    "stored_form",
    "stored_name",
    "stratified_folds",
]
