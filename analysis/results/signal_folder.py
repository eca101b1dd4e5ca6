"""Signal samples in a results folder: results, workspaces and spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import hist

from analysis.core.documents import parse_json, to_json
from analysis.core.quoting import quoted
from analysis.core.text_files import read_bytes
from analysis.results.files import read_spectrum, replacing, write_json, write_spectrum
from analysis.results.record_folder import RecordFolder
from analysis.signals.values import SignalResult

__all__ = ["SignalFolder"]


@dataclass(frozen=True)
class _SignalsFile:
    """Content of `signals/signals.json`."""

    key: str
    signals: tuple[SignalResult, ...]
    folders: dict[str, str]
    """Folder of each sample with workspaces or spectra, by name."""


class SignalFolder(RecordFolder):
    """The part of a results folder that holds signal samples.

    Parameters
    ----------
    path : pathlib.Path
    """

    def save_signals(
        self,
        key: str,
        signals: Sequence[SignalResult],
        workspaces: Mapping[str, Mapping[str, Any]] | None = None,
        spectra: Mapping[str, Mapping[str, hist.Hist[Any]]] | None = None,
    ) -> None:
        """Write the results of the signal samples, replacing stored ones.

        Parameters
        ----------
        key : str
            Digest of all inputs of the results.
        signals : sequence of SignalResult
        workspaces : mapping of dataset to name to dict, optional
            pyhf workspaces.
        spectra : mapping of dataset to window name to hist.Hist, optional
        """
        with replacing(self.path / "signals") as folder:
            folders = {dataset: quoted(dataset) for dataset in {**(workspaces or {}), **(spectra or {})}}
            for name in folders.values():
                (folder / name).mkdir()
            for dataset, by_name in (workspaces or {}).items():
                for name, workspace in by_name.items():
                    write_json(folder / folders[dataset] / f"workspace_{name}.json", workspace)
            for dataset, by_window in (spectra or {}).items():
                for window, spectrum in by_window.items():
                    write_spectrum(folder / folders[dataset] / f"spectrum_{window}.json", spectrum)
            write_json(folder / "signals.json", to_json(_SignalsFile(key, tuple(signals), folders)))

    def load_signals(self, key: str) -> tuple[SignalResult, ...] | None:
        """Read the results of the signal samples; None without any, or if made with other events or settings."""
        with suppress(OSError, ValueError):
            stored = parse_json(_SignalsFile, read_bytes(self.path / "signals" / "signals.json"))
            if stored.key == key:
                return stored.signals
        return None

    def load_signal_workspace(self, dataset: str, name: str) -> dict[str, Any]:
        """Read the pyhf workspace of a signal sample by the name "<window>_<selection>".

        Raises
        ------
        ResultsError
            If the workspace is missing, or the file is damaged.
        """
        return self.read(dict[str, Any], f"signals/{quoted(dataset)}/workspace_{name}.json", "scan")

    def load_signal_spectra(self) -> dict[str, dict[str, hist.Hist[Any]]]:
        """Read the m_jj spectra of the signal samples, by dataset and window; empty without any.

        Raises
        ------
        ResultsError
            If `signals/signals.json` is damaged.
        """
        stored = self._read_optional(_SignalsFile, "signals/signals.json", "scan")
        spectra: dict[str, dict[str, hist.Hist[Any]]] = {}
        for dataset, folder in sorted(stored.folders.items()) if stored is not None else ():
            for path in sorted((self.path / "signals" / folder).glob("spectrum_*.json")):
                spectra.setdefault(dataset, {})[path.stem.removeprefix("spectrum_")] = read_spectrum(path)
        return spectra
