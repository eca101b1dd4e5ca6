"""Words that give translated English away, counted in docstrings and pages, beside pyhf and gammapy.

`python -m tests.documentation.english` prints how often each pattern stands in 1,000 words, and whether that is within
a factor of three of the two others. It is a report, not a limit: nothing fails. `--docstrings FOLDER` and
`--pages FOLDER` measure another project in the same way.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click

REPOSITORY = Path(__file__).parents[2]

PATTERNS = {
    "what": r"\bwhat\b",
    "say, tell": r"\b(?:say|says|said|tell|tells|told)\b",
    "that of, those of": r"\b(?:that|those) of\b",
    "there is": r"\bthere (?:(?:may|can|must) )?(?:is|are|was|were|be|has|have)\b|\b(?:is|are|was|were) there\b",
    "you": r"\byou(?:r|rs|rself)?\b",
}
"""Pattern by name; matched without regard to case."""

FACTOR = 3.0

REFERENCES: dict[str, dict[str, dict[str, float]]] = {
    "docstrings": {
        "pyhf": {"what": 0.26, "say, tell": 0.13, "that of, those of": 0.00, "there is": 0.13, "you": 0.38},
        "gammapy": {"what": 0.06, "say, tell": 0.00, "that of, those of": 0.01, "there is": 0.18, "you": 0.59},
    },
    "pages": {
        "gammapy": {"what": 0.64, "say, tell": 0.10, "that of, those of": 0.01, "there is": 1.03, "you": 5.03},
    },
}
"""Frequencies per 1,000 words, measured with this script on the source distributions of pyhf 0.7.6 (15,590 words of
docstrings; it has no pages) and gammapy 2.1 (88,226 words of docstrings, 89,351 of `docs`) from PyPI."""

_WORD = re.compile(r"[^\W\d_][\w'-]*")
_FENCED = re.compile(r"^ *(```|~~~).*?^ *\1", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_CODE = re.compile(r"(`+)[^`]+?\1|<?https?://[^\s>]+>?")
_LITERAL = re.compile(r"(?<=::)\n\n(?:(?:[ \t]+\S.*)?\n)+|^[ \t]*(?:>>>|\.\.\.).*$", re.MULTILINE)


@dataclass(frozen=True)
class Text:
    """Prose of a project, without code: its docstrings and its pages."""

    docstrings: str
    pages: str


def prose(text: str) -> str:
    """Text without code blocks, doctests, code in backticks, comments and addresses."""
    for code in (_FENCED, _COMMENT, _LITERAL, _CODE):
        text = code.sub(" ", text)
    return text


def frequencies(text: str) -> dict[str, float]:
    """Matches of each pattern in 1,000 words of prose."""
    words = len(_WORD.findall(text))
    if not words:
        return dict.fromkeys(PATTERNS, 0.0)
    return {name: 1000 * len(re.findall(pattern, text, re.IGNORECASE)) / words for name, pattern in PATTERNS.items()}


def docstrings(source: str) -> Iterable[str]:
    """Docstrings of a module, its classes and its functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found = ast.get_docstring(node)
            if found is not None:
                yield found


def docstrings_below(folders: Iterable[Path]) -> str:
    """Prose of all docstrings of the modules in folders, tests left out."""
    modules = (path for folder in folders for path in sorted(folder.rglob("*.py")))
    shown = (path for path in modules if "tests" not in path.parts)
    return "\n\n".join(prose(one) for path in shown for one in docstrings(path.read_text(encoding="utf-8")))


def pages_below(folders: Iterable[Path]) -> str:
    """Prose of Markdown and reStructuredText files; folders are searched, files taken as they are."""
    found = (
        path
        for place in folders
        for path in (sorted([*place.rglob("*.md"), *place.rglob("*.rst")]) if place.is_dir() else [place])
    )
    return "\n\n".join(prose(path.read_text(encoding="utf-8")) for path in found)


def this_package() -> Text:
    """Docstrings of both packages; README, CONTRIBUTING and the pages of `docs`."""
    return Text(
        docstrings_below([REPOSITORY / "analysis", REPOSITORY / "processors"]),
        pages_below([REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", REPOSITORY / "docs"]),
    )


def verdict(ours: float, others: Iterable[float]) -> str:
    """`within` a factor of three of the range of the others, else `rarer` or `more often`."""
    lowest, highest = min(values := list(others)), max(values)
    if ours > FACTOR * highest:
        return "more often"
    return "rarer" if ours < lowest / FACTOR else "within"


def report(text: Text) -> list[str]:
    """Lines of the comparison with the stored references."""
    lines = []
    for kind, words in (("docstrings", text.docstrings), ("pages", text.pages)):
        lines.append(f"{kind}, per 1,000 of {len(_WORD.findall(words))} words")
        for name, ours in frequencies(words).items():
            others = {project: found[name] for project, found in REFERENCES[kind].items()}
            shown = ", ".join(f"{project} {value:.2f}" for project, value in others.items())
            lines.append(f"  {name:18} {ours:6.2f}   {shown:26} {verdict(ours, others.values())}")
    return lines


@click.command()
@click.option("--docstrings", "code", type=click.Path(path_type=Path, exists=True), help="Package of another project.")
@click.option("--pages", "pages", type=click.Path(path_type=Path, exists=True), help="Its documentation.")
def main(code: Path | None, pages: Path | None) -> None:
    """Print the frequencies of this package, or of another project, beside the stored ones."""
    if code is None and pages is None:
        text = this_package()
    else:
        text = Text(docstrings_below([code] if code else []), pages_below([pages] if pages else []))
    click.echo("\n".join(report(text)))


if __name__ == "__main__":
    main()
