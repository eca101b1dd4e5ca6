"""Columns that a configuration asks for."""

from __future__ import annotations

import pytest

from analysis.config import SearchConfig
from analysis.errors import ConfigError
from processors.features import FEATURES, requested_features, required_features
from tests.builders import toys
from tests.builders.running import dataset, run

STANDARD = [name for name, one in FEATURES.items() if not one.optional]


@pytest.mark.parametrize(
    ("config", "further"),
    [
        ({}, []),
        ({"learning": {"features": ["mj1", "n2_j1"]}}, ["n2_j1"]),
        ({"selection": {"optional_features": ["n3_j2", "tau43_j1"]}}, ["tau43_j1", "n3_j2"]),
        ({"variants": [{"name": "wide", "learning": {"features": ["mj1", "third_jet_pt"]}}]}, ["third_jet_pt"]),
        (
            {
                "learning": {"features": ["particleNet_TvsQCD_j1", "n2_j1"]},
                "selection": {"optional_features": ["n2_j1"]},
            },
            ["n2_j1", "particleNet_TvsQCD_j1"],
        ),
    ],
)
def test_optional_features_are_columns_only_if_named(config, further):
    config = SearchConfig(**config)
    assert [one.spec.name for one in requested_features(config)] == [*STANDARD, *further]
    assert required_features(config) == {*config.learning.features, *further}


def test_parts_without_optional_features_are_not_taken_for_older_ones_of_those_with_them(tmp_path):
    """Parts of other code with the same settings are removed: the names of optional columns are settings."""
    path = toys.write_nanoaod(tmp_path / "toy.root", [toys.dijet()])
    found = []
    for optional in ((), ("tau43_j1",), ()):
        result, table = run(dataset(path), tmp_path / "out", {"optional_features": optional})
        assert ("tau43_j1" in table.feature_names) == bool(optional)
        found.append((result.parts[0], result.parts[0].exists()))
    assert found[0] == found[2] != found[1]
    assert all(part.exists() for part, _ in found)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"learning": {"features": ["mj1", "n4_j1"]}}, r"learning\.features: there is no feature 'n4_j1'.*n2_j1"),
        (
            {"selection": {"optional_features": ["tagger_j1"]}},
            r"selection\.optional_features.*'tagger_j1'.*particleNet",
        ),
        ({"learning": {"features": ["particleNet_TvsQCD"]}}, r"no feature 'particleNet_TvsQCD'"),
        ({"learning": {"features": ["particleNet_massCorr_j1"]}}, r"no feature 'particleNet_massCorr_j1'"),
        (
            {"variants": [{"name": "wide", "learning": {"features": ["mj3"]}}]},
            r"variants\.wide\.learning\.features.*'mj3'",
        ),
    ],
)
def test_unknown_feature_names_its_key(config, message):
    with pytest.raises(ConfigError, match=message):
        requested_features(SearchConfig(**config))
