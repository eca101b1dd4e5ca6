"""The section `[selection.calibration]`: what it refuses, what it leaves out, and one entry for each source."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from analysis.config import SearchConfig, load_config
from analysis.errors import ConfigError

FILE = {"file": "jerc.json.gz"}
RUNS = [{"jec": "A", "runs": [1, 10]}, {"jec": "B", "runs": [11, 20]}]


def calibrated(**keys: Any) -> dict[str, Any]:
    return {"selection": {"calibration": {**FILE, **keys}}}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"jer_resolution": "R"}, "jer_resolution and jer_scale_factor need each other"),
        ({"subjet_jec": "S"}, "subjet_jec needs subjet_file"),
        ({"jmr": 1.2}, "jmr above 1 needs jmr_resolution"),
        (
            {"data": [{"jec": "A", "subjet_jec": "S"}]},
            "subjet_jec must be set for simulation and for every entry of data",
        ),
        ({"data": [{"jec": "A"}, RUNS[1]]}, "every entry of data needs runs"),
        ({"data": [RUNS[0], {"jec": "B", "runs": [10, 20]}]}, "two entries of data hold run 10"),
        ({"data": [{"jec": "A", "runs": [10, 1]}]}, r"runs must be \[first, last\]"),
        ({"jek": "A"}, "unknown key 'selection.calibration.jek'"),
    ],
)
def test_keys_that_do_not_fit_are_refused(keys, message) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(overrides=calibrated(**keys))


def test_neighbouring_runs_are_allowed() -> None:
    found = load_config(overrides=calibrated(data=RUNS)).selection.calibration
    assert found is not None
    assert [one.runs for one in found.data] == [(1, 10), (11, 20)]


def test_what_is_not_used_is_in_no_record_and_no_digest() -> None:
    entry = {"name": "one", "kind": "rate", "value": 0.1}
    document = SearchConfig(systematics=(entry,)).model_dump(mode="json")
    assert "calibration" not in document["selection"]
    assert "source" not in document["systematics"][0]
    used = SearchConfig.model_validate(calibrated())
    assert used.model_dump(mode="json")["selection"]["calibration"]["file"].endswith("jerc.json.gz")
    assert used.digest("selection") != SearchConfig().digest("selection")


def test_a_list_of_sources_is_one_entry_for_each() -> None:
    entry = {"name": "jes", "kind": "jec-source", "sources": ["Total", "FlavorQCD"]}
    found = SearchConfig(systematics=[entry]).systematics
    assert [(one.name, one.source) for one in found] == [("jes_Total", "Total"), ("jes_FlavorQCD", "FlavorQCD")]
    assert SearchConfig(**SearchConfig(systematics=[entry]).model_dump()).systematics == found


@pytest.mark.parametrize("sources", [[], "Total"])
def test_sources_that_are_no_list_of_names_are_refused(sources) -> None:
    with pytest.raises(ConfigError, match="sources must be a list of at least one name"):
        load_config(overrides={"systematics": [{"name": "jes", "kind": "jec-source", "sources": sources}]})


def test_examples_of_the_page_load() -> None:
    page = (Path(__file__).parents[3] / "docs" / "jet-calibration.md").read_text(encoding="utf-8")
    examples = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        assert SearchConfig.model_validate(tomllib.loads(example)).selection.calibration is not None
