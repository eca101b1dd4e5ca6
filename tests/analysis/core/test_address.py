"""Secrets of addresses: used, but neither shown nor stored."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import asdict

import pytest

from analysis.core.address import Address, full_address, hide_secrets, parse_address
from analysis.events.dataset import Dataset

SHOWN = {
    "https://me:S3CRET@host:8443/d/f.root?authz=S3CRET&file=3": "https://host:8443/d/f.root?file=3",
    "https://me:S3@CRET@host/f.root": "https://host/f.root",
    "root://host//store/f.root?authz=Bearer%20S3CRET&xrd.wantprot=unix": "root://host//store/f.root",
    "root://host//store/f.root?S3CRET": "root://host//store/f.root",
    "https://b.s3.amazonaws.com/k.root?X-Amz-Credential=S3CRET&X-Amz-Signature=S3CRET": "https://b.s3.amazonaws.com/k.root",
    "https://host/f.root?sv=2024&se=2026&sig=S3CRET": "https://host/f.root",
    "https://host/f.root?unheard_of=S3CRET;t=S3CRET": "https://host/f.root",
    "https://host/get?filename=a.root&username=S3CRET": "https://host/get?filename=a.root",
    "https://host/f.root#access_token=S3CRET": "https://host/f.root",
    "simplecache::https://me:S3CRET@host/f.root?t=S3CRET": "simplecache::https://host/f.root",
    "zip://in.root::https://me:S3CRET@host/a.zip": "zip://in.root::https://host/a.zip",
    "s3://KEY:S3CRET@bucket/a/b.root": "s3://bucket/a/b.root",
    "https://me:S3/CRET@host/f.root?file=3": "https://host/f.root?file=3",
    "https://me:S3?CRET@host:8443/f.root": "https://host:8443/f.root",
    "https://me:S3#CRET@host/f.root": "https://host/f.root",
    "https://me:S3 C'RET@host/f.root": "https://host/f.root",
    "root://me:8S3CRET@host//store/f.root": "root://host//store/f.root",
    "https://S3CRET@host/f.root": "https://host/f.root",
    "http://[::1]:8080/f.root?token=S3CRET": "http://[::1]:8080/f.root",
    "http://me:S3CRET@[::ffff:10.0.0.1]/f.root": "http://[::ffff:10.0.0.1]/f.root",
    "https://host/f.root;jsessionid=S3CRET": "https://host/f.root;jsessionid=***",
    "https://host/get?file=https://me:S3CRET@inner/f.root": "https://host/get",
    "https://host/get?file=https%3A%2F%2Fme%3AS3CRET%40inner": "https://host/get",
    "https://host/f.root?p=S3CRET&v=2": "https://host/f.root?v=2",
    "https://host/f.root?ACCESS_TOKEN=S3CRET": "https://host/f.root",
}

PLAIN = [
    *("/a/b.root", "relative/f.root", "/home/me@cern/a:b@c.root", "root://host:1094//store/me@cern/f.root"),
    *(
        "simplecache::root://host//store/f.root",
        "http://[::1]:8080/f.root",
        "root://host//store/f.root",
        "https://host/get?file=a.root",
    ),
]


@pytest.mark.parametrize("full", SHOWN)
def test_an_address_is_shown_without_its_secrets_and_opened_with_them(full: str) -> None:
    address = parse_address(full)
    assert str(address) == f"{address}" == SHOWN[full]
    assert full_address(address) == full
    for again in (pickle.loads(pickle.dumps(address)), copy.deepcopy(address), parse_address(address)):
        assert (str(again), full_address(again)) == (SHOWN[full], full)
    dataset = Dataset("x", "data", "nanoaod", ((address, "Events"),))
    for text in (json.dumps(asdict(dataset)), repr(address), repr(dataset.files), dataset._repr_html_()):
        assert "S3" not in text.replace("s3", "")
        assert "CRET" not in text
    assert next(iter(dataset.to_runner()["x"]["files"])).full == full  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", PLAIN)
def test_an_address_without_secrets_stays_the_text_that_it_is(text: str) -> None:
    assert parse_address(text) is text
    assert hide_secrets(text) == text


def test_renewed_tokens_leave_an_address_equal() -> None:
    first, second = (Address(f"https://host/f.root?authz={token}") for token in ("old", "new"))
    assert first == second == "https://host/f.root"
    assert hash(first) == hash(second)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            "404, message='Not Found', url='https://h/f.root?authz=S3CRET'",
            "404, message='Not Found', url='https://h/f.root'",
        ),
        (
            "[3011] Unable to open /f.root?authz=S3CRET; no such file",
            "[3011] Unable to open /f.root?authz=***; no such file",
        ),
        ("headers: {'Authorization': 'Bearer an.other-token'}", "headers: {'Authorization': 'Bearer ***'}"),
        ("cannot log in with pa ss", "cannot log in with ***"),
        ("https://you:S3CRET@h/f.root?token=S3CRET: expected a file.", "https://h/f.root: expected a file."),
        ("cannot read /f.root?token=S3CRET.", "cannot read /f.root?token=***."),
        ("no file /w/https:/you:S3CRET@h/f.json?token=S3CRET", "no file /w/https:/h/f.json?token=***"),
        ("no file /w/you@cern:/a@b", "no file /w/you@cern:/a@b"),
        ("cannot log in with pa%20ss", "cannot log in with ***"),
        ("at most 3 of 5 files; sig=4 keys=7", "at most 3 of 5 files; sig=4 keys=7"),
    ],
)
def test_messages_of_libraries_lose_the_secrets(message: str, shown: str) -> None:
    assert hide_secrets(message, Address("https://me:pa%20ss@h/f.root?authz=S3CRET")) == shown
