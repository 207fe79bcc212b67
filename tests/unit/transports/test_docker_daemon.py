"""Several images of an engine, packed together."""

from __future__ import annotations

import io
from contextlib import contextmanager

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import Store
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.docker_daemon import EnginePlace
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.image_document import parse
from made_images import config, digest, docker_save, layer

LAYERS = [layer((f"file{number}", b"%d" % number)) for number in range(7)]
#: A base, what stands on it, and what stands on that: five branches.
STACKS = [LAYERS[:1], LAYERS[:2], *([*LAYERS[:2], each] for each in LAYERS[2:])]


class Engine:
    """Packs what it is asked for."""

    def __init__(self):
        self.asked = []

    @contextmanager
    def packed_together(self, names):
        self.asked.append(names)
        documents = {digest(config(stack)): (config(stack), stack) for stack in STACKS}
        yield io.BytesIO(layer(*docker_save({name: documents[name] for name in names}).items()))


@pytest.fixture
def place(tmp_path):
    store = Store(tmp_path)
    made = EnginePlace("", store)
    made._images = Engine()
    return made, store


def documents(stacks):
    return [parse(config(stack), (), "it") for stack in stacks]


def test_what_others_stand_on_comes_with_them(place):
    made, store = place
    made.fill_together(documents(STACKS), store)
    assert [len(names) for names in made._images.asked] == [4, 1]
    assert all(store.index(digest(each)) is not None for each in LAYERS)


def test_what_is_known_is_not_asked_for(place):
    made, store = place
    made.fill_together(documents(STACKS[:3]), store)
    made.fill_together(documents(STACKS[:3]), store)
    assert made._images.asked == [[digest(config(STACKS[2]))]]
    made.fill_together(documents(STACKS[:4]), store)
    assert made._images.asked[1:] == [[digest(config(STACKS[3]))]]
