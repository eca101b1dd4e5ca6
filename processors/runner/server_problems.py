"""Explain in plain words why a server does not give a file, with a remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from importlib.util import find_spec

from processors.remote import NoRangesError

__all__ = ["is_network", "is_refused", "server_problem"]

_FORBIDDEN, _MISSING = (401, 403, 407), (404, 410)
_LATER = (408, 425, 429)
"""Client errors after which a server asks to come back."""

_XROOTD = {
    r"\[3010\]|[Pp]ermission denied|Auth failed|[Aa]uthentication": 403,
    r"\[3011\]|[Nn]o such file": 404,
    r"\[3005\]|\[3012\]|\[3024\]|overload": 503,
}
"""Texts of errors of XRootD, which has no status, and the status that they correspond to."""

_XROOTD_EXPIRED = re.compile(r"Operation expired|Socket timeout")
_XROOTD_CLOSED = re.compile(r"Connection error|Invalid address|Stream disconnect|Socket error")

_TIMEOUTS = {"TimeoutError", "ReadTimeoutError", "ConnectTimeoutError"}
_NETWORK = {"ConnectionError", "ClientConnectionError"} | _TIMEOUTS
_CREDENTIALS = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"}


def is_refused(chain: Sequence[BaseException]) -> bool:
    """Return whether a server refuses to give a file in a way that does not pass, such as for lack of a permission."""
    status = _status(chain)
    refused = status is not None and status < 500 and status not in _LATER
    return refused or bool(_names(chain) & _CREDENTIALS) or any(isinstance(cause, NoRangesError) for cause in chain)


def is_network(chain: Sequence[BaseException]) -> bool:
    """Return whether an error is one of the network, so that it says nothing about the file."""
    return bool(_names(chain) & _NETWORK)


def server_problem(chain: Sequence[BaseException], address: str) -> str | None:
    """Describe why a server does not give a file.

    Parameters
    ----------
    chain : sequence of BaseException
        Exception and its causes.
    address : str
        URL of the file.

    Returns
    -------
    str or None
        None if the problem is not one of the server.
    """
    protocol = address.partition("://")[0].rpartition("::")[2]
    return _library_problem(chain, protocol) or _answer(chain) or _silence(chain, protocol)


def _answer(chain: Sequence[BaseException]) -> str | None:
    """Describe an answer of the server that is not the file."""
    if any(isinstance(cause, NoRangesError) for cause in chain):
        return (
            "the server sends whole files only (no range requests), so that parts of it cannot be read. Download the "
            "file, or use another server."
        )
    status = _status(chain)
    return None if status is None else _status_problem(status)


def _silence(chain: Sequence[BaseException], protocol: str) -> str | None:
    """Describe why the server gives no answer."""
    if _names(chain) & _CREDENTIALS:
        return f"no credentials for {protocol}:// addresses were found ({chain[-1]}). Set them up, or log in."
    if _names(chain) & _TIMEOUTS or _says(chain, _XROOTD_EXPIRED):
        return "the server did not answer in time. Try again later, or give it more with --timeout SECONDS."
    if is_network(chain) or _says(chain, _XROOTD_CLOSED):
        return f"the server cannot be reached ({chain[-1]}). Check the address and the network, or try again later."
    return None


def _library_problem(chain: Sequence[BaseException], protocol: str) -> str | None:
    if protocol == "root" and find_spec("fsspec_xrootd") is None:
        return "root:// addresses need the extra xrootd: pip install 'cwola-dijet[xrootd]'."
    if any(isinstance(cause, ImportError) or str(cause).startswith("Protocol not known") for cause in chain):
        hint = " pip install s3fs." if protocol == "s3" else ""
        return f"no library that reads {protocol}:// addresses is installed ({chain[-1]}).{hint}"
    return None


def _status_problem(status: int) -> str:
    answer = f"{status} {HTTPStatus(status).phrase}" if status in list(HTTPStatus) else str(status)
    if status in _FORBIDDEN:
        return (
            f"the server refuses access ({answer}). Check your credentials for it: a proxy certificate, a token or "
            "password, or keys; they may have expired."
        )
    if status in _MISSING:
        return f"there is no such file on the server ({answer}). Correct the address in the datasets file."
    if status in _LATER or status >= 500:
        return f"the server cannot give the file at present ({answer}). Try again later."
    return f"the server refuses the request ({answer}). Check the address in the datasets file."


def _status(chain: Sequence[BaseException]) -> int | None:
    """Status of the answer of a server, as HTTP has them."""
    return next((status for cause in chain for status in _statuses(cause) if 400 <= status < 600), None)


def _statuses(cause: BaseException) -> Iterator[int]:
    status, response = getattr(cause, "status", None), getattr(cause, "response", None)
    if isinstance(status, int):
        yield status
    if isinstance(response, dict):  # of S3
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if isinstance(found, int):
            yield found
    if isinstance(cause, OSError):
        yield from (status for text, status in _XROOTD.items() if re.search(text, _xrootd_text(cause)))


def _xrootd_text(cause: BaseException) -> str:
    text = str(cause)
    return text if "[ERROR]" in text or "[FATAL]" in text else ""


def _says(chain: Sequence[BaseException], pattern: re.Pattern[str]) -> bool:
    return any(pattern.search(_xrootd_text(cause)) for cause in chain)


def _names(chain: Sequence[BaseException]) -> set[str]:
    return {base.__name__ for cause in chain for base in type(cause).__mro__}
