"""Finding outdated packages, with an archive that the tests make and serve."""

from __future__ import annotations

import hashlib
import shutil

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.packages.outdated_packages import (
    open_all,
    outdated,
)
from made_images import config, digest, layer, layout, tier_step, write
from package_archive import Archive, archive_key, status
from served import http_server

SIGNED = pytest.mark.skipif(
    not (shutil.which("gpg") and shutil.which("gpgv")), reason="this machine has no gpg and gpgv to sign with"
)


@pytest.fixture
def archive():
    new_archive = Archive()
    with http_server(new_archive) as new_archive.host:
        yield new_archive


@pytest.fixture
def ask(tmp_path, store):
    """Compare images with the archive. An image is a list of layers, and `tiers` names the tiers of the layers."""

    def ask_(*images, tiers=("base", "core", "web")):
        documents = {
            f"tier{number}:latest": (config(layers, [tier_step(tier, "ops") for tier in tiers[: len(layers)]]), layers)
            for number, layers in enumerate(images)
        }
        folder = write(tmp_path / "layout", layout(documents))
        lines = []
        result = outdated(
            open_all([f"oci:{folder}:{name}" for name in documents], store, lines.append), store, lines.append
        )
        return result, lines

    return ask_


def summary(result):
    return [
        (update.name, update.installed, update.candidate, update.security, update.owner.tier, update.images)
        for update in result.updates
    ]


def test_an_update_belongs_to_the_layer_that_last_changed_the_package(archive, ask):
    archive.put(
        "stable", [("ssl", "amd64", "3"), ("zone", "all", "2026b"), ("curl", "amd64", "7"), ("new", "amd64", "1")]
    )
    archive.put("stable-security", [("ssl", "amd64", "2.1")], ending=".gz")
    sources = archive.source("stable") + archive.source("stable-security")
    base = layer(
        status(("ssl", "amd64", "1"), ("zone", "all", "2026a"), ("curl", "amd64", "7")),
        ("etc/apt/sources.list", sources),
    )
    core = layer(status(("ssl", "amd64", "2"), ("zone", "all", "2026a"), ("curl", "amd64", "7")))
    web = layer(("srv/it", b""))
    result, lines = ask([base], [base, core], [base, core, web])
    assert summary(result) == [
        ("ssl", "1", "3", True, "base", ["tier0:latest"]),
        ("ssl", "2", "3", True, "core", ["tier1:latest", "tier2:latest"]),
        ("zone", "2026a", "2026b", False, "base", ["tier0:latest", "tier1:latest", "tier2:latest"]),
    ]
    assert [(rebuild.owner.tier, rebuild.updates, rebuild.security, rebuild.renews) for rebuild in result.rebuild] == [
        ("base", 3, 2, ["base", "core"])
    ]
    assert [(source.name.partition(" ")[2], source.security) for source in result.archives] == [
        ("stable main", False),
        ("stable-security main", True),
    ]
    assert result.unread == []
    assert [line.partition(" ")[0] for line in lines].count("reading") == len(archive.requested) == 4


def test_the_fewest_tiers_are_rebuilt_to_get_all_updates(archive, ask):
    archive.put("stable", [("a", "amd64", "2"), ("b", "amd64", "2"), ("c", "amd64", "2")])
    base = layer(("etc/apt/sources.list", archive.source("stable")))
    left, right = layer(status(("a", "amd64", "1"))), layer(status(("b", "amd64", "1")))
    top = layer(status(("a", "amd64", "1"), ("c", "amd64", "1")))
    result, _ = ask([base, left, top], [base, right], tiers=("base", "middle", "top"))
    assert {rebuild.owner.digest: rebuild.renews for rebuild in result.rebuild} == {
        digest(left): ["middle", "top"],
        digest(right): ["middle"],
    }


def test_indexes_are_fetched_by_hash_if_the_archive_supports_it(archive, ask):
    archive.put("stable", [("ssl", "amd64", "3")], **{"Acquire-By-Hash": "yes"})
    content = archive.files.pop("/debian/dists/stable/main/binary-amd64/Packages.xz")
    name = hashlib.sha256(content).hexdigest()
    archive.files[f"/debian/dists/stable/main/binary-amd64/by-hash/SHA256/{name}"] = content
    image = [layer(status(("ssl", "amd64", "1")), ("etc/apt/sources.list", archive.source("stable")))]
    assert [update.candidate for update in ask(image)[0].updates] == ["3"]


def test_an_unchanged_index_is_not_fetched_again(archive, ask):
    archive.put("stable", [("ssl", "amd64", "3")])
    image = [layer(status(("ssl", "amd64", "1")), ("etc/apt/sources.list", archive.source("stable")))]
    assert summary(ask(image)[0]) == summary(ask(image)[0])
    assert [path.rpartition("/")[2] for path in archive.requested] == ["InRelease", "Packages.xz", "InRelease"]


