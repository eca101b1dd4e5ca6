"""What the documentation prints, as files and commands."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def promised_names() -> list[tuple[str, str]]:
    """Module and name of everything that `api.md` promises, in order."""
    found = re.findall(
        r"^\.\. automodule:: (\S+)\n   :members: (.+)$", (DOCS / "api.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    return [(module, name) for module, names in found for name in names.split(", ")]


def printed_files(page: str) -> dict[str, str]:
    """Files of a page by name: a block below a line that holds only the name."""
    found = re.findall(r"^`(\S+)`:\n\n```\w+\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    return dict(found)


def printed_commands(page: str) -> list[list[str]]:
    """Return the commands `cwola ...` of the blocks of a page, without the program."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    return [line.split()[1:] for block in blocks for line in block.splitlines() if line.startswith("cwola ")]
