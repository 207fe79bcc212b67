"""Reading from a registry, with the behaviour of real and of hostile ones."""

from __future__ import annotations

import base64
import json

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import (
    DamagedError,
    EngineError,
    EngineUnavailableError,
    NotFoundError,
    TierwrightError,
    UnsupportedError,
    UsageError,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.packages.apt_sources import NotReadError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.packages.archive_http import ArchiveClient
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.image import open_stack
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.manifests import own_platform
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.transport import open_place
from made_images import DOCKER, OCI, add, config, digest, layer, tier_step
from served import http_server

LAYERS = [layer(("etc/motd", b"one")), layer(("etc/motd", b"two"))]
CONFIG = config(LAYERS, [tier_step("base", "ops"), tier_step("web", "mid")])


class FakeRegistry:
    """A registry: its contents by path below /v2/, and the requests that it received."""

    def __init__(self):
        files = {}
        self.manifest = add(files, CONFIG, LAYERS, vendor=DOCKER, packed=True)
        self.contents = {f"team/web/blobs/sha256:{name[-64:]}": content for name, content in files.items()}
        self.put("1", self.manifest)
        self.headers = {}
        self.requests = []
        self.token = None
        self.host = ""

    def put(self, tag, manifest):
        for name in (tag, digest(manifest)):
            self.contents[f"team/web/manifests/{name}"] = manifest

    def __call__(self, path, headers):
        self.requests.append((path, headers.get("Authorization")))
        if path.startswith("/token"):
            return 200, {}, json.dumps({"token": "secret"}).encode()
        if self.token and headers.get("Authorization") != self.token:
            scheme = self.token.partition(" ")[0]
            challenge = f'{scheme} realm="http://{self.host}/token",service="here"'
            return 401, {"WWW-Authenticate": challenge}, b""
        content = self.contents.get(path.removeprefix("/v2/"))
        return (404, {}, b"{}") if content is None else (200, self.headers, content)


@pytest.fixture
def registry(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    fake = FakeRegistry()
    with http_server(fake) as fake.host:
        yield fake


def open_image(registry, store, reference="team/web:1"):
    return open_stack(f"docker://{registry.host}/{reference}", store)


def test_an_image_is_found_by_tag_and_by_digest(registry, store):
    for reference in ("team/web:1", f"team/web@{digest(registry.manifest)}"):
        stack = open_image(registry, store, reference)
        assert stack.document.id == digest(CONFIG)
        assert stack.file_system().find("etc/motd").entry.digest == digest(b"two")
    assert sum("/blobs/" in path for path, _ in registry.requests) == 4  # two layers once, the configuration twice


def test_a_token_is_fetched_if_the_registry_requires_one(registry, store):
    registry.token = "Bearer secret"
    assert open_image(registry, store).document.id == digest(CONFIG)
    [request] = [path for path, _ in registry.requests if path.startswith("/token")]
    assert request == "/token?service=here&scope=repository%3Ateam%2Fweb%3Apull"


def test_the_password_of_docker_login_is_used(registry, store, tmp_path):
    login = base64.b64encode(b"me:word").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": login}}}))
    registry.token = f"Basic {login}"
    assert open_image(registry, store).document.id == digest(CONFIG)


def test_a_missing_login_is_an_error(registry, store):
    registry.token = "Basic x"
    with pytest.raises(EngineError, match=r"HTTP status 401.*docker login"):
        open_image(registry, store)


def test_a_password_is_never_sent_to_a_different_host_without_tls(registry, store, tmp_path):
    login = base64.b64encode(b"me:word").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": login}}}))
    with http_server(lambda *_: (200, {}, b'{"token": "x"}')) as other_host:
        registry.token, host, registry.host = "Bearer secret", registry.host, other_host
        with pytest.raises(EngineError, match="401"):
            open_stack(f"docker://{host}/team/web:1", store)


def test_all_tags_of_a_repository_are_listed(registry, store):
    registry.contents["team/web/tags/list"] = json.dumps({"name": "team/web", "tags": ["1", "2", "../evil"]}).encode()
    registry.put("2", registry.manifest)
    [image] = open_place("docker", registry.host, store).list_images("team/web")
    assert image.document.names == (f"{registry.host}/team/web:1", f"{registry.host}/team/web:2")
    with pytest.raises(UsageError, match="cannot be listed"):
        open_place("docker", registry.host, store).list_images()


def test_what_is_no_image_is_not_listed(registry, store):
    attached = f"sha256-{'1' * 64}"
    tags = ["1", "verdict-1", attached, f"{attached}.sig"]
    registry.contents["team/web/tags/list"] = json.dumps({"tags": tags}).encode()
    artifact = {"config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(b"{}")}, "layers": []}
    registry.put("verdict-1", json.dumps({**artifact, "mediaType": OCI + "manifest.v1+json"}).encode())
    [image] = open_place("docker", registry.host, store).list_images("team/web")
    assert image.document.names == (f"{registry.host}/team/web:1",)
    registry.contents["team/web/tags/list"] = json.dumps({"tags": ["verdict-1"]}).encode()
    with pytest.raises(UnsupportedError, match="verdict-1 is not an image"):
        open_place("docker", registry.host, store).list_images("team/web")


def test_the_platform_of_this_machine_is_chosen(registry, store):
    system, _, machine = own_platform().partition("/")
    entry = {"digest": digest(registry.manifest), "platform": {"os": system, "architecture": machine}}
    index = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": [entry]}
    registry.put("all", json.dumps(index).encode())
    assert open_image(registry, store, "team/web:all").document.id == digest(CONFIG)
    entry["platform"]["architecture"] = "s390x"
    registry.put("other", json.dumps(index).encode())
    with pytest.raises(UnsupportedError, match=r"is for linux/s390x, not for this machine's"):
        open_image(registry, store, "team/web:other")


@pytest.mark.parametrize(
    ("manifest", "kind", "sentence"),
    [
        ({"schemaVersion": 1}, UnsupportedError, "manifest.v1"),
        ({"schemaVersion": 2, "mediaType": "x/y"}, UnsupportedError, "x/y"),
        ({"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json"}, DamagedError, "manifest"),
    ],
)
def test_unsupported_manifests_are_named(registry, store, manifest, kind, sentence):
    registry.put("1", json.dumps(manifest).encode())
    with pytest.raises(kind, match=sentence):
        open_image(registry, store)


def test_content_with_a_wrong_digest_is_an_error(registry, store):
    for part in ("manifests", "blobs"):
        original = dict(registry.contents)
        for name in original:
            if f"/{part}/sha256:" in name:
                registry.contents[name] = b"{}"
        with pytest.raises(DamagedError, match="damaged"):
            open_image(registry, store, f"team/web@{digest(registry.manifest)}")
        registry.contents = original
    registry.headers = {"Docker-Content-Digest": digest(b"other")}
    with pytest.raises(DamagedError, match="expected sha256"):
        open_image(registry, store)


def test_a_truncated_layer_is_an_error(registry, store):
    for name, content in registry.contents.items():
        if "/blobs/" in name and content[:2] == b"\x1f\x8b":
            registry.contents[name] = content[:-30]
    with pytest.raises(DamagedError, match="layer sha256"):
        open_image(registry, store)


def test_invalid_answers_are_errors(registry, store):
    place = open_place("docker", registry.host, store)
    for content in (b"7", b'{"tags": 7}', b"<html>", b"{" + bytes(9 << 20)):
        registry.contents["team/web/tags/list"] = content
        with pytest.raises(DamagedError, match="registry 127"):
            place.list_images("team/web")
    registry.put("1", json.dumps({"mediaType": OCI + "index.v1+json", "manifests": [{"platform": 7}]}).encode())
    with pytest.raises(DamagedError, match="without a digest"):
        open_image(registry, store)


def test_a_missing_image_or_registry_is_an_error(registry, store):
    with pytest.raises(NotFoundError, match="has no team/web:none"):
        open_image(registry, store, "team/web:none")
    with pytest.raises(UsageError, match="is not the name of an image"):
        open_image(registry, store, "team/WEB:1")
    with pytest.raises(EngineUnavailableError, match="does not answer"):
        open_stack("docker://127.0.0.1:1/web:1", store)


@pytest.mark.parametrize("following", ["/v2/team/web/tags/list", "list", "?"])
def test_a_list_of_tags_that_links_to_itself_is_read_once(registry, store, following):
    registry.contents["team/web/tags/list"] = json.dumps({"tags": []}).encode()
    registry.headers = {"Link": f'<{following}>; rel="next"'}
    with pytest.raises(DamagedError, match="its list of the tags of team/web does not end"):
        open_place("docker", registry.host, store).list_images("team/web")
    assert len(registry.requests) == 1


INVALID_ADDRESSES = ["http://[::1", "http://[", "http://x:port/", "//[::1", "http://\x7f", "gopher://x/"]


@pytest.mark.parametrize("location", INVALID_ADDRESSES)
@pytest.mark.parametrize("verb", ["find", "held"])
def test_a_redirect_to_an_invalid_address_is_an_error(location, verb):
    with http_server(lambda _path, _headers: (302, {"Location": location}, b"")) as host:
        place = open_place("docker", host, None)
        with pytest.raises(EngineError, match=host):
            place.find("team/web:1") if verb == "find" else place.list_images("team/web")


@pytest.mark.parametrize("location", ["http://[::1", "http://[", "//[::1"])
def test_a_next_page_at_an_invalid_address_is_an_error(location):
    pages = {"Link": f'<{location}>; rel="next"'}
    with (
        http_server(lambda _path, _headers: (200, pages, b'{"tags": []}')) as host,
        pytest.raises(TierwrightError, match=host),
    ):
        open_place("docker", host, None).list_images("team/web")


@pytest.mark.parametrize("location", INVALID_ADDRESSES)
def test_a_redirect_of_an_archive_to_an_invalid_address_is_an_error(location):
    with http_server(lambda _path, _headers: (302, {"Location": location}, b"")) as host, pytest.raises(NotReadError):
        ArchiveClient(lambda _line: None).content(f"http://{host}/InRelease", 1 << 20)
