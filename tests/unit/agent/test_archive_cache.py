"""The agent's archive is made once for the same sources."""

from __future__ import annotations

import importlib.util
import os
import py_compile
from pathlib import Path

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core import local_files
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent import archive_cache


class Maker:
    """Makes an archive, and counts how often it was asked."""

    def __init__(self, content: bytes = b"archive") -> None:
        self.calls, self._content = 0, content

    def __call__(self, sources):
        self.calls += 1
        return self._content + b"".join(path.read_bytes() for path in sources.values())


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "one.py"
    path.write_text("x = 1\n")
    return path


def the_file() -> Path:
    (path,) = (local_files.cache() / "agent").iterdir()
    return path


def test_the_same_sources_are_packed_once(source):
    make = Maker()
    assert archive_cache.cached({"one.py": source}, make) == archive_cache.cached({"one.py": source}, make)
    assert make.calls == 1
    assert the_file().stat().st_mode & 0o777 == 0o600
    assert the_file().parent.stat().st_mode & 0o777 == 0o700


def change(source):
    source.write_text("x = 2\n")
    os.utime(source, (1, 1))
    return {"one.py": source}


def compile_it(source):
    py_compile.compile(str(source))
    assert Path(importlib.util.cache_from_source(source)).exists()
    return {"one.py": source}


def rename(source):
    return {"two.py": source}


def add(source):
    other = source.with_name("other.py")
    other.write_text("y = 1\n")
    return {"one.py": source, "other.py": other}


@pytest.mark.parametrize("differ", [change, compile_it, rename, add])
def test_different_sources_are_packed_again(source, differ):
    make = Maker()
    archive_cache.cached({"one.py": source}, make)
    sources = differ(source)
    assert archive_cache.cached(sources, make) == make(sources)
    assert make.calls == 3


@pytest.mark.parametrize("size", [0, 31, 32, 38])
def test_an_archive_that_was_cut_off_is_not_used(source, size):
    expected = archive_cache.cached({"one.py": source}, Maker())
    kept = the_file().read_bytes()
    assert len(kept) > size
    the_file().write_bytes(kept[:size])
    assert archive_cache.cached({"one.py": source}, Maker()) == expected
    assert the_file().read_bytes() == kept


def test_an_archive_with_other_content_is_not_used(source):
    expected = archive_cache.cached({"one.py": source}, Maker())
    kept = the_file().read_bytes()
    the_file().write_bytes(kept[:-1] + b"x")
    assert archive_cache.cached({"one.py": source}, Maker()) == expected


def test_the_archive_of_a_different_source_is_not_used_even_if_it_is_whole(source):
    make = Maker(b"first")
    archive_cache.cached({"one.py": source}, make)
    other = the_file().read_bytes()
    archive_cache.cached(change(source), Maker(b"second"))
    the_file().write_bytes(other)
    assert archive_cache.cached({"one.py": source}, Maker(b"second")).startswith(b"second")


def test_without_a_folder_for_caches_nothing_is_kept(source, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    make = Maker()
    assert archive_cache.cached({"one.py": source}, make) == archive_cache.cached({"one.py": source}, make)
    assert make.calls == 2


def test_few_archives_of_other_environments_are_kept(source):
    folder = local_files.cache() / "agent"
    folder.mkdir(parents=True)
    for number in range(20):
        (folder / f"old-{number}").touch()
        os.utime(folder / f"old-{number}", (number, number))
    archive_cache.cached({"one.py": source}, Maker())
    names = {path.name for path in folder.iterdir()}
    assert len(names) == 8
    assert {f"old-{number}" for number in range(13, 20)} < names
