# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HTTP to everything except the engine: registries, package archives, and the addresses of outside inputs.

One set of time limits, certificates and error texts. Importing this module takes about 0.1 s, so import it late.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

#: Seconds without a byte after which a server does not answer.
SILENCE = 30
_CHUNK = 1 << 20


class HttpError(Exception):
    """There is no whole answer.

    The message is the reason without the address, because an address may contain a password. Callers name the address.
    """


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer whose body has not been read."""

    status: int
    headers: Mapping[str, str]
    #: Addresses in the ``Link`` header, by their relation.
    links: Mapping[str, str]
    _raw: Any

    def chunks(self, seconds: float | None = None) -> Iterator[bytes]:
        """Read the body as the server sent it, without decoding.

        Args:
            seconds: Limit for the whole body; by default, only :data:`SILENCE` counts.

        Raises:
            HttpError: The connection broke, or took too long.
        """
        end = None if seconds is None else time.monotonic() + seconds
        try:
            # read1 returns what has arrived; read would wait for a whole chunk, however slow the server is.
            while chunk := self._raw.read1(_CHUNK, decode_content=False):
                yield chunk
                if end is not None and time.monotonic() > end:
                    raise HttpError(f"it took more than {seconds:.0f} seconds")
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise HttpError(_reason(error)) from error

    def read(self, limit: int) -> bytes:
        """Read the whole body.

        Raises:
            HttpError: It is larger than ``limit`` bytes, or the connection broke.
        """
        content = bytearray()
        for chunk in self.chunks():
            content += chunk
            if len(content) > limit:
                raise HttpError(f"the answer is larger than its limit of {limit} bytes")
        return bytes(content)


class HttpClient:
    """Connections that are used again, also by several threads, with the proxies of the environment.

    Certificates are checked with the system's authorities, with those of certifi, and with ``REQUESTS_CA_BUNDLE``.
    """

    def __init__(self, authorities: Iterable[Path] = ()) -> None:
        """Take what to trust. No connection is opened yet.

        Args:
            authorities: Files with certificates of more authorities.
        """
        self._session = requests.Session()
        self._session.headers.update({"User-Agent": "tierwright", "Accept-Encoding": "identity"})
        # Without this, requests would send a password of ~/.netrc in place of a token.
        self._session.auth = _unchanged
        self._session.mount("https://", _SystemAuthorities(tuple(authorities)))

    @contextmanager
    def request(
        self,
        method: str,
        address: str,
        *,
        headers: Mapping[str, str] | None = None,
        parameters: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Iterator[HttpResponse]:
        """Send a request; redirects are followed, without the ``Authorization`` header to another host.

        Args:
            method: ``GET``, ``HEAD``, ``POST``, ``PUT`` or ``PATCH``.
            address: ``http://`` or ``https://`` address.
            headers: Headers of the request.
            parameters: Added to the address as its query.
            body: Bytes, or an iterable of bytes.

        Yields:
            The answer, whatever its status is.

        Raises:
            HttpError: The server cannot be reached, does not answer in time, or redirects to an invalid address.
        """
        try:
            response = self._session.request(
                method, address, headers=headers, params=parameters, data=body, stream=True, timeout=SILENCE
            )
        except ValueError as error:  # of all three libraries; its text contains the address, with its password
            raise HttpError("the address is invalid, or redirects to an invalid one") from error
        except requests.RequestException as error:
            raise HttpError(_reason(error)) from error
        with response:
            links = {name: link["url"] for name, link in response.links.items() if "url" in link}
            yield HttpResponse(response.status_code, response.headers, links, response.raw)


class _SystemAuthorities(HTTPAdapter):
    """Trusts the certificate authorities of the system too, where companies install their own."""

    def __init__(self, more: Sequence[Path]) -> None:
        self._more = more
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        context = ssl.create_default_context()
        for file in self._more:
            context.load_verify_locations(file)
        super().init_poolmanager(*arguments, **options, ssl_context=context)


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _reason(error: BaseException) -> str:
    """Return the text of the innermost cause; the outer errors contain addresses and passwords."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    if isinstance(error, urllib3.exceptions.ReadTimeoutError | TimeoutError):
        return f"no answer within {SILENCE} seconds"
    if isinstance(error, urllib3.exceptions.IncompleteRead):
        return "the connection closed before the end of the answer"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error.args[-1]) if error.args else type(error).__name__
