"""Words of figures that depend on what was searched: what the points are, and the names of samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

__all__ = ["PSEUDODATA", "Words", "draws_pseudodata", "labels_by_masses", "observed_label", "sample_label", "spoken"]

PSEUDODATA = "Pseudodata"
"""Label of simulated events that are searched."""


@dataclass(frozen=True)
class Words:
    """Words of the figures of one search.

    Attributes
    ----------
    pseudodata : bool
        Whether the searched events are simulated.
    samples : mapping of str to str
        Labels of datasets; others are shown by their names.
    """

    pseudodata: bool = False
    samples: Mapping[str, str] = field(default_factory=dict)

    def renamed(self, labels: Mapping[str, str]) -> Words:
        """Return the words with other labels of some datasets."""
        return replace(self, samples={**self.samples, **labels})


_CURRENT: ContextVar[Words] = ContextVar("words", default=Words())  # noqa: B039  # frozen, and never changed


@contextmanager
def spoken(words: Words) -> Iterator[None]:
    """Draw figures with these words."""
    token = _CURRENT.set(words)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def draws_pseudodata() -> bool:
    """Return whether the figures are of simulated events."""
    return _CURRENT.get().pseudodata


def observed_label() -> str:
    """Return the label of what is compared with an expectation: simulated events are never called observed."""
    return PSEUDODATA if draws_pseudodata() else "Observed"


def sample_label(dataset: str) -> str | None:
    """Return the label of a dataset that may hold formulae; None if it has only its name."""
    return _CURRENT.get().samples.get(dataset)


def labels_by_masses(masses: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
    """Label signals A -> BC by their masses, such as "A (3500) → B (500) C (100)".

    Parameters
    ----------
    masses : mapping of dataset to mapping of particle to float
        GeV.

    Returns
    -------
    dict of dataset to str
        Without datasets of other particles, and without those that would have the same label.
    """
    labels = {
        dataset: r"$\mathit{{A}}$ ({A:g}) → $\mathit{{B}}$ ({B:g}) $\mathit{{C}}$ ({C:g})".format(**found)
        for dataset, found in masses.items()
        if set(found) == {"A", "B", "C"}
    }
    count = Counter(labels.values())
    return {dataset: label for dataset, label in labels.items() if count[label] == 1}
