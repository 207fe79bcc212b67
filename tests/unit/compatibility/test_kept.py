"""Compatibility matrices that are kept of a chain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain import tags
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.compatibility.matrix_store import (
    MAX_SAVED,
    newest_matrix,
    save_matrix,
    saved_matrices,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.compatibility.variant_matrix import (
    Cell,
    CellState,
    Matrix,
    Variant,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import DamagedError, NotFoundError

DAY = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def made(days, *, released=True, state=CellState.PASSED, at=None):
    moment = DAY + timedelta(days=days)
    release = tags.release(moment) if released else None
    when = (at or moment).isoformat()
    return Matrix(1, "demo", release, when, [Variant("debian-13", "Debian 13", [Cell("base", state)])])


def test_it_is_kept_privately_and_comes_back(tmp_path):
    matrix = made(0)
    path = save_matrix(tmp_path / "state", matrix)
    assert path == tmp_path / "state/matrix/release-20261124T093000Z.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == [path]
    assert saved_matrices(tmp_path / "state") == [matrix]
    assert newest_matrix(tmp_path / "state") == (matrix, None)


def test_one_without_a_release_is_named_after_its_moment(tmp_path):
    zone = DAY.astimezone(tz=None).isoformat()
    assert (
        save_matrix(tmp_path, made(0, released=False, at=datetime.fromisoformat(zone))).name == "20261124T093000Z.json"
    )


def test_a_release_has_one(tmp_path):
    save_matrix(tmp_path, made(0))
    again = made(0, state=CellState.FAILED, at=DAY + timedelta(hours=1))
    save_matrix(tmp_path, again)
    assert saved_matrices(tmp_path) == [again]


def test_the_newest_is_compared_with_the_release_before(tmp_path):
    first, second = made(0, released=False), made(1, released=False)
    save_matrix(tmp_path, second)
    save_matrix(tmp_path, first)
    assert newest_matrix(tmp_path) == (second, first)
    released, tried, now = made(2), made(3, released=False), made(4)
    for each in (now, tried, released):
        save_matrix(tmp_path, each)
    assert newest_matrix(tmp_path) == (now, released)


def test_the_oldest_go(tmp_path):
    for day in range(MAX_SAVED + 3):
        save_matrix(tmp_path, made(day))
    assert saved_matrices(tmp_path) == [made(day) for day in range(3, MAX_SAVED + 3)]


def test_none_is_kept(tmp_path):
    with pytest.raises(NotFoundError, match="contains no compatibility matrix; `make compatibility` makes one"):
        newest_matrix(tmp_path)


def test_a_damaged_one_is_named(tmp_path):
    path = save_matrix(tmp_path, made(0))
    path.write_text("{")
    with pytest.raises(DamagedError, match=f"^{path} is not a valid compatibility matrix: "):
        saved_matrices(tmp_path)
