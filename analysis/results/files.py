"""Atomic writing of the files of a results folder, and reading them with a clear error."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hist
import uhi.io.json

from analysis.core.atomic import replacing_file, unfinished
from analysis.core.text_files import read_bytes
from analysis.errors import writing
from analysis.histograms.uhi_json import load_histogram

__all__ = ["read_spectrum", "replacing", "write_json", "write_spectrum", "write_text"]


def write_json(path: Path, document: Any, default: Any = None) -> None:
    """Write a JSON document atomically."""
    write_text(path, json.dumps(document, indent=1, allow_nan=False, default=default) + "\n")


def write_spectrum(path: Path, spectrum: hist.Hist[Any]) -> None:
    """Write a histogram as UHI JSON."""
    write_json(path, spectrum, default=uhi.io.json.default)


def read_spectrum(path: Path) -> hist.Hist[Any]:
    """Read a histogram written by `write_spectrum`."""
    return load_histogram(read_bytes(path))


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with replacing_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `target` once complete; remnants of a killed run are removed."""
    for remnant in target.parent.glob(f".{target.name}.*.tmp"):
        shutil.rmtree(remnant, ignore_errors=True)
    temporary = unfinished(target)
    try:
        with writing(target):
            temporary.mkdir(parents=True)
            yield temporary
            shutil.rmtree(target, ignore_errors=True)
            temporary.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
