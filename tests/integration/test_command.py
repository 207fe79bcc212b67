"""The command on three real chains: the demo's, one of Dockerfiles with a layer for each instruction, one squashed."""

from __future__ import annotations

import io
import json
import os
import secrets
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.system import DOCKER
from sdk_client import as_engine

from .conftest import BIN, DEMO, ROOT, remove_images, run_container

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
#: Two packages as if nobody had upgraded them for long, each in a layer of its own.
OLD = """
FROM {parent}
LABEL org.example.command={name}
RUN sed -i '/^Package: tzdata$/,/^$/s/^Version: .*/Version: 2020a-0/' /var/lib/dpkg/status
RUN sed -i '/^Package: dpkg$/,/^$/s/^Version: .*/Version: 1.20.0/' /var/lib/dpkg/status
"""
PLAIN = "FROM {parent}\nENV ONLY=configuration\n"
TOP = "FROM {parent}\nRUN chmod 600 /etc/motd && ln -s motd /etc/second && rm -r /usr/share/doc/bash\n"


@dataclass(frozen=True)
class Answer:
    code: int
    output: str
    errors: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.errors
        return json.loads(self.output)


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """Ask the command; what it reads is kept for this module only."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}

    def ask_(*arguments: str, **more: str) -> Answer:
        done = subprocess.run(
            [BIN / "tierwright", *arguments],
            env={**environment, **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Answer(done.returncode, done.stdout, done.stderr)

    return ask_


@dataclass(frozen=True)
class Dockerfiles:
    """Images of a chain of Dockerfiles, on the demo's base: their names."""

    package: str
    plain: str
    top: str


@pytest.fixture(scope="module")
def dockerfiles(demo: dict[str, Any], engine: docker.DockerClient) -> Iterator[Dockerfiles]:
    name = f"twtest-{secrets.token_hex(4)}"
    made = Dockerfiles(*(f"{name}/{part}:1" for part in ("package", "plain", "top")))
    parent = demo["base"].id
    for tag, text in ((made.package, PACKAGE), (made.plain, PLAIN), (made.top, TOP)):
        file = io.BytesIO(text.format(parent=parent, name=name).encode())
        engine.images.build(fileobj=file, tag=tag, rm=True, network_mode="none")
        parent = tag
    yield made
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
    return {name: each for each in tree["images"] for name in each["names"]}


def parents(tree):
    """Each image's name to that of what it stands on."""
    released = (":latest", ":1")
    names = [next((name for name in each["names"] if name.endswith(released)), None) for each in tree["images"]]
    return {
        name: None if each["parent"] is None else names[each["parent"]]
        for name, each in zip(names, tree["images"], strict=True)
    }


def test_tree_shows_all_three_chains(ask, demo, dockerfiles, squashed):
    tree = ask("tree", "--json").json
    found = parents(tree)
    assert {tier: found[f"{tier}:latest"] for tier in DEMO} == {
        "base": None,
        "corebuild": "base:latest",
        "httpd-php": "corebuild:latest",
        "mariadb": "corebuild:latest",
        "wordpress": "httpd-php:latest",
    }
    assert found[dockerfiles.package] == "base:latest"
    assert found[dockerfiles.plain] == dockerfiles.package
    assert found[dockerfiles.top] == dockerfiles.plain
    assert found[squashed] is None
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
    for name in (dockerfiles.package, dockerfiles.top, squashed):  # labels are inherited, and prove nothing
        assert images[name]["tier"] is None
    for tier in DEMO:
        attributes = demo[tier].attrs
        # Exactly with Docker's own store; containerd's counts configuration and manifest, too.
        assert images[f"{tier}:latest"]["size"] == pytest.approx(attributes["Size"], rel=0.001)
    assert images["wordpress:latest"]["own"] + images["httpd-php:latest"]["size"] == images["wordpress:latest"]["size"]


def test_tree_with_the_steps_between(ask, dockerfiles):
    """The classic builder keeps an image for each instruction."""
    folded = ask("tree", "--json", dockerfiles.top).json["images"]
    unfolded = ask("tree", "--json", "--all", dockerfiles.top).json["images"]
    steps = [each for each in unfolded if not each["names"]]
    assert len(folded) < len(unfolded)
    # LABEL, two RUNs and an ENV stand between the base and the package's image.
    assert len(steps) == 4
    assert [each["own_layers"] for each in unfolded[-7:]] == [0, 1, 0, 1, 1, 0, 1]


