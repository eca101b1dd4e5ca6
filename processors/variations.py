"""Systematics of a run, applied to one chunk: varied jets, and varied weights with their sums."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from analysis.config import SystematicConfig
from analysis.core.documents import digest
from analysis.errors import ConfigError, InputFileError
from analysis.events.dataset import OBSERVED, Dataset
from analysis.events.schema import weight_column
from processors.objects import (
    ALL,
    RAPIDITY,
    VECTOR,
    Dijets,
    Floats,
    Index,
    Jet,
    JetSource,
    Tally,
    dijet_kinematics,
    leading_pair,
)
from processors.systematics import SIGNS, ChunkEvents, ChunkJets, Factor, Systematic, find_systematic

__all__ = ["Systematics", "WeightVariations"]


@dataclass(frozen=True)
class WeightVariations:
    """Varied weights of the events with at least two jets.

    Attributes
    ----------
    columns : dict of str to (n_events,) float64
        Varied weights, not normalised, by column name.
    sums : dict of str to Tally
        Sums over all events of the chunk, for the weights that are to be normalised to the nominal sum.
    """

    columns: dict[str, Floats]
    sums: dict[str, Tally]


@dataclass(frozen=True)
class Systematics:
    """Entries of the configuration with their functions, which are sent to the workers.

    Attributes
    ----------
    entries : tuple of (SystematicConfig, Systematic)
    seed : int
        Seed of the smearing.
    code : str
        Digest of the source text of the functions.
    """

    entries: tuple[tuple[SystematicConfig, Systematic], ...] = ()
    seed: int = 0
    code: str = ""

    @classmethod
    def prepare(cls, configs: tuple[SystematicConfig, ...], datasets: Mapping[str, Dataset], seed: int) -> Self:
        """Read the files of the entries, and look up their kinds.

        Raises
        ------
        ConfigError
            If an entry cannot be used, or names a dataset that is missing or observed.
        """
        simulated = [name for name, dataset in datasets.items() if not dataset.is_observed]
        for config in configs:
            if unknown := [name for name in config.datasets if name not in simulated]:
                msg = (
                    f"{config.where}: `datasets` names '{unknown[0]}', which is no dataset of kind signal or "
                    f"background. There are {', '.join(simulated) or 'none'}."
                )
                raise ConfigError(msg)
        loaded = [config.loaded() for config in configs]
        return cls(tuple((config, find_systematic(config)) for config in loaded), seed)

    def of(self, dataset: str, kind: str) -> Systematics:
        """Return the systematics that apply to a dataset: none for observed events."""
        if kind in OBSERVED:
            return Systematics()
        chosen = [entry for entry in self.entries if not entry[0].datasets or dataset in entry[0].datasets]
        return replace(self, entries=tuple(chosen))

    def identity(self) -> str | None:
        """Digest of everything that determines tables and columns; None without systematics."""
        entries = [config.identity() for config, systematic in self.entries if systematic.effect != "rate"]
        return digest([entries, self.seed, self.code]) if entries else None

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables with varied jets, such as "jmsUp"."""
        return tuple(f"{config.name}{side}" for config, systematic in self.entries for side in systematic.sides)

    def vary_jets(self, dijets: Dijets) -> Iterator[tuple[str, Dijets]]:
        """Yield the name of each table, and the events with the varied jets.

        Parameters
        ----------
        dijets : Dijets
            All events with at least two jets, before cuts. The order in p_T of varied jets may differ.
        """
        entries = [(config, systematic) for config, systematic in self.entries if systematic.vary_jets is not None]
        identity = cache(dijets.jet_identity)
        for config, systematic in entries:
            jets = ChunkJets(dijets.first.source, config, 1, identity, self.seed)
            for side in systematic.sides:
                jets = jets.towards(SIGNS[side])
                assert systematic.vary_jets is not None
                yield f"{config.name}{side}", _varied(dijets, VariedJets(jets.source, systematic.vary_jets(jets)))

    def vary_weights(self, dijets: Dijets) -> WeightVariations:
        """Compute the varied weights.

        Raises
        ------
        InputFileError
            If a branch is missing, or a factor is not finite.
        """
        columns, sums = {}, {}
        for config, systematic in self.entries:
            if systematic.vary_weights is None:
                continue
            chunk = ChunkEvents(dijets.events, config, dijets.origin)
            for suffix, factor in systematic.vary_weights(chunk).items():
                weights = dijets.read_weights * _finite(factor, config, dijets)
                name = weight_column(config.name, suffix)
                columns[name] = weights[dijets.entry]
                if systematic.normalise if config.normalise is None else config.normalise:
                    sums[name] = Tally.quick(weights)
        return WeightVariations(columns, sums)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the effect of each entry, JSON-ready, for the stages after processing."""
        return [
            {
                "name": config.name,
                "kind": config.kind,
                "effect": systematic.effect,
                "datasets": list(config.datasets),
                "sides": list(systematic.sides),
                "members": list(config.members),
                "combine": config.combine,
                "value": config.value,
            }
            for config, systematic in self.entries
        ]


@dataclass(frozen=True)
class VariedJets:
    """All jets of a chunk with some columns multiplied by factors; see `JetSource`.

    Attributes
    ----------
    source : JetSource
    factors : mapping of str to (n_jets,) float64 or float
        Factors by column name.
    """

    source: JetSource
    factors: Mapping[str, Factor]

    def column(self, name: str, index: Index) -> Floats:
        """Return one column of some jets, (n,) float64."""
        values = self.source.column(name, index)
        return values * self.at(name, index) if name in self.factors else values

    def at(self, name: str, index: Index) -> Factor:
        """Return the factors on a column of some jets."""
        factor = self.factors[name]
        return factor if isinstance(factor, float) else factor[index]


def _varied(dijets: Dijets, jets: VariedJets) -> Dijets:
    first, second = dijets.first.index, dijets.second.index
    if not isinstance(jets.factors.get("pt", 1.0), float):  # one factor for all jets does not change the order
        _, first, second = leading_pair(dijets.jet_counts, jets.column("pt", ALL))
    one, two = _varied_jet(dijets.first, jets, first), _varied_jet(dijets.second, jets, second)
    mjj, abs_dy = dijet_kinematics(one, two)
    return replace(dijets, first=one, second=two, mjj=mjj, abs_dy=abs_dy)


def _varied_jet(nominal: Jet, jets: VariedJets, index: NDArray[np.intp]) -> Jet:
    """Jets of a variation; cached columns of the nominal jets are not read again."""
    taken = {id(factor): jets.at(name, nominal.index) for name, factor in jets.factors.items()}
    factors = {name: taken[id(factor)] for name, factor in jets.factors.items()}
    known = {name: values for name, values in nominal.known.items() if not name.startswith(".")}
    known |= {name: known[name] * factor for name, factor in factors.items() if name in known}
    known |= _varied_vector(nominal, factors, known)
    moved = np.flatnonzero(index != nominal.index)
    if not len(moved):
        return Jet(jets, index, known)
    other = Jet(jets, index[moved])
    _ = other.vector, other.rapidity
    for name, values in known.items():
        if values is nominal.known.get(name):
            known[name] = values.copy()
        known[name][moved] = other.column(name)
    return Jet(jets, index, known)


def _varied_vector(nominal: Jet, factors: Mapping[str, Factor], known: Mapping[str, Floats]) -> dict[str, Floats]:
    """Four-momentum, if it is scaled as a whole or keeps its momentum; empty otherwise."""
    if not {"pt", "mass"} & factors.keys():
        return {name: nominal.known[name] for name in (*VECTOR, RAPIDITY) if name in nominal.known}
    energy, *momentum = nominal.vector
    if factors.get("pt") is factors.get("mass"):
        return {name: factors["pt"] * nominal.known[name] for name in VECTOR} | {RAPIDITY: nominal.rapidity}
    if "pt" not in factors:
        square = energy**2 - nominal.mass**2 + known["mass"] ** 2
        return dict(zip(VECTOR, (np.sqrt(square), *momentum), strict=True))
    return {}


def _finite(factor: Floats, config: SystematicConfig, dijets: Dijets) -> Floats:
    if bad := int((~np.isfinite(factor)).sum()):
        msg = (
            f"{dijets.origin.where}: {config.where}: {bad} factors on the weight are not finite. Check the branches or "
            "the correction that they come from."
        )
        raise InputFileError(msg)
    return factor
