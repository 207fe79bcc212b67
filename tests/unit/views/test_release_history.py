from __future__ import annotations

import json

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tags import is_lasting
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import NotFoundError, UsageError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import Store
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.views.release_history import history, why
from made_images import config, layer, layout, ours, write

LAYER = layer(("a", b""))


def image(number, tier="web", team="mid", **parts):
    identity = {labels.TIER: tier, labels.PARTS: json.dumps(parts)} if parts else {}
    made = ours(tier, team, created=f"2026-01-0{number}T00:00:00Z")
    document = json.loads(config([LAYER], [made], Labels=identity, Env=[f"N={number}"]))
    document["created"] = made["created"]
    return json.dumps(document).encode(), [LAYER]


@pytest.fixture
def told(tmp_path, store):
    """Make a layout of images, and tell a tier's releases."""

    def tell(images, name="web", ask=history):
        write(tmp_path / "it", layout(images))
        return ask(f"oci:{tmp_path}/it:{name}", store)

    return tell


def test_releases_in_their_order_with_reasons(told):
    found = told(
        {
            "web:release-20260105T000000Z": image(2, parent="1", **{"role/tasks/main.yml": "b"}),
            "web:release-20260103T000000Z": image(1, parent="1", **{"role/tasks/main.yml": "a", "variable/x": "1"}),
            "web:latest": image(2, parent="1", **{"role/tasks/main.yml": "b"}),
            "web:key-0123456789abcdef": image(4, parent="1"),
        }
    )
    assert found.tier == "web"
    assert [(each.when, each.tag, each.current) for each in found.releases] == [
        ("2026-01-03T00:00:00Z", "release-20260103T000000Z", False),
        ("2026-01-04T00:00:00Z", None, False),
        ("2026-01-05T00:00:00Z", "release-20260105T000000Z", True),
    ]
    assert {each.team for each in found.releases} == {"mid"}


def test_what_differs_from_the_release_before(told):
    images = {
        "web:release-20260103T000000Z": image(1, parent="1", **{"role/tasks/main.yml": "a", "variable/x": "1"}),
        "web:release-20260105T000000Z": image(2, parent="1", **{"role/tasks/main.yml": "b"}),
        "web:release-20260107T000000Z": image(3, parent="1", **{"role/tasks/main.yml": "b"}),
        "web:release-20260109T000000Z": image(4),
    }
    assert [each.reasons for each in told(images).releases] == [
        [],
        ["role tasks/main.yml changed", "variable x was removed"],
        ["built again with the same inputs"],
        None,
    ]


def test_why(told):
    images = {
        "web:release-20260103T000000Z": image(1, parent="1"),
        "web:release-20260105T000000Z": image(2, parent="2"),
    }
    found = told(images, ask=why)
    assert found.reasons == ["parent is a different image"]
    assert found.before.tag == "release-20260103T000000Z"
    assert told({"web:latest": image(1, parent="1")}, ask=why).before is None


def test_a_release_that_was_taken_back(told):
    """The one in use is told of, not the newest."""
    images = {
        "web:release-20260103T000000Z": image(1, parent="1"),
        "web:latest": image(1, parent="1"),
        "web:release-20260105T000000Z": image(2, parent="2"),
        "web:release-20260107T000000Z": image(1, parent="1"),
    }
    assert told(images, ask=why).release.tag == "release-20260107T000000Z"
    assert told(images).releases[2].reasons == ["parent is a different image"]
    del images["web:release-20260107T000000Z"]
    assert told(images, ask=why).release.tag == "release-20260103T000000Z"


def test_labels_prove_nothing(told):
    """An image that others built on a tier's inherits its labels, and is no release of it."""
    document, layers = image(2, parent="2")
    forged = json.loads(document)
    forged["history"].append({"created_by": "RUN x", "empty_layer": True})
    found = told({"web:1": image(1, parent="1"), "web:2": (json.dumps(forged).encode(), layers)})
    assert len(found.releases) == 1


def test_two_chains_with_a_tier_of_one_name(told):
    images = {"one/web:latest": image(1), "two/web:latest": image(2)}
    with pytest.raises(UsageError, match="several tiers 'web'; name one of one/web, two/web"):
        told(images)
    assert [each.names for each in told(images, name="two/web").releases] == [["two/web:latest"]]
    assert len(told({"one/web:latest": image(1)}).releases) == 1


def test_no_such_tier(told):
    with pytest.raises(NotFoundError, match="no image of a tier 'other'"):
        told({"web:latest": image(1)}, name="other")
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
def test_tags_that_name_a_build(name, lasting):
    assert is_lasting(name) is lasting
