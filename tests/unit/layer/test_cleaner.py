from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import SealError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.cleaner import Cleaner, layer_entries
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.file_entry import (
    FileEntry,
    FileKind,
    PathChange,
    Slice,
)

FILE = FileEntry(b"etc/file", FileKind.FILE, 0o640, 3, 4, 5, 3, content=b"abc")


def file(path, content=b"abc", **fields):
    return replace(FILE, path=path, content=content, size=len(content), **fields)


def folder(path, **fields):
    return FileEntry(path, FileKind.DIRECTORY, **{"mode": 0o755, "uid": 0, "gid": 0, "mtime": 9, **fields})


def layer(*changes, **cleaner):
    return sorted(entry.path for entry in layer_entries(changes, Cleaner("debian", **cleaner)))


@pytest.mark.parametrize(
    "path",
    [
        "tmp/x",
        "tmp/deep/er",
        "run/apache2/apache2.pid",
        "root/.ansible/tmp/x",
        "srv/app/.ansible/x",
        "etc/passwd-",
        "etc/ssh/ssh_host_ed25519_key",
        "var/lib/apt/lists/deb.debian.org_dists",
        "var/cache/apt/pkgcache.bin",
        "var/log/dpkg.log",
        "var/log/journal/0123/system.journal",
        "etc/app.conf.4711.2026-11-24@09:00:00~",
    ],
)
def test_remains_of_a_build_are_left_out(path):
    assert Cleaner("debian").clean(file(path.encode())) is None


@pytest.mark.parametrize(
    "path",
    ["tmp", "run/service/socket.conf", "etc/passwd", "opt/tmp/x", "srv/etc/passwd-", "var/cache/app/x", "etc/a~"],
)
def test_paths_that_only_resemble_remains_are_kept(path):
    assert Cleaner("debian").clean(file(path.encode())) == file(path.encode())


@pytest.mark.parametrize(
    "path", [b"var/lib/apt/lists/partial", b"var/cache/apt/archives", b"var/cache/apt/archives/partial"]
)
def test_folders_of_the_package_apt_are_kept_empty(path):
    assert Cleaner("debian").clean(folder(path)) == folder(path)
    assert Cleaner("debian").clean(file(path + b"/x.deb")) is None
    assert Cleaner("debian").clean(file(path)) is None


def test_the_patterns_depend_on_the_distribution():
    assert Cleaner(None).clean(file(b"var/cache/apt/pkgcache.bin")) is not None
    assert Cleaner("redhat").clean(file(b"var/cache/dnf/x")) is None


def test_logs_are_kept_empty():
    log = Cleaner("debian").clean(file(b"var/log/apache2/access.log"))
    assert (log.size, log.content, log.mode, log.uid) == (0, b"", 0o640, 3)
    assert Cleaner("debian").clean(folder(b"var/log/apache2")) == folder(b"var/log/apache2")


def test_files_with_records_in_random_order_are_sorted():
    cleaner = Cleaner("debian")
    assert cleaner.clean(file(b"var/lib/ucf/registry", b"b 1\na 2\n")).content == b"a 2\nb 1\n"
    states = cleaner.clean(file(b"var/lib/apt/extended_states", b"Package: b\nX: 1\n\nPackage: a\nX: 2\n\n"))
    assert states.content == b"Package: a\nX: 2\n\nPackage: b\nX: 1\n"
    assert states.size == len(states.content)


def test_a_tier_can_drop_and_keep_paths():
    assert Cleaner("debian", drop=["/opt/app/cache/*"]).clean(file(b"opt/app/cache/x")) is None
    cleaner = Cleaner("debian", drop=["opt/**"], keep=["opt/app", "var/log/app.log"])
    assert cleaner.clean(file(b"opt/app/x")) == file(b"opt/app/x")
    assert cleaner.clean(file(b"opt/b")) is None
    assert cleaner.clean(file(b"var/log/app.log")) == file(b"var/log/app.log")


@pytest.mark.parametrize(("flags", "kept"), [(0, False), (1, True), (3, True)])
def test_only_hash_based_byte_code_is_kept(tmp_path, flags, kept):
    path = tmp_path / "x.pyc"
    path.write_bytes(b"\xa7\r\r\n" + flags.to_bytes(4, "little") + bytes(8))
    code = file(b"usr/lib/python3/__pycache__/x.pyc", content=path.read_bytes())
    code = replace(code, content=Slice(bytes(path)))
    assert (Cleaner("debian").clean(code) is not None) == kept
    changes = [PathChange(folder(b"usr/lib/python3/__pycache__"), None), PathChange(code, None)]
    assert (layer(*changes) != []) == kept
    assert layer(PathChange(code, None), keep=["usr"]) == [code.path]


def test_an_unchanged_file_is_left_out_even_if_its_time_changed():
    assert layer(PathChange(file(b"a", mtime=1), file(b"a", mtime=2))) == []
    for before in (
        file(b"a", b"abd"),
        file(b"a", mode=0o600),
        file(b"a", uid=9),
        file(b"a", attributes=((b"x", b"y"),)),
    ):
        assert layer(PathChange(file(b"a"), before)) == [b"a"]
    assert layer(PathChange(file(b"var/log/x", b"new"), file(b"var/log/x", b""))) == []


def test_a_folder_is_in_the_layer_if_something_in_it_is():
    before = [PathChange(folder(path), folder(path)) for path in (b"etc", b"etc/app", b"usr")]
    assert layer(*before) == []
    assert layer(*before, PathChange(file(b"etc/app/x"), None)) == [b"etc", b"etc/app", b"etc/app/x"]
    assert layer(*before, PathChange(None, file(b"etc/x"))) == [b"etc", b"etc/.wh.x"]
    # Even if the folder itself would be left out.
    paths = layer(PathChange(folder(b"tmp/a"), None), PathChange(file(b"tmp/a/x"), None), keep=["tmp/a/x"])
    assert paths == [b"tmp/a", b"tmp/a/x"]


def test_all_hard_links_of_a_file_are_in_the_layer_or_none():
    one, two = file(b"etc/passwd", inode=1), file(b"etc/copy", inode=1)
    assert layer(PathChange(one, file(b"etc/passwd")), PathChange(two, None)) == [b"etc/copy", b"etc/passwd"]
    assert layer(PathChange(one, one), PathChange(two, two)) == []


def test_a_file_with_the_name_of_a_whiteout_is_rejected():
    with pytest.raises(SealError, match=r"/srv/\.wh\.x cannot be in an image: .* different name"):
        layer(PathChange(file(b"srv/.wh.x"), None))
