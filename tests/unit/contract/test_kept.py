"""Compatibility matrices that are kept of a chain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils.chain import tags
from ansible_collections.tierwright.chain.plugins.plugin_utils.contract.kept import KEPT, keep, kept, newest
from ansible_collections.tierwright.chain.plugins.plugin_utils.contract.matrix import Cell, Matrix, State, Variant
from ansible_collections.tierwright.chain.plugins.plugin_utils.errors import DamagedError, NotFoundError

DAY = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def made(days, *, released=True, state=State.PASSED, at=None):
    moment = DAY + timedelta(days=days)
    release = tags.release(moment) if released else None
    when = (at or moment).isoformat()
    return Matrix(1, "demo", release, when, [Variant("debian-13", "Debian 13", [Cell("base", state)])])


def test_it_is_kept_privately_and_comes_back(tmp_path):
    matrix = made(0)
    path = keep(tmp_path / "state", matrix)
    assert path == tmp_path / "state/matrix/release-20261124T093000Z.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == [path]
    assert kept(tmp_path / "state") == [matrix]
    assert newest(tmp_path / "state") == (matrix, None)


def test_one_without_a_release_is_named_after_its_moment(tmp_path):
    zone = DAY.astimezone(tz=None).isoformat()
    assert keep(tmp_path, made(0, released=False, at=datetime.fromisoformat(zone))).name == "20261124T093000Z.json"


def test_a_release_has_one(tmp_path):
    keep(tmp_path, made(0))
    again = made(0, state=State.FAILED, at=DAY + timedelta(hours=1))
    keep(tmp_path, again)
    assert kept(tmp_path) == [again]


def test_the_newest_is_compared_with_the_release_before(tmp_path):
    first, second = made(0, released=False), made(1, released=False)
    keep(tmp_path, second)
    keep(tmp_path, first)
    assert newest(tmp_path) == (second, first)
    released, tried, now = made(2), made(3, released=False), made(4)
    for each in (now, tried, released):
        keep(tmp_path, each)
    assert newest(tmp_path) == (now, released)


def test_the_oldest_go(tmp_path):
    for day in range(KEPT + 3):
        keep(tmp_path, made(day))
    assert kept(tmp_path) == [made(day) for day in range(3, KEPT + 3)]


def test_none_is_kept(tmp_path):
    with pytest.raises(NotFoundError, match="holds no compatibility matrix; `make compatibility` makes one"):
        newest(tmp_path)


def test_a_damaged_one_is_named(tmp_path):
    path = keep(tmp_path, made(0))
    path.write_text("{")
    with pytest.raises(DamagedError, match=f"^{path} is no compatibility matrix: "):
        kept(tmp_path)
