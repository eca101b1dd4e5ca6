"""Values that `archive.json` holds: what an archive is, what it leaves out, and the checksums of its members."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from analysis.core.documents import ABSENT
from analysis.regions import Interval
from analysis.results.values import PluginDocument
from analysis.statistics.two_sample import PermutationTest

__all__ = ["FORMAT", "VERSION", "ArchiveDocument", "LimitDifference", "Member", "SyntheticEvents"]

FORMAT = "cwola-search"
VERSION = 1
"""Version of the layout; raised if an older `cwola` could not read it."""


@dataclass(frozen=True)
class Member:
    """Size, in bytes, and SHA-256 of one member."""

    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class LimitDifference:
    """Expected limits on one signal sample with synthetic events and with the events of the search.

    Attributes
    ----------
    signal, rule : str
    selected, synthetic : float
        Expected limit with the selected and with the synthetic events, in selected signal events; the latter is None
        if there is no limit with synthetic events.
    """

    signal: str
    rule: str
    selected: float
    synthetic: float | None

    @property
    def relative(self) -> float | None:
        """Difference of the limit with synthetic events, relative to the other."""
        return None if self.synthetic is None else self.synthetic / self.selected - 1


@dataclass(frozen=True, kw_only=True)
class SyntheticEvents:
    """Events that stand for those of the search, and how well they do.

    Attributes
    ----------
    reason : str
        Why the events themselves are not in the archive.
    n_events, n_parents : int
        Synthetic events, and events of the search whose features they have.
    masks : tuple of (low, high)
        Masked windows, GeV, of which no event was used; empty if nothing is hidden.
    tests : tuple of PermutationTest
        Two-sample tests of events that were left out against synthetic events made of the others, beside the masks.
    limits : tuple of LimitDifference
        Empty if the search has no limits to compare.
    """

    reason: str
    n_events: int
    n_parents: int
    masks: tuple[Interval, ...]
    tests: tuple[PermutationTest, ...]
    limits: tuple[LimitDifference, ...] = field(default=(), metadata=ABSENT)


@dataclass(frozen=True, kw_only=True)
class ArchiveDocument:
    """Content of `archive.json`.

    Attributes
    ----------
    format : str
    version : int
    cwola : str
        Version of the package that wrote the archive.
    datasets : tuple of str
        Names of the datasets whose events are in the archive.
    lumi_ifb : float or None
        Luminosity of the signal samples, fb⁻¹; None if they have none or differ.
    plugins : tuple of PluginDocument
        Code that the search needs, which is not in the archive.
    synthetic : SyntheticEvents or None
        None if the archive holds the events of the search.
    members : mapping of str to Member
    """

    format: str = FORMAT
    version: int = VERSION
    cwola: str
    datasets: tuple[str, ...]
    lumi_ifb: float | None
    plugins: tuple[PluginDocument, ...]
    synthetic: SyntheticEvents | None = None
    members: Mapping[str, Member] = field(default_factory=dict)
