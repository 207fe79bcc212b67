from __future__ import annotations

import io
import sqlite3
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import DamagedError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index import package_databases
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import index
from made_images import layer

STATUS = """\
Package: libssl3
Status: install ok installed
Architecture: amd64
Version: 3.0.11-1
Description: Secure Sockets Layer
 Version: not a field

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: half
Status: install ok half-configured
Version: 2
Architecture: all
"""

APK = "C:Q1x=\nP:musl\nV:1.2.4-r2\nA:x86_64\nF:lib\nR:ld-musl.so\n\nP:busybox\nV:1.36.1-r15\nA:x86_64\n"


def header(name, version, release, architecture="x86_64", epoch=None):
    """A package's header as RPM stores it."""
    strings = [(1000, name), (1001, version), (1002, release), (1022, architecture)]
    entries, data = [], b""
    if epoch is not None:
        entries.append((1003, 4, 0, 1))
        data = struct.pack(">I", epoch)
    for tag, text in strings:
        if text is not None:
            entries.append((tag, 6, len(data), 1))
            data += text.encode() + b"\0"
    index_ = b"".join(struct.pack(">IIII", *each) for each in sorted(entries))
    return struct.pack(">II", len(entries), len(data)) + index_ + data


def rpm_database(tmp_path, *headers, more=""):
    path = tmp_path / "rpmdb.sqlite"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
        made.executemany("INSERT INTO Packages (blob) VALUES (?)", [(each,) for each in headers])
        made.executescript(more)
    made.close()
    return path.read_bytes()


def packages(path, content):
    found = index(io.BytesIO(layer((path, content))), "a layer")
    return found.databases.get(path), found.unread


def test_dpkg():
    assert packages("var/lib/dpkg/status", STATUS.encode()) == ({"libssl3:amd64": "3.0.11-1"}, ())


def test_dpkg_in_one_file_for_each_package():
    text = b"Package: tzdata\nVersion: 2024a-0\nArchitecture: all\n"
    assert packages("var/lib/dpkg/status.d/tzdata", text) == ({"tzdata:all": "2024a-0"}, ())
    assert packages("var/lib/dpkg/status.d/tzdata.md5sums", b"abc  /x\n") == (None, ())


def test_alpine():
    expected = {"busybox:x86_64": "1.36.1-r15", "musl:x86_64": "1.2.4-r2"}
    assert packages("lib/apk/db/installed", APK.encode()) == (expected, ())


@pytest.mark.parametrize("folder", ["var/lib/rpm", "usr/lib/sysimage/rpm"])
def test_rpm(tmp_path, folder):
    content = rpm_database(
        tmp_path,
        header("bash", "5.1.8", "6.el9", epoch=0),
        header("kernel", "5.14", "1"),
        header("kernel", "5.14", "2"),
        header("gpg-pubkey", "abc", "def", architecture=None),
    )
    assert packages(f"{folder}/rpmdb.sqlite", content) == (
        {"bash:x86_64": "0:5.1.8-6.el9", "gpg-pubkey:": "abc-def", "kernel:x86_64": "5.14-1, 5.14-2"},
        (),
    )


def test_rpm_with_what_was_not_moved_into_the_database_yet(tmp_path):
    path = tmp_path / "rpmdb.sqlite"
    made = sqlite3.connect(path)
    made.execute("PRAGMA journal_mode = WAL")
    made.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)")
    made.execute("INSERT INTO Packages (blob) VALUES (?)", (header("bash", "5", "1"),))
    made.commit()
    folder = "var/lib/rpm/rpmdb.sqlite"
    content = layer((folder, path.read_bytes()), (folder + "-wal", (tmp_path / "rpmdb.sqlite-wal").read_bytes()))
    made.close()
    assert index(io.BytesIO(content), "a layer").databases == {folder: {"bash:x86_64": "5-1"}}


@pytest.mark.parametrize(("name", "kind"), [("Packages", "Berkeley DB"), ("Packages.db", "NDB")])
def test_other_formats_of_rpm_are_told(name, kind):
    found, unread = packages(f"var/lib/rpm/{name}", b"\0")
    assert found is None
    assert kind in unread[0]


def test_a_database_that_runs_a_program_is_refused(tmp_path):
    endless = "WITH RECURSIVE n(blob) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT * FROM n"
    view = f"DROP TABLE Packages; CREATE VIEW Packages AS {endless};"
    found, unread = packages("var/lib/rpm/rpmdb.sqlite", rpm_database(tmp_path, more=view))
    assert found is None
    assert "no table of packages" in unread[0]


@given(st.binary(max_size=200))
def test_a_damaged_header_is_a_sentence(blob):
    made = sqlite3.connect(":memory:")
    made.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)")
    made.execute("INSERT INTO Packages (blob) VALUES (?)", (blob,))
    made.commit()
    path = "var/lib/rpm/rpmdb.sqlite"
    try:
        package_databases.read(path, {path: made.serialize()})
    except DamagedError as error:
        assert "/var/lib/rpm/rpmdb.sqlite cannot be read" in str(error)  # noqa: PT017 - both ends are right
    finally:
        made.close()


@given(st.binary(max_size=300))
def test_any_text_is_read(content):
    for path in ("var/lib/dpkg/status", "lib/apk/db/installed"):
        package_databases.read(path, {path: content})


def test_a_database_without_end_is_not_kept(monkeypatch):
    monkeypatch.setattr(package_databases, "LARGEST", 10)
    found, unread = packages("var/lib/dpkg/status", STATUS.encode())
    assert found is None
    assert "larger than" in unread[0]
