"""An HTML page as tests read it: strict about nesting, with its tables, images and links."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"img", "link", "meta", "br", "hr", "input"}


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
    """Parse a page; fails where an element is not closed in its place."""
    assert text.lstrip().lower().startswith("<!doctype html>")
    parser = _Parser()
    parser.feed(text)
    parser.close()
    assert parser.open == [parser.root], f"<{parser.open[-1].tag}> is not closed"
    return parser.root


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
    head, _, content = uri.partition(";base64,")
    assert head.startswith("data:")
    return base64.b64decode(content, validate=True)


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
