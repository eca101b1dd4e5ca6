"""A sealed file is the written one, to the last byte."""

from __future__ import annotations

import hashlib

import pytest

from analysis.core.sealed import UNSEALED, is_sound, is_sound_file, seal, seal_file

CONTENT = b"head" + UNSEALED + b"tail"


def test_the_seal_is_the_digest_of_the_file_with_zeros_in_its_place():
    expected = hashlib.sha256(CONTENT).hexdigest().encode()
    assert seal(CONTENT) == CONTENT.replace(b"0" * 64, expected)
    assert is_sound(seal(CONTENT))


def test_no_byte_can_change():
    sealed = seal(CONTENT)
    for position in range(len(sealed)):
        for change in (1, 128):
            copy = bytearray(sealed)
            copy[position] ^= change
            assert not is_sound(bytes(copy)), position


@pytest.mark.parametrize("content", [b"", b"text", CONTENT, UNSEALED[:-1], seal(CONTENT)[:-1], seal(CONTENT) + b"0"])
def test_a_file_without_its_seal_is_not_sound(content):
    assert not is_sound(content)


@pytest.mark.parametrize("content", [b"text", UNSEALED[:-1], seal(CONTENT)])
def test_a_file_without_a_place_for_its_seal_cannot_be_sealed(content):
    with pytest.raises(ValueError, match="no place"):
        seal(content)


def test_text_before_the_seal_may_look_like_one():
    assert is_sound(seal(UNSEALED + b"between" + UNSEALED))


def test_a_file_is_sealed_in_place_as_its_bytes_are(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    seal_file(path)
    assert path.read_bytes() == seal(CONTENT)
    assert is_sound_file(path)


@pytest.mark.parametrize("content", [b"", b"text", CONTENT, seal(CONTENT)[:-1], seal(CONTENT) + b"0"])
def test_a_file_that_was_changed_is_not_sound(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert not is_sound_file(path)


def test_a_file_without_a_place_for_its_seal_stays_as_it_is(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"text")
    with pytest.raises(ValueError, match="no place"):
        seal_file(path)
    assert path.read_bytes() == b"text"
