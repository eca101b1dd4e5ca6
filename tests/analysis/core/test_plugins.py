"""Loading plugins: what is found, what is refused, and whose source counts for which result."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis.background import FUNCTIONS, choose_order
from analysis.config import SearchConfig, load_config
from analysis.core.documents import digest
from analysis.core.plugins import active_plugins, load_plugins, plugin_records, require_same_plugins, unload_plugins
from analysis.errors import ConfigError
from analysis.methods import METHODS
from analysis.regions import RegionScan
from analysis.search.scan import window_key
from processors.features import FEATURES
from processors.runner.run import processing_digest
from processors.selection.cuts import CUTS
from tests.builders.pages import printed_files
from tests.builders.toy_tables import WINDOW

pytestmark = pytest.mark.usefixtures("forgotten_plugins")

PRINTED = printed_files("plugins.md")

FEATURE = """
from processors.features import feature

@feature("{name}", label="x", unit="", bins=(1, 0, 1))
def {name}(dijets):
    return {value} * dijets.mjj
"""

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write_file


def test_a_file_adds_what_it_registers_and_goes_without_a_trace(write: Write, tmp_path: Path) -> None:
    before = [list(registry) for registry in (FEATURES, CUTS, METHODS, FUNCTIONS)]
    path = write("my_search.py", PRINTED["my_search.py"])
    (plugin,) = load_plugins([str(path)])
    assert plugin.to_json() == {
        "name": "my_search.py",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "adds": {"feature": ["mj_sum_over_mjj"], "cut": ["pt_balance"]},
        "of_events": True,
    }
    names = list(CUTS)
    assert names[names.index("leading_pt") + 1] == "pt_balance"
    assert [name for name in names if name != "pt_balance"] == before[1]
    assert [file.name for file in tmp_path.iterdir()] == ["my_search.py"]
    unload_plugins()
    assert [list(registry) for registry in (FEATURES, CUTS, METHODS, FUNCTIONS)] == before
    assert active_plugins() == ()


def test_a_cut_comes_last_unless_it_says_after_which(write: Write) -> None:
    text = 'from processors.selection import cut\n@cut("last", "")\ndef last(dijets, _):\n    return dijets.mjj > 0\n'
    load_plugins([str(write("a.py", text))])
    assert list(CUTS)[-1] == "last"
    with pytest.raises(ConfigError, match=r"cut 'x': there is no 'pt' that it could follow\. There are lumi_mask, "):
        load_plugins([str(write("b.py", text.replace('"last", ""', '"x", "", after="pt"')))])


def test_a_package_is_loaded_with_its_modules_and_hashed_with_them(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    texts = {
        "": "",
        ".cwola": FEATURE.format(name="packed", value="FACTOR").replace("\n@", "from my_pack.numbers import FACTOR\n@"),
        ".numbers": "FACTOR = 3.0\n",
    }
    for name, text in texts.items():
        write(f"my_pack/{name[1:] or '__init__'}.py", text)
    (plugin,) = load_plugins(["my_pack.cwola"])
    lines = [f"{hashlib.sha256(text.encode()).hexdigest()}  my_pack{name}\n" for name, text in sorted(texts.items())]
    assert plugin.sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert plugin.adds == {"feature": ("packed",)}
    write("my_pack/numbers.py", "FACTOR = 4.0  # another one\n")
    (changed,) = load_plugins(["my_pack.cwola"])
    assert changed.sha256 != plugin.sha256


def test_an_entry_point_of_an_installed_package_is_loaded_by_itself(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write("installed_one.py", FEATURE.format(name="installed", value=1))
    write("my_dist-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: my-dist\nVersion: 1.0\n")
    points = write("my_dist-1.0.dist-info/entry_points.txt", "[cwola.plugins]\nmine = installed_one\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert [plugin.name for plugin in load_plugins()] == ["installed_one"]
    assert "installed" in FEATURES
    points.write_text("[cwola.plugins]\nmine = absent_one\n")
    with pytest.raises(ConfigError, match=r"there is no module 'absent_one'.*It is installed with my-dist"):
        load_plugins()


def test_a_changed_file_replaces_what_it_gave(write: Write) -> None:
    path = write("again.py", FEATURE.format(name="one", value=1))
    first = load_plugins([str(path)])
    assert load_plugins([str(path)]) == first
    write("again.py", FEATURE.format(name="two", value=1))
    (second,) = load_plugins([str(path)])
    assert second.adds == {"feature": ("two",)}
    assert "one" not in FEATURES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "x = 1\ny = 1 / 0\n",
            r"plugin p\.py cannot be imported: .*p\.py, line 2: ZeroDivisionError: division by zero",
        ),
        ("x = 1\n\ndef f(:\n", r"plugin p\.py cannot be imported: .*p\.py, line 3: SyntaxError: "),
        ("import nothing_like_this\n", r"p\.py, line 1: ModuleNotFoundError: No module named 'nothing_like_this'"),
        ("x = 1\n", r"plugin p\.py adds nothing: expected a module that registers"),
        (
            FEATURE.format(name="mj1", value=1),
            r"plugin p\.py: .*p\.py, line 4: a feature 'mj1' exists already, from processors\.features",
        ),
        (FEATURE.format(name="mjj", value=1), r"line 4: a column 'mjj' exists already"),
        (
            FEATURE.format(name="a", value=1) + FEATURE.format(name="a", value=1).replace("def a", "def b"),
            r"line 10: a feature 'a' exists already, from cwola_plugin_p",
        ),
        (
            'from processors.selection import cut\n@cut("search", "")\ndef f(d, s):\n    return d.mjj > 0\n',
            "line 2: a row 'search' exists already",
        ),
        (
            "from analysis.methods import CWoLa, register_method\nregister_method(CWoLa())\n",
            "line 2: a method 'cwola' exists already, from analysis.methods",
        ),
        (
            'from analysis.background import *\nregister_function(FUNCTIONS["ua2"])\n',
            "line 2: a background function 'ua2' exists already, from analysis.background.functions",
        ),
        (
            "from processors.formats import *\nadapter('delphes', schema=dict, layout=nanoaod.LAYOUT)(len)\n",
            "line 2: a format 'delphes' exists already, from processors.formats.delphes",
        ),
    ],
)
def test_a_plugin_that_is_of_no_use_says_why_and_where(write: Write, text: str, message: str) -> None:
    before = [list(registry) for registry in (FEATURES, CUTS, METHODS, FUNCTIONS)]
    path = write("p.py", text)
    with pytest.raises(ConfigError, match=message):
        load_plugins([str(path)])
    assert [list(registry) for registry in (FEATURES, CUTS, METHODS, FUNCTIONS)] == before
    assert active_plugins() == ()


def test_two_plugins_that_take_one_name(write: Write) -> None:
    first, second = (write(f"{name}.py", FEATURE.format(name="same", value=1)) for name in "ab")
    with pytest.raises(ConfigError, match=r"plugin b\.py: .*'same' exists already, from cwola_plugin_a;"):
        load_plugins([str(first), str(second)])
    other = write("elsewhere/a.py", FEATURE.format(name="other", value=1))
    with pytest.raises(ConfigError, match=r"two plugins are called a\.py: .*Rename one"):
        load_plugins([str(other)])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no/such.py", r"plugin such\.py: there is no file no/such\.py"),
        ("no_such.module", r"plugin no_such\.module: there is no module 'no_such'\. Install it"),
        ("my-search", r"expected a module, such as my\.module, or a file that ends in \.py"),
        ("processors.features", "is part of cwola-dijet"),
    ],
)
def test_a_name_of_nothing(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_plugins([name])


def test_a_file_that_was_named_as_a_module_is_pointed_at(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write("mine/cuts.py", "")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"There is a file mine/cuts\.py: say --plugin mine/cuts\.py"):
        load_plugins(["mine.cuts"])


def test_a_failed_import_removes_no_module_that_was_there() -> None:
    with pytest.raises(ConfigError, match=r"there is no module 'json\.absent'"):
        load_plugins(["json.absent"])
    assert sys.modules["json"] is json


def test_the_configuration_names_plugins_beside_itself(write: Write, tmp_path: Path) -> None:
    config = load_config(path=write("sub/search.toml", 'plugins = ["my.module", "../mine.py"]\n'))
    assert config.plugins == ("my.module", str(tmp_path / "sub" / ".." / "mine.py"))
    stored = write("config.json", config.model_dump_json())
    assert load_config(path=stored).plugins == config.plugins
    elsewhere = config.model_copy(update={"plugins": ("my.module", "/somewhere/else/mine.py")})
    assert elsewhere.digest() == config.digest() != SearchConfig().digest()


def test_a_configuration_without_plugins_has_the_digest_of_before_there_were_any() -> None:
    """`cwola score` compares it with that of the search."""
    document = SearchConfig().model_dump(mode="json")
    assert document.pop("plugins") == []
    assert document.pop("variants") == []
    older = {name: section for name, section in document.items() if name not in ("limits", "table", "validation")}
    older["statistics"] = {k: v for k, v in older["statistics"].items() if k not in ("blind", "non_closure", "model")}
    older["plots"] = {k: v for k, v in older["plots"].items() if k in ("formats", "experiment_label")}
    later = ("learner", "learner_settings", "monotone", "decorrelated_features", "feature_groups", "combine_groups")
    older["learning"] = {k: v for k, v in older["learning"].items() if k not in later}
    assert SearchConfig().digest() == digest(older)


def test_keys_change_with_the_plugins_that_matter_and_only_with_those(write: Write) -> None:
    def keys(**sections: object) -> tuple[str, str]:
        config = SearchConfig(**sections)
        return processing_digest(config), window_key(WINDOW, RegionScan.from_config(config.scan), config, "")

    bent = {"background": {"functions": ["dijet3", "bent4"]}}
    plain, before = keys(), keys(**bent)
    path = write("my_function.py", PRINTED["my_function.py"])
    load_plugins([str(path)])
    assert keys() == plain
    with_plugin = keys(**bent)
    assert with_plugin[0] == before[0]
    assert with_plugin[1] != before[1]
    path.write_text(path.read_text() + "# changed\n")
    load_plugins([str(path)])
    changed = keys(**bent)
    assert changed[0] == before[0]
    assert changed[1] not in (before[1], with_plugin[1])
    path = write("more.py", FEATURE.format(name="more", value=1))
    load_plugins([str(path)])
    assert keys()[0] != plain[0]
    assert keys()[1] == plain[1]


def test_events_of_other_plugins_are_refused(write: Write) -> None:
    path = write("events.py", FEATURE.format(name="one", value=1))
    load_plugins([str(path), str(write("my_function.py", PRINTED["my_function.py"]))])
    records = plugin_records()
    assert [one["name"] for one in plugin_records(of_events=True)] == ["events.py"]
    require_same_plugins(records, "they were made", "Do it again.")
    with pytest.raises(ConfigError, match=r"made without the plugin events\.py, which adds feature one\. Do it again"):
        require_same_plugins([], "they were made", "Do it again.")
    path.write_text(FEATURE.format(name="one", value=2))
    load_plugins([str(path)])
    with pytest.raises(ConfigError, match=r"with another version of the plugin events\.py: SHA-256 "):
        require_same_plugins(records, "they were made", "Do it again.")
    unload_plugins()
    with pytest.raises(ConfigError, match=r"with the plugin events\.py .*not loaded\. Name it with --plugin"):
        require_same_plugins(records, "they were made", "Do it again.")


def test_the_printed_function_is_the_formula_beside_it(write: Write) -> None:
    """Asimov counts of p0 (1-x)^p1 / x^(p2 + p3 x), written out, are fitted without a deviation."""
    load_plugins([str(write("my_function.py", PRINTED["my_function.py"]))])
    edges = np.linspace(3000.0, 6500.0, 36)

    def density(mass: np.ndarray) -> np.ndarray:
        x = mass / 13000.0
        return 40.0 * (1 - x) ** 7.0 / x ** (4.5 + 6.0 * x)

    nodes, weights = np.polynomial.legendre.leggauss(8)
    half = np.diff(edges) / 2
    middle = (edges[1:] + edges[:-1]) / 2
    counts = (density(middle[:, None] + half[:, None] * nodes) * weights).sum(axis=1) * half
    options = {"mask": (3500.0, 4000.0), "alpha": 0.05, "sqrt_s_gev": 13000.0, "variances": counts}
    fit = choose_order(counts, edges, functions=("bent4",), **options)
    assert fit.deviance == pytest.approx(0, abs=1e-6)
    inside = (edges[:-1] >= 3500) & (edges[1:] <= 4000)
    assert fit.integral(3500.0, 4000.0)[0] == pytest.approx(counts[inside].sum(), rel=1e-5)
    stiff = choose_order(counts, edges, functions=("dijet3",), **options)
    assert stiff.deviance > 1
