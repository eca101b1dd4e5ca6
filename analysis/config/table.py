"""The section `[table]` of the configuration: columns of tables that are searched instead of ROOT files."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Self

from pydantic import Field, model_validator

from analysis.config.model import Model

__all__ = ["TableConfig"]

_Name = Annotated[str, Field(min_length=1)]

_DEFAULTS: dict[str, tuple[str, ...]] = {
    "mjj": ("mjj", "m_jj"),
    "weight": ("weight",),
    "run": ("run",),
    "luminosity_block": ("luminosity_block", "luminosityBlock"),
    "event": ("event",),
    "abs_dy": ("abs_dy",),
}
"""Names that are looked for, in this order, if none is given."""


class TableConfig(Model):
    """Names of the columns of tables, of datasets with the format "table".

    Attributes
    ----------
    mjj : str, optional
        Dijet mass, GeV; by default "mjj" or "m_jj".
    weight : str, optional
        Event weight of simulation; by default "weight", and 1 without such a column.
    run, luminosity_block, event : str, optional
        Numbers that identify an event; by default "run", "luminosity_block" or "luminosityBlock", and "event". Without
        an event number the rows are numbered.
    abs_dy : str, optional
        |Δy| of the two jets; by default "abs_dy". Without it all events are of the search region.
    features : tuple of str
        Columns to keep as features; if empty, all other columns with numbers that all tables have.
    """

    mjj: _Name | None = None
    weight: _Name | None = None
    run: _Name | None = None
    luminosity_block: _Name | None = None
    event: _Name | None = None
    abs_dy: _Name | None = None
    features: tuple[_Name, ...] = ()

    def candidates(self, column: str) -> tuple[str, ...]:
        """Names under which a fixed column, such as "mjj", is looked for."""
        given: str | None = getattr(self, column)
        return _DEFAULTS[column] if given is None else (given,)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        given = [name for column in _DEFAULTS if (name := getattr(self, column)) is not None]
        repeated = [name for name, count in Counter([*given, *self.features]).items() if count > 1]
        if repeated:
            msg = f"the column '{repeated[0]}' is named twice"
            raise ValueError(msg)
        return self
