"""Definition of an input format, and the registry of formats."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from analysis.config import SelectionConfig
from analysis.core.registry import Registry
from analysis.errors import DatasetError
from processors.objects import Dijets

__all__ = ["ADAPTERS", "Adapter", "Layout", "adapter", "find_adapter"]

Reader = Callable[[Any, SelectionConfig], Dijets]

KINEMATICS = ("pt", "eta", "phi", "mass")


@dataclass(frozen=True)
class Layout:
    """Names of the tree, the jet collection and the branches in a format.

    Attributes
    ----------
    tree, collection : str
        Event tree, and default collection of large-R jets.
    label : str
        Pattern of the branch names of a collection, such as "{collection}_{field}".
    jet : mapping of str to str
        Field of each column of a jet: "pt", "eta", "phi", "mass", "tau1" ... "tau4".
    counter : str
        Pattern of the branches that count the objects of a collection, such as "n{collection}"; empty if the format
        has none.
    groomed : mapping of str to str
        Field of each groomed mass that `SelectionConfig.jet_mass` can choose.
    optional : mapping of str to str
        Field of each column that only optional features need.
    event : mapping of str to str
        Branches of "run", "luminosity_block", "event" and "weight", if the format has them.
    triggers, filters : str
        Prefixes of the branches with trigger decisions and event filters; empty if the format has none.
    mark : str
        Text in the name of at least one branch of every file in this format, even of files without a jet collection.
    """

    tree: str
    collection: str
    label: str
    jet: Mapping[str, str]
    event: Mapping[str, str]
    mark: str
    counter: str = ""
    groomed: Mapping[str, str] = field(default_factory=dict)
    optional: Mapping[str, str] = field(default_factory=dict)
    triggers: str = ""
    filters: str = ""

    def branch(self, collection: str, name: str) -> str:
        """Return the branch name of a field of a collection."""
        return self.label.format(collection=collection, field=name).replace("_5", "[5]")

    def collections(self, branches: Collection[str]) -> list[str]:
        """Find the jet collections with momenta and substructure among branches. The default comes first."""
        suffix = self.branch("", self.jet["pt"])
        names = {name.removesuffix(suffix) for name in branches if name.endswith(suffix) and name != suffix}
        counters = {f"n{name}" for name in names}
        candidates = [name for name in names - counters if not name.startswith("Sub")]
        found = [name for name in candidates if self._is_jet_collection(name, set(branches))]
        return sorted(found, key=lambda name: (name != self.collection, name))

    def _is_jet_collection(self, name: str, branches: set[str]) -> bool:
        inside = [*self.groomed.values(), *(one for column, one in self.jet.items() if column not in KINEMATICS)]
        return all(self.branch(name, self.jet[column]) in branches for column in KINEMATICS) and any(
            self.branch(name, one) in branches for one in inside
        )

    def recognises(self, branches: Collection[str]) -> bool:
        """Return whether a tree with these branches has this layout."""
        return bool(self.collections(branches)) or any(self.mark in name for name in branches)


@dataclass(frozen=True)
class Adapter:
    """Reader of one file format.

    Attributes
    ----------
    name : str
        Value of `format` in `datasets.json`.
    schema : type
        coffea schema that names the branches.
    layout : Layout
        Names of the tree, the jet collection and the branches.
    read : callable
        (events, SelectionConfig) -> Dijets, for one chunk.
    generator_sum : callable or None
        Path -> sum of generator weights before any skim as recorded in the file, or None if the file has no record.
    generator_count : callable or None
        Path -> number of generated events as recorded in the file, or None.
    branches : callable or None
        Uproot branch -> whether it is passed to the schema; None for all branches.
    """

    name: str
    schema: type
    layout: Layout
    read: Reader
    generator_sum: Callable[[str], float | None] | None = None
    branches: Callable[[Any], bool] | None = None
    generator_count: Callable[[str], int | None] | None = None

    @property
    def iteritems_options(self) -> dict[str, Any]:
        """Options that coffea passes to uproot for the list of branches."""
        return {} if self.branches is None else {"filter_branch": self.branches}


ADAPTERS: Registry[Adapter] = Registry("format")
"""Adapters by format name."""


def adapter(
    name: str,
    *,
    schema: type,
    layout: Layout,
    generator_sum: Callable[[str], float | None] | None = None,
    branches: Callable[[Any], bool] | None = None,
    generator_count: Callable[[str], int | None] | None = None,
) -> Callable[[Reader], Reader]:
    """Register a function as the adapter of a format, here or in a plugin; see `Adapter` for the arguments.

    Raises
    ------
    ConfigError
        If a format of this name is already registered.
    """

    def register(read: Reader) -> Reader:
        one = Adapter(name, schema, layout, read, generator_sum, branches, generator_count)
        ADAPTERS.add(name, one, origin=getattr(read, "__qualname__", ""))
        return read

    return register


def find_adapter(name: str, dataset: str) -> Adapter:
    """Look up the adapter of the format of a dataset.

    Raises
    ------
    DatasetError
        If the format is unknown.
    """
    if name not in ADAPTERS:
        msg = (
            f"dataset '{dataset}': there is no input format '{name}'. Formats: {', '.join(sorted(ADAPTERS))}. Correct "
            "metadata.format in the datasets file."
        )
        raise DatasetError(msg)
    return ADAPTERS[name]
