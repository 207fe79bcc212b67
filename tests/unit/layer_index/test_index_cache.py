from __future__ import annotations

import io
import os
import stat
import time

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index import index as index_module
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import Store, index
from made_images import layer


def make_index():
    return index(
        io.BytesIO(layer(("etc/apt/sources.list", b"\xff\0"), ("b\udcff", b""), ("var/.wh.x", b""))), "a layer"
    )


def test_a_stored_index_is_available_to_the_next_process(tmp_path):
    Store(tmp_path / "cache").add(make_index())
    assert Store(tmp_path / "cache").index(make_index().digest) == make_index()


def test_reading_a_missing_index_creates_no_folder(tmp_path):
    assert Store(tmp_path / "cache").index(make_index().digest) is None
    assert not (tmp_path / "cache").exists()


def test_the_store_is_private(tmp_path):
    Store(tmp_path / "a/cache").add(make_index())
    assert stat.S_IMODE((tmp_path / "a/cache").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a/cache").rglob("*") if path.is_file()} == {
        0o600
    }


def test_a_damaged_file_is_ignored_and_replaced(tmp_path):
    Store(tmp_path).add(make_index())
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    whole = path.read_bytes()
    for content in (b"", whole[:20], whole[:-1] + b"\0"):
        path.write_bytes(content)
        assert Store(tmp_path).index(make_index().digest) is None
    Store(tmp_path).add(make_index())
    assert Store(tmp_path).index(make_index().digest) == make_index()


def test_without_a_writable_folder_the_store_still_works(tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    store = Store(tmp_path / "cache")
    store.add(make_index())
    assert store.index(make_index().digest) == make_index()


def test_a_value_that_was_not_used_for_long_is_removed(tmp_path):
    store = Store(tmp_path)
    store.put("config", "sha256:old", "old")
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    os.utime(path, (0, time.time() - index_module.KEPT - 1))
    Store(tmp_path).put("config", "sha256:new", "new")
    assert Store(tmp_path).value("config", "sha256:old") is None
    assert Store(tmp_path).value("config", "sha256:new") == "new"


def test_a_value_that_is_used_is_kept(tmp_path):
    Store(tmp_path).put("config", "sha256:old", "old")
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    os.utime(path, (0, time.time() - index_module.KEPT + 60))
    assert Store(tmp_path).value("config", "sha256:old") == "old"
    assert time.time() - path.stat().st_mtime < 60
