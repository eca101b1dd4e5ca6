"""Pythia settings of the user: which may be given, so that no other file is read, written or executed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from analysis.core.text_files import shown
from analysis.errors import ConfigError

__all__ = ["parse_commands", "require_no_text"]

_LINE = re.compile(r"([A-Za-z0-9]+:[A-Za-z0-9_()+-]+)\s*=?\s*([^!#]*?)\s*(?:[!#].*)?")
_VALUE = re.compile(r"[A-Za-z0-9 .,+\-{}*~'_()]+")
"""Neither paths nor quotes; long names of particles have ~, * and '."""

_OURS = {
    "beams": "the collision energy is sqrt_s_gev, and the beams are protons",
    "random": "the seed is --seed",
    "main": "the number of events is --events, and there are no subruns",
    "partonlevel:mpi": "multiple interactions are off in every sample",
    "heavyion": "the beams are protons",
    **dict.fromkeys(("init", "next", "stat", "print"), "it prints, or loads libraries"),
    **dict.fromkeys(("slha", "alpgen", "merging", "lhahdf5", "xmlpath", "parallelism"), "it concerns other files"),
    "multipartoninteractions:reuseinit": "it concerns other files",
}
"""Groups and settings that are refused, and the reason."""

_INTEGER_WORDS = re.compile(r"pdf:(pset|psetb|phardset|phardsetb)")


def parse_commands(text: str) -> list[str]:
    """Return the settings of a Pythia command file as plain `Key = value`.

    Parameters
    ----------
    text : str
        Lines `Group:name = value` or `ID:property = value`; lines that begin with anything except a letter or a digit
        are comments, as in Pythia.

    Returns
    -------
    list of str

    Raises
    ------
    ConfigError
        If a line is no such setting, reads or writes another file, or sets what `cwola simulate` sets.
    """
    lines = []
    for number, line in enumerate(text.splitlines(), start=1):
        plain = line.strip()
        if plain.startswith("/*"):
            raise _refusal(number, plain, "comments begin with ! or #, one line each")
        if not plain or not plain[0].isalnum():
            continue
        found = _LINE.fullmatch(plain)
        if found is None or not _VALUE.fullmatch(found[2]):
            expected = "expected `Group:name = value` or `ID:property = value`, without paths, quotes or includes"
            raise _refusal(number, plain, expected)
        key = found[1].lower()
        for refused, reason in _OURS.items():
            if refused in (key, key.split(":")[0]):
                raise _refusal(number, plain, reason)
        lines.append(f"{found[1]} = {found[2]}")
    if not lines:
        msg = "the Pythia command file has no setting. Give at least a process, such as `Top:all = on`."
        raise ConfigError(msg)
    return lines


def require_no_text(lines: Sequence[str], settings: Any) -> None:
    """Refuse settings that Pythia reads as text, which name files and libraries; numbers of parton densities may pass.

    Parameters
    ----------
    lines : sequence of str
        From `parse_commands`, or of this package.
    settings : pythia8mc.Settings

    Raises
    ------
    ConfigError
        If there is one.
    """
    for line in lines:
        key, value = line.split(" = ", 1)
        if (settings.isWord(key) or settings.isWVec(key)) and not (
            _INTEGER_WORDS.fullmatch(key.lower()) and value.strip().isdigit()
        ):
            msg = (
                f"the Pythia setting {shown(line)} is text, which Pythia takes for the name of a file or library or "
                "for a list. Leave it out: numbers and on or off are taken, and of parton densities their numbers."
            )
            raise ConfigError(msg)


def _refusal(number: int, line: str, reason: str) -> ConfigError:
    return ConfigError(f"line {number} of the Pythia command file, {shown(line)}: {reason}. Remove the line.")
