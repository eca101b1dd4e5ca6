"""`datasets.json`: the input files of a search, and their metadata.

The file has the form that coffea's Runner accepts, `{name: {"files": {path: tree}, "metadata": {...}}}`, or another of
those in `analysis.events.filesets`. A mistake is an error that names its JSON pointer (RFC 6901). Metadata of one's own
are kept, and not used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from analysis.errors import DatasetError
from analysis.events.dataset import Dataset, Kind, Slice
from analysis.events.filesets.addresses import expand
from analysis.events.filesets.lists import TREES, FilesetError, ListedFile, list_files
from analysis.events.filesets.metadata import complete, misspelled
from analysis.events.filesets.reading import read_fileset
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


_METADATA = TypeAdapter(_Metadata)

_ENTRY = ("files", "metadata", "format", "form", "compressed_form", "did")
"""Keys of a dataset; all but the first two are of coffea, and are not used."""

_MOST_KEYS = 100
"""Largest number of keys of metadata."""

_EXPLAINED = 10
"""Number of mistakes that one message explains."""


def load_datasets(path: Path, redirectors: Sequence[str] = ()) -> dict[str, Dataset]:
    """Read and check `datasets.json`, or a fileset of coffea or PocketCoffea.

    Parameters
    ----------
    path : pathlib.Path
        The JSON file, maybe gzipped. Paths in it are relative to its folder and may contain globs, URLs as well where
        the server lists its files.
    redirectors : sequence of str
        Servers or folders where logical names of CMS (`/store/...`) are looked for, in order.

    Returns
    -------
    dict of str to Dataset
        In the order of the file; expanded globs are sorted.

    Raises
    ------
    DatasetError
        If the file is unreadable or malformed (the message names the JSON pointer), or a path matches nothing, or
        the slices of a stitched group do not fit together.

    Examples
    --------
    >>> from pathlib import Path
    >>> from analysis.events.datasets import load_datasets
    >>> datasets = load_datasets(Path("datasets.json"))
    >>> for name, dataset in datasets.items():
    ...     print(name, dataset.kind, dict(dataset.masses))
    qcd pseudodata {}
    hidden_signal pseudodata {'A': 3500.0, 'B': 500.0, 'C': 100.0}
    qcd_alternative background {}
    wprime_3500_500_100 signal {'A': 3500.0, 'B': 500.0, 'C': 100.0}
    wprime_4000_400_200 signal {'A': 4000.0, 'B': 400.0, 'C': 200.0}
    """
    try:
        document = read_fileset(path)
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
    datasets = {name: _dataset(name, entry, path, redirectors) for name, entry in entries.items()}
    require_tiling(datasets.values())
    return datasets


@dataclass(frozen=True)
class _Entry:
    """A dataset as the file describes it."""

    files: list[ListedFile]
    metadata: _Metadata
    own: dict[str, Any]


def _entries(document: Any, path: Path) -> dict[str, _Entry]:
    """Check the datasets one by one, since the list of all mistakes of a long file would be long."""
    if not isinstance(document, dict):
        msg = (
            f"{path}: Input should be a valid dictionary of datasets. For a list of files, "
            f"`cwola datasets {path.name}` writes one."
        )
        raise DatasetError(msg)
    entries: dict[str, _Entry] = {}
    problems: list[str] = []
    for name, content in document.items():
        try:
            entries[name] = _entry(content, path.parent)
        except ValidationError as error:
            problems += [_explain(item, (name, "metadata")) for item in error.errors(include_url=False)]
        except ValueError as error:
            problems.append(f"/{_escape(name)}{error}")
        if len(problems) > _EXPLAINED:
            break
    if problems:
        more = "; and more" if len(problems) > _EXPLAINED else ""
        msg = f"{path}: {'; '.join(problems[:_EXPLAINED])}{more}"
        raise DatasetError(msg)
    return entries


def _entry(content: Any, folder: Path) -> _Entry:
    """Read a dataset: files with metadata, or files alone.

    Raises
    ------
    ValueError
        The message begins with the place, relative to the dataset.
    """
    if not isinstance(content, dict) or not {"files", "metadata"} & set(content):
        content = {"files": content}
    if unknown := [key for key in content if key not in _ENTRY]:
        msg = f"/{_escape(unknown[0])}: unknown key; known keys here: files, metadata"
        raise ValueError(msg)
    if "files" not in content:
        msg = "/files: Field required"
        raise ValueError(msg)
    try:
        files = list_files(content["files"], folder)
    except ValueError as error:
        msg = f"/files{error}"
        raise ValueError(msg) from error
    given = content.get("metadata")
    if not isinstance(given, dict | None):
        msg = "/metadata: Input should be a valid dictionary"
        raise FilesetError(msg)
    if len(given or {}) > _MOST_KEYS:
        msg = f"/metadata: more than {_MOST_KEYS} keys"
        raise FilesetError(msg)
    metadata = complete(given or {}, {file.tree for file in files})
    if "kind" not in metadata:
        msg = (
            '/metadata/kind: Field required: "data", "pseudodata", "background" or "signal". Write it into the file, '
            "or let `cwola datasets FILE --kind KIND` make a new one"
        )
        raise ValueError(msg)
    own = {
        key: value
        for key, value in metadata.items()
        if key not in _Metadata.model_fields and misspelled(key, _Metadata.model_fields) is None
    }
    known = {key: _cut(value) for key, value in metadata.items() if key not in own}
    return _Entry(files, _METADATA.validate_python(known), own)


def _cut(value: Any) -> Any:
    """Leave out most mistakes of a value: each takes memory."""
    return dict(islice(value.items(), _MOST_KEYS)) if isinstance(value, dict) else value


def exclude_datasets(datasets: dict[str, Dataset], names: Iterable[str]) -> dict[str, Dataset]:
    """Drop datasets by name.

    Raises
    ------
    DatasetError
        If a name is unknown, or the remaining datasets of a stitched group leave a gap.

    Examples
    --------
    >>> from pathlib import Path
    >>> from analysis.events.datasets import exclude_datasets, load_datasets
    >>> datasets = load_datasets(Path("datasets.json"))
    >>> list(exclude_datasets(datasets, ["hidden_signal", "qcd_alternative"]))
    ['qcd', 'wprime_3500_500_100', 'wprime_4000_400_200']
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