def installed(engine: docker.DockerClient, image: str) -> dict[str, str]:
    """What dpkg-query says in a container of an image."""
    form = "${db:Status-Status} ${Package}:${Architecture} ${Version}\n"
    told = run_container(engine, image, ["dpkg-query", "-W", "-f", form], entrypoint="", user="0")
    lines = [line.split(" ", 2) for line in told.splitlines()]
    return {name: version for status, name, version in lines if status == "installed"}


def packages_after(layers: dict[str, Any]) -> list[dict[str, str]]:
    """Packages after each layer, from what each one changes."""
    states, now = [], {}
    for layer in layers["layers"]:
        for change in layer["packages"]:
            key = f"{change['name']}:{change['architecture']}"
            assert now.get(key) == change["before"]
            now = {name: version for name, version in now.items() if name != key}
            if change["after"] is not None:
                now[key] = change["after"]
        assert layer["installed"] == len(now)
        states.append(now)
    return states


def test_packages_of_each_tier_are_what_dpkg_says(ask, demo, engine):
    for top, chain in (
        ("wordpress", ("base", "corebuild", "httpd-php", "wordpress")),
        ("mariadb", ("base", "corebuild", "mariadb")),
    ):
        layers = ask("layers", top, "--json").json
        assert [layer["layer"]["tier"] for layer in layers["layers"]] == list(chain)
        for tier, told in zip(chain, packages_after(layers), strict=True):
            assert told == installed(engine, demo[tier].id), tier


def test_packages_of_each_instruction_are_what_dpkg_says(ask, dockerfiles, engine):
    """Against the image that the builder keeps for each instruction."""
    if as_engine(engine).kind != DOCKER:
        pytest.skip("this engine's builder keeps none")
    steps = [each for each in reversed(engine.api.history(dockerfiles.top)) if each["Id"] != "<missing>"]
    depths = {len(engine.images.get(each["Id"]).attrs["RootFS"]["Layers"]): each["Id"] for each in steps}
    states = packages_after(ask("layers", dockerfiles.top, "--json").json)
    assert sorted(depths) == [1, 2, 3, 4, 5]
    for depth, image in depths.items():
        assert states[depth - 1] == installed(engine, image), depth
    assert "twtest:all" in states[1]
    assert "twtest:all" not in states[3]


def test_packages_of_the_squashed_one_are_what_dpkg_says(ask, squashed, engine):
    [told] = packages_after(ask("layers", squashed, "--json").json)
    assert told == installed(engine, squashed)


def test_layers_of_dockerfiles_are_called_by_their_instruction(ask, dockerfiles):
    rows = ask("layers", dockerfiles.top, "--json").json["layers"]
    assert [row["layer"]["tier"] for row in rows] == ["base", None, None, None, None]
    assert "dpkg -i /p.deb" in rows[1]["layer"]["created_by"]
    assert rows[2]["files"] == {"added": 0, "changed": 1, "removed": 3, "repeated": 0}
    assert "dpkg --purge twtest" in rows[3]["layer"]["created_by"]
    assert "rm -r /usr/share/doc/bash" in rows[4]["layer"]["created_by"]
    assert rows[4]["files"]["added"] == 1
    assert rows[4]["files"]["removed"] > 0


def test_blame_in_the_demo(ask):
    motd = ask("blame", "wordpress", "/etc/motd", "--json").json
    assert (motd["owner"]["tier"], motd["owner"]["team"], motd["owner"]["role"]) == (
        "corebuild",
        "operations",
        "corebuild",
    )
    states = packages_after(ask("layers", "wordpress", "--json").json)
    chain = ("base", "corebuild", "httpd-php", "wordpress")
    for package in ("libssl3:amd64", "apache2:amd64"):
        changed = [
            tier
            for tier, was, now in zip(chain, [{}, *states[:-1]], states, strict=True)
            if was.get(package) != now.get(package)
        ]
        assert ask("blame", "wordpress", package.partition(":")[0], "--json").json["owner"]["tier"] == changed[-1]
    assert ask("blame", "wordpress", "/bin/sh", "--json").json["subject"] == "/usr/bin/sh"


