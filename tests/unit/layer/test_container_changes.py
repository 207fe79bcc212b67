"""Folders of a container that only the mount table shows, as with the image store of containerd."""

from __future__ import annotations

import os

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer import container_changes


@pytest.fixture
def process(tmp_path):
    """A substitute for `/proc/<pid>` whose root is the folder `upper`."""
    (tmp_path / "upper").mkdir()
    (tmp_path / "process").mkdir()
    (tmp_path / "process/root").symlink_to(tmp_path / "upper")
    return tmp_path / "process"


def options(folder, upper="upper", lower="/l/2/fs:/l/1/fs"):
    return {"upperdir": upper if upper.startswith(("/", ".")) or not upper else f"{folder}/{upper}", "lowerdir": lower}


def test_the_upper_folder_of_the_container_is_accepted(process, tmp_path):
    overlay = container_changes._overlay_from_mount(process, options(tmp_path))
    assert (overlay.upper, overlay.lowers) == (os.fsencode(tmp_path / "upper"), (b"/l/2/fs", b"/l/1/fs"))


def test_a_different_folder_with_the_same_path_is_not_accepted(process, tmp_path):
    """A second containerd on the machine also numbers its folders from one."""
    (tmp_path / "upper").rename(tmp_path / "moved")
    (tmp_path / "process/root").unlink()
    (tmp_path / "process/root").symlink_to(tmp_path / "moved")
    (tmp_path / "upper").mkdir()
    assert container_changes._overlay_from_mount(process, options(tmp_path)) is None


@pytest.mark.parametrize(
    "unusable",
    [
        {"upper": ""},
        {"upper": "./350/fs"},  # relative to the working folder of the engine
        {"lower": "349/fs:348/fs"},
        {"lower": ""},
        {"lower": "/l/with\\:colon/fs"},
        {"upper": "gone"},
    ],
    ids=str,
)
def test_unusable_mount_options_are_left_to_the_engine(process, tmp_path, unusable):
    assert container_changes._overlay_from_mount(process, options(tmp_path, **unusable)) is None


def test_a_mount_that_is_not_an_overlay_is_left_to_the_engine(process):
    assert container_changes._overlay_from_mount(process, {"rw": ""}) is None
