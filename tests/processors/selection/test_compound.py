"""Compound corrections level by level against correctionlib's own evaluation, bit by bit."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import correctionlib
import numpy as np
import pytest

from analysis.config import ConfigFile
from processors.selection.compound import Levels
from processors.selection.corrections import evaluate, find_correction
from tests.builders import jerc

NAMES = [f"{jerc.TAG}_L1L2L3Res_{jerc.JETS}", f"Toy18_RunB_V5_DATA_L1L2L3Res_{jerc.JETS}"]


@pytest.fixture(scope="module")
def document(tmp_path_factory) -> dict:
    path = jerc.write_corrections(tmp_path_factory.mktemp("jerc") / "jerc.json.gz")
    return json.loads(gzip.decompress(path.read_bytes()))


def found(document: dict, name: str):
    file = ConfigFile(Path("jerc.json"), json.dumps(document).encode())
    return find_correction(file, name, ("file", "name"))


def inputs(n: int = 5000) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    eta = np.concatenate([rng.uniform(-5.19, 5.19, n - 4), [-1.3, 1.3, -5.191, np.nextafter(5.191, 0)]])
    return {
        "JetA": rng.uniform(1.5, 2.5, n),
        "JetEta": eta,
        "JetPt": 10 ** rng.uniform(0.5, 4, n),
        "Rho": rng.uniform(0, 60, n),
        "run": rng.integers(200, 300, n).astype(float),
    }


@pytest.mark.parametrize("name", NAMES)
def test_levels_give_what_correctionlib_gives(name, document) -> None:
    correction = found(document, name)
    columns = {one.name: inputs()[one.name] for one in correction.inputs}
    reference = correctionlib.CorrectionSet.from_string(json.dumps(document)).compound[name]

    assert isinstance(correction, Levels)
    np.testing.assert_array_equal(evaluate(correction, columns), reference.evaluate(*columns.values()), strict=True)


def test_rows_that_are_not_finite_are_nan_and_change_no_other(document) -> None:
    correction = found(document, NAMES[0])
    columns = {one.name: inputs()[one.name] for one in correction.inputs}
    whole = evaluate(correction, columns)
    columns["JetPt"] = np.where(np.arange(5000) % 7 == 3, np.nan, columns["JetPt"])

    values = evaluate(correction, columns)

    np.testing.assert_array_equal(values, np.where(np.arange(5000) % 7 == 3, np.nan, whole))


@pytest.mark.parametrize("operation", ["input_op", "output_op"])
def test_levels_that_add_are_left_to_correctionlib(operation, document) -> None:
    changed = json.loads(json.dumps(document))
    for one in changed["compound_corrections"]:
        one[operation] = "+"
    correction = found(changed, NAMES[0])
    columns = {one.name: inputs()[one.name] for one in correction.inputs}
    reference = correctionlib.CorrectionSet.from_string(json.dumps(changed)).compound[NAMES[0]]

    assert not isinstance(correction, Levels)
    np.testing.assert_array_equal(evaluate(correction, columns), reference.evaluate(*columns.values()))
