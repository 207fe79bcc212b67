# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HTTP to everything except the engine: registries, package archives, and the addresses of outside inputs.

One set of time limits, certificates and error texts. Importing this module takes about 0.1 s, so import it late.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import msgspec
import requests
import urllib3
from requests.adapters import HTTPAdapter

#: Seconds without a byte after which a server does not answer.
SILENCE = 30
#: Seconds after which status and headers of an answer must be complete, however many bytes arrive in between.
PATIENCE = 60
#: Bytes in a second that a server must take or send on average. A body with fewer counts as one that never ends.
SLOWEST = 20_000
#: Statuses that redirect, and how many redirects are followed.
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_CHUNK = 1 << 20

#: The query of an address: values, or lists of values, by name.
Parameters = Mapping[str, str | Sequence[str]]


class HttpError(Exception):
    """There is no whole answer.

    The message is the reason without the address, because an address may contain a password. Callers name the address.
    """


def seconds_for(size: int) -> float:
    """Return the limit in seconds for a body of this size in bytes."""
    return PATIENCE + size / SLOWEST


class LastingHttpError(HttpError):
    """The same request would fail again: the address is invalid, or the server is not trusted."""


class HttpResponse(msgspec.Struct, frozen=True):
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
            HttpError: It is larger than ``limit`` bytes, the connection broke, or it took too long.
        """
        content = bytearray()
        for chunk in self.chunks(seconds_for(limit)):
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
        self._session = _Session(tuple(authorities))
        self._session.headers.update({"User-Agent": "tierwright", "Accept-Encoding": "identity"})
        # Without this, requests would send a password of ~/.netrc in place of a token.
        self._session.auth = _unchanged

    @contextmanager
    def request(
        self,
        method: str,
        address: str,
        *,
        headers: Mapping[str, str] | None = None,
        parameters: Parameters | None = None,
        body: Any = None,
        work: float = 0,
    ) -> Iterator[HttpResponse]:
        """Send a request.

        Redirects of ``GET`` and ``HEAD`` are followed, without the ``Authorization`` header to another host. To other
        methods, a redirect is an answer: nothing is written where the caller did not ask to. This machine's own
        servers are never reached through a proxy.

        Args:
            method: ``GET``, ``HEAD``, ``POST``, ``PUT`` or ``PATCH``.
            address: ``http://`` or ``https://`` address.
            headers: Headers of the request.
            parameters: Added to the address as its query.
            body: Bytes, or an iterable of bytes.
            work: Seconds that the server may need for the request before it answers, in addition to all limits.

        Yields:
            The answer, whatever its status is.

        Raises:
            HttpError: The server cannot be reached, does not answer in time, or redirects to an invalid address.
        """
        try:
            response = self._send(method, address, dict(headers or {}), parameters, body, SILENCE + work)
        except ValueError as error:  # of all three libraries; its text contains the address, with its password
            raise LastingHttpError("the address is invalid, or redirects to an invalid one") from error
        except requests.exceptions.SSLError as error:
            raise LastingHttpError(_reason(error)) from error
        except requests.RequestException as error:
            raise HttpError(_reason(error)) from error
        with response:
            links = {name: link["url"] for name, link in response.links.items() if "url" in link}
            yield HttpResponse(response.status_code, response.headers, links, response.raw)

    def _send(
        self, method: str, address: str, headers: dict[str, str], parameters: Parameters | None, body: Any, wait: float
    ) -> requests.Response:
        """Send a request, and follow its redirects."""
        for _redirect in range(_MOST_REDIRECTS + 1):
            response = self._session.request(
                method,
                address,
                headers=headers,
                params=parameters,
                data=body,
                stream=True,
                timeout=(SILENCE, wait),
                proxies=_proxies(address),
            )
            target = response.headers.get("Location")
            if target is None or response.status_code not in _REDIRECTS or method not in {"GET", "HEAD"}:
                return response
            response.close()  # without its body, which may have any length
            following = urljoin(address, target)
            if urlsplit(address)[:2] != urlsplit(following)[:2]:
                headers.pop("Authorization", None)
            address, parameters = following, None
        raise LastingHttpError(f"it redirects more than {_MOST_REDIRECTS} times")


class _Session(requests.Session):
    """A session that follows no redirects. Before it does, requests reads the whole body of the answer.

    It loads certificates of authorities at the first address that needs them. Those of a system take 15 ms.
    """

    def __init__(self, authorities: Sequence[Path]) -> None:
        super().__init__()
        self._tls = _TlsContext(authorities)
        self.mount("http://", _Adapter(self._tls))
        del self.adapters["https://"]

    def get_adapter(self, url: str) -> Any:
        if url.lower().startswith("https://") and "https://" not in self.adapters:
            self.mount("https://", _TlsAdapter(self._tls))
        return super().get_adapter(url)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return no target."""


