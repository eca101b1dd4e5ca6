"""CWoLa hunting: signal region against sidebands, both in data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.errors import WindowError
from analysis.learning.training_set import TrainingSet
from analysis.regions import MassWindow
from analysis.table import EventTable

__all__ = ["CWoLa"]


@dataclass(frozen=True)
class CWoLa:
    """Classification without labels between a mass window and its sidebands.

    The lower and the upper sideband each weigh half as much as the window, so that to first order a feature that
    drifts with m_jj tells the classifier nothing (Collins, Howe, Nachman, arXiv:1902.02634; ATLAS, arXiv:2005.02983).
    """

    name: str = "cwola"

    def contrast(self, data: EventTable, window: MassWindow, features: Sequence[str]) -> TrainingSet:
        """Label the window 1 and its sidebands 0.

        Parameters
        ----------
        data : EventTable
            Events of the training folds.
        window : MassWindow
        features : sequence of str

        Returns
        -------
        TrainingSet

        Raises
        ------
        WindowError
            If the window or a sideband holds no event.
        """
        mjj, weight = data.mjj, data.weight
        inside = window.in_signal(mjj)
        target = weight[inside].sum()
        sample_weight = np.where(inside, weight, 0.0)
        for side, mask, interval in (
            ("window", inside, window.signal),
            ("lower sideband", window.in_lower(mjj), window.lower),
            ("upper sideband", window.in_upper(mjj), window.upper),
        ):
            total = weight[mask].sum()
            if total <= 0:
                msg = (
                    f"window {window.name} GeV: no events to train on in the {side}, {interval[0]:g}-{interval[1]:g} "
                    "GeV. Lower scan.last, widen scan.sideband_width, or add data."
                )
                raise WindowError(msg)
            if side != "window":
                sample_weight[mask] = weight[mask] * 0.5 * target / total
        used = sample_weight != 0  # negative ones too: the training set refuses them
        rows = data.select(used)
        return TrainingSet.build(rows.matrix(features), inside[used], sample_weight[used], rows.event_id)
