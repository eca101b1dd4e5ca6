"""The Pythia samples as searches see them: processed, selected, in a range of m_jj."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any

from analysis.compute import Serial
from analysis.config import load_config
from analysis.events.dataset import Dataset
from analysis.events.schema import SEARCH_REGION
from analysis.events.table import EventTable
from processors.runner.run import load_table, process_datasets
from tests.studies.runner import data_folder


def every_qcd_event(low: float, high: float = inf) -> EventTable:
    """Selected events of a million simulated QCD events in a range of m_jj, GeV; those of the big samples too."""
    names = ["qcd_a", "qcd_b", *(f"qcd_{number}" for number in range(1, 9))]
    return selected_events({"qcd": names}, low, high)["qcd"]


def _path(name: str) -> Path:
    folder = data_folder() / "pythia"
    return next(
        path for path in (folder / f"{name}.root", data_folder() / "pythia_big" / f"{name}.root") if path.exists()
    )


def selected_events(
    samples: Mapping[str, Sequence[str]],
    low: float,
    high: float = inf,
    *,
    region: str = SEARCH_REGION,
    overrides: Mapping[str, Any] | None = None,
    extra: Mapping[str, Path] | None = None,
) -> dict[str, EventTable]:
    """Events of one region in |dy| with the selection of the preset `best`.

    Parameters
    ----------
    samples : mapping of str to sequence of str
        Files of each table, without folder and suffix.
    low, high : float
        Range of m_jj, GeV.
    region : str
    overrides : mapping, optional
        Of the preset, such as another jet mass.
    extra : mapping of str to Path, optional
        Files that are not among the samples, by name.

    Returns
    -------
    dict of str to EventTable
    """
    names = dict.fromkeys(name for members in samples.values() for name in members)
    paths = {name: (extra or {}).get(name) or _path(name) for name in names}
    datasets = {name: Dataset(name, "pseudodata", "nanoaod", ((str(path), "Events"),)) for name, path in paths.items()}
    with tempfile.TemporaryDirectory() as temporary:
        result = process_datasets(
            datasets, load_config(preset="best", overrides=overrides or {}), Path(temporary), Serial()
        )
        tables = {key: load_table(result, datasets, list(members)) for key, members in samples.items()}
    found = {key: table.in_region(region) for key, table in tables.items()}
    return {key: table.select((table.mjj >= low) & (table.mjj < high)) for key, table in found.items()}
