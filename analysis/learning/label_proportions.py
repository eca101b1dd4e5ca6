"""Learning from label proportions: trees that know the fractions of signal of two samples, and no label of an event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator

from analysis.config import LearningConfig
from analysis.errors import ConfigError
from analysis.learning.boosting import xgb
from analysis.learning.ensemble import BoostedTrees

__all__ = ["LabelProportions", "ProportionSettings", "configured_proportions"]

Array = NDArray[np.float64]


class ProportionSettings(BaseModel, extra="forbid"):
    """Settings of the learner "label_proportions".

    Attributes
    ----------
    fraction_window, fraction_sidebands : float
        Fractions of signal in class 1 and in class 0.
    """

    fraction_window: Annotated[float, Field(ge=0, le=1)]
    fraction_sidebands: Annotated[float, Field(ge=0, le=1)] = 0.0

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.fraction_sidebands >= self.fraction_window:
            msg = (
                f"the fraction of signal in the window, {self.fraction_window:g}, must be above that in the sidebands, "
                f"{self.fraction_sidebands:g}"
            )
            raise ValueError(msg)
        return self


@dataclass(frozen=True)
class LabelProportions(BoostedTrees):
    """Boosted trees whose mean score in each sample is to be its fraction of signal (arXiv:1702.00414).

    The loss is the sum over both samples of (mean score - fraction)². It is that of the paper with each sample as one
    batch. No event has a label of its own: what is learned is that the samples differ, as with CWoLa.

    Attributes
    ----------
    fractions : (float, float)
        Fractions of signal in class 0 and class 1.
    """

    fractions: tuple[float, float] = (0.0, 1.0)

    def _objective(self, train: xgb.QuantileDMatrix) -> Callable[..., tuple[Array, Array]]:
        label = train.get_label().astype(np.int64)
        weight = train.get_weight().astype(np.float64)
        total = np.bincount(label, weight, 2)
        share = weight * (weight.sum() / (2 * total))[label]
        fractions = np.array(self.fractions)

        def gradients(margin: NDArray[np.float32], _: xgb.QuantileDMatrix) -> tuple[Array, Array]:
            score = 1 / (1 + np.exp(-margin.astype(np.float64)))
            excess = np.bincount(label, weight * score, 2) / total - fractions
            # The second derivative is that of the logistic loss at a score of 1/2: a bound, by Jensen's inequality, of
            # the one of a sample whose events all move at once. The matrix itself is not diagonal.
            return 4 * share * excess[label] * score * (1 - score), share / 4

        return gradients


def configured_proportions(learning: LearningConfig, settings: Any, n_members: int) -> LabelProportions:
    """Return the learner for a configuration.

    Raises
    ------
    ConfigError
        If settings are to be chosen, or training stopped, by labels.
    """
    by_labels = {
        "learning.tuning": learning.tuning.criterion != "none",
        "learning.classifier.early_stopping_rounds": learning.classifier.early_stopping_rounds is not None,
    }
    for setting, given in by_labels.items():
        if given:
            msg = f"{setting} goes by labels, which the learner label_proportions has not: leave it out."
            raise ConfigError(msg)
    fractions = (settings.fraction_sidebands, settings.fraction_window)
    return LabelProportions(learning.classifier, n_members, learning.bagged_features, learning.directions, fractions)
