"""An HTML page as tests read it: strict about nesting, with its tables, images and links."""

from __future__ import annotations

import base64
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise
from urllib.parse import unquote_to_bytes

VOID = {"img", "link", "meta", "br", "hr", "input"}

PHRASING = {
    *("a", "abbr", "b", "br", "button", "code", "data", "em", "i", "img", "input", "kbd", "label", "small", "span"),
    *("strong", "sub", "sup", "time", "var"),
}
"""Elements of running text; nothing else may be in a paragraph, which a browser would end before it."""

TEXT = ("p", "h1", "h2", "h3", "h4", "summary", "caption", "dt", *sorted(PHRASING))

CHILDREN = {
    "ul": {"li"},
    "ol": {"li"},
    "dl": {"dt", "dd", "div"},
    "table": {"caption", "colgroup", "thead", "tbody", "tfoot", "tr"},
    "thead": {"tr"},
    "tbody": {"tr"},
    "tfoot": {"tr"},
    "tr": {"th", "td"},
    "html": {"head", "body"},
}
"""Elements in which no others may be, and no text: a browser would move them elsewhere."""

LOOSE = re.compile(r"&(?!(#[0-9]+|#x[0-9a-fA-F]+|[a-zA-Z][a-zA-Z0-9]*);)")
"""An ampersand that begins no character reference."""


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    children: list[Element | str] = field(default_factory=list)

    def find_all(self, tag: str) -> Iterator[Element]:
        """Elements of this tag, in the order of the document."""
        for child in self.children:
            if isinstance(child, Element):
                if child.tag == tag:
                    yield child
                yield from child.find_all(tag)

    def everything(self) -> Iterator[Element]:
        for child in self.children:
            if isinstance(child, Element):
                yield child
                yield from child.everything()

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def without(self, *ids: str) -> str:
        """Text and attributes below this, but for elements with these ids."""
        parts = [] if self.tag in ("style", "script") else [f"<{self.tag} {sorted(self.attributes.items())}>"]
        for child in self.children:
            if isinstance(child, str):
                parts.append(child)
            elif child.attributes.get("id") not in ids:
                parts.append(child.without(*ids))
        return "".join(parts)


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice: {names}"
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> at {self.getpos()} closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def parse_page(text: str) -> Element:
    """Parse a page; fails where it is not valid: see `check_validity`."""
    assert text.lstrip().lower().startswith("<!doctype html>")
    parser = _Parser()
    parser.feed(text)
    parser.close()
    assert parser.open == [parser.root], f"<{parser.open[-1].tag}> is not closed"
    check_validity(parser.root, text)
    return parser.root


def check_validity(page: Element, text: str) -> None:
    """Fail on what a browser would mend in silence; that every element is closed in its place, the parser checks."""
    elements = list(page.everything())
    ids = [one.attributes["id"] for one in elements if "id" in one.attributes]
    assert sorted(set(ids)) == sorted(ids), "an id occurs twice"
    assert all(identity and not re.search(r"\s", identity) for identity in ids)
    assert all("alt" in image.attributes for image in page.find_all("img")), "an image has no alt"
    for one in elements:
        inside = {child.tag for child in one.children if isinstance(child, Element)}
        if one.tag in TEXT:
            assert inside <= PHRASING, f"<{one.tag}> holds {inside - PHRASING}"
        if one.tag in CHILDREN:
            assert inside <= CHILDREN[one.tag], f"<{one.tag}> holds {inside - CHILDREN[one.tag]}"
            assert not any(child.strip() for child in one.children if isinstance(child, str)), f"<{one.tag}> holds text"
    loose = LOOSE.search(re.sub(r"<(script|style)>.*?</\1>", "", text, flags=re.DOTALL))
    assert loose is None, f"a loose ampersand: {text[loose.start() : loose.start() + 20]}"


def check_structure(page: Element) -> None:
    """What a page that stands alone and is read aloud needs beside being valid."""
    elements = list(page.everything())
    ids = [one.attributes["id"] for one in elements if "id" in one.attributes]
    for link in page.find_all("a"):
        target = link.attributes["href"] or ""
        assert target.startswith("data:") or target.removeprefix("#") in ids
        assert link.text.strip()
    for one in elements:
        assert (one.attributes.get("aria-labelledby") or ids[0]) in ids
        assert not any(name.startswith("on") or name == "style" for name in one.attributes)
        for name in ("src", "href"):
            assert str(one.attributes.get(name, "#")).startswith(("data:", "#"))
    assert all(image.attributes["alt"] for image in page.find_all("img"))
    levels = [int(one.tag[1]) for one in elements if re.fullmatch(r"h[1-6]", one.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(head.attributes["scope"] in ("row", "col") for head in page.find_all("th"))
    assert all(len(list(table.find_all("caption"))) == 1 for table in page.find_all("table"))
    assert [one.attributes["lang"] for one in page.find_all("html")] == ["en"]
    assert len(list(page.find_all("script"))) == 1


def by_id(page: Element, identity: str) -> Element:
    (found,) = (one for one in page.everything() if one.attributes.get("id") == identity)
    return found


def table_values(page: Element, caption: str) -> dict[str, list[list[float | None]]]:
    """Unrounded numbers of a table by column; each cell is a list of one number or none."""
    (table,) = (one for one in page.find_all("table") if next(one.find_all("caption")).text.strip() == caption)
    head, *rows = table.find_all("tr")
    names = [one.text.strip() for one in head.find_all("th")]
    columns: dict[str, list[list[float | None]]] = {name: [] for name in names}
    for row in rows:
        cells = [one for one in row.everything() if one.tag in ("th", "td")]
        assert len(cells) == len(names)
        for name, cell in zip(names, cells, strict=True):
            columns[name].append([float(one.attributes["value"] or "nan") for one in cell.find_all("data")])
    return columns


def column(page: Element, caption: str, name: str) -> list[float | None]:
    """Unrounded numbers of one column, None where there is none."""
    return [cell[0] if cell else None for cell in table_values(page, caption)[name]]


def decoded(uri: str | None) -> bytes:
    assert uri is not None
    head, _, content = uri.partition(",")
    assert head.startswith("data:")
    return base64.b64decode(content, validate=True) if head.endswith(";base64") else unquote_to_bytes(content)


def downloads(page: Element) -> dict[str, bytes]:
    """Files in the page by name."""
    links = [one for one in page.find_all("a") if "download" in one.attributes]
    found = {one.attributes["download"] or "": decoded(one.attributes["href"]) for one in links}
    assert len(found) == len(links)
    return found


def csv_table(content: bytes) -> list[dict[str, str]]:
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    assert all(None not in row and None not in row.values() for row in rows)
    return rows
