"""CURTAINs with trees: signal region against sideband events that are moved into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.events.identity import uniform
from analysis.learning.mass_spectrum import MassSpectrum
from analysis.learning.reweighting import derive_seed
from analysis.learning.samples import Samples
from analysis.learning.training_set import Rows, TrainingSet
from analysis.learning.transport import Forest, Sideband, Transport, fit_transport
from analysis.methods.contrast import FromContrast
from analysis.methods.sideband_templates import (
    LEAST_EVENTS,
    SidebandEvents,
    against_template,
    joined_halves,
    sideband_events,
    spectrum_beside,
    window_rows,
)
from analysis.regions import Interval, MassWindow

__all__ = ["Curtains"]

_FOREST = Forest()


@dataclass(frozen=True)
class Curtains(FromContrast):
    """Window against a template of events of both sidebands, moved to masses inside the window.

    The idea is that of CURTAINs (arXiv:2203.09470, arXiv:2305.04646), which moves events with normalising flows. The
    transport by conditional quantiles of trees is our own, see `analysis.learning.transport`. The masses inside the
    window are drawn from a smooth spectrum fitted to the sidebands, so that no event in the window shapes the template.

    Attributes
    ----------
    forest : Forest
        Settings of the conditional quantiles.
    copies : int
        Number of times that each event is moved, to masses in as many equal parts of the spectrum in the window.
    least_events : int
        Smallest number of events of a sideband.

    Examples
    --------
    >>> import numpy as np
    >>> from analysis.learning import Samples
    >>> from analysis.methods import Curtains
    >>> from analysis.stages.inputs import SearchInputs
    >>> inputs = SearchInputs.load("results")
    >>> samples, window, seed = Samples(inputs.fitted.table), inputs.regions.windows[0], np.random.SeedSequence(0)
    >>> training = Curtains().contrast(samples, window, ["mj1_over_mjj"], random_state=seed)
    >>> mjj = samples.data.mjj
    >>> sidebands = window.in_lower(mjj) | window.in_upper(mjj)
    >>> int((training.y == 0).sum()) == int(sidebands.sum())  # each sideband event is moved once
    True
    """

    forest: Forest = _FOREST
    copies: int = 1
    least_events: int = LEAST_EVENTS
    name: str = "curtains"
    uses_truth: bool = False
    needs_simulation: bool = False
    uses_sidebands: bool = False

    def contrast(
        self, samples: Samples, window: MassWindow, features: Sequence[str], *, random_state: np.random.SeedSequence
    ) -> TrainingSet:
        """Label data in the window 1 and moved events of the sidebands 0; see `ContrastMethod.contrast`.

        Raises
        ------
        WindowError
            If the window has no events, or a sideband too few.
        """
        inside = window_rows(samples.data, window, features)
        sides = sideband_events(samples.data, window, features, least=self.least_events)
        return against_template(inside, self._fit(sides, window, random_state).template(sides))

    def template(
        self,
        samples: Samples,
        held_out: Samples,
        window: MassWindow,
        features: Sequence[str],
        *,
        random_state: np.random.SeedSequence,
    ) -> Rows:
        """Move the sideband events of the fold that is left out; see `TemplateMethod.template`."""
        sides = sideband_events(samples.data, window, features, least=self.least_events)
        left_out = sideband_events(held_out.data, window, features, least=0)
        return self._fit(sides, window, random_state).template(left_out)

    def _fit(self, sides: Sequence[SidebandEvents], window: MassWindow, random_state: np.random.SeedSequence) -> _Mover:
        lower, upper = (Sideband.of(side.rows, side.mass) for side in sides)
        transport = fit_transport(lower, upper, self.forest, derive_seed(random_state, 0))
        seed = int(derive_seed(random_state, 1).generate_state(1)[0])
        return _Mover(transport, spectrum_beside(sides, window), window.signal, self.copies, seed)


@dataclass(frozen=True)
class _Mover:
    """A fitted transport, and where it takes events."""

    transport: Transport
    spectrum: MassSpectrum
    to: Interval
    copies: int
    seed: int

    def template(self, sides: Sequence[SidebandEvents]) -> Rows:
        """Move every event `copies` times; the weights of a sideband sum to its share of 1."""
        return joined_halves([self._moved(side) for side in sides])

    def _moved(self, events: SidebandEvents) -> Rows:
        rows, share = events.rows, uniform(events.rows.group, self.seed, "transport mass")
        image = self.transport.image(rows.X, events.side, uniform(rows.group, self.seed, "transport tie"))
        moved = [
            self.transport.move(rows.X, image, events.side, events.mass, self._masses((copy + share) / self.copies))
            for copy in range(self.copies)
        ]
        return Rows(
            np.concatenate(moved),
            np.tile(rows.weight / self.copies, self.copies),
            np.tile(rows.group, self.copies),
        )

    def _masses(self, probability: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.spectrum.quantile(probability, self.to)
