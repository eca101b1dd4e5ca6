"""Import of jax and flowjax, the extra `flows`, on one thread."""

from __future__ import annotations

import os
from typing import Any

from analysis.errors import ConfigError

__all__ = ["import_flows", "require_flows"]

_ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def require_flows(method: str) -> None:
    """Raise if the extra is missing.

    Parameters
    ----------
    method : str
        Name of the method that needs it, for the message.

    Raises
    ------
    ConfigError
        Names the method and the extra.
    """
    try:
        import_flows()
    except ImportError as error:
        msg = f"method {method} needs the extra `flows` ({error}): pip install 'cwola-dijet[flows]'."
        raise ConfigError(msg) from error


def import_flows() -> tuple[Any, Any]:
    """Return the modules jax and flowjax.

    Parallelism is over folds and windows, as for trees, and sums on one thread do not depend on the number of cores.
    XLA reads its flags once, when jax runs for the first time: if a notebook has used jax before, its flags hold.
    """
    os.environ.setdefault("XLA_FLAGS", _ONE_THREAD)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import flowjax
    import jax

    return jax, flowjax
