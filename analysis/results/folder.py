"""A results folder on disk."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import uhi.io.json
from numpy.typing import NDArray

from analysis.config import SearchConfig, load_config
from analysis.core.documents import digest, to_json
from analysis.core.notebook import facts
from analysis.core.text_files import load_json, open_regular, read_bytes
from analysis.errors import ResultsError, writing
from analysis.results.blinding import blind_search
from analysis.results.documents import with_calibrations
from analysis.results.files import replacing, write_json, write_text
from analysis.results.manifest import Manifest, unblinding_records
from analysis.results.process_values import ProcessFile
from analysis.results.signal_folder import SignalFolder
from analysis.results.values import Results
from analysis.results.windows import fill_window, read_window
from analysis.search.seeds import join_seeds
from analysis.search.values import WindowResult
from analysis.statistics import GlobalResult

__all__ = ["ResultsFolder", "StoredTraining"]

_SECTIONS = {"scan", "learning", "background", "statistics", "selection", "random_state"}
"""Sections that a stored configuration must hold; defaults would silently replace missing ones."""


@dataclass(frozen=True)
class _Blinded:
    """The one field of `results.json` that older manifests lack."""

    blinded: bool = False


@dataclass(frozen=True)
class StoredTraining:
    """What identifies one training of a window, in its file."""

    key: str
    status: str
    inputs: str = ""
    reason: str | None = None
    training_seed: int | None = None


class ResultsFolder(SignalFolder):
    """A results folder on disk.

    Parameters
    ----------
    path : pathlib.Path
    create : bool
        Create the folder if it does not exist.
    read_only : bool
        Accept a folder that cannot be written; nothing may be saved in it.

    Raises
    ------
    ResultsError
        If the folder cannot be created or written, or does not exist and `create` is False.

    Examples
    --------
    >>> from pathlib import Path
    >>> from analysis.results import ResultsFolder
    >>> document, windows = ResultsFolder(Path("results")).load_results()
    >>> windows[0].window.name
    '3300-3700'
    >>> selection = windows[0].selections[0]
    >>> int(selection.n_obs), round(selection.background), round(selection.background_error)
    (8279, 8188, 214)
    """

    def __init__(self, path: Path, *, create: bool = False, read_only: bool = False) -> None:
        super().__init__(path)
        if not create and not path.is_dir():
            msg = f"there is no results folder {path}. Run `cwola run --output {path}` first, or name another --output."
            raise ResultsError(msg)
        if read_only:
            return
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"cannot make the results folder {path}: {error.strerror}. Name another one with --output."
            raise ResultsError(msg) from error
        if not os.access(path, os.W_OK):
            msg = f"the results folder {path} cannot be written. Name another one with --output."
            raise ResultsError(msg)

    def __repr__(self) -> str:
        return f"ResultsFolder({str(self.path)!r})"

    def _repr_html_(self) -> str:
        stages = {"Events": "process.json", "Search": "results.json", "Validation": "validation.json"}
        done = {name: (self.path / file).exists() for name, file in {**stages, "Limits": "limits.json"}.items()}
        windows = sorted(path.parent.name for path in self._windows.glob("[!.]*/window.json"))
        return facts(f"Results in {self.path}", {**done, "Windows [GeV]": windows, "Figures": self.plots.is_dir()})

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
        write_json(self.path / "config.json", config.model_dump(mode="json"))

    def save_process(self, document: Mapping[str, Any]) -> None:
        """Write the record of the processing stage."""
        write_json(self.path / "process.json", document)

    def load_process(self) -> ProcessFile:
        """Read the record of the processing stage.

        Raises
        ------
        ResultsError
            If the stage has not run, or the file is damaged.
        """
        return self.read(ProcessFile, "process.json", "process")

    def save_window(self, key: str, result: WindowResult, *, inputs: str = "") -> None:
        """Write one training of a window, replacing an earlier one with the same seed.

        Parameters
        ----------
        key : str
            Digest of all inputs of the result.
        result : WindowResult
        inputs : str
            Digest of the events alone, to match arrays with one value per event to them later.
        """
        seed = result.training_seed
        target = (self._seeds / str(seed) if seed else self._windows) / result.window.name
        with replacing(target) as folder:
            fill_window(folder, {"key": key, "inputs": inputs}, result)

    def save_global(self, key: str, result: GlobalResult) -> None:
        """Write the global result with the digest of all its inputs."""
        write_json(self.path / "global.json", {"key": key, **asdict(result)})

    def load_global(self, key: str) -> GlobalResult | None:
        """Read the global result; None without one, or if it belongs to other windows or settings."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            document = load_json(read_bytes(self.path / "global.json"))
            if document.pop("key") == key:
                return GlobalResult(**document)
        return None

    def load_windows(self, keys: Sequence[str]) -> dict[str, WindowResult]:
        """Read the stored windows by key; models stay on disk.

        Parameters
        ----------
        keys : sequence of str
            Keys of the requested windows; others are not read.

        Returns
        -------
        dict of str to WindowResult
            In the order of `keys`, without windows that are not on disk.
        """
        windows: dict[str, WindowResult] = {}
        for path in self._window_files():
            with suppress(OSError, EOFError, ValueError, KeyError, TypeError, IndexError, AttributeError, BadZipFile):
                key = load_json(read_bytes(path), longest=None)["key"]
                if key in keys:
                    windows[key] = read_window(path.parent)
        return {key: windows[key] for key in keys if key in windows}

    def load_scores(self, name: str, *, inputs: str) -> NDArray[np.float32]:
        """Read the out-of-fold scores of one window.

        Parameters
        ----------
        name : str
            Name of the window, such as "3300-3700".
        inputs : str
            Digest of the events that the scores must belong to.

        Returns
        -------
        (n_events,) float32
            Mean over the ensemble members, NaN outside the fit range; in the order of the searched events.

        Raises
        ------
        ResultsError
            If the folder holds no scores, as in an older version, or they belong to other events.
        """
        self.require_inputs(name, inputs)
        folder, remedy = self._windows / name, f"Run `cwola scan --output {self.path}` again."
        try:
            with open_regular(folder / "scores.npz") as stream, np.load(stream, allow_pickle=False) as stored:
                scores: NDArray[np.float32] = stored["scores"]
        except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
            msg = f"{folder} holds no scores of the events that could be read: {error}. {remedy}"
            raise ResultsError(msg) from error
        return scores

    def has_window(self, name: str) -> bool:
        """Whether a window, such as "3300-3700", was searched before, regardless of the settings."""
        return (self._windows / name / "window.json").exists()

    def stored_trainings(self) -> dict[tuple[str, int], StoredTraining]:
        """Read the records of all trainings of all windows, whatever their settings, by window and training seed.

        Raises
        ------
        ResultsError
            If a file is damaged.
        """
        found = {}
        for path in self._window_files():
            name = path.relative_to(self.path)
            stored = self._read_optional(StoredTraining, name.as_posix(), "scan")
            if stored is not None:  # else another command is replacing it
                found[path.parent.name, stored.training_seed or 0] = stored
        return found

    def save_control(self, document: Mapping[str, Any]) -> Path:
        """Write the histograms of the control figures as UHI JSON."""
        path = self.plots / "control" / "histograms.json"
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, document, default=uhi.io.json.default)
        return path

    def save_report(self, text: str, path: Path | None = None) -> Path:
        """Write the report, by default to `report.html`."""
        path = path or self.path / "report.html"
        write_text(path, text)
        return path

    def save_results(self, results: Results, keys: Sequence[str], seed_keys: Sequence[str] = ()) -> None:
        """Check and write `results.json` and the manifest, and remove windows that are not part of them.

        Parameters
        ----------
        results : Results
        keys : sequence of str
            Keys of the windows in the results.
        seed_keys : sequence of str
            Keys of the further trainings of these windows.

        Results that violate the schema are also written, and marked with "schema_error".
        """
        self._prune({*keys, *seed_keys})
        self.write_results(results)
        before = self._manifest()
        manifest = Manifest(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            versions=results.versions,
            plugins=results.plugins,
            config_digest=results.config_digest,
            random_state=results.random_state,
            inputs=results.inputs,
            blinded=results.blinded,
            unblinding=before.unblinding,
            drawn=before.drawn,
            window_keys=tuple(keys),
            seed_keys=tuple(seed_keys),
            sha256={
                path.relative_to(self.path).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted([*self._windows.rglob("*"), *self._seeds.rglob("*")])
                if path.is_file()
            },
        )
        self._save_manifest(manifest)

    def record_unblinding(self, windows: Sequence[str], *, config_digest: str, setting: str) -> None:
        """Record in the manifest that counts inside windows are shown from now on, unless already recorded.

        See `analysis.results.manifest.unblinding_records` for the parameters.
        """
        manifest = self._manifest()
        records = unblinding_records(manifest, windows, config_digest=config_digest, setting=setting)
        self._save_manifest(replace(manifest, blinded=False, unblinding=records))

    def load_manifest(self) -> Manifest:
        """Read the manifest.

        Raises
        ------
        ResultsError
            If the search has not run, or was interrupted before it was complete.
        """
        manifest = self.read(Manifest, "manifest.json", "scan")
        if manifest.window_keys is None:
            msg = (
                f"{self.path / 'manifest.json'} names no windows: the scan was interrupted, or the file is "
                f"damaged. Run `cwola scan --output {self.path}` to go on."
            )
            raise ResultsError(msg)
        return manifest

    def load_config(self) -> SearchConfig:
        """Read the resolved configuration.

        Raises
        ------
        ConfigError, ResultsError
            If the file cannot be read, or is damaged.
        """
        self.require_config()
        return load_config(path=self.config)

    def require_config(self) -> None:
        """Raise if the resolved configuration lacks a section: defaults would silently define another search.

        Raises
        ------
        ResultsError
        """
        stored = self.read(dict[str, Any], "config.json", "run")
        if missing := _SECTIONS - stored.keys():
            msg = (
                f"{self.config} is damaged: it lacks {', '.join(sorted(missing))}. Delete it, or name a configuration "
                "with --config."
            )
            raise ResultsError(msg)

    def record_figures(self) -> None:
        """Record in the manifest which results the figures in `plots` show."""
        manifest = self.load_manifest()
        self._save_manifest(replace(manifest, drawn=self._drawn(manifest)))

    def require_figures(self) -> None:
        """Raise unless the figures in `plots` show the results on disk: others may show counts that are blinded now.

        Raises
        ------
        ResultsError
            If no figures were drawn, or they show other results.
        """
        manifest = self.load_manifest()
        if not self.has_current_figures():
            state = "have not been drawn" if manifest.drawn is None else "are of other results"
            msg = f"the figures in {self.plots} {state}. Run `cwola plot --output {self.path}`."
            raise ResultsError(msg)

    def has_current_figures(self) -> bool:
        """Return whether the figures in `plots` show the results on disk; see `require_figures` for the errors."""
        manifest = self.load_manifest()
        return manifest.drawn == self._drawn(manifest)

    def _drawn(self, manifest: Manifest) -> str:
        """Return the digest of all results that the figures of a search show."""
        results = self.read_results()
        shown = (results.blinded, results.global_, results.cutflow, results.n_minus_one, results.signals)
        return digest([manifest.window_keys, manifest.seed_keys, self.diagnostics_key, *map(to_json, shown)])

    def _manifest(self) -> Manifest:
        """Read the manifest, possibly incomplete or empty; `blinded` is added to a manifest of an earlier version."""
        if not (self.path / "manifest.json").exists():
            return Manifest()
        manifest = self.read(Manifest, "manifest.json", "scan")
        if manifest.blinded is None and self.has_results:
            return replace(manifest, blinded=self.read(_Blinded, "results.json", "scan").blinded)
        return manifest

    def _save_manifest(self, manifest: Manifest) -> None:
        write_json(self.path / "manifest.json", to_json(manifest))

    def load_results(self) -> tuple[Results, list[WindowResult]]:
        """Read `results.json` and its windows, with the seeds joined; windows are blinded if the results are.

        Raises
        ------
        ResultsError
            If the search has not run, or a window is missing.
        """
        results, manifest = self.read_results(), self.load_manifest()
        keys = [*(manifest.window_keys or ()), *(manifest.seed_keys or ())]
        windows = self.load_windows(keys)
        if len(windows) < len(keys):
            msg = f"{self._windows} lacks {len(keys) - len(windows)} of {len(keys)} windows. Run `cwola scan` again."
            raise ResultsError(msg)
        joined = with_calibrations(join_seeds(windows.values()), results)
        return blind_search(results, joined) if results.blinded else (results, joined)

    def require_schema(self) -> None:
        """Raise if `results.json` violates its schema.

        Raises
        ------
        ResultsError
            If the file is marked with `schema_error`: it is complete, but holds a value that is not allowed.
        """
        error = self.read_results().schema_error if self.has_results else None
        if error is not None:
            msg = (
                f"{self.path / 'results.json'} is complete, but does not follow its schema {error}. It is marked with "
                '"schema_error". Please report this, with the file.'
            )
            raise ResultsError(msg)

    @property
    def has_results(self) -> bool:
        """Whether a scan has written `results.json`."""
        return (self.path / "results.json").exists()

    @property
    def config(self) -> Path:
        """File of the resolved configuration."""
        return self.path / "config.json"

    @property
    def folds(self) -> Path:
        """Folder of finished folds of windows in work, see `analysis.learning.KeptFolds`."""
        return self.path / "folds"

    @property
    def _windows(self) -> Path:
        return self.path / "windows"

    @property
    def _seeds(self) -> Path:
        return self.path / "seeds"

    def _window_files(self) -> list[Path]:
        """List the records of all trainings of all windows."""
        return sorted([*self._windows.glob("[!.]*/window.json"), *self._seeds.glob("[!.]*/[!.]*/window.json")])

    def _prune(self, keys: Container[str]) -> None:
        for path in self._window_files():
            try:
                stale = load_json(read_bytes(path), longest=None)["key"] not in keys
            except (OSError, ValueError, KeyError, TypeError):
                stale = True
            if stale:
                shutil.rmtree(path.parent)
        shutil.rmtree(self.folds, ignore_errors=True)  # those of a search with other settings
        for folder in (*self._seeds.glob("*"), self._seeds):
            with suppress(OSError):  # not empty
                folder.rmdir()
