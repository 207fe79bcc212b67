"""Stage images: the layers that build containers start from."""

from __future__ import annotations

import io
import tarfile

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine import system
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.inspection import Image
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sealing import stage_image
from fake_engine import FakeEngine

PARENT = Image("sha256:id", {}, ("sha256:aa", "sha256:bb"), {}, (), 1, "amd64", "linux")


@pytest.mark.parametrize(("commits", "extra_layers"), [(False, 0), (True, 1)])
def test_mount_points_are_a_lower_layer_if_the_engine_would_commit_them(commits, extra_layers):
    engine = FakeEngine()
    engine.system.engine_kind = system.EngineKind(commits_mount_points=commits)
    layers = stage_image.lower_layers(engine, PARENT)
    assert layers.digests[:2] == PARENT.layers
    assert len(layers.digests) == 2 + extra_layers
    assert set(layers.contents) == set(layers.digests[2:])
    assert layers.donor == PARENT.id


def test_the_layer_of_mount_points_has_empty_files_in_folders_of_root():
    with tarfile.open(fileobj=io.BytesIO(stage_image.mount_points())) as tar:
        entries = {entry.name: entry for entry in tar}
    assert entries["run/.containerenv"].isreg()
    assert entries["etc/mtab"].linkname == "/proc/mounts"
    assert all(entry.size == entry.uid == entry.mtime == 0 for entry in entries.values())
    assert {entry.mode for entry in entries.values() if entry.isdir()} == {0o755}
