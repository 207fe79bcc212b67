"""An engine in memory, as far as names of images go, and a chain that is released on it."""

from __future__ import annotations

from datetime import UTC, datetime

import docker.errors
import pytest
import requests.exceptions

from ansible_collections.tierwright.chain.plugins.plugin_utils.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils.engine.snapshot import Snapshot
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.moves import move_all
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.promote import plan_moves
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.releases import Releases
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.rollback import plan_rollback

PARENTS = {"base": None, "core": "base", "php": "core", "db": "core"}


class KilledError(BaseException):
    """The process that calls the engine was killed: nothing of it runs any more."""


class Names:
    """Images, and the tags that name them."""

    def __init__(self, *images):
        self.images = set(images)
        self.tags: dict[str, str] = {}

    def by_repository(self):
        return Snapshot.take(Client(self)).names


class Client:
    """The part of the SDK's client that is needed.

    The call number `dies_at` is the last: it is carried out or not, and then there is no caller (`KilledError`), or no
    engine any more.
    """

    def __init__(self, names, dies_at=None, *, carried_out=False, error=KilledError):
        self.api = self
        self._names, self._left, self._carried_out = names, dies_at, carried_out
        self._error = error

    def _call(self, do):
        if self._left is None:
            return do()
        if self._left == 0:
            raise self._error
        self._left -= 1
        if self._left == 0:
            if self._carried_out:
                do()
            raise self._error
        return do()

    def images(self):
        listed = {image: [] for image in self._names.images}
        for reference, image in self._names.tags.items():
            listed[image].append(reference)
        return self._call(
            lambda: [{"Id": image, "RepoTags": tags or ["<none>:<none>"]} for image, tags in listed.items()]
        )

    def inspect_image(self, reference):
        image = self._names.tags.get(reference, reference)
        if image not in self._names.images:
            raise docker.errors.ImageNotFound(reference)
        return self._call(lambda: {"Id": image, "RootFS": {"Layers": []}, "Config": {"Labels": {}}})

    def tag(self, image, repository, tag):
        if image not in self._names.images:
            raise docker.errors.ImageNotFound(image)
        self._call(lambda: self._names.tags.__setitem__(f"{repository}:{tag}", image))

    def remove_image(self, reference):
        if reference not in self._names.tags:
            raise docker.errors.ImageNotFound(reference)
        self._call(lambda: self._names.tags.pop(reference))


@pytest.fixture
def make_names():
    return Names


@pytest.fixture
def make_client():
    """Connect to an engine: `make_client(names, dies_at=3, carried_out=True)`."""
    return Client


@pytest.fixture
def killed():
    return KilledError


@pytest.fixture
def gone():
    return requests.exceptions.ConnectionError("gone")


class Shop:
    """A chain whose images are promoted and rolled back, and what was released in truth."""

    def __init__(self, make_tier, names, client):
        self.chain = Chain(make_tier(name, parent) for name, parent in PARENTS.items())
        self.names, self.client = names, client
        self.truth: dict[str, dict[str, str]] = {}
        self.moment = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
        self.made = 0

    @property
    def state(self):
        return {name: self.names.tags[f"{name}:latest"] for name in PARENTS if f"{name}:latest" in self.names.tags}

    def tag(self, form):
        return {ref: image for ref, image in self.names.tags.items() if ref.partition(":")[2].startswith(form)}

    def promote(self, *tiers, images=None):
        moving = {}
        for name in tiers:
            self.made += 1
            image = (images or {}).get(name, f"sha256:{name}-{self.made}")
            self.names.images.add(image)
            self.names.tags[f"{name}:key-{self.made:016x}"] = image
            moving[name] = image
        release, moves = plan_moves(self.chain, moving, self.names.by_repository(), self.moment)
        move_all(self.client, "demo", moves)
        self.truth[release] = self.state
        return release

    def back(self, release=None, selected=tuple(PARENTS)):
        rollback = plan_rollback(self.chain, selected, self.names.by_repository(), release, self.moment)
        move_all(self.client, "demo", rollback.moves)
        return rollback

    @property
    def releases(self):
        return Releases(PARENTS, self.names.by_repository())


@pytest.fixture
def make_shop(make_tier, make_names, make_client, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def make():
        names = make_names()
        return Shop(make_tier, names, make_client(names))

    return make


@pytest.fixture
def shop(make_shop):
    return make_shop()
