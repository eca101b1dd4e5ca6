"""Every name becomes one file name that no other name becomes, on any file system."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.core.quoting import escaped, quoted

NAMES = {
    "qcd": "qcd",
    "wprime_3500_500_100": "wprime_3500_500_100",
    "m3.5-100+x,y": "m3.5-100+x,y",
    "wprime/3500": "wprime%2F3500",
    "../escaped": "%2E%2E%2Fescaped",
    ".": "%2E",
    "..": "%2E%2E",
    "": "%",
    "%": "%25",
    "a%2fb": "a%252fb",
    "a\\b": "a%5Cb",
    "signals.json": "signals%2Ejson",
    "a.": "a%2E",
    "_hidden": "%5Fhidden",
    "-o": "%2Do",
    "~": "%7E",
    "a b\n": "a%20b%0A",
    "x=1": "x%3D1",
    "nul": "%6Eul",
    "nul.5": "nul%2E5",
    "lpt1.5": "%6Cpt1.5",
    "console": "console",
    "QCD_HT": "QCD_HT~1f",
    "W/3.5TeV": "W%2F3.5TeV~b",
    "tt̄": "tt%CC%84",
    "質量": "%E8%B3%AA%E9%87%8F",
    "\x00\ud800": "%00%ED%A0%80",
}


@pytest.mark.parametrize(("name", "file"), NAMES.items())
def test_names_of_files(name: str, file: str) -> None:
    assert quoted(name) == file


@pytest.mark.parametrize("length", [101, 255, 5000])
def test_long_names_stay_apart_and_short_enough(length: int, tmp_path: Path) -> None:
    names = ["x" * length, "x" * (length + 1), "x" * (length - 1) + "X", "質" * length, "/" * length]
    files = {quoted(name) for name in names}
    assert len(files) == len(names)
    assert max(map(len, files)) <= 100
    for file in files:
        (tmp_path / file).mkdir()


ALIKE = st.text(st.sampled_from("aAbB.%~_/2fFéÉ \x00"), max_size=5) | st.text(max_size=150)


@given(st.lists(ALIKE, unique=True, max_size=40))
def test_no_two_names_are_one_file_even_without_upper_and_lower_case(names: list[str]) -> None:
    files = [quoted(name) for name in names]
    assert len({file.lower() for file in files}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9%][A-Za-z0-9_+,.%~-]{0,99}", file) for file in files)
    assert not any(file.endswith(".") for file in files)


def test_escaped_names_keep_their_capitals_alone() -> None:
    assert escaped("B500_C100.5") == "B500_C100.5"
    assert escaped("m/A") == "m%2FA"
