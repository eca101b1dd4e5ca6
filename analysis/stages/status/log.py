"""Last command and running stage by the log of a results folder."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from analysis.core.text_files import one_line, open_regular

__all__ = ["LastCommand", "last_command"]

_END = 200_000
"""Bytes of the log that are read."""

_LINE = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\S* INFO cwola: (.*)$")
_COMMAND = re.compile(r"cwola \S+: (.*)")
_STAGE = re.compile(r"([a-z0-9 -]+): (started|finished in .*)")


@dataclass(frozen=True)
class LastCommand:
    """Last command in a log.

    Attributes
    ----------
    text : str
        Its arguments and the time of its start.
    stages : tuple of str
        Stages that were started and not finished, the innermost last.
    """

    text: str
    stages: tuple[str, ...] = ()


def last_command(log: Path) -> LastCommand | None:
    """Read the end of a log; None if there is none, or it names no command."""
    try:
        with open_regular(log) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _END))
            text = file.read(_END).decode("utf-8", errors="replace")
    except OSError:
        return None
    found, open_stages = "", list[str]()
    for line in text.splitlines():
        if (match := _LINE.match(line)) is None:
            continue
        when, message = match.groups()
        if command := _COMMAND.fullmatch(message):
            found, open_stages = f"`cwola {one_line(command[1])}`, {when}", []
        elif stage := _STAGE.fullmatch(message):
            if stage[2] == "started":
                open_stages.append(stage[1])
            elif stage[1] in open_stages:
                open_stages.remove(stage[1])
    return LastCommand(found, tuple(open_stages)) if found else None
