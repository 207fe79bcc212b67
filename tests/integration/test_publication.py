"""Images are published to a real registry: complete at every moment, the same for everybody, and nothing twice."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import docker.errors
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image.manifest import MANIFEST
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_writer import RegistryWriter
from publishing import TIERS, KillCampaign, MadeChain, choose
from real_registry import free_port
from relay import HoldingRelay
from sdk_client import as_engine

from .conftest import BIN, WRITE

pytestmark = pytest.mark.once

#: A pattern that matches no piece of data so often that a relay would hold it.
NEVER = 1_000_000


@pytest.fixture
def made(tmp_path, registry, engine, environment):
    """A chain with images that are released and not published."""
    chain = MadeChain(tmp_path, registry, int(registry.rpartition(":")[2]), engine, environment)
    chain.write()
    chain.release()
    yield chain
    chain.clear()


@pytest.fixture
def relayed(tmp_path, registry, engine, environment):
    """A chain whose inventory names a port on this machine where nothing is yet."""
    port = int(registry.rpartition(":")[2])
    chain = MadeChain(tmp_path, f"localhost:{free_port()}", port, engine, environment)
    chain.write()
    yield chain
    chain.clear()


def published_digest(chain, tier, tag="latest"):
    return chain.read(tier, "manifests", tag)[1]


def image_id(engine, name):
    """The digest of an image's configuration, whatever the engine calls its ID."""
    return as_engine(engine).images.get(name).id


def tierwright(chain, *words, **environment):
    """The answer of a verb, without an engine."""
    process = subprocess.run(
        [BIN / "tierwright", *words, "--json"],
        env={**chain.environment, "DOCKER_HOST": "unix:///nonexistent", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def test_a_chain_is_built_and_published_in_one_run(small_chain, registry, engine):
    name = f"{registry}/{small_chain.name}"
    small_chain.tiers["base"]["tier_image"] = f"{name}/base"
    small_chain.tier("one", WRITE, parent="base", image=f"{name}/one")
    output = small_chain.build("-e", "tier_publish=true").expect().output
    assert "published" in output
    chain = MadeChain(small_chain.folder, registry, int(registry.rpartition(":")[2]), engine, {}, small_chain.name)
    for tier in ("base", "one"):
        image = image_id(engine, f"{name}/{tier}:latest")
        assert chain.tagged(tier) == chain.pull(tier) == image
        pinned = f"{name}/{tier}@{published_digest(chain, tier)}"
        engine.images.pull(pinned)
        assert image_id(engine, pinned) == image
        with contextlib.suppress(docker.errors.ImageNotFound):  # Podman removes it with the other name
            engine.images.remove(pinned)
    for image in engine.images.list(f"{name}/base"):
        for tag in image.tags:
            engine.images.remove(tag)


def test_what_was_published_can_be_pulled_and_read(made, engine):
    released = made.release()
    made.publish()
    digests = {tier: published_digest(made, tier) for tier in TIERS}
    engines_images = {tier: f"{made.image(tier)}@{digests[tier]}" for tier in TIERS}
    made.clear()
    for tier in TIERS:
        assert made.tagged(tier) == made.pull(tier) == released[tier]
        engine.images.pull(engines_images[tier])
        assert image_id(engine, engines_images[tier]) == released[tier]
    for name in engines_images.values():
        engine.images.remove(name)
    place = f"docker://{made.image('shop')}:latest"
    layers = tierwright(made, "layers", place)
    assert [entry["layer"]["tier"] for entry in layers["layers"]] == list(TIERS)
    assert tierwright(made, "blame", place, "/srv/web")["owner"]["tier"] == "web"
    different = tierwright(made, "diff", f"docker://{made.image('web')}:latest", place)
    assert "srv/shop" in json.dumps(different)
    made.release()  # for the end


def test_nothing_is_sent_twice(relayed):
    released = relayed.release()
    (base,) = as_engine(relayed.engine).images.get(released["base"]).layers
    port = int(relayed.host.rpartition(":")[2])
    with relay(relayed.port, rf"PUT \S+/blobs/\S+{base[7:]}", port) as of_base:
        relayed.publish()
        assert of_base.matched == 1  # web and shop took it over from the repository of base
    with relay(relayed.port, r"(PUT|POST|PATCH|DELETE) ", port) as writes:
        assert "published before" in relayed.publish()
        assert writes.matched == 0
    changed = relayed.release(changed="shop")
    with relay(relayed.port, r"PUT \S+/blobs/uploads/", port) as uploads:
        relayed.publish()
        assert uploads.matched == 2  # its layer and its configuration; its place in the chain is the same
    assert relayed.tagged("shop") == changed["shop"]


class relay:  # noqa: N801 - used like a function
    """A relay to the registry that counts pieces of data."""

    def __init__(self, target, pattern, port):
        self._relay = HoldingRelay(str(target), pattern, NEVER, port)

    def __enter__(self):
        self._relay.start()
        return self._relay

    def __exit__(self, *_error):
        self._relay.close()
        self._relay.join()


def test_reads_do_not_fail_while_a_tag_is_moved(made):
    """Registry 2.8 truncates the file of a tag before it writes it, and answers reads in between with status 500."""
    made.publish()
    old, made_old = made.read("web", "manifests", "latest")[0], made.tagged("web")
    released = made.release()
    made.publish()
    new = made.read("web", "manifests", "latest")[0]
    repository, errors, reads, done = made.repository("web"), [], [], threading.Event()

    def read():
        client = RegistryWriter(made.host)
        while not done.is_set():
            try:
                reads.append(client.image_at(repository, "latest")[1])
            except Exception as error:  # noqa: BLE001 - all of them fail the test
                errors.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    writer = RegistryWriter(made.host)
    for number in range(200):
        writer.write_manifest(repository, "latest", (old, new)[number % 2], MANIFEST)
    done.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(reads) > 200
    assert set(reads) == {made_old, released["web"]}


def test_the_registry_really_answers_with_500_while_a_tag_is_moved(made):
    """If this test fails, the registry was mended, and retries need another reason."""
    made.publish()
    content = made.read("web", "manifests", "latest")[0]
    address = f"http://{made.host}/v2/{made.repository('web')}/manifests/latest"
    statuses, done = [], threading.Event()

    def read():
        while not done.is_set():
            try:
                with urlopen(Request(address, headers={"Accept": MANIFEST})) as response:
                    statuses.append(response.status)
            except HTTPError as error:
                error.close()
                statuses.append(error.code)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 20
    while 500 not in statuses and time.monotonic() < end:
        with urlopen(Request(address, content, {"Content-Type": MANIFEST}, method="PUT")):
            pass
    done.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200, 500}


def test_a_killed_publication_leaves_complete_images_and_the_next_one_finishes(relayed):
    """A sample of the moments that `tests/soak` tries."""
    campaign = KillCampaign(relayed)
    pieces = campaign.pieces()
    for number in choose(4, 17, pieces):
        campaign.try_one(number)
