"""Verbs that read images, on three real chains: the demo, Dockerfiles with one layer per instruction, a squashed image.

The tests share the images of Dockerfiles, and the layers that the command has read.
"""

from __future__ import annotations

import io
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.system import DOCKER
from sdk_client import as_engine

from .command import packages_after_each_layer, tierwright_fixture  # noqa: F401 - tests use the fixture
from .conftest import DEMO, run_container
from .removal import remove_images

pytestmark = pytest.mark.once

PACKAGE = """
FROM {parent}
LABEL org.example.command={name}
RUN mkdir -p /p/DEBIAN /p/srv && echo one >/p/srv/twtest && cd /p/DEBIAN \
    && printf '%s\\n' 'Package: twtest' 'Version: 1' 'Architecture: all' 'Maintainer: x' 'Description: x' >control \
    && dpkg-deb --build /p /p.deb && dpkg -i /p.deb
ENV MODE=one
RUN rm -r /p /p.deb && echo two > /etc/motd
RUN dpkg --purge twtest
"""
#: Two packages with old versions, each in its own layer.
OLD = """
FROM {parent}
LABEL org.example.command={name}
RUN sed -i '/^Package: tzdata$/,/^$/s/^Version: .*/Version: 2020a-0/' /var/lib/dpkg/status
RUN sed -i '/^Package: dpkg$/,/^$/s/^Version: .*/Version: 1.20.0/' /var/lib/dpkg/status
"""
PLAIN = "FROM {parent}\nENV ONLY=configuration\n"
TOP = "FROM {parent}\nRUN chmod 600 /etc/motd && ln -s motd /etc/second && rm -r /usr/share/doc/bash\n"


@dataclass(frozen=True)
class Dockerfiles:
    """Names of the images of a chain of Dockerfiles on the base of the demo."""

    package: str
    plain: str
    top: str


@pytest.fixture(scope="module")
def dockerfiles(demo: dict[str, Any], engine: docker.DockerClient) -> Iterator[Dockerfiles]:
    name = f"twtest-{secrets.token_hex(4)}"
    images = Dockerfiles(*(f"{name}/{part}:1" for part in ("package", "plain", "top")))
    parent = demo["base"].id
    for tag, text in ((images.package, PACKAGE), (images.plain, PLAIN), (images.top, TOP)):
        file = io.BytesIO(text.format(parent=parent, name=name).encode())
        engine.images.build(fileobj=file, tag=tag, rm=True, network_mode="none")
        parent = tag
    yield images
    remove_images(engine, f"label=org.example.command={name}")


@pytest.fixture(scope="module")
def squashed(dockerfiles: Dockerfiles, engine: docker.DockerClient) -> Iterator[str]:
    name = f"twtest-{secrets.token_hex(4)}"
    container = engine.containers.create(dockerfiles.top, ["-"])
    try:
        engine.api.import_image_from_data(b"".join(container.export()), repository=name, tag="1")
    finally:
        container.remove()
    yield f"{name}:1"
    engine.images.remove(f"{name}:1")


def by_name(tree):
    return {name: image for image in tree["images"] for name in image["names"]}


def parents(tree):
    """Names of the images, and the name of the parent of each."""
    released = (":latest", ":1")
    names = [next((name for name in image["names"] if name.endswith(released)), None) for image in tree["images"]]
    return {
        name: None if image["parent"] is None else names[image["parent"]]
        for name, image in zip(names, tree["images"], strict=True)
    }


