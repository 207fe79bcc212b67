"""Directories of a container that only the kernel tells of, as with containerd's store."""

from __future__ import annotations

import os

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer import container_changes


@pytest.fixture
def process(tmp_path):
    """Stands for `/proc/<pid>`: its root is the directory `upper`."""
    (tmp_path / "upper").mkdir()
    (tmp_path / "process").mkdir()
    (tmp_path / "process/root").symlink_to(tmp_path / "upper")
    return tmp_path / "process"


def options(folder, upper="upper", lower="/l/2/fs:/l/1/fs"):
    return {"upperdir": upper if upper.startswith(("/", ".")) or not upper else f"{folder}/{upper}", "lowerdir": lower}


def test_the_directory_that_is_seen_is_the_container_s(process, tmp_path):
    found = container_changes._overlay_from_mount(process, options(tmp_path))
    assert (found.upper, found.lowers) == (os.fsencode(tmp_path / "upper"), (b"/l/2/fs", b"/l/1/fs"))


def test_another_directory_with_its_path_is_not(process, tmp_path):
    """Another containerd on this machine numbers its directories from one as well."""
    (tmp_path / "upper").rename(tmp_path / "moved")
    (tmp_path / "process/root").unlink()
    (tmp_path / "process/root").symlink_to(tmp_path / "moved")
    (tmp_path / "upper").mkdir()
    assert container_changes._overlay_from_mount(process, options(tmp_path)) is None


@pytest.mark.parametrize(
    "given",
    [
        {"upper": ""},
        {"upper": "./350/fs"},  # seen from where the engine stood
        {"lower": "349/fs:348/fs"},
        {"lower": ""},
        {"lower": "/l/with\\:colon/fs"},
        {"upper": "gone"},
    ],
    ids=str,
)
def test_what_cannot_be_told_is_left_to_the_engine(process, tmp_path, given):
    assert container_changes._overlay_from_mount(process, options(tmp_path, **given)) is None


def test_a_mount_that_is_no_overlay_tells_nothing(process):
    assert container_changes._overlay_from_mount(process, {"rw": ""}) is None
