"""The values of `results.json` are the fields of its published schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib import resources
from typing import Any

import pytest

from analysis.limits.values import CalibratedCurve, InjectionLimit, Sensitivity, SensitivityCurve
from analysis.results.values import (
    Cut,
    FitDocument,
    InputFile,
    PluginDocument,
    Results,
    SelectionDocument,
    SkippedFile,
    WindowDocument,
)
from analysis.search.seeds import SeedSpread
from analysis.signals.values import SignalResult, SignalYield
from analysis.statistics import GlobalResult, Impacts, LimitResult
from analysis.validation.values import CombinedShift, WindowValidation

SCHEMA = json.loads(resources.files("analysis.results").joinpath("results.schema.json").read_text(encoding="utf-8"))
DEFINED = SCHEMA["$defs"]

IN_FILES_OF_WINDOWS = {"edges", "training_seed", "hidden", "state"}
OF_RESULTS = {"schema_error"}


def one_of(described: Mapping[str, Any]) -> Mapping[str, Any]:
    (found,) = (one for one in described["oneOf"] if one != {"type": "null"})
    return found


CURVE = DEFINED["sensitivity"]["properties"]["curves"]["items"]


@pytest.mark.parametrize(
    ("kind", "described"),
    [
        (Results, SCHEMA),
        (PluginDocument, SCHEMA["properties"]["plugins"]["items"]),
        (InputFile, SCHEMA["properties"]["inputs"]["items"]),
        (SkippedFile, SCHEMA["properties"]["skipped_files"]["items"]),
        (GlobalResult, SCHEMA["properties"]["global"]),
        (Cut, DEFINED["cuts"]["additionalProperties"]["additionalProperties"]),
        (WindowDocument, DEFINED["window"]),
        (WindowValidation, DEFINED["validation"]),
        (SelectionDocument, DEFINED["selection"]),
        (FitDocument, one_of(DEFINED["selection"]["properties"]["fit"])),
        (LimitResult, one_of(DEFINED["selection"]["properties"]["limit"])),
        (SeedSpread, DEFINED["spread"]),
        (CombinedShift, DEFINED["validation"]["properties"]["combined"]["items"]),
        (SignalResult, DEFINED["signal"]),
        (SignalYield, DEFINED["signal_yield"]),
        (Impacts, DEFINED["impacts"]),
        (InjectionLimit, DEFINED["injection_limit"]),
        (Sensitivity, DEFINED["sensitivity"]),
        (SensitivityCurve, CURVE),
        (CalibratedCurve, CURVE["properties"]["calibrated"]),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_fields_and_properties_are_the_same(kind: type, described: Mapping[str, Any]) -> None:
    assert is_dataclass(kind)
    names = {one.name.rstrip("_") for one in fields(kind)} - IN_FILES_OF_WINDOWS - OF_RESULTS
    assert names == set(described["properties"]), kind.__name__
    assert set(described.get("required", ())) <= names
