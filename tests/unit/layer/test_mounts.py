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
    """An engine with ancestors base <- db <- app, of which db declares a volume, and a container's changes."""

    def __init__(self):
        self.engine, data = FakeEngine(), "/var/run/data"
        for name, parent, declared in (("base", None, ()), ("db", "id-base", (data,)), ("app", "id-db", (data,))):
            said = {labels.TIER: name, **({labels.PARENT: parent} if parent else {})}
            self.engine.add(f"id-{name}", said)
            self.images[f"id-{name}"].config = {"Volumes": {path: {} for path in declared}}
        self.links = {"/var/run": "/run"}

    @property
    def images(self):
        return self.engine.world.images

    def check(self, *changed, **declared):
        container = self.engine.world.run("c", {})
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
def engine():
    return World()


def test_a_write_beneath_a_volume_names_tier_path_and_owner(engine):
    with pytest.raises(SealError) as told:
        engine.check("/run", "/run/data", "/run/data/a", "/run/data/a/b", "/run/data/c")
    assert "tier 'shop': its role changed /run/data/a/b, /run/data/c below /var/run/data" in str(told.value)
    assert "which is a volume that tier 'db' declares" in str(told.value)


def test_an_owner_that_is_gone_is_not_made_up(engine):
    del engine.images["id-db"]
    with pytest.raises(SealError, match="tier 'app' or one of its ancestors declares"):
        engine.check("/run/data/a")


def test_many_paths_are_not_all_told(engine):
    with pytest.raises(SealError, match=r"/run/data/0, /run/data/1, /run/data/2 … below"):
        engine.check(*(f"/run/data/{number}" for number in range(9)))


def test_the_directory_itself_and_its_neighbours_may_change(engine):
    engine.check("/run", "/run/data", "/run/database/a", "/var/run")


@pytest.mark.parametrize("said", [["/var/run/data"], ["/elsewhere"], []])
def test_a_tier_that_says_its_volumes_inherits_none(engine, said):
    engine.check("/run/data/a", volumes=said)


def test_links_in_a_circle_end(engine):
    engine.links = {"/var": "/other", "/other": "/var"}
    engine.check("/run/data/a")


paths = st.lists(st.sampled_from(["a", "b", "a!"]), min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(st.sets(paths), paths)
def test_what_lies_beneath_is_told_by_its_leaves(changed, folder):
    found = mounts.paths_below(changed, [folder])
    for path in changed:
        inside = path.startswith(folder + "/")
        assert (path in found) == (inside and not any(other.rpartition("/")[0] == path for other in changed))
