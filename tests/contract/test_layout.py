"""Tests stand in the folders that they test, and none is imported by another file."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = [path for folder in ("tests", "docs") for path in sorted((ROOT / folder).rglob("*.py"))]


def imported(source: str) -> Iterator[str]:
    """Full names of the modules, and of what is taken from them, of every import statement."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def from_tests(source: str) -> list[str]:
    """Imports of test modules and of conftest modules, whose parts no other file may use."""
    return [
        name
        for name in imported(source)
        if name.startswith(("tests.", "."))
        and any(part == "conftest" or part.startswith("test_") for part in name.split("."))
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "from tests.analysis.plots import test_windows",
        "from tests.analysis.plots.test_windows import make_result as result",
        "import tests.integration.conftest",
        "from . import conftest",
        "def inner():\n    from .test_windows import make_result",
    ],
)
def test_imports_of_test_modules_are_recognised(statement: str) -> None:
    assert from_tests(statement)


def test_no_test_module_is_imported() -> None:
    found = {str(path.relative_to(ROOT)): names for path in FILES if (names := from_tests(path.read_text()))}
    assert found == {}


def test_no_folder_holds_more_than_twenty_modules() -> None:
    folders = Counter(path.parent for package in ("analysis", "processors") for path in (ROOT / package).rglob("*.py"))
    assert len(folders) > 20
    assert {str(folder.relative_to(ROOT)): count for folder, count in folders.items() if count > 20} == {}


def test_folders_of_tests_mirror_the_packages() -> None:
    folders = {
        path.parent.relative_to(ROOT / "tests")
        for package in ("analysis", "processors")
        for path in (ROOT / "tests" / package).rglob("test_*.py")
    }
    assert folders
    assert {str(folder) for folder in folders if not list((ROOT / folder).glob("*.py"))} == set()
