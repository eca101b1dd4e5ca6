"""Records of single pieces of work, each in a file of its own: injections and signal-free samples, and what follows."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from analysis.errors import ResultsError, writing
from analysis.regions import window_name
from analysis.results.documents import marked, schema_error
from analysis.results.files import write_json, write_text
from analysis.results.layouts import read_object

__all__ = ["RecordFolder"]

_log = logging.getLogger("cwola")


class RecordFolder:
    """The part of a results folder that holds records.

    Parameters
    ----------
    path : pathlib.Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def _validation(self) -> Path:
        return self.path / "validation"

    def save_record(self, kind: str, key: str, document: Mapping[str, Any]) -> None:
        """Write one record of many, such as an injection, by the digest of all that it depends on."""
        path = self.path / kind / f"{key}.json"
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, document)

    def load_records(self, kind: str, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Read those of the records that are there, by key."""
        found: dict[str, dict[str, Any]] = {}
        for key in keys:
            with suppress(OSError, ValueError):
                found[key] = json.loads((self.path / kind / f"{key}.json").read_text(encoding="utf-8"))
        return found

    def save_limits(
        self, search: str, samples: Mapping[str, str], found: Mapping[str, Sequence[Mapping[str, Any]]]
    ) -> None:
        """Write what injections gave, beside what is there of the same search, and into `results.json` if that exists.

        Parameters
        ----------
        search : str
            Fingerprint of the search; what is there of another one is dropped.
        samples : mapping of str to str
            Fingerprints of the signal samples; what is there of another sample of the same name is dropped.
        found : mapping
            "limits" and "sensitivity" of `results.json`, and "injections", which stay in `limits.json`: lists of items
            with a "dataset". Those of other datasets are kept.
        """
        document = self._injected(search, samples)
        for name, items in found.items():
            new = {item["dataset"] for item in items}
            document[name] = [item for item in document.get(name, []) if item["dataset"] not in new] + list(items)
        write_json(self.path / "limits.json", {"search": search, "samples": dict(samples), **document})
        if (self.path / "results.json").exists():
            before = self.read_json("results.json", "scan")
            results = {name: value for name, value in before.items() if name not in ("limits", "sensitivity")}
            self.write_results(results | self.load_limits(search, samples))

    def write_results(self, document: Mapping[str, Any]) -> None:
        """Write `results.json`; a document that does not fit its schema is marked with "schema_error", never lost."""
        found = marked(document)
        if (error := found.get("schema_error")) is not None:
            _log.error("results.json is written, but does not follow its schema %s. Please report this.", error)
        write_json(self.path / "results.json", found)

    def load_limits(self, search: str, samples: Mapping[str, str]) -> dict[str, Any]:
        """Read what `results.json` holds of injections; nothing of another search or signal sample."""
        return {key: value for key, value in self._injected(search, samples).items() if key != "injections"}

    def load_injections(self) -> dict[str, Any]:
        """Read all results of injections: "limits", "injections" and "sensitivity"; empty without `limits.json`.

        Raises
        ------
        ResultsError
            If the file is damaged.
        """
        return self._read_optional("limits.json", "limit") or {}

    @property
    def has_performance(self) -> bool:
        """Whether `performance.json` is there."""
        return (self.path / "performance.json").exists()

    def save_performance(self, key: str, document: Mapping[str, Any]) -> None:
        """Write `performance.json`: gain of each feature and of the weight of the simulation, with its fingerprint."""
        write_json(self.path / "performance.json", {"key": key, **document})

    def load_performance(self, key: str) -> dict[str, Any]:
        """Read `performance.json`; empty without it, or if it has another fingerprint.

        Raises
        ------
        ResultsError
            If the file is damaged.
        """
        document = self._read_optional("performance.json", "performance") or {}
        return document if document.get("key") == key else {}

    def _injected(self, search: str, samples: Mapping[str, str]) -> dict[str, Any]:
        document = self.load_injections()
        if document.pop("search", None) != search:
            return {}
        made = document.pop("samples", {})
        changed = {name for name in samples if name in made and made[name] != samples[name]}
        kept = {key: [one for one in items if one["dataset"] not in changed] for key, items in document.items()}
        return {key: items for key, items in kept.items() if items}

    def save_validation(self, name: str, key: str, record: Mapping[str, Any]) -> None:
        """Write the record of one signal-free sample, replacing what was there of it."""
        with writing(self._validation):
            self._validation.mkdir(exist_ok=True)
        write_json(self._validation / f"{name}.json", {"key": key, **record})

    def load_validation(self, name: str, key: str) -> dict[str, Any] | None:
        """Read the record of one signal-free sample; None where there is none, or one of another key."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            record: dict[str, Any] = json.loads((self._validation / f"{name}.json").read_text(encoding="utf-8"))
            if record.pop("key") == key:
                return record
        return None

    def load_validations(self, prefix: str, key: Callable[[int], str]) -> list[dict[str, Any]]:
        """Read the records whose names are the prefix and a number, and whose keys are those of the number."""
        stems = [path.stem.removeprefix(f"{prefix}_") for path in self._validation.glob(f"{prefix}_*.json")]
        numbers = sorted(int(stem) for stem in stems if stem.isdecimal())
        found = [self.load_validation(f"{prefix}_{number}", key(number)) for number in numbers]
        return [record for record in found if record is not None]

    def save_verdicts(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Write `validation.json`: what the signal-free samples say of each window."""
        write_json(self.path / "validation.json", {"windows": list(documents)})

    def load_shown_verdicts(self, windows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Read from `validation.json` what belongs to the verdicts of a search.

        Parameters
        ----------
        windows : sequence of mapping
            "windows" of `results.json`.

        Returns
        -------
        list of dict
            Without windows of which the results hold no verdict, or another one: those are of other settings.
        """
        shown = {window_name(one["signal"]): one.get("validation") for one in windows}
        document = self._read_optional("validation.json", "validate") or {}
        found: list[dict[str, Any]] = document.get("windows", [])
        return [one for one in found if (known := shown.get(one["window"])) and known["combined"] == one["combined"]]

    def save_diagnostics(self, key: str, windows: Sequence[str], documents: Sequence[Mapping[str, Any]]) -> None:
        """Write `diagnostics.json`.

        Parameters
        ----------
        key : str
            Digest of all that it depends on.
        windows : sequence of str
            Keys of the windows that it is of.
        documents : sequence of mapping
            One per window.
        """
        document = {"key": key, "window_keys": list(windows), "windows": list(documents)}
        # One line: an indented list of numbers has one in each.
        write_text(self.path / "diagnostics.json", json.dumps(document, allow_nan=False) + "\n")

    def load_diagnostics(self, key: str | None = None) -> list[dict[str, Any]] | None:
        """Read what is there of diagnostics.

        Parameters
        ----------
        key : str, optional
            What they must depend on. Without it they must be of the windows that the manifest names.

        Returns
        -------
        list of dict or None
            None where there are none, or others.
        """
        if key is None:
            if (document := self._read_optional("diagnostics.json", "scan")) is None:
                return None
            current = document["window_keys"] == self.read_json("manifest.json", "scan").get("window_keys")
        else:
            with suppress(ResultsError):  # a damaged file is made again
                document = self._read_optional("diagnostics.json", "scan")
            if not document:
                return None
            current = document["key"] == key
        return list(document["windows"]) if current else None

    @property
    def diagnostics_key(self) -> str | None:
        """What `diagnostics.json` depends on; None where there is none."""
        document = self._read_optional("diagnostics.json", "scan")
        return None if document is None else document["key"]

    def require_inputs(self, name: str, inputs: str) -> None:
        """Make sure that a window was searched with some events.

        Parameters
        ----------
        name : str
            Of the window, such as "3300-3700".
        inputs : str
            Digest of the events.

        Raises
        ------
        ResultsError
            If it was searched with others.
        """
        document = self.read_json(f"windows/{name}/window.json", "scan")
        if document.get("inputs") != inputs:
            msg = (
                f"window {name} GeV in {self.path} was searched with other events than those on disk now. Run `cwola "
                f"scan --output {self.path}` again."
            )
            raise ResultsError(msg)

    def read_json(self, name: str, stage: str) -> dict[str, Any]:
        """Read a document of the folder.

        Parameters
        ----------
        name : str
            Of the file.
        stage : str
            Command that writes it, for the message.

        Raises
        ------
        ResultsError
            If it is not there, cannot be read, or is damaged.
        """
        path = self.path / name
        document = self._read_optional(name, stage)
        if document is None:
            msg = f"{path} is not there: the stage `{stage}` has not run. Run `cwola {stage} --output {self.path}`."
            raise ResultsError(msg)
        return document

    def _read_optional(self, name: str, stage: str) -> dict[str, Any] | None:
        """Read and check a document of the folder; None if the file does not exist."""
        path, remedy = self.path / name, f"Delete it and run `cwola {stage} --output {self.path}`."
        try:
            document = read_object(path, remedy)
        except FileNotFoundError:
            return None
        if name == "results.json" and "schema_error" not in document and (error := schema_error(document)) is not None:
            msg = f"{path} is damaged {error}. {remedy}"
            raise ResultsError(msg)
        return document
