"""The configuration that is exported with classifiers can be used where the paths of the search do not exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.config import SearchConfig, load_config
from analysis.errors import ResultsError
from analysis.export.classifiers import _is_needed, _write_config


def configured(folder: Path, mask: str = "golden.json", veto: str = "veto.json") -> SearchConfig:
    (folder / "maps").mkdir(parents=True)
    (folder / mask).write_text("[1]")
    (folder / "maps" / veto).write_text("[2]")
    text = f'[selection]\nlumi_mask = "{mask}"\nveto_map = "maps/{veto}"\nveto_map_name = "map"\n'
    (folder / "search.toml").write_text(text)
    return load_config(path=folder / "search.toml")


def test_files_of_the_selection_travel_along_and_the_digest_stays(tmp_path: Path) -> None:
    config = configured(tmp_path / "here")
    identity, digest = config.selection.identity(), config.digest()
    staged = tmp_path / "there"
    staged.mkdir()
    _write_config(staged, config)
    for path in sorted((tmp_path / "here").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    found = load_config(path=staged / "config.json")
    assert found.digest() == digest
    assert found.selection.lumi_mask is not None
    assert found.selection.lumi_mask.path == staged / "golden.json"
    changed = {"lumi_mask", "veto_map"}
    assert {key: value for key, value in found.selection.identity().items() if key in changed} == {
        key: identity[key] for key in changed
    }
    assert str(tmp_path) not in (staged / "config.json").read_text()


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    config = configured(tmp_path / "here", veto="golden.json")
    staged = tmp_path / "there"
    staged.mkdir()
    with pytest.raises(ResultsError, match=r"would be named golden\.json"):
        _write_config(staged, config)


def test_scores_spectra_and_counts_stay_behind() -> None:
    window = "windows/3300-3700"
    needed = [f"{window}/classifier.json", f"{window}/decorrelation.npz", f"{window}/models/fold0_member0.ubj"]
    others = ("window.json", "spectrum.json", "scores.npz", "passes.npz", "workspace_eff_0.1.json")
    assert all(map(_is_needed, needed))
    assert not any(_is_needed(f"{window}/{name}") for name in others)
    assert not _is_needed("seeds/1/3300-3700/window.json")
