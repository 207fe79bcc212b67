"""Modules run with a Python that is mounted: everything works through it, and no image holds one."""

from __future__ import annotations

import io
import re
import shutil
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.interpreter import mounted_python
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sealing.image_archive import digest_file
from sdk_client import as_engine

from .conftest import DEMO, remove_interpreter, run_container

ROLE = Path(__file__).parent / "roles/every_module"
FIND_PYTHON = ["find", "/", "-xdev", "-name", "python[23]*"]


def modules_work(chain, parent):
    tier = "works"
    shutil.copytree(ROLE, chain.folder / "roles/every_module")
    chain.facts = ["!hardware"]
    # One of its files names the Python that is mounted, which is refused unless the tier asks for it.
    chain.tier(tier, parent=parent, role="every_module", keep=["etc/templated"]).build().expect()
    assert [name for name in everything(chain, tier) if re.search(r"python[23-]|tierwright", name)] == []
    assert chain.run(tier, "cat", "/etc/templated") == f"{tier} runs in /dev/tierwright-python/bin/python3\n"
    assert chain.run(tier, "id", "-u", "worker") == "1234\n"
    assert chain.run(tier, "dpkg-query", "--show", "--showformat=${db:Status-Abbrev}", "hello") == "hi "
    assert chain.run(tier, "sh", "-c", "dpkg-query --show sl 2>/dev/null || echo gone") == "gone\n"
    assert chain.run(tier, "dpkg", "--get-selections", "hello").split() == ["hello", "hold"]


@pytest.mark.parametrize("tier", DEMO)
def test_no_image_of_the_demo_holds_python(demo, engine, tier):
    assert run_container(engine, demo[tier].id, FIND_PYTHON, user="0", entrypoint=[]) == ""


def test_modules_work_in_an_image_without_python(small_chain):
    modules_work(small_chain, "base")


@pytest.mark.once
def test_modules_work_in_debian_13(small_chain):
    modules_work(small_chain.tier("thirteen", bootstrap={"suite": "trixie"}), "thirteen")


