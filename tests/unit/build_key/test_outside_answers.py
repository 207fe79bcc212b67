"""Fetching outside inputs from a server on this machine."""

from __future__ import annotations

import http.server
import stat
import threading
import time
from contextlib import contextmanager

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.outside_inputs import (
    AnswerCache,
    FetchFailure,
    Question,
    ask,
    digest_whole,
)


class Site(http.server.ThreadingHTTPServer):
    """Answers with `content` by path, or 404, and keeps a log of paths and statuses."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = {}
        self.log = []

    def address(self, path):
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        content = self.server.content.get(self.path)
        tag = f'"{hash(content)}"'
        code = 404 if content is None else 304 if self.headers.get("If-None-Match") == tag else 200
        self.server.log.append((self.path, code))
        self.send_response(code)
        self.send_header("ETag", tag)
        body = content if code == 200 else b""
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def serving():
    with Site() as site:
        thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield site
        finally:
            site.shutdown()
            thread.join()


@pytest.fixture
def site():
    with serving() as site:
        yield site


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache"


def ask_for(*addresses, max_age=3600.0):
    warnings = []
    questions = {address: Question(digest_whole, max_age) for address in addresses}
    return ask(questions, lambda name: name, warnings.append), warnings


def test_a_cached_answer_is_not_fetched_again(site, cache):
    site.content["/a"] = b"one"
    first, warnings = ask_for(site.address("/a"))
    site.content["/a"] = b"two"
    again, _ = ask_for(site.address("/a"))
    assert first == again == {site.address("/a"): digest_whole([b"one"])}
    assert warnings == []
    assert site.log == [("/a", 200)]
    files = list(cache.rglob("*.json"))
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o600]
    assert stat.S_IMODE(files[0].parent.stat().st_mode) == 0o700


def test_an_old_answer_is_downloaded_again_only_if_it_changed(site):
    site.content["/a"] = b"one"
    address = site.address("/a")
    first, _ = ask_for(address, max_age=0)
    same, _ = ask_for(address, max_age=0)
    site.content["/a"] = b"two"
    other, _ = ask_for(address, max_age=0)
    assert first == same != other
    assert [code for _, code in site.log] == [200, 304, 200]


def test_many_addresses_are_fetched_in_parallel(site):
    site.content.update({f"/{n}": b"%d" % n for n in range(20)})
    answers, _ = ask_for(*(site.address(f"/{n}") for n in range(20)))
    assert len(set(answers.values())) == 20
    assert len(site.log) == 20


def test_an_unreachable_address_keeps_its_digest_with_a_warning():
    with serving() as site:
        site.content["/a"] = b"one"
        address = site.address("/a")
        first, _ = ask_for(address)
    again, warnings = ask_for(address, max_age=0)
    assert again == first
    assert len(warnings) == 1
    assert "127.0.0.1/a does not answer" in warnings[0]


def test_an_address_that_never_answered_is_a_failure(site):
    answers, warnings = ask_for(site.address("/gone"), "ftp://example.org/x", "http://127.0.0.1:1/x")
    assert warnings == []
    reasons = [answer.reason for answer in answers.values() if isinstance(answer, FetchFailure)]
    assert reasons[0] == "HTTP status 404"
    assert "http:// or https://" in reasons[1]
    assert len(reasons) == 3


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b'{"digest": 1'])
def test_a_damaged_cache_is_ignored(site, cache, damage):
    site.content["/a"] = b"one"
    first, _ = ask_for(site.address("/a"))
    for path in cache.rglob("*.json"):
        path.write_bytes(damage)
    assert ask_for(site.address("/a"))[0] == first
    assert len(site.log) == 2


def test_an_answer_from_the_future_is_fetched_again(site, monkeypatch):
    site.content["/a"] = b"one"
    ask_for(site.address("/a"))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 7200)
    ask_for(site.address("/a"))
    assert len(site.log) == 2


def test_answers_are_not_cached_if_the_cache_cannot_be_written(site, cache):
    cache.write_text("no folder")
    site.content["/a"] = b"one"
    assert ask_for(site.address("/a"))[0] == ask_for(site.address("/a"))[0]
    assert AnswerCache().get(site.address("/a")) is None
