"""Texts that travel with an archive: how to use it, its licence, and how to cite it."""

from __future__ import annotations

from collections.abc import Mapping

from analysis.export.archive.document import ArchiveDocument

__all__ = ["text_members"]

_LICENCE = """No licence was named when this archive was written, so that its content may be used only as the law allows
without one. Ask those who published it, and ask them to name a licence with
`cwola export search --licence FILE`.
"""

_CITATION = """cff-version: 1.2.0
message: Cite the search that this archive holds, and the software.
type: dataset
title: Archive of a dijet resonance search
authors:
  - name: Those who published this archive
references:
  - type: software
    title: cwola-dijet
    version: {version}
    license: BSD-3-Clause
    authors:
      - name: The cwola-dijet developers
"""

_README = """# Archive of a dijet resonance search

Written by cwola-dijet {version}. Find the limit of this search on a signal of your own, with classifiers trained again:

```
cwola reinterpret THIS_FILE --signal my_signal.root --output my_limits
```

Signals may be CMS NanoAOD, Delphes or ATLAS PHYSLITE files. Nothing else is needed{plugins}.

- `archive.json`: what this archive is, with the SHA-256 of every member
- `config.json`, and files that it names: the configuration
- `process.json`, `parts/`: {events}
- `search/`: results of the archived search, with its classifiers and limits
- `LICENCE.txt`, `CITATION.cff`: how it may be used, and how to cite it
"""


def text_members(
    document: ArchiveDocument, *, licence: bytes | None = None, citation: bytes | None = None
) -> Mapping[str, bytes]:
    """Return the texts of an archive by name.

    Parameters
    ----------
    document : ArchiveDocument
    licence, citation : bytes, optional
        Content of the files `LICENCE.txt` and `CITATION.cff`; by default a text that says that no licence was named,
        and a citation of the software.

    Returns
    -------
    mapping of str to bytes
    """
    named = [f"`{plugin.name}` (SHA-256 {plugin.sha256})" for plugin in document.plugins]
    readme = _README.format(
        version=document.cwola,
        plugins=f", except code that is not in the archive: name it with `--plugin`: {', '.join(named)}"
        if named
        else "",
        events="selected events"
        if document.synthetic is None
        else f"synthetic events, which stand for the selected ones ({document.synthetic.reason}), and simulation",
    )
    return {
        "README.md": readme.encode(),
        "LICENCE.txt": _LICENCE.encode() if licence is None else licence,
        "CITATION.cff": _CITATION.format(version=document.cwola).encode() if citation is None else citation,
    }
