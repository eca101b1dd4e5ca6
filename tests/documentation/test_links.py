"""Links of the Markdown, the notebook and the docstrings: the files and headings are there, the addresses well formed.

Sphinx checks the links between pages of `docs`; this checks them as GitHub shows them, and those of the files beside.
Whether addresses of others still answer takes a network: see CONTRIBUTING.md.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from docs._ext.generated import filled

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
PAGES = sorted([*REPOSITORY.glob("*.md"), *DOCS.rglob("*.md"), *DOCS.rglob("*.ipynb")])

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
URL = re.compile(r"https?://[^\s)>\"'`|\]]+")
PATH = re.compile(r"`((?:analysis|processors|tests|docs|\.ci)/[\w/.-]+)`")

_MONTH = r"[0-9]{2}(?:0[1-9]|1[0-2])"
ARXIV = re.compile(rf"(?:{_MONTH}\.[0-9]{{4,5}}|[a-z]+(?:-[a-z]+)?/{_MONTH}[0-9]{{3}})(?:v[0-9]+)?")
DOI = re.compile(r"10\.[0-9]{4,9}/[\w.()/:;-]*[\w)]")

SOURCES = ("*.md", "*.py", "*.toml", "*.cff", "*.ipynb", "*.j2", "datasets.json")


@dataclass(frozen=True)
class Link:
    page: Path
    target: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}: {self.target}"


def text_of(page: Path) -> str:
    """The Markdown of a page as the site shows it, or of the cells of a notebook."""
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".ipynb":
        return filled(text)
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def anchors(page: Path) -> set[str]:
    """Anchors that GitHub gives the headings: lower case, hyphens for spaces, no punctuation, numbered if repeated."""
    text = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    found: dict[str, int] = {}
    names = set()
    for heading in re.findall(r"^#{1,6} +(.*?) *$", text, re.MULTILINE):
        shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        shown = re.sub(r"(?<!\w)_(.+?)_(?!\w)", r"\1", shown)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        number = found[slug] = found.get(slug, -1) + 1
        names.add(f"{slug}-{number}" if number else slug)
    return names


def links() -> list[Link]:
    return [Link(page, target) for page in PAGES for target in LINK.findall(without_code(text_of(page)))]


def tracked() -> list[Path]:
    """Files that belong to the repository: those of git, where the checkout has it."""
    command = ["git", "ls-files", "-co", "--exclude-standard", *SOURCES]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return [REPOSITORY / line for line in listed.stdout.splitlines() if (REPOSITORY / line).is_file()]
    folders = ("analysis", "processors", "tests", "docs")
    below = [path for folder in folders for name in SOURCES for path in (REPOSITORY / folder).rglob(name)]
    return [path for name in SOURCES for path in REPOSITORY.glob(name)] + below


def test_links_within_the_repository_lead_to_a_file_and_a_heading() -> None:
    internal = [link for link in links() if not urlsplit(link.target).scheme]
    assert len(internal) > 100
    broken = []
    for link in internal:
        path, _, anchor = link.target.partition("#")
        target = (link.page.parent / path).resolve() if path else link.page
        if not target.exists() or not target.is_relative_to(REPOSITORY):
            broken.append(f"{link}: no such file")
        elif anchor and anchor not in anchors(target):
            broken.append(f"{link}: no such heading")
    assert broken == []


def test_every_page_is_reached_from_the_index() -> None:
    """The toctree shows what its patterns match; all other pages would be found by nobody."""
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    listed = [line for block in re.findall(r"```{toctree}\n(.*?)```", index, re.DOTALL) for line in block.splitlines()]
    patterns = [line for line in listed if line and not line.startswith(":")]
    reached = {page for pattern in patterns for page in DOCS.glob(f"{pattern}.md")}
    assert {page for page in DOCS.rglob("*.md") if page.name != "index.md"} == reached


def test_files_that_the_text_names_are_there() -> None:
    """Paths in code style that begin with a folder of the repository; some name what a user makes."""
    named = [Link(page, path) for page in PAGES for path in PATH.findall(text_of(page))]
    assert len(named) > 20
    assert [str(link) for link in named if not (REPOSITORY / link.target.rstrip(".")).exists()] == []


def test_addresses_are_https_and_well_formed() -> None:
    found = {Link(page, url.rstrip(".,;:")) for page in PAGES for url in URL.findall(text_of(page))}
    assert len(found) >= 8
    for link in found:
        parts = urlsplit(link.target)
        assert parts.scheme == "https", link
        assert re.fullmatch(r"([a-z0-9-]+\.)+[a-z]{2,}", parts.netloc), link
        assert "//" not in parts.path, link


@pytest.mark.parametrize(
    ("name", "prefix", "shape"),
    [
        ("arXiv", r"arXiv:|arxiv\.org/(?:abs|pdf)/", ARXIV),
        ("DOI", r"doi:|doi\.org/", DOI),
    ],
    ids=["arXiv", "DOI"],
)
def test_papers_are_cited_by_numbers_of_the_right_shape(name: str, prefix: str, shape: re.Pattern[str]) -> None:
    wrong, right = [], set()
    for path in tracked():
        if path == Path(__file__):
            continue
        for cited in re.findall(rf"(?:{prefix})([^\s`\"',\])|{{}}<>]+)", path.read_text(encoding="utf-8")):
            number = cited.rstrip(".:;")
            if shape.fullmatch(number):
                right.add(number)
            else:
                wrong.append(f"{path.relative_to(REPOSITORY)}: {cited}")
    assert wrong == []
    assert len(right) >= (20 if name == "arXiv" else 1)


@pytest.mark.parametrize(
    ("shape", "right", "wrong"),
    [
        (ARXIV, ["2009.02205", "1309.1287", "hep-ex/9902006", "physics/0702156"], ["2013.02205", "2009.022"]),
        (DOI, ["10.1145/2660193.2660195"], ["10.11/x", "2660193.2660195"]),
    ],
    ids=["arXiv", "DOI"],
)
def test_shapes_tell_right_from_wrong(shape: re.Pattern[str], right: list[str], wrong: list[str]) -> None:
    assert all(shape.fullmatch(one) for one in right)
    assert not any(shape.fullmatch(one) for one in wrong)


def test_anchors_are_those_of_github(tmp_path: Path) -> None:
    """As GitHub's documentation on section links has them."""
    page = tmp_path / "page.md"
    page.write_text(
        "# Sample Section\n## This'll be a _Helpful_ Section!\n### Not unique\n### Not unique\n"
        "```\n# no heading\n```\n## Cutflow and N−1\n## `a_b` of [c](d.md)\n"
    )
    headings = {"sample-section", "thisll-be-a-helpful-section", "not-unique", "not-unique-1"}
    assert anchors(page) == {*headings, "cutflow-and-n1", "a_b-of-c"}
