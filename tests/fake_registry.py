"""A registry in memory, on this machine, with the push and pull API of the distribution specification.

It can require tokens, which it makes itself, and it can misbehave: `FakeRegistry.wild` answers a request in its place.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

_PATH = re.compile(r"/v2/(?P<repository>.+?)/(?P<kind>manifests|blobs|uploads|referrers)/(?P<name>[^/]*)")
_LIST = re.compile(r"/v2/(?P<repository>.+?)/tags/list")
#: Status of an answer that replaces the registry's own; None keeps it.
Fault = Callable[[str, str], int | None]
#: Gets a request before its body is read. Says whether it has answered, or hung up.
Wild = Callable[["Handler"], bool]


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class FakeRegistry(ThreadingHTTPServer):
    """Repositories with blobs and manifests, and a log of all requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server_port}"
        #: Content by repository and digest.
        self.blobs: dict[tuple[str, str], bytes] = {}
        #: Manifests by repository and digest, and their digests by repository and tag.
        self.manifests: dict[tuple[str, str], bytes] = {}
        self.tags: dict[tuple[str, str], str] = {}
        #: Methods and paths of all requests.
        self.requests: list[tuple[str, str]] = []
        self.fault: Fault = lambda _method, _path: None
        self.wild: Wild = lambda _request: False
        #: Whether blobs of other repositories can be mounted.
        self.mounts = True
        #: The login for which the registry makes tokens, as in a header; None if it needs no tokens.
        self.login: str | None = None
        #: How many requests a token is good for, and the requests that are left, with the repositories, of each token.
        self.token_uses = 1_000_000
        self.tokens: dict[str, tuple[int, set[str]]] = {}
        #: Whether it has the referrers API.
        self.referrers = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing about connections that break: tests break them."""

    def put(self, repository: str, reference: str, content: bytes) -> str:
        """Store a manifest, under a tag unless the reference is its digest."""
        self.manifests[repository, digest(content)] = content
        if reference != digest(content):
            self.tags[repository, reference] = digest(content)
        return digest(content)

    def require_login(self, name: str, password: str) -> None:
        self.login = f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"

    def count(self, method: str, part: str) -> int:
        """Return how many requests there were with this method, and this part in their path."""
        return sum(method == requested and part in path for requested, path in self.requests)


@contextmanager
def fake_registry() -> Iterator[FakeRegistry]:
    """Serve a registry."""
    with FakeRegistry() as registry:
        thread = threading.Thread(target=registry.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield registry
        finally:
            registry.shutdown()
            thread.join()


def _parsed(content: bytes) -> object:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _subject(manifest: bytes) -> str | None:
    subject: str | None = json.loads(manifest).get("subject", {}).get("digest")
    return subject


class Handler(BaseHTTPRequestHandler):
    #: Engines that try TLS first understand an answer with a status.
    protocol_version = default_request_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # otherwise an answer in two pieces waits 40 ms for the client
    server: FakeRegistry

    def _dispatch(self) -> None:
        if self.server.wild(self):
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        address = urlsplit(self.path)
        self.server.requests.append((self.command, self.path))
        status = self.server.fault(self.command, self.path)
        match = _PATH.fullmatch(address.path.replace("/blobs/uploads/", "/uploads/"))
        if address.path == "/token":
            self._make_token(parse_qs(address.query))
        elif self.server.login and (needed := self._missing_access(address.path, parse_qs(address.query))):
            scope = " ".join(f"repository:{repository}:pull" for repository in needed)
            host = self.headers["Host"]
            challenge = f'Bearer realm="http://{host}/token",service="here",scope="{scope}"'
            self.answer(401, b'{"errors": [{"message": "log in"}]}', {"WWW-Authenticate": challenge})
        elif status is not None:
            self.answer(status, b'{"errors": [{"code": "FAULT", "message": "made by the test"}]}')
        elif address.path == "/v2/":
            self.answer(200, b"{}")
        elif listed := _LIST.fullmatch(address.path):
            self._list_tags(listed["repository"])
        elif match is None:
            self.answer(404)
        else:
            query = {key: values[0] for key, values in parse_qs(address.query).items()}
            getattr(self, f"_{match['kind']}")(match["repository"], match["name"], query, body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _dispatch  # noqa: N815

    def _list_tags(self, repository: str) -> None:
        names = [tag for owner, tag in self.server.tags if owner == repository]
        self.answer(200, json.dumps({"name": repository, "tags": names}).encode())

    def _make_token(self, query: dict[str, list[str]]) -> None:
        if self.server.login not in {None, self.headers["Authorization"]}:
            self.answer(401)
            return
        token = secrets.token_hex(8)
        repositories = {scope.split(":")[1] for scope in query.get("scope", ())}
        self.server.tokens[token] = self.server.token_uses, repositories
        self.answer(200, json.dumps({"token": token}).encode())

    def _missing_access(self, path: str, query: dict[str, list[str]]) -> list[str]:
        """The repositories that the request is about, unless its token is good for all of them."""
        match = _PATH.fullmatch(path.replace("/blobs/uploads/", "/uploads/"))
        repositories = [*([match["repository"]] if match else ()), *query.get("from", ())]
        token = (self.headers["Authorization"] or "").removeprefix("Bearer ")
        uses, allowed = self.server.tokens.get(token, (0, set()))
        if not uses or not allowed.issuperset(repositories):
            return repositories
        self.server.tokens[token] = uses - 1, allowed
        return []

    def _manifests(self, repository: str, reference: str, _query: dict[str, str], body: bytes) -> None:
        if self.command == "PUT":
            stored = self.server.put(repository, reference, body)
            subject = _subject(body) if self.server.referrers else None
            listed = {"OCI-Subject": subject} if subject else {}
            self.answer(201, headers={"Docker-Content-Digest": stored, **listed})
            return
        wanted = self.server.tags.get((repository, reference), reference)
        content = self.server.manifests.get((repository, wanted))
        if content is None:
            self.answer(404)
        else:
            kind = parsed.get("mediaType", "") if isinstance(parsed := _parsed(content), dict) else ""
            self.answer(200, content, {"Docker-Content-Digest": wanted, **({"Content-Type": kind} if kind else {})})

    def _referrers(self, repository: str, subject: str, _query: dict[str, str], _body: bytes) -> None:
        if not self.server.referrers:
            self.answer(404)
            return
        found = [
            {
                "mediaType": json.loads(content).get("mediaType", ""),
                "digest": key,
                "size": len(content),
                **{
                    name: json.loads(content)[name]
                    for name in ("artifactType", "annotations")
                    if name in json.loads(content)
                },
            }
            for (owner, key), content in self.server.manifests.items()
            if owner == repository and _subject(content) == subject
        ]
        kind = "application/vnd.oci.image.index.v1+json"
        index = {"schemaVersion": 2, "mediaType": kind, "manifests": found}
        self.answer(200, json.dumps(index).encode(), {"Content-Type": kind})

    def _blobs(self, repository: str, name: str, _query: dict[str, str], _body: bytes) -> None:
        content = self.server.blobs.get((repository, name))
        self.answer(404) if content is None else self.answer(200, content)

    def _uploads(self, repository: str, _name: str, query: dict[str, str], body: bytes) -> None:
        if self.command == "DELETE":
            self.answer(204)
        elif self.command == "PUT":
            right = digest(body) == query["digest"]
            if right:
                self.server.blobs[repository, query["digest"]] = body
            self.answer(201 if right else 400)
        elif self.server.mounts and (query.get("from", ""), query.get("mount", "")) in self.server.blobs:
            self.server.blobs[repository, query["mount"]] = self.server.blobs[query["from"], query["mount"]]
            self.answer(201)
        else:
            self.answer(202, headers={"Location": f"/v2/{repository}/blobs/uploads/1?state=x"})

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def read_some(self, count: int) -> None:
        """Read the first bytes of the body."""
        self.rfile.read(count)

    def drip(self, content: bytes, pause: float) -> None:
        """Send bytes one by one, as long as the other side wants them."""
        try:
            for number in range(len(content)):
                self.wfile.write(content[number : number + 1])
                time.sleep(pause)
        except OSError:
            pass
        self.close_connection = True

    def reset(self) -> None:
        """Break the connection, in the way that a machine does that crashes."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.rfile.close()
        self.close_connection = True

    def log_message(self, *_arguments: object) -> None:
        pass
