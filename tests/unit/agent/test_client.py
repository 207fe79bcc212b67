"""The controller's side of a command, against agents that behave in every way."""

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


def nothing(*_arguments):
    pass


def played(play, stdin=(), take=nothing, note=nothing):
    """Run a command with an agent that does what ``play(socket)`` does, and then hangs up."""
    ours, theirs = socket.socketpair()

    def run():
        with theirs:
            play(theirs)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        return client.run(ours, {"do": "exec"}, stdin=stdin, take=take, note=note)
    finally:
        thread.join()
        assert ours.fileno() == -1


def test_streams_and_notes_are_told_apart():
    told = []

    def play(sock):
        sock.recv(4096)
        for kind, data in ((frames.STDOUT, b"o"), (frames.STDERR, b"e"), (frames.NOTE, b"n\xff")):
            sock.sendall(frames.encode(0, kind, data))
        sock.sendall(EXIT)

    end = played(play, take=lambda *data: told.append(data), note=told.append)
    assert (end.code, end.signal) == (3, 0)
    assert told == [(1, b"o"), (2, b"e"), "n\N{REPLACEMENT CHARACTER}"]


def test_input_is_sent_in_pieces_and_its_end_once():
    got = []

    def play(sock):
        decoder = frames.Decoder(lambda *frame: got.append(frame))
        while not got or got[-1] != (0, frames.STDIN, b""):
            decoder.feed(sock.recv(65536))
        sock.sendall(EXIT)

    played(play, [b"a" * 300_000, b"", b"b"])
    assert got[0] == (0, frames.OPEN, b'{"do": "exec"}')
    assert {kind for _, kind, _ in got[1:]} == {frames.STDIN}
    assert b"".join(data for _, _, data in got[1:]) == b"a" * 300_000 + b"b"
    assert [data for _, _, data in got].count(b"") == 1
    assert max(len(data) for _, _, data in got) <= frames.PIECE


@pytest.mark.parametrize("input_", [[], [bytes(1 << 20)] * 8], ids=["no input", "much input"])
def test_an_agent_that_hangs_up_is_lost(input_):
    with pytest.raises(client.AgentLostError):
        played(lambda sock: sock.recv(10), input_)


def test_an_agent_that_speaks_another_language_is_lost():
    with pytest.raises(client.AgentLostError, match="a frame of"):
        played(lambda sock: (sock.recv(4096), sock.sendall(b"\xff" * 20)))


def test_an_end_counts_though_the_keeper_hangs_up_with_input_unread():
    """So it does with a command that does not read its input, as one that writes to a file that cannot be."""

    def play(sock):
        sock.recv(10)
        sock.sendall(frames.encode(0, frames.STDERR, b"no") + EXIT)

    told = []
    for _ in range(20):
        end = played(play, [bytes(1 << 20)] * 8, take=lambda *data: told.append(data))
        assert end.code == 3
    assert told == [(2, b"no")] * 20


def test_trouble_of_the_caller_s_own_is_not_the_agent_s_end():
    def full(_stream, _data):
        raise OSError(28, "No space left on device")

    def play(sock):
        sock.recv(4096)
        sock.sendall(frames.encode(0, frames.STDOUT, b"x") + EXIT)

    with pytest.raises(OSError, match="No space left"):
        played(play, take=full)

    def unreadable():
        yield b"x"
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        played(lambda sock: list(iter(lambda: sock.recv(4096), b"")), unreadable())


def test_a_descriptor_that_another_call_closed_is_not_taken_for_its_successor():
    """Numbers of descriptors are given again at once."""
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


def test_output_without_an_end_is_cut_off(monkeypatch):
    monkeypatch.setattr(streams, "MAX_OUTPUT", 1 << 20)
    sent = []

    def play(sock):
        sock.recv(4096)
        with contextlib.suppress(OSError):
            while len(sent) < 1000:
                sock.sendall(frames.encode(0, frames.STDOUT, bytes(frames.PIECE)))
                sent.append(1)

    output = streams.Output()
    with pytest.raises(TooMuchOutputError, match="wrote more than 1 MiB to its standard output and error"):
        played(play, take=output.take)
    assert len(output.stdout) == 1 << 20
    assert len(sent) < 1000


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"code": "x", "signal": 0}', b"[" * 10_000, b"\xff"])
def test_an_end_that_is_none_is_a_lost_agent(payload):
    with pytest.raises(client.AgentLostError, match="without status and signal"):
        played(lambda sock: sock.sendall(frames.encode(0, frames.EXIT, payload)))
