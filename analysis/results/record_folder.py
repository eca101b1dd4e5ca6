"""Records of injections and signal-free samples, one file each, and the limits and verdicts derived from them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from analysis.calibration.values import CalibrationFile
from analysis.core.documents import to_json
from analysis.core.text_files import load_json, read_bytes
from analysis.diagnostics.gain_values import GainScan, PerformanceFile, gain_regrets
from analysis.diagnostics.method_values import MethodResult, MethodsFile
from analysis.diagnostics.sections import DiagnosedWindow, DiagnosticsFile
from analysis.errors import ResultsError, writing
from analysis.limits.values import LimitsFile
from analysis.results.checked_folder import CheckedFolder
from analysis.results.documents import marked, schema_error
from analysis.results.files import write_json, write_text
from analysis.results.manifest import Manifest
from analysis.results.process_values import ProcessFile
from analysis.results.turn_on import TurnOnFile
from analysis.results.values import Results, WindowDocument
from analysis.search.cells import BumpHunt3D
from analysis.validation.drift import WindowDrift
from analysis.validation.templates import TemplateTest
from analysis.validation.values import WindowVerdict

__all__ = ["RecordFolder", "TwoSampleFile"]

_log = logging.getLogger("cwola")


class _OfDataset(Protocol):
    @property
    def dataset(self) -> str: ...


D = TypeVar("D", bound=_OfDataset)


@dataclass(frozen=True)
class _ValidationFile:
    """Content of `validation.json`."""

    windows: tuple[WindowVerdict, ...]


@dataclass(frozen=True)
class _DriftFile:
    """Content of `drift.json`."""

    key: str
    windows: tuple[WindowDrift, ...]


@dataclass(frozen=True)
class TwoSampleFile:
    """Content of `two_sample.json`.

    Attributes
    ----------
    tests : tuple of TemplateTest
    settings : dict of str to int
        Settings of the tests.
    key : str
        Fingerprint of the tests; empty in older files.
    """

    tests: tuple[TemplateTest, ...]
    settings: dict[str, int] = field(default_factory=dict)
    key: str = ""


@dataclass(frozen=True)
class _Searched:
    """Fingerprint of the events that a window was searched with, in its file."""

    inputs: str = ""


class RecordFolder(CheckedFolder):
    """Base class of a results folder, for records of single injections and signal-free samples."""

    @property
    def _validation(self) -> Path:
        return self.path / "validation"

    def save_limits(self, search: str, samples: Mapping[str, str], found: LimitsFile) -> None:
        """Add results of injections to `limits.json`, and to `results.json` if it exists.

        Parameters
        ----------
        search : str
            Fingerprint of the search; results of another one are dropped.
        samples : mapping of str to str
            Fingerprints of the signal samples; results of another sample of the same name are dropped.
        found : LimitsFile
            New results, which replace stored items of the same datasets; an empty list leaves the stored one unchanged.
        """
        before = self._injected(search, samples)
        joined = LimitsFile(
            search=search,
            samples=dict(samples),
            limits=_joined(before.limits, found.limits),
            injections=_joined(before.injections, found.injections),
            sensitivity=_joined(before.sensitivity, found.sensitivity),
        )
        write_json(self.path / "limits.json", to_json(joined))
        if (self.path / "results.json").exists():
            stored = self.load_limits(search, samples)
            self.write_results(replace(self.read_results(), limits=stored.limits, sensitivity=stored.sensitivity))

    def read_results(self) -> Results:
        """Read `results.json`.

        Raises
        ------
        ResultsError
            If the search has not run, or the file is damaged.
        """
        results = self.read(Results, "results.json", "scan")
        if results.schema_error is None and (error := schema_error(to_json(results))) is not None:
            msg = f"{self.path / 'results.json'} is damaged {error}. {self._remedy('scan')}"
            raise ResultsError(msg)
        return results

    def write_results(self, results: Results) -> None:
        """Write `results.json`; results that violate the schema are also written, and marked with `schema_error`."""
        checked = marked(results)
        if checked.schema_error is not None:
            _log.error(
                "results.json is written, but does not follow its schema %s. Please report this.", checked.schema_error
            )
        write_json(self.path / "results.json", to_json(checked))

    def load_limits(self, search: str, samples: Mapping[str, str]) -> LimitsFile:
        """Read the limits and sensitivities of a search, without results of other searches or signal samples."""
        return replace(self._injected(search, samples), injections=())

    def load_injections(self) -> LimitsFile:
        """Read all results of injections; empty without `limits.json`.

        Raises
        ------
        ResultsError
            If the file is damaged.
        """
        return self._read_optional(LimitsFile, "limits.json", "limit") or LimitsFile()

    def save_performance(self, key: str, scans: Sequence[GainScan]) -> None:
        """Write `performance.json`: gain of each feature and of the weight of the simulation, with its fingerprint."""
        write_json(self.path / "performance.json", to_json(PerformanceFile(key, tuple(scans), gain_regrets(scans))))

    def load_performance(self, key: str) -> tuple[GainScan, ...]:
        """Read `performance.json`; empty without it, if its fingerprint is not `key`, or if it is damaged."""
        stored = self._read_current(PerformanceFile, "performance.json", key)
        return () if stored is None else stored.scans

    def save_methods(self, found: MethodsFile) -> None:
        """Write `methods.json`: methods compared on the same events, with its fingerprint."""
        write_json(self.path / "methods.json", to_json(found))

    def load_methods(self, key: str) -> tuple[MethodResult, ...]:
        """Read `methods.json`; empty without it, if its fingerprint is not `key`, or if it is damaged."""
        stored = self._read_current(MethodsFile, "methods.json", key)
        return () if stored is None else stored.results

    def save_turn_on(self, found: TurnOnFile) -> None:
        """Write `turnon.json`: the turn-on of the triggers."""
        write_json(self.path / "turnon.json", to_json(found))

    def load_turn_on(self) -> TurnOnFile | None:
        """Read `turnon.json`; None if `cwola turnon` has not run.

        Raises
        ------
        ResultsError
            If the file is damaged.
        """
        return self._read_optional(TurnOnFile, "turnon.json", "turnon")

    def save_bump3d(self, found: BumpHunt3D) -> None:
        """Write `bump3d.json`: all cells of all windows, and the global p-value."""
        write_json(self.path / "bump3d.json", to_json(found))

    def load_bump3d(self) -> BumpHunt3D:
        """Read `bump3d.json`.

        Raises
        ------
        ResultsError
            If `cwola bump3d` has not run, or the file is damaged.
        """
        return self.read(BumpHunt3D, "bump3d.json", "bump3d")

    def _injected(self, search: str, samples: Mapping[str, str]) -> LimitsFile:
        stored = self.load_injections()
        if stored.search != search:
            return LimitsFile()
        made = stored.samples or {}
        changed = {name for name in samples if name in made and made[name] != samples[name]}
        return replace(
            stored,
            limits=tuple(limit for limit in stored.limits if limit.dataset not in changed),
            injections=tuple(scan for scan in stored.injections if scan.dataset not in changed),
            sensitivity=tuple(one for one in stored.sensitivity if one.dataset not in changed),
        )

    def save_validation(self, name: str, key: str, record: Mapping[str, Any]) -> None:
        """Write the record of one signal-free sample, replacing a stored one."""
        with writing(self._validation):
            self._validation.mkdir(exist_ok=True)
        write_json(self._validation / f"{name}.json", {"key": key, **record})

    def load_validation(self, name: str, key: str) -> dict[str, Any] | None:
        """Read the record of one signal-free sample; None if it is missing or has another key."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            record: dict[str, Any] = load_json(read_bytes(self._validation / f"{name}.json"), longest=None)
            if record.pop("key") == key:
                return record
        return None

    def load_validations(self, prefix: str, key: Callable[[int], str]) -> list[dict[str, Any]]:
        """Read the records named `<prefix><number>` whose key matches the number."""
        stems = [path.stem.removeprefix(f"{prefix}_") for path in self._validation.glob(f"{prefix}_*.json")]
        numbers = sorted(int(stem) for stem in stems if stem.isdecimal())
        records = [self.load_validation(f"{prefix}_{number}", key(number)) for number in numbers]
        return [record for record in records if record is not None]

    def save_verdicts(self, verdicts: Sequence[WindowVerdict]) -> None:
        """Write `validation.json`: verdicts on the windows from signal-free samples."""
        write_json(self.path / "validation.json", to_json(_ValidationFile(tuple(verdicts))))

    def save_drift(self, key: str, drifts: Sequence[WindowDrift]) -> None:
        """Write `drift.json`: how far the features tell m_jj, with its fingerprint."""
        write_json(self.path / "drift.json", to_json(_DriftFile(key, tuple(drifts))))

    def load_drift(self, key: str) -> tuple[WindowDrift, ...] | None:
        """Read `drift.json`; None without it, if its fingerprint is not `key`, or if it is damaged."""
        stored = self._read_current(_DriftFile, "drift.json", key)
        return None if stored is None else stored.windows

    def save_two_sample(self, found: TwoSampleFile) -> None:
        """Write `two_sample.json`: windows against the template of the method."""
        write_json(self.path / "two_sample.json", to_json(found))

    def load_two_sample(self) -> TwoSampleFile | None:
        """Read `two_sample.json`; None if `cwola twosample` has not run.

        Raises
        ------
        ResultsError
            If the file is damaged.
        """
        return self._read_optional(TwoSampleFile, "two_sample.json", "twosample")

    def load_shown_verdicts(self, windows: Sequence[WindowDocument]) -> list[WindowVerdict]:
        """Read the verdicts of `validation.json` that agree with the results of a search.

        Parameters
        ----------
        windows : sequence of WindowDocument
            Windows of the results.

        Returns
        -------
        list of WindowVerdict
            Without windows whose results hold no verdict or a different one, made with other settings.
        """
        shown = {window.name: window.validation for window in windows}
        stored = self._read_optional(_ValidationFile, "validation.json", "validate")
        verdicts = () if stored is None else stored.windows
        return [one for one in verdicts if (known := shown.get(one.window)) and known.combined == one.combined]

    def save_calibration(self, found: CalibrationFile) -> None:
        """Write `calibration.json`: distributions of z without signal."""
        write_json(self.path / "calibration.json", to_json(found))

    @property
    def has_calibration(self) -> bool:
        """Whether `cwola calibrate` has written its file, for any search."""
        return (self.path / "calibration.json").exists()

    def load_calibration(self, key: str) -> CalibrationFile | None:
        """Read the calibration with this fingerprint; None if it is missing, damaged or of another search."""
        return self._read_current(CalibrationFile, "calibration.json", key)

    def save_diagnostics(self, key: str, window_keys: Sequence[str], windows: Sequence[DiagnosedWindow]) -> None:
        """Write `diagnostics.json`.

        Parameters
        ----------
        key : str
            Fingerprint of the diagnostics.
        window_keys : sequence of str
            Keys of the diagnosed windows.
        windows : sequence of DiagnosedWindow
        """
        document = to_json(DiagnosticsFile(key, tuple(window_keys), tuple(windows)))
        # One line, since indented JSON puts each number on a line of its own.
        write_text(self.path / "diagnostics.json", json.dumps(document, allow_nan=False) + "\n")

    def load_diagnostics(self, key: str | None = None) -> list[DiagnosedWindow] | None:
        """Read the diagnostics of the windows.

        Parameters
        ----------
        key : str, optional
            Required fingerprint. By default, the diagnostics must belong to the windows of the manifest.

        Returns
        -------
        list of DiagnosedWindow or None
            None without stored diagnostics, or if they do not match.
        """
        if key is not None:
            current = self._read_current(DiagnosticsFile, "diagnostics.json", key)
            return None if current is None else list(current.windows)
        if (stored := self._read_optional(DiagnosticsFile, "diagnostics.json", "scan")) is None:
            return None
        shown = stored.window_keys == self.read(Manifest, "manifest.json", "scan").window_keys
        return list(stored.windows) if shown else None

    @property
    def diagnostics_key(self) -> str | None:
        """Fingerprint of `diagnostics.json`; None without the file."""
        stored = self._read_optional(DiagnosticsFile, "diagnostics.json", "scan")
        return None if stored is None else stored.key

    def require_inputs(self, name: str, inputs: str) -> None:
        """Raise if a window was searched with other events.

        Parameters
        ----------
        name : str
            Name of the window, such as "3300-3700".
        inputs : str
            Digest of the expected events.

        Raises
        ------
        ResultsError
        """
        stored = self.read(_Searched, f"windows/{name}/window.json", "scan")
        if stored.inputs != inputs:
            msg = (
                f"window {name} GeV in {self.path} was searched with other events than those on disk now. Run `cwola "
                f"scan --output {self.path}` again."
            )
            raise ResultsError(msg)

    def stored_plugins(self) -> list[Mapping[str, Any]]:
        """Return the records of the plugins with which the events were selected and the search was made.

        Raises
        ------
        ResultsError
            If a file is damaged.
        """
        process = self._read_optional(ProcessFile, "process.json", "process")
        manifest = self._read_optional(Manifest, "manifest.json", "scan")
        searched = [to_json(plugin) for plugin in (manifest and manifest.plugins) or ()]
        return [*(process.plugins if process else ()), *searched]


def _joined(before: tuple[D, ...], new: tuple[D, ...]) -> tuple[D, ...]:
    """Merge stored and new items; new ones replace stored ones of the same datasets."""
    names = {item.dataset for item in new}
    return (*(item for item in before if item.dataset not in names), *new)
