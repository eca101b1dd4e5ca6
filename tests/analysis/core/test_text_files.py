"""Text files are read within limits, and each reason is one line that names the place."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.core.text_files import (
    irregular,
    load_json,
    load_toml,
    one_line,
    read_bytes,
    read_text,
    shown,
)

DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (DEEP, "nested more than 50 levels deep"),
        ("[" * 51 + "]" * 51, "nested more than 50 levels deep"),
        ('{"a": [1, {"b": NaN}]}', "at /a/1/b: the number nan is not finite"),
        ('{"a": 1e999}', "at /a: the number inf is not finite"),
        (f'{{"a": {10**19}}}', "at /a: a whole number of more than 64 bits"),
        ('{"a": "b\\u0000"}', r"at /a: 'b\x00' holds the character '\x00', which cannot be used"),
        ('{"a": "\\ud800"}', r"holds the character '\ud800', which cannot be used"),
        ('{"a\\nb": 1}', r"the key 'a\nb' holds the character '\n', which cannot be used"),
        (f'{{"{"k" * 10_001}": 1}}', "at /: a key of 10001 characters, more than 10000"),
        (f'["{"k" * 10_001}"]', "at /0: a text of 10001 characters, more than 10000"),
        ('{"a": {"b": 1, "b": 2}}', "the key 'b' occurs twice in one object"),
        ("NaN", "the number nan is not finite"),
        ("{", "Expecting property name"),
        (f'{{"a": {"9" * 5000}}}', "4300 digits"),
    ],
)
def test_json_that_would_overwhelm_its_readers_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)) as caught:
        load_json(text)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("text", "options", "value"),
    [
        ("[" * 50 + "]" * 50, {}, None),
        ('{"a": NaN}', {"finite": False}, None),
        (f'["{"k" * 20_000}"]', {"longest": None}, None),
        (f"[{2**63 - 1}, {-(2**63 - 1)}]", {}, [2**63 - 1, -(2**63 - 1)]),
        ('{"é": "ß\\ttab\\nline"}', {}, {"é": "ß\ttab\nline"}),
    ],
)
def test_json_within_the_limits_is_read(text: str, options: dict[str, Any], value: Any) -> None:
    found = load_json(text, **options)
    assert value is None or found == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"a = {DEEP}", "nested more than 50 levels deep"),
        (".".join("a" * 60) + " = 1", "nested more than 50 levels deep"),
        (f"a = {10**30}", "at /a: a whole number of more than 64 bits"),
        ('"a\\u0000b" = 1', "which cannot be used"),
        ("a = 1\na = 2", "Cannot overwrite a value"),
        ("a = \x01", "Invalid value"),
    ],
)
def test_toml_that_would_overwhelm_its_readers_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)) as caught:
        load_toml(text)
    assert len(str(caught.value).splitlines()) == 1


def test_infinite_numbers_are_allowed_in_toml() -> None:
    assert load_toml("a = inf") == {"a": float("inf")}


def large(path: Path) -> None:
    path.touch()
    os.truncate(path, 10**11)


@pytest.mark.parametrize(
    ("make", "reason", "kind"),
    [
        (os.mkfifo, "it is a named pipe, not a regular file", "a named pipe"),
        (Path.mkdir, "it is a folder, not a regular file", "a folder"),
        (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a regular file", "a device"),
        (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links", None),
        (lambda path: path.symlink_to("/proc/self/mem"), "Input/output error", None),
        (large, "it is larger than 0.001 MB, too large for what it should be", None),
        (lambda path: None, "No such file or directory", None),
    ],
)
def test_only_regular_files_of_limited_size_are_read(
    tmp_path: Path, make: Callable[[Path], object], reason: str, kind: str | None
) -> None:
    path = tmp_path / "file"
    make(path)
    assert irregular(path) == kind
    with pytest.raises(OSError, match=re.escape(f"] {reason}")):
        read_bytes(path, 1000)


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_a_name_that_no_file_can_have_is_an_error_of_the_system(name: str) -> None:
    with pytest.raises(OSError, match="no file can have this name"):
        read_bytes(Path(name))
    assert irregular(Path(name)) is None


@pytest.mark.parametrize("content", [b"caf\xc3\xa9", b"\xef\xbb\xbfcaf\xc3\xa9"])
def test_text_is_read_with_and_without_a_byte_order_mark(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    assert read_text(tmp_path / "file", len(content)) == "café"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\nb", r"'a\nb'"),
        ("x" * 100, "'" + "x" * 76 + "..."),
        ([10**5000], "a value of type list"),
        ("\u2028", r"'\u2028'"),
    ],
    ids=["line end", "long", "many digits", "line separator"],
)
def test_values_in_messages_are_short_and_on_one_line(value: object, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(("text", "line"), [("a\n\tb", "a b"), ("x" * 400, "x" * 297 + "..."), ("a\x1bb", "a?b")])
def test_messages_of_libraries_are_put_on_one_line(text: str, line: str) -> None:
    assert one_line(text) == line
