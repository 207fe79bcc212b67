"""The volume names and the sources of mounted Pythons."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.interpreter import mounted_python

DEBIAN = {labels.FAMILY: "debian"}


def names(image):
    return [mounted_python.volume_name(source) for source in mounted_python.python_sources(image)]


def test_tiers_with_the_same_base_have_the_same_first_choice(make_image):
    base = make_image("sha256:0", DEBIAN, "a")
    child = make_image("sha256:1", {**DEBIAN, labels.TIER: "web"}, "a", "b")
    assert names(child)[0] == names(base)[0]
    assert len(names(base)) == 1
    assert len(names(child)) == len(set(names(child))) == 2


def test_a_different_base_or_install_script_needs_a_different_volume(make_image, monkeypatch):
    image = make_image("sha256:0", DEBIAN, "a")
    before = names(image)
    assert names(make_image("sha256:0", DEBIAN, "b")) != before
    monkeypatch.setattr(mounted_python, "_install_script", lambda: "another")
    assert names(image) != before


def test_the_sources_of_a_shared_volume_contain_no_image_settings(make_image):
    image = make_image("sha256:1", DEBIAN, "a", "b")
    assert [(source.layers, source.config) for source in mounted_python.python_sources(image)] == [
        (("a",), {}),
        (("a", "b"), {}),
    ]


@pytest.mark.parametrize("family", [{}, {labels.FAMILY: "redhat"}])
def test_other_distributions_have_no_mounted_python(make_image, family):
    image = make_image("sha256:0", family, "a")
    assert mounted_python.ensure(None, tier="one", parent_image=image, run="run", say=print) is None


def test_the_volume_is_read_only_in_build_containers():
    interpreter = mounted_python.Interpreter("volume")
    assert interpreter.mount["ReadOnly"] is True
    assert interpreter.mount["Source"] == "volume"
    assert interpreter.python.startswith(interpreter.mount["Target"] + "/")


def test_the_install_script_is_a_posix_script():
    path = Path(mounted_python.__file__).parent / "inside/install_python.sh"
    assert path.read_text().startswith("#!/bin/sh\n")
    subprocess.run(["sh", "-n", str(path)], check=True)