@pytest.mark.once
def test_a_role_that_installs_python_gets_python(small_chain):
    tasks = """
    - name: Install Python and packages for it
      ansible.builtin.apt:
        name: [python3-venv, python3-pip, python3-yaml]
        update_cache: true
        install_recommends: false
    - name: Put a wheel there
      ansible.builtin.copy: {src: hello-1-py3-none-any.whl, dest: /opt/, mode: "0644"}
    - name: Make a virtual environment
      ansible.builtin.pip:
        name: /opt/hello-1-py3-none-any.whl
        virtualenv: /opt/venv
        virtualenv_command: /usr/bin/python3 -m venv
    - name: Install for everybody
      ansible.builtin.pip: {name: /opt/hello-1-py3-none-any.whl, extra_args: --break-system-packages}
    - name: Look at this Python again
      ansible.builtin.setup: {gather_subset: [python]}
    - name: Use what is installed as modules do
      ansible.builtin.command:
        argv: ["{{ ansible_python_interpreter }}", -c, "import hello, yaml as y; print(y.__with_libyaml__, y.__file__)"]
      register: imported
      failed_when: imported.stdout != 'True /usr/lib/python3/dist-packages/yaml/__init__.py'
    - name: Make sure that modules name the Python that stays
      ansible.builtin.assert: {that: ansible_facts.python.executable == '/usr/bin/python3'}
    """
    small_chain.tier("snake", tasks, parent="base")
    # Where an image's own Python is asked for, nothing is mounted.
    small_chain.tier("own", "- ansible.builtin.command: test ! -e /dev/tierwright-python\n", parent="snake")
    small_chain.tiers["own"]["tier_python_interpreter"] = "/usr/bin/python3"
    files = small_chain.folder / "roles/snake/files"
    files.mkdir()
    with zipfile.ZipFile(files / "hello-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("hello.py", "")
        wheel.writestr("hello-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: hello\nVersion: 1\n")
        wheel.writestr("hello-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("hello-1.dist-info/RECORD", "")
    small_chain.build().expect()
    for tier in ("snake", "own"):
        assert small_chain.run(tier, "python3", "-c", "import hello, yaml, sys; print(sys.prefix)") == "/usr\n"
        assert (
            small_chain.run(tier, "/opt/venv/bin/python", "-c", "import hello, sys; print(sys.prefix)") == "/opt/venv\n"
        )
        assert [name for name in everything(small_chain, tier) if "tierwright" in name] == []


@pytest.mark.once
def test_a_base_without_apt_is_told(small_chain):
    archive = small_chain.folder / "bare.tar"
    with tarfile.open(archive, "w") as tar:
        add(tar, "usr/lib/os-release", b"ID=debian\n")
    small_chain.tier("bare", config={"cmd": []}, **{"import": imported(archive)}).tier("one", "[]", parent="bare")
    failed = small_chain.build().expect(2)
    assert "tier 'one': its base is of the Debian family, but /usr/bin/apt-get is not in it" in failed.message
    assert "set tier_python_interpreter to a Python that the image has" in failed.message


@pytest.mark.once
def test_archives_that_cannot_be_reached_are_told(small_chain, engine, rootfs):
    archive = small_chain.folder / "away.tar"
    archive.write_bytes(Path(rootfs["archive"]).read_bytes())
    with tarfile.open(archive, "a") as tar:
        add(tar, "etc/apt/apt.conf.d/away", b'Dir::Etc::SourceList "away.list";\n')
        add(tar, "etc/apt/away.list", b"deb [trusted=yes] http://127.0.0.1:9/debian bookworm main\n")
    small_chain.tier("away", **{"import": imported(archive)}).tier("one", "[]", parent="away")
    before = set(python_volumes(engine))
    failed = small_chain.build().expect(2)
    assert "tier 'one': making the Python that modules run with, from its base sha256:" in failed.message
    assert "Failed to fetch http://127.0.0.1:9/debian" in failed.message
    assert set(python_volumes(engine)) == before


@pytest.fixture
def quick(monkeypatch):
    """A recipe that takes a second, and whose interpreters are nobody else's."""
    monkeypatch.setattr(mounted_python, "_install_script", lambda: "sleep 1; mkdir $1/bin; echo whole > $1/bin/python3")


@pytest.mark.once
@pytest.mark.usefixtures("quick")
def test_makers_do_not_disturb_one_another(engine, demo_base):
    parent = as_engine(engine).images.get(demo_base.id)
    said = []

    def make(run):
        return mounted_python.ensure(as_engine(engine), tier="one", parent_image=parent, run=run, say=said.append)

    try:
        with ThreadPoolExecutor() as pool:
            made = set(pool.map(make, ["run-a", "run-b", "run-c"]))
        assert len(made) == 1
        assert len(said) == 3
        assert made == {make("run-d")}
        assert len(said) == 3
        for run in ("run-a", "run-b", "run-c"):
            mounted_python.clear(as_engine(engine), run)  # what is whole outlives its run
        assert {
            name for name in python_volumes(engine) if name.startswith(mounted_python.volume_name(ground(parent)))
        } == {
            mounted_python.volume_name(ground(parent)),
            made.pop().volume,
        }
    finally:
        remove_interpreter(engine, demo_base.id)


@pytest.mark.once
@pytest.mark.usefixtures("quick")
def test_half_made_ones_are_cleared_and_lost_ones_made_again(engine, demo_base):
    parent = as_engine(engine).images.get(demo_base.id)
    name = mounted_python.volume_name(ground(parent))
    engine.volumes.create(f"{name}-half", labels={labels.PYTHON: name, labels.RUN: "run-killed"})
    try:
        first = mounted_python.ensure(as_engine(engine), tier="one", parent_image=parent, run="run-a", say=print)
        assert first.volume != f"{name}-half"
        mounted_python.clear(as_engine(engine), "run-killed")
        assert f"{name}-half" not in python_volumes(engine)
        engine.volumes.get(first.volume).remove()
        engine.volumes.create(first.volume)  # as an engine does for a container that asks for it
        second = mounted_python.ensure(as_engine(engine), tier="one", parent_image=parent, run="run-b", say=print)
        assert second.volume != first.volume
        engine.volumes.get(first.volume).remove()
    finally:
        remove_interpreter(engine, demo_base.id)


def everything(chain, tier):
    """Names of all files in a tier's image, those below an engine's own mounts included."""
    container = chain.engine.containers.create(chain.image(tier).id, command=["-"])
    try:
        with tarfile.open(fileobj=Pieces(container.export()), mode="r|") as tar:
            return [entry.name for entry in tar]
    finally:
        container.remove()


class Pieces(io.RawIOBase):
    """A file of pieces."""

    def __init__(self, pieces):
        self._pieces, self._left = iter(pieces), b""

    def read(self, size=-1):
        while len(self._left) < size and (piece := next(self._pieces, b"")):
            self._left += piece
        data, self._left = self._left[:size], self._left[size:]
        return data


def ground(parent):
    return next(mounted_python.python_sources(parent))


def python_volumes(engine):
    return [each.name for each in engine.volumes.list(filters={"label": labels.PYTHON})]


def add(tar, name, content):
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def imported(archive):
    return {"archive": str(archive), "checksum": digest_file(archive)}
