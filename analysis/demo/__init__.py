"""Packaged demo: simulated events with a hidden signal, made by `processors.simulate.demo`."""

from __future__ import annotations

import filecmp
import shutil
from pathlib import Path

from analysis.core.atomic import replacing_file
from analysis.errors import ResultsError, writing

__all__ = ["DEMO", "copy_demo"]

DEMO = Path(__file__).parent
"""Folder of the ROOT files and the `datasets.json` that lists them."""

PRESET = DEMO.parent / "presets" / "demo.toml"


def copy_demo(folder: Path) -> list[Path]:
    """Copy the demo to a folder, for modification.

    Parameters
    ----------
    folder : pathlib.Path
        Target of the ROOT files, `datasets.json`, and the preset `demo` as `search.toml`; created if missing.

    Returns
    -------
    list of pathlib.Path
        Paths of the copies.

    Raises
    ------
    ResultsError
        If a file of the same name but other content exists, or the folder cannot be written.
    """
    sources = {path.name: path for path in (*sorted(DEMO.glob("*.root")), DEMO / "datasets.json")}
    targets = {folder / name: path for name, path in {**sources, "search.toml": PRESET}.items()}
    for target, source in targets.items():
        if target.exists() and not (target.is_file() and filecmp.cmp(source, target, shallow=False)):
            msg = f"{target} exists and is not the demo's; it is not overwritten. Name another folder or remove it."
            raise ResultsError(msg)
    for target, source in targets.items():
        _copy(source, target)
    return list(targets)


def _copy(source: Path, target: Path) -> None:
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with replacing_file(target) as temporary:
        shutil.copyfile(source, temporary)
