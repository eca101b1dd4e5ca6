"""Files whose code a plugin would run, without running any."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.core.plugin_files import plugin_files

FILES = {
    "mine.py": "import numpy\nimport helper\n\ndef later():\n    from tools.deep import one\n",
    "helper.py": "import json\nfrom tools import *\n",
    "tools/__init__.py": "from . import flat\nfrom .deep import one\n",
    "tools/flat.py": "raise SystemExit\n",
    "tools/deep/__init__.py": "from ..other import two\n",
    "tools/deep/one.py": "",
    "tools/other.py": "from .deep import one\n",
    "tools/unused.py": "",
    "alone.py": "import numpy, json, os\n",
    "broken.py": "def f(:\n",
    "shadowing.py": "import xgboost\n",
    "xgboost.py": "",
    "space/inner.py": "from space.second import x\n",
    "space/second.py": "",
}

TOOLS = ["tools/__init__.py", "tools/deep/__init__.py", "tools/deep/one.py", "tools/other.py"]

CLOSURES = {
    "alone.py": ["alone.py"],
    "broken.py": ["broken.py"],
    "absent.py": [],
    "no_such_module": [],
    "shadowing.py": ["shadowing.py", "xgboost.py"],
    "mine.py": ["mine.py", "helper.py", "tools/flat.py", *TOOLS],
    "tools.flat": [
        "tools/flat.py",
        "tools/__init__.py",
        "tools/deep/__init__.py",
        "tools/deep/one.py",
        "tools/other.py",
    ],
    "helper": [
        "helper.py",
        *(f"tools/{name}.py" for name in ("__init__", "flat", "deep/__init__", "deep/one", "other")),
    ],
    "space.inner": ["space/inner.py", "space/second.py"],
}


@pytest.mark.parametrize("source", CLOSURES)
def test_imports_are_followed_in_the_folder_and_in_the_package(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    found = plugin_files(str(tmp_path / source) if source.endswith(".py") else source)
    expected = [tmp_path / name for name in CLOSURES[source]]
    assert list(found[:1]) == expected[:1]
    assert set(found) == set(expected)


def test_installed_libraries_beside_a_package_are_not_part_of_it() -> None:
    found = plugin_files("hist.basehist")
    assert found[0].name == "basehist.py"
    assert len(found) > 5
    assert all("hist" in path.parts for path in found)
