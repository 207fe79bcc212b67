"""What an interpreter is named by, and what it is made from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.interpreter import mounted_python

DEBIAN = {labels.FAMILY: "debian"}


def names(image):
    return [mounted_python.volume_name(ground) for ground in mounted_python.python_sources(image)]


def test_every_tier_on_one_base_has_the_same_first_choice(make_image):
    base = make_image("sha256:0", DEBIAN, "a")
    above = make_image("sha256:1", {**DEBIAN, labels.TIER: "web"}, "a", "b")
    assert names(above)[0] == names(base)[0]
    assert len(names(base)) == 1
    assert len(names(above)) == len(set(names(above))) == 2


def test_another_base_recipe_or_architecture_means_another_interpreter(make_image, monkeypatch):
    image = make_image("sha256:0", DEBIAN, "a")
    before = names(image)
    assert names(make_image("sha256:0", DEBIAN, "b")) != before
    monkeypatch.setattr(mounted_python, "_install_script", lambda: "another")
    assert names(image) != before


def test_nothing_of_a_tier_gets_into_what_tiers_share(make_image):
    image = make_image("sha256:1", DEBIAN, "a", "b")
    assert [(each.layers, each.config) for each in mounted_python.python_sources(image)] == [
        (("a",), {}),
        (("a", "b"), {}),
    ]


@pytest.mark.parametrize("family", [{}, {labels.FAMILY: "redhat"}])
def test_other_distributions_have_none(make_image, family):
    image = make_image("sha256:0", family, "a")
    assert mounted_python.ensure(None, tier="one", parent_image=image, run="run", say=print) is None


def test_build_containers_cannot_write_to_it():
    made = mounted_python.Interpreter("volume")
    assert made.mount["ReadOnly"] is True
    assert made.mount["Source"] == "volume"
    assert made.python.startswith(made.mount["Target"] + "/")


def test_the_recipe_is_a_posix_script():
    path = Path(mounted_python.__file__).parent / "inside/install_python.sh"
    assert path.read_text().startswith("#!/bin/sh\n")
    subprocess.run(["sh", "-n", str(path)], check=True)
