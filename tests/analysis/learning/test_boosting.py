"""Which distributions of xgboost are accepted, and what the others are told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from analysis.learning import boosting

WORKS = "__version__ = '3.2.0'\nclass QuantileDMatrix: pass\n"
EITHER = r"pip install 'cwola-dijet\[cpu\]' \(6 MB\), or pip install xgboost"

STAND_INS = [
    ([], None, f"which is not installed: {EITHER}"),
    (["xgboost"], WORKS, None),
    (["xgboost-cpu"], WORKS, None),
    (["xgboost", "xgboost-cpu"], WORKS, "both installed, in the same folder.*pip uninstall xgboost xgboost-cpu"),
    # One was installed over the other and removed: no module is left, or a folder without modules.
    (["xgboost"], None, f"does not work .No module named 'xgboost'.. Install it again: pip uninstall .*{EITHER}"),
    (["xgboost"], "", "does not work .only a part of its files is there.. Install it again"),
    (
        ["xgboost"],
        "raise OSError('libgomp.so.1: not found\\nmore')",
        "does not work .libgomp.so.1: not found.. Install",
    ),
    (["xgboost"], "import nowhere_to_be_found", "does not work .No module named 'nowhere_to_be_found'"),
    (["xgboost"], WORKS.replace("3.2", "2.1"), "xgboost 2.1.0 is too old: 3.0 or later is needed"),
]


def install(site: Path, distributions: list[str], source: str | None) -> None:
    """Make a folder with the metadata of distributions, and with a module `xgboost` if there is a source."""
    for name in distributions:
        folder = site / f"{name.replace('-', '_')}-3.2.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 3.2.0\n")
    if source is not None:
        (site / "xgboost").mkdir(parents=True, exist_ok=True)
        (site / "xgboost" / "__init__.py").write_text(source)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The only folder in which modules and distributions are looked for."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "xgboost"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    return tmp_path


@pytest.mark.parametrize(("distributions", "source", "text"), STAND_INS)
def test_one_distribution_that_works_is_needed(
    distributions: list[str], source: str | None, text: str | None, alone: Path
) -> None:
    install(alone, distributions, source)
    try:
        if text is None:
            boosting.require_xgboost()
        else:
            with pytest.raises(boosting.ConfigError, match=text):
                boosting.require_xgboost()
    finally:
        sys.modules.pop("xgboost", None)


def test_two_distributions_in_different_folders_are_none_of_our_business(
    alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that comes first on the path is complete, such as one of a user before that of an image."""
    install(alone / "user", ["xgboost-cpu"], WORKS)
    install(alone / "image", ["xgboost"], WORKS)
    monkeypatch.setattr(sys, "path", [str(alone / "user"), str(alone / "image"), str(alone / "user")])
    boosting.require_xgboost()
    sys.modules.pop("xgboost", None)


def test_a_command_without_xgboost_says_so_in_one_line(tmp_path: Path) -> None:
    script = "import sys; sys.modules['xgboost'] = None; sys.argv = ['cwola', 'scan']; from cwola import main; main()"
    (tmp_path / "results").mkdir()
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert "pip install 'cwola-dijet[cpu]'" in done.stderr
