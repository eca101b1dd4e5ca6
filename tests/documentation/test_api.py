"""The Python interface that docs/api.md promises."""

from __future__ import annotations

import importlib

import pytest

from analysis import api
from tests.builders.pages import promised_names

PROMISED = promised_names()


@pytest.mark.parametrize(("module", "name"), PROMISED)
def test_a_promised_name_is_public_and_documented(module: str, name: str) -> None:
    found = importlib.import_module(module)
    assert name in found.__all__
    assert getattr(found, name).__doc__


def test_only_what_an_expert_needs_is_promised() -> None:
    names = [name for _, name in PROMISED]
    assert 60 <= len(names) <= 100
    assert len(set(names)) == len(names)


def test_one_module_has_all_promised_names() -> None:
    """So that a notebook needs one import; they are the same objects."""
    assert sorted(api.__all__) == sorted(name for _, name in PROMISED)
    assert all(getattr(api, name) is getattr(importlib.import_module(module), name) for module, name in PROMISED)
