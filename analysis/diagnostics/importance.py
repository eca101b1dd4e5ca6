"""Feature importance in the trees of a window."""

from __future__ import annotations

import numpy as np

from analysis.diagnostics.members import listed
from analysis.diagnostics.sections import ImportanceSection
from analysis.diagnostics.values import ScoredWindow

__all__ = ["importance"]


def importance(window: ScoredWindow) -> ImportanceSection | None:
    """Measure the share of each feature in the total gain of the splits of the trees.

    The gain of a split is the decrease of the training loss (arXiv:1603.02754, eq. 7). Without signal all features with
    equally many distinct values gain the same, from noise; a feature with few values gains less. Correlated features
    share their gain.

    Parameters
    ----------
    window : ScoredWindow

    Returns
    -------
    ImportanceSection or None
        Features in the order of the search, with labels in mathtext. The shares sum to 1 in each member; the standard
        deviation is None for a single member. None if the window failed or no tree has a split, and while blinded:
        the splits of the trees depend on the events inside the mask, and gains are not kept.
    """
    if window.blinded or window.classifier is None:
        return None
    names = window.classifier.features
    labels = {spec.name: spec.label for spec in window.table.features}
    measure = window.classifier.storage.importance
    if measure is None:
        return None
    members = [member for model in window.classifier.models for member in model.members]
    shares = np.array([gains for gains in (measure(member, len(names)) for member in members) if gains is not None])
    if not shares.size:
        return None
    spread = shares.std(axis=0, ddof=1) if len(shares) > 1 else np.full(len(names), np.nan)
    return ImportanceSection(
        features=names,
        labels=tuple(labels[name] for name in names),
        mean=listed(shares.mean(axis=0)),
        std=listed(spread),
        n_models=len(shares),
    )
