"""The parser that the tests of pages rest on refuses what a browser would mend in silence."""

from __future__ import annotations

import pytest

from tests.builders.html_page import parse_page


@pytest.mark.parametrize(
    "body",
    [
        "<p>open",
        "<b><i>crossed</b></i>",
        '<p id="a">one</p><p id="a">two</p>',
        '<p id="a b">two words</p>',
        '<p class="a" class="b">an attribute twice</p>',
        '<img src="data:,">',
        "<p><ul><li>a list in a paragraph</li></ul></p>",
        "<p><span><div>a block in running text</div></span></p>",
        "<ul>text<li>one</li></ul>",
        "<table><td>a cell without a row</td></table>",
        "<p>R & D</p>",
    ],
)
def test_invalid_pages_are_refused(body: str) -> None:
    with pytest.raises(AssertionError):
        parse_page(f"<!DOCTYPE html><html><body>{body}</body></html>")


def test_a_valid_page_is_read() -> None:
    page = parse_page(
        "<!DOCTYPE html><html><head><style>a & b {}</style></head><body><p>R &amp; D <b id='x'>5&#160;GeV</b></p>"
        "<img src='data:,' alt=''><table><tr><th>a</th></tr></table></body></html>"
    )
    assert "R & D 5\N{NO-BREAK SPACE}GeV" in page.text
