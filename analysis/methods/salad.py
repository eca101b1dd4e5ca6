"""SALAD: the signal region in data against simulation that is reweighted to data in the sidebands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.config import ClassifierConfig
from analysis.learning.ensemble import BoostedTrees
from analysis.learning.protocols import Learner
from analysis.learning.reweighting import (
    InterpolatedRatio,
    chi2_by_feature,
    derive_seed,
    fit_ratio,
)
from analysis.learning.samples import Samples
from analysis.learning.training_set import Rows, TrainingSet
from analysis.methods.contrast import SIDEBANDS, FromContrast, Place, Region, build_set, find_region
from analysis.regions import MassWindow

__all__ = ["SALAD"]

_REWEIGHTER = BoostedTrees(ClassifierConfig(n_estimators=60, max_depth=3), 1)
"""Few, shallow trees, since noise of the weights mimics a difference between data and template."""


@dataclass(frozen=True)
class SALAD(FromContrast):
    """Simulation-assisted likelihood-free anomaly detection (Andreassen, Nachman, Shih, arXiv:2001.05001).

    A reweighter learns the ratio of data to simulation in the sidebands, its weights are applied to the simulation in
    the window, and the classifier separates data from this template. The published reweighter is a network with the
    mass as an input. Trees would extrapolate the mass as a constant, so each sideband has its own reweighter, and the
    logarithm of the weight is interpolated linearly in m_jj, between the mean masses of the sidebands.

    Attributes
    ----------
    reweighter : Learner
    n_inner_folds : int
        Number of folds of the training events in which the reweighter is trained; the mean log weight is applied.

    Examples
    --------
    >>> from analysis.methods import SALAD
    >>> method = SALAD()
    >>> method.needs_simulation, method.uses_sidebands, method.reweighter.config.max_depth
    (True, False, 3)
    """

    reweighter: Learner = _REWEIGHTER
    n_inner_folds: int = 3
    name: str = "salad"
    uses_truth: bool = False
    needs_simulation: bool = True
    uses_sidebands: bool = False

    def contrast(
        self, samples: Samples, window: MassWindow, features: Sequence[str], *, random_state: np.random.SeedSequence
    ) -> TrainingSet:
        """Label data in the window 1 and reweighted simulation in the window 0; see `ContrastMethod.contrast`.

        Raises
        ------
        TableError
            If the samples have no simulation.
        WindowError
            If the window or a sideband has no events, in data or simulation.
        """
        data = find_region(samples.data, "window", window, "data")
        simulation = find_region(samples.require_simulation(), "window", window, "simulation")
        ratio = self._fit(samples, window, features, random_state)
        weight = ratio.weight(simulation.rows.matrix(features), simulation.rows.mjj)
        return build_set([data.labelled(1, data.total), simulation.labelled(0, data.total, weight)], features)

    def template(
        self,
        samples: Samples,
        held_out: Samples,
        window: MassWindow,
        features: Sequence[str],
        *,
        random_state: np.random.SeedSequence,
    ) -> Rows:
        """Weight the simulation of the fold that is left out; see `TemplateMethod.template`."""
        simulation = held_out.require_simulation()
        rows = simulation.select(window.in_signal(simulation.mjj))
        X, weight = rows.matrix(features), np.zeros(len(rows))
        if len(rows):
            ratio = self._fit(samples, window, features, random_state)
            part = Region(rows, f"the template of window {window.name} GeV")
            weight = part.labelled(0, part.total, ratio.weight(X, rows.mjj)).weight
        return Rows(X, weight, rows.event_id)

    def closure(
        self, samples: Samples, window: MassWindow, features: Sequence[str], *, random_state: np.random.SeedSequence
    ) -> Mapping[Place, Mapping[str, tuple[float, float]]]:
        """Test the reweighting in the sidebands, fold by fold, on data and simulation outside the training samples.

        Returns
        -------
        mapping of place to mapping of feature to (before, after)
            Chi-squared per degree of freedom between data and simulation, averaged over the inner folds; see
            `chi2_by_feature`.
        """
        ratio = self._fit(samples, window, features, random_state)
        closures = {}
        for side, own in zip(SIDEBANDS, (ratio.lower, ratio.upper), strict=True):
            target = _rows(find_region(samples.data, side, window, "data"), features)
            region = find_region(samples.require_simulation(), side, window, "simulation")
            plain = _rows(region, features)
            factor = np.exp(np.clip(own.out_of_fold(plain.X, plain.group), -ratio.max_log, ratio.max_log))
            weighted = Rows(plain.X, plain.weight * factor, plain.group)
            folds = (own.fold_of(target.group), own.fold_of(plain.group))
            pairs = [
                np.mean(
                    [
                        chi2_by_feature(target.where(folds[0] == fold), source.where(folds[1] == fold))
                        for fold in range(self.n_inner_folds)
                    ],
                    axis=0,
                ).tolist()
                for source in (plain, weighted)
            ]
            closures[side] = dict(zip(features, zip(*pairs, strict=True), strict=True))
        return closures

    def _fit(
        self, samples: Samples, window: MassWindow, features: Sequence[str], random_state: np.random.SeedSequence
    ) -> InterpolatedRatio:
        ratios, masses = [], []
        for index, side in enumerate(SIDEBANDS):
            pair = (
                find_region(samples.data, side, window, "data"),
                find_region(samples.require_simulation(), side, window, "simulation"),
            )
            target, source = (_rows(region, features) for region in pair)
            seed = derive_seed(random_state, index)
            ratios.append(fit_ratio(target, source, self.reweighter, n_folds=self.n_inner_folds, random_state=seed))
            masses.append(np.mean([np.average(region.rows.mjj, weights=region.rows.weight) for region in pair]))
        return InterpolatedRatio(ratios[0], ratios[1], float(masses[0]), float(masses[1]))


def _rows(region: Region, features: Sequence[str]) -> Rows:
    return Rows(region.rows.matrix(features), region.rows.weight, region.rows.event_id)