def test_pins_in_the_image_are_respected(archive, ask):
    archive.put("stable", [("ssl", "amd64", "3")])
    archive.put("next", [("ssl", "amd64", "4")], Codename="next")
    sources = archive.source("stable") + archive.source("next")
    pin = b"Package: *\nPin: release n=next\nPin-Priority: 100\n"
    image = [layer(status(("ssl", "amd64", "1")), ("etc/apt/sources.list", sources), ("etc/apt/preferences.d/it", pin))]
    assert [update.candidate for update in ask(image)[0].updates] == ["3"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda files: files.clear(), "HTTP status 404"),
        (
            lambda files: _replace(files, "Packages.xz", lambda content: content[:-1] + b"x"),
            "but its InRelease lists",
        ),
        (lambda files: _replace(files, "Packages.xz", lambda content: content + b"x"), "larger than its limit of"),
        (
            lambda files: _replace(files, "InRelease", lambda text: text.replace(b".xz", b".zst")),
            "lists no main/binary-amd64",
        ),
        (
            lambda files: _replace(
                files, "InRelease", lambda text: b"Valid-Until: Sat, 03 Jan 2026 00:00:00 UTC\n" + text
            ),
            "valid until Sat, 03 Jan 2026",
        ),
    ],
)
def test_an_unreadable_archive_is_reported(archive, ask, change, sentence):
    archive.put("stable", [("ssl", "amd64", "3")])
    change(archive.files)
    image = [layer(status(("ssl", "amd64", "1")), ("etc/apt/sources.list", archive.source("stable")))]
    result, _ = ask(image)
    assert result.updates == []
    assert len(result.unread) == 1
    assert sentence in result.unread[0]
    assert result.unread[0].startswith("127.0.0.1/debian stable is not compared: ")


def _replace(files, name, change):
    path = next(path for path in files if path.endswith(name))
    files[path] = change(files[path])


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (b"deb http://127.0.0.1:1/debian stable main", "cannot be read: Connection refused"),
        (b"deb http://[x/debian stable main", "only http and https are supported"),
        (b"deb cdrom:[Debian]/ stable main", "only http and https are supported"),
        (b"", "tier0:latest: its apt has no sources"),
    ],
)
def test_sources_that_cannot_be_read_are_reported(ask, source, sentence):
    result, _ = ask([layer(status(("ssl", "amd64", "1")), ("etc/apt/sources.list", source))])
    assert len(result.unread) == 1
    assert sentence in result.unread[0]


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("lib/apk/db/installed", b"P:musl\nV:1.2\nA:x86_64\n\n", "packages of apk are not compared yet"),
        ("srv/it", b"", "it has no package database, so nothing is compared"),
        (
            "var/lib/rpm/Packages",
            b"",
            "packages in /var/lib/rpm/Packages are not read: it has RPM's Berkeley DB format",
        ),
    ],
)
def test_images_that_cannot_be_compared_are_reported(ask, file, content, sentence):
    result, _ = ask([layer((file, content))])
    assert (result.updates, result.archives) == ([], [])
    [reason] = result.unread
    assert reason.startswith(f"tier0:latest: {sentence}")


@pytest.fixture
def key(tmp_path_factory):
    """A function that signs with a new key, and the public part of that key: binary, and armoured."""
    with archive_key(tmp_path_factory.mktemp("g")) as made:
        yield made.sign, made.binary, made.armoured


@SIGNED
def test_signatures_are_checked_with_the_keys_in_the_image(archive, ask, key):
    archive.sign, binary, armoured = key
    archive.put("stable", [("ssl", "amd64", "3")])
    installed = status(("ssl", "amd64", "1"))
    embedded = "".join(f"\n {line or '.'}" for line in armoured.decode().splitlines())
    stanza = f"Types: deb\nURIs: http://{archive.host}/debian\nSuites: stable\nComponents: main\nSigned-By:{embedded}\n"
    for number, files in enumerate(
        [
            [("etc/apt/sources.list", archive.source("stable", "")), ("etc/apt/trusted.gpg.d/it.asc", armoured)],
            [
                ("etc/apt/sources.list", archive.source("stable", "[signed-by=/usr/share/keyrings/it.gpg]")),
                ("usr/share/keyrings/it.gpg", "-> ../keyrings/real.gpg"),
                ("usr/share/keyrings/real.gpg", binary),
            ],
            [("etc/apt/sources.list.d/it.sources", stanza.encode())],
        ]
    ):
        result, _ = ask([layer(installed, *files)])
        assert [source.signature for source in result.archives] == ["checked"], number
        assert [update.candidate for update in result.updates] == ["3"], number


@SIGNED
def test_a_wrong_signature_is_rejected(archive, ask, key):
    archive.sign, binary, _ = key
    archive.put("stable", [("ssl", "amd64", "3")])
    _replace(archive.files, "InRelease", lambda text: text.replace(b"Suite: stable", b"Suite: stolen"))
    image = [
        layer(
            status(("ssl", "amd64", "1")),
            ("etc/apt/sources.list", archive.source("stable", "")),
            ("etc/apt/trusted.gpg", binary),
        )
    ]
    result, _ = ask(image)
    assert result.updates == []
    assert "it is not signed with a key that the image trusts" in result.unread[0]


@SIGNED
def test_an_unchecked_signature_is_reported(archive, ask, key):
    archive.sign = key[0]
    archive.put("stable", [("ssl", "amd64", "3")])
    image = [layer(status(("ssl", "amd64", "1")), ("etc/apt/sources.list", archive.source("stable", "")))]
    result, _ = ask(image)
    assert [source.signature for source in result.archives] == ["not checked: the image has no keyring for it"]
    assert [update.candidate for update in result.updates] == ["3"]
