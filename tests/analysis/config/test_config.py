from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from analysis.config import LearningConfig, SearchConfig, SelectionConfig, available_presets, load_config
from analysis.core.documents import digest
from analysis.errors import ConfigError, WindowError
from analysis.events.dataset import Dataset, Kind
from analysis.regions import RegionScan
from analysis.results.processed_events import ProcessedEvents, is_blinded
from docs._ext.generated import filled


@pytest.mark.parametrize(
    ("overrides", "key", "beside"),
    [
        ({"learnin": {}}, "'learnin'", "background, learning, limits, plots, plugins"),
        ({"learning": {"n_foldz": 3}}, "'learning.n_foldz'", "n_folds, n_members"),
        ({"learning": {"classifier": {"depth": 3}}}, "'learning.classifier.depth'", "max_depth"),
        ({"scan": {"n_folds": 3}}, "'scan.n_folds'", "fit_range"),
    ],
)
def test_unknown_key_is_named_with_the_keys_beside_it(overrides: dict[str, Any], key: str, beside: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=overrides)
    assert f"unknown key {key}" in str(caught.value)
    assert beside in str(caught.value)


def test_every_fault_is_reported_at_once_with_file_and_place(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[learning]\nn_folds = 1\nefficiencies = [0.1, 1.5]\n[scan]\nstepp = 1\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path=path)
    words = (str(path), "learning.n_folds", "learning.efficiencies.1", "1.5", "scan.stepp")
    assert [word for word in words if word not in str(caught.value)] == []


def test_unknown_preset_lists_the_presets(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("preset = 'nonsense'\n")
    for arguments in ({"preset": "nonsense"}, {"path": path}):
        with pytest.raises(ConfigError, match=r"unknown preset 'nonsense'.*demo"):
            load_config(**arguments)


def test_unreadable_files(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("[learning]\nn_folds = = 3\n")
    with pytest.raises(ConfigError, match=r"bad\.toml is not valid TOML.*line 2"):
        load_config(path=bad)
    with pytest.raises(ConfigError, match=r"cannot read the configuration .*absent\.toml"):
        load_config(path=tmp_path / "absent.toml")
    bad.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"cannot read the configuration .*bad\.toml"):
        load_config(path=bad)


def test_later_layers_win_key_by_key(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("random_state = 5\n[scan]\nwidth = 300.0\n[learning.classifier]\nmax_depth = 2\nn_estimators = 7\n")
    config = load_config(path=path, overrides={"learning": {"classifier": {"max_depth": 3}}, "random_state": 6})
    assert config.random_state == 6
    assert (config.learning.classifier.max_depth, config.learning.classifier.n_estimators) == (3, 7)
    preset = load_config(preset="demo")
    assert (config.scan.width, config.scan.step) == (300.0, preset.scan.step)
    assert config.background == preset.background


@pytest.mark.parametrize("name", available_presets())
def test_every_preset_loads_and_lays_out_its_windows(name: str) -> None:
    scan = RegionScan.from_config(load_config(preset=name).scan)
    assert len(scan.windows) >= 1


def test_the_demo_preset_is_smooth_for_its_sample_and_no_harder_one() -> None:
    scan = RegionScan.from_config(load_config(preset="demo").scan)
    scan.require_smooth(1200.0)
    with pytest.raises(WindowError, match="starts at 3000 GeV"):
        scan.require_smooth(1201.0)


def test_without_arguments_the_demo_is_loaded() -> None:
    assert load_config() == load_config(preset="demo")


def test_digest_knows_values_and_not_key_order() -> None:
    first = SearchConfig.model_validate({"random_state": 1, "scan": {"first": 3200.0, "step": 100.0}})
    second = SearchConfig.model_validate({"scan": {"step": 100.0, "first": 3200.0}, "random_state": 1})
    other = SearchConfig.model_validate({"scan": {"step": 101.0, "first": 3200.0}, "random_state": 1})
    assert first.digest() == second.digest() != other.digest()
    assert first.digest("learning") == other.digest("learning")
    assert first.digest("learning", "scan") != other.digest("learning", "scan")
    assert first.digest("scan", "learning") == first.digest("learning", "scan")


def test_an_integer_and_the_same_float_are_one_configuration() -> None:
    whole = SearchConfig.model_validate({"scan": {"first": 3300, "windows": [[3300, 3700]]}})
    point = SearchConfig.model_validate({"scan": {"first": 3300.0, "windows": [[3300.0, 3700.0]]}})
    assert whole.digest() == point.digest()


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("learning", {"efficiencies": (1.0,)}),
        ("learning", {"efficiencies": (0.1, 0.1)}),
        ("learning", {"features": ()}),
        ("learning", {"n_folds": 128}),  # folds are stored as int8
        ("scan", {"fit_range": (3000.0, 6450.0)}),  # no whole number of bins
        ("scan", {"first": float("nan")}),
        ("scan", {"last": 3500.0}),
        ("scan", {"windows": ()}),
        ("scan", {"windows": ((3300.0, 3300.0),)}),
        ("scan", {"windows": ((3300.0, 3700.0), (3300.0, 3700.0))}),
        ("scan", {"windows": ((3300.0, 3700.0), (3300.001, 3700.0))}),  # one name
        ("selection", {"abs_dy_search": 2.0, "abs_dy_validation": 1.0}),
        ("selection", {"mjj_min": 2000.0, "mjj_max": 2000.0}),
        ("selection", {"triggers": ("HLT_A", "HLT_A")}),
        ("selection", {"event_filters": ("",)}),
        ("selection", {"lumi_mask": 3}),
        ("selection", {"lumi_mask": ""}),
        ("selection", {"jet_id": "loose"}),
        ("statistics", {"cls_level": 0.0}),
    ],
)
def test_values_that_make_no_sense_are_refused(section: str, values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=section):
        load_config(overrides={section: values})


