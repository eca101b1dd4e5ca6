"""Toy event tables with known truth, in memory.

The background falls as the three-parameter dijet function; its features are normal and independent of m_jj. The signal
is a Gaussian peak whose features are shifted. So every cut on the features leaves the background smooth, and what a
search finds can be compared with what was put in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.config import SearchConfig
from analysis.events.identity import event_hash
from analysis.events.schema import FeatureSpec
from analysis.events.table import EventTable
from analysis.regions import MassWindow

SQRT_S = 13000.0
FIT_RANGE = (3000.0, 6500.0)
WINDOW = MassWindow((3300.0, 3700.0), (3100.0, 3300.0), (3700.0, 3900.0), (3200.0, 3800.0), FIT_RANGE)
"""The window at the signal of `toy_table`."""


def feature_names(n_features: int) -> tuple[str, ...]:
    return tuple(f"x{i}" for i in range(n_features))


def dijet_density(
    mass: NDArray[np.float64] | float, p1: float, p2: float = 0.0, p3: float = 0.0, p4: float = 0.0
) -> Any:
    """(1-x)^p1 / x^(p2 + p3 ln x + p4 ln^2 x), x = m / 13 TeV: the published formula, written out."""
    x = np.asarray(mass) / SQRT_S
    return (1 - x) ** p1 / x ** (p2 + p3 * np.log(x) + p4 * np.log(x) ** 2)


def dijet_masses(
    n_events: int,
    rng: np.random.Generator,
    *,
    p1: float = 9.0,
    p2: float = 5.0,
    fit_range: tuple[float, float] = FIT_RANGE,
) -> NDArray[np.float64]:
    """(n_events,) float64, GeV: masses from the dijet density, by inverting its cumulative distribution."""
    grid = np.linspace(*fit_range, 20_001)
    density = dijet_density(grid, p1, p2)
    cumulative = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return np.interp(rng.random(n_events) * cumulative[-1], cumulative, grid)


def table_of(
    mjj: NDArray[np.float64], X: NDArray[Any], *, names: Sequence[str] | None = None, **columns: Any
) -> EventTable:
    """Event table with the given masses, features `x0`, `x1`, ... or `names` and, optionally, other columns."""
    n_events = len(mjj)
    event = np.arange(n_events)
    fixed = {
        "event_id": event_hash(1, 1, event),
        "run": np.ones(n_events, int),
        "luminosity_block": np.ones(n_events, int),
        "event": event,
        "dataset": np.full(n_events, "background", object),
        "rapidity_region": np.full(n_events, "search", object),
        "mjj": mjj,
        "abs_dy": np.full(n_events, 0.5),
        "weight": np.ones(n_events),
    }
    names = feature_names(X.shape[1]) if names is None else names
    features = [FeatureSpec(name, name, "", (20, -5.0, 5.0)) for name in names]
    return EventTable.from_columns(fixed | dict(zip(names, X.T, strict=True)) | columns, features)


def toy_table(
    n_background: int,
    n_signal: int = 0,
    *,
    random_state: int,
    n_features: int = 2,
    mass: float = 3500.0,
    width: float = 80.0,
    fit_range: tuple[float, float] = FIT_RANGE,
) -> EventTable:
    """Background and signal events, in random order; their datasets are "background" and "signal"."""
    rng = np.random.default_rng(random_state)
    masses = [dijet_masses(n_background, rng, fit_range=fit_range), rng.normal(mass, width, n_signal)]
    X = [rng.normal(size=(n_background, n_features)), rng.normal(1.5, 0.5, size=(n_signal, n_features))]
    origin = np.repeat(np.array(["background", "signal"], object), [n_background, n_signal])
    order = rng.permutation(n_background + n_signal)
    return table_of(
        np.concatenate(masses)[order],
        np.concatenate(X)[order].astype(np.float32),
        dataset=origin[order],
    )


def toy_config(**sections: dict[str, Any]) -> SearchConfig:
    """Light configuration of a search in one window of a toy; sections are laid over it."""
    document: dict[str, dict[str, Any]] = {
        "scan": {"first": 3300.0, "last": 3700.0},
        "learning": {
            "features": feature_names(2),
            "n_folds": 3,
            "n_members": 1,
            "efficiencies": (0.1, 0.02),
            "classifier": {"n_estimators": 25, "max_depth": 3, "min_child_weight": 20.0},
        },
        "background": {"functions": ("dijet2", "dijet3")},
    }
    for name, values in sections.items():
        document[name] = document.get(name, {}) | values
    return SearchConfig.model_validate(document)
