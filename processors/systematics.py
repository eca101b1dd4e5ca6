r"""Systematic uncertainties of simulation: variations of jets and of event weights.

To add one, write one function with `@object_systematic` or `@weight_systematic`, here or in a plugin; an entry of
`[[systematics]]` in the configuration names it as its `kind`. The first kind varies jets and makes a table per
variation; the second returns factors on the event weight, which become columns of the nominal table. None of them is
run on data or pseudodata.

An energy scale or resolution multiplies the four-momentum, and thus p_T and all masses; a mass scale or resolution
multiplies the masses, groomed and ungroomed, at fixed p_T. Directions and substructure do not change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from analysis.config import SystematicConfig
from analysis.core.registry import Registry
from analysis.errors import ConfigError, InputFileError
from analysis.events.identity import event_hash, string_hash
from processors.objects import ALL, EventSource, Floats, JetSource, Provenance, as_float64
from processors.selection.corrections import Correction, evaluate, find_correction

__all__ = [
    "SYSTEMATICS",
    "ChunkEvents",
    "ChunkJets",
    "Systematic",
    "find_systematic",
    "object_systematic",
    "standard_normal",
    "weight_systematic",
]

Factor = Floats | float
JetFunction = Callable[["ChunkJets"], Mapping[str, Factor]]
WeightFunction = Callable[["ChunkEvents"], Mapping[str, Floats]]

SIGNS = {"Up": 1, "Down": -1}


@dataclass(frozen=True)
class Systematic:
    """One kind of systematic uncertainty.

    Attributes
    ----------
    kind : str
    needs : tuple of tuple of str
        Alternative sets of keys of `SystematicConfig`; all keys of at least one set are required.
    vary_jets : callable or None
        ChunkJets -> {column of a jet: factor}, each (n_jets,) float64 or one number for all.
    sides : tuple of str
        Tables that are made: "Up" and "Down", or only "Up" for one-sided variations.
    vary_weights : callable or None
        ChunkEvents -> {"Up", "Down" or a number as text: factor on the weight (n_read,) float64}.
    normalise : bool
        Whether the sum of weights before cuts is preserved, unless the entry overrides it.
    """

    kind: str
    needs: tuple[tuple[str, ...], ...]
    vary_jets: JetFunction | None = None
    sides: tuple[str, ...] = ()
    vary_weights: WeightFunction | None = None
    normalise: bool = False

    @property
    def effect(self) -> str:
        """Varied quantity: "jets", "weights", or only the "rate"."""
        if self.vary_jets is not None:
            return "jets"
        return "rate" if self.vary_weights is None else "weights"


SYSTEMATICS: Registry[Systematic] = Registry("systematic", of_events=True)
"""Kinds by name."""

SIZE = (("value",), ("bins",), ("file",))


def object_systematic(
    kind: str, *, sides: tuple[str, ...] = ("Up", "Down"), needs: tuple[tuple[str, ...], ...] = SIZE
) -> Callable[[JetFunction], JetFunction]:
    """Register a function that varies jets; see `Systematic` for the arguments."""

    def register(function: JetFunction) -> JetFunction:
        _add(Systematic(kind, needs, vary_jets=function, sides=sides), function)
        return function

    return register


def weight_systematic(
    kind: str, *, needs: tuple[tuple[str, ...], ...], normalise: bool = False
) -> Callable[[WeightFunction], WeightFunction]:
    """Register a function that varies event weights; see `Systematic` for the arguments."""

    def register(function: WeightFunction) -> WeightFunction:
        _add(Systematic(kind, needs, vary_weights=function, normalise=normalise), function)
        return function

    return register


def _add(one: Systematic, function: Callable[..., Any]) -> None:
    SYSTEMATICS.add(one.kind, one, origin=getattr(function, "__qualname__", ""))


for _kind in ("luminosity", "rate"):
    SYSTEMATICS.add(_kind, Systematic(_kind, (("value",),)))


def find_systematic(config: SystematicConfig) -> Systematic:
    """Look up the kind of an entry, and check that the entry has the keys that the kind needs.

    Raises
    ------
    ConfigError
        If the kind is unknown, a key is missing, or a file has the wrong content.
    """
    if config.kind not in SYSTEMATICS:
        msg = f"{config.where}: there is no such kind. Kinds: {', '.join(sorted(SYSTEMATICS))}."
        raise ConfigError(msg)
    systematic = SYSTEMATICS[config.kind]
    if not any(all(getattr(config, key) not in (None, ()) for key in keys) for keys in systematic.needs):
        wanted = ", or ".join(" and ".join(keys) for keys in systematic.needs)
        msg = f"{config.where} needs the key {wanted}."
        raise ConfigError(msg)
    if config.file is not None:
        _correction(config)
    return systematic


@dataclass(frozen=True)
class ChunkJets:
    """All jets of a chunk, for a function that varies them.

    Attributes
    ----------
    source : JetSource
    config : SystematicConfig
    sign : int
        1 for Up, -1 for Down.
    identity : callable
        () -> (n_jets,) uint64, from the event of each jet and the position of the jet in the event.
    seed : int
    """

    source: JetSource
    config: SystematicConfig
    sign: int
    identity: Callable[[], NDArray[np.uint64]]
    seed: int
    _known: dict[str, Factor] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def size(self) -> Factor:
        """Relative size of the uncertainty: one number, or (n_jets,) float64."""
        if "size" not in self._known:
            self._known["size"] = self._size()
        return self._known["size"]

    def _size(self) -> Factor:
        if self.config.value is not None:
            return self.config.value
        if self.config.bins is not None:
            return self._binned()
        return _evaluate(self.config, lambda name: self.source.column(name, ALL), {})

    def towards(self, sign: int) -> ChunkJets:
        """Return the same jets for another side, with the cached size."""
        other = replace(self, sign=sign)
        other._known.update(self._known)
        return other

    def normal(self) -> Floats:
        """(n_jets,) float64: standard normal numbers that depend only on event, jet, name and seed."""
        return standard_normal(self.identity(), self.config.name, self.seed)

    def _binned(self) -> Floats:
        bins = self.config.bins
        assert bins is not None
        rows = _bin_numbers(self.source.column("pt", ALL), bins.pt)
        columns = _bin_numbers(np.abs(self.source.column("eta", ALL)), bins.abs_eta)
        return np.array(bins.sizes)[rows, columns]


def standard_normal(identity: NDArray[np.uint64], name: str, seed: int) -> Floats:
    """(n,) float64: standard normal numbers that depend only on the identity (n,), the name of their use and a seed."""
    salt = np.uint64(int(event_hash(np.array([seed]), string_hash(name))[0]))
    bits = event_hash(identity ^ salt)
    numbers: Floats = ndtri(((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53)
    return numbers


def _bin_numbers(values: Floats, edges: tuple[float, ...]) -> NDArray[np.intp]:
    """Bin of each value; the outermost bins include values beyond the edges."""
    numbers = np.zeros(len(values), np.intp)
    for edge in edges[1:-1]:
        numbers += values >= edge
    return numbers


@object_systematic("jet-energy-scale")
def jet_energy_scale(jets: ChunkJets) -> dict[str, Factor]:
    """Four-momenta times 1 ± size."""
    return _energy(1.0 + jets.sign * jets.size)


@object_systematic("jet-energy-resolution", sides=("Up",))
def jet_energy_resolution(jets: ChunkJets) -> dict[str, Factor]:
    """Four-momenta smeared by a Gaussian of relative width `size`; only "Up", since smearing cannot be reduced."""
    return _energy(_smearing(jets))


@object_systematic("jet-mass-scale")
def jet_mass_scale(jets: ChunkJets) -> dict[str, Factor]:
    """Masses times 1 ± size."""
    return _masses(1.0 + jets.sign * jets.size)


@object_systematic("jet-mass-resolution", sides=("Up",))
def jet_mass_resolution(jets: ChunkJets) -> dict[str, Factor]:
    """Masses smeared by a Gaussian of relative width `size`; only "Up", since smearing cannot be reduced."""
    return _masses(_smearing(jets))


def _energy(factor: Factor) -> dict[str, Factor]:
    return {"pt": factor, **_masses(factor)}


def _masses(factor: Factor) -> dict[str, Factor]:
    return dict.fromkeys(("mass", "jet_mass", "groomed_mass", "ungroomed_mass"), factor)


def _smearing(jets: ChunkJets) -> Floats:
    return np.maximum(1.0 + jets.size * jets.normal(), 0.0)


@dataclass(frozen=True)
class ChunkEvents:
    """All events of a chunk, for a function that varies their weights.

    Attributes
    ----------
    events : EventSource
    config : SystematicConfig
    origin : Provenance
        File and dataset, for messages.
    """

    events: EventSource
    config: SystematicConfig
    origin: Provenance
    _known: dict[str, NDArray[Any]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def column(self, name: str) -> NDArray[Any]:
        """Return a branch (n_read, ...) by its name in the file.

        Raises
        ------
        InputFileError
            If the file does not hold it, or the events have different numbers of values.
        """
        try:
            return self.events.column(name, ALL)
        except InputFileError as error:
            reason = str(error).removeprefix(f"{self.origin.where}: ")
            msg = (
                f"{self.origin.where}: {self.config.where}: {reason} Or name the datasets that have it in `datasets` "
                "of the entry."
            )
            raise InputFileError(msg) from error
        except ValueError as error:
            msg = (
                f"{self.origin.where}: {self.config.where}: branch {name} does not have the same number of values in "
                "every event. Name another branch."
            )
            raise InputFileError(msg) from error


@weight_systematic("event-weight", needs=(("up", "down"),))
def event_weight(events: ChunkEvents) -> dict[str, Floats]:
    """Factors on the weight from two branches, or from a correction evaluated twice, such as a pile-up correction.

    With `nominal`, they are divided by the nominal factor, which the nominal weight of the table does not include.
    """
    config = events.config
    factors = {side: _factor(events, getattr(config, side.lower())) for side in SIGNS}
    if config.nominal is None:
        return factors
    nominal = _factor(events, config.nominal)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {side: np.where(nominal == 0, 0.0, values / nominal) for side, values in factors.items()}


@weight_systematic("generator-weights", needs=(("branch", "members", "combine"),), normalise=True)
def generator_weights(events: ChunkEvents) -> dict[str, Floats]:
    """Factors on the weight from a branch with several values per event, such as LHEScaleWeight or PSWeight."""
    branch = events.config.branch or ""
    values = events.column(branch)
    count = values.shape[1] if values.ndim == 2 else 0
    if max(events.config.members) >= count:
        msg = (
            f"{events.origin.where}: {events.config.where}: branch {branch} has {count} weights an event, and "
            f"`members` names number {max(events.config.members)}. They count from 0."
        )
        raise InputFileError(msg)
    return {str(member): as_float64(values[:, member]) for member in events.config.members}


def _factor(events: ChunkEvents, name: str) -> Floats:
    if events.config.file is None:
        return as_float64(events.column(name))
    texts = {_varied_input(events.config): name}
    return _evaluate(events.config, lambda column: as_float64(events.column(column)), texts)


def _correction(config: SystematicConfig) -> Correction:
    assert config.file is not None
    return find_correction(config.file, config.correction, (f"{config.where}: file", "its `correction`"))


def _varied_input(config: SystematicConfig) -> str:
    """Name of the string input that takes `up`, `down` and `nominal`."""
    correction = _correction(config)
    texts = [one.name for one in correction.inputs if one.type == "string" and one.name not in config.inputs]
    if len(texts) != 1:
        msg = (
            f"{config.where}: the correction '{correction.name}' must have one text input that takes `up` and `down`, "
            f"found {', '.join(texts) or 'none'}. Give the others a value in `inputs`."
        )
        raise ConfigError(msg)
    return texts[0]


def _evaluate(config: SystematicConfig, column: Callable[[str], Floats], texts: Mapping[str, str]) -> Floats:
    correction = _correction(config)
    inputs: dict[str, Floats | str] = {}
    for variable in correction.inputs:
        name = variable.name
        value = texts.get(name, config.inputs.get(name, name))
        inputs[name] = value if variable.type == "string" and isinstance(value, str) else _number(value, column)
    arrays = [value for value in inputs.values() if not isinstance(value, str)]
    count = max((len(values) for values in arrays if values.ndim), default=0)
    return evaluate(correction, {k: v if isinstance(v, str) else np.broadcast_to(v, count) for k, v in inputs.items()})


def _number(value: str | float, column: Callable[[str], Floats]) -> Floats:
    return column(value) if isinstance(value, str) else np.asarray(value, np.float64)
