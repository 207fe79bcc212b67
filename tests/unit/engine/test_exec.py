from __future__ import annotations

import socket
import struct
import threading

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils.engine.exec import Frames, Output, _converse

FRAMES = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(min_size=1, max_size=300)), max_size=12)


def encode(frames):
    return b"".join(struct.pack(">BxxxL", stream, len(data)) + data for stream, data in frames)


def joined(frames, stream):
    return b"".join(data for each, data in frames if each == stream)


@given(FRAMES, st.lists(st.integers(1, 50), max_size=40))
def test_frames_are_put_together_however_the_pieces_fall(frames, sizes):
    output, wire = Output(), encode(frames)
    reader = Frames(output.take)
    for size in [*sizes, len(wire)]:
        piece, wire = wire[:size], wire[size:]
        reader.feed(piece)
    assert bytes(output.stdout) == joined(frames, 1)
    assert bytes(output.stderr) == joined(frames, 2)


def test_empty_frames_are_nothing():
    output = Output()
    Frames(output.take).feed(struct.pack(">BxxxL", 1, 0) + encode([(1, b"x")]))
    assert bytes(output.stdout) == b"x"


def _peer(sock, received, answer, *, read=True):
    """Play the engine: answer while reading, then close."""

    def play():
        for frame in answer:
            sock.sendall(frame)
        while read and (data := sock.recv(65536)):
            received.append(data)
        sock.close()

    thread = threading.Thread(target=play)
    thread.start()
    return thread


def test_much_goes_both_ways_at_once():
    ours, theirs = socket.socketpair()
    received, output = [], Output()
    answer = [encode([(1, b"o" * 70_000), (2, b"e" * 70_000)])] * 20
    thread = _peer(theirs, received, answer)
    _converse(ours, iter([b"i" * 1_000_000, b"", b"j" * 1_000_000]), output.take)
    thread.join()
    ours.close()
    assert b"".join(received) == b"i" * 1_000_000 + b"j" * 1_000_000
    assert len(output.stdout) == len(output.stderr) == 1_400_000


def test_a_command_that_does_not_read_its_input_is_no_error():
    ours, theirs = socket.socketpair()
    output = Output()
    thread = _peer(theirs, [], [encode([(1, b"done")])], read=False)
    _converse(ours, iter([b"x" * 65536] * 100), output.take)
    thread.join()
    ours.close()
    assert bytes(output.stdout) == b"done"
