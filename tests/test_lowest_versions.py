"""constraints-lowest.txt against the promises of pyproject.toml: each lower bound is the version that is tested."""

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


def pins() -> dict[str, str]:
    """Version of each distribution in the file."""
    lines = (ROOT / "constraints-lowest.txt").read_text().splitlines()
    pinned = [Requirement(line) for line in lines if not line.startswith("#")]
    return {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in pinned}


@pytest.mark.parametrize("promised", PROMISED, ids=str)
def test_the_lower_bound_is_the_version_that_is_tested(promised: Requirement) -> None:
    (bound,) = [Version(one.version) for one in promised.specifier if one.operator in {">=", "~=", "=="}]
    assert Version(pins()[canonicalize_name(promised.name)]) == bound
