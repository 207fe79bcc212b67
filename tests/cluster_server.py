"""The API of a cluster over HTTP, as far as a deployment uses it. Behind it is a cluster in memory.

Paths, parameters, content types and errors are those of Kubernetes:
https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fake_cluster import FakeCluster, RefusedError

TOKEN = "a token that nobody may see"
_PATH = re.compile(
    r"/(?:api/(?P<core>v1)|apis/(?P<group>[a-z0-9.]+/v\d\w*))"
    r"(?:/namespaces/(?P<namespace>[a-z0-9-]+))?/(?P<plural>[a-z]+)(?:/(?P<name>[a-z0-9.-]+))?"
)
KINDS = {
    "deployments": ("Deployment", "apps/v1"),
    "horizontalpodautoscalers": ("HorizontalPodAutoscaler", "autoscaling/v2"),
    "imagestreams": ("ImageStream", "image.openshift.io/v1"),
    "ingresses": ("Ingress", "networking.k8s.io/v1"),
    "namespaces": ("Namespace", "v1"),
    "networkpolicies": ("NetworkPolicy", "networking.k8s.io/v1"),
    "persistentvolumeclaims": ("PersistentVolumeClaim", "v1"),
    "pods": ("Pod", "v1"),
    "poddisruptionbudgets": ("PodDisruptionBudget", "policy/v1"),
    "routes": ("Route", "route.openshift.io/v1"),
    "secrets": ("Secret", "v1"),
    "services": ("Service", "v1"),
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ClusterServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the base class
        """Print nothing."""

    def do_GET(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append((self.command, self.path))
        try:
            code, answer = 200, self._work(body)
        except RefusedError as error:
            code, answer = error.code, error.status
        content = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _work(self, body: bytes) -> dict[str, Any]:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise RefusedError(401, "Unauthorized", "Unauthorized")
        address = urlsplit(self.path)
        if address.path == "/version":
            return {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}
        match = _PATH.fullmatch(address.path)
        kind, version = KINDS.get(match["plural"], ("", "")) if match else ("", "")
        if match is None or version != (match["core"] or match["group"]):
            raise RefusedError(404, "NotFound", "the server could not find the requested resource")
        query = {key: values[0] for key, values in parse_qs(address.query).items()}
        cluster = self.server.cluster
        with self.server.lock:
            if self.command == "PATCH":
                return self._patch(kind, body, query)
            if self.command == "DELETE":
                cluster.remove(kind, match["name"])
                return {"kind": "Status", "apiVersion": "v1", "status": "Success"}
            if match["name"]:
                return cluster.get(kind, match["name"])
            selected = [part.partition("=") for part in query.get("labelSelector", "").split(",") if part]
            labels = {key: value for key, equals, value in selected if equals}
            present = {key for key, equals, _value in selected if not equals}
            items = [
                {key: value for key, value in each.items() if key not in {"apiVersion", "kind"}}
                for each in cluster.select(kind, labels)
                if present <= set(each["metadata"].get("labels") or {})
            ]
            return {"kind": f"{kind}List", "apiVersion": version, "metadata": {}, "items": items}

    def _patch(self, kind: str, body: bytes, query: dict[str, str]) -> dict[str, Any]:
        content_type = self.headers.get("Content-Type", "")
        if content_type != "application/apply-patch+yaml":
            raise RefusedError(
                415, "UnsupportedMediaType", f"the body of the request was in an unknown format - {content_type}"
            )
        if not query.get("fieldManager"):
            raise RefusedError(422, "Invalid", "fieldManager: Required value: is required for apply patch")
        if query.get("dryRun", "All") != "All":
            raise RefusedError(422, "Invalid", "dryRun: Unsupported value")
        force = query.get("force", "false").lower() in {"1", "t", "true"}
        manifest = json.loads(body)
        if manifest["kind"] != kind:
            raise RefusedError(400, "BadRequest", "the kind in the data does not match the expected kind")
        return self.server.cluster.patch(manifest, query["fieldManager"], force=force, dry_run="dryRun" in query)


class ClusterServer(ThreadingHTTPServer):
    """A server on a free port of loopback."""

    daemon_threads = True

    def __init__(self, cluster: FakeCluster) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.cluster, self.lock = cluster, threading.Lock()
        self.requests: list[tuple[str, str]] = []

    def finish_request(self, request: Any, client_address: Any) -> None:
        try:
            super().finish_request(request, client_address)
        except ConnectionError:
            return

    def write_configuration(self, path: Path) -> None:
        """Write the file that ``KUBECONFIG`` names."""
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{self.server_port}"}}],
            "users": [{"name": "test", "user": {"token": TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }
        path.write_text(json.dumps(content))


@contextmanager
def cluster_server(cluster: FakeCluster) -> Iterator[ClusterServer]:
    """Start a server, and end it."""
    with ClusterServer(cluster) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
