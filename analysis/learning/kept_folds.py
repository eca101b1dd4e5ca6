"""Finished folds of windows in work, on disk: after an interruption only the others are trained again.

Folds of boosted trees with fixed settings are kept, without a scaling of the features or a template, since these alone
are their stored members: everything else is trained again, which changes no number either.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from analysis.core.location import write_file
from analysis.core.text_files import open_regular
from analysis.errors import ResultsError
from analysis.learning.crossfit import FoldResult
from analysis.learning.ensemble import FittedEnsemble

__all__ = ["KeptFolds"]

_log = logging.getLogger("cwola")


@dataclass(frozen=True)
class KeptFolds:
    """Folder of finished folds, one file each.

    Attributes
    ----------
    folder : pathlib.Path
        Made with the first fold, and removed with the last one.
    """

    folder: Path

    def save(self, key: str, result: FoldResult) -> None:
        """Keep a fold if it can be restored from its members and scores; a full disk does not stop the training.

        Parameters
        ----------
        key : str
            Digest of all inputs of the fold, and its number.
        result : FoldResult
        """
        model = result.model
        if type(model) is not FittedEnsemble or model.choice or result.template or result.scaling:
            return
        stream = BytesIO()
        arrays: dict[str, Any] = {"fold": result.fold, "rows": result.rows, "scores": result.scores}
        arrays |= {f"member{number}": np.frombuffer(one, np.uint8) for number, one in enumerate(model.members)}
        np.savez(stream, **arrays)
        content = stream.getvalue()
        try:
            write_file(self._path(key), sha256(content).digest() + content)
        except ResultsError as error:
            _log.warning("a finished fold is not kept: %s", error)

    def load(self, key: str) -> FoldResult | None:
        """Read a fold; None if it is not kept, or its file is damaged."""
        try:
            with open_regular(self._path(key)) as file:
                digest, content = file.read(32), file.read()
            if sha256(content).digest() != digest:
                return None
            with np.load(BytesIO(content), allow_pickle=False) as stored:
                n_members = sum(name.startswith("member") for name in stored.files)
                members = tuple(stored[f"member{number}"].tobytes() for number in range(n_members))
                return FoldResult(int(stored["fold"]), stored["rows"], stored["scores"], FittedEnsemble(members))
        except (OSError, EOFError, ValueError, KeyError, BadZipFile):
            return None

    def forget(self, keys: Iterable[str]) -> None:
        """Remove folds whose window is stored."""
        for key in keys:
            with suppress(OSError):
                self._path(key).unlink()
        with suppress(OSError):  # not empty
            self.folder.rmdir()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.fold"
