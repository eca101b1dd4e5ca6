"""What a user can set: one module per stage, put together in `search`; presets and the user's file are read there."""

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
