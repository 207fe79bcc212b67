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
from ..http_client import HttpClient, HttpError, HttpResponse, LastingHttpError, Parameters, seconds_for
from ..layer_index.tar_stream import ForwardStream
from ..text import one_line
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
#: Seconds after the first attempt in which a request is repeated. The last attempt can take as long again.
_LONGEST = 60.0
#: Bytes in a second that a registry moves at least to their final place, before it answers.
_SLOWEST_STORE = 10_000_000
#: Length of a registry's reason in an error message.
_REASON = 200
_TOKEN = re.compile(r"[\x21-\x7e]+")


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
        parameters: Parameters | None = None,
        body: Any = None,
    ) -> Iterator[HttpResponse]:
        """Send a request. Requests without a streamed body are repeated after temporary errors.

        A token that has expired is replaced, and the request is sent again.

        Args:
            method: The HTTP method.
            repository: The repository, for which a login is made if the registry requires one.
            path: The path after ``/v2/``, or an address that the registry returned.
            what: The object, for error messages: ``layer sha256:…``.
            other: Other statuses that are not errors.
            headers: Headers of the request.
            parameters: Added to the address as its query.
            body: Bytes, or an iterable of bytes of a known length that begins again each time it is iterated.

        Yields:
            The answer, with a successful status or one of ``other``.

        Raises:
            EngineError: The registry rejected the request, or sends the client to a different host.
            EngineUnavailableError: The registry does not answer, the connection broke, or its error is temporary.
        """
        address = _join(self._base, path)
        if not address.startswith(self._base.removesuffix("v2/")):
            raise EngineError(f"{self.title} sends requests for {what} to a different address, {_shown(address)}")

        def send() -> HttpResponse:
            own = {"Authorization": self._authorization[repository]} if repository in self._authorization else {}
            all_headers = {"Accept": _ACCEPT, **own, **(headers or {})}
            return self._open(stack, method, address, all_headers, parameters, body)

        try:
            with ExitStack() as stack:
                answer = send()
                if answer.status == HTTPStatus.UNAUTHORIZED and self._log_in(repository, answer.headers):
                    answer = send()
                if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES and answer.status not in other:
                    status = f"HTTP status {answer.status}{self._reason(answer)}{_hint(answer.status)}"
                    kind = EngineUnavailableError if answer.status in _TEMPORARY else EngineError
                    raise kind(f"{self.title} answered the request for {what} with {status}")
                yield answer
        except HttpError as error:
            raise EngineUnavailableError(f"{self.title} does not answer the request for {what} ({error})") from error

    def read(self, answer: HttpResponse) -> bytes:
        """Read a document.

        Raises:
            DamagedError: It is larger than 8 MiB.
        """
        chunks = ChunkReader(answer.chunks(seconds_for(0)))
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
        return address and _join(self._base + path, address).removeprefix(self._base)

    def _open(
        self,
        stack: ExitStack,
        method: str,
        address: str,
        headers: Mapping[str, str],
        parameters: Parameters | None,
        body: Any,
    ) -> HttpResponse:
        """Send a request, and send it again after a temporary error."""
        delays, end = iter(_DELAYS if body is None or isinstance(body, bytes) else ()), time.monotonic() + _LONGEST
        work = len(body) / _SLOWEST_STORE if body is not None else 0
        while True:
            delay = next(delays, None)
            try:
                request = self._http.request(
                    method, address, headers=headers, parameters=parameters, body=body, work=work
                )
                answer = stack.enter_context(request)
            except LastingHttpError:
                raise
            except HttpError:
                if delay is None or time.monotonic() + delay > end:
                    raise
            else:
                if delay is None or answer.status not in _TEMPORARY:
                    return answer
                delay = max(delay, _retry_after(answer.headers))
                if time.monotonic() + delay > end:
                    return answer
            time.sleep(delay)

    def _reason(self, answer: HttpResponse) -> str:
        """Return the first message of an error in the answer (``errors`` of the distribution specification)."""
        try:
            (first, *_others) = parse_object(self.read(answer), self.title)["errors"]
            return f" ({one_line(str(first['message']), _REASON)})"
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
        # A mount needs access to its source too, which only the challenge says.
        own = f"repository:{repository}:"
        others = [scope for scope in challenge.get("scope", "").split() if not scope.startswith(own)]
        parameters = {"service": challenge.get("service", ""), "scope": [f"{own}{self._access}", *others]}
        self._authorization[repository] = f"Bearer {self._token(realm, parameters, basic)}"
        return True

    def _token(self, realm: str, parameters: Parameters, basic: str | None) -> str:
        """Get a token from the server that makes them for the registry."""
        title = f"{_shown(realm)}, which makes the tokens for {self.title},"
        try:
            with ExitStack() as stack:
                answer = self._open(stack, "GET", realm, {"Authorization": basic} if basic else {}, parameters, None)
                if answer.status != HTTPStatus.OK:
                    kind = EngineUnavailableError if answer.status in _TEMPORARY else EngineError
                    raise kind(f"{title} answered with HTTP status {answer.status}{_hint(answer.status)}")
                info = parse_object(self.read(answer), title)
        except HttpError as error:
            raise EngineUnavailableError(f"{title} does not answer ({error})") from error
        token = info.get("token") or info.get("access_token")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise DamagedError(f"{title} answered without a token")
        return token


def _join(base: str, path: str) -> str:
    """Resolve an address that the registry returned."""
    try:
        return urljoin(base, path)
    except ValueError:
        return path


def _shown(address: str) -> str:
    """Return an address without what may be secret in it, for error messages."""
    try:
        return readable(address)
    except ValueError:
        return "which is invalid"


def _retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds that the registry asks to wait; 0 if it does not say, or says a date."""
    text = headers.get("Retry-After", "")
    return min(float(text), _LONGEST_DELAY) if text.isdecimal() else 0.0  # more digits than a float has: infinity


def _hint(status: int) -> str:
    refused = status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    return "; log in with `docker login`" if refused else ""
