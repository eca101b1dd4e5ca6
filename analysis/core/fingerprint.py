"""Fingerprints of all results on disk: a digest of everything that a result depends on, as listed by each stage.

A result is reused only if its fingerprint equals the fingerprint of the result that would be made now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from analysis.core.code_digest import code_digest
from analysis.core.documents import digest, to_json
from analysis.core.plugins import plugin_digests
from analysis.core.registry import Registry

__all__ = ["Configured", "fingerprint"]


class Configured(Protocol):
    """A configuration whose sections have a digest."""

    def digest(self, *sections: str) -> str:
        """Digest of the named sections."""
        ...


def fingerprint(
    *,
    code: Sequence[str],
    events: Any = None,
    config: tuple[Any, ...] | None = None,
    seed: int | None = None,
    plugins: Iterable[tuple[Registry[Any], Iterable[str]]] = (),
    corrections: Any = None,
    upstream: Sequence[str] = (),
    **further: Any,
) -> str:
    """Digest of everything that a result depends on.

    Parameters
    ----------
    code : sequence of str
        Modules that make the result; all modules of this project that they import are included.
    events : JSON-serialisable, optional
        Identity of the events, such as `SearchInputs.events_identity`.
    config : (Configured, str, ...), optional
        Configuration, and the names of its relevant sections.
    seed : int, optional
        Seed of the random numbers.
    plugins : iterable of (Registry, names)
        Names that are looked up; the content of plugins that added one is included.
    corrections : JSON-serialisable, optional
        Corrections of the background.
    upstream : sequence of str
        Fingerprints of the results from which this one is made.
    **further
        Further dependencies, JSON-serialisable.

    Returns
    -------
    str
        16 hex digits.
    """
    configured: Configured | None = None
    sections: tuple[str, ...] = ()
    if config is not None:
        configured, *names = config
        sections = tuple(names)
    return digest(
        {
            "code": code_digest(*code),
            "events": events,
            "config": None if configured is None else configured.digest(*sections),
            "seed": seed,
            "plugins": plugin_digests(*plugins),
            "corrections": to_json(corrections) or None,
            "upstream": list(upstream),
            "further": further,
        }
    )
