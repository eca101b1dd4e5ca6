"""Standard output in any encoding."""

from __future__ import annotations

import codecs
import io
import sys

__all__ = ["allow_any_encoding"]

_PLAIN = {
    "χ": "chi",
    "²": "2",
    "σ": "sigma",
    "μ": "mu",
    "λ": "lambda",
    "ε": "epsilon",
    "Δ": "Delta",
    "√": "sqrt ",
    "±": "+-",
    "×": "x",
    "≤": "<=",
    "≥": ">=",
    "–": "-",
    "−": "-",
    "…": "...",
    "→": "->",
    "τ": "tau",
    "\N{NO-BREAK SPACE}": " ",
}
"""Characters of this package for outputs that cannot write them."""


def allow_any_encoding() -> None:
    """Let standard output and error write all texts, whatever encoding a batch system gives them.

    Characters that the encoding lacks are spelt out, or written as a question mark.
    """
    codecs.register_error("cwola.plain", _spell_out)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="cwola.plain")


def _spell_out(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(character, "?") for character in error.object[error.start : error.end]), error.end
