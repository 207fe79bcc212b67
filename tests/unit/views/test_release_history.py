"""The releases of a tier, and the reasons of each."""

from __future__ import annotations

import json
import types

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tags import is_lasting
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.image_catalogue import ContainerImage
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import NotFoundError, UsageError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import Store
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.image_document import parse
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.transport import HeldImage
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.views import release_history
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.views.release_history import history, why
from made_images import config, digest, layer, layout, tier_step, write

LAYER = layer(("a", b""))


def image(number, tier="web", team="mid", **parts):
    identity = {labels.TIER: tier, labels.PARTS: json.dumps(parts)} if parts else {}
    history_step = tier_step(tier, team, created=f"2026-01-0{number}T00:00:00Z")
    document = json.loads(config([LAYER], [history_step], Labels=identity, Env=[f"N={number}"]))
    document["created"] = history_step["created"]
    return json.dumps(document).encode(), [LAYER]


@pytest.fixture
def query(tmp_path, store):
    """Write images to a layout, and query the releases of a tier."""

    def query_layout(images, name="web", view=history):
        write(tmp_path / "it", layout(images))
        return view(f"oci:{tmp_path}/it:{name}", store)

    return query_layout


def test_releases_are_listed_in_order(query):
    result = query(
        {
            "web:release-20260105T000000Z": image(2, parent="1", **{"role/tasks/main.yml": "b"}),
            "web:release-20260103T000000Z": image(1, parent="1", **{"role/tasks/main.yml": "a", "variable/x": "1"}),
            "web:latest": image(2, parent="1", **{"role/tasks/main.yml": "b"}),
            "web:key-0123456789abcdef": image(4, parent="1"),
        }
    )
    assert result.tier == "web"
    assert [(release.when, release.tag, release.current) for release in result.releases] == [
        ("2026-01-03T00:00:00Z", "release-20260103T000000Z", False),
        ("2026-01-04T00:00:00Z", None, False),
        ("2026-01-05T00:00:00Z", "release-20260105T000000Z", True),
    ]
    assert {release.team for release in result.releases} == {"mid"}


def test_each_release_has_the_differences_from_the_one_before(query):
    images = {
        "web:release-20260103T000000Z": image(1, parent="1", **{"role/tasks/main.yml": "a", "variable/x": "1"}),
        "web:release-20260105T000000Z": image(2, parent="1", **{"role/tasks/main.yml": "b"}),
        "web:release-20260107T000000Z": image(3, parent="1", **{"role/tasks/main.yml": "b"}),
        "web:release-20260109T000000Z": image(4),
    }
    assert [release.reasons for release in query(images).releases] == [
        [],
        ["role tasks/main.yml changed", "variable x was removed"],
        ["built again with the same inputs"],
        None,
    ]


def test_why_explains_the_current_release(query):
    images = {
        "web:release-20260103T000000Z": image(1, parent="1"),
        "web:release-20260105T000000Z": image(2, parent="2"),
    }
    result = query(images, view=why)
    assert result.reasons == ["parent is a different image"]
    assert result.before.tag == "release-20260103T000000Z"
    assert query({"web:latest": image(1, parent="1")}, view=why).before is None


def test_why_explains_the_release_in_use_after_a_rollback(query):
    """It is not the newest one."""
    images = {
        "web:release-20260103T000000Z": image(1, parent="1"),
        "web:latest": image(1, parent="1"),
        "web:release-20260105T000000Z": image(2, parent="2"),
        "web:release-20260107T000000Z": image(1, parent="1"),
    }
    assert query(images, view=why).release.tag == "release-20260107T000000Z"
    assert query(images).releases[2].reasons == ["parent is a different image"]
    del images["web:release-20260107T000000Z"]
    assert query(images, view=why).release.tag == "release-20260103T000000Z"


def test_inherited_labels_do_not_make_a_release(query):
    """An image that a user built on an image of a tier inherits its labels. It is not a release of the tier."""
    document, layers = image(2, parent="2")
    forged = json.loads(document)
    forged["history"].append({"created_by": "RUN x", "empty_layer": True})
    result = query({"web:1": image(1, parent="1"), "web:2": (json.dumps(forged).encode(), layers)})
    assert len(result.releases) == 1


def test_a_tier_name_of_two_chains_is_ambiguous(query):
    images = {"one/web:latest": image(1), "two/web:latest": image(2)}
    with pytest.raises(UsageError, match="several tiers 'web'; name one of one/web, two/web"):
        query(images)
    assert [release.names for release in query(images, name="two/web").releases] == [["two/web:latest"]]
    assert len(query({"one/web:latest": image(1)}).releases) == 1


def test_an_unknown_tier_is_an_error(query):
    with pytest.raises(NotFoundError, match="no image of a tier 'other'"):
        query({"web:latest": image(1)}, name="other")
    with pytest.raises(UsageError, match="does not name a tier"):
        history("docker-daemon:", Store())


@pytest.mark.parametrize(
    ("name", "lasting"),
    [
        ("web:release-20260103T000000Z", True),
        ("web:key-0123456789abcdef", True),
        ("localhost:5000/web:previous", True),
        ("web:withdrawn-20260103T000000Z", True),
        ("web:latest", False),
        ("web:release-1", False),
        ("web:keynote", False),
    ],
)
def test_lasting_tags(name, lasting):
    assert is_lasting(name) is lasting


def test_a_container_marks_the_release_that_it_runs(tmp_path, store, monkeypatch):
    images = {
        "web:release-20260103T000000Z": image(1, parent="1"),
        "web:release-20260105T000000Z": image(2, parent="2"),
        "web:latest": image(2, parent="2"),
    }
    write(tmp_path / "it", layout(images))
    running = ContainerImage("shop_web.1", digest(images["web:release-20260103T000000Z"][0]), "web")
    monkeypatch.setattr(release_history, "container_source", {"shop_web.1": running}.get)
    monkeypatch.setattr(release_history, "repository_of", lambda _source: f"oci:{tmp_path}/it:web")
    releases = history("container:shop_web.1", store).releases
    assert [(release.deployed, release.current) for release in releases] == [(True, False), (False, True)]
    assert why("container:shop_web.1", store).release == releases[0]


def test_a_repository_in_a_registry_is_named_without_its_host(store, monkeypatch):
    content, _layers = image(1, parent="1")
    document = parse(content, ("registry.example.org:5000/dev/shop:release-20260103T000000Z",), "it")
    place = types.SimpleNamespace(title="a registry", list_images=lambda _repository: [HeldImage(document, 1)])
    monkeypatch.setattr(release_history, "open_place", lambda *_place: place)
    assert history("docker://registry.example.org:5000/dev/shop", store).tier == "web"
