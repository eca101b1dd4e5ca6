"""The notebook of the documentation, run from top to bottom as a reader would."""

from __future__ import annotations

import ast
import base64
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from analysis.results import ResultsFolder
from tests.builders.html_page import parse_page

pytestmark = pytest.mark.thorough

REPOSITORY = Path(__file__).parents[2]
STORED = REPOSITORY / "docs" / "notebooks" / "demo.ipynb"


@dataclass(frozen=True)
class Executed:
    cells: list[Any]
    folder: Path

    @property
    def outputs(self) -> list[Any]:
        return [output for cell in self.cells for output in cell.outputs]

    def text(self, source: str) -> str:
        """What the cell that ends in this line shows, as text."""
        (found,) = (cell.outputs for cell in self.cells if cell.source.splitlines()[-1] == source)
        return str(found[-1].data["text/plain"])


@pytest.fixture(scope="module")
def stored() -> Any:
    return nbformat.read(STORED, as_version=4)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executed]:
    home = tmp_path_factory.mktemp("notebook")
    read = nbformat.read(shutil.copy(STORED, home), as_version=4)
    with pytest.MonkeyPatch.context() as patched:
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
            patched.setenv(name, str(home / name.lower()))
        patched.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
        NotebookClient(read, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(home)}}).execute()
    yield Executed([cell for cell in read.cells if cell.cell_type == "code"], home / "demo-notebook")
    shutil.rmtree(home)


def test_it_is_stored_without_outputs_and_every_cell_is_explained(stored):
    nbformat.validate(stored)
    assert stored.cells[0].source.startswith("# ")
    for cell in stored.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
            assert len(cell.source.splitlines()) <= 18
    kinds = "".join("m" if cell.cell_type == "markdown" else "c" for cell in stored.cells)
    assert "ccc" not in kinds


def test_it_says_that_it_is_reduced(stored):
    assert "three classifiers a fold instead of ten" in stored.cells[0].source
    assert '"n_members": 3' in "".join(cell.source for cell in stored.cells)


def test_nothing_is_complained_of(executed):
    assert [output for output in executed.outputs if output.output_type in ("error", "stream")] == []


def test_every_drawing_is_shown_once(executed):
    for cell in executed.cells:
        images = [one.data["image/png"] for one in cell.outputs if "image/png" in one.get("data", {})]
        assert len(images) == ("plt.subplots(" in cell.source)
        assert all(len(base64.b64decode(one)) > 10_000 for one in images)


def test_what_is_shown_as_html_can_be_parsed(executed):
    shown = [one.data["text/html"] for one in executed.outputs if "text/html" in one.get("data", {})]
    assert len(shown) >= 10
    for html in shown:
        parse_page(f"<!doctype html>{html}")


def test_steps_by_hand_are_the_scan(executed):
    document, windows = ResultsFolder(executed.folder / "results").load_results()
    last = ast.literal_eval(executed.text(executed.cells[-1].source))
    assert last == {one.name: one.z for one in document.windows[0].selections}
    assert executed.text("result") == repr(windows[0])


def test_the_hidden_signal_is_found_where_it_is(executed):
    """At 3.5 TeV, and with ten members at 0.4 and 8.1 standard deviations: docs/first-result.md."""
    z = ast.literal_eval(executed.text(executed.cells[-1].source))
    assert z["inclusive"] == pytest.approx(0.4, abs=0.05)  # no classifier has a part in it
    assert z["eff_0.01"] == pytest.approx(8.1, abs=1.5)
    others = json.loads((executed.folder / "results" / "results.json").read_text())["windows"][1:]
    assert all(abs(one["z"]) < 3 for window in others for one in window["selections"])


def test_few_imports_are_enough(stored):
    """The Python interface in one, figures by matplotlib, and what makes or shows single files."""
    code = [cell.source for cell in stored.cells if cell.cell_type == "code"]
    found = [line for source in code for line in source.splitlines() if line.startswith(("import ", "from "))]
    assert found == [line for line in code[0].splitlines() if line]
    assert len(found) == 4
