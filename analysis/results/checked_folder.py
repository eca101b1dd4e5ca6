"""Files of a results folder: read whole and checked, or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from analysis.core.documents import parse_json, to_json
from analysis.core.text_files import read_bytes
from analysis.errors import ResultsError, writing
from analysis.results.files import write_json

__all__ = ["CheckedFolder"]


class _Keyed(Protocol):
    @property
    def key(self) -> str: ...


@dataclass(frozen=True)
class _Stored:
    """Fingerprint of a file, whatever else it holds."""

    key: str


T = TypeVar("T")
K = TypeVar("K", bound=_Keyed)


class CheckedFolder:
    """Base class of a results folder, for its files and for records that are named by their fingerprint.

    Parameters
    ----------
    path : pathlib.Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def save_record(self, kind: str, key: str, record: object) -> None:
        """Write one record (a dataclass), such as an injection, to a file named by its fingerprint."""
        path = self.path / kind / f"{key}.json"
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, to_json(record))

    def load_records(self, type_: type[T], kind: str, keys: Iterable[str]) -> dict[str, T]:
        """Read the stored records by key; damaged ones are left out, to be made again."""
        records: dict[str, T] = {}
        for key in keys:
            with suppress(OSError, ValueError):
                records[key] = parse_json(type_, read_bytes(self.path / kind / f"{key}.json"))
        return records

    def read(self, kind: type[T], name: str, stage: str) -> T:
        """Read a file of the folder.

        Parameters
        ----------
        kind : type
            Dataclass stored in the file.
        name : str
            Name of the file.
        stage : str
            Command that writes the file, for the message.

        Raises
        ------
        ResultsError
            If the file is missing, unreadable or damaged.
        """
        value = self._read_optional(kind, name, stage)
        if value is None:
            path = self.path / name
            msg = f"{path} is not there: the stage `{stage}` has not run. Run `cwola {stage} --output {self.path}`."
            raise ResultsError(msg)
        return value

    def stored_key(self, name: str, stage: str) -> str | None:
        """Read the fingerprint in a file of the folder, without the rest; None without the file.

        Parameters
        ----------
        name : str
            Name of the file.
        stage : str
            Command that writes the file, for the message.

        Raises
        ------
        ResultsError
            If the file is unreadable or damaged.
        """
        stored = self._read_optional(_Stored, name, stage)
        return None if stored is None else stored.key

    def _read_current(self, kind: type[K], name: str, key: str) -> K | None:
        """Read a file with this fingerprint; None if it is missing, of another one, or damaged: it is made again."""
        with suppress(OSError, ValueError):
            stored = parse_json(kind, read_bytes(self.path / name))
            return stored if stored.key == key else None
        return None

    def _read_optional(self, kind: type[T], name: str, stage: str) -> T | None:
        """Read and check a file of the folder; None if it does not exist."""
        path = self.path / name
        try:
            return parse_json(kind, read_bytes(path))
        except FileNotFoundError:
            return None
        except OSError as error:
            msg = f"cannot read {path}: {error.strerror or error}. {self._remedy(stage)}"
            raise ResultsError(msg) from error
        except ValueError as error:
            msg = f"{path} is damaged, or of another version, {error}. {self._remedy(stage)}"
            raise ResultsError(msg) from error

    def _remedy(self, stage: str) -> str:
        return f"Delete it and run `cwola {stage} --output {self.path}`."
