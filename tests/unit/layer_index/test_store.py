from __future__ import annotations

import io
import os
import stat
import time

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index import index as module
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import Store, index
from made_images import layer


def made():
    return index(
        io.BytesIO(layer(("etc/apt/sources.list", b"\xff\0"), ("b\udcff", b""), ("var/.wh.x", b""))), "a layer"
    )


def test_what_was_put_there_is_there_for_the_next_process(tmp_path):
    Store(tmp_path / "cache").add(made())
    assert Store(tmp_path / "cache").index(made().digest) == made()


def test_what_is_not_there(tmp_path):
    assert Store(tmp_path / "cache").index(made().digest) is None
    assert not (tmp_path / "cache").exists()


def test_it_is_private(tmp_path):
    Store(tmp_path / "a/cache").add(made())
    assert stat.S_IMODE((tmp_path / "a/cache").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a/cache").rglob("*") if path.is_file()} == {
        0o600
    }


def test_a_damaged_copy_is_no_copy(tmp_path):
    Store(tmp_path).add(made())
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    whole = path.read_bytes()
    for content in (b"", whole[:20], whole[:-1] + b"\0"):
        path.write_bytes(content)
        assert Store(tmp_path).index(made().digest) is None
    Store(tmp_path).add(made())
    assert Store(tmp_path).index(made().digest) == made()


def test_a_disk_that_is_full_makes_nothing_wrong(tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    store = Store(tmp_path / "cache")
    store.add(made())
    assert store.index(made().digest) == made()


def test_what_nobody_asked_for_is_removed(tmp_path):
    store = Store(tmp_path)
    store.put("config", "sha256:old", "old")
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    os.utime(path, (0, time.time() - module.KEPT - 1))
    Store(tmp_path).put("config", "sha256:new", "new")
    assert Store(tmp_path).value("config", "sha256:old") is None
    assert Store(tmp_path).value("config", "sha256:new") == "new"


def test_what_somebody_asks_for_stays(tmp_path):
    Store(tmp_path).put("config", "sha256:old", "old")
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    os.utime(path, (0, time.time() - module.KEPT + 60))
    assert Store(tmp_path).value("config", "sha256:old") == "old"
    assert time.time() - path.stat().st_mtime < 60