def _dataset(name: str, entry: _Entry, path: Path, redirectors: Sequence[str]) -> Dataset:
    meta = entry.metadata
    files = [
        (address, file.tree or TREES.get(meta.format, "Events"))
        for file in entry.files
        for address in _expand(file, name, path, redirectors)
    ]
    if len({file for file, _ in files}) != len(files):
        msg = f"{path}: /{_escape(name)}/files matches a file twice; its events would be counted twice."
        raise DatasetError(msg)
    return Dataset(
        name=name,
        files=tuple(files),
        masses=tuple(meta.masses.items()),
        slice=None if meta.slice is None else Slice(meta.slice.variable, meta.slice.range),
        own=entry.own,
        **meta.model_dump(exclude={"masses", "slice"}),
    )


def _expand(file: ListedFile, name: str, path: Path, redirectors: Sequence[str]) -> list[str]:
    try:
        return expand(file, redirectors)
    except DatasetError as error:
        msg = f"{path}: /{_escape(name)}/files: {error}"
        raise DatasetError(msg) from error


def _escape(part: object) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


def _explain(item: Any, above: tuple[str, ...]) -> str:
    location = item["loc"]
    pointer = "/" + "/".join(_escape(part) for part in (*above, *location))
    if item["type"] == "extra_forbidden":
        model = _Slice if "slice" in location[:-1] else _Metadata
        return f"{pointer}: unknown key; known keys here: {', '.join(model.model_fields)}"
    return f"{pointer}: {item['msg']}"
