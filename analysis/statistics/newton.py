"""Newton steps of many fits at once, inside bounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["newton_steps"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


def newton_steps(
    parameters: Array, gradient: Array, hessian: Array, fixed: Flags, bounds: Array
) -> tuple[Array, Array]:
    """Return steps (n_rows, n_parameters) of the free parameters, and the decrease (n_rows,) that they predict."""
    held = fixed | ((parameters <= bounds[:, 0]) & (gradient > 0)) | ((parameters >= bounds[:, 1]) & (gradient < 0))
    gradient = np.where(held, 0.0, gradient)
    either = held[:, :, None] | held[:, None, :]
    diagonal = np.einsum("rpp->rp", hessian)
    ridge = np.where(held, 1.0, 1e-10 * diagonal + 1e-30)[:, :, None] * np.eye(parameters.shape[1])
    step = -np.linalg.solve(np.where(either, 0.0, hessian) + ridge, gradient[:, :, None])[:, :, 0]
    return np.asarray(step, dtype=float), -(gradient * step).sum(axis=1)
