"""The section `[validation]` of the configuration: signal-free tests of the search."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from analysis.config.model import Fraction, Model, Positive

__all__ = ["ValidationConfig"]


class ValidationConfig(Model):
    """Signal-free samples, their number of draws, and criteria for failure.

    Attributes
    ----------
    sources : tuple of str
        Names in `analysis.validation.SOURCES` that `cwola validate` uses.
    in_run : tuple of str
        Sources that `cwola run` uses before the scan; if empty, validation is skipped there.
    draws : int
        Number of draws of the random sources.
    abs_dy_max : float, optional
        Upper end in |Δy| of the band of the source "rapidity"; by default `selection.abs_dy_validation`.
    down_fraction : float
        Fraction of the data in one draw of "up-down-sampling".
    smearing : float
        Largest distance in m_jj, relative to m_jj, from which "up-down-sampling" takes its features.
    max_shift : float
        Largest shift of z, at the size of the search, in a valid window.
    established : float
        Significance in standard deviations, for all selections of a window together, above which a shift larger than
        `max_shift` makes the window not valid; a larger shift of lower significance is a flag.
    min_fit_p : float
        Smallest p-value of the background fits of a source in a window, for all selections together.
    """

    sources: tuple[str, ...] = ("rapidity", "simulation", "up-down-sampling", "exact-null")
    in_run: tuple[str, ...] = ("rapidity", "simulation")
    draws: Annotated[int, Field(gt=0, le=10_000)] = 5
    abs_dy_max: Positive | None = None
    down_fraction: Fraction = 0.5
    smearing: Annotated[float, Field(gt=0, le=0.5)] = 0.08
    max_shift: Positive = 0.5
    established: Positive = 2.0
    min_fit_p: Fraction = 0.01

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for name in ("sources", "in_run"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                msg = f"{name} must list no source twice"
                raise ValueError(msg)
        return self