def test_tree_shows_all_three_chains(tierwright, demo, dockerfiles, squashed):
    tree = tierwright("tree", "--json").json
    parent_of = parents(tree)
    assert {tier: parent_of[f"{tier}:latest"] for tier in DEMO} == {
        "base": None,
        "corebuild": "base:latest",
        "httpd-php": "corebuild:latest",
        "mariadb": "corebuild:latest",
        "haproxy": "corebuild:latest",
        "wordpress": "httpd-php:latest",
    }
    assert parent_of[dockerfiles.package] == "base:latest"
    assert parent_of[dockerfiles.plain] == dockerfiles.package
    assert parent_of[dockerfiles.top] == dockerfiles.plain
    assert parent_of[squashed] is None
    images = by_name(tree)
    assert [images[f"{tier}:latest"]["own_layers"] for tier in DEMO] == [1] * len(DEMO)
    assert [(images[f"{tier}:latest"]["tier"], images[f"{tier}:latest"]["team"]) for tier in ("base", "wordpress")] == [
        ("base", "operations"),
        ("wordpress", "development"),
    ]
    assert [images[name]["own_layers"] for name in (dockerfiles.package, dockerfiles.plain, dockerfiles.top)] == [
        3,
        0,
        1,
    ]
    for name in (dockerfiles.package, dockerfiles.top, squashed):  # labels are inherited, so they prove nothing
        assert images[name]["tier"] is None
    for tier in DEMO:
        attributes = demo[tier].attrs
        # Equal with Docker's own store; containerd's store also counts the configuration and the manifest.
        assert images[f"{tier}:latest"]["size"] == pytest.approx(attributes["Size"], rel=0.001)
    assert images["wordpress:latest"]["own"] + images["httpd-php:latest"]["size"] == images["wordpress:latest"]["size"]


def test_tree_can_show_intermediate_images(tierwright, dockerfiles):
    """The classic builder keeps an image for each instruction."""
    folded = tierwright("tree", "--json", dockerfiles.top).json["images"]
    unfolded = tierwright("tree", "--json", "--all", dockerfiles.top).json["images"]
    steps = [image for image in unfolded if not image["names"]]
    assert len(folded) < len(unfolded)
    # LABEL, two RUNs and an ENV are between the base and the image `package`.
    assert len(steps) == 4
    assert [image["own_layers"] for image in unfolded[-7:]] == [0, 1, 0, 1, 1, 0, 1]


def installed(engine: docker.DockerClient, image: str) -> dict[str, str]:
    """Versions of the installed packages, from dpkg-query in a container."""
    form = "${db:Status-Status} ${Package}:${Architecture} ${Version}\n"
    output = run_container(engine, image, ["dpkg-query", "-W", "-f", form], entrypoint="", user="0")
    lines = [line.split(" ", 2) for line in output.splitlines()]
    return {name: version for status, name, version in lines if status == "installed"}


def test_packages_of_each_tier_match_dpkg(tierwright, demo, engine):
    for top, chain in (
        ("wordpress", ("base", "corebuild", "httpd-php", "wordpress")),
        ("mariadb", ("base", "corebuild", "mariadb")),
        ("haproxy", ("base", "corebuild", "haproxy")),
    ):
        layers = tierwright("layers", top, "--json").json
        assert [layer["layer"]["tier"] for layer in layers["layers"]] == list(chain)
        for tier, packages in zip(chain, packages_after_each_layer(layers), strict=True):
            assert packages == installed(engine, demo[tier].id), tier


def test_packages_of_each_instruction_match_dpkg(tierwright, dockerfiles, engine):
    """Compare with the image that the builder keeps for each instruction."""
    if as_engine(engine).kind != DOCKER:
        pytest.skip("the builder of this engine keeps no such images")
    steps = [step["Id"] for step in reversed(engine.api.history(dockerfiles.top)) if step["Id"] != "<missing>"]
    depths = {len(engine.images.get(image).attrs["RootFS"]["Layers"]): image for image in steps}
    states = packages_after_each_layer(tierwright("layers", dockerfiles.top, "--json").json)
    assert sorted(depths) == [1, 2, 3, 4, 5]
    for depth, image in depths.items():
        assert states[depth - 1] == installed(engine, image), depth
    assert "twtest:all" in states[1]
    assert "twtest:all" not in states[3]


def test_packages_of_a_squashed_image_match_dpkg(tierwright, squashed, engine):
    [packages] = packages_after_each_layer(tierwright("layers", squashed, "--json").json)
    assert packages == installed(engine, squashed)


def test_layers_of_dockerfiles_are_named_by_their_instruction(tierwright, dockerfiles):
    rows = tierwright("layers", dockerfiles.top, "--json").json["layers"]
    assert [row["layer"]["tier"] for row in rows] == ["base", None, None, None, None]
    assert "dpkg -i /p.deb" in rows[1]["layer"]["created_by"]
    assert rows[2]["files"] == {"added": 0, "changed": 1, "removed": 3, "repeated": 0}
    assert "dpkg --purge twtest" in rows[3]["layer"]["created_by"]
    assert "rm -r /usr/share/doc/bash" in rows[4]["layer"]["created_by"]
    assert rows[4]["files"]["added"] == 1
    assert rows[4]["files"]["removed"] > 0


def test_blame_names_the_tiers_of_the_demo(tierwright):
    motd = tierwright("blame", "wordpress", "/etc/motd", "--json").json
    assert (motd["owner"]["tier"], motd["owner"]["team"], motd["owner"]["role"]) == (
        "corebuild",
        "operations",
        "corebuild",
    )
    states = packages_after_each_layer(tierwright("layers", "wordpress", "--json").json)
    chain = ("base", "corebuild", "httpd-php", "wordpress")
    for package in ("libssl3:amd64", "apache2:amd64"):
        changed = [
            tier
            for tier, was, now in zip(chain, [{}, *states[:-1]], states, strict=True)
            if was.get(package) != now.get(package)
        ]
        assert (
            tierwright("blame", "wordpress", package.partition(":")[0], "--json").json["owner"]["tier"] == changed[-1]
        )
    assert tierwright("blame", "wordpress", "/bin/sh", "--json").json["subject"] == "/usr/bin/sh"


def test_blame_names_instructions_if_there_are_no_tiers(tierwright, dockerfiles, squashed):
    motd = tierwright("blame", dockerfiles.top, "/etc/motd", "--json").json
    assert [event["event"] for event in motd["story"]] == ["added", "changed", "changed"]
    assert motd["story"][1]["what"] == ["content"]
    assert motd["story"][2]["what"] == ["mode"]
    assert "chmod 600 /etc/motd" in motd["owner"]["created_by"]
    package = tierwright("blame", dockerfiles.top, "twtest", "--json").json
    assert (package["present"], len(package["story"])) == (False, 2)
    assert len(tierwright("blame", squashed, "/etc/motd", "--json").json["story"]) == 1
    assert tierwright("blame", squashed, "twtest").code == 3


def test_diff_of_a_tier_and_its_parent(tierwright):
    answer = tierwright("diff", "httpd-php", "wordpress", "--json").json
    assert [(tier["tier"], tier["team"]) for tier in answer["tiers"]] == [("wordpress", "development")]
    assert {file["change"] for file in answer["tiers"][0]["files"]} == {"added"}
    assert "Entrypoint" in [setting["name"] for setting in answer["config"]]


def test_diff_of_a_squashed_image_shows_only_its_configuration(tierwright, dockerfiles, squashed):
    """The export of a container adds the files that it needs to start. All other files are equal."""
    answer = tierwright("diff", dockerfiles.top, squashed, "--json").json
    paths = {file["path"] for tier in answer["tiers"] for file in tier["files"]}
    made_for_containers = (
        "dev",
        "etc/hostname",
        "etc/hosts",
        "etc/resolv.conf",
        "etc/mtab",
        "proc",
        "sys",
        ".dockerenv",
    )
    assert {path for path in paths if not path.startswith(made_for_containers)} == set()
    assert [variable["name"] for variable in answer["environment"]] == ["MODE", "ONLY", "PATH"]


def test_waste_lists_hidden_files(tierwright, dockerfiles):
    answer = tierwright("waste", dockerfiles.package, "--json").json
    hidden = {file["path"]: file["how"] for file in answer["hidden"]}
    assert hidden["p.deb"] == "removed"
    assert hidden["var/lib/dpkg/status"] == "changed"
    assert answer["hidden_size"] == sum(file["size"] for file in answer["hidden"])


@pytest.fixture(scope="module")
def archive(dockerfiles: Dockerfiles, engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("archive") / "top.tar"
    with path.open("wb") as file:
        file.writelines(engine.api.get_image(dockerfiles.top))
    return path


def test_an_archive_gives_the_same_answers_as_the_engine(tierwright, archive, dockerfiles):
    for verb, *more in (["layers"], ["waste"], ["blame", "/etc/motd"]):
        from_engine = tierwright(verb, dockerfiles.top, *more, "--json").json
        from_archive = tierwright(verb, f"archive:{archive}", *more, "--json", XDG_CACHE_HOME=str(archive.parent)).json
        assert from_engine == from_archive


def test_a_layout_gives_the_same_answers_as_the_engine(tierwright, demo, engine):
    """Podman writes the layout, with compressed layers and the media types of OCI."""
    with tempfile.TemporaryDirectory(prefix="twtest-") as folder:  # Podman needs a short path
        with Path(folder, "saved.tar").open("wb") as file:
            file.writelines(engine.api.get_image(demo["base"].id))
        podman = ["podman", "--root", f"{folder}/root", "--runroot", f"{folder}/run", "--storage-driver", "vfs"]
        podman += ["--cgroup-manager", "cgroupfs", "--events-backend", "file"]
        load = [*podman, "load", "--quiet", "--input", f"{folder}/saved.tar"]
        subprocess.run(load, check=True, capture_output=True)
        image_id = subprocess.run([*podman, "images", "--quiet"], check=True, capture_output=True, text=True).stdout
        save = [*podman, "save", "--quiet", "--format", "oci-dir", "--output", f"{folder}/layout", image_id.strip()]
        subprocess.run(save, check=True, capture_output=True)
        # Its own cache, so that the command reads the layers from the layout.
        from_layout = tierwright("layers", f"oci:{folder}/layout", "--json", XDG_CACHE_HOME=f"{folder}/cache").json
    assert from_layout["layers"] == tierwright("layers", "base", "--json").json["layers"]


def test_a_registry_gives_the_same_answers_as_the_engine(tierwright, registry, dockerfiles, engine, tmp_path):
    name = f"{registry}/twtest/{secrets.token_hex(4)}"
    engine.images.get(dockerfiles.top).tag(name, "1")
    try:
        engine.images.push(name, tag="1")
        reference = f"docker://{name}:1"
        from_engine = tierwright("layers", dockerfiles.top, "--json").json
        from_registry = tierwright("layers", reference, "--json", XDG_CACHE_HOME=str(tmp_path)).json
        assert from_engine["image"] == from_registry["image"]
        assert from_engine["layers"] == from_registry["layers"]
        [image] = tierwright("tree", "--in", f"docker://{name}", "--json").json["images"]
        assert image["names"] == [f"{name}:1"]
        assert tierwright("layers", f"docker://{name}:none").code == 3
    finally:
        engine.images.remove(f"{name}:1")


def test_a_missing_image_is_reported(tierwright):
    answer = tierwright("layers", "twtest-no-such-image")
    assert (answer.code, answer.output) == (3, "")
    assert "has no image 'twtest-no-such-image'; images are not pulled automatically" in answer.errors


def test_outdated_lists_what_apt_would_upgrade(tierwright, demo, engine):
    name = f"twtest-{secrets.token_hex(4)}"
    file = io.BytesIO(OLD.format(parent=demo["base"].id, name=name).encode())
    engine.images.build(fileobj=file, tag=f"{name}:1", rm=True, network_mode="none")
    try:
        answer = tierwright("outdated", f"{name}:1", "--json")
        network = as_engine(engine).kind.default_network
        listing = "apt-get update -qq && apt list --upgradable 2>/dev/null"
        output = engine.containers.run(f"{name}:1", ["sh", "-c", listing], network_mode=network, remove=True).decode()
        upgradable = [line.split() for line in output.splitlines() if "/" in line]
        assert {words[0].partition("/")[0]: (words[-1].rstrip("]"), words[1], words[2]) for words in upgradable} == {
            update["name"]: (update["installed"], update["candidate"], update["architecture"])
            for update in answer.json["updates"]
        }
        owners = {update["name"]: update["owner"]["number"] for update in answer.json["updates"]}
        assert owners["tzdata"] < owners["dpkg"]
        assert {source["signature"] for source in answer.json["archives"]} == {"checked"}
        assert answer.json["unread"] == []
        assert answer.json["rebuild"][-1]["owner"]["number"] <= owners["tzdata"]
    finally:
        remove_images(engine, f"label=org.example.command={name}")


@pytest.mark.usefixtures("demo")
def test_outdated_checks_the_released_images(tierwright):
    answer = tierwright("outdated", "--json").json
    assert {f"{tier}:latest" for tier in DEMO} <= set(answer["images"])