def test_blame_where_there_are_no_tiers(ask, dockerfiles, squashed):
    motd = ask("blame", dockerfiles.top, "/etc/motd", "--json").json
    assert [event["event"] for event in motd["story"]] == ["added", "changed", "changed"]
    assert motd["story"][1]["what"] == ["content"]
    assert motd["story"][2]["what"] == ["mode"]
    assert "chmod 600 /etc/motd" in motd["owner"]["created_by"]
    package = ask("blame", dockerfiles.top, "twtest", "--json").json
    assert (package["present"], len(package["story"])) == (False, 2)
    assert len(ask("blame", squashed, "/etc/motd", "--json").json["story"]) == 1
    assert ask("blame", squashed, "twtest").code == 3


def test_diff_of_a_tier_and_its_parent(ask):
    told = ask("diff", "httpd-php", "wordpress", "--json").json
    assert [(tier["tier"], tier["team"]) for tier in told["tiers"]] == [("wordpress", "development")]
    assert {each["change"] for each in told["tiers"][0]["files"]} == {"added"}
    assert "Entrypoint" in [each["name"] for each in told["config"]]


def test_a_squashed_image_differs_in_nothing_but_its_configuration(ask, dockerfiles, squashed):
    """Docker export makes what a container needs to start; everything else is as it was."""
    told = ask("diff", dockerfiles.top, squashed, "--json").json
    paths = {each["path"] for tier in told["tiers"] for each in tier["files"]}
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
    assert [each["name"] for each in told["environment"]] == ["MODE", "ONLY", "PATH"]


def test_waste(ask, dockerfiles):
    told = ask("waste", dockerfiles.package, "--json").json
    hidden = {each["path"]: each["how"] for each in told["hidden"]}
    assert hidden["p.deb"] == "removed"
    assert hidden["var/lib/dpkg/status"] == "changed"
    assert told["hidden_size"] == sum(each["size"] for each in told["hidden"])


def test_releases(ask):
    told = ask("history", "wordpress", "--json").json
    assert told["tier"] == "wordpress"
    assert sum(each["current"] for each in told["releases"]) == 1
    assert told["releases"][-1]["team"] == "development"
    assert ask("why", "wordpress", "--json").json["release"]["current"]
    assert ask("why", "wordpress-none").code == 3


def test_why_says_what_changed(ask, small_chain):
    tasks = '- name: Write\n  ansible.builtin.copy: {{content: "{}", dest: /etc/it, mode: "0644"}}\n'
    small_chain.tier("one", tasks.format("1"), parent="base")
    small_chain.build().expect()
    small_chain.tier("one", tasks.format("2"), parent="base")
    small_chain.build().expect()
    repository = small_chain.tiers["one"]["tier_image"]
    told = ask("why", repository, "--json").json
    assert told["reasons"] == ["role one/tasks/main.yml changed"]
    assert told["before"]["image"] != told["release"]["image"]


