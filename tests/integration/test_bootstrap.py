"""A base from an archive with its own key. No engine is needed: the result is a root file system."""

from __future__ import annotations

import tarfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import urlopen

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.bases.debian_bootstrap import (
    bootstrap,
    own_mirrors,
    released,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Bootstrap
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import SourceError
from debian_archive import SigningKey

pytestmark = pytest.mark.once

SUITE = "bookworm"


@pytest.fixture(scope="module")
def key():
    key = SigningKey()
    yield key
    key.close()


@contextmanager
def resigned_archive(key):
    """Debian's archive, signed with another key. All files except the signed one come from Debian."""
    origin = own_mirrors()["archive"]
    with urlopen(f"{origin}/dists/{SUITE}/InRelease") as answer:
        text = answer.read().decode()
    signed = key.sign(text.partition("\n\n")[2].partition("-----BEGIN PGP SIGNATURE-----")[0])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            own = self.path == f"/dists/{SUITE}/InRelease"
            self.send_response(200 if own else 302)
            if not own:
                self.send_header("Location", f"{origin}{self.path}")
            self.send_header("Content-Length", str(len(signed) if own else 0))
            self.end_headers()
            self.wfile.write(signed if own else b"")

        def log_message(self, *_arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_archive_is_trusted_only_with_its_own_keys(key, tmp_path):
    with resigned_archive(key) as mirror:
        source = Bootstrap(SUITE, mirror=mirror, suites=(SUITE,))
        with pytest.raises(SourceError, match=r"tier_bootstrap\.keyring") as failure:
            bootstrap("base", source, tmp_path / "refused.tar", 1, print)
        assert "does not trust the keys of this archive" in str(failure.value)
        trusted = Bootstrap(SUITE, mirror=mirror, suites=(SUITE,), keyring=key.public.encode())
        bootstrap("base", trusted, tmp_path / "rootfs.tar", released("base", trusted), print)
    with tarfile.open(tmp_path / "rootfs.tar") as tar:
        content = {
            name: tar.extractfile(f"./etc/apt/{name}").read().decode()
            for name in ("sources.list", "keyrings/archive.asc")
        }
        entry = tar.getmember("./etc/apt/keyrings/archive.asc")
    assert content == {
        "sources.list": f"deb [signed-by=/etc/apt/keyrings/archive.asc] {mirror} {SUITE} main\n",
        "keyrings/archive.asc": key.public,
    }
    assert (entry.mode, entry.uid) == (0o644, 0)
