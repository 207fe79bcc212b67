"""The shared cache believes an image only if its labels, its key parts and its layers agree."""

from __future__ import annotations

import json

import msgspec
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.parts import content_tag, digest_key
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.shared_cache import (
    SharedCache,
    sources_tag,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image.manifest import (
    CONFIG,
    LAYER,
    descriptor,
    image_manifest,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action, decide
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registries import Registries
from fake_registry import digest

BASE = ["sha256:" + "0" * 64]
OWN = "sha256:" + "1" * 64
PARENT = "sha256:" + "9" * 64
#: What is known before a build, and what the role used besides it.
STATIC = {"role": "r1", "parent": PARENT}
SOURCES = {"environment/COLOUR": "blue"}


@pytest.fixture
def tier(registry, make_tier):
    return msgspec.structs.replace(make_tier("web", "base"), image=f"{registry.host}/team/web")


class Images:
    """Publishes images of the tier."""

    def __init__(self, registry, tier):
        self.registry, self.tier = registry, tier
        self.repository = tier.image.partition("/")[2]

    def publish(self, parts, *tags, layers=(*BASE, OWN), made_by="web", **changed):
        identity = {**labels.identity("demo", self.tier, parts, None), **changed}
        document = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": identity},
            "rootfs": {"type": "layers", "diff_ids": list(layers)},
            "history": [
                {
                    "created_by": "tierwright: tier base: debian"
                    if number == 0
                    else f"tierwright: tier {made_by}: role web"
                }
                for number in range(len(layers))
            ],
        }
        config = json.dumps(document).encode()
        self.registry.blobs[self.repository, digest(config)] = config
        content = image_manifest(
            descriptor(CONFIG, digest(config), len(config)), [descriptor(LAYER, layer, 1) for layer in layers]
        )
        for tag in tags or (sources_tag(parts), content_tag(digest_key(parts))):
            self.registry.put(self.repository, tag, content)
        return digest(config)


@pytest.fixture
def images(registry, tier):
    return Images(registry, tier)


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def cache(warnings):
    return open_cache(warnings)


def open_cache(warnings, current=SOURCES):
    def digest_sources(_tier, names):
        return {name: current[name] for name in names}

    layers = {PARENT: BASE}
    return SharedCache(Registries(), digest_sources, layers.get, warnings.append)


def test_an_image_with_the_same_parts_is_found(cache, images, tier, warnings):
    image = images.publish({**STATIC, **SOURCES})
    assert cache.find(tier, STATIC).id == image
    assert list(cache.found) == [image]
    assert warnings == []


def test_without_an_image_nothing_is_found(cache, tier, warnings):
    assert cache.find(tier, STATIC) is None
    assert warnings == []


def test_an_image_from_other_sources_is_not_found(images, tier, warnings):
    images.publish({**STATIC, **SOURCES})
    assert open_cache(warnings, {"environment/COLOUR": "red"}).find(tier, STATIC) is None
    assert warnings == []


def test_an_earlier_image_from_the_current_sources_is_found(images, tier, warnings):
    red = images.publish({**STATIC, "environment/COLOUR": "red"})
    images.publish({**STATIC, **SOURCES})  # `sources-…` names only the newest image
    assert open_cache(warnings, {"environment/COLOUR": "red"}).find(tier, STATIC).id == red


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({labels.TIER: "other"}, "its label names the tier 'other'"),
        ({labels.KEY: "f" * 64}, "its labels have a different build key"),
        ({labels.PARENT: OWN}, f"it is based on {OWN}, expected {PARENT}"),
        ({"layers": (OWN, *BASE)}, "its layers are not those of its parent and one more"),
        ({"layers": (*BASE, OWN, OWN)}, "its layers are not those of its parent and one more"),
        ({"made_by": "other"}, "its last layer was made by other"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_image_that_disagrees_is_not_believed(images, tier, warnings, changed, problem):
    images.publish(STATIC, **changed)
    cache = open_cache(warnings)
    assert cache.find(tier, STATIC) is None
    assert cache.found == {}
    (warning,) = warnings
    assert warning.startswith("tier 'web': ")
    assert warning.endswith(f"is in the shared cache, but {problem}; it is not used")


def test_an_image_under_the_tag_of_other_parts_is_not_believed(cache, images, tier, warnings):
    wrong = {"role": "r2", "parent": PARENT}
    images.publish(wrong, sources_tag(STATIC), content_tag(digest_key(STATIC)))
    assert cache.find(tier, STATIC) is None
    assert "its labels have a different build key" in warnings[0]


def test_a_registry_that_fails_is_asked_once(cache, registry, tier, warnings):
    registry.fault = lambda _method, _path: 403
    assert cache.find(tier, STATIC) is None
    asked = len(registry.requests)
    assert cache.find(tier, STATIC) is None
    assert not cache.has_passed(tier, OWN, "tested-000000000000-000000000000")
    assert len(registry.requests) == asked
    (warning,) = warnings
    assert warning.startswith(f"the shared cache is not used: registry {registry.host} answered")


def test_only_the_same_image_has_passed(cache, images, tier):
    tested = "tested-000000000000-000000000000"
    image = images.publish(STATIC, tested)
    assert cache.has_passed(tier, image, tested)
    assert [(each.tier.name, each.image, each.tag) for each in cache.tested] == [("web", image, tested)]
    assert not cache.has_passed(tier, OWN, tested)
    assert not cache.has_passed(tier, image, "tested-111111111111-000000000000")


def test_a_plan_keeps_a_whole_chain_that_was_built_elsewhere(registry, make_tier, make_snapshot, warnings):
    base = msgspec.structs.replace(make_tier("base"), image=f"{registry.host}/team/base")
    web = msgspec.structs.replace(make_tier("web", "base"), image=f"{registry.host}/team/web")
    known = {"base": {"source": "s"}, "web": {"role": "r1"}}
    base_id = Images(registry, base).publish(known["base"], layers=BASE)
    web_id = Images(registry, web).publish({**known["web"], "parent": base_id})
    chain, cache = Chain([base, web]), open_cache(warnings)
    decisions = decide(chain, known, make_snapshot({}), selected=chain.order, forced=(), shared=cache)
    assert [(each.action, each.image) for each in decisions.values()] == [
        (Action.KEEP, base_id),
        (Action.KEEP, web_id),
    ]
    assert {each.reasons for each in decisions.values()} == {("built elsewhere, from the shared cache",)}
    assert warnings == []


def test_a_forced_tier_is_built_although_it_is_in_the_cache(registry, make_tier, make_snapshot, warnings):
    base = msgspec.structs.replace(make_tier("base"), image=f"{registry.host}/team/base")
    Images(registry, base).publish({"source": "s"}, layers=BASE)
    chain = Chain([base])
    parts = {"base": {"source": "s"}}
    cache = open_cache(warnings)
    decisions = decide(chain, parts, make_snapshot({}), selected=["base"], forced=["base"], shared=cache)
    assert decisions["base"].action is Action.BUILD
