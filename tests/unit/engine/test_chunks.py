from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.chunks import ahead, reader


@given(st.lists(st.binary(max_size=50), max_size=20), st.integers(1, 30))
def test_pieces_are_read_as_a_file(pieces, size):
    file = reader(iter(pieces))
    found = b""
    while read := file.read(size):
        assert len(read) <= size
        found += read
    assert found == b"".join(pieces)


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_what_is_read_ahead_comes_in_order(pieces):
    assert list(ahead(each for each in pieces)) == pieces


def test_it_is_read_before_it_is_taken():
    reading = threading.Event()

    def pieces():
        yield b"one"
        yield b"two"
        reading.set()
        yield b"three"

    found = ahead(pieces())
    assert next(found) == b"one"
    assert reading.wait(10)
    assert list(found) == [b"two", b"three"]


def test_what_goes_wrong_is_raised_in_its_place():
    def pieces():
        yield b"one"
        raise ValueError("damaged")

    found = ahead(pieces())
    assert next(found) == b"one"
    with pytest.raises(ValueError, match="damaged"):
        next(found)


def test_nobody_reads_on_when_nobody_takes_any_more():
    ended = []

    def pieces():
        try:
            while True:
                yield b"more"
        finally:
            ended.append(threading.active_count())

    before = threading.active_count()
    found = ahead(pieces())
    next(found)
    found.close()
    assert ended == [before]
