"""Reading several images of an engine from one archive."""

from __future__ import annotations

import io
from contextlib import contextmanager

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import Store
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.docker_daemon import EnginePlace
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.image_document import parse
from made_images import config, digest, docker_save, layer

LAYERS = [layer((f"file{number}", b"%d" % number)) for number in range(7)]
#: A base, its child, and five children of the child.
STACKS = [LAYERS[:1], LAYERS[:2], *([*LAYERS[:2], top] for top in LAYERS[2:])]


class Engine:
    """An engine that packs the requested images into one archive."""

    def __init__(self):
        self.requests = []

    @contextmanager
    def packed_together(self, names):
        self.requests.append(names)
        documents = {digest(config(stack)): (config(stack), stack) for stack in STACKS}
        yield io.BytesIO(layer(*docker_save({name: documents[name] for name in names}).items()))


@pytest.fixture
def place(tmp_path):
    store = Store(tmp_path)
    engine_place = EnginePlace("", store)
    engine_place._images = Engine()
    return engine_place, store


def documents(stacks):
    return [parse(config(stack), (), "it") for stack in stacks]


def test_parents_are_read_from_the_archives_of_their_children(place):
    engine_place, store = place
    engine_place.fill_together(documents(STACKS), store)
    assert [len(names) for names in engine_place._images.requests] == [4, 1]
    assert all(store.index(digest(content)) is not None for content in LAYERS)


def test_images_whose_layers_are_in_the_store_are_not_requested(place):
    engine_place, store = place
    engine_place.fill_together(documents(STACKS[:3]), store)
    engine_place.fill_together(documents(STACKS[:3]), store)
    assert engine_place._images.requests == [[digest(config(STACKS[2]))]]
    engine_place.fill_together(documents(STACKS[:4]), store)
    assert engine_place._images.requests[1:] == [[digest(config(STACKS[3]))]]
