"""One event that carries much of a sum of weights is told of."""

from __future__ import annotations

import pytest

from processors.runner.weights import ExtremeWeights
from tests.builders import toys
from tests.builders.running import dataset, run


def test_the_largest_weight_is_found_by_row_of_the_cutflow(tmp_path):
    """The second file has an event of weight 60 in the search region and one of 900 with a single jet."""
    events, weights = [toys.dijet()] * 40, [1.0] * 40
    one = toys.write_nanoaod(tmp_path / "a.root", events, gen_weight=weights)
    two = toys.write_nanoaod(
        tmp_path / "b.root", [*events, [toys.jet()]], gen_weight=[60.0, *weights[1:], -900.0], run=2
    )
    result, _ = run(dataset(one, two), tmp_path, {"mjj_min": 0})
    assert result.weights == {
        "all": ExtremeWeights(81, pytest.approx(761**2 / (79 + 60**2 + 900**2)), 900.0, 900 / 1039, str(two)),
        "search": ExtremeWeights(80, pytest.approx(139**2 / (79 + 60**2)), 60.0, 60 / 139, str(two)),
    }
    assert result.to_json()["weights"]["search"]["share"] == 60 / 139


def test_observed_events_have_no_weights_to_tell_of(tmp_path):
    path = toys.write_nanoaod(tmp_path / "a.root", [toys.dijet()] * 4)
    result, _ = run(dataset(path, kind="data"), tmp_path, {"mjj_min": 0})
    assert result.weights == {}
