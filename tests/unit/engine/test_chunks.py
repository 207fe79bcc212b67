from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.chunks import ahead, reader


@given(st.lists(st.binary(max_size=50), max_size=20), st.integers(1, 30))
def test_pieces_are_read_as_a_file(pieces, size):
    file = reader(iter(pieces))
    content = b""
    while data := file.read(size):
        assert len(data) <= size
        content += data
    assert content == b"".join(pieces)


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_reading_ahead_keeps_the_order(pieces):
    assert list(ahead(piece for piece in pieces)) == pieces


def test_a_piece_is_read_before_it_is_requested():
    reading = threading.Event()

    def pieces():
        yield b"one"
        yield b"two"
        reading.set()
        yield b"three"

    stream = ahead(pieces())
    assert next(stream) == b"one"
    assert reading.wait(10)
    assert list(stream) == [b"two", b"three"]


def test_an_error_is_raised_at_its_place():
    def pieces():
        yield b"one"
        raise ValueError("damaged")

    stream = ahead(pieces())
    assert next(stream) == b"one"
    with pytest.raises(ValueError, match="damaged"):
        next(stream)


def test_reading_ends_when_the_consumer_closes():
    ended = []

    def pieces():
        try:
            while True:
                yield b"more"
        finally:
            ended.append(threading.active_count())

    before = threading.active_count()
    stream = ahead(pieces())
    next(stream)
    stream.close()
    assert ended == [before]
