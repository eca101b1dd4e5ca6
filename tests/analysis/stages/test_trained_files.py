"""A classifier must not score a file that trained it: the file itself or a copy, not another one with its UUID."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from analysis.errors import ConfigError
from analysis.results.values import InputFile
from analysis.stages.score import _require_untrained
from analysis.stages.signals import searched_too


def file(dataset: str, kind: str, uuid: str, content: str) -> InputFile:
    return InputFile(dataset, kind, f"{dataset}.root", "Events", uuid, 10, content)


def events(*files: InputFile) -> Any:
    datasets = {one.dataset: SimpleNamespace(is_observed=one.kind in ("data", "pseudodata")) for one in files}
    return SimpleNamespace(inputs=files, datasets=datasets)


CASES = [("u", "c", True), ("u", "other", False), ("other", "c", False)]


@pytest.mark.parametrize(("uuid", "content", "same"), CASES)
def test_a_signal_sample_that_is_searched_too(uuid: str, content: str, same: bool) -> None:
    both = events(file("bump", "pseudodata", "u", "c"), file("zprime", "signal", uuid, content))
    reason = searched_too(both, "zprime")
    assert (reason is not None) == same
    assert reason is None or "its file is searched as dataset bump" in reason


@pytest.mark.parametrize(("uuid", "content", "same"), CASES)
def test_a_file_of_the_search_is_not_scored(tmp_path: Path, uuid: str, content: str, same: bool) -> None:
    trained = {"dataset": "bump", "kind": "pseudodata", "uuid": "u", "content": "c"}
    (tmp_path / "manifest.json").write_text(json.dumps({"sha256": {}, "config_digest": "0", "inputs": [trained]}))
    scored = events(file("new", "background", uuid, content))
    if same:
        with pytest.raises(ConfigError, match=r"new\.root was used in the search itself, as dataset bump"):
            _require_untrained(scored, tmp_path)
    else:
        _require_untrained(scored, tmp_path)
