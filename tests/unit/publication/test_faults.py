"""A registry fails or lies while a chain is published: one sentence, soon, no tag half-moved; the next run finishes.

Each fault is tried on a chain of two tiers that was published before and has changed since. Afterwards, the registry
behaves again.
"""

# ruff: noqa: E501 - one fault in each line of the table
from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core import http_client
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import TierwrightError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.parent_process import ParentProcess
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.publish import (
    choose_targets,
    compare_images,
    publish_images,
    release_tags,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.registry_tags import (
    finish_moves,
    move_tags,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports import registry_client, registry_writer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_access import RegistryAccess
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_writer import RegistryWriter
from fake_engine import FakeEngine
from fake_registry import FakeRegistry, Handler, digest, fake_registry
from made_images import config, docker_save, layer, tier_step

pytestmark = pytest.mark.once

#: Seconds after which a publication must have ended, whatever the registry does. All waits are made short here.
SOON = 5
TIERS = {"base": None, "web": "base"}


@pytest.fixture(autouse=True)
def impatient(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(http_client, "SILENCE", 0.2)
    monkeypatch.setattr(http_client, "PATIENCE", 0.4)
    monkeypatch.setattr(registry_client, "_DELAYS", (0.01, 0.02))
    monkeypatch.setattr(registry_client, "_LONGEST", 1.5)
    monkeypatch.setattr(registry_writer, "_PAUSES", (0.01, 0.01))
    monkeypatch.setattr(registry_writer, "_LOOKS", (0, 0.01))


class Publication:
    """A chain on a fake engine, and its registry."""

    def __init__(self, registry: FakeRegistry, make_tier: Callable) -> None:
        self.registry, self.engine, self.version, self.lines = registry, FakeEngine(), 0, []
        self.chain = Chain(
            make_tier(name, parent, image=f"{registry.host}/team/{name}") for name, parent in TIERS.items()
        )
        self.access = RegistryAccess()

    def build(self) -> None:
        """Build and release another version of both tiers."""
        self.version += 1
        layers, steps = [], []
        for tier in self.chain:
            layers.append(layer((f"etc/{tier.name}", b"%d" % self.version)))
            steps.append(tier_step(tier.name, "operations"))
            document = config(layers, steps, Labels={labels.TIER: tier.name})
            archive = layer(*docker_save({tier.release: (document, layers)}).items())
            self.engine.images.load_archive(iter([archive]), tier.release)

    def connect(self, host: str) -> RegistryWriter:
        return RegistryWriter(host, self.access)

    def publish(self, state: str = "chain") -> int:
        """Publish the chain as the playbook does. Return how many bytes were sent."""
        finish_moves(state, self.lines.append, self.connect)
        targets = choose_targets(self.chain, list(TIERS), self.lines.append)
        tags = release_tags(self.engine.images.snapshot().names, cache=False)
        differences = compare_images(targets, lambda tier: self.engine.images.find(tier.release), tags, self.connect)
        published = publish_images(self.engine, self.chain, differences, self.connect, self.lines.append)
        move_tags(state, [move for tier in published for move in tier.moves], self.connect, ParentProcess())
        return sum(tier.sent for tier in published)

    @property
    def tags(self) -> dict[str, str]:
        """The ID of the image that each tag names. All that it names must be there."""
        images = {}
        for (repository, tag), manifest in self.registry.tags.items():
            document = json.loads(self.registry.manifests[repository, manifest])
            for blob in (document["config"], *document["layers"]):
                content = self.registry.blobs[repository, blob["digest"]]
                assert (digest(content), len(content)) == (blob["digest"], blob["size"])
            images[f"{repository}:{tag}"] = document["config"]["digest"]
        return images

    @property
    def released(self) -> dict[str, str]:
        return {f"team/{tier.name}:latest": self.engine.images.find(tier.release).id for tier in self.chain}


@pytest.fixture
def registry():
    with fake_registry() as registry:
        yield registry


@pytest.fixture
def publication(registry, make_tier):
    publication = Publication(registry, make_tier)
    publication.build()
    publication.publish()
    publication.build()
    registry.requests.clear()
    return publication


def matching(method: str, part: str, act: Callable[[Handler], object], times: int = 1_000) -> Callable[[Handler], bool]:
    """A behaviour for requests with this method, and this part in their path."""
    left = [times]

    def wild(request: Handler) -> bool:
        if method not in {request.command, "*"} or part not in request.path or not left[0]:
            return False
        left[0] -= 1
        act(request)
        return True

    return wild


def answer(status: int, body: bytes = b"", **headers: str) -> Callable[[Handler], None]:
    def act(request: Handler) -> None:
        request.close_connection = True
        request.answer(
            status, body, {"Connection": "close", **{key.replace("_", "-"): headers[key] for key in headers}}
        )

    return act


def error(message: str) -> bytes:
    return json.dumps({"errors": [{"code": "X", "message": message}]}).encode()


def silent(request: Handler) -> None:
    request.close_connection = True
    time.sleep(0.5)


def truncated(request: Handler) -> None:
    request.close_connection = True
    request.answer(200, b'{"config"', {"Content-Length": "500"})


def drip(request: Handler) -> None:
    request.drip(b"HTTP/1.1 200 OK\r\n" + b"X-Y: z\r\n" * 100, 0.05)


def drip_body(request: Handler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.drip(b" " * 1000, 0.05)


def reset_in_the_middle(request: Handler) -> None:
    request.read_some(100)
    request.reset()


def stores_something_else(request: Handler) -> None:
    request.read_some(int(request.headers["Content-Length"]))
    name = request.path.partition("digest=sha256%3A")[2]
    request.server.blobs[request.path.split("/blobs/")[0].removeprefix("/v2/"), f"sha256:{name}"] = b"something else"
    request.answer(201)


def accepts_and_forgets(request: Handler) -> None:
    request.read_some(int(request.headers["Content-Length"]))
    request.answer(201)


def stores_another_manifest(request: Handler) -> None:
    request.read_some(int(request.headers["Content-Length"]))
    *_, repository, _manifests, reference = request.path.removeprefix("/v2/").rsplit("/", 2)
    request.server.manifests[repository, reference] = b'{"config": {"digest": "sha256:theirs"}}'
    request.answer(201)


def lies_about_digest(request: Handler) -> None:
    request.answer(200, b"{}", {"Docker-Content-Digest": "sha256:" + 64 * "0"})


MOVED_TO = "http://evil.example.org/v2/"

FAULTS = {
    "401": (matching("*", "team/web", answer(401)), "web", "answered the request for team/web:latest with HTTP status 401; log in with `docker login`"),
    "403": (matching("POST", "team/base", answer(403, error("no access"))), "base", r"the upload of blob \S+ to team/base with HTTP status 403 \(no access\); log in"),
    "404": (matching("POST", "team/base", answer(404, error("no such repository"))), "base", r"the upload of blob \S+ to team/base with HTTP status 404 \(no such repository\)"),
    "429": (matching("*", "team/base", answer(429, Retry_After="1")), "base", "team/base:latest with HTTP status 429"),
    "429 for an hour": (matching("*", "team/base", answer(429, Retry_After="3600")), "base", "team/base:latest with HTTP status 429"),
    "500": (matching("*", "team/base", answer(500, error("broken"))), "base", r"team/base:latest with HTTP status 500 \(broken\)"),
    "503 with pages of text": (matching("*", "/base", answer(503, error("long " * 100_000))), "base", r"HTTP status 503 \((long )+lo?n?g?…\)"),
    "503 and no JSON": (matching("*", "team/base", answer(503, b"<html>Bad gateway</html>")), "base", "team/base:latest with HTTP status 503"),
    "silent": (matching("*", "team/base", silent), "base", r"does not answer the request for team/base:latest \(no answer within 0.2 seconds\)"),
    "silent during an upload": (matching("PUT", "/uploads/", silent), "base", r"does not answer the request for the upload of blob \S+ to team/base"),
    "a byte now and then": (matching("*", "team/base", drip), "base", r"the request for team/base:latest \(no whole answer within 0.4 seconds\)"),
    "a byte of a document now and then": (matching("GET", "team/base", drip_body), "base", "the request for team/base:latest .it took more than 0 seconds"),
    "garbage": (matching("GET", "team/base/manifests", answer(200, b"<html>log in here</html>")), "base", r"team/base:latest in registry \S+ is damaged: sha256:\w+ is not JSON"),
    "a list": (matching("GET", "team/base/manifests", answer(200, b"[]")), "base", "is not a JSON object"),
    "nested JSON": (matching("GET", "team/base/manifests", answer(200, b"[" * 100_000)), "base", "is not JSON"),
    "truncated": (matching("GET", "team/base/manifests", truncated), "base", r"team/base:latest \(the connection closed before the end of the answer\)"),
    "redirect of a request to another host": (matching("GET", "team/base/manifests", answer(307, Location=MOVED_TO)), "base", r"does not answer the request for team/base:latest \(.*(resolution|known|address).*\)"),
    "redirect of an upload to another host": (matching("PUT", "/uploads/", answer(307, Location=MOVED_TO)), "base", "the upload of blob .* with HTTP status 307"),
    "upload at another host": (matching("POST", "/uploads/", answer(202, Location=MOVED_TO + "?secret")), "base", "sends requests for the upload of blob .* to a different address, evil.example.org/v2/$"),
    "upload at an invalid address": (matching("POST", "/uploads/", answer(202, Location="http://[::1")), "base", "to a different address, which is invalid"),
    "redirect of a manifest": (matching("PUT", "/manifests/", answer(302, Location="/v2/")), "base", "team/base@sha256:.* with HTTP status 302"),
    "no address for an upload": (matching("POST", "/uploads/", answer(202)), "base", "gave no address for the upload of blob"),
    "another digest for a tag": (matching("GET", "team/base/manifests", lies_about_digest), "base", "is damaged: it has the digest .* expected sha256:0000"),
    "another digest for a blob": (matching("HEAD", "team/base/blobs", lies_about_digest), "base", r"answered the request for blob \S+ of team/base with the digest sha256:0000"),
    "a size that is none": (matching("HEAD", "team/base/blobs", answer(200, Content_Length="9" * 5000)), "base", r"blob \S+ of team/base"),
    "everything is fine, says a portal": (matching("*", "team/base", answer(200, b"{}")), "base", "team/base"),
    "another blob is stored": (matching("PUT", "/uploads/", stores_something_else), "base", r"stored 14 bytes after the upload of blob \S+ to team/base, expected \d+ bytes"),
    "no blob is stored": (matching("PUT", "/uploads/", accepts_and_forgets), "base", r"stored nothing after the upload of blob"),
    "another manifest is stored": (matching("PUT", "/manifests/sha256", stores_another_manifest), "base", r"team/base@\S+"),
    "no manifest is stored": (matching("PUT", "/manifests/sha256", accepts_and_forgets), "base", r"accepted team/base@\S+ with the digest \S+, but returns nothing for it"),
    "the disk of the registry is full": (matching("PUT", "/uploads/", answer(500, error("no space left on device"))), "base", r"the upload of blob \S+ to team/base with HTTP status 500 \(no space left on device\)"),
    "reset in the middle of every upload": (matching("PUT", "/uploads/", reset_in_the_middle), "base", r"does not answer the request for the upload of blob \S+ to team/base \(Connection reset by peer\)"),
    "a vanished blob": (matching("PUT", "web/manifests/", answer(400, error("blob unknown to registry"))), "web", r"team/web@sha256:\w+ with HTTP status 400 \(blob unknown to registry\)"),
    "a refused name": (matching("POST", "team/base", answer(400, error("invalid repository name"))), "base", r"to team/base with HTTP status 400 \(invalid repository name\)"),
    "a refused tag": (matching("PUT", "/manifests/latest", answer(409, error("tags are immutable"))), "base", r"moving \S+/team/base:latest: .* with HTTP status 409 \(tags are immutable\); 0 of 2 tags have moved, and the next run moves the others"),
    "a refused second tag": (matching("PUT", "web/manifests/latest", answer(409)), "web", "with HTTP status 409; 1 of 2 tags have moved, and the next run moves the others"),
    "a tag that is not stored": (matching("PUT", "web/manifests/latest", accepts_and_forgets), "web", "accepted team/web:latest with the digest .* 1 of 2 tags have moved"),
    "control characters": (matching("*", "team/base", answer(418, error("\x1b[2J\r\nall is well"))), "base", r"HTTP status 418 \(\\x1b\[2J all is well\)"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def unknown_host(monkeypatch):
    """The other host does not exist, and no DNS server is asked: this machine's may take seconds to say so."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host, *words, **options):
        if host == MOVED_TO.split("/")[2]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *words, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.sampled("faults of a registry", str(number % 3)))
        for number, name in enumerate(FAULTS)
    ],
)
def test_a_fault_ends_in_one_sentence_and_the_next_run_finishes(publication, registry, name):
    registry.wild, tier, sentence = FAULTS[name]
    before, start = publication.tags, time.monotonic()
    with pytest.raises(TierwrightError, match=sentence) as caught:
        publication.publish()
    message = str(caught.value)
    assert time.monotonic() - start < SOON
    assert f"tier {tier!r}: " in message
    assert registry.host in message
    assert "\n" not in message
    assert len(message) < 700
    if "tags have moved" not in message:
        assert publication.tags == before
    registry.wild = lambda _request: False
    for blob in [blob for blob, content in registry.blobs.items() if digest(content) != blob[1]]:
        del registry.blobs[blob]
    publication.publish()
    assert publication.tags == publication.released


ONCE = {
    "429": matching("*", "team", answer(429, Retry_After="1"), times=1),
    "500 for a read": matching("GET", "team", answer(500), times=2),
    "500 for an upload": matching("PUT", "/uploads/", answer(500), times=2),
    "502 for a tag": matching("PUT", "/manifests/latest", answer(502), times=1),
    "reset in the middle of an upload": matching("PUT", "/uploads/", reset_in_the_middle, times=2),
    "silent": matching("GET", "team", silent, times=1),
    "an old answer from a cache": matching("GET", "/manifests/sha256", answer(404), times=1),
}


@pytest.mark.parametrize("name", ONCE)
def test_a_fault_that_passes_is_not_seen(publication, registry, name):
    registry.wild = ONCE[name]
    publication.publish()
    assert publication.tags == publication.released


def test_a_tag_that_moves_during_publishing_stays(publication, registry):
    theirs = b'{"config": {"digest": "sha256:theirs"}, "layers": []}'

    def interfere(request):
        if request.command == "POST":
            registry.put("team/base", "latest", theirs)
        return False

    registry.wild = interfere
    before = registry.tags["team/web", "latest"]
    sentence = r"tier 'base': \S+/team/base:latest named sha256:\w+ a moment ago.*No tag was moved"
    with pytest.raises(TierwrightError, match=sentence):
        publication.publish()
    assert registry.tags["team/base", "latest"] == digest(theirs)
    assert registry.tags["team/web", "latest"] == before


def test_nothing_is_sent_twice(publication, registry):
    assert publication.publish() > 0
    web = [blob for repository, blob in registry.blobs if repository == "team/web"]
    assert len(web) == 6  # two layers and a configuration, twice
    uploads = registry.count("PUT", "/uploads/")
    assert uploads == 2 + 2  # each tier's own layer and configuration; the layer of the base is mounted
    assert publication.publish() == 0
    assert registry.count("PUT", "/uploads/") == uploads


@pytest.mark.parametrize("uses", [1, 2, 3, 5])
def test_tokens_that_expire_are_replaced(publication, registry, uses):
    publication.access = RegistryAccess(username="me", password="word")
    registry.require_login("me", "word")
    registry.token_uses = uses
    publication.publish()
    assert publication.tags == publication.released
    lower = publication.engine.images.find(publication.chain["base"].release).layers[0]
    assert registry.count("POST", f"team/web/blobs/uploads/?mount={lower.replace(':', '%3A')}") >= 1
    assert not any(method == "PUT" and "team/web" in path and lower[7:] in path for method, path in registry.requests)


def test_a_parent_s_repository_that_the_user_may_not_read_is_not_needed(publication, registry):
    registry.wild = matching("POST", "from=", answer(403))
    publication.publish()
    assert publication.tags == publication.released


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b"<html>", 200, "is not JSON"),
        (b'{"token": ["x"]}', 200, "answered without a token"),
        (b'{"token": "a\\nb"}', 200, "answered without a token"),
        (b"{}", 200, "answered without a token"),
        (b"", 503, "answered with HTTP status 503"),
        (b"", 401, "answered with HTTP status 401; log in"),
    ],
)
def test_a_token_server_that_fails_is_named(publication, registry, body, status, sentence):
    registry.require_login("me", "word")
    registry.wild = matching("GET", "/token", answer(status, body))
    with pytest.raises(
        TierwrightError, match=rf"tier 'base': 127.0.0.1/token, which makes the tokens for .*{sentence}"
    ):
        publication.publish()


def test_a_full_disk_on_this_machine_is_named(publication, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device", "/tmp/x")

    monkeypatch.setattr("ansible_collections.tierwright.chain.plugins.plugin_utils._core.sealing.loading._spool", full)
    with pytest.raises(TierwrightError, match=r"tier 'base': .* cannot be stored in .*No space left on device.*TMPDIR"):
        publication.publish()


def test_publishers_on_two_machines_end_with_complete_images(publication):
    """Both send the same blobs at the same time."""
    errors = []

    def publish(machine):
        try:
            publication.publish(machine)
        except TierwrightError as problem:
            errors.append(str(problem))

    threads = [threading.Thread(target=publish, args=(machine,)) for machine in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert publication.tags == publication.released
    assert all("somebody else published it" in message for message in errors)
