"""The count of translated English, on a text counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documentation.english import docstrings_below, frequencies, pages_below, prose, verdict


def test_patterns_are_counted_in_a_thousand_words() -> None:
    """Twenty words: two "what", one "says", one "those of", one "there is", two of the second person."""
    text = "What you see is what the page says. There is one limit; those of others differ. Your code stays so."
    assert len(text.split()) == 20
    assert frequencies(text) == {"what": 100, "say, tell": 50, "that of, those of": 50, "there is": 50, "you": 100}


def test_words_that_only_resemble_a_pattern_are_not_counted() -> None:
    text = "Whatever the saying, youth goes there. That offset is essential, and tellers isolate thereof."
    assert set(frequencies(text).values()) == {0}
    assert set(frequencies("").values()) == {0}


def test_code_is_no_prose() -> None:
    page = """One `what` two.

```python
what = you  # what you see
```

<!-- what -->
Run::

    what there is

Three <https://example.org/what>.

>>> what
"""
    assert "".join(prose(page).split()) == "Onetwo.Run::Three."


def test_docstrings_and_pages_of_a_folder_are_read(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(
        '"""Module."""\n\n\nclass A:\n    """Class."""\n\n    def f(self):\n        "Method."\n        return "what"\n'
    )
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_module.py").write_text('"""Test."""\n')
    (tmp_path / "page.md").write_text("Markdown.")
    (tmp_path / "page.rst").write_text("reStructuredText.")
    assert docstrings_below([tmp_path]).split() == ["Module.", "Class.", "Method."]
    assert pages_below([tmp_path]).split() == ["Markdown.", "reStructuredText."]


@pytest.mark.parametrize(("ours", "expected"), [(0.3, "rarer"), (0.34, "within"), (6.0, "within"), (6.1, "more often")])
def test_a_factor_of_three_around_the_others(ours: float, expected: str) -> None:
    assert verdict(ours, [1.0, 2.0]) == expected
