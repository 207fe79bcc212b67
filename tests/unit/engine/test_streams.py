"""The streams of the engine's SDK, and the sockets that are made from them."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import sys
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.streams import (
    as_socket,
    can_end_input,
    read_ahead,
)

MUCH = os.urandom(1 << 16) * 40


class Channel:
    """A stream that is not a socket, like paramiko's; its other end is ``far``."""

    def __init__(self):
        self._near, self.far = socket.socketpair()

    def recv(self, size):
        return self._near.recv(size)

    def sendall(self, data):
        self._near.sendall(data)

    def shutdown_write(self):
        self._near.shutdown(socket.SHUT_WR)

    def close(self):
        self._near.close()
        self.far.close()


@pytest.fixture
def channel():
    with contextlib.closing(Channel()) as stream:
        yield stream


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "engine")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def tls(certificate):
    """Both ends of a TLS connection: that of the client, and that of the engine."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.load_cert_chain(certificate)
    client.load_verify_locations(certificate)
    client.check_hostname = False
    near, far = socket.socketpair()
    ends = []
    thread = threading.Thread(target=lambda: ends.append(server.wrap_socket(far, server_side=True)))
    thread.start()
    ours = client.wrap_socket(near)
    thread.join()
    with ours, ends[0]:
        yield ours, ends[0]


def receive(sock, count):
    data = bytearray()
    while len(data) < count and (piece := sock.recv(1 << 16)):
        data += piece
    return bytes(data)


def send_both_ways(ours, far):
    """Send much data from both sides at the same time, and check that it arrives."""
    received = {}

    def side(name, sock):
        reader = threading.Thread(target=lambda: received.update({name: receive(sock, len(MUCH))}))
        reader.start()
        sock.sendall(MUCH)
        reader.join()

    threads = [threading.Thread(target=side, args=arguments) for arguments in (("ours", ours), ("far", far))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert received == {"ours": MUCH, "far": MUCH}


def assert_new_threads_end(before):
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive()


def test_a_socket_is_used_unchanged():
    near, far = socket.socketpair()
    with near, far:
        assert as_socket(near) is near
        assert as_socket(SimpleNamespace(_sock=near)) is near
        assert can_end_input(SimpleNamespace(_sock=near))


def test_a_channel_becomes_a_socket(channel):
    with as_socket(channel) as ours:
        assert ours.fileno() >= 0
        send_both_ways(ours, channel.far)
        assert can_end_input(channel)


def test_an_answer_arrives_after_the_end_of_input(channel):
    with as_socket(SimpleNamespace(_sock=channel)) as ours:
        ours.sendall(b"question")
        ours.shutdown(socket.SHUT_WR)
        assert receive(channel.far, 99) == b"question"
        channel.far.sendall(b"answer")
        channel.far.shutdown(socket.SHUT_WR)
        assert receive(ours, 99) == b"answer"


def test_the_end_of_a_channel_is_seen(channel):
    with as_socket(channel) as ours:
        channel.far.sendall(b"last")
        channel.far.close()
        assert receive(ours, 99) == b"last"


def test_a_bridge_leaves_nothing_behind(channel, monkeypatch):
    complaints = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    before = set(threading.enumerate())
    with as_socket(channel) as ours:
        ours.sendall(b"x")
    assert receive(channel.far, 99) == b"x"
    channel.far.shutdown(socket.SHUT_WR)
    assert_new_threads_end(before)
    assert complaints == []


def test_tls_carries_data_in_both_directions(tls):
    near, far = tls
    assert not can_end_input(SimpleNamespace(_sock=near))
    with as_socket(SimpleNamespace(_sock=near)) as ours:
        assert not isinstance(ours, ssl.SSLSocket)
        engine_thread = threading.Thread(target=lambda: far.sendall(MUCH))
        engine_thread.start()
        answer = receive(ours, len(MUCH))
        engine_thread.join()
        assert answer == MUCH
        client_thread = threading.Thread(target=lambda: ours.sendall(MUCH))
        client_thread.start()
        assert receive(far, len(MUCH)) == MUCH
        client_thread.join()


def test_tls_receives_while_it_sends(tls):
    """An engine that returns its input must not have to wait for the client, nor the client for the engine."""
    near, far = tls

    def echo():
        left = len(MUCH)
        while left:
            piece = far.recv(1 << 14)
            left -= len(piece)
            far.sendall(piece)

    with as_socket(near) as ours:
        threads = [threading.Thread(target=echo), threading.Thread(target=lambda: ours.sendall(MUCH))]
        for thread in threads:
            thread.start()
        assert receive(ours, len(MUCH)) == MUCH
        for thread in threads:
            thread.join(10)


@pytest.mark.parametrize("polite", [True, False])
def test_the_end_of_a_tls_connection_is_seen(tls, polite):
    near, far = tls
    with as_socket(near) as ours:
        far.sendall(b"last")
        if polite:
            with contextlib.suppress(ssl.SSLError, OSError):
                far.settimeout(0.2)
                far.unwrap()
        far.close()
        assert receive(ours, 99) == b"last"


def test_data_that_arrives_with_the_headers_is_not_lost():
    near, far = socket.socketpair()
    with near, far, near.makefile("rb") as buffered:
        stream = SimpleNamespace(
            _sock=near, _response=SimpleNamespace(raw=SimpleNamespace(_fp=SimpleNamespace(fp=buffered)))
        )
        far.sendall(b"HTTP/1.1 200 OK\r\n\r\nearly")
        assert buffered.readline() + buffered.readline() == b"HTTP/1.1 200 OK\r\n\r\n"
        assert read_ahead(stream) == b"early"
        assert read_ahead(stream) == b""
        assert near.gettimeout() is None
        far.sendall(b"late")
        assert receive(as_socket(stream), 4) == b"late"


def test_data_that_arrives_over_ssh_with_the_headers_is_not_lost(channel):
    buffered = SimpleNamespace(_rbuffer=bytearray(b"early"))
    raw = SimpleNamespace(_fp=SimpleNamespace(fp=buffered))
    assert read_ahead(SimpleNamespace(_sock=channel, _response=SimpleNamespace(raw=raw))) == b"early"


def test_a_stream_without_a_buffer_has_no_data_ahead(channel):
    assert read_ahead(channel) == b""
