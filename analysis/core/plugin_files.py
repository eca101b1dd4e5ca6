"""Files whose code runs when a plugin is loaded, found without running any of it."""

from __future__ import annotations

import ast
import importlib
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from itertools import product
from pathlib import Path

__all__ = ["plugin_files"]


@dataclass(frozen=True)
class _Place:
    """Folders in which the modules of a plugin are looked for.

    Attributes
    ----------
    folders : sequence of str or None
        None for the whole import path.
    package : str
        Only this package and its modules belong to the plugin; empty for every module in the folders.
    """

    folders: Sequence[str] | None
    package: str = ""


def plugin_files(source: str) -> tuple[Path, ...]:
    """List the files of a plugin: its own, and the modules of its package or folder that its import statements name.

    Libraries that are installed elsewhere are not listed, nor are files that a plugin reads or runs by other means.

    Parameters
    ----------
    source : str
        Module, or path of a `.py` file.

    Returns
    -------
    tuple of pathlib.Path
        Absolute; the file of the plugin first. Empty if the plugin does not exist or has no file.
    """
    importlib.invalidate_caches()
    if source.endswith(".py"):
        path = Path(source).absolute()
        return _closure({path: ""}, [_Place([str(path.parent)])]) if path.is_file() else ()
    places = [_Place(None, source.partition(".")[0])]
    files = dict(_files_of(source, places[0]))
    if not files:
        return ()
    *_, own = files
    top = next(iter(files))
    folder = str(top.parent.parent if top.stem == "__init__" else top.parent)
    if folder not in sysconfig.get_paths().values():  # beside installed libraries, only the package belongs to it
        places.append(_Place([folder]))
    return tuple(dict.fromkeys([own, *_closure(files, places)]))


def _closure(files: dict[Path, str], places: Sequence[_Place]) -> tuple[Path, ...]:
    """Add the files of all imported modules of the places; `files` maps to the package that a file belongs to."""
    waiting = list(files.items())
    while waiting:
        path, package = waiting.pop()
        for name, place in product(_imported(path, package), places):
            for found, its_package in _files_of(name, place):
                if found not in files:
                    files[found] = its_package
                    waiting.append((found, its_package))
    return tuple(files)


def _imported(path: Path, package: str) -> Iterator[str]:
    """Full names of the modules and of their members in the import statements of a file."""
    if path.suffix != ".py":
        return
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # will fail clearly when it is imported
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _files_of(name: str, place: _Place) -> Iterator[tuple[Path, str]]:
    """Files of a module and of the packages around it, each with its package, as far as they exist in a place."""
    if place.package and name.partition(".")[0] != place.package:
        return
    folders, full = place.folders, ""
    for part in name.split("."):
        full = f"{full}.{part}" if full else part
        spec = _find(full, folders)
        if spec is None:
            return
        folders = spec.submodule_search_locations
        if spec.origin is not None and spec.has_location and (path := Path(spec.origin).absolute()).is_file():
            yield path, full if folders is not None else full.rpartition(".")[0]
        if folders is None:
            return
        folders = list(folders)


def _find(name: str, folders: Sequence[str] | None) -> ModuleSpec | None:
    """Find a module without importing the packages around it, as `importlib.util.find_spec` would."""
    if folders is not None:
        return PathFinder.find_spec(name, folders)
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        if find is not None and (spec := find(name, None)) is not None:
            found: ModuleSpec = spec
            return found
    return None
