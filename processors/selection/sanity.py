"""Unphysical values, which reveal a damaged file, since ROOT's checksums are not verified on reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from analysis.errors import InputFileError
from processors.objects import Dijets, Floats

__all__ = ["TOLERATED_FRACTION", "TOLERATED_JETS", "count_implausible"]

TOLERATED_JETS = 3
TOLERATED_FRACTION = 1e-3
"""A chunk is rejected if the jets with an implausible value in one branch exceed both of these limits."""

ABS_ETA_MAX = 10.0
ABS_PHI_MAX = 4.0
TAU_RANGE = (-1.0, 10.0)


@dataclass(frozen=True)
class _Check:
    """Allowed values of one column of the leading jets: [low, high], and NaN if `missing` is true."""

    name: str
    values: tuple[Floats, Floats]
    low: float
    high: float
    missing: bool = False

    def implausible(self) -> int:
        """Count the values that are not allowed."""
        return sum(int((~self._plausible(values)).sum()) for values in self.values)

    def describe(self) -> str:
        """Describe the expected and the actual values."""
        both = np.concatenate(self.values)
        finite = both[np.isfinite(both)]
        found = f"{finite.min():.4g} to {finite.max():.4g}, " if len(finite) else ""
        return f"expected {self.low:g} to {self.high:g}, found {found}{len(both) - len(finite)} not finite"

    def _plausible(self, values: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        inside = (values >= self.low) & (values <= self.high)
        return inside | np.isnan(values) if self.missing else inside


def count_implausible(
    dijets: Dijets, selected: Dijets, sqrt_s_gev: float, branch: Callable[[str], str]
) -> dict[str, int]:
    """Count implausible values of the two leading jets, and reject a chunk with many of them.

    Parameters
    ----------
    dijets : Dijets
        Events before cuts; their kinematics and masses are checked.
    selected : Dijets
        Events after cuts; their N-subjettiness is checked.
    sqrt_s_gev : float
        Collision energy, GeV.
    branch : callable
        Column of a jet -> branch of the file, for the message.

    Returns
    -------
    dict of str to int
        "implausible_<column>" to number of jets, if not zero.

    Raises
    ------
    InputFileError
        If more than 3 jets and more than one in a thousand have such a value in one column.
    """
    counts = {}
    for check in (*_kinematics(dijets, sqrt_s_gev), *_substructure(selected)):
        count, total = check.implausible(), sum(map(len, check.values))
        if count > max(TOLERATED_JETS, TOLERATED_FRACTION * total):
            msg = (
                f"{dijets.origin.where}: branch {branch(check.name)} is implausible for {count} of {total} leading "
                f"jets ({check.describe()}). The file is damaged, or the branch in another unit than metadata.format "
                "has: download or make it again."
            )
            raise InputFileError(msg)
        if count:
            counts[f"implausible_{check.name}"] = count
    return counts


def _kinematics(dijets: Dijets, sqrt_s_gev: float) -> Iterator[_Check]:
    first, second = dijets.first, dijets.second
    yield _Check("pt", (first.pt, second.pt), 0.0, sqrt_s_gev / 2)
    yield _Check("eta", (first.eta, second.eta), -ABS_ETA_MAX, ABS_ETA_MAX)
    yield _Check("phi", (first.phi, second.phi), -ABS_PHI_MAX, ABS_PHI_MAX)
    yield _Check("mass", (first.mass, second.mass), 0.0, sqrt_s_gev / 2)
    yield _Check("jet_mass", (first.jet_mass, second.jet_mass), 0.0, sqrt_s_gev / 2, missing=True)


def _substructure(dijets: Dijets) -> Iterator[_Check]:
    for order in (1, 2, 3):
        with suppress(InputFileError):  # only features that need it report that it is missing
            values = (dijets.first.tau(order), dijets.second.tau(order))
            yield _Check(f"tau{order}", values, *TAU_RANGE)
