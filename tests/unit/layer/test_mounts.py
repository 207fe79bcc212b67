from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import SealError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer import mounts
from fake_engine import FakeEngine
from fake_engine.world import Node


class World:
    """An engine with the images base <- db <- app, where db declares a volume, and a container with changes."""

    def __init__(self):
        self.engine, data = FakeEngine(), "/var/run/data"
        for name, parent, declared in (("base", None, ()), ("db", "id-base", (data,)), ("app", "id-db", (data,))):
            image_labels = {labels.TIER: name, **({labels.PARENT: parent} if parent else {})}
            self.engine.add(f"id-{name}", image_labels)
            self.images[f"id-{name}"].config = {"Volumes": {path: {} for path in declared}}
        self.links = {"/var/run": "/run"}

    @property
    def images(self):
        return self.engine.world.images

    def check(self, *changed, **declared):
        container = self.engine.world.add_container("c", {})
        container.changed = list(changed)
        container.files = {path: Node(target=target) for path, target in self.links.items()}
        mounts.check_volumes(
            self.engine,
            tier="shop",
            container="c",
            parent_image=self.engine.images.get("id-app"),
            declared={"volumes": None, **declared},
        )


@pytest.fixture
def world():
    return World()


def test_a_write_below_a_volume_is_rejected_with_tier_path_and_owner(world):
    with pytest.raises(SealError) as failure:
        world.check("/run", "/run/data", "/run/data/a", "/run/data/a/b", "/run/data/c")
    assert "tier 'shop': its role changed /run/data/a/b, /run/data/c below /var/run/data" in str(failure.value)
    assert "which is a volume that tier 'db' declares" in str(failure.value)


def test_an_owner_whose_image_was_removed_is_not_guessed(world):
    del world.images["id-db"]
    with pytest.raises(SealError, match="tier 'app' or one of its ancestors declares"):
        world.check("/run/data/a")


def test_a_long_list_of_paths_is_shortened(world):
    with pytest.raises(SealError, match=r"/run/data/0, /run/data/1, /run/data/2 … below"):
        world.check(*(f"/run/data/{number}" for number in range(9)))


def test_the_folder_of_a_volume_and_its_siblings_may_change(world):
    world.check("/run", "/run/data", "/run/database/a", "/var/run")


@pytest.mark.parametrize("volumes", [["/var/run/data"], ["/elsewhere"], []])
def test_a_tier_that_sets_volumes_inherits_none(world, volumes):
    world.check("/run/data/a", volumes=volumes)


def test_circular_links_are_not_followed_forever(world):
    world.links = {"/var": "/other", "/other": "/var"}
    world.check("/run/data/a")


PATHS = st.lists(st.sampled_from(["a", "b", "a!"]), min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(st.sets(PATHS), PATHS)
def test_only_the_deepest_paths_below_a_folder_are_reported(changed, folder):
    reported = mounts.paths_below(changed, [folder])
    for path in changed:
        inside = path.startswith(folder + "/")
        assert (path in reported) == (inside and not any(other.rpartition("/")[0] == path for other in changed))
