"""Features that a configuration asks for."""

from __future__ import annotations

from collections.abc import Iterable

from analysis.config import SearchConfig
from analysis.errors import ConfigError
from processors.features.optional import TAGGERS, tagger_feature
from processors.features.registry import FEATURES, Feature

__all__ = ["requested_features", "required_features"]


def requested_features(config: SearchConfig) -> tuple[Feature, ...]:
    """Return the columns of the table: all features that are not optional, and the optional ones that are named.

    Parameters
    ----------
    config : SearchConfig

    Returns
    -------
    tuple of Feature
        In the order of the registry, then taggers.

    Raises
    ------
    ConfigError
        If a feature does not exist.
    """
    named = dict(_named(config))
    registered = [one for name, one in FEATURES.items() if name in named or not one.optional]
    return (*registered, *(one for name, one in named.items() if name not in FEATURES))


def required_features(config: SearchConfig) -> frozenset[str]:
    """Return the names of the features without which a file cannot be used.

    These are the ones of `learning.features`, and all optional ones that are named.
    """
    optional = {name for name, one in _named(config) if one.optional}
    return frozenset({*config.learning.features, *optional})


def _named(config: SearchConfig) -> Iterable[tuple[str, Feature]]:
    yield from _found(config.learning.features, "learning.features")
    yield from _found(config.selection.optional_features, "selection.optional_features")
    for variant in config.variants:
        features = config.variant(variant).learning.features
        yield from _found(features, f"variants.{variant.name}.learning.features")


def _found(names: Iterable[str], where: str) -> Iterable[tuple[str, Feature]]:
    for name in names:
        one = FEATURES.get(name) or tagger_feature(name)
        if one is None:
            msg = (
                f"{where}: there is no feature '{name}'. Features: {', '.join(FEATURES)}; and taggers, which are "
                f"named as their branch and jet: {', '.join(f'{tagger}..._j1' for tagger in TAGGERS)}."
            )
            raise ConfigError(msg)
        yield name, one