def test_a_configuration_cannot_be_changed() -> None:
    config = LearningConfig()
    with pytest.raises(ValidationError, match="frozen"):
        config.n_folds = 3  # type: ignore[misc]


def test_a_file_is_looked_for_beside_the_configuration_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs" / "golden.json").write_bytes(b"{}")
    toml = tmp_path / "search.toml"
    toml.write_text("[selection]\nlumi_mask = 'inputs/golden.json'\n")
    selection = load_config(path=toml).selection
    assert selection.lumi_mask is not None
    assert selection.lumi_mask.path == tmp_path / "inputs" / "golden.json"
    assert selection.lumi_mask.content is None
    assert selection.loaded().files()["lumi_mask"].content == b"{}"


def test_the_configuration_of_a_results_folder_finds_its_files_again(tmp_path: Path) -> None:
    toml = tmp_path / "search.toml"
    toml.write_text("[selection]\nlumi_mask = 'golden.json'\n")
    config = load_config(path=toml)
    (tmp_path / "results").mkdir()
    kept = tmp_path / "results" / "config.json"
    kept.write_text(config.model_dump_json())
    assert load_config(path=kept) == config


def test_a_file_counts_by_its_content_and_its_folder_does_not_matter(tmp_path: Path) -> None:
    configs = []
    for folder, content in (("one", b"{}"), ("two", b"{}"), ("three", b"[]")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "golden.json").write_bytes(content)
        (tmp_path / folder / "search.toml").write_text("[selection]\nlumi_mask = 'golden.json'\n")
        configs.append(load_config(path=tmp_path / folder / "search.toml"))
    one, two, three = (config.selection.identity() for config in configs)
    assert one == two != three
    assert configs[0].digest() == configs[1].digest()
    assert configs[0].digest() != SearchConfig().digest()


def test_a_file_that_is_not_there_is_named_with_its_key(tmp_path: Path) -> None:
    config = SearchConfig.model_validate({"selection": {"veto_map": str(tmp_path / "absent.json")}})
    with pytest.raises(ConfigError, match=r"selection\.veto_map: cannot read .*absent\.json: No such file"):
        config.selection.loaded()


def test_the_page_on_the_selection_has_every_key_and_examples_that_load() -> None:
    page = filled((Path(__file__).parents[3] / "docs" / "selection.md").read_text(encoding="utf-8"))
    assert [key for key in SelectionConfig.model_fields if f"`{key}`" not in page] == []
    examples = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert len(examples) >= 2
    for example in examples:
        SearchConfig.model_validate(tomllib.loads(example))


