"""LaCATHODE: the signal region against a normal distribution, in the variables of the sideband flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from analysis.errors import TableError
from analysis.events.identity import event_hash, string_hash
from analysis.flows import DEFAULTS, ConditionalDensity, FlowSettings, Sample
from analysis.learning.protocols import Learner, Model
from analysis.learning.reweighting import derive_seed
from analysis.learning.samples import Samples
from analysis.learning.training_set import Rows
from analysis.methods.contrast import method_seed
from analysis.methods.sideband_templates import against_template
from analysis.methods.with_flows.base import WithFlows
from analysis.methods.with_flows.sideband_flow import region_sample, sample_in_window
from analysis.regions import MassWindow

__all__ = ["LaCATHODE", "LatentModel"]


@dataclass(frozen=True)
class LatentModel:
    """A classifier of the normal variables to which a flow maps events.

    Attributes
    ----------
    classifier : Model
    density : ConditionalDensity
        Its flow maps the features of an event at its own m_jj.
    """

    classifier: Model
    density: ConditionalDensity

    @cached_property
    def members(self) -> tuple[bytes, ...]:
        """Documents of the members of the classifier, each with the parameters of the flow."""
        flow = self.density.dumps()
        return tuple(member + flow for member in self.classifier.members)

    def pick(self, member: int) -> LatentModel:
        """Return one member as a model."""
        return LatentModel(self.classifier.pick(member), self.density)

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Raise `TableError`: scores need m_jj."""
        msg = "scores of lacathode need the m_jj of events: use analysis.learning.score_table."
        raise TableError(msg)

    def predict_at(self, X: NDArray[np.float32], mjj: NDArray[np.float64]) -> NDArray[np.float32]:
        """(n_rows, n_members) float32: scores at masses (n_rows,), GeV, averaged over the epochs of the flow."""
        defined = np.isfinite(X).all(axis=1)
        latents = self.density.latents(X[defined].astype(np.float64), mjj[defined])
        by_epoch = self.classifier.predict(latents.reshape(-1, X.shape[1]).astype(np.float32))
        scores = np.empty((len(X), by_epoch.shape[1]), np.float32)
        scores[defined] = by_epoch.reshape(len(latents), -1, by_epoch.shape[1]).mean(axis=0, dtype=np.float64)
        scores[~defined] = self.classifier.predict(np.full((1, X.shape[1]), np.nan, np.float32))
        return scores


@dataclass(frozen=True)
class LaCATHODE(WithFlows):
    """CATHODE in the latent space (Hallin, Kasieczka, Quadfasel, Shih, Sommerhalder, arXiv:2210.14924).

    A flow learns p(x | m_jj) beside the window and maps every event, at its own m_jj, to normal variables. The learner
    separates the window from normal random numbers there. Background is normal at every m_jj, so its scores do not tell
    m_jj, and a cut on them leaves the spectrum smooth. The flow learns all of the fit range beside the window, not the
    sidebands alone, since events are counted there.

    Attributes
    ----------
    settings : FlowSettings
    oversampling : int
        Normal random rows per event of the window.
    """

    settings: FlowSettings = DEFAULTS
    oversampling: int = 4
    name: str = "lacathode"
    removes_drift: bool = True

    def fit(
        self,
        samples: Samples,
        window: MassWindow,
        features: Sequence[str],
        learner: Learner,
        random_state: np.random.SeedSequence,
    ) -> LatentModel:
        """Train the flow, then the learner in its latent space; see `Method.fit`.

        Raises
        ------
        ConfigError
            If the extra `flows` is missing.
        WindowError
            If the window or the range below or above it has no events, or too few with all features.
        """
        seed, beside = method_seed(random_state), _all_beside(window)
        sidebands = self.learn_sidebands(samples, beside, features, seed)
        density, rng = sidebands.density, np.random.default_rng(derive_seed(seed, 1))

        def latent(sample: Sample) -> NDArray[np.float64]:
            found = np.full(sample.X.shape, np.nan)
            defined = np.isfinite(sample.X).all(axis=1)
            found[defined] = density.to_latent(sample.X[defined], sample.mjj[defined], random_state=rng)
            return found

        n_drawn = self.oversampling * len(region_sample(samples, "window", window, features)[0])
        normal = rng.normal(size=(n_drawn, len(features)))
        group = event_hash(string_hash("drawn by lacathode"), np.arange(n_drawn))
        inside = sample_in_window(samples, window, features, latent)
        template = sidebands.with_undefined(Rows(normal.astype(np.float32), np.ones(n_drawn), group), latent)
        training = against_template(inside, template)
        return LatentModel(learner.fit(training, random_state=random_state), density)


def _all_beside(window: MassWindow) -> MassWindow:
    """Extend the sidebands to the ends of the fit range."""
    (low, high), (start, stop) = window.signal, window.fit_range
    return replace(window, lower=(start, low), upper=(high, stop))
