"""Registries: members that are looked up by name at start, from this package or from a plugin.

Tasks carry the members themselves, so that workers need no registry.
"""

from __future__ import annotations

import sys
from typing import Any, TypeVar

from analysis.errors import ConfigError

__all__ = ["Registry", "all_registries"]

T = TypeVar("T")

_ALL: list[Registry[Any]] = []


class Registry(dict[str, T]):
    """Members of one kind by name, in order.

    Parameters
    ----------
    kind : str
        Kind of the members, for messages and for the manifest.
    of_events : bool
        Whether the members affect the selected events or their columns.

    Attributes
    ----------
    givers : dict of str to str
        Module whose execution added each name.

    Examples
    --------
    >>> from analysis.background import FUNCTIONS
    >>> FUNCTIONS["dijet3"].formula
    'p0 (1-x)^p1 / x^p2'
    >>> FUNCTIONS.givers["dijet3"]
    'analysis.background.functions'
    """

    def __init__(self, kind: str, *, of_events: bool = False) -> None:
        super().__init__()
        self.kind = kind
        self.of_events = of_events
        self.givers: dict[str, str] = {}
        self._origins: dict[str, tuple[str, str]] = {}
        _ALL.append(self)

    def add(self, name: str, item: T, *, origin: str = "", after: str | None = None) -> None:
        """Add a member under a new name.

        Parameters
        ----------
        name : str
        item : object
        origin : str
            Qualified name of a function: the same function of the same module may be added again, as in a notebook.
        after : str, optional
            Name of the previous member; by default the new member comes last.

        Raises
        ------
        ConfigError
            If the name is taken, or no member is named `after`.
        """
        giver = _executed_module()
        if name in self and (not origin or self._origins.get(name) != (giver, origin)):
            msg = f"a {self.kind} '{name}' exists already, from {self.givers.get(name, '?')}; choose another name."
            raise ConfigError(msg)
        if after is not None and after not in self:
            msg = f"{self.kind} '{name}': there is no '{after}' that it could follow. There are {', '.join(self)}."
            raise ConfigError(msg)
        self[name] = item
        self.givers[name], self._origins[name] = giver, (giver, origin)
        if after is not None:
            names = list(self)
            for later in names[names.index(after) + 1 :]:
                if later != name:
                    self[later] = self.pop(later)

    def remove(self, name: str) -> None:
        """Remove the member with this name."""
        del self[name], self.givers[name], self._origins[name]


def all_registries() -> tuple[Registry[Any], ...]:
    """Registries of all modules imported so far."""
    return tuple(_ALL)


def _executed_module() -> str:
    """Name of the innermost module whose top-level statements are being executed: the one that adds a member."""
    frame = sys._getframe()
    while frame.f_code.co_name != "<module>" and frame.f_back is not None:
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", ""))
