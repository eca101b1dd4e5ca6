"""`datasets.json`: the input files of a search, and their metadata.

The file has the form that coffea's Runner accepts, `{name: {"files": {path: tree}, "metadata": {...}}}`, but is
checked strictly: an unknown key is an error that names its JSON pointer (RFC 6901).
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from analysis.core.address import parse_address
from analysis.core.text_files import load_json, read_text
from analysis.errors import DatasetError
from analysis.events.dataset import Dataset, Kind, Slice
from analysis.events.stitching import require_tiling

__all__ = ["background_datasets", "exclude_datasets", "load_datasets", "observed_datasets"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Slice(_Model):
    variable: Annotated[str, Field(min_length=1)]
    range: tuple[float | None, float | None]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.range
        if low is not None and high is not None and high <= low:
            msg = "range must be [low, high] with low < high; null stands for no limit"
            raise ValueError(msg)
        return self


class _Metadata(_Model):
    kind: Kind
    format: str
    xsec_pb: Annotated[float, Field(gt=0)] | None = None
    lumi_ifb: Annotated[float, Field(gt=0)] | None = None
    n_generated: Annotated[float, Field(gt=0)] | None = None
    masses: dict[str, Annotated[float, Field(gt=0)]] = {}
    pt_hat_min: Annotated[float, Field(gt=0)] | None = None
    max_entries: Annotated[int, Field(gt=0)] | None = None
    slice: _Slice | None = None
    stitch: Annotated[str, Field(min_length=1)] | None = None


class _Entry(_Model):
    files: Annotated[dict[str, str], Field(min_length=1)]
    metadata: _Metadata


_DOCUMENT = TypeAdapter(dict[str, _Entry])

_MOST_KEYS = 100
"""More keys than any object of an entry can have, but for its files."""

_EXPLAINED = 10
"""Number of mistakes that one message explains."""


def load_datasets(path: Path) -> dict[str, Dataset]:
    """Read and check `datasets.json`.

    Parameters
    ----------
    path : pathlib.Path
        The JSON file. Paths in it are relative to its folder and may contain globs; URLs are not changed.

    Returns
    -------
    dict of str to Dataset
        In the order of the file; expanded globs are sorted.

    Raises
    ------
    DatasetError
        If the file is unreadable or malformed (the message names the JSON pointer), or a path matches nothing, or
        the slices of a stitched group do not fit together.
    """
    try:
        document = load_json(read_text(path))
    except OSError as error:
        msg = (
            f"cannot read {path}: {error.strerror}. Name your datasets file with --datasets FILE, or make one to start "
            "from with `cwola demo FOLDER`."
        )
        raise DatasetError(msg) from error
    except (ValueError, UnicodeDecodeError) as error:
        msg = f"{path} is not valid JSON: {error}"
        raise DatasetError(msg) from error
    entries = _entries(document, path)
    if not entries:
        msg = f"{path} lists no dataset."
        raise DatasetError(msg)
    datasets = {name: _dataset(name, entry, path) for name, entry in entries.items()}
    require_tiling(datasets.values())
    return datasets


def _entries(document: Any, path: Path) -> dict[str, _Entry]:
    """Check the datasets one by one, since the list of all mistakes of a long file would be long."""
    entries: dict[str, _Entry] = {}
    problems: list[str] = []
    for name, content in document.items() if isinstance(document, dict) else [(None, document)]:
        try:
            entries |= _DOCUMENT.validate_python(document if name is None else {name: _shortened(content)})
        except ValidationError as error:
            problems += [_explain(item) for item in error.errors(include_url=False)]
        if len(problems) > _EXPLAINED:
            break
    if problems:
        more = "; and more" if len(problems) > _EXPLAINED else ""
        msg = f"{path}: {'; '.join(problems[:_EXPLAINED])}{more}"
        raise DatasetError(msg)
    return entries


def _shortened(entry: Any) -> Any:
    """Leave out most mistakes of an entry: each takes memory."""
    if not isinstance(entry, dict):
        return entry
    short = dict(islice(entry.items(), _MOST_KEYS))
    files, metadata = short.get("files"), short.get("metadata")
    if isinstance(files, dict):
        wrong = dict(islice(((key, tree) for key, tree in files.items() if not isinstance(tree, str)), _MOST_KEYS))
        short["files"] = wrong or files
    if isinstance(metadata, dict):
        short["metadata"] = {key: _cut(value) for key, value in islice(metadata.items(), _MOST_KEYS)}
    return short


def _cut(value: Any) -> Any:
    return dict(islice(value.items(), _MOST_KEYS)) if isinstance(value, dict) else value


def exclude_datasets(datasets: dict[str, Dataset], names: Iterable[str]) -> dict[str, Dataset]:
    """Drop datasets by name.

    Raises
    ------
    DatasetError
        If a name is unknown, or the remaining datasets of a stitched group leave a gap.
    """
    dropped = set(names)
    if unknown := dropped - set(datasets):
        msg = f"cannot exclude {', '.join(sorted(unknown))}: the datasets are {', '.join(datasets)}."
        raise DatasetError(msg)
    kept = {name: dataset for name, dataset in datasets.items() if name not in dropped}
    require_tiling(kept.values())
    return kept


def observed_datasets(datasets: dict[str, Dataset]) -> dict[str, Dataset]:
    """Return the datasets to search: all of kind "data", or all of kind "pseudodata".

    Raises
    ------
    DatasetError
        If no dataset is of either kind, or both kinds are mixed.
    """
    observed = {name: dataset for name, dataset in datasets.items() if dataset.is_observed}
    kinds = {dataset.kind for dataset in observed.values()}
    if len(kinds) != 1:
        found = ", ".join(f"{name} ({dataset.kind})" for name, dataset in datasets.items()) or "none"
        problem = (
            "data and pseudodata cannot be searched together" if kinds else "no dataset of kind data or pseudodata"
        )
        msg = f"{problem}. Datasets: {found}. Set metadata.kind in the datasets file, or use --exclude."
        raise DatasetError(msg)
    return observed


def background_datasets(datasets: Mapping[str, Dataset]) -> dict[str, Dataset]:
    """Return the datasets of kind "background", on which methods that need simulation are trained.

    Raises
    ------
    DatasetError
        If several would be mixed and one of them cannot be normalised.
    """
    backgrounds = {name: dataset for name, dataset in datasets.items() if dataset.kind == "background"}
    lacking = [name for name, dataset in backgrounds.items() if not dataset.is_normalised]
    if len(backgrounds) > 1 and lacking:
        msg = (
            f"dataset {lacking[0]} of kind background cannot be added to the others: give it xsec_pb and lumi_ifb in "
            "the datasets file, or use --exclude."
        )
        raise DatasetError(msg)
    return backgrounds


def _dataset(name: str, entry: _Entry, path: Path) -> Dataset:
    files = [(address, tree) for pattern, tree in entry.files.items() for address in _expand(pattern, name, path)]
    if len({file for file, _ in files}) != len(files):
        msg = f"{path}: /{_escape(name)}/files matches a file twice; its events would be counted twice."
        raise DatasetError(msg)
    meta = entry.metadata
    return Dataset(
        name=name,
        files=tuple(files),
        masses=tuple(meta.masses.items()),
        slice=None if meta.slice is None else Slice(meta.slice.variable, meta.slice.range),
        **meta.model_dump(exclude={"masses", "slice"}),
    )


def _expand(pattern: str, name: str, path: Path) -> list[str]:
    if "://" in pattern:
        return [parse_address(pattern)]
    absolute = os.path.abspath(path.parent / pattern)  # noqa: PTH100 - keeps symbolic links
    if not glob.has_magic(pattern) or os.path.lexists(absolute):
        return [absolute]
    escaped = os.path.abspath(Path(glob.escape(str(path.parent.absolute()))) / pattern)  # noqa: PTH100
    if paths := sorted(glob.glob(escaped, recursive=True)):  # noqa: PTH207 - absolute patterns
        return paths
    msg = f"{path}: /{_escape(name)}/files: no file matches {pattern} (looked for {absolute})."
    raise DatasetError(msg)


def _escape(part: object) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


def _explain(item: Any) -> str:
    pointer = "/" + "/".join(_escape(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        location = item["loc"]
        model = _Slice if "slice" in location[:-1] else _Metadata if "metadata" in location[:-1] else _Entry
        return f"{pointer}: unknown key; known keys here: {', '.join(model.model_fields)}"
    return f"{pointer}: {item['msg']}"
