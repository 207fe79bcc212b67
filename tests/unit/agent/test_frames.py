from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent.inside import frames

FRAMES = st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 255), st.binary(max_size=300)), max_size=12)


def decoder():
    """A decoder, and the list that its frames get into."""
    taken = []
    return frames.Decoder(lambda *frame: taken.append(frame)), taken


@given(FRAMES, st.lists(st.integers(0, 50), max_size=40))
def test_frames_are_put_together_however_the_pieces_fall(sent, sizes):
    wire = b"".join(frames.encode(*frame) for frame in sent)
    reader, taken = decoder()
    for size in [*sizes, len(wire)]:
        piece, wire = wire[:size], wire[size:]
        reader.feed(piece)
    assert taken == sent


def test_a_frame_is_taken_as_soon_as_it_is_whole():
    reader, taken = decoder()
    wire = frames.encode(7, frames.STDIN, b"abc")
    reader.feed(wire[:-1])
    assert taken == []
    reader.feed(wire[-1:] + wire[:4])
    assert taken == [(7, frames.STDIN, b"abc")]


def test_a_frame_without_payload_is_one():
    reader, taken = decoder()
    reader.feed(frames.encode(1, frames.ABORT))
    assert taken == [(1, frames.ABORT, b"")]


def test_the_largest_frame_is_taken():
    reader, taken = decoder()
    reader.feed(frames.encode(0, frames.STDOUT, bytes(frames.MAX_PAYLOAD)))
    assert len(taken[0][2]) == frames.MAX_PAYLOAD


def test_a_larger_one_is_refused_before_it_is_there():
    reader, taken = decoder()
    with pytest.raises(frames.ProtocolError, match="1048577 bytes; at most 1048576"):
        reader.feed(frames.HEADER.pack(0, frames.STDOUT, frames.MAX_PAYLOAD + 1))
    assert taken == []


def test_what_came_before_garbage_is_taken():
    reader, taken = decoder()
    with pytest.raises(frames.ProtocolError):
        reader.feed(frames.encode(3, frames.STDIN, b"x") + b"\xff" * 9)
    assert taken == [(3, frames.STDIN, b"x")]
