"""The only writer and reader of a results folder.

Layout: `config.json` (resolved configuration), `process.json` and `parts/` (selected events), `windows/<low>-<high>/`
(record, spectrum as UHI JSON, workspaces as pyhf JSON, pass weights, scores, models as UBJ and what applying them
needs, see `analysis.published`), `seeds/<number>/<low>-<high>/` (further trainings, without models and scores),
`global.json`, `signals/` (workspaces of the signal samples), `injections/` (one record an injection), `limits.json`
(what follows from them), `results.json`, `manifest.json`, `plots/` and `cwola.log`.
Everything is written atomically: what exists is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import hist
import numpy as np
import uhi.io.json
from numpy.typing import NDArray

from analysis.config import SearchConfig
from analysis.errors import ResultsError, writing
from analysis.published import save_classifier
from analysis.records import check_results, software_versions, window_document, window_from_document
from analysis.search import WindowResult
from analysis.seeds import join_seeds
from analysis.statistics import GlobalResult
from analysis.unblinding import unblinding_records

__all__ = ["ResultsFolder"]


class ResultsFolder:
    """A results folder on disk.

    Parameters
    ----------
    path : pathlib.Path
    create : bool
        Make the folder if it is not there.

    Raises
    ------
    ResultsError
        If the folder cannot be made or written, or does not exist and may not be made.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        if not create and not path.is_dir():
            msg = f"there is no results folder {path}. Run `cwola run --output {path}` first, or name another --output."
            raise ResultsError(msg)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"cannot make the results folder {path}: {error.strerror}. Name another one with --output."
            raise ResultsError(msg) from error
        if not os.access(path, os.W_OK):
            msg = f"the results folder {path} cannot be written. Name another one with --output."
            raise ResultsError(msg)

    @property
    def parts(self) -> Path:
        """Folder of the selected events."""
        return self.path / "parts"

    @property
    def plots(self) -> Path:
        """Folder of the figures."""
        return self.path / "plots"

    @property
    def log(self) -> Path:
        """Log file."""
        return self.path / "cwola.log"

    def save_config(self, config: SearchConfig) -> None:
        """Write the resolved configuration."""
        self._write_json(self.path / "config.json", config.model_dump(mode="json"))

    def save_process(self, document: Mapping[str, Any]) -> None:
        """Write the record of the processing stage."""
        self._write_json(self.path / "process.json", document)

    def load_process(self) -> dict[str, Any]:
        """Read the record of the processing stage.

        Raises
        ------
        ResultsError
            If the stage has not run.
        """
        return self._read_json("process.json", "process")

    def save_window(self, key: str, result: WindowResult, *, inputs: str = "") -> None:
        """Write one training of a window, replacing what was there of it.

        Parameters
        ----------
        key : str
            Digest of all that the result depends on.
        result : WindowResult
        inputs : str
            Digest of the events alone, so that arrays with one value per event can be put beside them again.
        """
        seed = result.training_seed
        target = (self._seeds / str(seed) if seed else self._windows) / result.window.name
        with _replacing(target) as folder:
            self._fill_window(folder, {"key": key, "inputs": inputs}, result)

    def _fill_window(self, folder: Path, keys: Mapping[str, str], result: WindowResult) -> None:
        models = folder / "models"
        if result.models:
            models.mkdir()
        for fold, members in enumerate(result.models):
            for member, document in enumerate(members):
                (models / f"fold{fold}_member{member}.ubj").write_bytes(document)
        save_classifier(folder, result)
        if result.spectrum is not None:
            self._write_json(folder / "spectrum.json", result.spectrum, default=uhi.io.json.default)
        for selection in result.selections:
            if selection.workspace is not None:
                self._write_json(folder / f"workspace_{selection.name}.json", selection.workspace)
        if result.passes is not None:
            np.savez_compressed(folder / "passes.npz", passes=result.passes)
        if result.scores is not None:
            np.savez_compressed(folder / "scores.npz", scores=result.scores)
        self._write_json(folder / "window.json", {**keys, **window_document(result)})

    def save_global(self, key: str, result: GlobalResult) -> None:
        """Write the global result with the digest of all that it depends on."""
        self._write_json(self.path / "global.json", {"key": key, **asdict(result)})

    def load_global(self, key: str) -> GlobalResult | None:
        """Read the global result; None where there is none, or one of other windows or settings."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            document = json.loads((self.path / "global.json").read_text(encoding="utf-8"))
            if document.pop("key") == key:
                return GlobalResult(**document)
        return None

    def load_windows(self, keys: Sequence[str]) -> dict[str, WindowResult]:
        """Read the windows that are there, by key; models stay on disk.

        Parameters
        ----------
        keys : sequence of str
            The wanted windows; others are not read.

        Returns
        -------
        dict of str to WindowResult
            In the order of `keys`; those that are not on disk are left out.
        """
        found: dict[str, WindowResult] = {}
        for path in self._window_files():
            with suppress(OSError, EOFError, ValueError, KeyError, BadZipFile):
                document = json.loads(path.read_text(encoding="utf-8"))
                if document["key"] in keys:
                    found[document["key"]] = _read_window(path.parent, document)
        return {key: found[key] for key in keys if key in found}

    def load_scores(self, name: str, *, inputs: str) -> NDArray[np.float32]:
        """Read the out-of-fold scores of one window.

        Parameters
        ----------
        name : str
            Of the window, such as "3300-3700".
        inputs : str
            Digest of the events that the scores shall be of.

        Returns
        -------
        (n_events,) float32
            Member mean, NaN outside the fit range; in the order of the searched events.

        Raises
        ------
        ResultsError
            If there are none, as in a folder of an older version, or they are of other events.
        """
        folder = self._windows / name
        remedy = f"Run `cwola scan --output {self.path}` again."
        try:
            document = json.loads((folder / "window.json").read_text(encoding="utf-8"))
            with np.load(folder / "scores.npz", allow_pickle=False) as stored:
                scores: NDArray[np.float32] = stored["scores"]
        except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
            msg = f"{folder} holds no scores of the events that could be read: {error}. {remedy}"
            raise ResultsError(msg) from error
        if document.get("inputs") != inputs:
            msg = f"window {name} GeV in {self.path} was searched with other events than those on disk now. {remedy}"
            raise ResultsError(msg)
        return scores

    def save_signals(
        self, key: str, documents: Sequence[Mapping[str, Any]], workspaces: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Write what was found of signal samples, replacing what was there.

        Parameters
        ----------
        key : str
            Digest of all that it depends on.
        documents : sequence of mapping
            "signals" of `results.json`.
        workspaces : mapping of dataset to name to dict
            pyhf workspaces.
        """
        with _replacing(self.path / "signals") as folder:
            for dataset, found in workspaces.items():
                (folder / dataset).mkdir()
                for name, workspace in found.items():
                    self._write_json(folder / dataset / f"workspace_{name}.json", workspace)
            self._write_json(folder / "signals.json", {"key": key, "signals": list(documents)})

    def load_signals(self, key: str) -> list[dict[str, Any]] | None:
        """Read what was found of signal samples; None where there is nothing, or of other events or settings."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            document = json.loads((self.path / "signals" / "signals.json").read_text(encoding="utf-8"))
            if document["key"] == key:
                found: list[dict[str, Any]] = document["signals"]
                return found
        return None

    def load_signal_workspace(self, dataset: str, name: str) -> dict[str, Any]:
        """Read the pyhf workspace of a signal sample by the name "<window>_<selection>".

        Raises
        ------
        ResultsError
            If there is none.
        """
        return self._read_json(f"signals/{dataset}/workspace_{name}.json", "scan")

    def save_record(self, kind: str, key: str, document: Mapping[str, Any]) -> None:
        """Write one record of many, such as an injection, by the digest of all that it depends on."""
        path = self.path / kind / f"{key}.json"
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._write_json(path, document)

    def load_records(self, kind: str, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Read those of the records that are there, by key."""
        found: dict[str, dict[str, Any]] = {}
        for key in keys:
            with suppress(OSError, ValueError):
                found[key] = json.loads((self.path / kind / f"{key}.json").read_text(encoding="utf-8"))
        return found

    def save_limits(self, search: str, found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Write what injections gave, beside what is there of the same search, and into `results.json` if that exists.

        Parameters
        ----------
        search : str
            Digest of the search; what is there of another one is dropped.
        found : mapping
            "limits" and "sensitivity" of `results.json`, and "injections", which stay in `limits.json`: lists of items
            with a "dataset". Those of other datasets are kept.
        """
        document = self._injected(search)
        for name, items in found.items():
            new = {item["dataset"] for item in items}
            document[name] = [item for item in document.get(name, []) if item["dataset"] not in new] + list(items)
        self._write_json(self.path / "limits.json", {"search": search, **document})
        if (self.path / "results.json").exists():
            results = self._read_json("results.json", "scan") | self.load_limits(search)
            check_results(results)
            self._write_json(self.path / "results.json", results)

    def load_limits(self, search: str) -> dict[str, Any]:
        """Read what `results.json` holds of injections; nothing where they are of another search."""
        return {key: value for key, value in self._injected(search).items() if key != "injections"}

    def load_injections(self) -> dict[str, Any]:
        """Read all that injections gave: "limits", "injections" and "sensitivity", as far as they are there."""
        with suppress(OSError, ValueError):
            document: dict[str, Any] = json.loads((self.path / "limits.json").read_text(encoding="utf-8"))
            return document
        return {}

    def _injected(self, search: str) -> dict[str, Any]:
        document = self.load_injections()
        return document if document.pop("search", None) == search else {}

    def save_control(self, document: Mapping[str, Any]) -> Path:
        """Write the histograms of the control figures as UHI JSON."""
        path = self.plots / "control" / "histograms.json"
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._write_json(path, document, default=uhi.io.json.default)
        return path

    def save_results(self, document: Mapping[str, Any], keys: Sequence[str], seed_keys: Sequence[str] = ()) -> None:
        """Check and write `results.json` and the manifest, and remove windows that are not part of them.

        Parameters
        ----------
        document : mapping
            From `analysis.records.results_document`.
        keys : sequence of str
            Keys of the windows in it.
        seed_keys : sequence of str
            Keys of their further trainings.

        Raises
        ------
        ResultsError
            If the document does not follow the schema.
        """
        check_results(document)
        self._prune({*keys, *seed_keys})
        self._write_json(self.path / "results.json", document)
        before = self._manifest()
        manifest = {
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": software_versions(),
            "plugins": document.get("plugins", []),
            "config_digest": document["config_digest"],
            "random_state": document["random_state"],
            "inputs": document["inputs"],
            "blinded": document["blinded"],
            **({"unblinding": before["unblinding"]} if "unblinding" in before else {}),
            "window_keys": list(keys),
            "seed_keys": list(seed_keys),
            "sha256": {
                path.relative_to(self.path).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted([*self._windows.rglob("*"), *self._seeds.rglob("*")])
                if path.is_file()
            },
        }
        self._write_json(self.path / "manifest.json", manifest)

    def record_unblinding(self, windows: Sequence[str], *, config_digest: str, setting: str) -> None:
        """Append to the manifest that counts inside windows are shown from now on, unless they were before.

        The parameters are those of `analysis.unblinding.unblinding_records`.
        """
        manifest = self._manifest()
        records = unblinding_records(manifest, windows, config_digest=config_digest, setting=setting)
        self._write_json(self.path / "manifest.json", {**manifest, "blinded": False, "unblinding": records})

    def load_manifest(self) -> dict[str, Any]:
        """Read the manifest.

        Raises
        ------
        ResultsError
            If there is none.
        """
        return self._read_json("manifest.json", "scan")

    def _manifest(self) -> dict[str, Any]:
        """Read the manifest as it is; empty where there is none. One of an earlier version lacks `blinded`."""
        if not (self.path / "manifest.json").exists():
            return {}
        manifest = self._read_json("manifest.json", "scan")
        if "blinded" not in manifest and (self.path / "results.json").exists():
            manifest["blinded"] = bool(self._read_json("results.json", "scan").get("blinded", False))
        return manifest

    def load_results(self) -> tuple[dict[str, Any], list[WindowResult]]:
        """Read `results.json` and the windows it was assembled from, with their seeds joined.

        Raises
        ------
        ResultsError
            If the search has not run, or a window is missing.
        """
        document = self._read_json("results.json", "scan")
        manifest = self._read_json("manifest.json", "scan")
        keys = manifest["window_keys"] + manifest.get("seed_keys", [])
        windows = self.load_windows(keys)
        if len(windows) < len(keys):
            msg = f"{self._windows} lacks {len(keys) - len(windows)} of {len(keys)} windows. Run `cwola scan` again."
            raise ResultsError(msg)
        return document, join_seeds(windows.values())

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.json"

    @property
    def _windows(self) -> Path:
        return self.path / "windows"

    @property
    def _seeds(self) -> Path:
        return self.path / "seeds"

    def _window_files(self) -> list[Path]:
        """List the records of all trainings of all windows."""
        found = [*self._windows.glob("[!.]*/window.json"), *self._seeds.glob("[!.]*/[!.]*/window.json")]
        return sorted(found)

    def _prune(self, keys: Container[str]) -> None:
        for path in self._window_files():
            try:
                stale = json.loads(path.read_text(encoding="utf-8"))["key"] not in keys
            except (ValueError, KeyError):
                stale = True
            if stale:
                shutil.rmtree(path.parent)
        for folder in (*self._seeds.glob("*"), self._seeds):
            with suppress(OSError):  # not empty
                folder.rmdir()

    def _read_json(self, name: str, stage: str) -> dict[str, Any]:
        path = self.path / name
        try:
            document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            msg = f"{path} is not there: the stage `{stage}` has not run. Run `cwola {stage} --output {self.path}`."
            raise ResultsError(msg) from error
        except (OSError, ValueError) as error:
            msg = f"cannot read {path}: {error}. Delete it and run `cwola {stage} --output {self.path}`."
            raise ResultsError(msg) from error
        return document

    @staticmethod
    def _write_json(path: Path, document: Any, default: Any = None) -> None:
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        text = json.dumps(document, indent=1, allow_nan=False, default=default) + "\n"
        try:
            with writing(path):
                temporary.write_text(text, encoding="utf-8")
                temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `target` when all is written; what a killed run left of one is removed."""
    for left in target.parent.glob(f".{target.name}.*.tmp"):
        shutil.rmtree(left, ignore_errors=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with writing(target):
            temporary.mkdir(parents=True)
            yield temporary
            shutil.rmtree(target, ignore_errors=True)
            temporary.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _read_window(folder: Path, document: Mapping[str, Any]) -> WindowResult:
    spectrum_file = folder / "spectrum.json"
    spectrum: hist.Hist[Any] | None = None
    if spectrum_file.exists():
        text = spectrum_file.read_text(encoding="utf-8")
        spectrum = hist.Hist(json.loads(text, object_hook=uhi.io.json.object_hook))
    workspaces = {
        path.stem.removeprefix("workspace_"): json.loads(path.read_text(encoding="utf-8"))
        for path in folder.glob("workspace_*.json")
    }
    return window_from_document(document, spectrum, workspaces, _read_passes(folder / "passes.npz"))


def _read_passes(path: Path) -> NDArray[Any] | None:
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as stored:
        passes: NDArray[Any] = stored["passes"]
    return passes
