"""The HTTP client, with a server on this machine."""

from __future__ import annotations

import itertools
import socket
import ssl
import subprocess
import threading
import time
from contextlib import suppress

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core import http_client
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.http_client import HttpClient, HttpError
from served import http_server


def get(address, limit=1000, **options):
    with HttpClient().request("GET", address, **options) as response:
        return response.status, response.read(limit)


def raw_server(*parts, pause=0.0):
    """A server that sends these bytes, with a pause after each part, and closes the connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listener.accept()
        with listener, connection:
            connection.recv(10_000)
            for part in parts:
                try:
                    connection.sendall(part)
                except OSError:
                    return
                time.sleep(pause)

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def test_any_status_is_an_answer():
    with http_server(lambda path, _headers: (404 if path == "/a?b=c" else 500, {}, b"gone")) as host:
        assert get(f"http://{host}/a", parameters={"b": "c"}) == (404, b"gone")


def test_headers_are_sent_and_links_are_parsed():
    received = {}

    def answer(_path, headers):
        received.update(headers)
        return 200, {"Link": '</v2/next>; rel="next"'}, b""

    with (
        http_server(answer) as host,
        HttpClient().request("GET", f"http://{host}/", headers={"Accept": "x"}) as response,
    ):
        assert response.links == {"next": "/v2/next"}
    assert (received["Accept"], received["User-Agent"], received["Accept-Encoding"]) == ("x", "tierwright", "identity")


def test_a_password_in_netrc_does_not_replace_a_token(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with http_server(lambda _path, headers: (200, {}, headers.get("Authorization", "nothing").encode())) as host:
        assert get(f"http://{host}/", headers={"Authorization": "Bearer token"}) == (200, b"Bearer token")
        assert get(f"http://{host}/") == (200, b"nothing")


def test_a_token_is_not_sent_to_a_different_host():
    with (
        http_server(lambda _path, headers: (200, {}, headers.get("Authorization", "nothing").encode())) as other,
        http_server(
            lambda _path, _headers: (302, {"Location": f"http://localhost:{other.split(':')[1]}/"}, b"")
        ) as host,
    ):
        assert get(f"http://{host}/", headers={"Authorization": "Bearer token"}) == (200, b"nothing")


def test_an_answer_that_is_too_large_is_an_error():
    with (
        http_server(lambda *_: (200, {}, b"x" * 2000)) as host,
        pytest.raises(HttpError, match="larger than its limit of 1000"),
    ):
        get(f"http://{host}/")


def test_an_answer_that_ends_early_is_an_error():
    address = raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    with pytest.raises(HttpError, match="before the end of the answer"):
        get(address)


def test_a_chunked_answer_is_read_completely():
    assert get(raw_server(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n\r\n")) == (
        200,
        b"half",
    )


def test_an_answer_that_takes_too_long_is_an_error(monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(http_client.time, "monotonic", lambda: next(clock))
    with (
        http_server(lambda *_: (200, {}, b"x")) as host,
        HttpClient().request("GET", f"http://{host}/") as response,
        pytest.raises(HttpError, match="it took more than 0 seconds"),
    ):
        list(response.chunks(seconds=0.5))


def test_a_silent_server_is_an_error(monkeypatch):
    monkeypatch.setattr(http_client, "SILENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(HttpError, match="no answer within"):
        get(f"http://127.0.0.1:{listener.getsockname()[1]}/")


@pytest.mark.parametrize(
    "parts",
    [[b"HTTP/1.1 200 OK\r\n", *([b"X: y\r\n"] * 50)], [b"HTTP/1.1 100 Continue\r\n\r\n"] * 50],
    ids=["headers", "100"],
)
def test_headers_that_never_end_are_an_error(monkeypatch, parts):
    monkeypatch.setattr(http_client, "PATIENCE", 0.3)
    address, start = raw_server(*parts, pause=0.1), time.monotonic()
    with pytest.raises(HttpError, match=r"no whole answer within 0.3 seconds"):
        get(address)
    assert time.monotonic() - start < 2


def test_a_body_that_never_ends_is_an_error(monkeypatch):
    monkeypatch.setattr(http_client, "PATIENCE", 0.3)
    address = raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", *([b"x"] * 50), pause=0.1)
    with pytest.raises(HttpError, match="it took more than 0 seconds"):
        get(address)


def test_the_body_of_a_redirect_is_not_read():
    with http_server(lambda *_: (200, {}, b"here")) as other:
        head = f"HTTP/1.1 302 Found\r\nLocation: http://{other}/\r\nContent-Length: 1000000000\r\n\r\n"
        assert get(raw_server(head.encode(), pause=0.1)) == (200, b"here")


def test_redirects_without_an_end_are_an_error():
    with (
        http_server(lambda path, _headers: (302, {"Location": f"{path}x"}, b"")) as host,
        pytest.raises(HttpError, match="it redirects more than 5 times"),
    ):
        get(f"http://{host}/")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_is_written_elsewhere_than_at_the_address(method):
    address = raw_server(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    with HttpClient().request(method, address, body=b"x") as response:
        assert response.status == 302


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_server_on_this_machine_is_not_reached_through_a_proxy(monkeypatch, name):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    with http_server(lambda *_: (200, {}, b"near")) as host:
        assert get(f"http://{name}:{host.split(':')[1]}/") == (200, b"near")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_does_not_answer_is_named(monkeypatch, scheme):
    monkeypatch.setenv(f"{scheme}_proxy", "http://me:secret@127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(HttpError) as error:
        get(f"{scheme}://registry.example.org/")
    assert str(error.value) == "the proxy: Connection refused"


def test_a_server_gets_the_time_that_its_work_needs(monkeypatch):
    monkeypatch.setattr(http_client, "SILENCE", 0.1)
    monkeypatch.setattr(http_client, "PATIENCE", 0.2)

    def slow(_path, _headers):
        time.sleep(0.5)
        return 200, {}, b"stored"

    with http_server(slow) as host:
        assert get(f"http://{host}/", work=2) == (200, b"stored")
        with pytest.raises(HttpError, match="no answer within"):
            get(f"http://{host}/")


def test_error_messages_do_not_contain_the_address():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(HttpError) as error:
        get(f"http://user:secret@127.0.0.1:{port}/token")
    assert str(error.value) == "Connection refused"


@pytest.mark.parametrize(
    "address",
    [
        "ftp://me:secret@host/",
        "me:secret@host",
        "http://me:secret@host:99999/",
        "http://me:secret@[::1",
        "http://a..b/",
    ],
)
def test_an_invalid_address_is_not_repeated_in_the_error(address):
    with pytest.raises(HttpError) as caught:
        get(address)
    assert str(caught.value) == "the address is invalid, or redirects to an invalid one"


def test_an_invalid_proxy_is_not_repeated_in_the_error(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://me:secret@host:99999/")
    with pytest.raises(HttpError) as caught:
        get("http://example.org/")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("target", ["http://[::1", "gopher://x/", "http://\x00/"])
def test_a_redirect_to_an_invalid_address_is_an_error(target):
    with pytest.raises(HttpError):
        get(raw_server(f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()))


def test_encoded_content_is_not_decoded():
    with http_server(lambda *_: (200, {"Content-Encoding": "gzip"}, b"no gzip")) as host:
        assert get(f"http://{host}/") == (200, b"no gzip")


def test_a_certificate_authority_of_the_system_is_trusted(tmp_path, monkeypatch):
    command = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run([*command.split(), "-keyout", "key", "-out", "cert"], cwd=tmp_path, capture_output=True, check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    with http_server(lambda *_: (200, {}, b"safe"), context) as host:
        address = f"https://localhost:{host.split(':')[1]}/"
        with pytest.raises(HttpError, match="certificate verify failed"):
            get(address)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert"))
        assert get(address) == (200, b"safe")


def test_certificates_are_loaded_only_for_an_address_that_needs_them(monkeypatch):
    loaded = []
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda *_: loaded.append(1))
    with http_server(lambda *_: (200, {}, b"plain")) as host:
        client = HttpClient()
        for address, count in [(f"http://{host}/", 0), (f"https://{host}/", 1), (f"HTTPS://{host}/", 1)]:
            with suppress(HttpError), client.request("GET", address) as answer:
                assert answer.read(100) == b"plain"
            assert len(loaded) == count
