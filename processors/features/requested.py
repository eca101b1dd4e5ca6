"""Features that a configuration asks for."""

from __future__ import annotations

from collections.abc import Iterator

from analysis.config import SearchConfig
from analysis.errors import ConfigError
from processors.features.optional import TAGGERS, tagger_feature
from processors.features.registry import FEATURES, Feature

__all__ = ["requested_features", "required_features", "wanted_names"]


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


def wanted_names(config: SearchConfig) -> dict[str, str]:
    """Return all names of features in a configuration and its variants, each with the first key that holds it."""
    lists = {
        "learning.features": config.learning.features,
        "selection.optional_features": config.selection.optional_features,
        **{f"variants.{one.name}.learning.features": config.variant(one).learning.features for one in config.variants},
    }
    places: dict[str, str] = {}
    for where, names in lists.items():
        for name in names:
            places.setdefault(name, where)
    return places


def _named(config: SearchConfig) -> Iterator[tuple[str, Feature]]:
    for name, where in wanted_names(config).items():
        one = FEATURES.get(name) or tagger_feature(name)
        if one is None:
            msg = (
                f"{where}: there is no feature '{name}'. Features: {', '.join(FEATURES)}; and taggers, which are "
                f"named as their branch and jet: {', '.join(f'{tagger}..._j1' for tagger in TAGGERS)}."
            )
            raise ConfigError(msg)
        yield name, one
