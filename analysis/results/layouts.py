"""Layout of the JSON files in a results folder, checked when they are read, so that a damaged file is one clear error.

`results.json` has a published JSON Schema, see `analysis.results.documents`; the other files are described here by the
fields that their readers need. Further fields are allowed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from analysis.errors import ResultsError

__all__ = ["LAYOUTS", "read_object"]

_EXTRA = ConfigDict(extra="ignore", strict=True)


@checked(config=_EXTRA, frozen=True)
class _Counts:
    events: int | float
    weight: float


@checked(config=_EXTRA, frozen=True)
class _InputFile:
    filename: str
    treename: str
    uuid: str
    n_entries: int


@checked(config=_EXTRA, frozen=True)
class _DatasetRecord:
    parts: list[str]
    n_entries: int
    sum_of_weights: float | None
    cutflow: dict[str, _Counts]
    sanity: dict[str, int | float]
    files: list[_InputFile]
    dataset: dict[str, Any]


@checked(config=_EXTRA, frozen=True)
class _Process:
    digest: str
    datasets: dict[str, _DatasetRecord]
    selection: dict[str, Any]


@checked(config=_EXTRA, frozen=True)
class _Manifest:
    """A scan that was interrupted after unblinding has written the records of that alone."""

    window_keys: list[str] | None = None
    seed_keys: list[str] | None = None
    sha256: dict[str, str] | None = None
    config_digest: str | None = None
    versions: dict[str, str] | None = None
    inputs: list[dict[str, Any]] | None = None
    unblinding: list[dict[str, Any]] | None = None


@checked(config=_EXTRA, frozen=True)
class _Named:
    dataset: str


@checked(config=_EXTRA, frozen=True)
class _Limits:
    search: str
    limits: list[_Named] | None = None
    injections: list[_Named] | None = None
    sensitivity: list[_Named] | None = None


@checked(config=_EXTRA, frozen=True)
class _DiagnosedWindow:
    window: dict[str, Any]
    blinded: bool


@checked(config=_EXTRA, frozen=True)
class _Diagnostics:
    key: str
    window_keys: list[str]
    windows: list[_DiagnosedWindow]


@checked(config=_EXTRA, frozen=True)
class _Verdict:
    window: str
    verdict: str
    combined: list[dict[str, Any]]
    sources: list[dict[str, Any]]


@checked(config=_EXTRA, frozen=True)
class _Validation:
    windows: list[_Verdict]


@checked(config=_EXTRA, frozen=True)
class _Performance:
    scans: list[dict[str, Any]]


@checked(config=_EXTRA, frozen=True)
class _Config:
    """Resolved configuration: all sections are there."""

    random_state: int
    scan: dict[str, Any]
    learning: dict[str, Any]
    background: dict[str, Any]
    statistics: dict[str, Any]
    selection: dict[str, Any]


LAYOUTS: Mapping[str, Any] = {
    "config.json": _Config,
    "process.json": _Process,
    "manifest.json": _Manifest,
    "limits.json": _Limits,
    "diagnostics.json": _Diagnostics,
    "validation.json": _Validation,
    "performance.json": _Performance,
}
"""By file name; a file that is not listed must be a JSON object."""


def read_object(path: Path, remedy: str) -> dict[str, Any]:
    """Read a JSON object of a results folder and check it against the layout of its file.

    Parameters
    ----------
    path : pathlib.Path
    remedy : str
        One sentence, for the message.

    Returns
    -------
    dict

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ResultsError
        If it cannot be read or is damaged. The message names the file and the first place that does not fit.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        msg = f"cannot read {path}: {error}. {remedy}"
        raise ResultsError(msg) from error
    if not isinstance(document, dict):
        msg = f"{path} is damaged: expected a JSON object, found {type(document).__name__}. {remedy}"
        raise ResultsError(msg)
    try:
        if path.name in LAYOUTS:
            _adapter(path.name).validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = "/".join(str(part) for part in first["loc"])
        msg = f"{path} is damaged at /{place}: {first['msg'].lower()}. {remedy}"
        raise ResultsError(msg) from error
    return document


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(LAYOUTS[name])
