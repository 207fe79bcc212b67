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


def header(name, version, release, architecture="x86_64", epoch=None, source=None, vendor=None):
    """Return the header of a package as RPM stores it."""
    strings = [(1000, name), (1001, version), (1002, release), (1011, vendor), (1022, architecture), (1044, source)]
    entries, data = [], b""
    if epoch is not None:
        entries.append((1003, 4, 0, 1))
        data = struct.pack(">I", epoch)
    for tag, text in strings:
        if text is not None:
            entries.append((tag, 6, len(data), 1))
            data += text.encode() + b"\0"
    index_ = b"".join(struct.pack(">IIII", *entry) for entry in sorted(entries))
    return struct.pack(">II", len(entries), len(data)) + index_ + data


def rpm_database(tmp_path, *headers, script=""):
    path = tmp_path / "rpmdb.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
        database.executemany("INSERT INTO Packages (blob) VALUES (?)", [(content,) for content in headers])
        database.executescript(script)
    database.close()
    return path.read_bytes()


def packages(path, content):
    result = index(io.BytesIO(layer((path, content))), "a layer")
    return result.databases.get(path), result.unread


def test_packages_of_dpkg_are_read():
    assert packages("var/lib/dpkg/status", STATUS.encode()) == ({"libssl3:amd64": "3.0.11-1"}, ())


def test_packages_of_dpkg_in_separate_files_are_read():
    text = b"Package: tzdata\nVersion: 2024a-0\nArchitecture: all\n"
    assert packages("var/lib/dpkg/status.d/tzdata", text) == ({"tzdata:all": "2024a-0"}, ())
    assert packages("var/lib/dpkg/status.d/tzdata.md5sums", b"abc  /x\n") == (None, ())


def test_packages_of_alpine_are_read():
    expected = {"busybox:x86_64": "1.36.1-r15", "musl:x86_64": "1.2.4-r2"}
    assert packages("lib/apk/db/installed", APK.encode()) == (expected, ())


@pytest.mark.parametrize("folder", ["var/lib/rpm", "usr/lib/sysimage/rpm"])
def test_packages_of_rpm_are_read(tmp_path, folder):
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


def details(path, content):
    [package] = index(io.BytesIO(layer((path, content))), "a layer").installed[path]
    return package.source, package.source_version, package.maintainer


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("", ("ssl", "2+b1")),
        ("Source: openssl\n", ("openssl", "2+b1")),
        ("Source: openssl (2)\n", ("openssl", "2")),
        ("Source: (2)\n", ("ssl", "2")),
        ("Source: openssl (2\n", ("openssl", "2")),
    ],
)
def test_the_source_of_a_deb_is_read(field, expected):
    text = f"Package: ssl\nStatus: install ok installed\nVersion: 2+b1\n{field}Maintainer: A <a@b.c>\n"
    assert details("var/lib/dpkg/status", text.encode()) == (*expected, "A <a@b.c>")


def test_the_origin_of_an_apk_is_read():
    text = b"P:libssl3\nV:3.1-r1\nA:x86_64\no:openssl\nm:A <a@b.c>\n"
    assert details("lib/apk/db/installed", text) == ("openssl", "3.1-r1", "A <a@b.c>")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("openssl-libs-3.0.7-1.el9.src.rpm", ("openssl-libs", "3.0.7-1.el9")),
        (None, ("", "")),
        ("odd", ("", "")),
        ("a-b.rpm", ("", "")),
    ],
)
def test_the_source_of_an_rpm_is_read(tmp_path, source, expected):
    content = rpm_database(tmp_path, header("openssl", "3.0.7", "1.el9", source=source, vendor="Red Hat"))
    assert details("var/lib/rpm/rpmdb.sqlite", content) == (*expected, "Red Hat")


def test_packages_in_the_write_ahead_log_of_rpm_are_read(tmp_path):
    path = tmp_path / "rpmdb.sqlite"
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)")
    database.execute("INSERT INTO Packages (blob) VALUES (?)", (header("bash", "5", "1"),))
    database.commit()
    name = "var/lib/rpm/rpmdb.sqlite"
    content = layer((name, path.read_bytes()), (name + "-wal", (tmp_path / "rpmdb.sqlite-wal").read_bytes()))
    database.close()
    assert index(io.BytesIO(content), "a layer").databases == {name: {"bash:x86_64": "5-1"}}


@pytest.mark.parametrize(("name", "kind"), [("Packages", "Berkeley DB"), ("Packages.db", "NDB")])
def test_other_formats_of_rpm_are_reported(name, kind):
    versions, unread = packages(f"var/lib/rpm/{name}", b"\0")
    assert versions is None
    assert kind in unread[0]


def test_a_database_with_a_view_as_table_is_rejected(tmp_path):
    endless = "WITH RECURSIVE n(blob) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT * FROM n"
    view = f"DROP TABLE Packages; CREATE VIEW Packages AS {endless};"
    versions, unread = packages("var/lib/rpm/rpmdb.sqlite", rpm_database(tmp_path, script=view))
    assert versions is None
    assert "no table of packages" in unread[0]


@given(st.binary(max_size=200))
def test_a_damaged_header_gives_packages_or_a_message(blob):
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)")
    database.execute("INSERT INTO Packages (blob) VALUES (?)", (blob,))
    database.commit()
    path = "var/lib/rpm/rpmdb.sqlite"
    try:
        package_databases.read(path, {path: database.serialize()})
    except DamagedError as error:
        assert "/var/lib/rpm/rpmdb.sqlite cannot be read" in str(error)  # noqa: PT017 - both outcomes are correct
    finally:
        database.close()


@given(st.binary(max_size=300))
def test_any_content_is_read_without_an_error(content):
    for path in ("var/lib/dpkg/status", "lib/apk/db/installed"):
        package_databases.read(path, {path: content})


def test_a_huge_database_is_not_read(monkeypatch):
    monkeypatch.setattr(package_databases, "LARGEST", 10)
    versions, unread = packages("var/lib/dpkg/status", STATUS.encode())
    assert versions is None
    assert "larger than" in unread[0]
