"""Several trainings of each window through the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import analysis
from analysis.learning import FoldTask
from analysis.search import window as search
from tests.builders.toy_search import Cwola, ToySearch

pytestmark = pytest.mark.thorough

SCHEMA = json.loads(Path(analysis.__file__).parent.joinpath("results", "results.schema.json").read_text())


def read(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return document


@pytest.fixture(scope="module")
def three(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished search, with two trainings more of every window; do not change it."""
    from analysis import cli

    output = tmp_path_factory.mktemp("three") / "results"
    shutil.copytree(finished, output)
    trained: list[int] = []
    run_fold = search.run_fold

    def watch(task: FoldTask, samples: Any) -> Any:
        trained.append(task.training_seed)
        return run_fold(task, samples)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "run_fold", watch)
        cli.cli.main(["scan", "--output", str(output), "--seeds", "3", "--jobs", "1"], standalone_mode=False)
    assert sorted(trained) == 2 * 3 * [1] + 2 * 3 * [2]  # windows times folds; nothing of the first training
    return output


def test_the_first_training_stays_the_result(finished: Path, three: Path) -> None:
    before, after = read(finished), read(three)
    for window in after["windows"]:
        for selection in window["selections"]:
            selection.pop("seeds", None)
    assert after["windows"] == before["windows"]
    assert {k: v for k, v in after.items() if k not in ("windows", "global", "trials", "config_digest")} == {
        k: v for k, v in before.items() if k not in ("windows", "global", "trials", "config_digest")
    }
    for path in (finished / "windows").rglob("*.*"):
        if path.name != "window.json":
            assert (three / path.relative_to(finished)).read_bytes() == path.read_bytes()


def test_results_tell_every_training(three: Path) -> None:
    document = read(three)
    jsonschema.validate(document, SCHEMA)
    assert document["trials"] == {"windows": 2, "selections": 3, "seeds": 3, "total": 2 * (1 + 2 * 3)}
    p_values = []
    for window in document["windows"]:
        inclusive, *cut = window["selections"]
        assert "seeds" not in inclusive
        p_values.append(inclusive["p0"])
        name = "{:g}-{:g}".format(*window["signal"])
        for selection in cut:
            records = [json.loads((three / "seeds" / seed / name / "window.json").read_text()) for seed in ("1", "2")]
            others = [one for record in records for one in record["selections"] if one["name"] == selection["name"]]
            for key in ("z", "n_obs", "background"):
                values = [one[key] for one in (selection, *others)]
                assert selection["seeds"][key]["values"] == values
                assert selection["seeds"][key]["median"] == sorted(values)[1]
            assert len(set(selection["seeds"]["n_obs"]["values"])) > 1
            p_values += [one["p0"] for one in (selection, *others)]
    assert document["global"]["n_trials"] == len(p_values) == 14
    assert document["global"]["p0"] == pytest.approx(14 * min(p_values))


def test_a_spread_without_its_values_is_refused(three: Path) -> None:
    document = read(three)
    del document["windows"][0]["selections"][1]["seeds"]["z"]["values"]
    with pytest.raises(jsonschema.ValidationError, match="'values' is a required property"):
        jsonschema.validate(document, SCHEMA)


def test_two_processes_and_the_configuration_give_the_same_bytes(
    cwola: Cwola, toy: ToySearch, three: Path, tmp_path: Path
) -> None:
    config = toy.folder / "seeds.toml"
    config.write_text(toy.config.read_text().replace("[learning]", "[learning]\nn_seeds = 3"))
    output = tmp_path / "two"
    for kept in ("parts", "validation"):
        shutil.copytree(three / kept, output / kept)
    shutil.copy(three / "process.json", output)
    outcome = cwola("scan", "--output", output, "--config", config, "--jobs", 2)
    assert outcome.code == 0
    assert "over 3 trainings" in outcome.out
    assert (output / "results.json").read_bytes() == (three / "results.json").read_bytes()


def test_fewer_seeds_leave_no_trainings_behind(cwola: Cwola, finished: Path, three: Path, tmp_path: Path) -> None:
    output = tmp_path / "one"
    shutil.copytree(three, output)
    assert cwola("scan", "--output", output, "--seeds", 1, "--jobs", 1).code == 0
    assert not (output / "seeds").exists()
    assert (output / "results.json").read_bytes() == (finished / "results.json").read_bytes()


def test_no_training_is_unblinded_by_the_others(cwola: Cwola, toy: ToySearch, tmp_path: Path) -> None:
    config = toy.folder / "blind_seeds.toml"
    text = toy.config.read_text().replace("[[3300, 3700], [3900, 4300]]", "[[3300, 3700]]")
    config.write_text(text.replace("[learning]", "[learning]\nn_seeds = 2"))
    output = tmp_path / "blind"
    options = ["--config", config, "--output", output, "--jobs", 1]
    assert cwola("process", "--datasets", toy.with_kind("data"), *options).code == 0
    outcome = cwola("scan", *options)
    assert outcome.code == 0
    assert "z =" not in outcome.out
    for selection in read(output)["windows"][0]["selections"][1:]:
        spread = selection["seeds"]
        assert (spread["z"], spread["n_obs"]) == (None, None)
        assert len(spread["background"]["values"]) == 2
    jsonschema.validate(read(output), SCHEMA)
    record = json.loads((output / "seeds" / "1" / "3300-3700" / "window.json").read_text())
    for selection in record["selections"]:
        assert [selection[key] for key in ("n_obs", "z", "p0", "s_over_sqrt_b", "limit")] == [None] * 5
