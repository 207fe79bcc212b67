"""A registry, with what real ones do and what hostile ones might."""

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
from made_images import DOCKER, OCI, add, config, digest, layer, ours
from served import served

LAYERS = [layer(("etc/motd", b"one")), layer(("etc/motd", b"two"))]
CONFIG = config(LAYERS, [ours("base", "ops"), ours("web", "mid")])


class Fake:
    """Paths below /v2/ and what is there."""

    def __init__(self):
        files = {}
        self.manifest = add(files, CONFIG, LAYERS, vendor=DOCKER, packed=True)
        self.there = {f"team/web/blobs/sha256:{name[-64:]}": content for name, content in files.items()}
        self.put("1", self.manifest)
        self.headers = {}
        self.asked = []
        self.token = None
        self.host = ""

    def put(self, tag, manifest):
        for name in (tag, digest(manifest)):
            self.there[f"team/web/manifests/{name}"] = manifest

    def __call__(self, path, headers):
        self.asked.append((path, headers.get("Authorization")))
        if path.startswith("/token"):
            return 200, {}, json.dumps({"token": "secret"}).encode()
        if self.token and headers.get("Authorization") != self.token:
            scheme = self.token.partition(" ")[0]
            told = f'{scheme} realm="http://{self.host}/token",service="here"'
            return 401, {"WWW-Authenticate": told}, b""
        content = self.there.get(path.removeprefix("/v2/"))
        return (404, {}, b"{}") if content is None else (200, self.headers, content)


