"""All names of the Python interface in one place, for notebooks and scripts.

They are the names that `docs/api.md` promises, each from the module that is given there. Modules of this package
import from those modules: this one loads everything, matplotlib too.
"""

from analysis.background import (
    FUNCTIONS,
    AdaptedFunction,
    BackgroundFit,
    FunctionBias,
    MassFunction,
    choose_order,
    fit_background,
    function_bias,
    goodness_of_fit,
    hidden_shifts,
    register_function,
    spurious_signal,
)
from analysis.compute import Backend, open_backend
from analysis.config import SearchConfig, available_presets, load_config
from analysis.events.dataset import Dataset, Slice
from analysis.events.datasets import exclude_datasets, load_datasets
from analysis.events.table import EventTable
from analysis.learning import (
    BoostedTrees,
    CrossFit,
    Learner,
    Method,
    Model,
    PassWeights,
    Samples,
    TemplateMethod,
    TrainingSet,
    choose_working_points,
    collect_folds,
    run_fold,
)
from analysis.limits import Injection, InjectionData, LimitRule, inject, register_limit_rule
from analysis.methods import METHODS, SALAD, Curtains, CWoLa, SACWoLa, configured_method, get_method, register_method
from analysis.methods.contrast import LabelledEvents, Region, build_set, find_region
from analysis.plots import (
    draw_cutflow,
    draw_impacts,
    draw_limits,
    draw_roc,
    draw_scan,
    draw_sic,
    draw_signal_limits,
    draw_significance,
    draw_spectrum,
    figure_style,
    register_figures,
    save_figures,
)
from analysis.plugins import load_plugins, unload_plugins
from analysis.regions import MassWindow, RegionScan
from analysis.results import ResultsFolder, load_events
from analysis.search import SearchData, SelectionResult, WindowResult, n_trials, run_scan, run_window
from analysis.search.evaluation import evaluate_window
from analysis.search.window import fold_tasks, train_folds, working_points
from analysis.stages.diagnose import diagnose
from analysis.stages.figures import plot, report
from analysis.stages.inputs import SearchInputs
from analysis.stages.limit import limit, sensitivity
from analysis.stages.process import process
from analysis.stages.scan import ScanSummary, scan
from analysis.stages.validation.validate import validate
from analysis.statistics import (
    Counting,
    DiscoveryResult,
    GlobalResult,
    LimitResult,
    counting_workspace,
    discovery,
    expected_discovery,
    impacts,
    shape_workspace,
    upper_limit,
)
from processors.dijet import DijetProcessor

__all__ = [
    "FUNCTIONS",
    "METHODS",
    "SALAD",
    "AdaptedFunction",
    "Backend",
    "BackgroundFit",
    "BoostedTrees",
    "CWoLa",
    "Counting",
    "CrossFit",
    "Curtains",
    "Dataset",
    "DijetProcessor",
    "DiscoveryResult",
    "EventTable",
    "FunctionBias",
    "GlobalResult",
    "Injection",
    "InjectionData",
    "LabelledEvents",
    "Learner",
    "LimitResult",
    "LimitRule",
    "MassFunction",
    "MassWindow",
    "Method",
    "Model",
    "PassWeights",
    "Region",
    "RegionScan",
    "ResultsFolder",
    "SACWoLa",
    "Samples",
    "ScanSummary",
    "SearchConfig",
    "SearchData",
    "SearchInputs",
    "SelectionResult",
    "Slice",
    "TemplateMethod",
    "TrainingSet",
    "WindowResult",
    "available_presets",
    "build_set",
    "choose_order",
    "choose_working_points",
    "collect_folds",
    "configured_method",
    "counting_workspace",
    "diagnose",
    "discovery",
    "draw_cutflow",
    "draw_impacts",
    "draw_limits",
    "draw_roc",
    "draw_scan",
    "draw_sic",
    "draw_signal_limits",
    "draw_significance",
    "draw_spectrum",
    "evaluate_window",
    "exclude_datasets",
    "expected_discovery",
    "figure_style",
    "find_region",
    "fit_background",
    "fold_tasks",
    "function_bias",
    "get_method",
    "goodness_of_fit",
    "hidden_shifts",
    "impacts",
    "inject",
    "limit",
    "load_config",
    "load_datasets",
    "load_events",
    "load_plugins",
    "n_trials",
    "open_backend",
    "plot",
    "process",
    "register_figures",
    "register_function",
    "register_limit_rule",
    "register_method",
    "report",
    "run_fold",
    "run_scan",
    "run_window",
    "save_figures",
    "scan",
    "sensitivity",
    "shape_workspace",
    "spurious_signal",
    "train_folds",
    "unload_plugins",
    "upper_limit",
    "validate",
    "working_points",
]
