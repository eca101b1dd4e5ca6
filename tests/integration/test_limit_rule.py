"""A rule of a plugin is one entry: it stands in the limits, the report, the legends and the exported tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from matplotlib.figure import Figure

from analysis.core.documents import from_json
from analysis.core.plugins import load_plugins, unload_plugins
from analysis.limits import RULES
from analysis.limits.values import LimitsFile
from analysis.plots.signals.strengths import draw_strength_limits
from tests.builders.pages import printed_files
from tests.builders.toy_search import Cwola, ToySearch

pytestmark = pytest.mark.thorough

PLUGIN = printed_files("plugins.md")["my_rule.py"]


@pytest.mark.usefixtures("forgotten_plugins")
def test_a_rule_of_a_plugin_is_shown_everywhere(limits: ToySearch, cwola: Cwola, tmp_path: Path) -> None:
    plugin, output = tmp_path / "my_rule.py", tmp_path / "results"
    plugin.write_text(PLUGIN)
    config = limits.configured("rule", "", figures=["limits_signals"])
    where = ["--datasets", limits.datasets, "--config", config, "--output", output, "--jobs", 1]
    assert cwola("process", *where, "--plugin", plugin).code == 0
    for command in ("limit", "scan"):
        outcome = cwola(command, "--output", output, "--jobs", 1, "--plugin", plugin)
        assert outcome.code == 0, outcome.err
        assert command != "limit" or "weakest injection" in " ".join(outcome.out.split())

    document = json.loads((output / "limits.json").read_text())
    found = {one["rule"]: one for one in document["limits"]}
    assert list(found) == ["inclusive", "fixed-efficiency", "atlas-2020", "atlas-2025", "weakest"]
    mine = found["weakest"]
    assert mine["strength"] == 0
    assert mine["expected_selected"][2] >= found["atlas-2020"]["expected_selected"][2]
    assert json.loads((output / "results.json").read_text())["limits"] == document["limits"]
    assert (output / "plots" / "limits_signals_weakest.png").is_file()

    assert cwola("plot", "--output", output, "--jobs", 1, "--plugin", plugin).code == 0
    assert cwola("report", "--output", output, "--to", tmp_path / "page.html", "--plugin", plugin).code == 0
    page = (tmp_path / "page.html").read_text()
    assert "weakest injection" in page
    assert "(weakest)" in page  # the limit at its top

    to = tmp_path / "hepdata"
    assert cwola("export", "hepdata", "--output", output, "--to", to, "--plugin", plugin).code == 0
    tables = list(yaml.safe_load_all((to / "submission" / "submission.yaml").read_text()))
    (table,) = (one for one in tables if one.get("name") == "Limits weakest")
    assert "Limit of classifiers without injected signal." in table["description"]

    unload_plugins()
    assert "weakest" not in RULES
    load_plugins([str(plugin)])
    read = from_json(LimitsFile, document)
    drawn = draw_strength_limits(read.injections[0], read.limits, ax=(ax := Figure().subplots()))
    assert drawn.limits is not None
    assert drawn.limits["weakest"].get_marker() == "^"
    assert drawn.limits["weakest"].get_color() == "#7a21dd"
    legend = ax.get_legend()
    assert legend is not None
    assert any("without credit for learning" in text.get_text() for text in legend.get_texts())
