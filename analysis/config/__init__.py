"""User configuration: one module per stage, combined in `search`, read by `loading`."""

from analysis.config.calibration import CalibrationConfig, RunCorrection
from analysis.config.learning import ClassifierConfig, LearningConfig, TuningConfig
from analysis.config.limits import LimitsConfig
from analysis.config.loading import available_presets, load_config
from analysis.config.model import ConfigFile
from analysis.config.search import (
    BackgroundConfig,
    PlotConfig,
    ScanConfig,
    SearchConfig,
    StatisticsConfig,
    StyleName,
)
from analysis.config.selection import SelectionConfig
from analysis.config.systematics import SystematicConfig
from analysis.config.table import TableConfig
from analysis.config.validation import ValidationConfig
from analysis.config.variants import Variant

__all__ = [
    "BackgroundConfig",
    "CalibrationConfig",
    "ClassifierConfig",
    "ConfigFile",
    "LearningConfig",
    "LimitsConfig",
    "PlotConfig",
    "RunCorrection",
    "ScanConfig",
    "SearchConfig",
    "SelectionConfig",
    "StatisticsConfig",
    "StyleName",
    "SystematicConfig",
    "TableConfig",
    "TuningConfig",
    "ValidationConfig",
    "Variant",
    "available_presets",
    "load_config",
]
