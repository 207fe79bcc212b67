# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Images in a registry, through the HTTP API of the distribution specification.

Every document and layer is compared with the digest that it was asked for by. Whoever runs on this machine is spoken to
without TLS, as engines do; all others with it. Credentials are those of ``docker login``, credential helpers included.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin

import requests

from ..chain.names import is_digest, is_repository, is_tag
from ..engine import docker_config
from ..engine.chunks import Pieces
from ..errors import DamagedError, EngineError, EngineUnavailableError, NotFoundError, UnsupportedError, UsageError
from ..layer_index.index import Store
from ..layer_index.tar_stream import Forward, Reader
from .image_document import Document, digest
from .manifests import INDEXES, MANIFESTS, Blob, Manifest, fill, listed, manifest, media_type, own_platform, parsed
from .transport import Held, merged

_TIMEOUT = 60
_LARGEST_DOCUMENT = 8 << 20
_CHUNK = 1 << 20
#: Most pages of tags that are asked for.
_MOST_PAGES = 1000

_LOCAL = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_ACCEPT = ", ".join((*MANIFESTS, *INDEXES))


class Registry:
    """One registry."""

    def __init__(self, location: str, _store: Store) -> None:
        """Take a host, with a port where it is not the usual one; nothing is opened yet."""
        self.title = f"registry {location}"
        self._host = location
        self._base = f"{'http' if _LOCAL.fullmatch(location) else 'https'}://{location}/v2/"
        self._session = requests.Session()
        self._tokens: dict[str, str] = {}
        self._found: dict[str, tuple[str, Manifest]] = {}

    def held(self, repository: str = "") -> list[Held]:
        """All images of a repository that a tag names, for this machine's platform."""
        if not is_repository(repository):
            raise UsageError(f"{self.title} cannot be listed; name a repository: docker://{self._host}/NAME")
        return merged(self._remembered(repository, tag).held for tag in self._tags(repository))

    def find(self, reference: str) -> Document:
        """Find an image by ``name:tag`` or ``name@sha256:…``; a name alone means ``latest``."""
        return self._remembered(*_split(reference)).document

    def fill(self, document: Document, store: Store) -> None:
        """Read the layers that the store lacks."""
        name, found = self._found[document.id]

        @contextmanager
        def opened(blob: Blob) -> Iterator[Reader]:
            if not is_digest(blob.digest):
                raise DamagedError(f"{self.title} is damaged: it names layer {blob.digest!r}, expected sha256:…")
            with self._get(name, f"{name}/blobs/{blob.digest}", f"layer {blob.digest}") as answer:
                yield Pieces(answer.iter_content(_CHUNK))

        fill(found, opened, self.title, store)

    def _remembered(self, name: str, wanted: str) -> Manifest:
        """An image, whose layers can be asked for from now on."""
        found = self._manifest(name, wanted)
        self._found[found.document.id] = (name, found)
        return found

    def _manifest(self, name: str, wanted: str) -> Manifest:
        title = f"{name}:{wanted} in {self.title}"
        content = self._document(name, "manifests", wanted)
        told = parsed(content, title)
        if media_type(told) in INDEXES:
            content = self._document(name, "manifests", _for_this_machine(told, title))
        return manifest(content, f"{self._host}/{name}:{wanted}", lambda key: self._document(name, "blobs", key), title)

    def _document(self, name: str, kind: str, wanted: str) -> bytes:
        what = f"{name}{'@' if is_digest(wanted) else ':'}{wanted}"
        with self._get(name, f"{name}/{kind}/{wanted}", what) as answer:
            content = self._body(answer)
            told = wanted if is_digest(wanted) else answer.headers.get("Docker-Content-Digest", "")
        if is_digest(told) and digest(content) != told:
            raise DamagedError(f"{what} in {self.title} is damaged: it is {digest(content)}, expected {told}")
        return content

    def _body(self, answer: requests.Response) -> bytes:
        pieces = Pieces(answer.iter_content(_CHUNK))
        return Forward(pieces, f"an answer of {self.title}", _LARGEST_DOCUMENT).read(_LARGEST_DOCUMENT + 1)

    def _tags(self, name: str) -> Iterator[str]:
        path: str | None = f"{name}/tags/list"
        asked: set[str] = set()
        while path is not None:
            if path in asked or len(asked) == _MOST_PAGES:
                raise DamagedError(f"{self.title} is damaged: its list of the tags of {name} has no end ({path})")
            asked.add(path)
            with self._get(name, path, f"repository {name}") as answer:
                tags = parsed(self._body(answer), self.title).get("tags") or []
                if not isinstance(tags, list):
                    raise DamagedError(f"{self.title} is damaged: it answers {path} with no list of tags")
                yield from (tag for tag in map(str, tags) if is_tag(tag))
                following = answer.links.get("next", {}).get("url")
            path = following and urljoin(self._base + path, following).removeprefix(self._base)

    @contextmanager
    def _get(self, name: str, path: str, what: str) -> Iterator[requests.Response]:
        try:
            answer = self._ask(name, path)
            if answer.status_code == HTTPStatus.UNAUTHORIZED and self._log_in(name, answer):
                answer = self._ask(name, path)
            with answer:
                if answer.status_code == HTTPStatus.NOT_FOUND:
                    raise NotFoundError(f"{self.title} holds no {what}")
                if not answer.ok:
                    raise EngineError(f"{self.title} answered {answer.status_code} to {what}{_hint(answer)}")
                yield answer
        except requests.RequestException as error:
            raise EngineUnavailableError(f"{self.title} does not answer ({_short(error)})") from error

    def _ask(self, name: str, path: str) -> requests.Response:
        headers = {"Accept": _ACCEPT, "Accept-Encoding": "identity"}
        if name in self._tokens:
            headers["Authorization"] = self._tokens[name]
        try:
            return self._session.get(self._base + path, headers=headers, stream=True, timeout=_TIMEOUT)
        except requests.RequestException:
            raise
        except ValueError as error:  # of the standard library, for an address that it was led to
            raise EngineError(f"{self.title} leads to an address that is none ({error})") from error

    def _log_in(self, name: str, answer: requests.Response) -> bool:
        """Get what the registry asks for: a token of its own, or the password itself."""
        scheme, _, rest = answer.headers.get("WWW-Authenticate", "").partition(" ")
        asked = dict(_CHALLENGE.findall(rest))
        login = docker_config.login(self._host)
        if scheme.lower() == "basic" and login:
            self._tokens[name] = requests.Request("GET", self._base, auth=login).prepare().headers["Authorization"]
            return True
        realm = asked.get("realm", "")
        if scheme.lower() != "bearer" or not realm.startswith(("https://", self._base.partition("v2/")[0])):
            return False
        parameters = {"service": asked.get("service", ""), "scope": f"repository:{name}:pull"}
        with self._session.get(realm, params=parameters, auth=login, stream=True, timeout=_TIMEOUT) as given:
            if not given.ok:
                return False
            told = parsed(self._body(given), self.title)
        self._tokens[name] = f"Bearer {told.get('token') or told.get('access_token')}"
        return True


def _for_this_machine(told: Mapping[str, Any], title: str) -> str:
    wanted, offered = own_platform(), []
    for each in listed(told, title):
        runs_on = each.get("platform")
        if not isinstance(runs_on, dict):
            continue
        offered.append(f"{runs_on.get('os')}/{runs_on.get('architecture')}")
        if offered[-1] == wanted and is_digest(str(each.get("digest"))):
            return str(each["digest"])
    raise UnsupportedError(f"{title} is for {', '.join(offered) or 'no platform'}, not for this machine's {wanted}")


def _split(reference: str) -> tuple[str, str]:
    name, at, wanted = reference.partition("@")
    if not at:
        name, _, wanted = reference.partition(":")
    wanted = wanted or "latest"
    if not is_repository(name) or not (is_digest(wanted) if at else is_tag(wanted)):
        raise UsageError(f"{reference!r} names no image of a registry; expected NAME:TAG or NAME@sha256:…")
    return name, wanted


def _hint(answer: requests.Response) -> str:
    refused = answer.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    return "; log in with `docker login`" if refused else ""


def _short(error: BaseException) -> str:
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__
