"""The controller's side of a command, with agents that behave well or badly."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent import client
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent.inside import frames
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent.inside.link import READ, Loop
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine import streams
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import TooMuchOutputError

EXIT = frames.encode(0, frames.EXIT, json.dumps({"code": 3, "signal": 0}).encode())


def ignore(*_arguments):
    pass


def run_with(fake_agent, stdin=(), take=ignore, note=ignore):
    """Run a command with an agent that calls ``fake_agent(socket)``, and then closes the connection."""
    ours, theirs = socket.socketpair()

    def run():
        with theirs:
            fake_agent(theirs)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        return client.run(ours, {"do": "exec"}, stdin=stdin, take=take, note=note)
    finally:
        thread.join()
        assert ours.fileno() == -1


def test_streams_and_notes_are_distinguished():
    received = []

    def fake_agent(sock):
        sock.recv(4096)
        for kind, data in ((frames.STDOUT, b"o"), (frames.STDERR, b"e"), (frames.NOTE, b"n\xff")):
            sock.sendall(frames.encode(0, kind, data))
        sock.sendall(EXIT)

    result = run_with(fake_agent, take=lambda *data: received.append(data), note=received.append)
    assert (result.code, result.signal) == (3, 0)
    assert received == [(1, b"o"), (2, b"e"), "n\N{REPLACEMENT CHARACTER}"]


def test_input_is_sent_in_pieces_with_one_end():
    received = []

    def fake_agent(sock):
        decoder = frames.Decoder(lambda *frame: received.append(frame))
        while not received or received[-1] != (0, frames.STDIN, b""):
            decoder.feed(sock.recv(65536))
        sock.sendall(EXIT)

    run_with(fake_agent, [b"a" * 300_000, b"", b"b"])
    assert received[0] == (0, frames.OPEN, b'{"do": "exec"}')
    assert {kind for _, kind, _ in received[1:]} == {frames.STDIN}
    assert b"".join(data for _, _, data in received[1:]) == b"a" * 300_000 + b"b"
    assert [data for _, _, data in received].count(b"") == 1
    assert max(len(data) for _, _, data in received) <= frames.PIECE


@pytest.mark.parametrize("input_", [[], [bytes(1 << 20)] * 8], ids=["no input", "much input"])
def test_an_agent_that_closes_the_connection_is_lost(input_):
    with pytest.raises(client.AgentLostError):
        run_with(lambda sock: sock.recv(10), input_)


def test_an_agent_that_sends_invalid_frames_is_lost():
    with pytest.raises(client.AgentLostError, match="a frame of"):
        run_with(lambda sock: (sock.recv(4096), sock.sendall(b"\xff" * 20)))


def test_the_status_counts_if_the_keeper_leaves_input_unread():
    """This happens if a command does not read its input, for example because it cannot create its output file."""

    def fake_agent(sock):
        sock.recv(10)
        sock.sendall(frames.encode(0, frames.STDERR, b"no") + EXIT)

    received = []
    for _ in range(20):
        result = run_with(fake_agent, [bytes(1 << 20)] * 8, take=lambda *data: received.append(data))
        assert result.code == 3
    assert received == [(2, b"no")] * 20


def test_errors_of_the_caller_are_not_a_lost_agent():
    def full(_stream, _data):
        raise OSError(28, "No space left on device")

    def fake_agent(sock):
        sock.recv(4096)
        sock.sendall(frames.encode(0, frames.STDOUT, b"x") + EXIT)

    with pytest.raises(OSError, match="No space left"):
        run_with(fake_agent, take=full)

    def unreadable():
        yield b"x"
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        run_with(lambda sock: list(iter(lambda: sock.recv(4096), b"")), unreadable())


def test_a_reused_descriptor_is_not_mistaken_for_a_closed_one():
    """The system reuses the numbers of descriptors at once."""
    loop, calls = Loop(), []
    pairs = [os.pipe() for _ in range(2)]
    replaced = {}

    def first(number):
        other = 1 - number
        calls.append(f"first {number}")
        loop.forget(pairs[number][0])
        loop.forget(pairs[other][0])
        for fd in pairs[other]:
            os.close(fd)
        replaced[other] = os.pipe()
        assert replaced[other][0] == pairs[other][0]
        loop.watch(pairs[other][0], READ, lambda: calls.append("wrong"))
        loop.later(0, loop.stop)

    for number, (reader, writer) in enumerate(pairs):
        os.write(writer, b"x")
        loop.watch(reader, READ, lambda number=number: first(number))
    loop.run()
    assert len(calls) == 1
    (other,) = replaced
    for fd in (*replaced[other], *pairs[1 - other]):
        os.close(fd)
    loop._selector.close()


def test_endless_output_is_cut_off(monkeypatch):
    monkeypatch.setattr(streams, "MAX_OUTPUT", 1 << 20)
    sent = []

    def fake_agent(sock):
        sock.recv(4096)
        with contextlib.suppress(OSError):
            while len(sent) < 1000:
                sock.sendall(frames.encode(0, frames.STDOUT, bytes(frames.PIECE)))
                sent.append(1)

    output = streams.Output()
    with pytest.raises(TooMuchOutputError, match="wrote more than 1 MiB to its standard output and error"):
        run_with(fake_agent, take=output.take)
    assert len(output.stdout) == 1 << 20
    assert len(sent) < 1000


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"code": "x", "signal": 0}', b"[" * 10_000, b"\xff"])
def test_an_invalid_exit_frame_means_a_lost_agent(payload):
    with pytest.raises(client.AgentLostError, match="without status and signal"):
        run_with(lambda sock: sock.sendall(frames.encode(0, frames.EXIT, payload)))
