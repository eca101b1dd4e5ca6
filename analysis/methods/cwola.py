"""CWoLa hunting: signal region against sidebands, both in data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.errors import WindowError
from analysis.learning.samples import Samples
from analysis.learning.training_set import TrainingSet, positive_weights
from analysis.methods.contrast import FromContrast
from analysis.regions import MassWindow

__all__ = ["CWoLa"]


@dataclass(frozen=True)
class CWoLa(FromContrast):
    """Classification without labels between a mass window and its sidebands.

    The lower and the upper sideband each have half the weight of the window, so that the mean of a feature that drifts
    linearly with m_jj is the same in window and sidebands (Collins, Howe, Nachman, arXiv:1902.02634; ATLAS,
    arXiv:2005.02983). Its distribution differs: a drift that is not small against its width sculpts the spectrum.

    Examples
    --------
    >>> import numpy as np
    >>> from analysis.learning import Samples
    >>> from analysis.methods import CWoLa
    >>> from analysis.stages.inputs import SearchInputs
    >>> inputs = SearchInputs.load("results")
    >>> samples, window, seed = Samples(inputs.fitted.table), inputs.regions.windows[0], np.random.SeedSequence(0)
    >>> training = CWoLa().contrast(samples, window, ["mj1_over_mjj"], random_state=seed)
    >>> int((training.y == 1).sum())
    8279
    >>> signal_region, sidebands = (training.sample_weight[training.y == label].sum() for label in (1, 0))
    >>> round(float(signal_region / sidebands), 6)
    1.0
    """

    name: str = "cwola"
    uses_truth: bool = False
    needs_simulation: bool = False
    uses_sidebands: bool = True

    def contrast(
        self, samples: Samples, window: MassWindow, features: Sequence[str], *, random_state: np.random.SeedSequence
    ) -> TrainingSet:
        """Label the window 1 and its sidebands 0.

        Parameters
        ----------
        samples : Samples
            Events of the training folds.
        window : MassWindow
        features : sequence of str
        random_state : numpy.random.SeedSequence
            Not used, since the contrast is not random.

        Returns
        -------
        TrainingSet

        Raises
        ------
        WindowError
            If the window or a sideband has no events, or its sum of weights is not positive.
        """
        data = samples.data
        mjj, weight = data.mjj, data.weight
        inside = window.in_signal(mjj)
        target = weight[inside].sum()
        sample_weight = np.zeros(len(weight))
        for side, mask, interval in (
            ("window", inside, window.signal),
            ("lower sideband", window.in_lower(mjj), window.lower),
            ("upper sideband", window.in_upper(mjj), window.upper),
        ):
            total = weight[mask].sum()
            if total <= 0:
                lacking = f"no positive sum of weights ({total:g})" if mask.any() else "no events"
                msg = (
                    f"window {window.name} GeV: {lacking} to train on in the {side}, {interval[0]:g}-{interval[1]:g} "
                    "GeV. Lower scan.last, widen scan.sideband_width, or add data."
                )
                raise WindowError(msg)
            scale = 1.0 if side == "window" else 0.5 * target / total
            sample_weight[mask] = positive_weights(weight[mask], f"the {side} of window {window.name} GeV") * scale
        used = sample_weight > 0
        return TrainingSet.build(data.matrix(features, used), inside[used], sample_weight[used], data.event_id[used])
