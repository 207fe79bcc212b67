"""The folder that a report is written to."""

from __future__ import annotations

import json

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import UsageError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.output_folder import check, publish

PAGES = [("index.html", "one"), ("tiers/web.html", "web")]


def write(folder, pages=PAGES):
    return publish(folder, iter(pages), chain="demo", made="2026-11-24T12:00:00Z")


def content(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.html")}


def test_a_new_folder_is_made_with_its_parents(tmp_path):
    assert write(tmp_path / "a/b") == 2
    assert content(tmp_path / "a/b") == dict(PAGES)
    assert list((tmp_path / "a").iterdir()) == [tmp_path / "a/b"]
    assert json.loads((tmp_path / "a/b/report.json").read_text())["files"] == [
        "index.html",
        "tiers/web.html",
        "report.json",
    ]


def test_the_folder_has_the_usual_permissions(tmp_path):
    write(tmp_path / "it")
    (tmp_path / "usual").mkdir()
    assert (tmp_path / "it").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_second_report_replaces_the_first(tmp_path):
    write(tmp_path / "it")
    write(tmp_path / "it", [("index.html", "two")])
    assert content(tmp_path / "it") == {"index.html": "two"}
    assert list(tmp_path.iterdir()) == [tmp_path / "it"]


def test_an_empty_folder_and_a_link_to_a_report_are_accepted(tmp_path):
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty")
    (tmp_path / "link").symlink_to("empty")
    write(tmp_path / "link", [("index.html", "two")])
    assert (tmp_path / "link").is_symlink()
    assert content(tmp_path / "empty") == {"index.html": "two"}


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"notes.txt": "mine"}, "is not empty, and is not a report"),
        ({"report.json": "[]"}, "is not empty, and is not a report"),
        (
            {"report.json": '{"tierwright": "report", "files": ["report.json"]}', "x": ""},
            "contains 'x', which",
        ),
    ],
)
def test_a_folder_that_is_not_a_report_is_rejected_and_unchanged(tmp_path, files, sentence):
    folder = tmp_path / "it"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    for attempt in (check, write):
        with pytest.raises(UsageError, match=sentence):
            attempt(folder)
    assert {path.name: path.read_text() for path in folder.iterdir()} == files


def test_a_file_is_rejected(tmp_path):
    (tmp_path / "it").write_text("mine")
    with pytest.raises(UsageError, match="is not a folder"):
        write(tmp_path / "it")


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written: "):
        write(tmp_path / "file/it")


def test_an_interrupted_report_leaves_the_old_one(tmp_path):
    write(tmp_path / "it")

    def pages():
        yield "index.html", "two"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "it", pages())
    assert content(tmp_path / "it") == dict(PAGES)
    assert list(tmp_path.iterdir()) == [tmp_path / "it"]
