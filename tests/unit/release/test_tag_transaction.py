"""Tags move all or none, whenever whoever moves them, or the engine, dies."""

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
anything = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
places = st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, unique=True)
ends = st.sampled_from([None, *IMAGES])


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@st.composite
def some_moves(draw):
    return [Move(repository, "latest", draw(ends), draw(ends)) for repository in draw(places)]


def tags_of(moves, end):
    named = {f"{move.repository}:{move.tag}": getattr(move, end) for move in moves}
    return {reference: image for reference, image in named.items() if image}


def world(moves):
    """An engine before the moves, and a chain that nobody else has."""
    return engine_world(tags_of(moves, "before")), secrets.token_hex(8)


def engine_world(tags, images=IMAGES):
    """Each image has a name that does not move, so that no move loses one."""
    made = World()
    for image in images:
        made.add(image, None, f"kept:{image[7:]}")
    made.names.update(tags)
    return made


def tags_in(world):
    return {reference: image for reference, image in world.names.items() if not reference.startswith("kept:")}


@anything
@given(moves=some_moves())
def test_all_move(moves, reach):
    engine, chain = world(moves)
    move_all(reach(engine), chain, moves)
    assert tags_in(engine) == tags_of(moves, "after")
    assert not interrupted(chain)


@anything
@given(moves=some_moves(), calls=st.integers(1, 12), again=st.integers(1, 12), carried_out=st.booleans())
def test_who_is_killed_at_any_call_leaves_all_or_none(moves, calls, again, carried_out, reach, killed):
    engine, chain = world(moves)
    try:
        move_all(reach(engine, calls, carried_out=carried_out), chain, moves)
    except killed:
        assert interrupted(chain) or calls == 1  # the first call only looks
    with contextlib.suppress(killed):  # whoever recovers may be killed as well
        recover(reach(engine, again, carried_out=carried_out), chain, print)
    recover(reach(engine), chain, print)
    assert tags_in(engine) == tags_of(moves, "before" if calls == 1 else "after")
    assert not interrupted(chain)


@anything
@given(moves=some_moves(), calls=st.integers(1, 12), carried_out=st.booleans())
def test_an_engine_that_dies_at_any_call_leaves_all_or_none(moves, calls, carried_out, reach, gone):
    engine, chain = world(moves)
    with contextlib.suppress(EngineError):
        move_all(reach(engine, calls, carried_out=carried_out, error=gone), chain, moves)
    recover(reach(engine), chain, print)
    assert tags_in(engine) in (tags_of(moves, "after"), tags_of(moves, "before"))
    assert not interrupted(chain)


@anything
@given(moves=some_moves(), calls=st.integers(2, 12), carried_out=st.booleans(), lost=st.sampled_from(IMAGES))
def test_what_cannot_be_finished_because_an_image_is_gone_is_taken_back(moves, calls, carried_out, lost, reach, killed):
    engine, chain = world(moves)
    try:
        move_all(reach(engine, calls, carried_out=carried_out), chain, moves)
    except killed:
        pass
    else:
        return
    engine.images.pop(lost, None)
    engine.names = {reference: image for reference, image in engine.names.items() if image != lost}
    whole = all(move.after != lost for move in moves)
    recover(reach(engine), chain, print)
    expected = tags_of(moves, "after" if whole else "before")
    if all(move.before != lost or move.before == move.after for move in moves):
        assert tags_in(engine) == {reference: image for reference, image in expected.items() if image != lost}
    assert not interrupted(chain)


def test_nothing_moves_from_where_it_is_not(reach):
    engine, chain = world(MOVES)
    engine.names["b:latest"] = IMAGES[0]
    before = tags_in(engine)
    with pytest.raises(RunError, match=f"b:latest named {IMAGES[2]} a moment ago, and names {IMAGES[0]} now"):
        move_all(reach(engine), chain, MOVES)
    assert tags_in(engine) == before
    assert not interrupted(chain)


