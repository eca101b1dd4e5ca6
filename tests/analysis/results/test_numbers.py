"""Numbers for readers against what a hand would write, and against themselves when read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.results.numbers import SPACE, count, number, p_value, percent, with_error, z_value

BACK = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def read(text: str) -> float:
    mantissa, _, exponent = text.replace("−", "-").replace(SPACE, "").partition("×10")
    return float(mantissa) * 10 ** int(exponent.translate(BACK) or 0)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0"),
        (23.04, "23.0"),
        (298.4, "298"),
        (-0.0182, "−0.0182"),
        (12345.6, "12346"),
        (2.5e-7, "2.50 × 10⁻⁷"),
        (-3e8, "−3.00 × 10⁸"),
    ],
)
def test_three_significant_digits(value: float | None, text: str) -> None:
    assert number(value).replace(SPACE, " ") == text


@given(st.floats(1e-30, 1e30), st.sampled_from([1, -1]), st.integers(2, 5))
def test_a_number_reads_back_to_its_digits(size: float, sign: int, digits: int) -> None:
    assert read(number(sign * size, digits)) == pytest.approx(sign * size, rel=0.51 * 10 ** (1 - digits))


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (1.0, "1"),
        (0.5, "0.50"),
        (0.0013, "0.0013"),
        (3.43e-16, "3.4 × 10⁻¹⁶"),
        (7e-6, "7.0 × 10⁻⁶"),
        (0.0, "< 1 × 10⁻³⁰⁰"),
    ],
)
def test_p_values(p: float, text: str) -> None:
    assert p_value(p).replace(SPACE, " ") == text


def test_counts_errors_percent_and_significances() -> None:
    assert [count(146.0), count(10.25), count(None)] == ["146", "10.250", "–"]
    assert with_error(48.833, 6.667).replace(SPACE, " ") == "48.8 ± 6.7"
    assert with_error(8188.2, 214.6).replace(SPACE, " ") == "8188 ± 215"
    assert with_error(-0.81, 1.3).replace(SPACE, " ") == "−0.8 ± 1.3"
    assert [percent(one).replace(SPACE, " ") for one in (0.05, 0.0099876, 15.56, 1.0)] == [
        *("5 %", "0.999 %", "1556 %", "100 %")
    ]
    assert [z_value(one) for one in (8.07, -0.04, -1.55, None)] == ["8.1", "0.0", "−1.6", "–"]