class _TooSlowError(TimeoutError):
    """Bytes arrived, but not the whole answer."""


class _Watched:
    """A connection that ends if status and headers of an answer are not complete in time.

    The time limit of a socket begins again with every byte. A server may send ``100 Continue`` any number of times.
    """

    sock: Any
    #: The limit of the socket, to which urllib3 sets it before it asks for the answer.
    timeout: Any

    def getresponse(self) -> Any:
        late = threading.Event()
        timer = threading.Timer(PATIENCE + self.timeout - SILENCE, _hang_up, (self.sock, late))
        timer.daemon = True
        timer.start()
        answer = None
        try:
            answer = super().getresponse()  # type: ignore[misc]
        except (OSError, http.client.HTTPException):
            if not late.is_set():
                raise
        finally:
            timer.cancel()
        if not late.is_set():
            return answer
        if answer is not None:  # headers that were cut off look complete
            answer.close()
        raise _TooSlowError


def _hang_up(connection: Any, late: threading.Event) -> None:
    late.set()
    with suppress(OSError, AttributeError):  # it has ended, or is TLS within TLS, which cannot be shut down
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _Connection(_Watched, urllib3.connection.HTTPConnection):
    pass


class _TlsConnection(_Watched, urllib3.connection.HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _TlsContext:
    """What is trusted: the certificate authorities of the system too, where companies install their own, and others."""

    def __init__(self, more: Sequence[Path]) -> None:
        self._more = more
        if more:
            self.context  # noqa: B018 - an unreadable file is an error at once

    @cached_property
    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        for file in self._more:
            context.load_verify_locations(file)
        return context


class _Adapter(HTTPAdapter):
    """Connections without TLS, except to a proxy."""

    def __init__(self, tls: _TlsContext) -> None:
        self._tls = tls
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **{"ssl_context": self._tls.context, **options})
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
        return manager


class _TlsAdapter(_Adapter):
    """Connections with TLS, also through a proxy."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options, ssl_context=self._tls.context)


def _proxies(address: str) -> dict[str, str] | None:
    """Return what keeps a request from a proxy, as engines do, if the server is on this machine."""
    name = urlsplit(address).hostname or ""
    try:
        local = ipaddress.ip_address(name).is_loopback
    except ValueError:
        local = name == "localhost"
    return {"no_proxy": name} if local else None


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _reason(error: BaseException) -> str:
    """Return the text of the innermost cause; the outer errors contain addresses and passwords."""
    if isinstance(error, requests.exceptions.ProxyError):
        return f"the proxy: {_reason(error.__cause__ or error.__context__ or OSError('it does not answer'))}"
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    if isinstance(error, _TooSlowError):
        return f"no whole answer within {PATIENCE} seconds"
    if isinstance(error, urllib3.exceptions.ReadTimeoutError | TimeoutError):
        return f"no answer within {SILENCE} seconds"
    if isinstance(error, urllib3.exceptions.IncompleteRead):
        return "the connection closed before the end of the answer"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error.args[-1]) if error.args else type(error).__name__
