# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Requests to one registry, through the HTTP API of the distribution specification, with the user's credentials."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin

from ..build_key.outside_inputs import readable
from ..chain.names import is_digest
from ..engine.chunks import ChunkReader
from ..errors import DamagedError, EngineError, EngineUnavailableError, NotFoundError, TierwrightError
from ..http_client import HttpClient, HttpError, HttpResponse
from ..layer_index.tar_stream import ForwardStream
from ..text import printable_lines
from .image_document import digest
from .manifests import INDEXES, MANIFESTS, parse_object
from .registry_access import RegistryAccess

_LARGEST_DOCUMENT = 8 << 20
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_ACCEPT = ", ".join((*MANIFESTS, *INDEXES))

#: Answers after which a request is repeated. docker-registry 2.8 answers reads with 500 while a tag is being moved.
_TEMPORARY = frozenset({429, 500, 502, 503, 504})
#: Seconds before each repetition.
_DELAYS = (0.2, 0.5, 1.0, 2.0)
#: Longest time in seconds that a registry may demand by ``Retry-After``.
_LONGEST_DELAY = 30.0


class RegistryClient:
    """The client of one registry."""

    def __init__(self, host: str, access: str = "pull", settings: RegistryAccess | None = None) -> None:
        """Take what to contact. No connection is opened yet.

        Args:
            host: Its host, if necessary with a port: ``registry.example.org:5000``.
            access: What to request a token for: ``pull``, or ``pull,push``.
            settings: How to contact it; by default as Docker and Podman do.

        Raises:
            EngineError: A file with certificates of authorities cannot be read.
        """
        self.host = host
        self.title = f"registry {host}"
        self._access = access
        self._settings = settings or RegistryAccess()
        self._base = f"{self._settings.scheme(host)}://{host}/v2/"
        authorities = self._settings.authorities(host)
        try:
            self._http = HttpClient(authorities)
        except OSError as error:
            raise EngineError(
                f"the certificates for {self.title} cannot be read ({', '.join(map(str, authorities))}): "
                f"{error.strerror or error}"
            ) from error
        self._authorization: dict[str, str] = {}

    @contextmanager
    def get(self, repository: str, path: str, what: str) -> Iterator[HttpResponse]:
        """Read an object; see :meth:`request`.

        Raises:
            NotFoundError: The registry does not have the object.
        """
        with self.request("GET", repository, path, what, other={HTTPStatus.NOT_FOUND}) as answer:
            if answer.status == HTTPStatus.NOT_FOUND:
                raise NotFoundError(f"{self.title} has no {what}")
            yield answer

    @contextmanager
    def request(
        self,
        method: str,
        repository: str,
        path: str,
        what: str,
        *,
        other: Collection[int] = (),
        headers: Mapping[str, str] | None = None,
        parameters: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Iterator[HttpResponse]:
        """Send a request. Requests without a streamed body are repeated after temporary errors.

        Args:
            method: The HTTP method.
            repository: The repository, for which a login is made if the registry requires one.
            path: The path after ``/v2/``, or an address that the registry returned.
            what: The object, for error messages: ``layer sha256:…``.
            other: Other statuses that are not errors.
            headers: Headers of the request.
            parameters: Added to the address as its query.
            body: Bytes, or an iterable of bytes.

        Yields:
            The answer, with a successful status or one of ``other``.

        Raises:
            EngineError: The registry rejected the request, or sends the client to a different host.
            EngineUnavailableError: The registry does not answer, or the connection broke.
        """
        address = urljoin(self._base, path)
        if not address.startswith(self._base.removesuffix("v2/")):
            raise EngineError(f"{self.title} sends requests for {what} to a different address, {readable(address)}")
        arguments = (method, address, headers or {}, parameters, body)
        try:
            with ExitStack() as stack:
                answer = self._open(stack, repository, *arguments)
                if answer.status == HTTPStatus.UNAUTHORIZED and self._log_in(repository, answer.headers):
                    answer = self._open(stack, repository, *arguments)
                if not HTTPStatus.OK <= answer.status < HTTPStatus.BAD_REQUEST and answer.status not in other:
                    status = f"HTTP status {answer.status}{self._reason(answer)}{_hint(answer.status)}"
                    raise EngineError(f"{self.title} answered the request for {what} with {status}")
                yield answer
        except HttpError as error:
            raise EngineUnavailableError(f"{self.title} does not answer ({error})") from error

    def read(self, answer: HttpResponse) -> bytes:
        """Read a document.

        Raises:
            DamagedError: It is larger than 8 MiB.
        """
        chunks = ChunkReader(answer.chunks())
        return ForwardStream(chunks, f"an answer of {self.title}", _LARGEST_DOCUMENT).read(_LARGEST_DOCUMENT + 1)

    def document(self, repository: str, kind: str, wanted: str) -> bytes:
        """Read a manifest or a small blob, and compare its digest with the wanted one, or with what the registry says.

        Args:
            repository: The repository.
            kind: ``manifests`` or ``blobs``.
            wanted: A digest; for a manifest also a tag.

        Raises:
            NotFoundError: The repository does not have it.
            DamagedError: It has a different digest, or is larger than 8 MiB.
            EngineError: The registry rejected the request.
            EngineUnavailableError: The registry does not answer.
        """
        what = f"{repository}{'@' if is_digest(wanted) else ':'}{wanted}"
        with self.get(repository, f"{repository}/{kind}/{wanted}", what) as answer:
            content = self.read(answer)
            expected = wanted if is_digest(wanted) else answer.headers.get("Docker-Content-Digest", "")
        if is_digest(expected) and digest(content) != expected:
            raise DamagedError(
                f"{what} in {self.title} is damaged: it has the digest {digest(content)}, expected {expected}"
            )
        return content

    def next_page(self, path: str, answer: HttpResponse) -> str | None:
        """Return the path of the page after ``path``; ``None`` after the last page."""
        address = answer.links.get("next")
        return address and urljoin(self._base + path, address).removeprefix(self._base)

    def _open(
        self,
        stack: ExitStack,
        repository: str,
        method: str,
        address: str,
        headers: Mapping[str, str],
        parameters: Mapping[str, str] | None,
        body: Any,
    ) -> HttpResponse:
        """Send a request, and send it again after a temporary error."""
        own = {"Authorization": self._authorization[repository]} if repository in self._authorization else {}
        delays = iter(_DELAYS if body is None or isinstance(body, bytes) else ())
        while True:
            delay = next(delays, None)
            try:
                request = self._http.request(
                    method, address, headers={"Accept": _ACCEPT, **own, **headers}, parameters=parameters, body=body
                )
                answer = stack.enter_context(request)
            except HttpError:
                if delay is None:
                    raise
            else:
                if delay is None or answer.status not in _TEMPORARY:
                    return answer
                delay = max(delay, _retry_after(answer.headers))
            time.sleep(delay)

    def _reason(self, answer: HttpResponse) -> str:
        """Return the first message of an error in the answer (``errors`` of the distribution specification)."""
        try:
            (first, *_others) = parse_object(self.read(answer), self.title)["errors"]
            return f" ({printable_lines(str(first['message']))})"
        except (TierwrightError, HttpError, KeyError, TypeError, ValueError):
            return ""

    def _log_in(self, repository: str, headers: Mapping[str, str]) -> bool:
        """Answer the registry's challenge: use the password itself, or get a token. Return whether that worked."""
        scheme, _, rest = headers.get("WWW-Authenticate", "").partition(" ")
        challenge = dict(_CHALLENGE.findall(rest))
        login = self._settings.login(self.host, repository)
        basic = login and f"Basic {base64.b64encode(':'.join(login).encode()).decode()}"
        if scheme.lower() == "basic" and basic:
            self._authorization[repository] = basic
            return True
        realm = challenge.get("realm", "")
        if scheme.lower() != "bearer" or not realm.startswith(("https://", self._base.partition("v2/")[0])):
            return False
        parameters = {"service": challenge.get("service", ""), "scope": f"repository:{repository}:{self._access}"}
        with self._http.request(
            "GET", realm, parameters=parameters, headers={"Authorization": basic} if basic else None
        ) as answer:
            if answer.status != HTTPStatus.OK:
                return False
            info = parse_object(self.read(answer), self.title)
        self._authorization[repository] = f"Bearer {info.get('token') or info.get('access_token')}"
        return True


def _retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds that the registry asks to wait; 0 if it does not say, or says a date."""
    text = headers.get("Retry-After", "")
    return min(float(text), _LONGEST_DELAY) if text.isdecimal() else 0.0


def _hint(status: int) -> str:
    refused = status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    return "; log in with `docker login`" if refused else ""
