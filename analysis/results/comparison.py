"""Comparison of several searches: their labels, common windows and differing settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from analysis.config import SearchConfig
from analysis.diagnostics.sections import DiagnosedWindow, PerformanceSection
from analysis.errors import ConfigError
from analysis.limits.values import FailedLimit, InjectionLimit
from analysis.results.values import Results
from analysis.search.values import SelectionResult, WindowResult

__all__ = ["ComparedSearch", "Varied", "distinct_labels", "require_common_windows", "varied_setting"]

_OTHER_SECTIONS = ("plots", "plugins")
"""Sections of the configuration that do not affect the numbers of a search."""


@dataclass(frozen=True)
class ComparedSearch:
    """One of several compared searches, without its blinded values.

    Attributes
    ----------
    label : str
    windows : tuple of WindowResult
    limits : tuple of InjectionLimit or FailedLimit
    settings : dict of str to Any
        Values of the configuration by full name, such as "learning.method".
    performance : dict of str to PerformanceSection
        Classifier performance by name of the window; empty without truth labels.
    """

    label: str
    windows: tuple[WindowResult, ...]
    limits: tuple[InjectionLimit | FailedLimit, ...]
    settings: dict[str, Any]
    performance: dict[str, PerformanceSection] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        label: str,
        results: Results,
        windows: Sequence[WindowResult],
        config: SearchConfig,
        diagnostics: Sequence[DiagnosedWindow] = (),
    ) -> Self:
        """Build from results, the windows they were assembled from, their configuration and diagnostics."""
        settings = _flat(config.model_dump(mode="json", exclude=set(_OTHER_SECTIONS)))
        performance = {
            diagnosed.window.name: diagnosed.performance
            for diagnosed in diagnostics
            if diagnosed.performance is not None
        }
        return cls(label, tuple(windows), results.limits, settings, performance)

    @property
    def has_significances(self) -> bool:
        """Whether any selection was tested for an excess; False while blinded."""
        return any(selection.discovery is not None for result in self.windows for selection in result.selections)

    def find(self, window: str, selection: str) -> SelectionResult | None:
        """Return a selection of a window by the names of both; None if the search lacks it."""
        selections = (one for result in self.windows if result.window.name == window for one in result.selections)
        return next((one for one in selections if one.name == selection), None)


@dataclass(frozen=True)
class Varied:
    """The single setting that differs between several searches.

    Attributes
    ----------
    name : str
        Full name, such as "learning.simulation_weight".
    values : tuple of float
        One value per search.
    """

    name: str
    values: tuple[float, ...]


def distinct_labels(paths: Sequence[Path]) -> list[str]:
    """Return the shortest unique labels of folders: their own names, preceded by as many parents as needed."""
    parts = [path.absolute().parts for path in paths]
    for depth in range(1, max(map(len, parts)) + 1):
        labels = ["/".join(names[-depth:]) for names in parts]
        if len(set(labels)) == len(labels):
            return labels
    msg = f"{paths[0]} is given more than once. Name different results folders."
    raise ConfigError(msg)


def require_common_windows(searches: Sequence[ComparedSearch]) -> None:
    """Raise if the searches have no window in common.

    Raises
    ------
    ConfigError
    """
    names = [{result.window.name for result in search.windows} for search in searches]
    if not set.intersection(*names):
        windows = "; ".join(
            f"{search.label}: {', '.join(sorted(own)) or 'none'}" for search, own in zip(searches, names, strict=True)
        )
        msg = f"the searches have no window in common ({windows}). Compare searches of the same windows."
        raise ConfigError(msg)


def varied_setting(searches: Sequence[ComparedSearch]) -> Varied | None:
    """Return the numeric setting that alone differs between the searches, with a distinct value in each; else None.

    A scan of a setting, such as the weight of the simulation in SA-CWoLa (arXiv:2009.02205), consists of several
    searches.
    """
    names = dict.fromkeys(name for search in searches for name in search.settings)
    different = [
        name
        for name in names
        if any(search.settings.get(name) != searches[0].settings.get(name) for search in searches)
    ]
    if len(different) != 1:
        return None
    values = [search.settings.get(different[0]) for search in searches]
    numbers = [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return Varied(different[0], tuple(numbers)) if len(set(numbers)) == len(searches) else None


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, Mapping):
            settings |= _flat(value, f"{prefix}{name}.")
        else:
            settings[f"{prefix}{name}"] = value
    return settings
