"""Which selections need a calibration with retraining."""

from __future__ import annotations

import pytest

from analysis.search.retraining import needs_calibration


@pytest.mark.parametrize(
    ("selection", "method", "needed"),
    [
        ("inclusive", "cwola", False),
        ("eff_0.1", "cwola", True),
        ("argos", "salad", True),
        ("eff_0.1", "supervised", False),
        ("eff_0.1", "of_a_plugin", True),
    ],
)
def test_trained_selections_need_it_unless_they_learn_from_the_truth(
    selection: str, method: str, *, needed: bool
) -> None:
    assert needs_calibration(selection, method) is needed
