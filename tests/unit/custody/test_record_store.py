"""The store of records: what was added comes back, and everything else is skipped with one line."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody import record_store
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.image_identity import ImageIdentity
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.record_store import LocalRecords
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import DamagedError
from made_records import KeyInMemory, made_bundle

pytestmark = pytest.mark.once

CONFIG = f"sha256:{'ab' * 32}"
IMAGE = ImageIdentity(CONFIG, None, (), {}, "corebuild:latest")
BUNDLE = made_bundle(KeyInMemory(), CONFIG)
NAME = f"{hashlib.sha256(BUNDLE).hexdigest()}.json"


@dataclass(frozen=True)
class Note:
    """A note of these tests."""

    commit: str


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def folder(state):
    path = state / "tierwright" / "+records" / CONFIG.removeprefix("sha256:")
    path.mkdir(parents=True)
    return path


def read(lines=None):
    return [content for _title, content in LocalRecords((lines if lines is not None else []).append).bundles(IMAGE)]


def test_a_bundle_comes_back_once():
    records = LocalRecords()
    path = records.add(CONFIG, BUNDLE)
    assert records.add(CONFIG, BUNDLE) == path
    assert list(records.bundles(IMAGE)) == [(str(path), BUNDLE)]
    assert records.configs() == [CONFIG]


def test_an_image_without_records_has_no_bundles():
    assert read() == []
    assert LocalRecords().noted(CONFIG, "facts", Note) is None
    assert LocalRecords().configs() == []


def test_only_the_user_can_read_the_records():
    previous = os.umask(0)
    try:
        path = LocalRecords().add(CONFIG, BUNDLE)
        LocalRecords().note(CONFIG, "facts", Note("a"))
    finally:
        os.umask(previous)
    assert [oct(each.stat().st_mode & 0o777) for each in path.parent.iterdir()] == ["0o600", "0o600"]
    assert oct(path.parent.stat().st_mode & 0o777) == oct(path.parent.parent.stat().st_mode & 0o777) == "0o700"


def test_new_notes_replace_the_old_ones():
    records = LocalRecords()
    records.note(CONFIG, "facts", Note("a"))
    records.note(CONFIG, "facts", Note("b"))
    assert records.noted(CONFIG, "facts", Note) == Note("b")
    assert records.noted(CONFIG, "gate", Note) is None


def test_something_else_than_a_bundle_is_not_added():
    with pytest.raises(DamagedError, match="not a Sigstore bundle"):
        LocalRecords().add(CONFIG, b"{}")


@pytest.mark.parametrize("config", ["", "ab" * 32, "sha256:../../x", f"sha256:{'AB' * 32}", f"sha256:{'ab' * 32}\n"])
def test_a_path_is_never_made_of_something_else_than_a_digest(config):
    with pytest.raises(DamagedError, match="not the digest of a configuration"):
        LocalRecords().add(config, BUNDLE)


def test_a_changed_bundle_is_ignored_and_written_again(folder):
    (folder / NAME).write_bytes(BUNDLE[:-1])
    lines = []
    assert read(lines) == []
    assert lines == [f"{folder / NAME} is damaged: it does not have the digest that its name says; it is ignored"]
    LocalRecords().add(CONFIG, BUNDLE)
    assert read() == [BUNDLE]


def test_a_renamed_bundle_is_ignored(folder):
    (folder / f"{'0' * 64}.json").write_bytes(BUNDLE)
    lines = []
    assert read(lines) == []
    assert len(lines) == 1


def as_link(path: Path) -> None:
    path.with_name("elsewhere").write_bytes(BUNDLE)
    path.symlink_to("elsewhere")


def as_large_file(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(record_store.LARGEST + 1)


@pytest.mark.parametrize("make", [as_link, os.mkfifo, Path.mkdir, as_large_file])
def test_what_is_no_regular_file_of_usual_size_is_ignored(folder, make):
    make(folder / NAME)
    lines = []
    assert read(lines) == []
    assert len(lines) == 1
    assert str(folder / NAME) in lines[0]


def test_other_files_are_no_bundles(folder):
    for name in ("facts.json", ".unfinished.new", f"{NAME}.damaged"):
        (folder / name).write_bytes(BUNDLE)
    assert read() == []


def test_a_file_in_place_of_the_folder_is_no_error(folder):
    folder.rmdir()
    folder.write_text("")
    assert read() == []
    assert LocalRecords().noted(CONFIG, "facts", Note) is None
    with pytest.raises(OSError, match="File exists"):
        LocalRecords().add(CONFIG, BUNDLE)


def test_more_bundles_than_the_limit_are_not_read(folder, monkeypatch):
    monkeypatch.setattr(record_store, "MOST_BUNDLES", 1)
    for _ in range(2):
        LocalRecords().add(CONFIG, made_bundle(KeyInMemory(), CONFIG))
    lines = []
    assert len(read(lines)) == 1
    assert lines == [f"{folder} has 2 bundles; only 1 of them are read"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=300) | st.sampled_from([b"[" * 100_000, b'{"commit": 1}', b'{"commit": "a"', b"\xff"])
)
def test_damaged_files_are_skipped_with_one_line(folder, content):
    (folder / f"{hashlib.sha256(content).hexdigest()}.json").write_bytes(content)
    (folder / "facts.json").write_bytes(content)
    lines = []
    assert read(lines) == []
    assert lines
    noted = []
    assert LocalRecords(noted.append).noted(CONFIG, "facts", Note) is None
    assert len(noted) == 1
    assert not any("\n" in line for line in [*lines, *noted])
