"""The saved compatibility matrices of a chain."""

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


def make_matrix(days, *, released=True, state=CellState.PASSED, at=None):
    moment = DAY + timedelta(days=days)
    release = tags.release(moment) if released else None
    when = (at or moment).isoformat()
    return Matrix(1, "demo", release, when, [Variant("debian-13", "Debian 13", [Cell("base", state)])])


def test_a_matrix_is_saved_privately_and_read_back(tmp_path):
    matrix = make_matrix(0)
    path = save_matrix(tmp_path / "state", matrix)
    assert path == tmp_path / "state/matrix/release-20261124T093000Z.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == [path]
    assert saved_matrices(tmp_path / "state") == [matrix]
    assert newest_matrix(tmp_path / "state") == (matrix, None)


def test_a_matrix_without_a_release_is_named_after_its_time(tmp_path):
    zone = DAY.astimezone(tz=None).isoformat()
    assert (
        save_matrix(tmp_path, make_matrix(0, released=False, at=datetime.fromisoformat(zone))).name
        == "20261124T093000Z.json"
    )


def test_a_release_has_only_its_newest_matrix(tmp_path):
    save_matrix(tmp_path, make_matrix(0))
    again = make_matrix(0, state=CellState.FAILED, at=DAY + timedelta(hours=1))
    save_matrix(tmp_path, again)
    assert saved_matrices(tmp_path) == [again]


def test_the_newest_matrix_is_compared_with_the_previous_release(tmp_path):
    first, second = make_matrix(0, released=False), make_matrix(1, released=False)
    save_matrix(tmp_path, second)
    save_matrix(tmp_path, first)
    assert newest_matrix(tmp_path) == (second, first)
    released, tried, now = make_matrix(2), make_matrix(3, released=False), make_matrix(4)
    for matrix in (now, tried, released):
        save_matrix(tmp_path, matrix)
    assert newest_matrix(tmp_path) == (now, released)


def test_the_oldest_matrices_are_removed(tmp_path):
    for day in range(MAX_SAVED + 3):
        save_matrix(tmp_path, make_matrix(day))
    assert saved_matrices(tmp_path) == [make_matrix(day) for day in range(3, MAX_SAVED + 3)]


def test_a_missing_matrix_is_reported(tmp_path):
    with pytest.raises(NotFoundError, match="contains no compatibility matrix; `make compatibility` makes one"):
        newest_matrix(tmp_path)


def test_a_damaged_matrix_is_named(tmp_path):
    path = save_matrix(tmp_path, make_matrix(0))
    path.write_text("{")
    with pytest.raises(DamagedError, match=f"^{path} is not a valid compatibility matrix: "):
        saved_matrices(tmp_path)
