"""One dataset: its files, its kind, and the cross-section, masses and slice of a simulated sample."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from analysis.core.counted import counted
from analysis.core.documents import from_json
from analysis.core.notebook import facts
from analysis.errors import DatasetError

__all__ = ["OBSERVED", "Dataset", "Kind", "Slice"]


Kind = Literal["data", "pseudodata", "background", "signal"]


OBSERVED: tuple[Kind, ...] = ("data", "pseudodata")
"""Kinds whose events are searched; the other kinds are simulated background and signal."""


@dataclass(frozen=True)
class Slice:
    """Range of a generator variable to which a sample is restricted.

    Attributes
    ----------
    variable : str
        Name of the event branch in the file, such as "LHE_HT" or "Generator_binvar".
    range : (low, high)
        Half-open [low, high) in the unit of the branch; None for no limit.

    Examples
    --------
    >>> from analysis.events.dataset import Slice
    >>> low = Slice("LHE_HT", (None, 1000.0))
    >>> low.low, low.high
    (-inf, 1000.0)
    """

    variable: str
    range: tuple[float | None, float | None]

    @property
    def low(self) -> float:
        """Lower limit, minus infinity for no limit."""
        return -math.inf if self.range[0] is None else self.range[0]

    @property
    def high(self) -> float:
        """Upper limit, infinity for no limit."""
        return math.inf if self.range[1] is None else self.range[1]

    def to_json(self) -> dict[str, Any]:
        """Return the slice in the form of the datasets file."""
        return {"variable": self.variable, "range": list(self.range)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Build a slice from `to_json`."""
        low, high = document["range"]
        return cls(document["variable"], (low, high))


@dataclass(frozen=True)
class Dataset:
    """One dataset, ready to be processed.

    Attributes
    ----------
    name : str
    kind : str
        "data" (real), "pseudodata" (simulation that serves as data), "background" or "signal" (simulation).
    format : str
        Name of an input adapter, such as "nanoaod" or "delphes".
    files : tuple of (str, str)
        Path or URL of each file, and its tree. A URL with secrets is an `analysis.core.address.Address`.
    xsec_pb, lumi_ifb : float or None
        Cross-section (pb) and luminosity (fb⁻¹) to which simulation is normalised.
    n_generated : float or None
        Sum of generator weights before any cut, for files that do not store it.
    masses : tuple of (str, float)
        Particle names and masses (GeV) of a signal point; empty for other datasets.
    pt_hat_min : float or None
        Generator threshold on p̂_T, GeV.
    max_entries : int or None
        Maximum number of events to use, counted over the files in order.
    slice : Slice or None
        Events outside the slice are dropped, for overlapping samples.
    stitch : str or None
        Name of the group of samples that together form one spectrum.
    own : mapping of str to object
        Metadata that this package does not use, JSON-ready.

    Examples
    --------
    >>> from analysis.events.dataset import Dataset
    >>> files = (("wprime.root", "Events"),)
    >>> signal = Dataset("wprime", "signal", "nanoaod", files, xsec_pb=0.008, lumi_ifb=139.0)
    >>> round(signal.scale(sum_of_weights=10_000.0), 4)  # 1000 * 0.008 * 139 / 10,000
    0.1112
    """

    name: str
    kind: Kind
    format: str
    files: tuple[tuple[str, str], ...]
    xsec_pb: float | None = None
    lumi_ifb: float | None = None
    n_generated: float | None = None
    masses: tuple[tuple[str, float], ...] = ()
    pt_hat_min: float | None = None
    max_entries: int | None = None
    slice: Slice | None = None
    stitch: str | None = None
    own: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, {self.kind}, {self.format}, {counted(len(self.files), 'file')})"

    def _repr_html_(self) -> str:
        shown = {"Kind": self.kind, "Format": self.format, "Files": [path for path, _ in self.files]}
        rates = {"Cross-section [pb]": self.xsec_pb, "Luminosity [fb⁻¹]": self.lumi_ifb}
        present = {name: value for name, value in {**rates, "Masses [GeV]": dict(self.masses)}.items() if value}
        return facts(f"Dataset {self.name}", {**shown, **present})

    @property
    def is_observed(self) -> bool:
        """Whether the events are searched (data or pseudodata)."""
        return self.kind in OBSERVED

    @property
    def is_signal(self) -> bool:
        """Whether the events are a simulated signal, as a signal sample or mixed into pseudodata."""
        return self.kind == "signal" or bool(self.masses)

    @property
    def is_normalised(self) -> bool:
        """Whether weights are scaled to cross-section and luminosity: true for simulation with both."""
        return not self.is_observed and self.xsec_pb is not None and self.lumi_ifb is not None

    def scale(self, sum_of_weights: float | None) -> float:
        """Factor that normalises raw weights: 1000 · xsec_pb · lumi_ifb / sum of weights before cuts.

        Parameters
        ----------
        sum_of_weights : float or None
            Sum of generator weights before any cut; None if unknown.

        Returns
        -------
        float
            1 for data and pseudodata, and for simulation without a cross-section.

        Raises
        ------
        DatasetError
            If the sum is needed but unknown, or not positive.
        """
        if self.is_observed or self.xsec_pb is None or self.lumi_ifb is None:
            return 1.0
        if sum_of_weights is None or not sum_of_weights > 0:
            msg = (
                f"dataset {self.name}: the sum of generator weights before cuts is "
                f"{'not known' if sum_of_weights is None else f'{sum_of_weights:g}'}, so the dataset cannot be "
                "normalised to xsec_pb. Process it again, with metadata.n_generated if the files do not hold the sum."
            )
            raise DatasetError(msg)
        return 1000.0 * self.xsec_pb * self.lumi_ifb / sum_of_weights

    def to_runner(self) -> dict[str, Any]:
        """Return the dataset in the form that coffea's Runner accepts."""
        return {self.name: {"files": dict(self.files), "metadata": {"format": self.format, **self.run_metadata()}}}

    def run_metadata(self) -> dict[str, Any]:
        """Return the metadata for processing: kind and slice, JSON-ready."""
        return {"kind": self.kind, "slice": None if self.slice is None else self.slice.to_json()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Build a dataset from the result of `dataclasses.asdict` after a JSON round trip.

        Raises
        ------
        ValueError
            If a value is missing or has the wrong type.
        """
        return from_json(cls, document)
