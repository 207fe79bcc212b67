"""All tags move or none, even if the calling process or the engine dies."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.docker_config import engine_address
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError, RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.tag_transaction import (
    Move,
    interrupted,
    move_all,
    recover,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import state_folder
from fake_engine import World

IMAGES = [f"sha256:{number}" for number in range(4)]
any_example = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
places = st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, unique=True)
ends = st.sampled_from([None, *IMAGES])


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@st.composite
def some_moves(draw):
    return [Move(repository, "latest", draw(ends), draw(ends)) for repository in draw(places)]


def tags_of(moves, end):
    references = {f"{move.repository}:{move.tag}": getattr(move, end) for move in moves}
    return {reference: image for reference, image in references.items() if image}


def world(moves):
    """An engine before the moves, and the name of a chain that no other test uses."""
    return engine_world(tags_of(moves, "before")), secrets.token_hex(8)


def engine_world(tags, images=IMAGES):
    """An engine with these tags. Each image also has a name that does not move, so no move can remove an image."""
    new_world = World()
    for image in images:
        new_world.add(image, None, f"kept:{image[7:]}")
    new_world.names.update(tags)
    return new_world


def tags_in(world):
    return {reference: image for reference, image in world.names.items() if not reference.startswith("kept:")}


@any_example
@given(moves=some_moves())
def test_all_tags_move(moves, reach):
    engine, chain = world(moves)
    move_all(reach(engine), chain, moves)
    assert tags_in(engine) == tags_of(moves, "after")
    assert not interrupted(chain)


@any_example
@given(moves=some_moves(), calls=st.integers(1, 12), again=st.integers(1, 12), carried_out=st.booleans())
def test_a_caller_that_is_killed_at_any_call_leaves_all_or_none(moves, calls, again, carried_out, reach, killed):
    engine, chain = world(moves)
    try:
        move_all(reach(engine, calls, carried_out=carried_out), chain, moves)
    except killed:
        assert interrupted(chain) or calls == 1  # the first call only reads
    with contextlib.suppress(killed):  # the recovering process may be killed as well
        recover(reach(engine, again, carried_out=carried_out), chain, print)
    recover(reach(engine), chain, print)
    assert tags_in(engine) == tags_of(moves, "before" if calls == 1 else "after")
    assert not interrupted(chain)


@any_example
@given(moves=some_moves(), calls=st.integers(1, 12), carried_out=st.booleans())
def test_an_engine_that_dies_at_any_call_leaves_all_or_none(moves, calls, carried_out, reach, gone):
    engine, chain = world(moves)
    with contextlib.suppress(EngineError):
        move_all(reach(engine, calls, carried_out=carried_out, error=gone), chain, moves)
    recover(reach(engine), chain, print)
    assert tags_in(engine) in (tags_of(moves, "after"), tags_of(moves, "before"))
    assert not interrupted(chain)


@any_example
@given(moves=some_moves(), calls=st.integers(2, 12), carried_out=st.booleans(), lost=st.sampled_from(IMAGES))
def test_moves_are_undone_if_an_image_is_missing(moves, calls, carried_out, lost, reach, killed):
    engine, chain = world(moves)
    try:
        move_all(reach(engine, calls, carried_out=carried_out), chain, moves)
    except killed:
        pass
    else:
        return
    engine.images.pop(lost, None)
    engine.names = {reference: image for reference, image in engine.names.items() if image != lost}
    complete = all(move.after != lost for move in moves)
    recover(reach(engine), chain, print)
    expected = tags_of(moves, "after" if complete else "before")
    if all(move.before != lost or move.before == move.after for move in moves):
        assert tags_in(engine) == {reference: image for reference, image in expected.items() if image != lost}
    assert not interrupted(chain)


def test_nothing_moves_if_a_tag_names_an_unexpected_image(reach):
    engine, chain = world(MOVES)
    engine.names["b:latest"] = IMAGES[0]
    before = tags_in(engine)
    with pytest.raises(RunError, match=f"b:latest named {IMAGES[2]} a moment ago, and names {IMAGES[0]} now"):
        move_all(reach(engine), chain, MOVES)
    assert tags_in(engine) == before
    assert not interrupted(chain)


MOVES = [Move("a", "latest", IMAGES[0], IMAGES[1]), Move("b", "latest", IMAGES[2], IMAGES[3])]


def test_no_tag_moves_if_the_engine_refuses_one_move(reach):
    engine, chain = world(MOVES)
    del engine.images[IMAGES[3]]
    del engine.names["kept:3"]
    with pytest.raises(EngineError, match=r"tagging b:latest: .*; all tags name the same images as before"):
        move_all(reach(engine), chain, MOVES)
    assert tags_in(engine) == tags_of(MOVES, "before")
    assert not interrupted(chain)


def test_the_next_run_finishes_if_the_engine_dies_in_the_middle(reach, gone):
    engine, chain = world(MOVES)
    with pytest.raises(EngineError, match="some tags may have moved already, and the next run over the chain finishes"):
        move_all(reach(engine, 3, error=gone), chain, MOVES)
    assert interrupted(chain)


def test_nothing_moves_if_the_moves_cannot_be_recorded(reach, monkeypatch):
    engine, chain = world(MOVES)

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match=f"recorded in .*{chain} .No space left on device., so no tag moved"):
        move_all(reach(engine), chain, MOVES)
    assert tags_in(engine) == tags_of(MOVES, "before")
    assert not interrupted(chain)


@pytest.fixture
def half_done(reach, killed):
    """An interrupted transaction: the first of two tags has moved."""
    engine, chain = world(MOVES)
    with pytest.raises(killed):
        move_all(reach(engine, 2, carried_out=True), chain, MOVES)
    assert tags_in(engine) == {"a:latest": IMAGES[1], "b:latest": IMAGES[2]}
    return engine, chain


def test_a_finished_move_is_reported(half_done, reach):
    lines = []
    recover(reach(half_done[0]), half_done[1], lines.append)
    assert lines == ["a promotion was interrupted: its last tags have moved now"]


def test_a_tag_that_a_different_run_moved_since_stays_and_the_rest_is_undone(half_done, reach):
    engine, chain = half_done
    engine.names["b:latest"] = IMAGES[0]
    recover(reach(engine), chain, print)
    assert tags_in(engine) == {"a:latest": IMAGES[0], "b:latest": IMAGES[0]}


def test_recovery_leaves_an_engine_without_the_images_alone(half_done, reach, monkeypatch):
    engine, chain = half_done
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:1")
    other = engine_world({"a:latest": IMAGES[1]}, IMAGES[:2])
    recover(reach(other), chain, print)
    assert tags_in(other) == {"a:latest": IMAGES[1]}
    assert interrupted(chain)
    # The address is different, but all images exist: this is the same engine.
    recover(reach(engine), chain, print)
    assert tags_in(engine) == tags_of(MOVES, "after")
    assert not interrupted(chain)


def test_a_promotion_on_a_different_engine_keeps_the_record_of_an_interrupted_one(half_done, reach, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:1")
    other, _chain = world(MOVES)
    move_all(reach(other), half_done[1], MOVES)
    assert tags_in(other) == tags_of(MOVES, "after")
    assert interrupted(half_done[1])


def test_the_record_is_complete_and_private_and_is_removed_afterwards(half_done, reach):
    engine, chain = half_done
    (record,) = state_folder(chain).glob("promotion-*")
    (record.parent / ".promotion-0.json.x.new").write_text("{")  # of a process that was killed while it wrote
    assert record.parent.stat().st_mode & 0o777 == 0o700
    content = json.loads(record.read_text())
    assert content["engine"] == engine_address()
    assert [Move(**fields) for fields in content["moves"]] == MOVES
    recover(reach(engine), chain, print)
    assert list(state_folder(chain).glob("*promotion-*")) == []


@pytest.mark.parametrize(
    "content", ["", "[]", '{"engine": "x"}', '{"engine": "x", "moves": [{}]}', '{"engine": 1, "moves": []}']
)
def test_a_damaged_record_is_renamed_and_blocks_nothing(half_done, reach, content):
    engine, chain = half_done
    (path,) = state_folder(chain).glob("promotion-*")
    path.write_text(content)
    lines = []
    recover(reach(engine), chain, lines.append)
    assert len(lines) == 1
    assert str(path) in lines[0]
    assert "renamed to" in lines[0]
    assert not interrupted(chain)
    assert path.with_name(f"{path.name}.damaged").read_text() == content
