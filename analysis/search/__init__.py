"""The search: windows in, results out. Start reading at `analysis.search.window`."""

from analysis.search.scan import n_trials, run_scan, trainings, window_key
from analysis.search.values import SearchData, SelectionResult, WindowResult
from analysis.search.window import WindowTask, run_window, search_window, window_task

__all__ = [
    "SearchData",
    "SelectionResult",
    "WindowResult",
    "WindowTask",
    "n_trials",
    "run_scan",
    "run_window",
    "search_window",
    "trainings",
    "window_key",
    "window_task",
]
