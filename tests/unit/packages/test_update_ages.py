"""Since when security updates have been available, and what is remembered about it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import DamagedError, RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.packages import update_ages
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.packages.archive_http import ArchiveClient
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.packages.image_apt import SecurityFix
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.packages.update_ages import UpdateAges
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.packages.update_memory import (
    UpdateMemory,
    UpdateTimes,
)
from served import http_server

pytestmark = pytest.mark.once

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DEBIAN = "deb.debian.org/debian-security bookworm-security main"
UBUNTU = "archive.ubuntu.com/ubuntu noble-security main"
DAMAGED = ["", "[]", '{"archive": "x", "updates": {"p": {"1": {"seen": "now"}}}}', "[" * 9999]


class Times:
    """Archives that tell the times of files, by address."""

    def __init__(self, **days):
        self.days, self.asked = days, []

    def published(self, address):
        self.asked.append(address)
        days = self.days.get(address)
        return None if days is None else NOW - timedelta(days=days)


@pytest.fixture
def memory(tmp_path):
    return UpdateMemory(tmp_path / "memory")


def fix(version="2", address="it", archive=DEBIAN, installed="1", package="openssl:amd64"):
    return SecurityFix(archive, package, installed, version, address)


def days(memory, *fixes, after=0, **times):
    return UpdateAges(Times(**times), memory, NOW + timedelta(days=after)).days(fixes)


def test_the_time_of_the_file_counts(memory):
    assert days(memory, fix(), it=5.9) == {"openssl": 5}


def test_a_known_time_is_not_asked_for_again(memory):
    times = Times(it=5)
    for after in range(3):
        assert UpdateAges(times, memory, NOW + timedelta(days=after)).days([fix()]) == {"openssl": 5 + after}
    assert times.asked == ["it"]


def test_an_unknown_time_counts_from_when_it_was_seen_and_is_asked_for_again(memory):
    assert days(memory, fix()) == {"openssl": 0}
    assert days(memory, fix(), after=4) == {"openssl": 4}
    assert days(memory, fix(), after=4, it=10) == {"openssl": 14}


def test_a_clock_that_was_wrong_makes_no_negative_days(memory):
    assert days(memory, fix(), after=50) == {"openssl": 0}
    assert days(memory, fix()) == {"openssl": 0}


def test_the_oldest_update_that_is_still_missing_counts(memory):
    assert days(memory, fix("2"), it=9) == {"openssl": 9}
    assert days(memory, fix("3", "new"), new=1) == {"openssl": 9}
    assert days(memory, fix("3", "new", installed="2"), new=1) == {"openssl": 1}


def test_an_update_that_the_archive_took_back_does_not_count(memory):
    assert days(memory, fix("3"), it=9) == {"openssl": 9}
    assert days(memory, fix("2", "older"), older=1) == {"openssl": 1}


def test_archives_are_remembered_apart(memory):
    assert days(memory, fix("2"), it=9) == {"openssl": 9}
    assert days(memory, fix("3", "new", UBUNTU), new=1) == {"openssl": 1}


def test_of_several_archives_and_architectures_the_oldest_update_counts(memory):
    fixes = [fix(), fix("2", "other", UBUNTU), fix("2", "foreign", package="openssl:i386")]
    assert days(memory, *fixes, it=2, other=4, foreign=3) == {"openssl": 4}


def test_requests_are_limited(memory, monkeypatch):
    monkeypatch.setattr(update_ages, "_MOST_REQUESTS", 2)
    times = Times(**{f"p{number}": 9 for number in range(5)})
    found = UpdateAges(times, memory, NOW).days([fix(address=each, package=f"{each}:amd64") for each in times.days])
    assert (len(times.asked), sorted(found.values())) == (2, [0, 0, 0, 9, 9])


@given(st.lists(st.tuples(st.integers(0, 10**10), st.none() | st.integers(0, 10**10)), min_size=1))
def test_a_remembered_time_only_becomes_earlier(tmp_path_factory, times):
    memory = UpdateMemory(tmp_path_factory.mktemp("memory"))
    known = [
        memory.remember(DEBIAN, {"openssl:amd64": {"2": UpdateTimes(*each)}})["openssl:amd64"]["2"].available
        for each in times
    ]
    assert known == sorted(known, reverse=True)
    assert known[-1] == min(moment for each in times for moment in each if moment is not None)


@pytest.mark.parametrize("title", ["/../../x", "x" * 5000, "\udcff", ""])
def test_any_title_of_an_archive_has_a_private_file_of_its_own(tmp_path, memory, title):
    memory.remember(title, {"openssl:amd64": {"2": UpdateTimes(1)}})
    memory.remember(DEBIAN, {})
    assert [path.name for path in tmp_path.iterdir()] == ["memory"]
    [file] = (tmp_path / "memory").glob("*.json")
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert json.loads(file.read_text())["archive"] == title
    assert memory.remember(title, {}) == {"openssl:amd64": {"2": UpdateTimes(1)}}


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_memory_is_an_error(tmp_path, memory, content):
    memory.remember(DEBIAN, {"openssl:amd64": {"2": UpdateTimes(1)}})
    [file] = (tmp_path / "memory").glob("*.json")
    file.write_text(content)
    with pytest.raises(DamagedError, match=r"is damaged .* remove the file"):
        memory.remember(DEBIAN, {})


def test_a_memory_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="correct the rights of"):
        UpdateMemory(tmp_path / "file" / "memory").remember(DEBIAN, {})


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Last-Modified": "Mon, 30 Nov 2026 12:00:00 GMT"}, NOW),
        ({"Last-Modified": "Mon, 30 Nov 2026 14:00:00 +0200"}, NOW),
        ({"Last-Modified": "Mon, 30 Nov 2026 12:00:00"}, NOW),
        ({"Last-Modified": "yesterday"}, None),
        ({"Last-Modified": "Mon, 99 Nov 2026 12:00:00 GMT"}, None),
        ({"Last-Modified": "Fri, 31 Dec 9999 23:59:59 -2300"}, None),
        ({"Last-Modified": "Mon, 30 Nov 99999999999999999999 12:00:00 GMT"}, None),
        ({}, None),
    ],
)
def test_a_header_is_a_time_or_nothing(headers, expected):
    with http_server(lambda path, _headers: (200 if path == "/it" else 404, headers, b"content")) as host:
        client = ArchiveClient(lambda _line: None)
        assert client.modified(f"http://{host}/it") == expected
        assert client.modified(f"http://{host}/missing") is None


def test_a_host_that_does_not_answer_is_asked_once(monkeypatch):
    lines = []
    client = ArchiveClient(lines.append)
    assert client.modified("http://user:secret@127.0.0.1:9/one") is None
    monkeypatch.setattr(client, "_http", None)
    assert client.modified("http://user:secret@127.0.0.1:9/two") is None
    assert lines == ["asking 127.0.0.1 since when updates have been available"]
