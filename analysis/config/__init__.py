"""User configuration: one module per stage, combined in `search`, which also reads presets and the user's file."""

from analysis.config.learning import ClassifierConfig, LearningConfig, TuningConfig
from analysis.config.limits import LimitsConfig
from analysis.config.model import ConfigFile
from analysis.config.search import (
    BackgroundConfig,
    PlotConfig,
    ScanConfig,
    SearchConfig,
    StatisticsConfig,
    StyleName,
    available_presets,
    load_config,
)
from analysis.config.selection import SelectionConfig
from analysis.config.systematics import SystematicConfig
from analysis.config.validation import ValidationConfig

__all__ = [
    "BackgroundConfig",
    "ClassifierConfig",
    "ConfigFile",
    "LearningConfig",
    "LimitsConfig",
    "PlotConfig",
    "ScanConfig",
    "SearchConfig",
    "SelectionConfig",
    "StatisticsConfig",
    "StyleName",
    "SystematicConfig",
    "TuningConfig",
    "ValidationConfig",
    "available_presets",
    "load_config",
]
