"""A registry in memory, on this machine, with the push and pull API of the distribution specification."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

_PATH = re.compile(r"/v2/(?P<repository>.+?)/(?P<kind>manifests|blobs|uploads|referrers)/(?P<name>[^/]*)")
#: Status of an answer that replaces the registry's own; None keeps it.
Fault = Callable[[str, str], int | None]


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class FakeRegistry(ThreadingHTTPServer):
    """Repositories with blobs and manifests, and a log of all requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.host = f"127.0.0.1:{self.server_port}"
        #: Content by repository and digest.
        self.blobs: dict[tuple[str, str], bytes] = {}
        #: Manifests by repository and digest, and their digests by repository and tag.
        self.manifests: dict[tuple[str, str], bytes] = {}
        self.tags: dict[tuple[str, str], str] = {}
        #: Methods and paths of all requests.
        self.requests: list[tuple[str, str]] = []
        self.fault: Fault = lambda _method, _path: None
        #: Whether blobs of other repositories can be mounted.
        self.mounts = True
        #: Whether it has the referrers API.
        self.referrers = False

    def put(self, repository: str, reference: str, content: bytes) -> str:
        """Store a manifest, under a tag unless the reference is its digest."""
        self.manifests[repository, digest(content)] = content
        if reference != digest(content):
            self.tags[repository, reference] = digest(content)
        return digest(content)

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


def _subject(manifest: bytes) -> str | None:
    return json.loads(manifest).get("subject", {}).get("digest")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeRegistry

    def _dispatch(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        address = urlsplit(self.path)
        self.server.requests.append((self.command, self.path))
        status = self.server.fault(self.command, self.path)
        match = _PATH.fullmatch(address.path.replace("/blobs/uploads/", "/uploads/"))
        if status is not None:
            self._answer(status, b'{"errors": [{"code": "FAULT", "message": "made by the test"}]}')
        elif match is None:
            self._answer(404)
        else:
            query = {key: values[0] for key, values in parse_qs(address.query).items()}
            getattr(self, f"_{match['kind']}")(match["repository"], match["name"], query, body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _dispatch

    def _manifests(self, repository: str, reference: str, _query: dict[str, str], body: bytes) -> None:
        if self.command == "PUT":
            stored = self.server.put(repository, reference, body)
            subject = _subject(body) if self.server.referrers else None
            listed = {"OCI-Subject": subject} if subject else {}
            self._answer(201, headers={"Docker-Content-Digest": stored, **listed})
            return
        wanted = self.server.tags.get((repository, reference), reference)
        content = self.server.manifests.get((repository, wanted))
        if content is None:
            self._answer(404)
        else:
            self._answer(200, content, {"Docker-Content-Digest": wanted})

    def _referrers(self, repository: str, subject: str, _query: dict[str, str], _body: bytes) -> None:
        if not self.server.referrers:
            self._answer(404)
            return
        found = [
            {
                "digest": key,
                **{
                    name: json.loads(content)[name]
                    for name in ("artifactType", "annotations")
                    if name in json.loads(content)
                },
            }
            for (owner, key), content in self.server.manifests.items()
            if owner == repository and _subject(content) == subject
        ]
        self._answer(200, json.dumps({"schemaVersion": 2, "manifests": found}).encode())

    def _blobs(self, repository: str, name: str, _query: dict[str, str], _body: bytes) -> None:
        content = self.server.blobs.get((repository, name))
        self._answer(404) if content is None else self._answer(200, content)

    def _uploads(self, repository: str, _name: str, query: dict[str, str], body: bytes) -> None:
        if self.command == "DELETE":
            self._answer(204)
        elif self.command == "PUT":
            right = digest(body) == query["digest"]
            if right:
                self.server.blobs[repository, query["digest"]] = body
            self._answer(201 if right else 400)
        elif self.server.mounts and (query.get("from", ""), query.get("mount", "")) in self.server.blobs:
            self.server.blobs[repository, query["mount"]] = self.server.blobs[query["from"], query["mount"]]
            self._answer(201)
        else:
            self._answer(202, headers={"Location": f"/v2/{repository}/blobs/uploads/1?state=x"})

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass
