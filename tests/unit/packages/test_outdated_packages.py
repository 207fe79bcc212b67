"""What is outdated, against an archive of our own."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import shutil
import subprocess

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.packages.outdated_packages import (
    open_all,
    outdated,
)
from made_images import config, digest, layer, layout, ours, write
from served import served

SIGNED = pytest.mark.skipif(
    not (shutil.which("gpg") and shutil.which("gpgv")), reason="this machine has no gpg and gpgv to sign with"
)


def paragraphs(packages, more=""):
    return "\n".join(
        f"Package: {name}\n{more}Architecture: {architecture}\nVersion: {version}\nDescription: it\n more of it\n"
        for name, architecture, version in packages
    ).encode()


def status(*packages):
    return ("var/lib/dpkg/status", paragraphs(packages, "Status: install ok installed\n"))


class Archive:
    """Files below the address of an archive; what was asked for."""

    def __init__(self):
        self.files = {}
        self.asked = []
        self.sign = None
        self.host = ""

    def put(self, suite, packages, *, ending=".xz", component="main", **fields):
        content = paragraphs(packages)
        packed = {".xz": lzma.compress, ".gz": gzip.compress, "": bytes}[ending](content)
        path = f"{component}/binary-amd64/Packages{ending}"
        told = {"Suite": suite, "Architectures": "amd64", "Components": component, **fields}
        listed = f" {hashlib.sha256(packed).hexdigest()} {len(packed)} {path}"
        text = "".join(f"{name}: {value}\n" for name, value in told.items()) + f"SHA256:\n{listed}\n"
        self.files[f"/debian/dists/{suite}/{path}"] = packed
        self.files[f"/debian/dists/{suite}/InRelease"] = self.signed(text.encode())

    def signed(self, text):
        return self.sign(text) if self.sign else text

    def __call__(self, path, _headers):
        self.asked.append(path)
        content = self.files.get(path)
        return (404, {}, b"") if content is None else (200, {}, content)

    def source(self, suite, options="[trusted=yes]"):
        return f"deb {options} http://{self.host}/debian {suite} main\n".encode()


@pytest.fixture
def archive():
    made = Archive()
    with served(made) as made.host:
        yield made


@pytest.fixture
def ask(tmp_path, store):
    """Ask of images, each of layers; tiers are called by the given names."""

    def ask_(*images, tiers=("base", "core", "web")):
        documents = {
            f"tier{number}:latest": (config(layers, [ours(tier, "ops") for tier in tiers[: len(layers)]]), layers)
            for number, layers in enumerate(images)
        }
        folder = write(tmp_path / "layout", layout(documents))
        said = []
        found = outdated(
            open_all([f"oci:{folder}:{name}" for name in documents], store, said.append), store, said.append
        )
        return found, said

    return ask_


def told(found):
    return [
        (each.name, each.installed, each.candidate, each.security, each.owner.tier, each.images)
        for each in found.updates
    ]


def test_updates_belong_to_the_layer_that_last_changed_the_package(archive, ask):
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
    found, said = ask([base], [base, core], [base, core, web])
    assert told(found) == [
        ("ssl", "1", "3", True, "base", ["tier0:latest"]),
        ("ssl", "2", "3", True, "core", ["tier1:latest", "tier2:latest"]),
        ("zone", "2026a", "2026b", False, "base", ["tier0:latest", "tier1:latest", "tier2:latest"]),
    ]
    assert [(each.owner.tier, each.updates, each.security, each.renews) for each in found.rebuild] == [
        ("base", 3, 2, ["base", "core"])
    ]
    assert [(each.name.partition(" ")[2], each.security) for each in found.archives] == [
        ("stable main", False),
        ("stable-security main", True),
    ]
    assert found.unread == []
    assert [line.partition(" ")[0] for line in said].count("reading") == len(archive.asked) == 4


def test_the_fewest_tiers_bring_all_updates(archive, ask):
    archive.put("stable", [("a", "amd64", "2"), ("b", "amd64", "2"), ("c", "amd64", "2")])
    base = layer(("etc/apt/sources.list", archive.source("stable")))
    left, right = layer(status(("a", "amd64", "1"))), layer(status(("b", "amd64", "1")))
    top = layer(status(("a", "amd64", "1"), ("c", "amd64", "1")))
    found, _ = ask([base, left, top], [base, right], tiers=("base", "middle", "top"))
    assert {each.owner.digest: each.renews for each in found.rebuild} == {
        digest(left): ["middle", "top"],
        digest(right): ["middle"],
    }


def test_indexes_are_fetched_by_hash_where_an_archive_has_them_so(archive, ask):
    archive.put("stable", [("ssl", "amd64", "3")], **{"Acquire-By-Hash": "yes"})
    content = archive.files.pop("/debian/dists/stable/main/binary-amd64/Packages.xz")
    name = hashlib.sha256(content).hexdigest()
    archive.files[f"/debian/dists/stable/main/binary-amd64/by-hash/SHA256/{name}"] = content
    image = [layer(status(("ssl", "amd64", "1")), ("etc/apt/sources.list", archive.source("stable")))]
    assert [each.candidate for each in ask(image)[0].updates] == ["3"]


def test_an_index_that_did_not_change_is_not_fetched_again(archive, ask):
    archive.put("stable", [("ssl", "amd64", "3")])
    image = [layer(status(("ssl", "amd64", "1")), ("etc/apt/sources.list", archive.source("stable")))]
    assert told(ask(image)[0]) == told(ask(image)[0])
    assert [path.rpartition("/")[2] for path in archive.asked] == ["InRelease", "Packages.xz", "InRelease"]


def test_pins_of_the_image_count(archive, ask):
    archive.put("stable", [("ssl", "amd64", "3")])
    archive.put("next", [("ssl", "amd64", "4")], Codename="next")
    sources = archive.source("stable") + archive.source("next")
    pin = b"Package: *\nPin: release n=next\nPin-Priority: 100\n"
    image = [layer(status(("ssl", "amd64", "1")), ("etc/apt/sources.list", sources), ("etc/apt/preferences.d/it", pin))]
    assert [each.candidate for each in ask(image)[0].updates] == ["3"]


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
def test_what_cannot_be_read_of_an_archive_is_said(archive, ask, change, sentence):
    archive.put("stable", [("ssl", "amd64", "3")])
    change(archive.files)
    image = [layer(status(("ssl", "amd64", "1")), ("etc/apt/sources.list", archive.source("stable")))]
    found, _ = ask(image)
    assert found.updates == []
    assert len(found.unread) == 1
    assert sentence in found.unread[0]
    assert found.unread[0].startswith("127.0.0.1/debian stable is not compared: ")


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
def test_sources_that_are_not_asked_are_named(ask, source, sentence):
    found, _ = ask([layer(status(("ssl", "amd64", "1")), ("etc/apt/sources.list", source))])
    assert len(found.unread) == 1
    assert sentence in found.unread[0]


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
def test_images_that_are_not_compared_are_named(ask, file, content, sentence):
    found, _ = ask([layer((file, content))])
    assert (found.updates, found.archives) == ([], [])
    [told] = found.unread
    assert told.startswith(f"tier0:latest: {sentence}")


@pytest.fixture
def key(tmp_path_factory):
    """Sign with a key of our own; its public part, armoured and not."""
    home = tmp_path_factory.mktemp("g")

    def gpg(*arguments, **more):
        command = ["gpg", "--homedir", home, "--batch", "--pinentry-mode", "loopback", "--passphrase", "", *arguments]
        return subprocess.run(command, check=True, capture_output=True, **more).stdout

    gpg("--quick-generate-key", "it@example.org", "ed25519", "sign")
    yield (lambda text: gpg("--clear-sign", input=text)), gpg("--export"), gpg("--export", "--armor")
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


@SIGNED
def test_signatures_are_checked_with_the_image_s_keys(archive, ask, key):
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
        found, _ = ask([layer(installed, *files)])
        assert [each.signature for each in found.archives] == ["checked"], number
        assert [each.candidate for each in found.updates] == ["3"], number


@SIGNED
def test_what_somebody_else_signed_is_not_believed(archive, ask, key):
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
    found, _ = ask(image)
    assert found.updates == []
    assert "it is not signed with a key that the image trusts" in found.unread[0]


@SIGNED
def test_an_unchecked_signature_is_said(archive, ask, key):
    archive.sign = key[0]
    archive.put("stable", [("ssl", "amd64", "3")])
    image = [layer(status(("ssl", "amd64", "1")), ("etc/apt/sources.list", archive.source("stable", "")))]
    found, _ = ask(image)
    assert [each.signature for each in found.archives] == ["not checked: the image has no keyring for it"]
    assert [each.candidate for each in found.updates] == ["3"]
