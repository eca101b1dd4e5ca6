"""Exceptions of the package.

Every message names the expected and the actual value, the place (file, dataset, column or window) and a remedy. The
command line prints the message instead of a traceback.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = [
    "ComputeError",
    "ConfigError",
    "CwolaError",
    "DatasetError",
    "FitError",
    "InputFileError",
    "ProcessingError",
    "ResultsError",
    "StatisticsError",
    "TableError",
    "WindowError",
    "writing",
]


class CwolaError(Exception):
    """Base class of all errors that this package raises on purpose."""


class ConfigError(CwolaError, ValueError):
    """A search configuration or preset has an unknown key or an invalid value."""


class DatasetError(CwolaError, ValueError):
    """`datasets.json` is malformed, or its datasets do not fit together."""


class InputFileError(CwolaError, RuntimeError):
    """An input file is missing, truncated, empty, or lacks a tree or a branch."""


class ProcessingError(CwolaError, RuntimeError):
    """A function that processes events, such as a feature, failed although the file could be read."""


class TableError(CwolaError, ValueError):
    """An event table lacks a column, or holds invalid values."""


class WindowError(CwolaError, ValueError):
    """A mass window has no events, or lies in a range where the spectrum is not smooth."""


class FitError(CwolaError, RuntimeError):
    """A background fit did not converge to a valid minimum."""


class StatisticsError(CwolaError, RuntimeError):
    """A limit or p-value could not be computed."""


class ComputeError(CwolaError, RuntimeError):
    """Workers cannot be reached or used, or tasks were lost with them too often."""


class ResultsError(CwolaError, RuntimeError):
    """A results folder cannot be read or written."""


@contextmanager
def writing(path: object) -> Iterator[None]:
    """Turn a failure of the file system, such as a full disk, into an error that names the path.

    Parameters
    ----------
    path : pathlib.Path or object
        Path that is written inside the context, named in the message.

    Raises
    ------
    ResultsError
        Instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        msg = (
            f"cannot write {path}: {reason}. Finished work is kept: make room, or name another --output, and run again."
        )
        raise ResultsError(msg) from error
