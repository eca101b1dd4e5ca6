"""The examples in the docstrings of the names that docs/api.md promises, run in the folder of the demo.

Every example imports all that it uses, and shows numbers that do not depend on the version of a library: counts, values
in closed form, the inclusive search. `results` is the folder that `cwola run` makes in the folder of `cwola demo`; here
it has one window and few trees.
"""

from __future__ import annotations

import doctest
import importlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

from analysis.compute import open_backend
from analysis.config import load_config
from analysis.core.registry import Registry
from analysis.demo import copy_demo
from analysis.events.datasets import exclude_datasets, load_datasets
from analysis.results import ResultsFolder
from analysis.stages.figures import plot
from analysis.stages.inputs import SearchInputs
from analysis.stages.process import process
from analysis.stages.scan import scan
from tests.builders.pages import promised_names

WITHOUT_EXAMPLE = {
    # Protocols.
    "Backend",
    "Learner",
    "Method",
    "Model",
    "TemplateMethod",
    # Values that the examples of functions make.
    "Counting",
    "CrossFit",
    "DiscoveryResult",
    "FunctionBias",
    "Injection",
    "InjectionData",
    "LabelledEvents",
    "LimitResult",
    "Samples",
    "ScanSummary",
    "SearchData",
}
"""Promised names without an example. Add none: give a new promised name an example instead."""

QUICK = {
    "scan": {"last": 3700.0},
    "learning": {"n_folds": 2, "n_members": 1, "efficiencies": [0.1, 0.01], "classifier": {"n_estimators": 10}},
    "statistics": {"pseudo_experiments": 0},
    "validation": {"in_run": []},
    "plots": {"only": ["scan"], "formats": ["png"]},
}


def documented(module: str, name: str) -> Any:
    """The object whose docstring a name shows: a registry has the one of its class."""
    found = getattr(importlib.import_module(module), name)
    return Registry if isinstance(found, Registry) else found


def examples_of(found: Any, name: str) -> list[doctest.DocTest]:
    """Docstrings with examples, of an object and of its methods; they begin with no names."""
    return [one for one in doctest.DocTestFinder().find(found, name, globs={}) if one.examples]


def failures(test: doctest.DocTest) -> str:
    """Report of the examples of a docstring that give something else."""
    lines: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF).run(test, out=lines.append)
    return "".join(lines)


PROMISED = [(module, name) for module, name in promised_names() if name not in WITHOUT_EXAMPLE]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the demo with the results of a quick search."""
    home = tmp_path_factory.mktemp("examples") / "demo"
    copy_demo(home)
    datasets = exclude_datasets(load_datasets(home / "datasets.json"), ["qcd_alternative", "wprime_4000_400_200"])
    config = load_config(path=home / "search.toml", overrides=QUICK)
    folder = ResultsFolder(home / "results", create=True)
    with open_backend(1) as backend:
        scan(SearchInputs(process(datasets, config, folder, backend), config, folder), backend)
        plot(folder, config, backend)
    yield home
    shutil.rmtree(home)


@pytest.mark.parametrize(("module", "name"), PROMISED, ids=[name for _, name in PROMISED])
def test_the_examples_of_a_promised_name_give_what_they_show(
    searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, name: str
) -> None:
    tests = examples_of(documented(module, name), name)
    assert tests, f"give {module}.{name} a section Examples"
    home = shutil.copytree(searched, tmp_path / "demo")
    monkeypatch.chdir(home)
    try:
        assert "".join(failures(one) for one in tests) == ""
    finally:
        plt.close("all")
        shutil.rmtree(home)


def test_names_without_an_example_are_promised_and_have_none() -> None:
    promised = {name: module for module, name in promised_names()}
    assert promised.keys() >= WITHOUT_EXAMPLE
    assert [name for name in WITHOUT_EXAMPLE if examples_of(documented(promised[name], name), name)] == []
    assert len(WITHOUT_EXAMPLE) <= 18


def test_a_wrong_example_fails() -> None:
    def twice(x: float) -> float:
        """Double.

        Examples
        --------
        >>> 2 * 2
        5
        """
        return 2 * x

    (test,) = examples_of(twice, "twice")
    assert "- 5" in failures(test)
    assert "+ 4" in failures(test)


def test_an_example_that_does_not_import_what_it_uses_fails() -> None:
    def name_of(path: Path) -> str:
        """Give the name of a file.

        Examples
        --------
        >>> Path("a.root").name
        'a.root'
        """
        return path.name

    (test,) = examples_of(name_of, "name_of")
    assert "NameError" in failures(test)
