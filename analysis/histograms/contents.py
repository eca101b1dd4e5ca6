"""Meaning of the contents of a histogram: counts, counts over the bin width, scaled counts, expected events or weights.

Counts that were divided by the bin width, or normalised, are no Poisson counts any more, but the counts are still in
them: with variances as effective events (Σw)²/Σw², without as the whole numbers that all contents are multiples of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from analysis.errors import InputFileError
from analysis.histograms.spectrum import SINGLE_PRECISION, Spectrum

__all__ = ["PER_BIN", "understood"]

Array = NDArray[np.float64]

PER_BIN = 0.0
"""Value of `per` for contents that belong to whole bins."""

_UNITS = (1.0, 10.0, 100.0, 1000.0)
"""Energies, GeV, by which spectra are commonly divided."""

_PRECISION = 5e-6
"""Relative precision of contents: single precision, or six printed digits."""

_ROUNDING = 1e-9
"""Relative error of whole numbers that were multiplied and divided."""

_INFORMATIVE = 0.05
"""Largest error of a count that can be told to be whole or not."""

_EXACT = 2.0**53
"""Counts from which not all whole numbers can be told apart."""

_SURE = 1e-5
"""Probability of a coincidence that is not believed."""

_MAX_COUNT = 1000
"""Largest count of the bin of smallest content that is tried."""

_FLUCTUATING, _SMOOTH = (0.05, 5.0), 0.003
"""Scatter about a smooth curve, in variances of counts: counts have about 1, expected events 0."""

_MEDIAN_CHI2 = 0.455
"""Median of χ² with one degree of freedom."""

_WHOLE_BINS = "the contents are taken as events of whole bins: if they were divided by the bin width, --per tells so"

_MIN_PULLS = 5
_MUCH_LESS = 0.1
_AGREE, _DIFFER = 2.0, 5.0
"""Standard deviations."""


def understood(
    edges: Array, contents: Array, variances: Array | None, source: str, *, per: float | None = None
) -> Spectrum:
    """Make a spectrum of the contents of a histogram.

    Parameters
    ----------
    edges : (n_bins + 1,) float64
        Bin edges, GeV.
    contents, variances : (n_bins,) float64
        Contents as they are in the file, and their variances if they are stored.
    source : str
        Origin, for messages.
    per : float, optional
        The contents are events per so many GeV; `PER_BIN` if they are events, or sums of weights, of whole bins. By
        default the contents tell.

    Returns
    -------
    Spectrum
        Counts wherever they can be recovered.

    Raises
    ------
    InputFileError
        If the contents are no spectrum, see `Spectrum`, or if they seem to be divided by the bin width, but do not tell
        the counts.
    """
    plain = variances is None or np.allclose(variances, contents, rtol=SINGLE_PRECISION, atol=0)
    if plain and _is_whole(contents, _ROUNDING):
        contents, variances = np.round(contents), None if variances is None else np.round(contents)
    if per == PER_BIN or _is_no_spectrum(edges, contents, variances):
        return Spectrum(edges, contents, variances, source, expected=plain and not _is_whole(contents, 0))
    if per is not None:
        return _multiplied(edges, contents, None if plain else variances, source, per)
    if plain:
        return _from_contents(edges, contents, variances, source)
    return _from_variances(edges, contents, np.asarray(variances, np.float64), source)


def _is_no_spectrum(edges: Array, contents: Array, variances: Array | None) -> bool:
    """Whether edges or contents are refused in any case."""
    given = [edges, contents] if variances is None else [edges, contents, variances]
    return (
        not all(np.isfinite(values).all() for values in given)
        or len({len(edges) - 1, *map(len, given[1:])}) > 1
        or bool((np.diff(edges) <= 0).any())
        or int(np.count_nonzero(contents)) <= 1
        or (variances is None and bool((contents < 0).any()))
    )


def _multiplied(edges: Array, contents: Array, variances: Array | None, source: str, per: float) -> Spectrum:
    """Multiply by the bin width in units of `per`."""
    factor = np.diff(edges) / per
    note = _divided(per)
    if variances is not None:
        return _exact(edges, contents * factor, variances * factor**2, source, note)
    return _exact(edges, contents * factor, None, source, note)


def _exact(edges: Array, counts: Array, variances: Array | None, source: str, note: str) -> Spectrum:
    """Make a spectrum of recovered counts, rounded if they are whole numbers but for the precision of the file."""
    is_plain = variances is None or np.allclose(variances, counts, rtol=2 * _PRECISION, atol=0)
    if not is_plain:
        return Spectrum(edges, counts, variances, source, notes=(note,))
    whole = _is_whole(counts)
    return Spectrum(edges, np.round(counts) if whole else counts, None, source, expected=not whole, notes=(note,))


def _from_variances(edges: Array, contents: Array, variances: Array, source: str) -> Spectrum:
    """Tell scaled from weighted contents by the weight of an event in each bin, Σw²/Σw."""
    filled, width = contents != 0, np.diff(edges)
    scale = np.divide(variances, contents, out=np.zeros_like(contents), where=filled)[filled]
    unit = scale * width[filled]
    if (scale <= 0).any() or (variances[~filled] != 0).any():
        return Spectrum(edges, contents, variances, source)
    effective = np.divide(contents**2, variances, out=np.zeros_like(contents), where=filled)
    is_uniform = _is_constant(width)
    if _is_constant(scale):
        if how := _name_of_scale(contents, width, float(np.median(unit)), of_unit=is_uniform):
            return _exact(edges, effective, None, source, how)
        return Spectrum(edges, contents, variances, source, notes=(_scaled(float(np.median(scale))),))
    if _is_constant(unit):
        return _exact(edges, effective, None, source, _divided(float(np.median(unit))))
    if not _is_constant(width) and _fall_as_widths_rise(scale, width[filled], effective[filled]):
        raise _seems_divided(source, "the weights of its events fall as the bins become wider")
    return Spectrum(edges, contents, variances, source)


def _name_of_scale(contents: Array, width: Array, unit: float, *, of_unit: bool) -> str | None:
    """Describe contents of a common scale that are not meant to be events; None if they may be."""
    if of_unit and any(np.isclose(unit, one, rtol=_PRECISION) for one in _UNITS):
        return _divided(unit)
    if any(np.isclose(total, 1, rtol=_PRECISION) for total in (contents.sum(), (contents * width).sum())):
        return "the contents are normalised to 1 and were turned into the counts that they come from"
    return None


def _from_contents(edges: Array, contents: Array, variances: Array | None, source: str) -> Spectrum:
    """Tell counts from scaled and from expected ones where no variances are stored, or those of counts."""
    width = np.diff(edges)
    whole = _is_whole(contents, 0)
    if variances is not None or (whole and _coincidence(contents, width) > _SURE):
        return Spectrum(edges, contents, variances, source, expected=not whole)
    found = [one for one in _multiples(edges, contents) if _are_counts(edges, one)]
    if found:
        best = max(found, key=lambda one: _coincidence(one.counts, width))
        unit = float(width[0]) * best.scale
        note = _name_of_scale(contents, width, unit, of_unit=_is_constant(width)) if best.unit is None else None
        if best.unit is None and note is None:
            return Spectrum(edges, contents, best.scale * contents, source, notes=(_scaled(best.scale),))
        return Spectrum(edges, np.round(best.counts), None, source, notes=(note or _divided(best.unit or unit),))
    if whole:
        return Spectrum(edges, contents, None, source)
    return _expected(edges, contents, source)


@dataclass(frozen=True)
class _Multiple:
    """Counts that contents may come from, and their common scale, or the energy (GeV) by which they were divided."""

    counts: Array
    scale: float
    unit: float | None = None


def _multiples(edges: Array, contents: Array) -> Iterator[_Multiple]:
    width = np.diff(edges)
    for unit in _UNITS:
        yield _Multiple(contents * width / unit, 1.0, unit)
    lowest, lowest_divided = (float(base[base > 0].min()) for base in (contents, contents * width))
    for smallest in range(1, _MAX_COUNT + 1):
        scale, unit = lowest / smallest, lowest_divided / smallest
        yield _Multiple(contents / scale, scale)
        yield _Multiple(contents * width / unit, 1.0, unit)


def _expected(edges: Array, contents: Array, source: str) -> Spectrum:
    """Make a spectrum of expected events, which lie on a smooth curve."""
    width = np.diff(edges)
    pulls = _squared_pulls(edges, contents / width, contents)
    if any(np.isclose(total, 1, rtol=_PRECISION) for total in (contents.sum(), (contents * width).sum())):
        msg = (
            f"{source} is normalised to 1, and does not tell the counts that it comes from. Use the spectrum before it "
            "was normalised, or store variances: a column `variance` (CSV), Sumw2 (TH1) or weighted storage (UHI)."
        )
        raise InputFileError(msg)
    if len(pulls) < _MIN_PULLS:
        return Spectrum(edges, contents, None, source)  # refused: neither counts nor certainly expected ones
    if not _is_constant(width) and _squared_pulls(edges, contents, contents).mean() < _MUCH_LESS * pulls.mean():
        raise _seems_divided(source, "its contents are smooth where the bin width changes")
    notes = () if _is_constant(width) else (_WHOLE_BINS,)
    return Spectrum(edges, contents, None, source, expected=_scatter(pulls) < _SMOOTH, notes=notes)


def _seems_divided(source: str, reason: str) -> InputFileError:
    msg = (
        f"{source} seems to be divided by the bin width: {reason}. Multiply the contents by the bin width, or give "
        "--per, such as `--per 100` for events per 100 GeV and `--per bin` for events of whole bins."
    )
    return InputFileError(msg)


def _scaled(scale: float) -> str:
    return f"the contents are counts times {scale:g}, and n, b and limits are in their unit"


def _divided(unit: float) -> str:
    per = "GeV" if np.isclose(unit, 1, rtol=_PRECISION) else f"{unit:g} GeV"
    return f"the contents are events per {per} and were multiplied by the bin width"


def _is_constant(values: Array) -> bool:
    return bool(np.allclose(values, np.median(values), rtol=2 * _PRECISION, atol=0))


def _is_whole(values: Array, precision: float = _PRECISION) -> bool:
    """Whether all values are whole numbers within their relative precision."""
    return bool((abs(values - np.round(values)) <= _tolerance(values, precision)).all())


def _tolerance(values: Array, precision: float = _PRECISION) -> Array:
    return np.minimum(precision * np.maximum(abs(values), 1), 0.5)


def _are_counts(edges: Array, found: _Multiple) -> bool:
    """Whether values are surely whole, not because of common factors or few decimals, and fluctuate as counts do."""
    counts, width = found.counts, np.diff(edges)
    if not _is_whole(counts) or np.log(2 * _tolerance(counts[counts > 0])).sum() > np.log(_SURE / _MAX_COUNT):
        return False
    if found.unit is not None and not _is_constant(width) and _is_whole(counts / _multiplicity(width)):
        return False
    pulls = _squared_pulls(edges, counts / width, counts)
    if len(pulls) < _MIN_PULLS or not _FLUCTUATING[0] < _scatter(pulls) < _FLUCTUATING[1]:
        return False
    return _coincidence(counts, width) > _SURE


def _multiplicity(width: Array) -> Array:
    """Return the whole numbers that widths are, in their largest common unit of at least 1 MeV."""
    numbers = np.round(1000 * width)
    return numbers / float(np.gcd.reduce(numbers.astype(np.int64)))


def _coincidence(counts: Array, width: Array) -> float:
    """Probability that counts have common factors as large as theirs, all of them or those of bins of equal width."""
    near = abs(counts - np.round(counts)) <= _tolerance(counts, _ROUNDING)
    precise = (counts > 0) & (counts < _EXACT) & ((_tolerance(counts) < _INFORMATIVE) | near)
    numbers = np.round(counts[precise]).astype(np.int64)
    _, group = np.unique(np.round(width[precise] / width.min(), 5), return_inverse=True)
    groups = [numbers[group == i] for i in range(group.max() + 1)] if numbers.size else []
    overall, within = (
        sum((len(one) - 1) * np.log(np.gcd.reduce(one)) for one in parts if one.size) for parts in ([numbers], groups)
    )
    return float(np.exp(-max(overall, within)))


def _fall_as_widths_rise(scale: Array, width: Array, effective: Array) -> bool:
    """Whether weights are inversely proportional to the bin width, within their errors, and not the same."""
    x, y = np.log(width), np.log(scale)
    x, y = x - np.average(x, weights=effective), y - np.average(y, weights=effective)
    spread = (effective * x**2).sum()
    slope = (effective * x * y).sum() / spread
    error = np.sqrt((effective * (y - slope * x) ** 2).sum() / max(len(x) - 2, 1) / spread)
    return bool(abs(slope + 1) < _AGREE * error and abs(slope) > _DIFFER * error)


def _squared_pulls(edges: Array, density: Array, counts: Array) -> Array:
    """Compare each filled bin with the cubic through two bins on either side, in the logarithm of the density.

    The unit is the variance that these counts have if they fluctuate.
    """
    filled = np.flatnonzero(counts > 0)
    index = np.arange(max(len(filled) - 4, 0))
    steps = filled[np.stack([index, index + 1, index + 3, index + 4, index + 2], axis=1)]
    x, y, variance = (edges[1:] + edges[:-1])[steps] / 2, np.log(density[steps]), 1 / counts[steps]
    weights = np.ones((len(index), 4))
    for i, j in permutations(range(4), 2):
        weights[:, i] *= (x[:, 4] - x[:, j]) / (x[:, i] - x[:, j])
    difference = y[:, 4] - (weights * y[:, :4]).sum(axis=1)
    return np.asarray(difference**2 / (variance[:, 4] + (weights**2 * variance[:, :4]).sum(axis=1)))


def _scatter(pulls: Array) -> float:
    """Mean of squared pulls from their median, which leaves a narrow excess out."""
    return float(np.median(pulls) / _MEDIAN_CHI2)
