"""The section `[validation]` of the configuration: signal-free tests of the search."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from analysis.config.model import Fraction, Model, Positive

__all__ = ["ValidationConfig"]


class ValidationConfig(Model):
    """Signal-free samples, how often they are drawn, and what counts as a failure.

    Attributes
    ----------
    sources : tuple of str
        Names in `analysis.validation.SOURCES` that `cwola validate` uses.
    in_run : tuple of str
        Those that `cwola run` uses by itself, before it scans; none switches it off.
    draws : int
        Repetitions of the sources that are drawn anew.
    abs_dy_max : float, optional
        Upper end in |Δy| of the band of the source "rapidity"; `selection.abs_dy_validation` where absent.
    down_fraction : float
        Share of the data that one draw of "up-down-sampling" sees.
    smearing : float
        How far away in m_jj, relative to it, that source takes its features from.
    max_shift : float
        Largest shift of z, at the size of the search, that a valid window may have.
    established : float
        So many errors from zero a shift must be, with all selections of the window considered, to make it not valid; a
        larger shift that is not is a flag.
    min_fit_p : float
        Smallest p-value of the background fits of a source in a window, all selections considered.
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
