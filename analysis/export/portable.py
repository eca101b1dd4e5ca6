"""A configuration that can be read elsewhere: without paths, and with the files that it names beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from analysis.config import SearchConfig
from analysis.config.model import ConfigFile
from analysis.errors import ResultsError

__all__ = ["portable_config"]


def portable_config(config: SearchConfig, *, systematics: bool = True, plugins: bool = True) -> dict[str, bytes]:
    """Return `config.json` without paths, and the files that it names, by name.

    Parameters
    ----------
    config : SearchConfig
    systematics : bool
        Include the files of the systematics.
    plugins : bool
        Name the plugins in the configuration; never their files.

    Returns
    -------
    dict of str to bytes

    Raises
    ------
    ConfigError
        If a file cannot be read.
    ResultsError
        If two different files have the same name.
    """
    document = config.model_dump(mode="json", context={"portable": True})
    if not plugins:
        document["plugins"] = []
    found = {"config.json": (json.dumps(document, indent=1, allow_nan=False) + "\n").encode()}
    files: Mapping[str, ConfigFile] = {f"selection.{key}": file for key, file in config.selection.files().items()}
    if systematics:
        files = {**files, **{entry.where: entry.file for entry in config.systematics if entry.file is not None}}
    for key, file in files.items():
        if found.setdefault(file.path.name, file.data) != file.data:
            msg = f"{key}: two different files of the export would be named {file.path.name}. Rename {file.path}."
            raise ResultsError(msg)
    return found
