"""The versions with which .ci/run tests, against the promises of pyproject.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROMISED = [
    Requirement(text)
    for group in (
        PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"].values(),
        PROJECT["dependency-groups"]["test"],
    )
    for text in group
]


def pins(name: str) -> dict[str, str]:
    """Version of each distribution in a file."""
    lines = (ROOT / name).read_text().splitlines()
    pinned = [Requirement(line) for line in lines if not line.startswith("#")]
    return {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in pinned}


@pytest.mark.parametrize("promised", PROMISED, ids=str)
def test_the_lower_bound_is_the_version_that_is_tested(promised: Requirement) -> None:
    (bound,) = [Version(one.version) for one in promised.specifier if one.operator in {">=", "~=", "=="}]
    assert Version(pins("constraints-lowest.txt")[canonicalize_name(promised.name)]) == bound


@pytest.mark.parametrize("promised", PROMISED, ids=str)
@pytest.mark.parametrize("name", ["constraints.txt", "constraints-facility.txt"])
def test_the_other_versions_that_are_tested_are_promised(name: str, promised: Requirement) -> None:
    pinned = pins(name).get(canonicalize_name(promised.name))
    if pinned is None:
        assert (name, promised.name) == ("constraints.txt", "fsspec-xrootd")  # whose extra no test needs
    else:
        assert promised.specifier.contains(pinned)


def test_the_images_of_facilities_are_as_their_recipes_say() -> None:
    pinned = pins("constraints-facility.txt")
    assert pinned["coffea"] == "2026.5.0"
    assert Version(pinned["dask"]) < Version("2025.4")
    assert pinned["distributed"] == pinned["dask"]