MOVES = [Move("a", "latest", IMAGES[0], IMAGES[1]), Move("b", "latest", IMAGES[2], IMAGES[3])]


def test_an_engine_that_refuses_one_move_leaves_none(reach):
    engine, chain = world(MOVES)
    del engine.images[IMAGES[3]]
    del engine.names["kept:3"]
    with pytest.raises(EngineError, match=r"tagging b:latest: .*; all tags name the same images as before"):
        move_all(reach(engine), chain, MOVES)
    assert tags_in(engine) == tags_of(MOVES, "before")
    assert not interrupted(chain)


def test_an_engine_that_dies_in_the_middle_leaves_the_rest_to_the_next_run(reach, gone):
    engine, chain = world(MOVES)
    with pytest.raises(EngineError, match="some tags may have moved already, and the next run over the chain finishes"):
        move_all(reach(engine, 3, error=gone), chain, MOVES)
    assert interrupted(chain)


def test_nothing_moves_that_cannot_be_noted(reach, monkeypatch):
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
    """The first of two tags has moved."""
    engine, chain = world(MOVES)
    with pytest.raises(killed):
        move_all(reach(engine, 2, carried_out=True), chain, MOVES)
    assert tags_in(engine) == {"a:latest": IMAGES[1], "b:latest": IMAGES[2]}
    return engine, chain


def test_it_is_said_that_a_move_was_finished(half_done, reach):
    said = []
    recover(reach(half_done[0]), half_done[1], said.append)
    assert said == ["a promotion was interrupted: its last tags have moved now"]


def test_what_somebody_else_moved_since_is_left_to_them_and_the_rest_taken_back(half_done, reach):
    engine, chain = half_done
    engine.names["b:latest"] = IMAGES[0]
    recover(reach(engine), chain, print)
    assert tags_in(engine) == {"a:latest": IMAGES[0], "b:latest": IMAGES[0]}


def test_another_engine_that_lacks_the_images_is_left_alone(half_done, reach, monkeypatch):
    engine, chain = half_done
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:1")
    other = engine_world({"a:latest": IMAGES[1]}, IMAGES[:2])
    recover(reach(other), chain, print)
    assert tags_in(other) == {"a:latest": IMAGES[1]}
    assert interrupted(chain)
    # At another address, but with all the images: it is the same engine.
    recover(reach(engine), chain, print)
    assert tags_in(engine) == tags_of(MOVES, "after")
    assert not interrupted(chain)


def test_a_promotion_on_another_engine_does_not_make_one_forgotten(half_done, reach, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:1")
    other, _chain = world(MOVES)
    move_all(reach(other), half_done[1], MOVES)
    assert tags_in(other) == tags_of(MOVES, "after")
    assert interrupted(half_done[1])


def test_the_note_is_whole_private_and_gone_afterwards(half_done, reach):
    engine, chain = half_done
    (noted,) = state_folder(chain).glob("promotion-*")
    (noted.parent / ".promotion-0.json.x.new").write_text("{")  # of somebody who was killed while writing
    assert noted.parent.stat().st_mode & 0o777 == 0o700
    content = json.loads(noted.read_text())
    assert content["engine"] == engine_address()
    assert [Move(**fields) for fields in content["moves"]] == MOVES
    recover(reach(engine), chain, print)
    assert list(state_folder(chain).glob("*promotion-*")) == []


@pytest.mark.parametrize(
    "noted", ["", "[]", '{"engine": "x"}', '{"engine": "x", "moves": [{}]}', '{"engine": 1, "moves": []}']
)
def test_damaged_notes_are_set_aside_and_do_not_block(half_done, reach, noted):
    engine, chain = half_done
    (path,) = state_folder(chain).glob("promotion-*")
    path.write_text(noted)
    told = []
    recover(reach(engine), chain, told.append)
    assert len(told) == 1
    assert str(path) in told[0]
    assert "renamed to" in told[0]
    assert not interrupted(chain)
    assert path.with_name(f"{path.name}.damaged").read_text() == noted