def test_the_example_for_open_data_loads(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "open-data.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "search.toml"
    path.write_text(example, encoding="utf-8")
    golden = tmp_path / tomllib.loads(example)["selection"]["lumi_mask"]
    golden.write_text('{"278820": [[17, 32]]}')
    config = load_config(path=path)
    assert config.scan.sets_windows
    assert config.scan.smooth_edge <= config.scan.fit_range[0]
    assert "lumi_mask" in config.selection.loaded().files()


@pytest.mark.parametrize("n_folds", [3, 5])
def test_half_against_half_needs_two_folds(n_folds: int) -> None:
    with pytest.raises(ConfigError, match=f"'half' needs n_folds = 2, .*found {n_folds}"):
        load_config(overrides={"learning": {"cross_fitting": "half", "n_folds": n_folds}})


@pytest.mark.parametrize(
    ("learning", "n_selections"),
    [
        ({"cross_fitting": "sequential"}, 5),
        ({"cross_fitting": "half", "n_folds": 2}, 9),
        ({"cross_fitting": "half", "n_folds": 2, "working_point": "argos", "tuning": {"criterion": "argos"}}, 3),
    ],
)
def test_each_half_is_a_selection(learning: dict[str, Any], n_selections: int) -> None:
    assert load_config(overrides={"learning": learning}).learning.n_selections == n_selections


@pytest.mark.parametrize(
    ("learning", "text"),
    [
        ({"working_point": "argos"}, "needs tuning.criterion"),
        ({"tuning": {"criterion": "argos"}, "cross_fitting": "nested"}, "use one of them"),
        ({"tuning": {"criterion": "argos"}, "method": "sa_cwola"}, "not the classes of sa_cwola"),
        (
            {"tuning": {"criterion": "log-loss"}, "working_point": "argos", "method": "sa_cwola"},
            "not the classes of sa_cwola",
        ),
        ({"tuning": {"criterion": "argos"}, "classifier": {"early_stopping_rounds": 5}}, "leave out"),
        ({"tuning": {"criterion": "argos", "grid": {"max_dept": [3]}}}, "'max_dept' is no setting to choose"),
        ({"tuning": {"criterion": "argos", "grid": {"max_depth": []}}}, "at least one value"),
        ({"tuning": {"criterion": "argos", "grid": {"max_depth": [3, 3]}}}, "none twice"),
        ({"tuning": {"criterion": "argos", "grid": {"max_depth": [3, 40]}}}, "less than or equal to 16.*found 40"),
        ({"tuning": {"criterion": "argos", "grid": {"max_depth": [3.5]}}}, "fractional part"),
    ],
)
def test_tuning_that_cannot_work_is_refused(learning: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        load_config(overrides={"learning": learning})


def test_statistics_that_are_not_used_leave_the_digest_of_older_results_as_it_was() -> None:
    config = load_config()
    document = config.model_dump(mode="json", context={"portable": True})
    added = ("limits", "plugins", "table", "validation", "variants")
    before = {key: value for key, value in document.items() if key not in added}
    before["statistics"] = {
        key: document["statistics"][key]
        for key in ("cls_level", "calculator", "pseudo_experiments", "unblind", "likelihood")
    }
    before["plots"] = {key: document["plots"][key] for key in ("formats", "experiment_label")}
    later = ("learner", "learner_settings", "monotone", "decorrelated_features", "feature_groups", "combine_groups")
    before["learning"] = {key: value for key, value in document["learning"].items() if key not in later}
    assert config.digest() == digest(before)
    assert load_config(overrides={"table": {"mjj": "M"}}).digest() != config.digest()
    shape = load_config(overrides={"statistics": {"model": "shape"}})
    assert shape.digest() != config.digest()
    assert shape.digest("statistics") == config.digest("statistics")  # of windows; signals name it themselves
    for used in ({"blind": True}, {"non_closure": "correct"}):
        other = load_config(overrides={"statistics": used})
        assert other.digest() != config.digest()
        assert other.digest("statistics") != config.digest("statistics")


@pytest.mark.parametrize(
    ("kind", "unblind", "blind", "hidden"),
    [
        ("data", False, False, True),
        ("data", True, False, False),
        ("data", True, True, True),
        ("pseudodata", False, False, False),
        ("pseudodata", False, True, True),
        ("pseudodata", True, True, True),
    ],
)
def test_blind_wins_whatever_the_kind(kind: Kind, unblind: bool, blind: bool, hidden: bool) -> None:
    events = ProcessedEvents({"one": Dataset("one", kind, "nanoaod", ())}, {}, "", {})
    config = load_config(overrides={"statistics": {"unblind": unblind, "blind": blind}})
    assert is_blinded(events, config) is hidden


def test_a_column_of_a_table_has_one_meaning(tmp_path: Path) -> None:
    path = tmp_path / "search.toml"
    path.write_text('[table]\nmjj = "m"\nfeatures = ["x", "m"]\n')
    with pytest.raises(ConfigError, match="the column 'm' is named twice"):
        load_config(path=path)
    path.write_text('[table]\nmjj = "m"\n')
    table = load_config(path=path).table
    assert table.candidates("mjj") == ("m",)
    assert table.candidates("luminosity_block") == ("luminosity_block", "luminosityBlock")
