from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent.inside import frames

FRAMES = st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 255), st.binary(max_size=300)), max_size=12)


def decoder():
    """A decoder, and the list of the frames that it has decoded."""
    received = []
    return frames.Decoder(lambda *frame: received.append(frame)), received


@given(FRAMES, st.lists(st.integers(0, 50), max_size=40))
def test_frames_are_assembled_from_pieces_of_any_size(sent, sizes):
    wire = b"".join(frames.encode(*frame) for frame in sent)
    reader, received = decoder()
    for size in [*sizes, len(wire)]:
        piece, wire = wire[:size], wire[size:]
        reader.feed(piece)
    assert received == sent


def test_a_frame_is_delivered_as_soon_as_it_is_complete():
    reader, received = decoder()
    wire = frames.encode(7, frames.STDIN, b"abc")
    reader.feed(wire[:-1])
    assert received == []
    reader.feed(wire[-1:] + wire[:4])
    assert received == [(7, frames.STDIN, b"abc")]


def test_a_frame_may_have_no_payload():
    reader, received = decoder()
    reader.feed(frames.encode(1, frames.ABORT))
    assert received == [(1, frames.ABORT, b"")]


def test_the_largest_frame_is_accepted():
    reader, received = decoder()
    reader.feed(frames.encode(0, frames.STDOUT, bytes(frames.MAX_PAYLOAD)))
    assert len(received[0][2]) == frames.MAX_PAYLOAD


def test_a_frame_that_is_too_large_is_rejected_by_its_header():
    reader, received = decoder()
    with pytest.raises(frames.ProtocolError, match="1048577 bytes; at most 1048576"):
        reader.feed(frames.HEADER.pack(0, frames.STDOUT, frames.MAX_PAYLOAD + 1))
    assert received == []


def test_a_frame_before_garbage_is_delivered():
    reader, received = decoder()
    with pytest.raises(frames.ProtocolError):
        reader.feed(frames.encode(3, frames.STDIN, b"x") + b"\xff" * 9)
    assert received == [(3, frames.STDIN, b"x")]
