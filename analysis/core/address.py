"""Addresses of files with secrets in them: passwords, tokens and signatures are used, but not shown or stored.

An `Address` is the text without them; the full one is kept in memory and travels to workers with it, as do addresses
of replicas of the same file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Self
from urllib.parse import parse_qsl, quote, unquote

__all__ = ["Address", "full_address", "hide_secrets", "parse_address", "replicas_of"]

_SCHEME = r"[A-Za-z][A-Za-z0-9+.\-]*"
_UNCHAINED = rf"(?!::{_SCHEME}(?:::|://))"
_LINK = re.compile(rf"{_SCHEME}://(?:{_UNCHAINED}[^\s'\"<>])+(?<![.,:;])")
"""An address in a text, without what ends a sentence; several may be chained with `::`, as fsspec does."""

_WHOLE = re.compile(rf"{_SCHEME}://(?:{_UNCHAINED}.)+", re.DOTALL)
"""The same where the text is nothing but an address, which may hold blanks and quotes."""

_AS_PATH = re.compile(rf"(?<![\w@])({_SCHEME}:/)[^/\s]+@")
"""Beginning of an address that was taken for a path, which joins slashes."""

_USER = re.compile(r"[^/?#@:\[]*:(?!\d*(?:[/?#]|\Z))[^@]*@(?:[^/?#]*@)?")
"""Name and password before a host; the password may hold what would end it in a valid address."""

_SECRET = r"auth|token|pass|secret|sig|cred|key|session|jwt|macaroon|policy|expires|amz|goog|code|cookie|user"
_KEPT = r"\w*(?:file|path|name|version|format|download|dataset)\w*|id|n|i|v|run|part"
_HARMLESS = re.compile(rf"(?!.*(?:{_SECRET}))(?:{_KEPT})", re.IGNORECASE)
"""Names of parameters that are kept, since they may say which file it is."""

_PARAMETER = re.compile(rf"(?<=[?&;])([\w.\-]*(?:{_SECRET})[\w.\-]*=)[^\s&;'\"<>)\]]+(?<![.,:])", re.IGNORECASE)
_BEARER = re.compile(r"\b(Bearer|Basic)(\s+|%20)[\w.~+/=\-]{6,}", re.IGNORECASE)
_HIDDEN = "***"


class Address(str):
    """Address of a file or folder without its secrets.

    Parameters
    ----------
    full : str
        As it was given, to open it.
    replicas : sequence of str
        Other addresses of the same file, in the order in which they are tried.
    shown : str, optional
        Text of the address; by default the full one without secrets.
    """

    __slots__ = ("full", "replicas")
    full: str
    replicas: tuple[str, ...]

    def __new__(cls, full: str, *, replicas: Sequence[str] = (), shown: str | None = None) -> Self:
        """Hide the secrets of an address."""
        self = super().__new__(cls, _WHOLE.sub(_without_secrets, full) if shown is None else shown)
        self.full = full
        self.replicas = tuple(replicas)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to workers, and be copied, with the secrets and the replicas."""
        return _rebuild, (self.full, self.replicas, str(self))


def _rebuild(full: str, replicas: tuple[str, ...], shown: str) -> Address:
    return Address(full, replicas=replicas, shown=shown)


def parse_address(text: str) -> str:
    """Return a path or address unchanged, or as an `Address` if it holds secrets."""
    if isinstance(text, Address) or "://" not in text:
        return text
    address = Address(text)
    return text if str(address) == text else address


def full_address(text: str) -> str:
    """Return an address with its secrets, to open it."""
    return text.full if isinstance(text, Address) else text


def replicas_of(text: str) -> list[str]:
    """Return all addresses of a file, the address itself first; each is without replicas."""
    if not isinstance(text, Address) or not text.replicas:
        return [text]
    return [parse_address(text.full), *map(parse_address, text.replicas)]


def hide_secrets(text: str, *addresses: str) -> str:
    """Remove the secrets of addresses from a text, such as the message of a library.

    Parameters
    ----------
    text : str
    *addresses : str
        Addresses whose secrets may occur in any form.
    """
    for address in addresses:
        if isinstance(address, Address):
            text = text.replace(address.full, str(address))
            for secret in sorted(_secrets(address.full), key=len, reverse=True):
                text = text.replace(secret, _HIDDEN)
    text = _AS_PATH.sub(r"\1", _LINK.sub(_without_secrets, text))
    return _BEARER.sub(rf"\1\2{_HIDDEN}", _PARAMETER.sub(rf"\1{_HIDDEN}", text))


def _without_secrets(link: re.Match[str]) -> str:
    scheme, authority, path, query = _split(link[0])
    kept = [one for one in re.split("[&;]", query) if one and _is_harmless(one)]
    shown = _PARAMETER.sub(rf"\1{_HIDDEN}", path)
    return f"{scheme}://{authority.rpartition('@')[2]}{shown}{'?' if kept else ''}{'&'.join(kept)}"


def _is_harmless(parameter: str) -> bool:
    """Whether a parameter may say which file it is, and holds no further address."""
    name, _, value = parameter.partition("=")
    return bool(_HARMLESS.fullmatch(name)) and not {"@", "?"} & set(unquote(value))


def _split(link: str) -> tuple[str, str, str, str]:
    scheme, _, rest = link.partition("://")
    if user := _USER.match(rest):
        host, path, query = _split(f"{scheme}://{rest[user.end() :]}")[1:]
        return scheme, user[0] + host, path, query
    before, _, query = re.split(r"(?<!\A)#", rest, maxsplit=1)[0].partition("?")
    authority, slash, path = before.partition("/")
    return scheme, authority, slash + path, query


def _secrets(full: str) -> Iterator[str]:
    """All texts in an address that are secret: as given, and decoded."""
    for link in _WHOLE.findall(full):
        _, authority, _, query = _split(link)
        user, _, password = authority.rpartition("@")[0].partition(":")
        hidden = [one for one in re.split("[&;]", query) if not _is_harmless(one)]
        given = [password or user, *(one.partition("=")[2] for one in hidden), link.partition("#")[2]]
        decoded = [unquote(password), *(value for one in hidden for _, value in parse_qsl(one))]
        encoded = [quote(one, safe="") for one in decoded]
        yield from (secret for secret in [*given, *decoded, *encoded] if len(secret) > 3)
