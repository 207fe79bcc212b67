"""An engine in memory, as far as names of images go; it can die at any of its calls."""

from __future__ import annotations

import docker.errors
import pytest
import requests.exceptions


class KilledError(BaseException):
    """The process that calls the engine was killed: nothing of it runs any more."""


class Names:
    """Images, and the tags that name them."""

    def __init__(self, *images):
        self.images = set(images)
        self.tags: dict[str, str] = {}

    def by_repository(self):
        found: dict[str, dict[str, str]] = {}
        for reference, image in self.tags.items():
            repository, _, tag = reference.rpartition(":")
            found.setdefault(repository, {})[tag] = image
        return found


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
        return self._call(lambda: [{"Id": image, "RepoTags": tags} for image, tags in listed.items()])

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
