"""Open ROOT files so that neither the text of an address nor the UUID of a file is taken for anything else."""

from __future__ import annotations

from typing import Any

import uproot

__all__ = ["CACHES", "open_root"]

CACHES: dict[str, Any] = {"object_cache": None, "array_cache": None}
"""Options of `uproot.open`. Its caches go by the UUID of a file and outlive it, so that one of two files with the same
UUID would be read for the other. No column is read twice, and arrays of 100 MB per file would be kept."""


def open_root(address: str, **options: Any) -> Any:
    """Open a ROOT file; a colon in the address is part of it.

    Parameters
    ----------
    address : str
        Path or URL.
    **options
        Options of `uproot.open`.

    Returns
    -------
    uproot.ReadOnlyDirectory
        Also a context manager, which closes the file.
    """
    return uproot.open({address: None}, **CACHES, **options)
