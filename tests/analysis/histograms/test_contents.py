"""Contents of a histogram: counts come back from every form in which they are still present."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.errors import InputFileError
from analysis.histograms.contents import PER_BIN, understood
from tests.builders.toy_tables import dijet_masses

Array = NDArray[np.float64]

UNIFORM = np.arange(3000.0, 6501.0, 100.0)
VARIABLE = np.array(
    [3000, 3090, 3185, 3283, 3384, 3490, 3600, 3714, 3833, 3957, 4085, 4218, 4356, 4500, 4650, 4850], float
)
STEPS = np.concatenate([np.arange(3000.0, 4000.0, 50.0), np.arange(4000.0, 5001.0, 100.0)])
LAYOUTS = {"uniform": UNIFORM, "variable": VARIABLE, "steps": STEPS}


def counted(edges: Array, n_events: int = 20_000) -> Array:
    return np.histogram(dijet_masses(n_events, np.random.default_rng(3)), edges)[0].astype(float)


def expected(edges: Array) -> Array:
    """Events of a smooth spectrum without fluctuations: the integral of exp(-x / 400 GeV)."""
    return np.asarray(2e6 * (np.exp(-edges[:-1] / 400) - np.exp(-edges[1:] / 400)) * 20)


def read(edges: Array, contents: Array, variances: Array | None = None, **options: Any) -> Any:
    return understood(edges, contents, variances, "h", **options)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("with_variances", [True, False])
@pytest.mark.parametrize("unit", [1.0, 100.0, 1000.0, "sum", "integral"])
def test_counts_come_back_exactly(layout: str, dtype: type, with_variances: bool, unit: float | str) -> None:
    edges = LAYOUTS[layout]
    counts, width = counted(edges), np.diff(edges)
    scale = {"sum": np.full_like(width, 1 / counts.sum()), "integral": 1 / width / counts.sum()}.get(str(unit))
    scale = unit / width if scale is None else scale
    contents = (scale * counts).astype(dtype).astype(float)
    spectrum = read(edges, contents, scale**2 * counts if with_variances else None)
    np.testing.assert_array_equal(spectrum.counts, counts)
    assert spectrum.variances is None
    assert not spectrum.expected
    if np.array_equal(contents, counts):  # events per 100 GeV in bins of 100 GeV
        assert spectrum.notes == ()
    else:
        (note,) = spectrum.notes
        divided = unit == "integral" or isinstance(unit, float)
        assert ("multiplied by the bin width" in note) or (not divided or layout == "uniform")


@pytest.mark.parametrize("with_variances", [True, False])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("scale", [0.37, 3.0, 139 / 36])
def test_contents_of_another_luminosity_keep_their_unit_and_weigh_as_counts(
    layout: str, scale: float, with_variances: bool
) -> None:
    counts = counted(LAYOUTS[layout])
    spectrum = read(LAYOUTS[layout], scale * counts, scale**2 * counts if with_variances else None)
    np.testing.assert_allclose(spectrum.counts, scale * counts)
    np.testing.assert_allclose(spectrum.variances, scale**2 * counts)
    assert spectrum.notes == (f"the contents are counts times {scale:g}, and n, b and limits are in their unit",)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("decimals", [1, 2, 3, 15])
def test_expected_events_are_neither_refused_nor_rounded(layout: str, decimals: int) -> None:
    contents = np.round(expected(LAYOUTS[layout]), decimals)
    for variances in (None, contents):
        spectrum = read(LAYOUTS[layout], contents, variances)
        np.testing.assert_array_equal(spectrum.counts, contents)
        assert spectrum.expected
        assert spectrum.variances is None
        assert "count as expected events" in spectrum.notes[-1]
        ambiguous = layout != "uniform" and variances is None  # contents per GeV are as smooth
        assert ("--per tells so" in spectrum.notes[0]) == ambiguous


@pytest.mark.parametrize("layout", ["variable", "steps"])
def test_expected_events_over_the_width_come_back_where_variances_tell(layout: str) -> None:
    edges, width = LAYOUTS[layout], np.diff(LAYOUTS[layout])
    contents = expected(edges) / width
    spectrum = read(edges, contents, contents / width)
    np.testing.assert_allclose(spectrum.counts, expected(edges), rtol=1e-12)
    assert spectrum.expected
    np.testing.assert_allclose(read(edges, contents, per=1.0).counts, expected(edges), rtol=1e-12)


def test_plain_counts_stay_as_they_are() -> None:
    for edges in LAYOUTS.values():
        counts = counted(edges)
        for variances in (None, counts):
            spectrum = read(edges, counts, variances)
            np.testing.assert_array_equal(spectrum.counts, counts)
            assert spectrum.variances is None
            assert spectrum.notes == ()
    few = np.array([4.0, 2, 2, 0, 2] + [0.0] * 30)  # even by chance
    np.testing.assert_array_equal(read(UNIFORM, few).counts, few)


def test_counts_that_were_multiplied_and_divided_are_still_whole() -> None:
    counts = counted(UNIFORM) + 29.0  # 29 / 100 * 100 is 28.999999999999996
    for variances in (None, counts):
        spectrum = read(UNIFORM, counts / 100 * 100, variances)
        np.testing.assert_array_equal(spectrum.counts, counts)
        assert not spectrum.expected


def test_contents_normalised_to_1_that_do_not_tell_the_counts_are_refused() -> None:
    contents = counted(UNIFORM[:15], 10_000_000)  # too many events in every bin to be told from the next number
    with pytest.raises(InputFileError, match="h is normalised to 1, and does not tell the counts"):
        read(UNIFORM[:15], (contents / contents.sum()).astype(np.float32).astype(float))


def weights_of(edges: Array) -> tuple[Array, Array]:
    """Sums of weights and of their squares, of simulation with unequal weights."""
    rng = np.random.default_rng(5)
    masses, weights = dijet_masses(20_000, rng), rng.exponential(0.2, 20_000)
    return np.histogram(masses, edges, weights=weights)[0], np.histogram(masses, edges, weights=weights**2)[0]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sums_of_weights_stay_as_they_are_and_per_multiplies_them(layout: str) -> None:
    edges, width = LAYOUTS[layout], np.diff(LAYOUTS[layout])
    sums, squares = weights_of(edges)
    for spectrum in (
        read(edges, sums, squares),
        read(edges, sums * 100 / width, squares * (100 / width) ** 2, per=100.0),
    ):
        np.testing.assert_allclose(spectrum.counts, sums)
        np.testing.assert_allclose(spectrum.variances, squares)


@pytest.mark.parametrize("layout", ["variable", "steps"])
def test_what_seems_divided_but_does_not_tell_the_counts_is_refused(layout: str) -> None:
    edges, width = LAYOUTS[layout], np.diff(LAYOUTS[layout])
    sums, squares = weights_of(edges)
    with pytest.raises(InputFileError, match=r"h seems to be divided by the bin width.*--per 100"):
        read(edges, sums / width, squares / width**2)
    np.testing.assert_array_equal(read(edges, sums / width, squares / width**2, per=PER_BIN).counts, sums / width)


def test_expected_events_over_the_width_without_variances_are_refused_at_steps_of_the_width() -> None:
    with pytest.raises(InputFileError, match="smooth where the bin width changes"):
        read(STEPS, expected(STEPS) / np.diff(STEPS))


def test_contents_that_fluctuate_but_are_no_multiples_of_counts_need_variances() -> None:
    contents = counted(UNIFORM) * np.linspace(1.1, 1.3, 35)  # corrected bin by bin
    with pytest.raises(InputFileError, match=r"is not a whole number. Sums of weights need variances"):
        read(UNIFORM, contents)
    assert read(UNIFORM, contents, per=PER_BIN).expected
