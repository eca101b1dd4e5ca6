"""Keep what one file says about its classes from the next file that is read by the same process.

uproot makes classes from the descriptions in a file and keeps them for all files. A flipped byte in the version of a
class is enough to replace a class of uproot by one that other files cannot be read with.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import uproot

from processors.runner.restoring import Restored

__all__ = ["isolated_classes"]


class _Classes:
    """The classes that uproot knows, and the versions of each."""

    def __init__(self) -> None:
        self._known = {name: (one, dict(_versions(one))) for name, one in uproot.classes.items()}
        self._unknown = dict(uproot.unknown_classes)

    def restore(self) -> None:
        """Make uproot forget all others."""
        _replace(uproot.classes, {name: one for name, (one, _) in self._known.items()})
        _replace(uproot.unknown_classes, self._unknown)
        for one, versions in self._known.values():
            _replace(_versions(one), versions)


def _versions(one: Any) -> dict[int, Any]:
    found: dict[int, Any] = getattr(one, "known_versions", {})
    return found


def _replace(target: dict[Any, Any], content: dict[Any, Any]) -> None:
    for name in target.keys() - content.keys():
        del target[name]
    target.update(content)


_CLASSES = Restored(lambda: _Classes().restore)


def isolated_classes() -> AbstractContextManager[None]:
    """Forget the classes of the files that are read inside the context, once no other context is open."""
    return _CLASSES.changing()
