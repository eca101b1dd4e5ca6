"""The rules of validation, on the recorded samples of the shift test."""

import pytest

from analysis.validation import SOURCES
from analysis.validation.verdicts import NOT_VALID, VALID, window_verdict
from tests.studies.runner import load
from tests.studies.validation_shift import NAME, WINDOWS, configure

RECORDED = load(NAME)
DRIFT = [source.name for source in SOURCES if source.keeps_drift]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(
    ("method", "shift", "verdict"),
    [
        ("cwola", 1.0, NOT_VALID),
        ("salad", 1.0, VALID),
        ("cwola", 0.0, VALID),
        ("salad", 0.0, VALID),
        ("sa_cwola", 0.0, VALID),
    ],
)
def test_only_the_method_that_the_drift_fools_is_not_valid(
    method: str, shift: float, verdict: str, window: tuple[float, float]
) -> None:
    chosen = [p for p in RECORDED if (p["method"], p["shift"], p["window"]) == (method, shift, list(window))]
    records = [point["record"] for point in chosen]
    settings = configure(chosen[0]).validation
    found = window_verdict(records[0]["window"], records, DRIFT, settings)
    assert found.verdict == verdict
    if verdict == NOT_VALID:
        assert "shift of z larger than 0.5" in found.reason
