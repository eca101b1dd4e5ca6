"""What an input format is, and the registry of formats."""

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
    """How a format names what its adapter reads.

    Attributes
    ----------
    tree, collection : str
        Tree of the events, and large-R jet collection where the configuration names none.
    label : str
        How the format spells a branch of a collection, such as "{collection}_{field}".
    jet : mapping of str to str
        Field of each column of a jet: "pt", "eta", "phi", "mass", "tau1" ... "tau4".
    groomed : mapping of str to str
        Field of each groomed mass that `SelectionConfig.jet_mass` can choose.
    event : mapping of str to str
        Branches of "run", "luminosity_block", "event" and "weight", as far as the format has them.
    triggers, filters : str
        What the branches of trigger decisions and of event filters begin with; empty if they have none.
    mark : str
        What some branch of a file in this format contains in its name, even where there is no jet collection.
    """

    tree: str
    collection: str
    label: str
    jet: Mapping[str, str]
    event: Mapping[str, str]
    mark: str
    groomed: Mapping[str, str] = field(default_factory=dict)
    triggers: str = ""
    filters: str = ""

    def branch(self, collection: str, name: str) -> str:
        """Spell a field of a collection as the file does."""
        return self.label.format(collection=collection, field=name).replace("_5", "[5]")

    def collections(self, branches: Collection[str]) -> list[str]:
        """Find the jet collections among branches: with momenta, and with substructure. The default comes first."""
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
        """Tell whether a tree with these branches has this layout."""
        return bool(self.collections(branches)) or any(self.mark in name for name in branches)


@dataclass(frozen=True)
class Adapter:
    """How one file format is read.

    Attributes
    ----------
    name : str
        Value of `format` in `datasets.json`.
    schema : type
        coffea schema that names the branches.
    layout : Layout
        How the format names what is read.
    read : callable
        (events, SelectionConfig) -> Dijets, for one chunk.
    generator_sum : callable or None
        Path -> sum of generator weights before any skim as the file records it, or None where it does not.
    branches : callable or None
        Branch of uproot -> whether the schema shall see it; None for all.
    """

    name: str
    schema: type
    layout: Layout
    read: Reader
    generator_sum: Callable[[str], float | None] | None = None
    branches: Callable[[Any], bool] | None = None

    @property
    def iteritems_options(self) -> dict[str, Any]:
        """What coffea hands on to uproot where it lists the branches."""
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
) -> Callable[[Reader], Reader]:
    """Register a function as the adapter of a format, here or in a plugin; see `Adapter` for the arguments.

    Raises
    ------
    ConfigError
        If there is a format of this name.
    """

    def register(read: Reader) -> Reader:
        one = Adapter(name, schema, layout, read, generator_sum, branches)
        ADAPTERS.add(name, one, origin=getattr(read, "__qualname__", ""))
        return read

    return register


def find_adapter(name: str, dataset: str) -> Adapter:
    """Look up the adapter of a format, which a dataset asks for.

    Raises
    ------
    DatasetError
        If there is none.
    """
    if name not in ADAPTERS:
        msg = (
            f"dataset '{dataset}': there is no input format '{name}'. Formats: {', '.join(sorted(ADAPTERS))}. Correct "
            "metadata.format in the datasets file."
        )
        raise DatasetError(msg)
    return ADAPTERS[name]