@pytest.fixture
def registry(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    fake = Fake()
    with served(fake) as fake.host:
        yield fake


def opened(registry, store, reference="team/web:1"):
    return open_stack(f"docker://{registry.host}/{reference}", store)


def test_an_image_by_tag_and_by_digest(registry, store):
    for reference in ("team/web:1", f"team/web@{digest(registry.manifest)}"):
        stack = opened(registry, store, reference)
        assert stack.document.id == digest(CONFIG)
        assert stack.file_system().find("etc/motd").entry.digest == digest(b"two")
    assert sum("/blobs/" in path for path, _ in registry.asked) == 4  # two layers once, the configuration twice


def test_a_token_is_fetched_where_one_is_asked_for(registry, store):
    registry.token = "Bearer secret"
    assert opened(registry, store).document.id == digest(CONFIG)
    [asked] = [path for path, _ in registry.asked if path.startswith("/token")]
    assert asked == "/token?service=here&scope=repository%3Ateam%2Fweb%3Apull"


def test_a_password_of_docker_login(registry, store, tmp_path):
    login = base64.b64encode(b"me:word").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": login}}}))
    registry.token = f"Basic {login}"
    assert opened(registry, store).document.id == digest(CONFIG)


def test_no_login(registry, store):
    registry.token = "Basic x"
    with pytest.raises(EngineError, match=r"HTTP status 401.*docker login"):
        opened(registry, store)


def test_a_password_never_goes_elsewhere_without_tls(registry, store, tmp_path):
    login = base64.b64encode(b"me:word").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": login}}}))
    with served(lambda *_: (200, {}, b'{"token": "x"}')) as elsewhere:
        registry.token, here, registry.host = "Bearer secret", registry.host, elsewhere
        with pytest.raises(EngineError, match="401"):
            open_stack(f"docker://{here}/team/web:1", store)


def test_all_tags_of_a_repository(registry, store):
    registry.there["team/web/tags/list"] = json.dumps({"name": "team/web", "tags": ["1", "2", "../evil"]}).encode()
    registry.put("2", registry.manifest)
    [held] = open_place("docker", registry.host, store).list_images("team/web")
    assert held.document.names == (f"{registry.host}/team/web:1", f"{registry.host}/team/web:2")
    with pytest.raises(UsageError, match="cannot be listed"):
        open_place("docker", registry.host, store).list_images()


def test_of_several_platforms_this_machine_s_is_taken(registry, store):
    system, _, machine = own_platform().partition("/")
    entry = {"digest": digest(registry.manifest), "platform": {"os": system, "architecture": machine}}
    index = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": [entry]}
    registry.put("all", json.dumps(index).encode())
    assert opened(registry, store, "team/web:all").document.id == digest(CONFIG)
    entry["platform"]["architecture"] = "s390x"
    registry.put("other", json.dumps(index).encode())
    with pytest.raises(UnsupportedError, match=r"is for linux/s390x, not for this machine's"):
        opened(registry, store, "team/web:other")


@pytest.mark.parametrize(
    ("manifest", "kind", "sentence"),
    [
        ({"schemaVersion": 1}, UnsupportedError, "manifest.v1"),
        ({"schemaVersion": 2, "mediaType": "x/y"}, UnsupportedError, "x/y"),
        ({"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json"}, DamagedError, "manifest"),
    ],
)
def test_foreign_manifests(registry, store, manifest, kind, sentence):
    registry.put("1", json.dumps(manifest).encode())
    with pytest.raises(kind, match=sentence):
        opened(registry, store)


def test_what_is_not_what_its_digest_says(registry, store):
    for part in ("manifests", "blobs"):
        whole = dict(registry.there)
        for name in whole:
            if f"/{part}/sha256:" in name:
                registry.there[name] = b"{}"
        with pytest.raises(DamagedError, match="damaged"):
            opened(registry, store, f"team/web@{digest(registry.manifest)}")
        registry.there = whole
    registry.headers = {"Docker-Content-Digest": digest(b"other")}
    with pytest.raises(DamagedError, match="expected sha256"):
        opened(registry, store)


def test_a_layer_that_ends_too_early(registry, store):
    for name, content in registry.there.items():
        if "/blobs/" in name and content[:2] == b"\x1f\x8b":
            registry.there[name] = content[:-30]
    with pytest.raises(DamagedError, match="layer sha256"):
        opened(registry, store)


def test_answers_that_are_none(registry, store):
    place = open_place("docker", registry.host, store)
    for content in (b"7", b'{"tags": 7}', b"<html>", b"{" + bytes(9 << 20)):
        registry.there["team/web/tags/list"] = content
        with pytest.raises(DamagedError, match="registry 127"):
            place.list_images("team/web")
    registry.put("1", json.dumps({"mediaType": OCI + "index.v1+json", "manifests": [{"platform": 7}]}).encode())
    with pytest.raises(DamagedError, match="without a digest"):
        opened(registry, store)


def test_nothing_there(registry, store):
    with pytest.raises(NotFoundError, match="has no team/web:none"):
        opened(registry, store, "team/web:none")
    with pytest.raises(UsageError, match="is not the name of an image"):
        opened(registry, store, "team/WEB:1")
    with pytest.raises(EngineUnavailableError, match="does not answer"):
        open_stack("docker://127.0.0.1:1/web:1", store)


@pytest.mark.parametrize("following", ["/v2/team/web/tags/list", "list", "?"])
def test_a_list_of_tags_whose_next_part_is_itself_is_read_once(registry, store, following):
    registry.there["team/web/tags/list"] = json.dumps({"tags": []}).encode()
    registry.headers = {"Link": f'<{following}>; rel="next"'}
    with pytest.raises(DamagedError, match="its list of the tags of team/web does not end"):
        open_place("docker", registry.host, store).list_images("team/web")
    assert len(registry.asked) == 1


NO_ADDRESSES = ["http://[::1", "http://[", "http://x:port/", "//[::1", "http://\x7f", "gopher://x/"]


@pytest.mark.parametrize("location", NO_ADDRESSES)
@pytest.mark.parametrize("verb", ["find", "held"])
def test_a_redirect_to_no_address_is_told(location, verb):
    with served(lambda _path, _headers: (302, {"Location": location}, b"")) as host:
        place = open_place("docker", host, None)
        with pytest.raises(EngineError, match=host):
            place.find("team/web:1") if verb == "find" else place.list_images("team/web")


@pytest.mark.parametrize("location", ["http://[::1", "http://[", "//[::1"])
def test_a_next_page_at_no_address_is_told(location):
    pages = {"Link": f'<{location}>; rel="next"'}
    with (
        served(lambda _path, _headers: (200, pages, b'{"tags": []}')) as host,
        pytest.raises(TierwrightError, match=host),
    ):
        open_place("docker", host, None).list_images("team/web")


@pytest.mark.parametrize("location", NO_ADDRESSES)
def test_an_archive_that_leads_to_no_address_is_told(location):
    with served(lambda _path, _headers: (302, {"Location": location}, b"")) as host, pytest.raises(NotReadError):
        ArchiveClient(lambda _line: None).content(f"http://{host}/InRelease", 1 << 20)
