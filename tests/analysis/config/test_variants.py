"""Variants in the configuration."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.config import SearchConfig, load_config
from analysis.errors import ConfigError

VARIED = {"name": "masses", "learning": {"method": "sa_cwola", "classifier": {"max_depth": 3}}}


def test_a_variant_replaces_single_values() -> None:
    config = load_config(preset="best", overrides={"variants": [VARIED], "statistics": {"blind": True}})
    varied = config.variant(config.variants[0])
    assert (varied.learning.method, varied.learning.classifier.max_depth) == ("sa_cwola", 3)
    assert varied.learning.classifier.learning_rate == config.learning.classifier.learning_rate
    assert varied.learning.features == config.learning.features
    assert (varied.scan, varied.statistics, varied.variants) == (config.scan, config.statistics, ())


def test_variants_do_not_change_the_identity_of_the_search() -> None:
    assert load_config(overrides={"variants": [VARIED]}).digest() == load_config().digest()


def test_variants_survive_the_stored_configuration() -> None:
    config = load_config(overrides={"variants": [VARIED]})
    assert SearchConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ([{"name": "../a", "learning": {"n_folds": 3}}], r"variants\.0\.name: String should match"),
        ([{"name": "a"}], r"variant 'a' changes nothing: give it settings of learning, background or statistics"),
        ([{"name": "a", "learning": {"folds": 3}}], r"unknown key 'variants\.a\.learning\.folds'"),
        ([{"name": "a", "learning": {"n_folds": 1}}], r"variants\.a\.learning\.n_folds: Input should be greater"),
        ([{"name": "a", "scan": {"width": 1.0}}], r"unknown key 'variants\.0\.scan'"),
        (2 * [{"name": "a", "learning": {"n_folds": 3}}], "variants has two entries of the name 'a'"),
    ],
)
def test_an_impossible_variant_is_named(variants: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(overrides={"variants": variants})
