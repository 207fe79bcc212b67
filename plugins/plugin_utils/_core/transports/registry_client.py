# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Requests to one registry, through the HTTP API of the distribution specification, with the user's credentials.

A registry on this machine is contacted without TLS, as engines do; all others with TLS. Credentials are those of
``docker login``, credential helpers included.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from http import HTTPStatus
from urllib.parse import urljoin

from ..engine import docker_config
from ..engine.chunks import ChunkReader
from ..errors import EngineError, EngineUnavailableError, NotFoundError
from ..http_client import HttpClient, HttpError, HttpResponse
from ..layer_index.tar_stream import ForwardStream
from .manifests import INDEXES, MANIFESTS, parse_object

_LARGEST_DOCUMENT = 8 << 20
_LOCAL = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_ACCEPT = ", ".join((*MANIFESTS, *INDEXES))


class RegistryClient:
    """The client of one registry."""

    def __init__(self, host: str) -> None:
        """Take a host, if necessary with a port: ``registry.example.org:5000``. No connection is opened yet."""
        self.host = host
        self.title = f"registry {host}"
        self._base = f"{'http' if _LOCAL.fullmatch(host) else 'https'}://{host}/v2/"
        self._http = HttpClient()
        self._authorization: dict[str, str] = {}

    @contextmanager
    def get(self, repository: str, path: str, what: str) -> Iterator[HttpResponse]:
        """Request a path of the API.

        Args:
            repository: The repository, for which a login is made if the registry requires one.
            path: The path after ``/v2/``.
            what: The object, for error messages: ``layer sha256:…``.

        Yields:
            The answer, with a successful status.

        Raises:
            NotFoundError: The registry does not have the object.
            EngineError: The registry rejected the request.
            EngineUnavailableError: The registry does not answer, or the connection broke.
        """
        try:
            with ExitStack() as stack:
                answer = stack.enter_context(self._request(repository, path))
                if answer.status == HTTPStatus.UNAUTHORIZED and self._log_in(repository, answer.headers):
                    answer = stack.enter_context(self._request(repository, path))
                if answer.status == HTTPStatus.NOT_FOUND:
                    raise NotFoundError(f"{self.title} has no {what}")
                if not HTTPStatus(200) <= answer.status < HTTPStatus.BAD_REQUEST:
                    status = f"HTTP status {answer.status}{_hint(answer.status)}"
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

    def next_page(self, path: str, answer: HttpResponse) -> str | None:
        """Return the path of the page after ``path``; ``None`` after the last page."""
        address = answer.links.get("next")
        return address and urljoin(self._base + path, address).removeprefix(self._base)

    def _request(self, repository: str, path: str) -> AbstractContextManager[HttpResponse]:
        headers = {"Accept": _ACCEPT}
        if repository in self._authorization:
            headers["Authorization"] = self._authorization[repository]
        return self._http.request("GET", self._base + path, headers=headers)

    def _log_in(self, repository: str, headers: Mapping[str, str]) -> bool:
        """Answer the registry's challenge: use the password itself, or get a token. Return whether that worked."""
        scheme, _, rest = headers.get("WWW-Authenticate", "").partition(" ")
        challenge = dict(_CHALLENGE.findall(rest))
        login = docker_config.login(self.host)
        basic = login and f"Basic {base64.b64encode(':'.join(login).encode()).decode()}"
        if scheme.lower() == "basic" and basic:
            self._authorization[repository] = basic
            return True
        realm = challenge.get("realm", "")
        if scheme.lower() != "bearer" or not realm.startswith(("https://", self._base.partition("v2/")[0])):
            return False
        parameters = {"service": challenge.get("service", ""), "scope": f"repository:{repository}:pull"}
        with self._http.request(
            "GET", realm, parameters=parameters, headers={"Authorization": basic} if basic else None
        ) as answer:
            if answer.status != HTTPStatus.OK:
                return False
            info = parse_object(self.read(answer), self.title)
        self._authorization[repository] = f"Bearer {info.get('token') or info.get('access_token')}"
        return True


def _hint(status: int) -> str:
    refused = status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    return "; log in with `docker login`" if refused else ""
