"""Comparison of several searches: their labels, common windows, looks and differing settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from analysis.config import SearchConfig
from analysis.diagnostics.sections import DiagnosedWindow, PerformanceSection
from analysis.errors import ConfigError
from analysis.limits.values import FailedLimit, InjectionLimit
from analysis.results.numbers import p_value, z_value
from analysis.results.values import Results
from analysis.results.wording.significances import UNCALIBRATED
from analysis.results.words import global_caveat, largest_excess, looks_text
from analysis.search.values import SelectionResult, WindowResult
from analysis.statistics import GlobalResult, bonferroni

__all__ = [
    "ComparedSearch",
    "FolderLooks",
    "Varied",
    "bound_over_folders",
    "comparison_sentences",
    "distinct_labels",
    "require_common_windows",
    "varied_setting",
]

_OTHER_SECTIONS = ("plots", "plugins")
"""Sections of the configuration that do not affect the numbers of a search."""


@dataclass(frozen=True)
class FolderLooks:
    """Looks of one search that shows significances.

    Attributes
    ----------
    label : str
        Name of its folder.
    text : str
        Their number, and how it arises.
    total : int
    z : float
        Largest local significance.
    p0 : float or None
        Global p-value of this search alone, or a bound on it.
    caveat : str
        Sentence to put behind `p0`: empty if all its fits are good.
    z_text : str
        `z` for readers, see `Excess.z_text`; empty for the number alone.
    lacks_calibration : bool
        Whether any significance is not calibrated with retraining.
    """

    label: str
    text: str
    total: int
    z: float
    p0: float | None
    caveat: str = ""
    z_text: str = ""
    lacks_calibration: bool = False

    @classmethod
    def of(cls, label: str, results: Results) -> FolderLooks | None:
        """Read from the results of a search; None if they show no significance."""
        largest = largest_excess(results.windows)
        if results.blinded or largest is None:
            return None
        return cls(
            label,
            looks_text(results.trials),
            results.trials["total"],
            largest.z,
            results.global_.p0,
            global_caveat(results.windows),
            largest.z_text,
            any(selection.lacks_calibration for selection in results.selections),
        )


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
    looks : FolderLooks or None
        None if it shows no significance.
    """

    label: str
    windows: tuple[WindowResult, ...]
    limits: tuple[InjectionLimit | FailedLimit, ...]
    settings: dict[str, Any]
    performance: dict[str, PerformanceSection] = field(default_factory=dict)
    looks: FolderLooks | None = None

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
        return cls(label, tuple(windows), results.limits, settings, performance, FolderLooks.of(label, results))

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


def bound_over_folders(folders: Sequence[FolderLooks]) -> GlobalResult:
    """Bound the global p-value of the largest excess by that of its folder times the number of folders.

    It holds whether or not the searches share events, and assumes that no other folders were looked at.

    Parameters
    ----------
    folders : sequence of FolderLooks
        At least one.

    Returns
    -------
    GlobalResult
        With the looks of all folders as `n_trials`.
    """
    largest = max(folders, key=lambda one: one.z)
    bound = bonferroni([] if largest.p0 is None else [largest.p0], len(folders))
    return GlobalResult(bound.z, bound.p0, bound.method, sum(one.total for one in folders))


def comparison_sentences(folders: Sequence[FolderLooks]) -> list[str]:
    """Say how many looks are compared, and how far their global p-values reach.

    Parameters
    ----------
    folders : sequence of FolderLooks
        Those of the compared searches that show significances.

    Returns
    -------
    list of str
        Empty for fewer than two.
    """
    if len(folders) < 2:
        return []
    largest, bound = max(folders, key=lambda one: one.z), bound_over_folders(folders)
    each = "; ".join(f"{one.label}: {one.text}" for one in folders)
    sentences = [
        f"{bound.n_trials} looks in {len(folders)} folders are compared ({each}).",
        "The global p-value of a folder does not pay for the choice among folders.",
    ]
    if bound.p0 is not None:
        z = "" if bound.z is None else f" (z ≥ {z_value(bound.z)})"
        local = largest.z_text or z_value(largest.z)
        sentences.append(
            f"For the largest excess, local z = {local} in {largest.label}, it is {p_value(largest.p0)}; "
            f"over these folders it is at most {len(folders)} times as large, {p_value(bound.p0)}{z}."
        )
        if largest.caveat:
            sentences.append(largest.caveat)
    if lacking := [one.label for one in folders if one.lacks_calibration]:
        sentences.append(f"z is {UNCALIBRATED}, which `cwola calibrate` does, in {', '.join(lacking)}.")
    return sentences


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
