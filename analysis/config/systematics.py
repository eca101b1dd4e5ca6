"""The entries of `[[systematics]]` in the configuration: no other uncertainties are computed."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from analysis.config.model import ConfigFile, File, Model, NonNegative, Positive

__all__ = ["BinnedSize", "Combination", "SystematicConfig", "one_entry_per_source"]

Combination = Literal["envelope", "replicas", "hessian"]

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]

RESERVED = ("background_fit", "lumi", "mu", "signal_statistics", "spurious_signal")
"""Parameters of every workspace."""


class BinnedSize(Model):
    """Relative size of a jet systematic in bins; jets beyond the edges belong to the outermost bins.

    Attributes
    ----------
    pt : tuple of float
        Bin edges in p_T, GeV.
    abs_eta : tuple of float
        Bin edges in |η|.
    sizes : tuple of tuple of float
        One row per bin in p_T, with one number per bin in |η|.
    """

    pt: tuple[float, ...]
    abs_eta: tuple[float, ...]
    sizes: tuple[tuple[NonNegative, ...], ...]

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        for name in ("pt", "abs_eta"):
            edges = getattr(self, name)
            if len(edges) < 2 or any(high <= low for low, high in pairwise(edges)):
                msg = f"{name} must list at least two rising bin edges"
                raise ValueError(msg)
        shape = (len(self.pt) - 1, len(self.abs_eta) - 1)
        if len(self.sizes) != shape[0] or any(len(row) != shape[1] for row in self.sizes):
            msg = f"sizes must be {shape[0]} rows (bins in pt) of {shape[1]} numbers (bins in abs_eta)"
            raise ValueError(msg)
        return self


class SystematicConfig(Model):
    """One systematic uncertainty of simulation. The keys that a kind needs are defined in `processors.systematics`.

    Attributes
    ----------
    name : str
        Name of the nuisance parameter, and of the tables and columns.
    kind : str
        Name in the registry of `processors.systematics`, such as "jet-mass-scale".
    datasets : tuple of str
        Names of the datasets of kind signal and background to which it applies; by default all of them.
    value : float, optional
        Relative size, the same for all jets or events.
    bins : BinnedSize, optional
        Relative size in bins of p_T and |η|.
    file, correction, inputs : file, str, mapping, optional
        correctionlib JSON, the name of its correction (optional for a single correction), and the values of its
        inputs: the name of a column or a number for a numeric input, the string for a string input. An input that is
        not listed is read from the column of the same name.
    up, down, nominal : str, optional
        Branches with the varied weights; with `file`, the values of the one string input that `inputs` does not list.
    branch, members : str, tuple of int, optional
        Branch with several weights per event, and the indices of the weights to use.
    combine : str, optional
        Combination of the yields with the members: "envelope", "replicas" (standard deviation) or "hessian"
        (differences from the nominal yield in quadrature).
    source : str, optional
        Source of the uncertainty of the energy correction in `selection.calibration`, such as "FlavorQCD" or "Total".
    normalise : bool, optional
        Whether varied weights preserve the sum of weights before cuts, so that they change only the acceptance.
    """

    name: Name
    kind: str
    datasets: tuple[str, ...] = ()
    value: Positive | None = None
    bins: BinnedSize | None = None
    file: File | None = None
    correction: str | None = None
    inputs: dict[str, str | float] = Field(default_factory=dict)
    up: str | None = None
    down: str | None = None
    nominal: str | None = None
    branch: str | None = None
    members: tuple[Annotated[int, Field(ge=0)], ...] = ()
    combine: Combination | None = None
    normalise: bool | None = None
    source: str | None = None

    @model_serializer(mode="wrap")
    def _without_unused(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the source unless there is one: records from before it existed stay valid."""
        document: dict[str, Any] = serialise(self)
        if self.source is None:
            del document["source"]
        return document

    @model_validator(mode="after")
    def _free(self) -> Self:
        if self.name in RESERVED and self.kind != "luminosity":
            msg = f"name '{self.name}' belongs to another parameter of the workspace; choose another one"
            raise ValueError(msg)
        return self

    @property
    def where(self) -> str:
        """Name of the entry in messages."""
        return f"systematics, entry '{self.name}' (kind {self.kind})"

    def loaded(self) -> Self:
        """Return the same entry with its file read.

        Raises
        ------
        ConfigError
            If the file cannot be read.
        """
        if self.file is None:
            return self
        return self.model_copy(update={"file": self.file.loaded(f"{self.where}: file")})

    def identity(self) -> dict[str, Any]:
        """Return the keys that determine the variations, JSON-ready, with the content of a file for its path."""
        file: ConfigFile | None = self.loaded().file
        return self.model_dump(mode="json") | ({} if file is None else {"file": file.sha256})


def one_entry_per_source(entries: Any) -> Any:
    """Replace each raw entry with a list `sources` by one entry per source, named `<name>_<source>`.

    Parameters
    ----------
    entries : list of mapping
        Entries of `[[systematics]]` as they are in the file; others are returned as they are, to be refused later.

    Returns
    -------
    list of mapping

    Raises
    ------
    ValueError
        If `sources` is no list of names.
    """
    if not isinstance(entries, list | tuple):
        return entries
    return [one for entry in entries for one in _by_source(entry)]


def _by_source(entry: Any) -> list[Any]:
    if not isinstance(entry, Mapping) or "sources" not in entry:
        return [entry]
    sources = entry["sources"]
    if not isinstance(sources, list | tuple) or not sources:
        msg = "sources must be a list of at least one name"
        raise ValueError(msg)
    rest = {key: value for key, value in entry.items() if key != "sources"}
    return [{**rest, "name": f"{entry.get('name', 'jes')}_{source}", "source": source} for source in sources]
