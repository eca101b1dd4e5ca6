"""xgboost, from either of its distributions: `xgboost`, which can use GPUs, or the small `xgboost-cpu`.

Both install the same module. A package cannot depend on "either", and one that depends on `xgboost-cpu` puts its files
over those of an `xgboost` that is there. So none is a dependency, and it is checked here that there is one that works.
"""

from __future__ import annotations

import importlib
from importlib import metadata

from analysis.errors import ConfigError

__all__ = ["require_xgboost", "xgb"]

_DISTRIBUTIONS = ("xgboost", "xgboost-cpu")

_OLDEST = 3
"""First number of the oldest version that is tested."""

_INSTALL = (
    "pip install 'cwola-dijet[cpu]' (6 MB), or pip install xgboost, which can use GPUs (on Linux 130 MB, and 350 MB of "
    "libraries)"
)


def require_xgboost() -> None:
    """Raise unless one distribution of xgboost is installed, and it works.

    Raises
    ------
    ConfigError
        If there is none, one that does not work or is too old, or if one was installed over the other.
    """
    first, second = ({str(one.locate_file("")) for one in metadata.distributions(name=name)} for name in _DISTRIBUTIONS)
    if first & second:
        msg = (
            "xgboost and xgboost-cpu are both installed, in the same folder: one has overwritten the module of the "
            "other. Remove both, pip uninstall xgboost xgboost-cpu, and install one: pip install xgboost, or "
            "pip install xgboost-cpu without GPUs."
        )
        raise ConfigError(msg)
    try:
        module = importlib.import_module("xgboost")
    except ModuleNotFoundError as error:
        if error.name != "xgboost" or first or second:
            raise _broken(error) from error
        msg = f"training needs xgboost, which is not installed: {_INSTALL}."
        raise ConfigError(msg) from error
    except Exception as error:  # its own, or of the loader of shared libraries
        raise _broken(error) from error
    if not hasattr(module, "QuantileDMatrix"):
        reason = "only a part of its files is there"
        raise _broken(reason)
    if int(module.__version__.split(".")[0]) < _OLDEST:
        msg = f"xgboost {module.__version__} is too old: {_OLDEST}.0 or later is needed. pip install --upgrade xgboost."
        raise ConfigError(msg)


def _broken(reason: object) -> ConfigError:
    first = str(reason).strip().partition("\n")[0]
    return ConfigError(
        f"xgboost is installed, but does not work ({first}). Install it again: pip uninstall xgboost xgboost-cpu, then "
        f"{_INSTALL}."
    )


require_xgboost()

import xgboost as xgb  # noqa: E402 - not before it is known to work