@pytest.fixture(scope="module")
def archive(dockerfiles: Dockerfiles, engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("archive") / "top.tar"
    with path.open("wb") as file:
        file.writelines(engine.api.get_image(dockerfiles.top))
    return path


def test_an_archive_says_what_the_engine_says(ask, archive, dockerfiles):
    for verb, *more in (["layers"], ["waste"], ["blame", "/etc/motd"]):
        here = ask(verb, dockerfiles.top, *more, "--json").json
        there = ask(verb, f"archive:{archive}", *more, "--json", XDG_CACHE_HOME=str(archive.parent)).json
        assert here == there


def test_a_layout_says_what_the_engine_says(ask, demo, engine):
    """Podman writes the layout, with layers packed and with OCI's types."""
    with tempfile.TemporaryDirectory(prefix="twtest-") as folder:  # Podman wants a short path
        with Path(folder, "saved.tar").open("wb") as file:
            file.writelines(engine.api.get_image(demo["base"].id))
        podman = ["podman", "--root", f"{folder}/root", "--runroot", f"{folder}/run", "--storage-driver", "vfs"]
        podman += ["--cgroup-manager", "cgroupfs", "--events-backend", "file"]
        load = [*podman, "load", "--quiet", "--input", f"{folder}/saved.tar"]
        subprocess.run(load, check=True, capture_output=True)
        listed = subprocess.run([*podman, "images", "--quiet"], check=True, capture_output=True, text=True).stdout
        save = [*podman, "save", "--quiet", "--format", "oci-dir", "--output", f"{folder}/layout", listed.strip()]
        subprocess.run(save, check=True, capture_output=True)
        # A store of its own: the layers are read from the layout, not remembered from the engine.
        there = ask("layers", f"oci:{folder}/layout", "--json", XDG_CACHE_HOME=f"{folder}/cache").json
    assert there["layers"] == ask("layers", "base", "--json").json["layers"]


def test_a_registry_says_what_the_engine_says(ask, registry, dockerfiles, engine, tmp_path):
    name = f"{registry}/twtest/{secrets.token_hex(4)}"
    engine.images.get(dockerfiles.top).tag(name, "1")
    try:
        engine.images.push(name, tag="1")
        reference = f"docker://{name}:1"
        here = ask("layers", dockerfiles.top, "--json").json
        there = ask("layers", reference, "--json", XDG_CACHE_HOME=str(tmp_path)).json
        assert here["image"] == there["image"]
        assert here["layers"] == there["layers"]
        [image] = ask("tree", "--in", f"docker://{name}", "--json").json["images"]
        assert image["names"] == [f"{name}:1"]
        assert ask("layers", f"docker://{name}:none").code == 3
    finally:
        engine.images.remove(f"{name}:1")


def test_an_image_that_is_not_there(ask):
    answer = ask("layers", "twtest-no-such-image")
    assert (answer.code, answer.output) == (3, "")
    assert "has no image 'twtest-no-such-image'; images are not pulled automatically" in answer.errors


def test_outdated_is_what_apt_would_upgrade(ask, demo, engine):
    name = f"twtest-{secrets.token_hex(4)}"
    file = io.BytesIO(OLD.format(parent=demo["base"].id, name=name).encode())
    engine.images.build(fileobj=file, tag=f"{name}:1", rm=True, network_mode="none")
    try:
        answer = ask("outdated", f"{name}:1", "--json")
        outside = as_engine(engine).kind.default_network
        listing = "apt-get update -qq && apt list --upgradable 2>/dev/null"
        said = engine.containers.run(f"{name}:1", ["sh", "-c", listing], network_mode=outside, remove=True).decode()
        upgradable = [line.split() for line in said.splitlines() if "/" in line]
        assert {each[0].partition("/")[0]: (each[-1].rstrip("]"), each[1], each[2]) for each in upgradable} == {
            each["name"]: (each["installed"], each["candidate"], each["architecture"])
            for each in answer.json["updates"]
        }
        owners = {each["name"]: each["owner"]["number"] for each in answer.json["updates"]}
        assert owners["tzdata"] < owners["dpkg"]
        assert {each["signature"] for each in answer.json["archives"]} == {"checked"}
        assert answer.json["unread"] == []
        assert answer.json["rebuild"][-1]["owner"]["number"] <= owners["tzdata"]
    finally:
        remove_images(engine, f"label=org.example.command={name}")


@pytest.mark.usefixtures("demo")
def test_outdated_looks_at_what_is_released(ask):
    answer = ask("outdated", "--json").json
    assert {f"{tier}:latest" for tier in DEMO} <= set(answer["images"])


TASKS = """
- name: Write the message
  ansible.builtin.copy:
    content: {content}
    dest: /etc/motd
    mode: "0644"
  notify: Write it down
- name: Make an old file
  ansible.builtin.command: sh -c 'touch -d 2001-01-01 /srv/old && rm -f /etc/debian_version'
  changed_when: true
"""
HANDLERS = """
- name: Write it down
  ansible.builtin.copy:
    content: noted
    dest: /srv/noted
    mode: "0600"
"""


def test_the_command_knows_tasks_and_what_a_run_would_do(ask, small_chain, environment):
    small_chain.tier("core", TASKS.format(content="one"), parent="base")
    small_chain.tier("web", "- ansible.builtin.file: {path: /srv/web, state: directory, mode: '0755'}", parent="core")
    handlers = small_chain.folder / "roles/core/handlers/main.yml"
    handlers.parent.mkdir()
    handlers.write_text(HANDLERS)
    small_chain.build().expect()
    image = small_chain.image("web").id

    def task(path):
        story = ask("blame", image, path, "--json", XDG_STATE_HOME=environment["XDG_STATE_HOME"]).json["story"]
        return story[-1]["task"]

    assert task("/etc/motd") == {"role": "core", "name": "Write the message", "file": "core/tasks/main.yml:2"}
    assert task("/srv/old") == {"role": "core", "name": "Make an old file", "file": "core/tasks/main.yml:8"}
    assert task("/srv/noted") == {"role": "core", "name": "Write it down", "file": "core/handlers/main.yml:2"}
    assert task("/srv/web")["name"] == "ansible.builtin.file"
    assert task("/etc/debian_version") is None
    assert task("/usr/bin/env") is None
    assert ask("blame", image, "/etc/motd", "--json", XDG_STATE_HOME="/none").json["story"][-1]["task"] is None

    def why(tier, *more):
        how = ("-i", str(small_chain.folder / "chain.yml"), "-p", str(ROOT / "build-chain.yml"))
        return ask("why", tier, *how, *more, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"))

    assert why("web", "--json").json["now"] == {
        "action": "keep",
        "image": image,
        "reasons": ["nothing changed"],
        "below": [],
    }
    (small_chain.folder / "roles/core/tasks/main.yml").write_text(TASKS.format(content="two"))
    told = why("web", "--json").json
    assert (told["team"], told["now"]["action"], told["now"]["image"]) == ("operations", "build", None)
    assert told["now"]["below"] == [{"tier": "core", "reasons": ["role core/tasks/main.yml changed"]}]
    assert small_chain.image("web").id == image
    assert why("none").code == 3
    broken = why("web", "--", "-e", "tier_force=none")
    assert (broken.code, broken.output) == (7, "")
    assert "tier_force names 'none'" in broken.errors
    nowhere = why("web", "--", "-e", "tier_plan_file=/none/plan.json")
    assert nowhere.code == 7
    assert "the plan cannot be written to /none/plan.json" in nowhere.errors


def test_an_rpm_database_as_rpm_reads_it(ask, engine, tmp_path):
    """A root file system of two packages that rpmbuild makes, in an image of one layer."""
    root = tmp_path / "root"
    for name, more in (("twone", "Epoch: 2"), ("twtwo", "")):
        (tmp_path / f"{name}.spec").write_text(
            f"Name: {name}\nVersion: 1.2\nRelease: 3\nSummary: x\nLicense: x\nBuildArch: noarch\n{more}\n"
            "%description\nx\n%files\n"
        )
        build = ["rpmbuild", "-bb", f"--define=_topdir {tmp_path}/build", str(tmp_path / f"{name}.spec")]
        subprocess.run(build, check=True, capture_output=True)
    database = ["--root", str(root), "--dbpath", "/var/lib/rpm"]
    packages = [str(path) for path in (tmp_path / "build/RPMS").rglob("*.rpm")]
    subprocess.run(["rpm", *database, "-i", "--nodeps", *packages], check=True, capture_output=True)
    told = subprocess.run(
        ["rpm", *database, "-qa", "--qf", "%{NAME}:%{ARCH} %{EVR}\n"], check=True, capture_output=True, text=True
    ).stdout
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        tar.add(root, arcname=".")
    name = f"twtest-{secrets.token_hex(4)}"
    engine.api.import_image_from_data(written.getvalue(), repository=name, tag="1")
    try:
        [found] = packages_after(ask("layers", f"{name}:1", "--json").json)
        assert found == dict(line.split(" ") for line in told.splitlines())
        assert found == {"twone:noarch": "2:1.2-3", "twtwo:noarch": "1.2-3"}
    finally:
        engine.images.remove(f"{name}:1")
