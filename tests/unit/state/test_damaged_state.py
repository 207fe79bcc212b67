"""Damaged files in a user's state and cache block nothing, whatever they contain."""

from __future__ import annotations

import zlib

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.outside_inputs import (
    AnswerCache,
    CachedAnswer,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.compatibility import matrix_store
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer import build_memory
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import Store
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.tag_transaction import interrupted, recover
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state import status
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal, runs, state_folder
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.lock import Waiting, begin_exclusive_run
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.docker_daemon import _parse_cached

DAMAGE = [b"", b"{", b"\xff\xfe", b"null", b"5", b'"x"', b"[]", b"[5]", b"{}", b'{"x": 1}', b'{"pid": "x"}', b"\0" * 99]
with_each_damage = pytest.mark.parametrize("damage", DAMAGE, ids=repr)


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    state_folder("demo").mkdir(parents=True)


@with_each_damage
def test_records_of_a_promotion(damage):
    path = state_folder("demo") / "promotion-1.json"
    path.write_bytes(damage)
    lines = []
    recover(None, "demo", lines.append)
    assert not interrupted("demo")
    assert len(lines) == 1
    assert str(path) in lines[0]


@with_each_damage
def test_the_status_of_tiers(damage):
    path = status.status_file("demo")
    path.write_bytes(damage)
    lines = []
    status.note_plan("demo", {}, [], lines.append)
    assert status.read_status("demo") == {}
    assert bool(lines) is (damage != b"{}")


@with_each_damage
def test_compatibility_matrices(damage):
    folder = state_folder("demo") / "matrix"
    folder.mkdir()
    (folder / "release-1.json").write_bytes(damage)
    (message,) = matrix_store.set_damaged_aside(state_folder("demo"))
    assert "release-1.json.damaged" in message
    assert matrix_store.saved_matrices(state_folder("demo")) == []


@with_each_damage
def test_journals_of_other_runs(damage):
    other = Journal.begin("demo")
    (other.folder / "holder").write_bytes(damage)
    (other.folder / "alive").write_bytes(damage)
    assert begin_exclusive_run("demo", "x", Waiting(0, print)).run in {run.run for run in runs("demo")}
    assert not other.is_alive()


@with_each_damage
def test_cached_digests_of_addresses(damage):
    cache = AnswerCache()
    cache.keep("http://x", CachedAnswer("1", 1.0))
    (path,) = cache._folder.iterdir()
    for text in (damage, b'{"digest": 1, "time": "x"}', b'{"digest": "1", "time": null}'):
        path.write_bytes(text)
        assert cache.get("http://x") is None


@with_each_damage
def test_cached_contents_of_images(damage, tmp_path):
    store = Store(tmp_path / "store")
    store.put("engine", "sha256:1", {})
    (path,) = (path for path in (tmp_path / "store").rglob("*") if path.is_file())
    layer = store._path("layer", "sha256:1")
    layer.parent.mkdir(parents=True, exist_ok=True)
    for text in (damage, zlib.compress(damage)):
        path.write_bytes(text)
        layer.write_bytes(text)
        assert _parse_cached(store.value("engine", "sha256:1")) == {"layers": {}, "history": {}}
        assert Store(tmp_path / "store").index("sha256:1") is None


@with_each_damage
def test_recorded_tasks_and_times_of_layers(damage):
    build_memory.note_built("sha256:1")
    folder = build_memory._folder()
    for text in (damage, zlib.compress(damage)):
        (folder / "1.built").write_bytes(text)
        assert build_memory.built("sha256:1") is None
        (folder / "1").write_bytes(text)
        assert build_memory.recall_tasks("sha256:1") == {}
